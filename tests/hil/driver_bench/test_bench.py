"""A short form of the bench: the same sections, against real drivers and the emulated cell in lock-step."""

import math

import numpy as np
import pytest

from drivers.franka.errors import FLAGS
from hil.driver_bench import arm_faults, bench, camera_faults, goto, hand_faults, killed, streaming
from hil.fci.faults import FAULTS
from hil.fci.hand_faults import HAND_FAULTS
from hil.realsense.script import FAULTS as CAMERA_FAULTS
from hil.rig import Rig, own_addresses
from runtime.cell import load_cell
from runtime.rows import CommandMode

ENDINGS = {"restore", "user_stop_released", "brakes_unlocked", "guiding_ended", "hand_restore", "replug"}


@pytest.fixture(scope="module")
def rig():
    with Rig(own_addresses(load_cell("emulated"), watchdog_ms=500), hands=[], cameras=[], profile="lockstep") as one:
        yield one
    assert one.left_over() == []


def _not_met(rows):
    return [f"{row.name}: {row.value} {row.note}" for row in rows if not row.ok]


def test_goto_arrives_and_refuses_what_it_must(rig):
    assert _not_met(goto.run(rig)) == []


@pytest.mark.parametrize("mode", streaming.MODES, ids=lambda mode: mode.name.lower())
def test_a_stream_is_followed_without_a_robot_error_or_a_refused_row(rig, mode):
    reference = streaming.TOOL_SINE if mode is CommandMode.CARTESIAN_IMPEDANCE else streaming.JOINT_SINE
    rows = streaming._measured(rig, "main", "stream", mode, 50, reference)
    assert len(rows) == 3
    assert _not_met(rows) == []
    assert math.isfinite(rows[0].value)


def test_faults_get_their_named_state_and_their_recovery(rig):
    scene = arm_faults.Scene(rig, "main")
    wanted = {"user_stop", "tcp_dropped", "latched_reflex"}
    cases = [case for case in arm_faults.CASES if (case.name or case.fault) in wanted]
    assert len(cases) == len(wanted)
    # The figures are times on a machine that does other things: here it counts that every answer was right.
    rows = [arm_faults._row(scene, case) for case in cases]
    assert [f"{row.name}: {row.note}" for row in rows if math.isnan(row.value)] == []


def test_a_wrong_answer_is_a_row_that_is_not_met(rig):
    case = arm_faults.Case("user_stop_released", arm_faults.DriverState.OK, 50.0, _refuse, moving=False)
    row = arm_faults._row(arm_faults.Scene(rig, "main"), case)
    assert math.isnan(row.value)
    assert not row.ok
    assert "not as it must" in row.note


def _refuse(scene, row):
    arm_faults.expect(False, "not as it must")


def test_the_arm_comes_to_rest_by_itself_when_its_source_is_killed(rig):
    time_ms, travel, tool, speed = killed._kill(rig, "main", CommandMode.JOINT_VELOCITY)
    assert time_ms > 0.0
    assert 0.0 < travel < speed * time_ms * 1e-3 + 1e-3
    assert tool < 0.2
    rig.arms["main"].wait_rest()


def test_every_fault_of_the_emulated_devices_has_its_row():
    arm = {case.fault for case in arm_faults.CASES} | {flag.name for flag in FLAGS}
    arm |= {"lose_states", "move_reply_withheld", "end_of_motion_gap", "slow_recovery"}  # rows of FIELD
    hand = {name for name, *_ in hand_faults.TABLE}
    camera = {name for name, *_ in camera_faults.TABLE}
    assert set(FAULTS) - ENDINGS <= arm
    assert set(HAND_FAULTS) - ENDINGS <= hand
    assert set(CAMERA_FAULTS) - ENDINGS <= camera


def test_waypoints_come_from_the_seed_alone():
    home = load_cell("emulated").arms["main"].home_q_rad
    assert np.array_equal(goto.waypoints(home, 3), goto.waypoints(home, 3))
    assert not np.array_equal(goto.waypoints(home, 3), goto.waypoints(home, 4))


def test_paths_are_compared_where_both_were_seen_and_a_difference_is_found():
    path = {time: np.full(7, 0.001 * time) for time in range(200)}
    later = {time - 2: q for time, q in path.items() if time % 7}
    assert goto._apart(path, later) == 0.0
    bent = {time: q + (1e-5 if time == 120 else 0.0) for time, q in path.items()}
    assert goto._apart(path, bent) == pytest.approx(1e-5)
    assert goto._apart(path, {0: path[0]}) == math.inf


def test_sections_that_need_the_emulator_are_said_not_to_apply_to_a_real_cell():
    names = [name for name, _ in bench._real(load_cell("franka"), True, False)]
    assert names == ["goto", "streaming", "commander killed", "hand", "cameras", "not applicable"]
    rows = bench._not_applicable()
    assert {row.name for row in rows} == set(bench.NEEDS_EMULATOR)
    assert all(row.ok and "not applicable" in row.note for row in rows)
