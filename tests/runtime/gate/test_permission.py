import pytest

from runtime.gate.permission import MAX_AHEAD_NS, MAX_STATE_AGE_NS, check_permission
from runtime.gate.reasons import Reason
from runtime.rows import DriverState, RobotMode

NOW_NS = 10**12


def test_constants_are_what_the_docs_say():
    assert (MAX_STATE_AGE_NS, MAX_AHEAD_NS) == (150_000_000, 10_000_000)


@pytest.mark.parametrize("armed", [True, False])
@pytest.mark.parametrize("deadman", [True, False])
def test_armed_comes_before_the_dead_mans_switch(facts, armed, deadman):
    found = check_permission(NOW_NS, facts(), armed, deadman)
    want = Reason.NOT_ARMED if not armed else Reason.DEADMAN if not deadman else None
    assert (found.reason if found else None) == want
    if found:
        assert (found.value, found.limit) == (0.0, 1.0)


def test_without_a_state_nothing_is_commanded():
    assert check_permission(NOW_NS, None, True, True) == (Reason.NO_STATE, 0.0, 1.0, 0)


@pytest.mark.parametrize(
    ("age_ns", "ok"), [(0, True), (150_000_000, True), (150_000_001, False), (-10_000_000, True), (-10_000_001, False)]
)
def test_age_of_the_state_at_its_limits(facts, age_ns, ok):
    found = check_permission(NOW_NS, facts(stamp_ns=NOW_NS - age_ns), True, True)
    assert found == (None if ok else (Reason.STATE_OLD, age_ns / 1e6, 150.0, 0))


@pytest.mark.parametrize("state", DriverState)
def test_only_a_well_driver_is_commanded(facts, state):
    found = check_permission(NOW_NS, facts(driver_state=int(state)), True, True)
    assert found == (None if state is DriverState.OK else (Reason.DRIVER_NOT_OK, int(state), 1, 0))


@pytest.mark.parametrize("mode", [*RobotMode, 99])
def test_only_modes_that_follow_commands_are_commanded(facts, mode):
    found = check_permission(NOW_NS, facts(robot_mode=int(mode)), True, True)
    assert found == (None if mode in (RobotMode.IDLE, RobotMode.MOVE) else (Reason.ROBOT_MODE, int(mode), 2, 0))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(("name", "count"), [("q", 7), ("wrench_base", 6)])
def test_every_number_of_the_state_must_be_finite(facts, name, count, bad):
    for index in range(count):
        values = [0.0] * count
        values[index] = bad
        found = check_permission(NOW_NS, facts(**{name: values}), True, True)
        assert found is not None
        assert (found.reason, found.limit, found.where) == (Reason.STATE_NOT_FINITE, 0.0, index + 1)
        assert found.value == pytest.approx(bad, nan_ok=True)
