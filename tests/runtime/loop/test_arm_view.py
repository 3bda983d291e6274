"""What a state row means: stale is stale, the mode counts and not the flags, and executed means acknowledged."""

import pytest

from runtime.loop.arm_view import (
    ACK_LATE_NS,
    ACK_TOLERANCE_RAD,
    REMEMBERED,
    RESYNC_RAD,
    STATE_LATE_NS,
    STATE_LOST_NS,
    STILL_FOR_NS,
    STILL_RAD_S,
    ArmView,
)
from runtime.modes.causes import Cause, bit
from runtime.ring import RowMeta, RowStatus
from runtime.rows import ArmActivity, DriverState, RejectReason, RobotMode

T0 = 1_000_000_000
LOST = bit(Cause.ARM_STATE_LOST)
STREAMING = {"activity": ArmActivity.STREAMING, "enabled_generation": 10}


def look(view, row, now_ns=T0, *, stamp_ns=None, status=RowStatus.FRESH, armed=10, generation=12):
    return view.observe(now_ns, row, RowMeta(1, 2, now_ns if stamp_ns is None else stamp_ns), status, armed, generation)


def test_an_arm_never_seen_is_lost():
    view = ArmView()
    assert view.conditions == LOST
    assert look(view, None, status=RowStatus.ABSENT) == LOST
    assert (view.row, view.still, view.following, view.age_ns) == (None, False, False, -1)


@pytest.mark.parametrize(
    ("age_ns", "expected"),
    [
        (STATE_LATE_NS, 0),
        (STATE_LATE_NS + 1, bit(Cause.ARM_STATE_LATE)),
        (STATE_LOST_NS, bit(Cause.ARM_STATE_LATE)),
        (STATE_LOST_NS + 1, LOST),
        (-STATE_LATE_NS, 0),
        (-STATE_LATE_NS - 1, LOST),
    ],
)
def test_an_old_row_is_late_then_lost_and_never_the_last_value(state_row, age_ns, expected):
    view = ArmView()
    assert look(view, state_row(), stamp_ns=T0 - age_ns) == expected
    assert (view.row is None) is (expected == LOST)


@pytest.mark.parametrize("status", [RowStatus.OLD, RowStatus.UNCLEAN, RowStatus.EMPTY, RowStatus.ABSENT])
def test_a_row_that_is_not_fresh_is_none(state_row, status):
    assert look(ArmView(), state_row(), status=status) == LOST


