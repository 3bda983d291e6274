"""The panel strikes the right device at the right millisecond, and refuses by naming what is allowed."""

import uuid

import pytest

from hil.cell_stations import CellStations
from hil.fci.faults import FAULTS, FaultError
from hil.fci.hand_faults import HAND_FAULTS
from hil.fci.panel import fault_table
from hil.fci.profile import Profile
from hil.fci.protocol import RobotMode
from runtime.cell import Cell, load_cell
from runtime.clock import ManualClock
from runtime.errors import SinewError

MS = 1_000_000


def addresses(count):
    number = uuid.uuid4().int
    return [f"127.{number % 200 + 20}.{number // 256 % 250 + 1}.{index + 1}" for index in range(count)]


@pytest.fixture(scope="module")
def cell():
    """Two arms, the first one with a hand."""
    data = load_cell("emulated").model_dump(by_alias=True)
    first, second = addresses(2)
    arm = data["arms"]["main"]
    data["cameras"], data["limits"]["workspace"] = {}, {}
    data["arms"] = {
        "left": {**arm, "host": first},
        "right": {**arm, "host": second, "T_base_mount": {"xyz_m": [0.0, -1.5, 0.0]}},
    }
    data["hands"] = {"gripper": {"driver": "franka_hand", "arm": "left"}}
    return Cell.model_validate(data)


@pytest.fixture
def stations(cell):
    clock = ManualClock()
    log = []
    stations = CellStations(cell, Profile.LOCKSTEP, 0, clock, log.append)
    stations.log = log

    def run(milliseconds):
        for _ in range(milliseconds):
            for arm in stations.arms.values():
                arm.poll()
                arm.before_step()
            stations.world.step()
            for arm in stations.arms.values():
                arm.after_step()
            stations.after_step(stations.world.time_ns)

    stations.run = run
    yield stations
    stations.close()


def test_a_fault_strikes_one_arm_at_its_robot_time_and_not_the_other(stations):
    stations.panel.raise_fault("right", "joint_reflex", at_robot_time_s=0.05)
    assert [str(one) for one in stations.panel.pending] == ["joint_reflex on 'right' at 0.050 s"]
    stations.run(50)
    assert stations.arms["right"].robot.mode is RobotMode.IDLE
    stations.run(1)
    assert stations.arms["right"].robot.mode is RobotMode.REFLEX
    assert stations.arms["left"].robot.mode is RobotMode.IDLE
    assert stations.panel.pending == ()


def test_faults_strike_in_the_order_of_their_times_whatever_the_order_of_asking(stations):
    stations.panel.raise_fault("left", "user_stop_released", at_robot_time_s=0.06)
    stations.panel.raise_fault("left", "user_stop", at_robot_time_s=0.03)
    stations.run(40)
    assert stations.arms["left"].robot.mode is RobotMode.USER_STOPPED
    stations.run(30)
    assert stations.arms["left"].robot.mode is RobotMode.IDLE


def test_a_time_that_has_passed_is_now(stations):
    stations.run(20)
    stations.panel.raise_fault("left", "user_stop", at_robot_time_s=0.005)
    stations.run(1)
    assert stations.arms["left"].robot.mode is RobotMode.USER_STOPPED


def test_a_hands_fault_goes_to_the_hand_of_its_arm_and_lasts_as_long_as_told(stations):
    stations.panel.raise_fault("left", "hand_silent", at_robot_time_s=0.01, duration_ms=20)
    stations.run(10)
    assert stations.hands["gripper"].faults(stations.world.time_ns) == ["hand_silent"]
    stations.run(20)
    assert stations.hands["gripper"].faults(stations.world.time_ns) == []
    with pytest.raises(FaultError, match=r"arm 'right' carries no hand: those that do are \['left'\]"):
        stations.panel.raise_fault("right", "hand_silent")


def test_clear_forgets_what_is_to_come_and_ends_what_lasts(stations):
    stations.panel.raise_fault("left", "user_stop", at_robot_time_s=0.05)
    stations.panel.raise_fault("right", "user_stop", at_robot_time_s=0.05)
    stations.panel.raise_fault("left", "hand_fails", count=5)
    stations.run(10)
    stations.panel.clear("left")
    assert stations.hands["gripper"].faults(stations.world.time_ns) == []
    stations.run(60)
    assert stations.arms["left"].robot.mode is RobotMode.IDLE
    assert stations.arms["right"].robot.mode is RobotMode.USER_STOPPED
    assert [line for line in stations.log if line.endswith("fault restore")] == ["arm 'left' at 0.010 s: fault restore"]


