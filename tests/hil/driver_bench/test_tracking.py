"""Lag and roughness are found as they were made; the reference begins and ends at rest."""

import numpy as np
import pytest

from hil.driver_bench.reference import Reference
from hil.driver_bench.tracking import track

SINE = Reference(amplitude=0.06, frequency_hz=0.7, seconds=5.0)
TIMES = np.arange(0.0, 5.5, 0.001)


def _motion(lag_s, gain=1.0):
    values = gain * np.array([SINE.value(t - lag_s) for t in TIMES])
    return values, np.gradient(values, TIMES)


@pytest.mark.parametrize("lag_s", [0.0, 0.0035, 0.0147, 0.1, 0.4])
def test_a_known_lag_is_found_to_a_tenth_of_a_millisecond(lag_s):
    found = track(TIMES, *_motion(lag_s), SINE)
    assert found.lag_s == pytest.approx(lag_s, abs=1.1e-4)
    assert found.gain == pytest.approx(1.0, abs=1e-3)
    assert found.rough == pytest.approx(1.0, abs=0.02)


def test_states_that_were_missed_and_sensor_noise_do_not_move_the_lag():
    generator = np.random.default_rng(3)
    values, rates = _motion(0.012)
    kept = np.sort(generator.choice(len(TIMES), len(TIMES) // 2, replace=False))
    noisy = values[kept] + generator.normal(0.0, 1e-4, len(kept))
    assert track(TIMES[kept], noisy, rates[kept], SINE).lag_s == pytest.approx(0.012, abs=5e-4)


def test_an_arm_that_moves_too_little_is_shown_by_its_gain():
    assert track(TIMES, *_motion(0.01, gain=0.8), SINE).gain == pytest.approx(0.8, abs=1e-3)


def test_steps_make_a_motion_rough():
    held = np.array([SINE.value(t) for t in np.floor(TIMES * 20) / 20])
    assert track(TIMES, held, np.gradient(held, TIMES), SINE).rough > 5.0


def test_an_arm_that_did_not_move_is_no_perfect_follower():
    still = np.zeros_like(TIMES)
    found = track(TIMES, still, still, SINE)
    assert abs(found.gain) < 1e-9
    assert found.residual > 0.02


def test_too_few_samples_are_refused_and_counted():
    with pytest.raises(ValueError, match=r"^0 samples between 1.6 s and 4 s"):
        track(TIMES[:100], *(column[:100] for column in _motion(0.0)), SINE)


def test_the_reference_begins_and_ends_at_rest_and_its_rate_is_its_slope():
    step = 1e-6
    for t in np.linspace(-0.5, 5.5, 301):
        slope = (SINE.value(t + step) - SINE.value(t - step)) / (2 * step)
        assert SINE.rate(t) == pytest.approx(slope, abs=1e-6)
    for t in (-1.0, 0.0, 5.0, 6.0):
        assert SINE.value(t) == 0.0
        assert SINE.rate(t) == 0.0
    peak = max(abs(SINE.value(t)) for t in TIMES)
    assert peak == pytest.approx(SINE.amplitude, rel=1e-3)