@pytest.mark.parametrize("field", ["q", "dq", "q_d", "tau_ext"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_row_that_is_not_finite_is_none(state_row, field, value):
    row = state_row()
    row[field][3] = value
    view = ArmView()
    assert look(view, row) == LOST
    assert view.row is None


@pytest.mark.parametrize(
    ("driver", "mode", "cause"),
    [
        (DriverState.OK, RobotMode.IDLE, None),
        (DriverState.OK, RobotMode.MOVE, None),
        (DriverState.NOT_READY, RobotMode.IDLE, Cause.ARM_NOT_READY),
        (DriverState.NOT_READY, RobotMode.AUTOMATIC_ERROR_RECOVERY, Cause.ARM_REFLEX),  # being recovered
        (DriverState.REFLEX, RobotMode.IDLE, Cause.ARM_REFLEX),
        (DriverState.USER_STOP, RobotMode.IDLE, Cause.ARM_USER_STOP),
        (DriverState.LINK_DEAD, RobotMode.IDLE, Cause.ARM_LINK_DEAD),
        (DriverState.PLANNER_ERROR, RobotMode.IDLE, Cause.ARM_PLANNER_ERROR),
        (DriverState.OK, RobotMode.REFLEX, Cause.ARM_REFLEX),
        (DriverState.OK, RobotMode.USER_STOPPED, Cause.ARM_USER_STOP),
        (DriverState.OK, RobotMode.GUIDING, Cause.ARM_NOT_READY),
        (DriverState.OK, RobotMode.OTHER, Cause.ARM_NOT_READY),
        (DriverState.OK, RobotMode.AUTOMATIC_ERROR_RECOVERY, Cause.ARM_REFLEX),
    ],
)
def test_the_robots_mode_counts_even_where_the_driver_says_ok(state_row, driver, mode, cause):
    """Reflex was seen latched in the mode for 80 s while the error flags read clear."""
    row = state_row(driver_state=driver, robot_mode=mode)
    assert look(ArmView(), row) == (bit(cause) if cause else 0)


@pytest.mark.parametrize(
    ("enabled", "armed", "generation", "activity", "expected"),
    [
        (10, 10, 12, ArmActivity.STREAMING, True),
        (12, 10, 12, ArmActivity.STREAMING, True),
        (9, 10, 12, ArmActivity.STREAMING, False),
        (13, 10, 12, ArmActivity.STREAMING, False),
        (0, 0, 12, ArmActivity.STREAMING, False),
        (11, 10, 12, ArmActivity.STOPPING, False),
        (11, 10, 12, ArmActivity.IDLE, False),
    ],
)
def test_the_driver_follows_only_when_enabled_for_this_arming(
    state_row, enabled, armed, generation, activity, expected
):
    view = ArmView()
    look(view, state_row(activity=activity, enabled_generation=enabled), armed=armed, generation=generation)
    assert view.following is expected
    assert view.left is False


def test_a_driver_that_leaves_is_told_once(state_row):
    view = ArmView()
    look(view, state_row(**STREAMING))
    look(view, state_row())
    assert (view.following, view.left) == (False, True)
    look(view, state_row())
    assert view.left is False
    look(view, state_row(**STREAMING))
    look(view, None, status=RowStatus.ABSENT)
    assert (view.following, view.left) == (False, True)


def test_still_needs_robot_time_to_pass(state_row):
    view = ArmView()
    for ms, expected in ((0, False), (49, False), (50, True), (80, True)):
        look(view, state_row(robot_time_ns=7_000_000_000 + ms * 1_000_000))
        assert view.still is expected, ms
    assert STILL_FOR_NS == 50_000_000
    frozen = ArmView()
    for k in range(100):
        look(frozen, state_row(robot_time_ns=5), T0 + k * 10_000_000)
    assert frozen.still is False, "a link that repeats one state proves nothing"


def test_any_joint_that_moves_and_any_gap_starts_stillness_again(state_row):
    view = ArmView()
    at = iter(range(0, 10**10, 60_000_000))

    def see(**fields):
        look(view, state_row(robot_time_ns=next(at), **fields))
        return view.still

    assert [see(), see()] == [False, True]
    for joint in range(7):
        speed = [0.0] * 7
        speed[joint] = -STILL_RAD_S * 1.001
        assert [see(dq=speed), see(), see()] == [False, False, True]
        speed[joint] = STILL_RAD_S
        assert see(dq=speed) is True
    look(view, None, status=RowStatus.OLD)
    assert view.still is False
    assert [see(), see()] == [False, True]
    look(view, state_row(robot_time_ns=1))  # a new connection counts from zero
    assert view.still is False


def test_a_resting_arm_is_commanded_from_its_set_point_unless_that_is_off(state_row):
    view = ArmView()
    row = state_row()
    row["q_d"][2] += RESYNC_RAD * 0.99
    look(view, row)
    assert view.resting_set_point() == tuple(row["q_d"].tolist())
    row["q_d"][2] += RESYNC_RAD * 0.02
    look(view, row)
    assert view.resting_set_point() == tuple(row["q"].tolist())


@pytest.mark.parametrize("reason", list(RejectReason))
def test_rows_refused_for_what_they_say_are_a_fault_rows_refused_for_their_time_are_not(state_row, reason):
    view = ArmView()
    look(view, state_row(**STREAMING, rejected=3, reject_reason=reason))
    found = look(view, state_row(**STREAMING, rejected=4, reject_reason=reason))
    mild = reason in (RejectReason.BEFORE_ENABLE, RejectReason.EXPIRED, RejectReason.STATE_OLD)
    assert found == (0 if mild else bit(Cause.DRIVER_REJECTED))
    assert look(view, state_row(**STREAMING, rejected=4, reject_reason=reason)) == 0


def test_what_the_driver_counted_before_it_followed_is_not_ours(state_row):
    view = ArmView()
    look(view, state_row())
    assert look(view, state_row(**STREAMING, rejected=9, reject_reason=RejectReason.MODE, watchdog_stops=2)) == 0


def test_a_watchdog_stop_is_told(state_row):
    view = ArmView()
    look(view, state_row(**STREAMING, watchdog_stops=1))
    assert look(view, state_row(watchdog_stops=2)) == bit(Cause.DRIVER_WATCHDOG)
    assert look(view, state_row(watchdog_stops=3)) == 0


def follow(view, state_row, rows=3):
    """A driver that follows, and `rows` commands sent."""
    look(view, state_row(**STREAMING, ack_sequence=77))
    for sequence in range(1, rows + 1):
        view.sent(sequence, 11, (0.1 * sequence,) * 7)


def acknowledge(state_row, sequence, q, generation=11):
    return state_row(**STREAMING, ack_sequence=sequence, ack_generation=generation, ack_q=q)


def test_what_was_sent_and_applied_agree(state_row):
    view = ArmView()
    follow(view, state_row)
    assert look(view, acknowledge(state_row, 2, (0.2 + 0.9 * ACK_TOLERANCE_RAD,) * 7)) == 0
    assert look(view, acknowledge(state_row, 3, (0.1 * 3,) * 7)) == 0


@pytest.mark.parametrize(
    ("sequence", "q", "generation"),
    [
        (2, (0.2,) * 6 + (0.2 + 2 * ACK_TOLERANCE_RAD,), 11),
        (2, (float("nan"),) * 7, 11),
        (2, (0.3,) * 7, 11),
        (2, (0.2,) * 7, 12),
        (4, (0.4,) * 7, 11),
        (2 + REMEMBERED, (0.2,) * 7, 11),
    ],
)
def test_a_difference_between_sent_and_applied_is_a_fault(state_row, sequence, q, generation):
    view = ArmView()
    follow(view, state_row)
    assert look(view, acknowledge(state_row, sequence, q, generation)) == bit(Cause.ACK_DIFFERS)


def test_an_acknowledgement_of_an_earlier_arming_is_not_compared(state_row):
    view = ArmView()
    follow(view, state_row)
    assert look(view, acknowledge(state_row, 2, (9.0,) * 7, generation=9)) == 0
    assert look(view, acknowledge(state_row, 3, (9.0,) * 7, generation=10)) == bit(Cause.ACK_DIFFERS)


def test_acknowledgements_that_stay_away_are_a_fault(state_row):
    view = ArmView()
    follow(view, state_row)
    row = acknowledge(state_row, 1, (0.1,) * 7)
    assert look(view, row, T0) == 0
    assert look(view, row, T0 + ACK_LATE_NS) == 0
    assert look(view, row, T0 + ACK_LATE_NS + 1) == bit(Cause.ACK_LATE)
    view.sent(1, 11, (0.1,) * 7)
    assert look(view, row, T0 + ACK_LATE_NS + 2) == 0, "nothing newer was sent"
