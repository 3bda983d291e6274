"""Blending: one period towards a target that cannot be taken as it is.

The velocity aimed at is the target's own plus a correction that brings the position back; ruckig's velocity interface
goes there within acceleration and jerk. Aiming at the position itself (ruckig's position interface) was worse: a target
that moves on made it swing from one acceleration limit to the other, and a blend of one tick never ended.
"""

import math
from collections.abc import Sequence

import ruckig

from runtime.gate.joints import PLANNED
from runtime.gate.limits import Limits, velocity_bounds
from runtime.gate.stop import State, braking_input, plan

GAIN_1_S = 40.0  # of the correction near the target
SHARE = 0.5  # of the acceleration limit that corrections, and the way to a position limit, are laid out for


class Shaper:
    """Steps towards targets. Its answer is only a proposal: the gate checks it like any candidate.

    Ruckig takes a current velocity above its limits and brakes, exceeding them meanwhile; hence that check. Never its
    intermediate waypoints: those call a service on the network.
    """

    def __init__(self, limits: Limits, period_s: float) -> None:
        self._limits, self._period_s = limits, period_s
        self._ruckig, self._input = ruckig.Ruckig(7, period_s), braking_input(7)
        self._input.max_acceleration = [PLANNED * value for value in limits.acceleration]
        self._input.max_jerk = [PLANNED * value for value in limits.jerk]

    def aim(self, target: Sequence[float], target_dq: Sequence[float], q: Sequence[float]) -> list[float]:
        """Velocities (7,) [rad/s] that lead from `q` to a target moving on at `target_dq`, inside position and velocity limits."""
        limits, aimed = self._limits, []
        for j in range(7):
            share = SHARE * limits.acceleration[j]
            missing = target[j] - q[j] - target_dq[j] * self._period_s
            correction = min(GAIN_1_S * abs(missing), math.sqrt(share * abs(missing)))
            velocity = target_dq[j] + math.copysign(correction, missing)
            least, most = velocity_bounds(j, q[j], limits)
            up = min(most, math.sqrt(2.0 * share * max(0.0, limits.upper[j] - q[j])))
            down = max(least, -math.sqrt(2.0 * share * max(0.0, q[j] - limits.lower[j])))
            aimed.append(PLANNED * min(max(velocity, down), up))
        return aimed

    def step(
        self, aimed: Sequence[float], q: Sequence[float], dq: Sequence[float], ddq: Sequence[float]
    ) -> State | None:
        """Positions, velocities and accelerations (7,) one period after the last command; None where ruckig fails."""
        given = self._input
        given.current_position, given.current_velocity, given.current_acceleration = list(q), list(dq), list(ddq)
        given.target_velocity = list(aimed)
        way = plan(self._ruckig, given)
        if way is None:
            return None
        state: State = way.at_time(self._period_s)
        return state
