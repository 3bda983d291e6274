"""Check 1: may anything be commanded at all? Armed, dead-man's switch held, robot and driver well, state fresh."""

import math

from runtime.gate.finding import Finding
from runtime.gate.reasons import Reason
from runtime.gate.types import ArmFacts
from runtime.rows import DriverState, RobotMode

MAX_STATE_AGE_NS = 150_000_000  # of the robot's state; libfranka itself gives up after 1 s
MAX_AHEAD_NS = 10_000_000  # a row may be written while the tick that reads it is under way; more is another clock
# The robot's mode counts, not its error flags: Reflex was seen latched with clear flags.
WORKING_MODES = (int(RobotMode.IDLE), int(RobotMode.MOVE))


def check_permission(now_ns: int, facts: ArmFacts | None, armed: bool, deadman_ok: bool) -> Finding | None:
    """Whether a command may be considered at `now_ns`."""
    if not armed:
        return Finding(Reason.NOT_ARMED, 0.0, 1.0)
    if not deadman_ok:
        return Finding(Reason.DEADMAN, 0.0, 1.0)
    if facts is None:
        return Finding(Reason.NO_STATE, 0.0, 1.0)
    age_ns = now_ns - facts.stamp_ns
    if not -MAX_AHEAD_NS <= age_ns <= MAX_STATE_AGE_NS:
        return Finding(Reason.STATE_OLD, age_ns / 1e6, MAX_STATE_AGE_NS / 1e6)
    if facts.driver_state != DriverState.OK:
        return Finding(Reason.DRIVER_NOT_OK, facts.driver_state, DriverState.OK)
    if facts.robot_mode not in WORKING_MODES:
        return Finding(Reason.ROBOT_MODE, facts.robot_mode, RobotMode.MOVE)
    for values in (facts.q, facts.wrench_base):
        for index, value in enumerate(values, start=1):
            if not math.isfinite(value):
                return Finding(Reason.STATE_NOT_FINITE, value, 0.0, index)
    return None
