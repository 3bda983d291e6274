"""A ramp keeps its limits, reaches its aim exactly and does not overshoot."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.sources.base import PathSpeed, Ramp

RATE, JERK = 2.5, 20.0


@pytest.mark.parametrize("dt", [0.001, 0.005, 0.02])
@pytest.mark.parametrize("aim", [1.0, 0.3, 0.05, -0.7])
@pytest.mark.parametrize("jerk", [JERK, 1500.0])
def test_a_ramp_reaches_its_aim_within_its_limits(dt, aim, jerk):
    ramp = Ramp(RATE, jerk)
    velocities = [0.0]
    for goal in (aim, 0.0):
        for _ in range(int(1.5 / dt)):
            velocities.append(ramp.step(goal, dt))
        assert velocities[-1] == goal
        assert ramp.slope == 0.0
    slopes = [(b - a) / dt for a, b in itertools.pairwise(velocities)]
    jerks = [(b - a) / dt for a, b in itertools.pairwise(slopes)]
    assert max(map(abs, slopes)) <= RATE * (1 + 1e-9)
    assert max(map(abs, jerks)) <= max(jerk * 1.1, RATE / dt * 1.001)  # the last step snaps
    assert min(velocities) >= min(0.0, aim)
    assert max(velocities) <= max(0.0, aim)


def test_position_is_the_integral_of_velocity():
    ramp = Ramp(RATE, JERK, position=3.0)
    total, before = 3.0, 0.0
    for _ in range(300):
        after = ramp.step(1.0, 0.005)
        total += 0.5 * (before + after) * 0.005
        before = after
    assert ramp.position == pytest.approx(total, abs=1e-12)


def test_a_ramp_takes_as_long_as_its_limits_ask():
    """From rest to v: v / rate + rate / jerk."""
    ramp, steps = Ramp(RATE, JERK), 0
    while ramp.step(1.0, 0.001) < 1.0:
        steps += 1
    assert steps * 0.001 == pytest.approx(1.0 / RATE + RATE / JERK, abs=0.01)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.05, 0.5, 1.0]), st.integers(1, 60)), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_path_time_never_runs_backwards_whatever_is_asked(asked):
    path = PathSpeed()
    for aim, ticks in asked:
        for _ in range(ticks):
            before, velocity = path.position, path.velocity
            path.step(aim, 0.005)
            assert path.position >= before
            assert 0.0 <= path.velocity <= 1.0 + 0.2  # a lower aim asked in full acceleration is passed by a^2 / 2j
            assert abs(path.velocity - velocity) <= RATE * 0.005 + 1e-12
    for _ in range(400):
        path.step(0.0, 0.005)
    assert path.at_rest
