"""The verdict on one command: every limit at the command, and along the stop that must exist behind it."""

import math

from runtime.gate.finding import Finding
from runtime.gate.joints import check_joints, check_position, check_velocity
from runtime.gate.limits import Limits
from runtime.gate.motion import Motion
from runtime.gate.reasons import Reason
from runtime.gate.space import Space, check_room
from runtime.gate.speeds import check_singularity, check_speeds
from runtime.gate.stop import Seven, Stop, StopPlanner
from runtime.gate.windows import Windows
from runtime.kinematics import Kinematics

# A stop is looked at about every 15 mm of the way of tool or elbow (at most: half of speed times duration).
SAMPLE_M = 0.015
LEAST_SAMPLES, MOST_SAMPLES = 2, 10


class Trial:
    """Tries commands. Pure but for the scratch memory of its kinematics and planners."""

    def __init__(self, limits: Limits, kinematics: Kinematics, space: Space, windows: Windows, period_s: float) -> None:
        self.limits, self.period_s = limits, period_s
        self.planner = StopPlanner(limits, period_s)
        self._kinematics, self._space, self._windows = kinematics, space, windows

    def run(self, q: Seven, dq: Seven, ddq: Seven | None, last: Motion, factor: float) -> Finding | Motion:
        """What is wrong with commanding (7,) `q` [rad], `dq` [rad/s] after `last`, or the motion it makes.

        `ddq` is the acceleration [rad/s2] at the command; None: the mean over the period is the best there is.
        """
        found = check_joints(q, dq, last.q, last.dq, last.change, self.limits, self.period_s)
        if found:
            return found
        change = [(new - old) / self.period_s for new, old in zip(dq, last.dq, strict=True)]
        if ddq is None:
            ddq = change
        kinematics = self._kinematics
        kinematics.set(q, dq)
        tcp = kinematics.tcp()
        speeds = kinematics.speeds()
        found = check_speeds(speeds, self.limits, factor) or check_singularity(
            dq, kinematics.smallest_singular_value(q), self.limits
        )
        if found:
            return found
        room = self._space.room(q, tcp)
        found = check_room(room, last.slack) or self._windows.check_way(tcp)
        if found:
            return found
        stop = self.planner.path(q, dq, ddq)
        if stop is None or self._along(stop, ddq, last, factor, max(speeds[:2])):
            stop = self.planner.joints(q, dq, ddq)
            if stop is None:
                return Finding(Reason.NO_STOP, Reason.PLANNER, 0.0)
            found = self._along(stop, ddq, last, factor, max(speeds[:2]))
            if found:
                return Finding(Reason.NO_STOP, found.reason, found.limit, found.where)
        return Motion(q, dq, ddq, change, stop, 0.0, room.slack)

    def _along(self, stop: Stop, ddq: Seven, last: Motion, factor: float, speed: float) -> Finding | None:
        """What is wrong along a stop from `speed` [m/s]: velocity limits, position box, speeds, room."""
        kinematics = self._kinematics
        samples = min(MOST_SAMPLES, max(LEAST_SAMPLES, math.ceil(0.5 * speed * stop.duration / SAMPLE_M)))
        times = [stop.duration * sample / samples for sample in range(1, samples + 1)]
        for time_s in [min(self._settling(ddq), stop.duration), *times]:
            q, dq, _ = stop.at(time_s)
            kinematics.set(q, dq)
            found = (
                check_position(q, last.q, self.limits)
                or check_velocity(q, dq, self.limits)
                or check_speeds(kinematics.speeds(), self.limits, factor)
                or check_room(self._space.room(q, kinematics.tcp()), last.slack)
            )
            if found:
                return found
        return None

    def _settling(self, ddq: Seven) -> float:
        """When [s] a stop has taken the acceleration away: until then what was speeding up goes on, and is fastest there."""
        return max(abs(a) / most for a, most in zip(ddq, self.limits.jerk, strict=True))


def braked(last: Motion, period_s: float) -> Motion:
    """One period further along the stored stop; at its end the arm holds."""
    elapsed = last.elapsed + period_s
    q, dq, ddq = last.stop.at(elapsed)
    change = [(new - old) / period_s for new, old in zip(dq, last.dq, strict=True)]
    return Motion(q, dq, ddq, change, last.stop, elapsed, last.slack)
