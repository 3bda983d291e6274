"""Every fault of the emulated arm while the driver streams: the named state, rest, no motion until a person re-arms."""

import numpy as np
import pytest

from drivers.franka.errors import FLAGS
from drivers.franka.stopping import BOUND_NS, CUT_NS
from runtime.rows import ArmActivity, CommandMode, DriverState, RequestKind, RequestStatus, RobotMode

MODES = [CommandMode.JOINT_VELOCITY, CommandMode.JOINT_IMPEDANCE, CommandMode.CARTESIAN_IMPEDANCE]
# Fault, its arguments, the driver's state, the fault that ends it (None: a recovery does), and the modes it strikes in.
STATES = [
    ("joint_reflex", {}, DriverState.REFLEX, None, MODES),
    ("push", {"force_x_n": 250.0}, DriverState.REFLEX, None, MODES[:1]),
    ("user_stop", {}, DriverState.USER_STOP, "user_stop_released", MODES),
    ("brakes_locked", {}, DriverState.NOT_READY, "brakes_unlocked", MODES[:1]),
    ("guiding", {}, DriverState.NOT_READY, "guiding_ended", MODES[:1]),
]
CASES = [(*row[:4], mode) for row in STATES for mode in row[4]]


def idle(row):
    return row["activity"] == ArmActivity.IDLE


def assert_nothing_acts(rig):
    """Rows of the old generation go on being written, and the arm stays where it is."""
    rig.until(idle, rig.stream)
    before, acknowledged = np.array(rig.emulated.arm["q"]), rig.row["ack_sequence"]
    rig.turn(100, rig.stream)
    assert rig.row["enabled_generation"] == 0
    assert rig.row["ack_sequence"] == acknowledged
    assert np.abs(np.array(rig.emulated.arm["q"]) - before).max() < 5e-3


@pytest.mark.parametrize(
    ("fault", "arguments", "state", "cure", "mode"), CASES, ids=[f"{case[0]}-{case[4].name}" for case in CASES]
)
def test_fault_has_its_state_and_ends_only_by_a_person(rig, fault, arguments, state, cure, mode):
    rig.enable(mode)
    rig.emulated.panel.fault(fault, **arguments)
    row = rig.until_state(state, rig.stream)
    assert row["activity"] != ArmActivity.STREAMING, "no row says that commands act on a faulted robot"
    assert row["enabled_generation"] == 0
    assert_nothing_acts(rig)
    assert rig.row["driver_state"] == state
    assert rig.ask(RequestKind.ENABLE, generation=rig.generation + 1) == RequestStatus.REFUSED
    assert rig.ask(RequestKind.GOTO, q=rig.row["q_d"], speed_factor=0.1) == RequestStatus.REFUSED
    if cure is None:
        assert rig.ask(RequestKind.RECOVER, rig.stream) == RequestStatus.DONE
        assert rig.row["robot_mode"] == RobotMode.IDLE
        assert rig.row["errors"] == 0
    else:
        assert rig.ask(RequestKind.RECOVER) == RequestStatus.REFUSED
        rig.emulated.panel.fault(cure)
        rig.until_state(DriverState.OK)
    assert rig.row["connection"] == 1
    assert_nothing_acts(rig)
    rig.settle()
    rig.enable(mode)


def test_latched_reflex_is_seen_in_the_mode_though_the_flags_read_clear(rig):
    rig.enable()
    rig.emulated.panel.fault("latched_reflex", clear_after_ms=20)
    rig.until(lambda row: row["driver_state"] == DriverState.REFLEX and row["errors"] == 0, rig.stream)
    rig.turn(100, rig.stream)
    assert rig.row["driver_state"] == DriverState.REFLEX
    assert rig.row["last_errors"] != 0
    rig.until(idle)
    assert rig.ask(RequestKind.RECOVER) == RequestStatus.DONE
    assert rig.row["driver_state"] == DriverState.OK


def test_slow_recovery_is_waited_for_and_nothing_starts_meanwhile(rig):
    rig.enable()
    rig.emulated.panel.fault("slow_recovery", delay_ms=1500)
    rig.emulated.panel.fault("joint_reflex")
    rig.until_state(DriverState.REFLEX, rig.stream)
    rig.until(idle)
    number = rig.request(RequestKind.RECOVER)
    rig.until(lambda row: row["activity"] == ArmActivity.RECOVERING)
    begun = rig.row["robot_time_ns"]
    rig.until(lambda row: row["request_id"] == number and row["request_status"] == RequestStatus.DONE, rig.stream)
    assert rig.row["robot_time_ns"] - begun >= 1_400_000_000
    assert rig.row["driver_state"] == DriverState.OK
    assert_nothing_acts(rig)


