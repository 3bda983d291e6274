"""A device that dies beside the arm: a hand stops it, a camera only where the motion needs it; both start again."""

import pytest

from hil.stack import Stack, lean_cell
from runtime.modes.causes import Cause, bit
from runtime.modes.machine import DRIVING, Mode


@pytest.fixture(scope="module")
def equipped():
    """A session with hand and cameras, of which the motion needs one."""
    with Stack(
        lean_cell(hands=True, cameras=True, patient=True),
        ("--source", "hold", "--stay", "--needs-cameras", "front"),
    ) as stack:
        stack.wait_up()
        stack.wait_mode(Mode.ARMED, Mode.HOLD)
        stack.wait_said("camera 'front' (serial 000000000001): WARMUP -> STREAMING")
        yield stack


def test_a_killed_hand_driver_stops_the_arm_and_starts_again(equipped, swing, done):
    running = swing(equipped)
    equipped.kill("drivers.franka.hand_process")
    assert not running.wait()["ok"]
    equipped.wait_mode(Mode.FAULT)
    equipped.wait_still()
    assert equipped.latched & bit(Cause.PROCESS_DEAD)
    equipped.wait_said("starting hand.main again (1 of 3)")
    done(equipped, "ack")


def test_a_killed_camera_that_nobody_needs_stops_nothing_and_starts_again(equipped, swing):
    swing(equipped)
    equipped.kill("hil.realsense.process wrist")
    equipped.wait_said("starting camera.wrist again (1 of 3)")
    assert equipped.mode in DRIVING
    assert equipped.ask("stop")["ok"]
    assert equipped.ask("ack")["ok"]


def test_a_killed_camera_that_the_motion_needs_stops_the_arm(equipped, swing):
    running = swing(equipped)
    equipped.kill("hil.realsense.process front")
    assert not running.wait()["ok"]
    assert equipped.latched & bit(Cause.CAMERA_DEAD)
    equipped.wait_still()
    equipped.wait_said("starting camera.front again (1 of 3)")


def test_a_camera_that_does_not_exist_cannot_be_needed(equipped):
    status, said = equipped.verb(
        "run", "--cell", str(equipped.cell_file), "--source", "hold", "--needs-cameras", "rear"
    )
    assert status == 2
    assert "the cameras of 'emulated' are: front, wrist" in said
