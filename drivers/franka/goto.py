"""Point-to-point joint motion, for homing."""

import math

import franky
import numpy as np

from drivers.franka.activity import Outcome
from drivers.franka.errors import is_planner_error
from drivers.franka.limits import JointLimits
from drivers.franka.link import Link, Signal
from drivers.franka.view import RobotView
from runtime.rows import JOINTS, ArmActivity, RequestStatus, Severity

REACHED_RAD = 2e-3
START_NS = 500_000_000  # from handing the motion over to the first state in which it runs


def refusal(q: tuple[float, ...], speed_factor: float, limits: JointLimits) -> str | None:
    """Why this motion must not start, or None. `q` (7,) [rad], `speed_factor` of the robot's full dynamics."""
    if not all(map(math.isfinite, q)):
        return f"the goal {q} is not finite"
    for joint in range(JOINTS):
        low, high = limits.lower_rad[joint], limits.upper_rad[joint]
        if not low <= q[joint] <= high:
            return f"joint {joint + 1} of the goal is {q[joint]:.4f} rad; its limits are {low:.4f} to {high:.4f}"
    if not 0.0 < speed_factor <= 1.0:  # false for NaN too
        return f"the speed factor is {speed_factor}; allowed is above 0 up to 1"
    return None


class Goto:
    """The arm moves to `q` (7,) [rad] at `speed_factor` of its full velocity, acceleration and jerk."""

    kind = ArmActivity.GOTO

    def __init__(self, link: Link, q: tuple[float, ...], speed_factor: float, request_id: int) -> None:
        self.request_id = request_id
        self._goal = q
        motion = franky.JointMotion(np.array(q), relative_dynamics_factor=speed_factor)
        self._call = link.move(motion, Signal.POSITION)
        self._ran = False

    def step(self, view: RobotView, now_ns: int) -> Outcome | None:
        """Wait for the end of the motion and say whether the goal was reached."""
        call = self._call
        if not call.done:
            if call.overdue(now_ns):
                return self._failed("the client library did not come back from starting the motion", lost=True)
            return None
        if call.error is not None:
            return self._failed(f"the motion was refused: {call.error}", lost=not is_planner_error(call.error))
        if view.stamp_ns <= call.done_ns:
            return None
        if view.in_control:
            self._ran = True
            return None
        off = max(abs(a - b) for a, b in zip(view.q_d, self._goal, strict=True))
        if off <= REACHED_RAD:
            if not view.still:
                return None  # arrived, and still settling
            return Outcome("the joint motion reached its goal", RequestStatus.DONE, "goto.done")
        if not self._ran and view.stamp_ns - call.done_ns <= START_NS:
            return None
        return self._failed(f"the motion ended {off:.4f} rad before its goal")

    @staticmethod
    def _failed(text: str, *, lost: bool = False) -> Outcome:
        return Outcome(text, RequestStatus.FAILED, "goto.failed", Severity.ERROR, True, text if lost else "")
