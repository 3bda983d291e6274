"""The verdict on one command: every limit at the command, and along the stop that must exist behind it."""

import math

from runtime.gate.finding import Finding
from runtime.gate.joints import check_change, check_consistency, check_position, check_step, check_velocity
from runtime.gate.limits import Limits
from runtime.gate.motion import Motion, braked, rates
from runtime.gate.reasons import Reason
from runtime.gate.space import Space, check_room
from runtime.gate.speeds import check_singularity, check_speeds
from runtime.gate.stop import Seven, StopPlanner
from runtime.gate.windows import Windows
from runtime.kinematics import Kinematics

# A stop is looked at about every 12 mm of the longest way that its joints' turns could carry the tool, most closely at its
# beginning, where it is fast and where joints that stop one after the other can take the tool out and back again.
SAMPLE_M = 0.012
LEAST_SAMPLES, MOST_SAMPLES = 4, 12
MOST_SLOWER = 1.8  # times the duration of the per-joint stop: keeping to the path may not cost more


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
        limits, period_s = self.limits, self.period_s
        rate = rates(q, last.q, period_s)
        found = (
            check_step(q, last.q, limits)
            or check_position(q, last.q, limits)
            or check_velocity(q, dq, limits)
            or check_change(dq, last.dq, last.dq_change, limits, period_s)
            or check_change(rate, last.rate, last.rate_change, limits, period_s)
            or check_consistency(rate, dq, last.dq, limits, period_s)
        )
        if found:
            return found
        changes = rates(dq, last.dq, period_s), rates(rate, last.rate, period_s)
        if ddq is None:
            ddq = changes[0]
        kinematics = self._kinematics
        kinematics.set(q, dq)
        tcp = kinematics.tcp()
        found = check_speeds(kinematics.speeds(), self.limits, factor) or check_singularity(
            dq, kinematics.smallest_singular_value(q), self.limits
        )
        if found:
            return found
        room = self._space.room(q, tcp)
        found = check_room(room, last.slack) or self._windows.check_way(tcp)
        if found:
            return found
        one_by_one = self.planner.joints(q, dq, ddq)
        if one_by_one is None:
            return Finding(Reason.NO_STOP, Reason.PLANNER, 0.0)
        along = self.planner.path(q, dq, ddq)
        longest = MOST_SLOWER * one_by_one.duration + period_s
        if along is not None and along.duration <= longest:
            motion = Motion(q, dq, ddq, rate, *changes, along, 0.0, room.slack)
            if self._along(motion, last, factor) is None:
                return motion
        motion = Motion(q, dq, ddq, rate, *changes, one_by_one, 0.0, room.slack)
        found = self._along(motion, last, factor)
        return Finding(Reason.NO_STOP, found.reason, found.limit, found.where) if found else motion

    def _along(self, motion: Motion, last: Motion, factor: float) -> Finding | None:
        """What is wrong along a motion's stop: joints, speeds, room, and the change into it."""
        kinematics, stop, limits = self._kinematics, motion.stop, self.limits
        low, high = stop.reach()
        found = check_position(low, last.q, limits) or check_position(high, last.q, limits)
        step = motion
        for _ in range(2):  # the first rates of the stop follow on rates that were not planned with it
            before, step = step, braked(step, self.period_s)
            kinematics.set(step.q, step.dq)
            found = (
                found
                or check_change(step.rate, before.rate, before.rate_change, limits, self.period_s)
                or check_velocity(step.q, step.dq, limits)
                or check_speeds(kinematics.speeds(), limits, factor)
            )
        if found:
            return found
        turns = zip(kinematics.reach, low, high, strict=True)
        way = sum(reach * (most - least) for reach, least, most in turns)
        samples = min(MOST_SAMPLES, max(LEAST_SAMPLES, math.ceil(way / SAMPLE_M)))
        times = [stop.duration * (sample / samples) ** 2 for sample in range(1, samples + 1)]
        for time_s in [min(self._settling(motion.ddq), stop.duration), *times]:
            q, dq, _ = stop.at(time_s)
            kinematics.set(q, dq)
            found = (
                check_velocity(q, dq, limits)
                or check_speeds(kinematics.speeds(), limits, factor)
                or check_room(self._space.room(q, kinematics.tcp()), last.slack)
            )
            if found:
                return found
        return None

    def _settling(self, ddq: Seven) -> float:
        """When [s] a stop has taken the acceleration away: until then what was speeding up goes on, and is fastest there."""
        return max(abs(a) / most for a, most in zip(ddq, self.limits.jerk, strict=True))
