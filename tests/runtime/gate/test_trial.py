"""What makes a command impossible beside its own limits: the stop behind it."""

import pytest

from runtime.gate.finding import Finding
from runtime.gate.motion import braked, rates, resting
from runtime.gate.reasons import Reason
from runtime.gate.stop import StopKind

PERIOD_S, ZERO = 0.005, [0.0] * 7


@pytest.fixture
def trial(gate):
    return gate._trial


def moving(home, dq, slack=1.0):
    """The arm at `home`, having moved steadily at `dq`."""
    still = resting(list(home), slack)
    return type(still)(still.q, dq, ZERO, dq, ZERO, ZERO, still.stop, 0.0, slack)


def ahead(last):
    return [a + v * PERIOD_S for a, v in zip(last.q, last.dq, strict=True)]


def test_a_command_in_the_open_has_a_stop_along_its_path(trial, home):
    last = moving(home, [0.1, 0.0, 0.0, 0.1, 0.0, 0.1, 0.0])
    motion = trial.run(ahead(last), last.dq, None, last, 1.0)
    assert motion.stop.kind is StopKind.PATH
    assert (motion.elapsed, motion.ddq) == (0.0, ZERO)
    assert motion.rate == pytest.approx(last.dq)
    assert motion.dq_change == ZERO
    assert motion.stop.start == (motion.q, motion.dq, motion.ddq)


def test_the_acceleration_of_a_blend_is_kept(trial, home):
    last = moving(home, [0.1] * 7)
    assert trial.run(ahead(last), last.dq, [0.25] * 7, last, 1.0).ddq == [0.25] * 7


def test_at_rest_the_stop_is_to_stay(trial, home):
    last = resting(list(home), 1.0)
    motion = trial.run(list(home), ZERO, None, last, 1.0)
    assert (motion.stop.kind, motion.at_rest) == (StopKind.REST, True)


def test_without_any_stop_a_command_is_refused(trial, home, monkeypatch):
    last = moving(home, [0.1] * 7)
    monkeypatch.setattr(trial.planner, "joints", lambda q, dq, ddq: None)
    assert trial.run(ahead(last), last.dq, None, last, 1.0) == Finding(Reason.NO_STOP, Reason.PLANNER, 0.0)


def test_a_path_stop_may_take_little_longer_than_the_joints_need(trial, home, monkeypatch):
    last = moving(home, [0.1] * 7)
    kinds = {}
    for slower in (1.7, 2.5):
        quick = trial.planner.joints(ahead(last), last.dq, ZERO)
        slow = trial.planner.path(ahead(last), last.dq, ZERO)
        slow.duration = slower * quick.duration + PERIOD_S * (slower > 2)
        monkeypatch.setattr(trial.planner, "path", lambda q, dq, ddq, slow=slow: slow)
        kinds[slower] = trial.run(ahead(last), last.dq, None, last, 1.0).stop.kind
        monkeypatch.undo()
    assert kinds == {1.7: StopKind.PATH, 2.5: StopKind.JOINTS}


def test_a_stop_that_goes_through_a_wall_is_none(trial, home, monkeypatch):
    last = moving(home, [0.3, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    real, q = trial._space.room, ahead(last)
    wall = q[0] + 0.002

    def walled(at, tcp):
        room = real(at, tcp)
        return room._replace(slack=min(room.slack, wall - at[0]), reason=Reason.KEEP_OUT, where=9)

    monkeypatch.setattr(trial._space, "room", walled)
    found = trial.run(q, last.dq, None, last, 1.0)
    assert found == Finding(Reason.NO_STOP, Reason.KEEP_OUT, 0.0, 9)
    wall = q[0] + 0.1
    assert not isinstance(trial.run(q, last.dq, None, last, 1.0), Finding)


def test_a_stop_that_leaves_the_joint_box_is_none(trial, home, limits):
    start = list(home)
    start[6] = limits.upper[6] - 0.004
    last = moving(start, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.25])
    found = trial.run(ahead(last), last.dq, None, last, 1.0)
    assert found == Finding(Reason.NO_STOP, Reason.POSITION, limits.upper[6], 7)
    start[6] = limits.upper[6] - 0.02
    last = moving(start, last.dq)
    assert not isinstance(trial.run(ahead(last), last.dq, None, last, 1.0), Finding)


def test_going_on_along_a_stop(trial, home):
    last = moving(home, [0.2] * 7)
    motion = trial.run(ahead(last), last.dq, None, last, 1.0)
    step = braked(motion, PERIOD_S)
    assert (step.q, step.dq, step.ddq) == motion.stop.at(PERIOD_S)
    assert step.elapsed == PERIOD_S
    assert step.rate == rates(step.q, motion.q, PERIOD_S)
    assert step.dq_change == rates(step.dq, motion.dq, PERIOD_S)
    assert step.rate_change == rates(step.rate, motion.rate, PERIOD_S)
    assert step.slack == motion.slack
    assert not step.at_rest
    while not step.at_rest:
        step = braked(step, PERIOD_S)
    assert step.elapsed >= motion.stop.duration
    assert step.dq == ZERO
    assert braked(step, PERIOD_S).q == step.q


def test_rates_are_differences_over_the_period():
    assert rates([1.0, 2.0], [0.5, 2.5], 0.25) == [2.0, -2.0]