@pytest.mark.parametrize("fault", ["tcp_dropped", "silence"])
@pytest.mark.parametrize("moving", [True, False], ids=["moving", "idle"])
def test_dead_link_is_named_and_built_anew_without_resuming(rig, fault, moving):
    if moving:
        rig.enable()
    each = rig.stream if moving else None
    rig.emulated.panel.fault(fault)
    broken_ns = rig.clock.now_ns()
    rig.until_state(DriverState.LINK_DEAD, each)
    assert rig.clock.now_ns() - broken_ns < 2_500_000_000
    frozen = rig.row.copy()
    rig.turn(30, each)
    later = [row for row in rig.rows[-20:] if row["driver_state"] == DriverState.LINK_DEAD]
    assert all(row["robot_time_ns"] == frozen["robot_time_ns"] for row in later), "no state is invented"
    assert all(row["states_seen"] == frozen["states_seen"] for row in later)
    rig.until(lambda row: row["driver_state"] in (DriverState.OK, DriverState.REFLEX), each)
    assert rig.row["connection"] == 2
    assert_nothing_acts(rig)
    rig.ready()
    rig.enable()


def test_reconnect_on_request(rig):
    assert rig.ask(RequestKind.RECONNECT) == RequestStatus.DONE
    rig.until_state(DriverState.OK)
    assert rig.row["connection"] == 2
    rig.settle()
    rig.enable()
    assert rig.ask(RequestKind.RECONNECT, rig.stream) == RequestStatus.REFUSED
    assert rig.row["activity"] == ArmActivity.STREAMING


@pytest.mark.parametrize("mode", MODES[:2], ids=lambda mode: mode.name)
def test_stop_returns_within_its_bound_when_the_client_library_does_not(rig, mode):
    rig.enable(mode)
    rig.emulated.panel.fault("move_reply_withheld")
    rig.turn(20, rig.stream)
    rig.patient = False
    asked_ns = rig.clock.now_ns()
    assert rig.ask(RequestKind.STOP, rig.stream) == RequestStatus.DONE
    assert rig.clock.now_ns() - asked_ns < BOUND_NS
    assert rig.row["connection"] == 2, "only a cut connection ends the wait inside libfranka"
    assert "stop.cut" in [code for code, _ in rig.events]
    rig.patient = True
    assert_nothing_acts(rig)
    rig.ready()
    rig.enable(mode)


def test_a_late_end_of_motion_is_no_dead_link(rig):
    rig.enable()
    rig.emulated.panel.fault("end_of_motion_gap", delay_ms=1210)
    rig.turn(20, rig.stream)
    asked_ns = rig.clock.now_ns()
    assert rig.ask(RequestKind.STOP) == RequestStatus.DONE
    assert rig.clock.now_ns() - asked_ns < CUT_NS
    assert rig.row["connection"] == 1
    assert rig.row["driver_state"] == DriverState.OK


def test_reflex_during_goto_fails_it(rig):
    goal = rig.row["q_d"] + np.array([0.8, 0, 0, 0, 0, 0, 0])
    number = rig.request(RequestKind.GOTO, q=goal, speed_factor=0.1)
    rig.until(lambda row: row["activity"] == ArmActivity.GOTO and abs(row["dq"][0]) > 0.05)
    rig.emulated.panel.fault("cartesian_reflex")
    rig.until_state(DriverState.REFLEX)
    assert rig.row["request_id"] == number
    rig.until(lambda row: row["request_status"] == RequestStatus.FAILED)
    rig.until(idle)


def test_requests_without_a_link_are_refused_and_stop_is_verified_after_it_is_back(rig):
    rig.emulated.panel.fault("tcp_dropped")
    rig.until_state(DriverState.LINK_DEAD)
    assert rig.ask(RequestKind.RECOVER) == RequestStatus.REFUSED
    rig.until_state(DriverState.OK)
    assert rig.ask(RequestKind.STOP) == RequestStatus.DONE


def test_all_41_error_flags_reach_the_row_in_wire_order(rig):
    faults = {fault["name"] for fault in rig.emulated.panel.faults()}
    order = [fault["name"] for fault in rig.emulated.panel.faults()][: len(FLAGS)]  # the panel lists them in wire order
    assert len(faults) > len(order) == 41
    for bit, name in enumerate(order):
        rig.emulated.panel.fault(name)
        rig.until(lambda row, mask=1 << bit: row["errors"] == mask)
        assert rig.row["driver_state"] == DriverState.REFLEX
        _, text = next(event for event in reversed(rig.events) if event[0] == "state.reflex")
        assert FLAGS[bit].name in text
        rig.until(idle)
        assert rig.ask(RequestKind.RECOVER) == RequestStatus.DONE
