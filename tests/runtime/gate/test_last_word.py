from math import inf, nextafter

import pytest

from runtime.gate.last_word import cheap_subset
from runtime.gate.reasons import Reason

ZERO = [0.0] * 7


def change(values, j, value):
    return [value if k == j else one for k, one in enumerate(values)]


def test_a_good_row_passes(limits, home):
    assert cheap_subset(home, ZERO, home, 0, limits) is None


@pytest.mark.parametrize(("age_ns", "ok"), [(0, True), (50_000_000, True), (50_000_001, False), (-1, False)])
def test_age_at_its_limits(limits, home, age_ns, ok):
    found = cheap_subset(home, ZERO, home, age_ns, limits)
    assert found == (None if ok else (Reason.TOO_OLD, age_ns / 1e6, 50.0, 0))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None])
def test_numbers(limits, home, bad):
    for j in range(7):
        assert cheap_subset(change(home, j, bad), ZERO, home, 0, limits).where == j + 1
        assert cheap_subset(home, change(ZERO, j, bad), home, 0, limits).where == j + 1
    assert cheap_subset(home[:6], ZERO, home, 0, limits).reason is Reason.SHAPE_WRONG


@pytest.mark.parametrize("j", range(7))
def test_a_soft_jump_is_the_gates_business_a_hard_one_is_refused(limits, home, j):
    soft = change(home, j, home[j] + 1.5 * limits.jump[j])
    assert cheap_subset(soft, ZERO, home, 0, limits) is None
    hard = change(home, j, home[j] + 1.01 * limits.jump_stop)
    assert cheap_subset(hard, ZERO, home, 0, limits).reason is Reason.JUMP_HARD


@pytest.mark.parametrize("j", range(7))
def test_position_and_velocity(limits, home, j):
    edge = change(home, j, limits.upper[j])
    beyond = change(home, j, nextafter(limits.upper[j], inf))
    assert cheap_subset(edge, ZERO, edge, 0, limits) is None
    assert cheap_subset(beyond, ZERO, edge, 0, limits).reason is Reason.POSITION
    fast = change(ZERO, j, nextafter(limits.velocity[j], inf))
    assert cheap_subset(home, fast, home, 0, limits).reason is Reason.VELOCITY
