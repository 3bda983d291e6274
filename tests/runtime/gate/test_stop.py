import random
from dataclasses import replace

import pytest

from runtime.gate.stop import JointStop, PathStop, Rest, StopKind, StopPlanner, braking_input, plan

PERIOD_S = 0.005
Q = [0.1 * (j + 1) for j in range(7)]


@pytest.fixture
def planner(limits):
    return StopPlanner(limits, PERIOD_S)


def states(limits, count=6):
    """Positions, velocities and accelerations inside the limits; some joints at rest, some on a limit."""
    rng = random.Random(5)
    for _ in range(count):
        dq = [rng.choice((0.0, rng.uniform(-1, 1), 1.0)) * v for v in limits.velocity]
        ddq = [rng.choice((0.0, rng.uniform(-1, 1), -1.0)) * a for a in limits.acceleration]
        yield [rng.uniform(-1, 1) for _ in dq], dq, ddq


def check_stop(stop, state, limits):
    """It starts at the state, ends at rest, and stays inside acceleration and jerk in between."""
    start = stop.at(0.0)
    for got, want in zip(start, state, strict=True):
        assert got == pytest.approx(want, abs=1e-9)
    low, high = stop.reach()
    h = 1e-6
    for k in range(1, 12):
        time_s = stop.duration * k / 12
        before, now, after = stop.at(time_s - h), stop.at(time_s), stop.at(time_s + h)
        for j in range(7):
            assert (after[0][j] - before[0][j]) / (2 * h) == pytest.approx(now[1][j], abs=1e-6)
            assert (after[1][j] - before[1][j]) / (2 * h) == pytest.approx(now[2][j], abs=2e-2)
            assert abs(now[2][j]) <= limits.acceleration[j]
            assert abs(after[2][j] - before[2][j]) <= 2 * h * limits.jerk[j]
            assert low[j] - 1e-12 <= now[0][j] <= high[j] + 1e-12
    for time_s in (stop.duration, stop.duration + 1.0):
        end = stop.at(time_s)
        assert end[1] == [0.0] * 7
        assert end[2] == [0.0] * 7
        assert end[0] == stop.at(stop.duration)[0]
    assert any(stop.at(0.5 * stop.duration)[1])


def test_per_joint_stops_exist_from_everywhere_and_keep_the_limits(planner, limits):
    for state in states(limits):
        stop = planner.joints(*state)
        if not any(state[1]) and not any(state[2]):
            continue
        assert stop.kind is StopKind.JOINTS
        check_stop(stop, state, limits)


def test_per_joint_stops_are_as_fast_as_they_may(planner, limits):
    dq = [0.5 * v for v in limits.velocity]
    stop = planner.joints(Q, dq, [0.0] * 7)
    slowest = max(v / a + a / j for v, a, j in zip(dq, limits.acceleration, limits.jerk, strict=True))
    assert stop.duration == pytest.approx(slowest, rel=0.01)


@pytest.mark.parametrize("j", range(7))
def test_one_moving_joint_is_no_rest(planner, j):
    moving = [1e-3 if k == j else 0.0 for k in range(7)]
    assert planner.joints(Q, moving, [0.0] * 7).duration > 0.0
    assert planner.joints(Q, [0.0] * 7, moving).duration > 0.0


def test_rest_stays_where_it_is(planner):
    stop = planner.joints(Q, [0.0] * 7, [0.0] * 7)
    assert isinstance(stop, Rest)
    assert (stop.kind, stop.duration) == (StopKind.REST, 0.0)
    assert stop.at(3.0) == (Q, [0.0] * 7, [0.0] * 7)
    assert stop.reach() == (Q, Q)
    assert stop.start == (Q, [0.0] * 7, [0.0] * 7)


def test_path_stops_keep_to_the_straight_line_of_straight_motion(planner, limits):
    dq = [0.1, -0.2, 0.3, 0.0, 0.05, -0.1, 0.2]
    stop = planner.path(Q, dq, [0.0] * 7)
    assert stop.kind is StopKind.PATH
    check_stop(stop, (Q, dq, [0.0] * 7), limits)
    for k in range(1, 11):
        q, v, _ = stop.at(stop.duration * k / 10)
        s = (q[2] - Q[2]) / dq[2]
        assert q == pytest.approx([a + s * b for a, b in zip(Q, dq, strict=True)], abs=1e-12)
        assert v[3] == 0.0


def test_path_stops_of_bent_motion_keep_the_limits_and_the_bend(planner, limits):
    rng = random.Random(6)
    found = 0
    for _ in range(12):
        dq = [rng.uniform(-0.3, 0.3) * v for v in limits.velocity]
        ddq = [rng.uniform(-0.2, 0.2) * a for a in limits.acceleration]
        stop = planner.path(Q, dq, ddq)
        if stop is not None:
            found += 1
            check_stop(stop, (Q, dq, ddq), limits)
    assert found > 4


