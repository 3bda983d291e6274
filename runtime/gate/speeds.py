"""Check 6: how fast tool and elbow move, how fast the tool turns, and slower joints near singularities."""

from collections.abc import Sequence

from runtime.gate.finding import Finding
from runtime.gate.limits import Limits
from runtime.gate.reasons import Reason

CRAWL = 0.1  # share of the joint velocity limits that is left at a singularity: the way out must stay open


def check_speeds(speeds: tuple[float, float, float], limits: Limits, factor: float) -> Finding | None:
    """`speeds`: tool [m/s], elbow [m/s], tool [rad/s]. `factor` (0 to 1] scales the limits."""
    tool, elbow, rotation = speeds
    if not tool <= factor * limits.tcp_speed:
        return Finding(Reason.TCP_SPEED, tool, factor * limits.tcp_speed)
    if not elbow <= factor * limits.elbow_speed:
        return Finding(Reason.ELBOW_SPEED, elbow, factor * limits.elbow_speed)
    if not rotation <= factor * limits.tcp_rotation:
        return Finding(Reason.TCP_ROTATION, rotation, factor * limits.tcp_rotation)
    return None


def check_singularity(dq: Sequence[float], smallest: float, limits: Limits) -> Finding | None:
    """Joint velocity limits shrink with the Jacobian's smallest singular value, once it is below the profile's."""
    if smallest >= limits.min_singular_value:
        return None
    share = max(CRAWL, smallest / limits.min_singular_value)
    for j, velocity in enumerate(dq):
        if not abs(velocity) <= share * limits.velocity[j]:
            return Finding(Reason.SINGULARITY, abs(velocity), share * limits.velocity[j], j + 1)
    return None
