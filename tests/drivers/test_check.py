"""`check` against the emulated cell: what is right is said to be, what is wrong is named with its remedy."""

import threading

import pytest

from drivers.check import _bounded, check
from drivers.franka.robot_lock import RobotLock, resolve
from hil.rig import Rig, own_addresses
from runtime.cell import Cell, load_cell
from runtime.errors import SinewError


@pytest.fixture(scope="module")
def rig():
    with Rig(own_addresses(load_cell("emulated")), arms=[], hands=[], cameras=[]) as one:
        yield one


def _findings(cell):
    return {one.name: one for one in check(cell)}


def _edited(cell, **arm):
    data = cell.model_dump(by_alias=True, mode="json")
    data["arms"]["main"] |= arm
    return Cell.model_validate(data)


def test_a_running_cell_is_ready_and_its_robot_says_what_it_is(rig):
    found = _findings(rig.cell)
    assert [one for one in found.values() if not one.ok and one.required] == []
    assert "version 10" in found["arm main: server"].found
    assert "103.4" in found["arm main: end-effector frame"].found
    assert found["arm main: mode"].found == "Idle"
    assert "server version 3" in found["hand main"].found
    assert found["camera front"].ok


def test_a_wrong_frame_and_a_home_out_of_limits_are_named_with_what_to_do(rig):
    frame = {"xyz_m": [0, 0, 0], "rpy_rad": [0, 0, 0]}
    found = _findings(_edited(rig.cell, T_flange_ee=frame, home_q_rad=[0, 0, 0, 3.0, 0, 1.5, 0]))
    wrong = found["arm main: end-effector frame"]
    assert not wrong.ok
    assert "103.4 mm" in wrong.found
    assert "T_flange_ee" in wrong.remedy
    assert not found["arm main: limits"].ok
    assert "joint [4]" in found["arm main: limits"].found


@pytest.mark.parametrize(
    ("fault", "ending", "mode", "remedy"),
    [
        ("user_stop", "user_stop_released", "UserStopped", "release"),
        ("brakes_locked", "brakes_unlocked", "Other", "brakes"),
    ],
)
def test_a_robot_that_cannot_move_is_named_with_what_to_do(rig, fault, ending, mode, remedy):
    rig.panel.fault(fault)
    try:
        found = _findings(rig.cell)["arm main: mode"]
    finally:
        rig.panel.fault(ending)
    assert (found.ok, found.found) == (False, mode)
    assert remedy in found.remedy


def test_a_robot_that_a_driver_holds_is_left_alone(rig):
    host = rig.cell.arms["main"].host
    lock = RobotLock(host, resolve(host))
    try:
        before = rig.panel.status()["arms"]["main"]["connections"]
        found = _findings(rig.cell)
        assert not found["arm main: free"].ok
        assert "is held by process" in found["arm main: free"].found
        assert "arm main: server" not in found
        assert rig.panel.status()["arms"]["main"]["connections"] - before <= 1  # the port alone was asked for
    finally:
        lock.release()


def test_absent_devices_are_found_missing_with_their_remedy():
    data = load_cell("franka").model_dump(by_alias=True, mode="json")
    data["arms"]["main"]["host"] = "127.231.231.233"
    found = _findings(Cell.model_validate(data))
    for name in ("arm main: network", "hand main", "camera front", "camera wrist"):
        assert not found[name].ok, name
        assert found[name].required
        assert found[name].remedy
    assert "123456789012" in found["camera front"].found


def test_a_call_that_never_comes_back_is_given_up(monkeypatch):
    monkeypatch.setattr("drivers.check.CONNECT_S", 0.05)
    gate = threading.Event()
    with pytest.raises(SinewError, match="said nothing for 0.05 s"):
        _bounded(gate.wait, "127.0.0.1", 1)
    gate.set()