def test_path_stops_may_speed_up_only_until_the_acceleration_is_taken_back(planner, limits):
    dq = [0.2] * 7
    ddq = [0.3 * a for a in limits.acceleration]
    stop = planner.path(Q, dq, ddq)
    settled = max(a / j for a, j in zip(ddq, limits.jerk, strict=True)) * 2.0
    speeds = [stop.at(settled + (stop.duration - settled) * k / 50)[1][0] for k in range(51)]
    assert speeds == sorted(speeds, reverse=True)


def test_what_has_no_direction_has_no_path(planner):
    slow = 1e-3 / 7**0.5
    assert planner.path(Q, [0.999 * slow] * 7, [0.0] * 7) is None
    assert planner.path(Q, [1.001 * slow] * 7, [0.0] * 7) is not None


def test_a_path_that_bends_harder_than_the_limits_has_no_stop_along_it(planner, limits):
    dq = [0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0]
    most = limits.acceleration[0]
    for share, exists in ((0.05, True), (0.49, False), (0.7, False)):
        bend = [share * most, -share * most, 0.0, 0.0, 0.0, 0.0, 0.0]
        assert (planner.path(Q, dq, bend) is not None) is exists


def test_a_path_that_turns_far_has_no_stop_along_it(limits):
    # Weak acceleration limits make long stops: the parabola turns further while braking.
    weak = StopPlanner(replace(limits, acceleration=(1.0,) * 7, jerk=(1e4,) * 7), PERIOD_S)
    dq = [0.6, 0.6, 0.0, 0.0, 0.0, 0.0, 0.0]
    # length is about 0.5 / (1 / 0.6) = 0.3; |c| 0.3 against 0.5 |dq| turns at |c| = 1.4 |dq| / sqrt(2)
    for bend, exists in ((0.1, True), (0.45, False)):
        assert (weak.path(Q, dq, [bend, -bend, 0.0, 0.0, 0.0, 0.0, 0.0]) is not None) is exists


def test_a_state_that_accelerates_more_than_may_be_taken_back_has_no_path_stop(planner, limits):
    dq = [0.4 * v for v in limits.velocity]
    scale = min(a / v for a, v in zip(limits.acceleration, dq, strict=True))
    assert planner.path(Q, dq, [0.99 * scale * v for v in dq]) is not None
    assert planner.path(Q, dq, [1.01 * scale * v for v in dq]) is None
    assert planner.path(Q, dq, [-1.01 * scale * v for v in dq]) is None


def test_what_the_planner_refuses_is_no_stop(planner):
    huge = [1e300] * 7
    assert planner.joints(huge, huge, huge) is None
    assert planner.path(huge, [1e-3, *huge[1:]], huge) is None


def test_stops_remember_where_they_began(planner):
    state = ([0.0] * 7, [0.1] * 7, [0.2] * 7)
    assert planner.path(*state).start == state
    assert planner.joints(*state).start == state
    assert isinstance(planner.path(*state), PathStop)
    assert isinstance(planner.joints(*state), JointStop)


def test_a_joint_that_swings_back_reaches_its_turning_point(planner, limits):
    a, j = limits.acceleration[0], limits.jerk[0]
    v = 0.2 * a * a / (2.0 * j)
    stop = planner.joints([0.0] * 7, [v, -v] + [0.0] * 5, [-a, a] + [0.0] * 5)
    low, high = stop.reach()
    peak = max(stop.at(stop.duration * k / 100)[0][0] for k in range(101))
    end = stop.at(stop.duration)[0][0]
    assert end < 0.0 < peak <= high[0]
    assert low[0] == pytest.approx(end)
    assert low[1] <= -peak
    assert high[0] == pytest.approx(v * a / (0.999 * j))


def test_plan_and_request_are_for_coming_to_rest():
    import ruckig

    given = braking_input(1)
    given.max_acceleration, given.max_jerk, given.current_acceleration = [4.0], [1e4], [0.0]
    way = plan(ruckig.Ruckig(1, PERIOD_S), given)
    assert way.at_time(way.duration)[1] == pytest.approx([0.0])
    assert way.at_time(way.duration)[0][0] == pytest.approx(1.0 / 8.0, rel=1e-2)
    given.max_acceleration = [-1.0]
    assert plan(ruckig.Ruckig(1, PERIOD_S), given) is None


def test_a_slow_bent_path_whose_jerk_does_not_fit_has_no_stop_along_it(planner):
    # Found by search: the first estimate allows it, the bound on the derivative of q'' does not.
    dq = [0.0, 0.0, -0.0019829025868309284, 0.005837124365750048, 0.0, 0.0, 0.0]
    bend = [-0.0076834882, 0.24348530496, 0.52327077285, 0.17775789997, -3.6975695e-05, 0.02134147236, 0.00950698624]
    start = 263.87
    assert planner.path(Q, dq, [c + v * start for c, v in zip(bend, dq, strict=True)]) is None
    assert planner.path(Q, dq, [v * start for v in dq]) is not None


def test_where_ruckig_fails_there_is_no_stop(planner, monkeypatch):
    monkeypatch.setattr("runtime.gate.stop.plan", lambda planner, given: None)
    assert planner.path(Q, [0.1] * 7, [0.0] * 7) is None
    assert planner.joints(Q, [0.1] * 7, [0.0] * 7) is None
