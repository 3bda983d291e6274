import math
from dataclasses import replace

import pytest

from runtime.gate.joints import PLANNED
from runtime.gate.limits import velocity_bounds
from runtime.gate.shape import GAIN_1_S, SHARE, Shaper

PERIOD_S, ZERO = 0.005, [0.0] * 7
MIDDLE = [0.0, 0.0, 0.0, -1.5, 0.0, 2.5, 0.0]


def one(j, value, rest=ZERO):
    return [value if k == j else rest[k] for k in range(7)]


def test_constants():
    assert (GAIN_1_S, SHARE, PLANNED) == (40.0, 0.5, 0.999)


@pytest.mark.parametrize("j", range(7))
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_aim_is_the_targets_velocity_and_a_correction(limits, j, sign):
    shaper = Shaper(limits, PERIOD_S)
    share = 0.5 * limits.acceleration[j]
    dq = 0.125
    for missing in (1e-4, 0.001, 0.1):
        target = one(j, MIDDLE[j] + dq * PERIOD_S + sign * missing, MIDDLE)
        aimed = shaper.aim(target, one(j, dq), MIDDLE)
        correction = sign * min(40.0 * missing, math.sqrt(share * missing))
        bound = limits.velocity[j]
        assert aimed[j] == pytest.approx(0.999 * max(-bound, min(bound, dq + correction)))
        assert aimed[:j] == [0.0] * j
        assert aimed[j + 1 :] == [0.0] * (6 - j)


@pytest.mark.parametrize("j", range(7))
def test_the_aim_stays_inside_velocity_limits_and_leaves_room_to_brake(limits, j):
    shaper = Shaper(limits, PERIOD_S)
    for edge, sign in ((limits.upper[j], 1.0), (limits.lower[j], -1.0)):
        assert shaper.aim(one(j, sign * 99.0, MIDDLE), ZERO, MIDDLE)[j] == pytest.approx(
            sign * 0.999 * limits.velocity[j]
        )
        for room in (0.01, 0.05):
            q = one(j, edge - sign * room, MIDDLE)
            lawful = abs(velocity_bounds(j, q[j], limits)[sign > 0.0])
            wanted = min(lawful, math.sqrt(limits.acceleration[j] * room))
            assert shaper.aim(one(j, sign * 99.0, q), ZERO, q)[j] == pytest.approx(sign * 0.999 * wanted)
        outside = one(j, edge + sign * 0.02, MIDDLE)
        assert shaper.aim(one(j, sign * 99.0, outside), ZERO, outside)[j] == 0.0


@pytest.mark.parametrize("j", range(7))
def test_the_position_dependent_limit_binds_the_aim(limits, j):
    strong = replace(limits, acceleration=(1e3,) * 7, lower=limits.robot_lower, upper=limits.robot_upper)
    shaper = Shaper(strong, PERIOD_S)
    for edge, sign in ((limits.robot_upper[j], 1.0), (limits.robot_lower[j], -1.0)):
        q = one(j, edge - sign * 0.03, MIDDLE)
        bound = velocity_bounds(j, q[j], strong)[sign > 0.0]
        assert abs(bound) < strong.velocity[j]
        assert shaper.aim(one(j, sign * 99.0, q), ZERO, q)[j] == pytest.approx(0.999 * bound)


def test_a_step_goes_towards_the_aim_within_acceleration_and_jerk(limits):
    shaper = Shaper(limits, PERIOD_S)
    q, dq, ddq = shaper.step([0.5] * 7, MIDDLE, ZERO, ZERO)
    for j in range(7):
        assert 0.0 < dq[j] < limits.acceleration[j] * PERIOD_S
        assert 0.0 < ddq[j] <= min(limits.acceleration[j], limits.jerk[j] * PERIOD_S)
        assert 0.0 < q[j] - MIDDLE[j] < 0.5 * limits.acceleration[j] * PERIOD_S**2
    again = shaper.step([0.5] * 7, q, dq, ddq)
    assert all(b > a for a, b in zip(dq, again[1], strict=True))


def test_a_step_from_the_aim_keeps_going(limits):
    q, dq, ddq = Shaper(limits, PERIOD_S).step([0.25] * 7, MIDDLE, [0.25] * 7, ZERO)
    assert dq == pytest.approx([0.25] * 7)
    assert ddq == pytest.approx(ZERO)
    assert q == pytest.approx([a + 0.25 * PERIOD_S for a in MIDDLE])


def test_where_ruckig_finds_no_way_there_is_no_step(limits):
    assert Shaper(limits, PERIOD_S).step([float("nan")] * 7, MIDDLE, ZERO, ZERO) is None
