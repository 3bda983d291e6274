import hashlib
import json
import os
import socket
import struct

import numpy as np
import pytest

from drivers.franka.errors import RobotHeldError, UnsupportedServerError
from drivers.franka.stopping import BOUND_NS
from runtime.ring import instance_dir
from runtime.rows import (
    ArmActivity,
    CommandMode,
    DriverState,
    RejectReason,
    RequestKind,
    RequestStatus,
    RobotMode,
)

MODES = [CommandMode.JOINT_VELOCITY, CommandMode.JOINT_IMPEDANCE, CommandMode.CARTESIAN_IMPEDANCE]
HOME = (0.0, -0.785398, 0.0, -2.356194, 0.0, 1.570796, 0.785398)


def idle(row):
    return row["activity"] == ArmActivity.IDLE


def really_at_rest(rig):
    return max(map(abs, rig.emulated.arm["dq"])) < 0.02 and rig.emulated.arm["control"] is None


def assert_nothing_acts(rig):
    """Rows of the old generation go on being written, and the arm stays where it is."""
    rig.until(idle, rig.stream)
    before, acknowledged = np.array(rig.emulated.arm["q"]), rig.row["ack_sequence"]
    rig.turn(150, rig.stream)
    assert rig.row["enabled_generation"] == 0
    assert rig.row["ack_sequence"] == acknowledged
    assert np.abs(np.array(rig.emulated.arm["q"]) - before).max() < 1e-3


# ---- what is published ----


