from dataclasses import replace
from math import inf, nan, nextafter

import pytest

from runtime.gate.joints import check_change, check_consistency, check_position, check_step, check_velocity
from runtime.gate.limits import velocity_bounds
from runtime.gate.reasons import Reason

JOINTS = range(7)
ZERO = [0.0] * 7


def one(j, value, rest=0.0):
    return [value if k == j else rest for k in JOINTS]


def middle(limits):
    return [0.5 * (low + high) for low, high in zip(limits.lower, limits.upper, strict=True)]


@pytest.mark.parametrize("j", JOINTS)
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_steps_are_blended_above_one_limit_and_stop_above_the_other(limits, j, sign):
    assert check_step(one(j, sign * limits.jump[j]), ZERO, limits) is None
    above = nextafter(limits.jump[j], inf)
    assert check_step(one(j, sign * above), ZERO, limits) == (Reason.JUMP, above, limits.jump[j], j + 1)
    assert check_step(one(j, sign * limits.jump_stop), ZERO, limits).reason == Reason.JUMP
    hard = nextafter(limits.jump_stop, inf)
    assert check_step(one(j, sign * hard), ZERO, limits) == (Reason.JUMP_HARD, hard, limits.jump_stop, j + 1)
    assert check_step(one(j, nan), ZERO, limits).reason == Reason.JUMP_HARD


def test_a_hard_jump_outweighs_a_soft_one_and_the_first_soft_one_is_told(limits):
    both = one(0, 1.5 * limits.jump[0])
    both[6] = 1.0
    assert check_step(both, ZERO, limits).where == 7
    both[6] = 1.5 * limits.jump[6]
    assert check_step(both, ZERO, limits).where == 1


def test_steps_count_from_the_last_command(limits):
    assert check_step([3.0] * 7, [3.0] * 7, limits) is None


@pytest.mark.parametrize("j", JOINTS)
def test_the_position_box_at_its_edges(limits, j):
    inside = middle(limits)
    for edge, outward in ((limits.lower[j], -inf), (limits.upper[j], inf)):
        at, beyond = list(inside), list(inside)
        at[j], beyond[j] = edge, nextafter(edge, outward)
        assert check_position(at, inside, limits) is None
        assert check_position(beyond, inside, limits) == (Reason.POSITION, beyond[j], edge, j + 1)
    assert check_position(one(j, nan, 0.0), inside, limits) is not None


@pytest.mark.parametrize("j", JOINTS)
def test_a_joint_outside_may_come_back_but_not_go_on(limits, j):
    for edge, outward in ((limits.lower[j], -1.0), (limits.upper[j], 1.0)):
        last = middle(limits)
        last[j] = edge + outward * 0.02
        back, on = list(last), list(last)
        back[j] -= outward * 0.001
        on[j] += outward * 1e-6
        assert check_position(last, last, limits) is None
        assert check_position(back, last, limits) is None
        assert check_position(on, last, limits) == (Reason.POSITION, on[j], last[j], j + 1)


@pytest.mark.parametrize("j", JOINTS)
@pytest.mark.parametrize("near", [True, False])
def test_velocity_at_the_bound_of_its_position(limits, j, near):
    for edge, inward, up in ((limits.robot_upper[j], -1.0, True), (limits.robot_lower[j], 1.0, False)):
        q = middle(limits)
        if near:
            q[j] = edge + inward * 0.03
        bound = velocity_bounds(j, q[j], limits)[up]
        assert abs(bound) < limits.velocity[j] if near else abs(bound) == limits.velocity[j]
        for share, ok in ((1 - 1e-9, True), (1 + 1e-9, False)):
            found = check_velocity(q, one(j, share * bound), limits)
            assert found == (None if ok else (Reason.VELOCITY, share * bound, bound, j + 1))
    assert check_velocity(middle(limits), one(j, limits.velocity[j]), limits) is None
    assert check_velocity(middle(limits), one(j, nan), limits) is not None


@pytest.mark.parametrize("j", JOINTS)
def test_at_the_end_of_its_range_a_joint_may_stand_or_come_back(limits, j):
    for edge, outward in ((limits.robot_upper[j], 1.0), (limits.robot_lower[j], -1.0)):
        q = middle(limits)
        q[j] = edge + outward * 0.01
        assert check_velocity(q, ZERO, limits) is None
        assert check_velocity(q, one(j, -outward * 0.5 * limits.velocity[j]), limits) is None
        assert check_velocity(q, one(j, outward * 1e-9), limits) == (Reason.VELOCITY, outward * 1e-9, 0.0, j + 1)


# Powers of two: every product below is exact.
PERIOD_S = 2.0**-8


@pytest.mark.parametrize("j", JOINTS)
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_acceleration_at_its_limit(limits, j, sign):
    limits = replace(limits, acceleration=(4.0,) * 7, jerk=(1e9,) * 7)
    last = one(j, 0.5)
    for share, ok in ((1.0, True), (1.0 + 2.0**-20, False)):
        velocity = one(j, 0.5 + sign * share * 4.0 * PERIOD_S)
        found = check_change(velocity, last, ZERO, limits, PERIOD_S)
        assert found == (None if ok else (Reason.ACCELERATION, sign * share * 4.0, 4.0, j + 1))
    assert check_change(one(j, nan), last, ZERO, limits, PERIOD_S).reason == Reason.ACCELERATION


@pytest.mark.parametrize("j", JOINTS)
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_jerk_at_its_limit(limits, j, sign):
    limits = replace(limits, acceleration=(1e9,) * 7, jerk=(256.0,) * 7)
    before = one(j, 2.0)
    for share, ok in ((1.0, True), (1.0 + 2.0**-20, False)):
        change = 2.0 + sign * share * 256.0 * PERIOD_S
        found = check_change(one(j, change * PERIOD_S), ZERO, before, limits, PERIOD_S)
        assert found == (None if ok else (Reason.JERK, sign * share * 256.0, 256.0, j + 1))
    assert check_change(ZERO, ZERO, one(j, nan), limits, PERIOD_S).reason == Reason.JERK


@pytest.mark.parametrize("j", JOINTS)
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_positions_and_velocities_must_agree(limits, j, sign):
    limits = replace(limits, acceleration=(4.0,) * 7)
    bound = 0.25 * 4.0 * PERIOD_S + 1e-9
    dq, last_dq = one(j, 0.5), one(j, 0.25)
    for off, ok in ((bound - 1e-12, True), (bound + 1e-12, False)):
        found = check_consistency(one(j, 0.375 + sign * off), dq, last_dq, limits, PERIOD_S)
        assert (found is None) is ok
        if found:
            assert (found.reason, found.where) == (Reason.INCONSISTENT, j + 1)
            assert (found.value, found.limit) == (pytest.approx(off), bound)
    assert check_consistency(one(j, nan), dq, last_dq, limits, PERIOD_S) is not None
