"""How far a motion is behind what was asked, and how smooth it is. Pure functions of recorded samples."""

from dataclasses import dataclass

import numpy as np

from hil.driver_bench.reference import Reference

LONGEST_LAG_S = 0.6
_COARSE_S = 0.002
_FINE_S = 0.0001


@dataclass(frozen=True)
class Tracking:
    """What one streamed motion was like; times are robot time.

    Attributes:
        lag_s: shift of the reference that fits the motion best (least squares).
        residual: root mean square of what is left after that shift, in the motion's unit.
        gain: amplitude of the motion over that asked for.
        rough: root mean square acceleration over the reference's own: 1 is perfectly smooth, noise and steps add.
        samples: how many robot states it was computed from.
    """

    lag_s: float
    residual: float
    gain: float
    rough: float
    samples: int


def track(times_s: np.ndarray, values: np.ndarray, rates: np.ndarray, reference: Reference) -> Tracking:
    """Compare a motion with its reference where that has its full amplitude.

    Args:
        times_s: (n,) robot time since the reference's start [s], strictly increasing.
        values: (n,) what moved, from where it started [rad or m].
        rates: (n,) its measured velocity.

    Raises:
        ValueError: fewer than 100 samples lie in the steady part.
    """
    begin, end = reference.steady
    inside = (times_s >= begin + LONGEST_LAG_S) & (times_s <= end)
    if np.count_nonzero(inside) < 100:
        raise ValueError(
            f"{np.count_nonzero(inside)} samples between {begin + LONGEST_LAG_S:g} s and {end:g} s: at least 100"
        )
    t, v = times_s[inside], values[inside]

    def misfit(lag_s: float) -> float:
        return float(np.mean((v - _values(reference, t - lag_s)) ** 2))

    coarse = np.arange(-0.05, LONGEST_LAG_S, _COARSE_S)
    best = float(coarse[int(np.argmin([misfit(lag) for lag in coarse]))])
    fine = np.arange(best - _COARSE_S, best + _COARSE_S, _FINE_S)
    errors = [misfit(lag) for lag in fine]
    lag = float(fine[int(np.argmin(errors))])
    model = _values(reference, t - lag)
    gain = float(v @ model / (model @ model))
    ideal = np.array([reference.rate(one - lag) for one in t])
    rough = _rms_acceleration(t, rates[inside]) / _rms_acceleration(t, ideal)
    return Tracking(lag, float(np.sqrt(min(errors))), gain, rough, len(t))


def _values(reference: Reference, times_s: np.ndarray) -> np.ndarray:
    # Inside the steady part the envelope is 1, but the shifted times may reach into the ramp: evaluate in full.
    return np.array([reference.value(t) for t in times_s])


def _rms_acceleration(times_s: np.ndarray, rates: np.ndarray) -> float:
    """From slopes over 5 samples (about 5 ms: shorter than any command period)."""
    span = 5
    slope = (rates[span:] - rates[:-span]) / (times_s[span:] - times_s[:-span])
    return float(np.sqrt(np.mean(slope**2)))
