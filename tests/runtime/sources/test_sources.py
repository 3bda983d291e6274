"""Hold, goto and jog: continuous, within limits, and braking on their own path."""

import math

import pytest

from runtime.rows_rt import SourceKind
from runtime.sources.goto import MIN_DURATION_S, GotoSource, MoveLimits, duration_s
from runtime.sources.hold import ZERO, HoldSource
from runtime.sources.jog import FRESH_NS, JogSource

DT = 0.005
START = (0.0, -0.7, 0.1, -2.3, 0.0, 1.5, 0.7)
END = (0.4, -0.3, 0.1, -2.0, -0.5, 1.9, 0.2)
V, A, J = (1.0,) * 7, (4.0,) * 7, (500.0,) * 7


def tool(q):
    """A stand-in for kinematics: a point that a joint moves on a 0.5 m circle."""
    return ((0.5 * math.cos(q[0]), 0.5 * math.sin(q[0]), 0.0),)


def limits(point_speed=10.0):
    return MoveLimits(V, A, J, tool, (point_speed,))


def drive(source, ticks, speed=1.0, now_ns=0):
    found = []
    for _ in range(ticks):
        now_ns += round(DT * 1e9)
        found.append(source.advance(now_ns, DT, speed))
    return found


def assert_smooth(targets, start, acceleration=8.0):
    """Velocities are the derivative of positions, and change no faster than `acceleration`."""
    q_before, dq_before = start, ZERO
    for q, dq in targets:
        for a, va, b, vb in zip(q_before, dq_before, q, dq, strict=True):
            assert abs((b - a) / DT - 0.5 * (va + vb)) < 0.02
            assert abs(vb - va) / DT < acceleration
        q_before, dq_before = q, dq


def test_hold_stays_where_the_last_command_was():
    hold = HoldSource()
    hold.begin(START, ZERO)
    assert drive(hold, 3) == [(START, ZERO)] * 3
    assert (hold.braked, hold.done, hold.start_pose(), hold.kind) == (True, False, None, SourceKind.HOLD)


def test_goto_arrives_exactly_and_at_rest():
    move = GotoSource(END, limits())
    move.begin(START, ZERO)
    ticks = int(duration_s(START, END, limits()) / DT) + 200
    targets = drive(move, ticks)
    assert targets[-1] == (END, ZERO)
    assert move.done
    assert move.braked
    assert move.progress == 1.0
    assert_smooth(targets, START)
    assert max(abs(v) for _, dq in targets for v in dq) <= 1.0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"velocity": (0.1,) * 7}, 1.875 * 0.5 / 0.1),
        ({"acceleration": (0.1,) * 7}, math.sqrt(10 / math.sqrt(3) * 0.5 / 0.1)),
        ({"jerk": (0.1,) * 7}, (60 * 0.5 / 0.1) ** (1 / 3)),
    ],
)
def test_a_move_takes_as_long_as_its_tightest_limit_asks(change, expected):
    given = {"velocity": (9.0,) * 7, "acceleration": (99.0,) * 7, "jerk": (9999.0,) * 7} | change
    found = duration_s(START, END, MoveLimits(**given, points=tool, point_speeds=(99.0,)))
    assert found == pytest.approx(expected, rel=1e-9)


def test_a_move_is_slow_enough_for_the_tool():
    slow = duration_s(START, END, limits(0.05))
    assert slow == pytest.approx(1.875 * 0.5 * 0.4 / 0.05, rel=1e-3)
    assert duration_s(START, START, limits()) == MIN_DURATION_S


def test_hold_brakes_an_outgoing_move_on_its_own_path():
    move = GotoSource(END, limits())
    move.begin(START, ZERO)
    before = drive(move, 130)
    q, dq = before[-1]
    assert max(map(abs, dq)) > 0.1
    hold = HoldSource(move)
    hold.begin(q, dq)
    after = drive(hold, 300)
    assert_smooth([*before, *after], START)
    assert hold.braked
    assert after[-1].dq == ZERO
    assert after[-1] == after[-2]
    stopped = after[-1].q
    share = [(b - a) / (c - a) for a, b, c in zip(START, stopped, END, strict=True) if c != a]
    assert max(share) - min(share) < 1e-9, "left its path"
    assert 0.0 < share[0] < 1.0


def test_hold_of_a_source_that_has_nothing_to_say_says_nothing():
    class Dry(GotoSource):
        def advance(self, now_ns, period_s, speed):
            return None

    hold = HoldSource(Dry(END, limits()))
    hold.begin(START, ZERO)
    assert hold.advance(0, DT, 1.0) is None
    assert not hold.braked


def jog():
    source = JogSource((-2.0,) * 7, (2.0,) * 7, (0.5,) * 7, (2.0,) * 7, (100.0,) * 7)
    source.begin((0.0,) * 7, ZERO)
    return source


def test_a_jog_follows_and_dies_with_the_hand():
    source = jog()
    source.aim((0.3,) + (0.0,) * 6, 0)
    moving = drive(source, 20)
    assert moving[-1].dq[0] > 0.1
    assert source.fresh(FRESH_NS)
    assert not source.fresh(FRESH_NS + 1)
    braking = drive(source, 200, now_ns=FRESH_NS)
    assert braking[-1].dq == ZERO
    assert source.braked
    assert_smooth([*moving, *braking], (0.0,) * 7, acceleration=2.001)


def test_a_jog_that_nobody_gave_a_velocity_stands():
    source = jog()
    assert drive(source, 5)[-1] == ((0.0,) * 7, ZERO)
    assert not source.fresh(0)


def test_a_jog_is_clipped_and_stops_before_the_limit():
    source = jog()
    targets = []
    for k in range(1600):
        source.aim((9.0, -9.0, 0.0, 0.0, 0.0, 0.0, 0.0), k * 5_000_000)
        targets.append(source.advance(k * 5_000_000, DT, 1.0))
    assert max(abs(v) for _, dq in targets for v in dq) <= 0.5
    assert 1.9 < max(q[0] for q, _ in targets) <= 2.0
    assert -2.0 <= min(q[1] for q, _ in targets) < -1.9
    assert_smooth(targets, (0.0,) * 7, acceleration=2.001)


def test_a_jog_takes_over_at_the_speed_it_finds():
    source = jog()
    source.begin((0.1,) * 7, (0.2,) + (0.0,) * 6)
    first = source.advance(0, DT, 1.0)
    assert first.dq[0] == pytest.approx(0.2, abs=0.01)
    assert first.q[0] == pytest.approx(0.1 + 0.2 * DT, abs=1e-4)
