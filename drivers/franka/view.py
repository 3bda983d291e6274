"""What the driver knows of the robot from the newest state, as plain floats."""

from dataclasses import dataclass, field

import numpy as np

from drivers.franka.reader import Seen
from drivers.franka.state import MODES, robot_time_ns
from runtime.rows import JOINTS, RobotMode

STILL_RAD_S = 0.02  # a resting FR3 reports a few mrad/s of noise
STILL_STATES = 20  # states in a row


@dataclass
class RobotView:
    """The newest robot state and how long it has been standing still.

    `stamp_ns` is when it was received, `advanced_ns` when robot time last moved on: a frozen state with no error in it
    is a dead link.
    """

    q: tuple[float, ...] = (0.0,) * JOINTS
    dq: tuple[float, ...] = (0.0,) * JOINTS
    q_d: tuple[float, ...] = (0.0,) * JOINTS
    T_base_ee_d: np.ndarray = field(default_factory=lambda: np.eye(4))
    T_flange_ee: np.ndarray = field(default_factory=lambda: np.eye(4))
    mode: RobotMode = RobotMode.OTHER
    errors: int = 0
    in_control: bool = False
    robot_time_ns: int = -1
    stamp_ns: int = 0
    advanced_ns: int = 0
    still_states: int = 0
    missed: int = 0  # robot milliseconds between two states seen, all connections together
    seen: int = 0

    def take(self, one: Seen, errors: int) -> None:
        """Learn from a new state. `errors` is its error mask."""
        state = one.state
        time_ns = robot_time_ns(state)
        if time_ns != self.robot_time_ns:
            if 0 <= self.robot_time_ns < time_ns:
                self.missed += (time_ns - self.robot_time_ns) // 1_000_000 - 1
            self.advanced_ns = one.stamp_ns
        self.robot_time_ns, self.stamp_ns, self.in_control = time_ns, one.stamp_ns, one.in_control
        self.q, self.dq = tuple(state.q.tolist()), tuple(state.dq.tolist())
        self.q_d = tuple(state.q_d.tolist())
        self.T_base_ee_d, self.T_flange_ee = state.O_T_EE_d.matrix, state.F_T_EE.matrix
        self.mode, self.errors = MODES[state.robot_mode], errors
        self.seen += 1
        moving = one.in_control or self.mode == RobotMode.MOVE or max(map(abs, self.dq)) > STILL_RAD_S
        self.still_states = 0 if moving else self.still_states + 1

    @property
    def still(self) -> bool:
        """Verified at rest: no motion runs and no joint moved for a while."""
        return self.still_states >= STILL_STATES

    def new_connection(self, now_ns: int) -> None:
        """Robot time and stillness start anew."""
        self.robot_time_ns, self.still_states, self.in_control = -1, 0, False
        self.stamp_ns = self.advanced_ns = now_ns

    def lose_touch(self) -> None:
        """The connection is gone: what was seen of a motion proves nothing any more."""
        self.in_control, self.still_states, self.robot_time_ns = False, 0, -1
