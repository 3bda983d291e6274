"""The motion that the streaming benches ask for: a sine that swells from rest and fades to rest. Pure functions of time."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Reference:
    """x(t) = A s(t) sin(2 pi f t), where s rises from 0 to 1 within `ramp_s` and falls back before `seconds`.

    Args:
        amplitude: A [rad or m].
        frequency_hz: f.
        seconds: when the motion is over and at rest.
        ramp_s: how long s takes; quintic, so that acceleration begins and ends at zero.
    """

    amplitude: float
    frequency_hz: float
    seconds: float
    ramp_s: float = 1.0

    def value(self, t_s: float) -> float:
        """x(t); 0 before and after the motion."""
        return self.amplitude * self._swell(t_s)[0] * math.sin(self._omega * t_s)

    def rate(self, t_s: float) -> float:
        """dx/dt."""
        swell, change = self._swell(t_s)
        angle = self._omega * t_s
        return self.amplitude * (change * math.sin(angle) + swell * self._omega * math.cos(angle))

    @property
    def steady(self) -> tuple[float, float]:
        """From when to when [s] the sine has its full amplitude."""
        return self.ramp_s, self.seconds - self.ramp_s

    @property
    def _omega(self) -> float:
        return 2.0 * math.pi * self.frequency_hz

    def _swell(self, t_s: float) -> tuple[float, float]:
        """s and ds/dt."""
        from_start, to_end = t_s / self.ramp_s, (self.seconds - t_s) / self.ramp_s
        u = min(from_start, to_end)
        if u <= 0.0:
            return 0.0, 0.0
        if u >= 1.0:
            return 1.0, 0.0
        slope = 30.0 * u * u * (1.0 - u) ** 2 / self.ramp_s
        return u**3 * (10.0 - 15.0 * u + 6.0 * u * u), slope if from_start < to_end else -slope
