"""Checks 4 and 5, per joint: step against the last command, position, velocity, acceleration, jerk, consistency.

Everything is measured against the last command, never the measurement. Comparisons are written so that NaN fails them.
Limits are exact here; what the gate plans itself it plans a little inside them (`PLANNED`).
"""

from collections.abc import Sequence

from runtime.gate.finding import Finding
from runtime.gate.limits import Limits, velocity_bounds
from runtime.gate.reasons import Reason

PLANNED = 0.999  # share of the limits that the gate's own trajectories use: rounding must not fail the re-check
ROUNDING = 1e-9  # [rad/s] of differences between commands
JOINTS = range(7)


def check_step(q: Sequence[float], last: Sequence[float], limits: Limits) -> Finding | None:
    """The step from the last command: above `jump` it is blended, above `jump_stop` it stops the arm."""
    found = None
    for j in JOINTS:
        step = abs(q[j] - last[j])
        if not step <= limits.jump_stop:
            return Finding(Reason.JUMP_HARD, step, limits.jump_stop, j + 1)
        if found is None and step > limits.jump[j]:
            found = Finding(Reason.JUMP, step, limits.jump[j], j + 1)
    return found


def check_position(q: Sequence[float], last: Sequence[float], limits: Limits) -> Finding | None:
    """Inside the box; a joint that stands outside (moved there by hand) may only come back."""
    for j in JOINTS:
        low, high = min(limits.lower[j], last[j]), max(limits.upper[j], last[j])
        if not low <= q[j] <= high:
            return Finding(Reason.POSITION, q[j], low if q[j] < low else high, j + 1)
    return None


def check_velocity(q: Sequence[float], dq: Sequence[float], limits: Limits) -> Finding | None:
    """The FR3's position-dependent limits at the commanded position."""
    for j, (x, v) in enumerate(zip(q, dq, strict=True)):
        # v <= -offset + sqrt(2 deceleration room), without the root: this runs at every sample of every stop.
        room = limits.robot_upper[j] - x if v > 0.0 else x - limits.robot_lower[j]
        needed = abs(v) + limits.velocity_offset[j]
        if not (v == 0.0 or (abs(v) <= limits.velocity[j] and needed * needed <= 2.0 * limits.deceleration[j] * room)):
            least, most = velocity_bounds(j, x, limits)
            return Finding(Reason.VELOCITY, v, most if v > 0.0 else least, j + 1)
    return None


def check_change(
    velocity: Sequence[float],
    last: Sequence[float],
    last_change: Sequence[float],
    limits: Limits,
    period_s: float,
) -> Finding | None:
    """Acceleration and jerk as differences between commands: what a recording of them would show.

    Asked twice: of the velocities that are sent, and of the positions' own rate, because the arm follows both.
    """
    for j in JOINTS:
        change = (velocity[j] - last[j]) / period_s
        if not abs(change) <= limits.acceleration[j]:
            return Finding(Reason.ACCELERATION, change, limits.acceleration[j], j + 1)
        jerk = (change - last_change[j]) / period_s
        if not abs(jerk) <= limits.jerk[j]:
            return Finding(Reason.JERK, jerk, limits.jerk[j], j + 1)
    return None


def check_consistency(
    rate: Sequence[float], dq: Sequence[float], last_dq: Sequence[float], limits: Limits, period_s: float
) -> Finding | None:
    """Velocities must be the derivative of positions: drivers feed both to the arm.

    `rate` is the positions' own, over the period. With an acceleration of at most A it differs from the mean of the
    velocities at both ends by at most `A period / 4` (a triangle of velocity).
    """
    for j in JOINTS:
        off = abs(rate[j] - 0.5 * (dq[j] + last_dq[j]))
        limit = 0.25 * limits.acceleration[j] * period_s + ROUNDING
        if not off <= limit:
            return Finding(Reason.INCONSISTENT, off, limit, j + 1)
    return None
