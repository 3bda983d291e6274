"""The hand's process against the emulated hand, through the real client library."""

import math
import subprocess
import sys

import pytest

from hil.driver_bench.hand_faults import BAD_REQUESTS
from hil.rig import Rig, own_addresses
from runtime.cell import load_cell
from runtime.child import ROOT
from runtime.rows import DriverState, RequestKind, RequestStatus

MOVE, GRASP, HOMING, STOP = (RequestKind[f"HAND_{name}"] for name in ("MOVE", "GRASP", "HOMING", "STOP"))


@pytest.fixture(scope="module")
def rig():
    with Rig(own_addresses(load_cell("emulated")), arms=[], cameras=[], profile="lockstep") as one:
        yield one
    assert one.left_over() == []


@pytest.fixture
def hand(rig):
    rig.panel.clear()
    one = rig.hands["main"]
    one.wait(lambda row: int(row["driver_state"]) == DriverState.OK and not row["busy"], "ready")
    one.events()
    return one


def _ask(hand, kind, values=()):
    """Ask; once more if a starved machine let the library's own time-out of 1 s kill the link meanwhile."""
    for _ in range(4):
        connection = int(hand.wait_state(DriverState.OK)["connection"])
        status = hand.ask(kind, values=values)
        row = hand.wait_state(DriverState.OK)
        if int(row["connection"]) == connection:
            return status
    raise AssertionError(f"the link keeps dying: {hand.events()}")


def _width(hand):
    return float(hand.wait(lambda row: True, "a row")["width_m"])


def test_motions_end_where_they_were_asked_to_and_say_how(hand):
    assert _ask(hand, HOMING) is RequestStatus.DONE
    assert _ask(hand, MOVE, values=(0.03, 0.1)) is RequestStatus.DONE
    assert _width(hand) == pytest.approx(0.03, abs=1e-3)
    assert _ask(hand, GRASP, values=(0.01, 0.1, 20.0, 0.002, 0.002)) is RequestStatus.UNSUCCESSFUL
    row = hand.wait(lambda row: True, "a row")
    assert row["is_grasped"] == 0
    assert any("nothing of that width is held" in text for _, text in hand.events())


@pytest.mark.parametrize(("name", "kind", "values"), BAD_REQUESTS, ids=[name for name, _, _ in BAD_REQUESTS])
def test_a_bad_request_is_refused_with_its_reason_and_moves_nothing(hand, name, kind, values):
    before = _width(hand)
    assert hand.ask(kind, values=values) is RequestStatus.REFUSED
    assert any("refused" in text for _, text in hand.events())
    assert _width(hand) == pytest.approx(before, abs=1e-4)


def test_the_newest_wish_wins_and_the_loop_stays_alive_meanwhile(hand):
    _ask(hand, MOVE, values=(0.0, 0.1))
    slow = hand.send(MOVE, values=(0.08, 0.002))
    hand.wait(lambda row: bool(row["busy"]), "the slow motion runs")
    beats = hand.beats()
    hand.wait(lambda row: hand.beats() > beats + 5, "turns while the library blocks")
    assert _ask(hand, MOVE, values=(0.02, 0.1)) is RequestStatus.DONE
    assert _width(hand) == pytest.approx(0.02, abs=1e-3)
    assert any(f"request {slow} FAILED" in text and "supersedes" in text for _, text in hand.events())


def test_stop_ends_a_motion_where_it_is(hand):
    _ask(hand, MOVE, values=(0.08, 0.1))
    hand.send(MOVE, values=(0.0, 0.005))
    hand.wait(lambda row: bool(row["busy"]), "the motion runs")
    assert hand.ask(STOP) is RequestStatus.DONE
    hand.wait(lambda row: not row["busy"], "the motion ended")
    assert _width(hand) > 0.05


def test_a_dead_link_shows_no_width_fails_the_motion_and_is_rebuilt_without_resuming(rig, hand):
    _ask(hand, MOVE, values=(0.08, 0.1))
    connection = int(hand.wait(lambda row: True, "a row")["connection"])
    request = hand.send(MOVE, values=(0.0, 0.005))
    hand.wait(lambda row: bool(row["busy"]), "the motion runs")
    hand.skip_history()
    rig.panel.fault("hand_dropped", duration_ms=300)
    row = hand.wait_state(DriverState.LINK_DEAD)
    assert (int(row["request_id"]), int(row["request_status"])) == (request, RequestStatus.FAILED)
    back = hand.wait(
        lambda row: int(row["connection"]) > connection and int(row["driver_state"]) == DriverState.OK, "back"
    )
    assert not back["busy"]
    seen = hand.history()["row"]
    dead = seen[seen["driver_state"] == DriverState.LINK_DEAD]
    assert len(dead) > 0
    assert all(math.isnan(width) for width in dead["width_m"])


def test_a_failure_of_the_hand_itself_is_a_failed_request_and_no_dead_link(rig, hand):
    rig.panel.fault("hand_fails")
    assert _ask(hand, MOVE, values=(0.05, 0.1)) is RequestStatus.FAILED
    assert hand.state is DriverState.OK
    assert _ask(hand, MOVE, values=(0.05, 0.1)) is RequestStatus.DONE


def test_a_second_driver_of_the_same_hand_is_refused_by_the_holders_pid(rig, hand):
    arguments = ["--cell", str(rig.cell_file), "--instance", f"{rig.instance}-b", "--hand", "main"]
    second = subprocess.run(
        [sys.executable, "-m", "drivers.franka.hand_process", *arguments],
        capture_output=True, text=True, timeout=120, check=False, cwd=ROOT,
    )  # fmt: skip
    assert second.returncode == 1
    assert f"process {rig.child('hand.main').pid}" in second.stderr


def test_an_unknown_hand_is_refused_with_the_known_ones(rig):
    arguments = ["--cell", str(rig.cell_file), "--instance", f"{rig.instance}-c", "--hand", "left"]
    wrong = subprocess.run(
        [sys.executable, "-m", "drivers.franka.hand_process", *arguments],
        capture_output=True, text=True, timeout=120, check=False, cwd=ROOT,
    )  # fmt: skip
    assert wrong.returncode == 1
    assert "no hand 'left': it has ['main']" in wrong.stderr
