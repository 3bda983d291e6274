"""The camera's state machine: every phase x symptom, every limit, and no way to hang."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.realsense.machine import TRANSITIONS, CameraMachine, Order, Patience, Stream, Symptom, Target
from runtime.rows import CameraPhase

P, S = CameraPhase, Symptom
MS = 1_000_000
SECOND = 1000 * MS
PATIENCE = Patience(stall_ns=100 * MS)


class World:
    """A camera that obeys: opens, closes and frames as told; time moves in steps of 10 ms."""

    def __init__(self, patience=PATIENCE):
        self.machine = CameraMachine(patience, 0)
        self.now_ns = 0
        self.stream = Stream.CLOSED
        self.attached, self.frames, self.resettable, self.opens, self.settles, self.stops = (
            True,
            True,
            True,
            True,
            True,
            True,
        )
        self.pending = []
        self.path = [P.ABSENT]
        self.orders = []

    def step(self):
        symptoms, self.pending = self.pending, []
        if self.stream is Stream.OPEN and self.frames and self.attached:
            symptoms.append(S.FRAME)
            if self.machine.phase is P.WARMUP and self.settles:
                symptoms.append(S.SETTLED)
        order, changes = self.machine.step(self.now_ns, symptoms, self.stream)
        for change in changes:
            assert change.before == self.path[-1]
            self.path.append(change.after)
        if order is not Order.NOTHING:
            self.orders.append((self.now_ns, order))
        if order is Order.LOOK:
            self.pending.append(S.FIT if self.attached else S.GONE)
        elif order is Order.OPEN:
            assert self.stream is Stream.CLOSED
            if self.opens and self.attached:
                self.stream = Stream.OPEN
            else:
                self.pending.append(S.FAILED)
        elif order is Order.CLOSE:
            assert self.stream is Stream.OPEN
            self.stream = Stream.CLOSED if self.stops else Stream.CLOSING
        elif order is Order.RESET:
            assert self.stream is Stream.CLOSED
            if not self.resettable:
                self.pending.append(S.FAILED)
        self.now_ns += 10 * MS

    def run(self, seconds):
        for _ in range(round(seconds * 100)):
            self.step()
        return self

    def until(self, phase, seconds=120):
        for _ in range(seconds * 100):
            if self.machine.phase is phase:
                return self
            self.step()
        raise AssertionError(f"{phase.name} not reached: {self.path}")


@pytest.fixture
def world():
    return World()


@pytest.fixture
def streaming(world):
    return world.until(P.STREAMING)


@pytest.mark.parametrize(("phase", "symptom"), list(itertools.product(P, S)))
def test_every_phase_and_symptom_leads_where_the_table_says_and_nowhere_else(phase, symptom):
    machine = CameraMachine(PATIENCE, 0)
    machine.phase = phase
    _, changes = machine.step(0, [symptom], Stream.OPEN)
    expected = TRANSITIONS.get((phase, symptom))
    if expected is None:
        assert changes == []
        assert machine.phase is phase
    else:
        wanted = {Target.RESUME: P.WARMUP, Target.ESCALATE: P.RESTART}.get(expected, expected)
        assert [(change.before, change.after, change.symptom) for change in changes] == [(phase, wanted, symptom)]


def test_every_phase_can_be_left_and_every_phase_but_absent_entered():
    assert {phase for phase, _ in TRANSITIONS} == set(P)
    entered = {target for target in TRANSITIONS.values() if isinstance(target, P)} | {P.RESTART, P.RESET}
    assert entered == set(P) - {P.ABSENT}


def test_the_way_up(streaming):
    assert streaming.path == [P.ABSENT, P.STARTING, P.WARMUP, P.STREAMING]
    assert [order for _, order in streaming.orders] == [Order.LOOK, Order.OPEN]


def test_an_absent_device_is_looked_for_once_a_second_and_never_opened(world):
    world.attached = False
    world.run(10)
    assert [order for _, order in world.orders] == [Order.LOOK] * 10
    assert world.path == [P.ABSENT]


@pytest.mark.parametrize(("silent_ms", "phase"), [(100, P.STREAMING), (101, P.STALLED)])
def test_silence_is_a_stall_after_the_limit_and_not_at_it(silent_ms, phase):
    machine = CameraMachine(PATIENCE, 0)
    machine.step(0, [S.FIT, S.FRAME, S.SETTLED], Stream.OPEN)
    machine.step(silent_ms * MS, [], Stream.OPEN)
    assert machine.phase is phase


def test_warm_up_has_more_patience_with_silence_than_streaming():
    machine = CameraMachine(PATIENCE, 0)
    machine.step(0, [S.FIT, S.FRAME], Stream.OPEN)
    machine.step(SECOND, [], Stream.OPEN)
    assert machine.phase is P.WARMUP
    machine.step(SECOND + 1, [], Stream.OPEN)
    assert machine.phase is P.STALLED


def test_a_stall_in_warm_up_resumes_in_warm_up_and_one_while_streaming_in_streaming(world):
    world.settles = False
    world.until(P.WARMUP).frames = False
    world.until(P.STALLED).frames = True
    world.run(0.1)
    assert world.machine.phase is P.WARMUP
    world.settles = True
    world.until(P.STREAMING).frames = False
    world.until(P.STALLED).frames = True
    world.run(0.1)
    assert world.machine.phase is P.STREAMING


def test_a_stalled_device_that_is_gone_is_lost_without_restarts(streaming):
    streaming.attached = False
    streaming.run(1)
    assert streaming.path[-2:] == [P.STALLED, P.LOST]
    assert (streaming.machine.restarts, streaming.machine.resets) == (0, 0)
    assert streaming.stream is Stream.CLOSED


def test_replug_starts_anew(streaming):
    streaming.attached = False
    streaming.until(P.LOST)
    streaming.run(5)
    streaming.attached = True
    streaming.run(2)
    assert streaming.path[-4:] == [P.LOST, P.STARTING, P.WARMUP, P.STREAMING]


def test_escalation_is_three_restarts_with_growing_pauses_one_reset_then_lost(streaming):
    streaming.frames = False
    streaming.until(P.LOST)
    assert [phase for phase in streaming.path if phase in (P.RESTART, P.RESET)] == [P.RESTART] * 3 + [P.RESET] + [
        P.RESTART
    ] * 3
    looks = [at for at, order in streaming.orders if order is Order.OPEN]
    pauses = [later - earlier for earlier, later in itertools.pairwise(looks[1:4])]
    assert pauses[0] < pauses[1]


def test_giving_up_waits_longer_each_time_and_a_replug_ends_the_wait(streaming):
    streaming.frames = False
    gaps = []
    for _ in range(4):
        streaming.until(P.LOST, 200)
        since = streaming.now_ns
        streaming.until(P.STARTING, 200)
        gaps.append(round((streaming.now_ns - since) / SECOND))
    assert gaps == [10, 20, 40, 60]
    streaming.until(P.LOST, 200)
    streaming.attached = False
    streaming.run(2)
    streaming.attached = streaming.frames = True
    streaming.run(2)
    assert streaming.machine.phase is P.STREAMING


def test_a_device_that_refuses_the_reset_is_lost(streaming):
    streaming.frames = streaming.resettable = False
    streaming.until(P.RESET)
    streaming.until(P.LOST)
    assert streaming.path[-2:] == [P.RESET, P.LOST]


def test_a_device_that_does_not_come_back_from_its_reset_is_lost_after_the_limit(streaming):
    streaming.frames = False
    streaming.until(P.RESET).attached = False
    since = streaming.now_ns
    streaming.until(P.LOST)
    assert streaming.now_ns - since == pytest.approx(PATIENCE.reset_ns, abs=50 * MS)


def test_a_pipeline_that_does_not_stop_is_lost_and_never_opened_again(streaming):
    streaming.frames = streaming.stops = False
    streaming.until(P.LOST)
    assert streaming.path[-2:] == [P.RESTART, P.LOST]
    opened = len(streaming.orders)
    streaming.run(120)
    assert Order.OPEN not in [order for _, order in streaming.orders[opened:]]
    streaming.stream, streaming.stops, streaming.frames = Stream.CLOSED, True, True  # it stopped after all
    streaming.until(P.STREAMING)


def test_a_long_healthy_run_forgives_earlier_restarts(streaming):
    for _ in range(6):
        streaming.frames = False
        streaming.until(P.RESTART).frames = True
        streaming.until(P.STREAMING)
        streaming.run(11)
    assert streaming.machine.resets == 0
    assert streaming.machine.restarts == 6


def test_flapping_without_a_healthy_run_escalates_to_a_reset(streaming):
    for _ in range(4):
        streaming.frames = False
        streaming.until(P.STALLED)
        streaming.run(1.5).frames = True
        streaming.until(P.STREAMING)
        streaming.run(2)
    assert streaming.machine.resets == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["attached", "frames", "resettable", "opens", "settles", "stops"]),
            st.booleans(),
            st.integers(1, 400),
        ),
        max_size=12,
    )
)
def test_whatever_happened_a_good_camera_streams_again_within_bounded_time(events):
    world = World()
    for name, value, steps in events:
        setattr(world, name, value)
        for _ in range(steps):
            world.step()
        if world.machine.phase is P.STREAMING:
            assert world.stream is Stream.OPEN
    if world.stream is Stream.CLOSING:
        world.stream = Stream.CLOSED
    world.attached = world.frames = world.resettable = world.opens = world.settles = world.stops = True
    world.until(P.STREAMING, 180)
