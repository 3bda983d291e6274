"""The cheap subset of the checks, for whoever writes to the robot: its last word, whatever the gate did."""

from collections.abc import Sequence

from runtime.gate.finding import Finding
from runtime.gate.joints import check_position, check_step, check_velocity
from runtime.gate.limits import Limits
from runtime.gate.reasons import Reason
from runtime.gate.schema import JOINTS, check_numbers


def cheap_subset(
    q: Sequence[float], dq: Sequence[float], last_q: Sequence[float], age_ns: int, limits: Limits
) -> Finding | None:
    """Shape, finite, age, step, position, velocity of a command row.

    Args:
        q, dq: (7,) Python floats [rad, rad/s].
        last_q: (7,) the last command that was followed, or where the robot's own set-point is.
        age_ns: of the row.
        limits: of robot and profile.
    """
    found = check_numbers(q, JOINTS) or check_numbers(dq, JOINTS)
    if found:
        return found
    if not 0 <= age_ns <= limits.max_age_ns:
        return Finding(Reason.TOO_OLD, age_ns / 1e6, limits.max_age_ns / 1e6)
    found = check_step(q, last_q, limits)
    if found and found.reason is Reason.JUMP_HARD:
        return found
    return check_position(q, last_q, limits) or check_velocity(q, dq, limits)
