"""A mover towards goals at given shares of the limits: what the sources put their mischief on."""

import numpy as np

from hil.fuzz.situation import Situation


class Mover:
    """Steps whose own differences are at most the given shares of velocity, acceleration and jerk limits.

    Args:
        velocity, acceleration, jerk: shares of the limits; exactly 1 sits on the limit, above 1 beyond it.
        tool: share of the tool's speed limits; infinite: not looked at.
        hard: go at the limits all the time; else come to the goal softly.
    """

    def __init__(
        self,
        s: Situation,
        *,
        velocity: float = 0.6,
        acceleration: float = 0.6,
        jerk: float = 0.6,
        tool: float = 0.8,
        hard: bool = False,
    ) -> None:
        self._s, self._tool, self._hard = s, tool, hard
        self._shares = velocity, acceleration, jerk
        self.q, self.dq, self.ddq = s.q.copy(), s.dq.copy(), s.ddq.copy()

    def catch_up(self) -> None:
        """Go on from what was really sent."""
        self.q, self.dq, self.ddq = self._s.q.copy(), self._s.dq.copy(), self._s.ddq.copy()

    def towards(self, goal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The next q, dq (7,) on the way to `goal` (7,) [rad]."""
        bounds = self._s.bounds
        velocity, acceleration, _ = self._shares
        up, down = bounds.speed_limits(self.q[None])
        away = goal - self.q
        most = acceleration * bounds.acceleration
        soft = (
            np.sqrt(most * np.abs(away)) if self._hard else np.minimum(np.sqrt(most * np.abs(away)), 3.0 * np.abs(away))
        )
        wanted = np.sign(away) * np.minimum(soft, velocity * np.where(away > 0, up[0], down[0]))
        return self.at_speed(wanted)

    def at_speed(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The next q, dq (7,) on the way to joint velocities `wanted` (7,) [rad/s]."""
        s, (_, acceleration, jerk) = self._s, self._shares
        bounds, dt = s.bounds, s.period_s
        if np.isfinite(self._tool):
            wanted = wanted * self._slower(wanted)
        most, step = acceleration * bounds.acceleration, jerk * bounds.jerk * dt
        pull = (wanted - self.dq) / (dt if self._hard else max(dt, 0.03))
        pull = np.clip(np.clip(pull, -most, most), self.ddq - step, self.ddq + step)
        dq = self.dq + pull * dt
        self.q, self.dq, self.ddq = self.q + 0.5 * (self.dq + dq) * dt, dq, pull
        return self.q, self.dq

    def _slower(self, wanted: np.ndarray) -> float:
        profile = self._s.bounds.profile
        twist = self._s.tool.jacobian(self.q) @ wanted
        limit = min(profile.tcp_speed_m_s, profile.elbow_speed_m_s)
        tool, turn = float(np.linalg.norm(twist[:3])), float(np.linalg.norm(twist[3:]))
        worst = max(tool / limit, turn / profile.tcp_rotation_rad_s, self._tool)
        return self._tool / worst