def test_state_rows_show_the_robot_as_it_is(rig):
    row, arm = rig.row, rig.emulated.arm
    np.testing.assert_allclose(row["q"], arm["q"], atol=1e-4)
    np.testing.assert_allclose(row["T_base_ee"], arm["T_base_ee"], atol=1e-4)
    assert row["robot_mode"] == RobotMode.IDLE
    assert row["connection"] == 1
    times = np.array([one["robot_time_ns"] for one in rig.rows if one["states_seen"] > 0])
    assert (np.diff(times) >= 0).all(), "robot time runs forward"
    seen = rig.row["states_seen"] + rig.row["states_missed"]
    assert abs(int(seen) - 1 - (times[-1] - times[0]) // 1_000_000) <= 1, "every robot millisecond was seen or counted"


def test_before_the_first_state_no_position_is_invented(rig):
    first = next(row for row in rig.rows if row["states_seen"] == 0)
    assert first["driver_state"] == DriverState.NOT_READY
    assert np.isnan(first["q"]).all()


def test_identity_file_says_what_was_learnt_and_goes_with_the_driver(rig):
    path = instance_dir(rig.instance) / "arm.main.identity.json"
    identity = json.loads(path.read_text())
    assert identity["server_version"] == 10
    assert identity["host"] == rig.emulated.host
    assert hashlib.sha256(identity["urdf"].encode()).hexdigest() == identity["urdf_sha256"]
    np.testing.assert_allclose(identity["T_flange_ee"], rig.row["T_flange_ee"], atol=1e-6)
    limits = identity["limits"]
    assert all(low < q < high for low, q, high in zip(limits["lower_rad"], HOME, limits["upper_rad"], strict=True))
    # franky 2.0.0 plans with the Panda's limits unless told otherwise: above these the FR3 trips.
    assert max(limits["acceleration_rad_s2"]) <= 10.0
    assert max(limits["jerk_rad_s3"]) <= 5000.0


# ---- streaming ----


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_every_mode_follows_and_acknowledges_what_it_applied(rig, mode):
    rig.enable(mode)
    start = rig.row.copy()
    assert start["activity"] == ArmActivity.STREAMING
    assert start["command_mode"] == mode
    assert start["enabled_generation"] == rig.generation
    rig.until(lambda row: row["ack_trace"] >= 100, rig.stream)
    row = rig.row
    assert row["ack_generation"] == rig.generation
    assert row["ack_sequence"] == row["ack_trace"], "one row per trace id was written since the ring was opened"
    assert row["rejected"] == row["watchdog_stops"] == row["errors"] == 0
    assert row["driver_state"] == DriverState.OK
    assert row["robot_mode"] == RobotMode.MOVE
    if mode == CommandMode.CARTESIAN_IMPEDANCE:
        goal = rig.command.row["T_base_ee"][2, 3]
        assert abs(row["T_base_ee"][2, 3] - goal) < abs(start["T_base_ee"][2, 3] - goal) / 3
    else:
        # In lock-step the robot's time may run ahead of the commander's, so that it goes further on each row.
        moved = abs(row["q"][0] - start["q"][0])
        assert moved > 0.05
        assert abs(row["q"][0] - row["ack_q"][0]) < moved / 3
    assert rig.ask(RequestKind.DISABLE, rig.stream) == RequestStatus.DONE
    assert really_at_rest(rig)


def test_commands_that_stop_coming_stop_the_arm(rig):
    for mode in MODES:
        stops = rig.row["watchdog_stops"]
        rig.enable(mode)
        quiet_ns = rig.clock.now_ns()
        rig.until(lambda row: row["activity"] == ArmActivity.STOPPING)
        limit_ns = rig.cell.arms["main"].watchdog_ms * 1e6
        assert rig.clock.now_ns() - quiet_ns <= limit_ns + 2_000_000
        rig.until(idle)
        assert really_at_rest(rig)
        assert rig.row["watchdog_stops"] == stops + 1
        assert "watchdog" in [code for code, _ in rig.events]
        assert_nothing_acts(rig)


def test_the_last_word_refuses_by_name_and_counts(rig):
    rig.enable()
    rig.generation += 1  # a higher generation raises the floor without a new ENABLE
    rig.turn(30, rig.stream)
    assert rig.row["enabled_generation"] == rig.generation
    now = rig.clock.now_ns
    q = rig.command.row["q"].copy()

    def with_joint(joint, value):
        return {"q": np.where(np.arange(7) == joint, value, q)}

    bad = [
        (RejectReason.NOT_FINITE, lambda: with_joint(3, np.nan)),
        (RejectReason.NOT_FINITE, lambda: {"dq": np.full(7, np.inf)}),
        (RejectReason.POSITION, lambda: with_joint(3, 0.5)),
        (RejectReason.VELOCITY, lambda: {"dq": np.full(7, 9.0)}),
        (RejectReason.TORQUE, lambda: {"tau_ff": np.full(7, 500.0)}),
        (RejectReason.STEP, lambda: with_joint(1, q[1] + 0.3)),
        (RejectReason.GENERATION, lambda: {"generation": rig.generation - 1}),
        (RejectReason.MODE, lambda: {"mode": CommandMode.JOINT_IMPEDANCE}),
        (RejectReason.EXPIRED, lambda: {"valid_until_ns": now() - 1}),
        (RejectReason.EXPIRED, lambda: {"stamp_ns": now() - 60_000_000}),
        (RejectReason.BEFORE_ENABLE, lambda: {"stamp_ns": 1_000_000_000}),
        (RejectReason.PERIOD, lambda: {"period_ns": 0}),
    ]
    for reason, fields in bad:
        rig.turn(20, rig.stream)
        rejected, applied = int(rig.row["rejected"]), rig.row["ack_q"].copy()
        rig.turn(1, lambda fields=fields: rig.write(**fields()))
        rig.until(lambda row, before=rejected: row["rejected"] == before + 1)
        assert RejectReason(int(rig.row["reject_reason"])) == reason
        assert np.abs(rig.row["ack_q"] - applied).max() < 0.02, "the refused row was never applied"
        assert rig.row["driver_state"] == DriverState.OK
    rig.turn(50, rig.stream)
    assert rig.row["activity"] == ArmActivity.STREAMING, "one bad row among good ones does not end the stream"


def test_only_bad_rows_are_no_stream(rig):
    rig.enable()
    rig.until(lambda row: row["activity"] != ArmActivity.STREAMING, lambda: rig.write(q=np.full(7, np.nan)))
    rig.until(idle)
    assert rig.row["watchdog_stops"] == 1
    assert rig.row["reject_reason"] == RejectReason.NOT_FINITE
    assert really_at_rest(rig)


def test_nothing_sent_before_a_rearm_acts_after_it(rig):
    rig.enable()
    assert rig.ask(RequestKind.STOP) == RequestStatus.DONE
    rig.settle()
    acknowledged = rig.row["ack_sequence"]
    rig.generation += 1
    for _ in range(50):
        rig.write(q=rig.row["q_d"] + 0.05)  # waits in the ring with the generation that is enabled next
    assert rig.ask(RequestKind.ENABLE, generation=rig.generation) == RequestStatus.DONE
    rig.turn(200)
    assert rig.row["ack_sequence"] == acknowledged
    assert rig.row["activity"] == ArmActivity.STREAMING
    assert rig.row["rejected"] == 0


def test_rows_of_a_restarted_commander_are_dead(rig):
    rig.enable()
    rig.command.close()
    rig.open_command_ring()
    acknowledged = int(rig.row["ack_generation"])
    rig.until(lambda row: row["reject_reason"] == RejectReason.SESSION, rig.stream)
    rig.until(idle, rig.stream)
    assert rig.row["ack_generation"] == acknowledged
    assert really_at_rest(rig)
    rig.generation = 0  # a new ring counts anew
    rig.settle()
    rig.enable()


def test_enable_is_refused_with_the_reason(rig):
    ask = rig.ask
    assert ask(RequestKind.ENABLE, generation=0) == RequestStatus.REFUSED
    assert ask(RequestKind.ENABLE, generation=1, mode=9) == RequestStatus.REFUSED
    rig.enable()
    assert ask(RequestKind.ENABLE, rig.stream, generation=50) == RequestStatus.REFUSED
    assert "busy: STREAMING" in rig.events[-1][1]
    assert ask(RequestKind.STOP) == RequestStatus.DONE
    rig.settle()
    assert ask(RequestKind.ENABLE, generation=rig.generation) == RequestStatus.REFUSED
    assert "a re-arm needs a newer one" in rig.events[-1][1]
    rig.command.close()
    assert ask(RequestKind.ENABLE, generation=99) == RequestStatus.REFUSED
    assert "start the commander first" in rig.events[-1][1]


def test_stops_in_the_middle_of_moves_never_fail(rig):
    rng = np.random.default_rng(5)
    for _ in range(6):
        rig.enable()
        rig.turn(int(rng.integers(1, 80)), rig.stream)
        assert rig.ask(RequestKind.STOP) == RequestStatus.DONE
        assert rig.row["driver_state"] == DriverState.OK
        assert rig.row["last_errors"] == 0
        rig.settle()
    assert not [code for code, _ in rig.events if code.startswith(("stop.", "link.", "state.planner"))]


def test_a_driver_that_was_held_up_itself_does_not_blame_the_robot(rig):
    rig.clock.advance(5_000_000_000)
    rig.turn(100)
    assert rig.row["connection"] == 1
    assert rig.row["driver_state"] == DriverState.OK


# ---- go-to and settings ----


def test_goto_reaches_its_goal_and_refuses_what_it_must(rig):
    goal = np.array(HOME)
    goal[0] += 0.3
    assert rig.ask(RequestKind.GOTO, q=goal, speed_factor=0.5) == RequestStatus.DONE
    np.testing.assert_allclose(rig.emulated.arm["q"], goal, atol=5e-3)
    for wrong in (
        {"q": np.full(7, np.nan), "speed_factor": 0.2},
        {"q": np.full(7, 3.5), "speed_factor": 0.2},
        {"q": HOME, "speed_factor": 0.0},
        {"q": HOME, "speed_factor": 1.5},
        {"q": HOME, "speed_factor": np.nan},
    ):
        assert rig.ask(RequestKind.GOTO, **wrong) == RequestStatus.REFUSED
    assert rig.row["activity"] == ArmActivity.IDLE
    np.testing.assert_allclose(rig.emulated.arm["q"], goal, atol=5e-3)
    rig.request(RequestKind.GOTO, q=HOME, speed_factor=0.1)
    rig.until(lambda row: row["activity"] == ArmActivity.GOTO and abs(row["dq"][0]) > 0.05)
    assert rig.ask(RequestKind.STOP) == RequestStatus.DONE
    assert really_at_rest(rig)
    assert rig.emulated.arm["q"][0] > 0.05, "it stopped on the way"


def test_settings_are_checked_before_they_reach_the_robot(rig):
    def values(*given):
        return np.array([*given, *[0.0] * (16 - len(given))])

    assert rig.ask(RequestKind.SET_COLLISION, values=values(*[30.0] * 13)) == RequestStatus.DONE
    assert rig.ask(RequestKind.SET_LOAD, values=values(0.5, 0, 0, 0.05)) == RequestStatus.DONE
    identity = json.loads((instance_dir(rig.instance) / "arm.main.identity.json").read_text())
    assert identity["collision"]["torque_nm"] == [30.0] * 7
    assert identity["load"]["mass_kg"] == 0.5
    assert rig.ask(RequestKind.SET_COLLISION, values=values(30.0)) == RequestStatus.REFUSED
    assert rig.ask(RequestKind.SET_LOAD, values=values(-1.0)) == RequestStatus.REFUSED
    assert rig.ask(RequestKind.HAND_HOMING) == RequestStatus.REFUSED
    assert "not for an arm" in rig.events[-1][1]


# ---- end ----


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_ending_the_driver_brings_the_arm_to_rest_first(rig, mode):
    rig.enable(mode)
    rig.driver.begin_shutdown(rig.clock.now_ns())
    turns = 0
    while not rig.driver.ended:
        turns += 1
        assert turns < BOUND_NS // 1_000_000
        rig.turn(1, rig.stream)
    assert really_at_rest(rig)
    assert rig.ask(RequestKind.ENABLE, generation=rig.generation + 1) == RequestStatus.REFUSED


# ---- refusals at the edge ----


def test_wrong_end_effector_frame_is_refused_with_both_values(emulated, make_rig, cell_at):
    flange = {"xyz_m": (0.0, 0.0, 0.0), "rpy_rad": (0.0, 0.0, 0.0)}  # somebody forgot the hand: 103 mm
    rig = make_rig(cell_at(emulated.host, T_flange_ee=flange), emulated).ready()
    assert rig.ask(RequestKind.ENABLE, generation=1) == RequestStatus.REFUSED
    text = rig.events[-1][1]
    assert "103.4 mm and 0.785 rad" in text
    assert "robot xyz (0.0, 0.0, 103.4) mm" in text
    assert "cell T_flange_ee xyz (0.0, 0.0, 0.0) mm" in text


def test_second_driver_of_a_robot_is_refused_and_disturbs_nothing(rig, make_rig, cell_at):
    rig.enable()
    other_name = hex(struct.unpack(">I", socket.inet_aton(rig.emulated.host))[0])
    with pytest.raises(RobotHeldError, match=f"held by process {os.getpid()}"):
        make_rig(cell_at(other_name), rig.emulated)
    rig.turn(50, rig.stream)
    assert rig.row["activity"] == ArmActivity.STREAMING


def test_absent_robot_is_waited_for_and_told_once(host, make_rig, cell_at):
    rig = make_rig(cell_at(host))
    rig.turn(2500)
    assert [code for code, _ in rig.events].count("connect.failed") == 1
    assert rig.row["driver_state"] == DriverState.NOT_READY
    assert rig.row["activity"] == ArmActivity.CONNECTING
    assert rig.ask(RequestKind.ENABLE, generation=1) == RequestStatus.REFUSED
    rig.driver.begin_shutdown(rig.clock.now_ns())
    rig.turn(2)
    assert rig.driver.ended


def test_unsupported_robot_is_fatal_and_not_tried_again(host, make_rig, cell_at, other_version):
    other_version(host, 9)
    rig = make_rig(cell_at(host))
    while rig.driver.fatal is None:
        rig.turn(1)
    assert isinstance(rig.driver.fatal, UnsupportedServerError)
    rig.turn(1500)
    assert [code for code, _ in rig.events].count("fatal") == 1