@pytest.mark.parametrize(
    ("arm", "name", "arguments", "named"),
    [
        ("left", "joint_refelx", {}, "did you mean 'joint_reflex'"),
        ("left", "zzz", {}, "Known are .*joint_reflex.*hand_silent"),
        ("middle", "user_stop", {}, r"no arm 'middle': this cell has \['left', 'right'\]"),
        (None, "user_stop", {}, "say which arm"),
        ("left", "push", {"link": 9}, "link = 9: allowed 1 to 8"),
        ("left", "push", {"strength": 9}, "takes no 'strength': it takes link"),
        ("left", "push", {"force_x_n": float("nan")}, "force_x_n"),
        ("left", "hand_silent", {"duration_ms": 0}, "duration_ms = 0: allowed 1 to 600000 ms"),
        ("left", "hand_fails", {"count": 1.5}, "whole number"),
        ("left", "user_stop", {"hard": 1}, "it takes no arguments"),
    ],
)
def test_what_cannot_be_raised_is_refused_by_name(stations, arm, name, arguments, named):
    with pytest.raises(FaultError, match=named):
        stations.panel.raise_fault(arm, name, **arguments)
    assert stations.panel.pending == ()


@pytest.mark.parametrize("name", [*FAULTS, *HAND_FAULTS])
def test_every_fault_of_the_table_can_be_raised_by_its_name_alone_and_cleared(stations, name):
    stations.panel.raise_fault("left", name)
    stations.run(3)
    assert any(f"fault {name}" in line for line in stations.log), "people are told of every fault"
    stations.panel.clear()
    stations.run(1)


def test_the_table_says_what_each_fault_does_and_takes():
    rows = {name: (says, takes) for name, says, takes in fault_table()}
    assert set(rows) == {*FAULTS, *HAND_FAULTS}
    assert all(says for says, _ in rows.values())
    assert rows["push"][1].startswith("link 1 to 8 (default 7), force_x_n -500 to 500 N (default 60)")


REQUESTS = [
    ({"do": "fault", "name": "user_stop", "arm": "left"}, "user_stop on 'left' at 0.000 s"),
    ({"do": "clear"}, None),
    ({"do": "clear", "arm": "right"}, None),
    ({"do": "time"}, 0.0),
    ({"do": "scatter", "seed": 3}, None),
    ({"do": "place", "name": "cube", "xyz_m": [0.4, 0.1, 0.3], "quat_wxyz": [1, 0, 0, 0]}, None),
]


@pytest.mark.parametrize(("fields", "result"), REQUESTS)
def test_requests_over_the_wire_do_what_they_say(stations, fields, result):
    assert stations.answer(fields) == result


def test_objects_are_told_and_placed_in_the_world_frame(stations):
    stations.answer({"do": "place", "name": "cube", "xyz_m": [0.4, 0.1, 0.3], "quat_wxyz": [0, 0, 0, 1]})
    cube = stations.answer({"do": "objects"})["cube"]
    assert cube == {"xyz_m": [0.4, 0.1, 0.3], "quat_wxyz": [0.0, 0.0, 0.0, 1.0]}
    before = stations.answer({"do": "objects"})
    stations.answer({"do": "scatter", "seed": 7})
    assert stations.answer({"do": "objects"}) != before


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "tag"),
        ({"do": "dance"}, "'fault', 'faults', 'clear'"),
        ({"do": "time", "zone": 1}, "zone: Extra inputs"),
        ({"do": "fault"}, "name: Field required"),
        ({"do": "fault", "name": "push", "arm": "left", "arguments": {"link": "7"}}, "arguments.link: .*number"),
        ({"do": "fault", "name": "push", "arm": "left", "arguments": {"link": float("inf")}}, "finite"),
        ({"do": "fault", "name": "user_stop", "arm": "left", "at_s": -1}, "at_s: .*greater than or equal to 0"),
        ({"do": "fault", "name": "user_stop", "arm": "left", "at_s": float("nan")}, "at_s"),
        ({"do": "fault", "name": ["user_stop"]}, "name: .*string"),
        ({"do": "place", "name": "cube", "xyz_m": [0, 0], "quat_wxyz": [1, 0, 0, 0]}, "at least 3"),
        ({"do": "place", "name": "cube", "xyz_m": [0, 0, 99], "quat_wxyz": [1, 0, 0, 0]}, "less than or equal to 5"),
        ({"do": "place", "name": "cube", "xyz_m": [0, 0, 1], "quat_wxyz": [0, 0, 0, 0]}, "no direction"),
        ({"do": "place", "name": "cup", "xyz_m": [0, 0, 1], "quat_wxyz": [1, 0, 0, 0]}, "no object 'cup': it has"),
        ({"do": "scatter", "seed": -1}, "seed"),
    ],
)
def test_bad_requests_are_refused_by_key_and_value(stations, fields, named):
    with pytest.raises(SinewError, match=named):
        stations.answer(fields)
