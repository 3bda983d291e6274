"""A rig starts what it was asked to, notices what dies, and leaves nothing behind."""

import os

import pytest

from hil.rig import Rig, RigError, own_addresses
from runtime.cell import load_cell
from runtime.rows import DriverState, RequestKind, RequestStatus


def _gone(pids):
    return [pid for pid in pids if not os.path.exists(f"/proc/{pid}")] == list(pids)


def test_a_rig_comes_up_notices_a_death_restarts_a_driver_and_leaves_nothing():
    cell = own_addresses(load_cell("emulated"))
    with Rig(cell, arms=[], cameras=[], profile="lockstep") as rig:
        pids = rig.pids()
        assert sorted(pids) == ["cell", "hand.main"]
        hand = rig.hands["main"]
        assert hand.state is DriverState.OK
        session = hand.session
        rig.kill("hand.main")
        rig.start_driver("hand", "main")
        hand.wait(lambda row: hand.session != session and int(row["driver_state"]) == DriverState.OK, "a new driver")
        assert hand.ask(RequestKind.ENABLE) is RequestStatus.REFUSED
        os.kill(rig.child("hand.main").pid, 9)
        with pytest.raises(RigError, match=r"hand.main .* ended by signal SIGKILL"):
            rig.wait(lambda: False, "nothing", timeout_s=60.0)
        every = [*pids.values(), rig.child("hand.main").pid]
    assert _gone(every)
    assert rig.left_over() == []
    assert not rig.cell_file.exists()


def test_an_exception_inside_leaves_nothing_either():
    with (
        pytest.raises(ZeroDivisionError),
        Rig(own_addresses(load_cell("emulated")), arms=[], hands=[], cameras=[], profile="lockstep") as rig,
    ):
        pids = list(rig.pids().values())
        raise ZeroDivisionError
    assert _gone(pids)
    assert rig.left_over() == []


def test_a_process_that_cannot_start_is_named_with_its_last_words():
    cell = own_addresses(load_cell("emulated"))
    rig = Rig(cell, arms=[], hands=[], cameras=[], profile="lockstep")
    try:
        rig.spawn("wrong", "drivers.franka.hand_process", "--cell", "nowhere", "--instance", "x", "--hand", "main")
        with pytest.raises(RigError, match=r"wrong .* ended with status 1: .*no cell 'nowhere'"):
            rig.wait(lambda: False, "nothing", timeout_s=60.0)
    finally:
        rig.stop()


def test_two_copies_of_a_cell_never_share_an_address():
    cell = load_cell("emulated_dual")
    hosts = [arm.host for _ in range(20) for arm in own_addresses(cell).arms.values()]
    assert len(set(hosts)) == len(hosts)
    assert all(host.startswith("127.") for host in hosts)


def test_a_real_cell_keeps_its_addresses_and_has_no_panel():
    cell = load_cell("franka")
    with pytest.raises(RigError, match="is real"):
        own_addresses(cell)
    rig = Rig(cell, arms=[], hands=[], cameras=[])
    try:
        with pytest.raises(RigError, match="no fault panel"):
            _ = rig.panel
    finally:
        rig.stop()
