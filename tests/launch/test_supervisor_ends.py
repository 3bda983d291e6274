"""However a session ends, the arm comes to rest by the robot's own log, and nothing of the session stays behind."""

import json
import signal

import pytest

from hil.stack import Stack, lean_cell
from runtime.modes.causes import Cause, bit
from runtime.modes.machine import Mode


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
def test_a_signal_in_motion_brings_the_arm_to_rest_and_ends_everything(number, swing, came_to_rest, armed):
    with Stack(lean_cell(patient=True)) as stack:
        armed(stack)
        swing(stack)
        stack.signal("launch", number)
        status = stack.wait_ended()
        assert status in (0, 130), stack.said()
        rows = came_to_rest(stack)
        assert rows["client"][-1] == 0
        assert stack.left_over() == []


def test_a_killed_supervisor_leaves_the_arm_at_rest_and_its_faults_kept(swing, came_to_rest, done, armed):
    with Stack(lean_cell(patient=True)) as first:
        armed(first)
        running = swing(first)
        first.panel.fault("joint_reflex")
        assert not running.wait()["ok"]
        latch_file = first.work_dir / "state" / f"{first.instance}.latch.json"
        first.wait(latch_file.exists, "the fault is on disk")
        assert json.loads(latch_file.read_text())["cause"] == "arm_reflex"
        assert first.ask("ack")["ok"]
        assert not latch_file.exists()
        running = swing(first)
        first.panel.fault("user_stop")
        assert not running.wait()["ok"]
        first.wait(latch_file.exists, "the fault is on disk")
        assert first.kill("launch")
        first.wait(lambda: not first.processes(), "every process has ended by itself")
        came_to_rest(first)
        assert first.left_over() == []
        with Stack(first.cell, keep=first) as second:
            second.wait_up()
            second.wait_mode(Mode.FAULT)
            assert second.latched & bit(Cause.LATCH_KEPT)
            refused = second.ask("home")
            assert not refused["ok"], "a fault of the earlier session was forgotten"
            assert second.ask("ack")["ok"]
            assert not latch_file.exists()
            done(second, "home")
        assert second.left_over() == []


def test_a_supervisor_killed_in_motion_leaves_the_arm_at_rest_and_nothing_behind(swing, came_to_rest, armed):
    with Stack(lean_cell(patient=True)) as stack:
        armed(stack)
        swing(stack)
        stack.kill("launch")
        stack.wait(lambda: not stack.processes(), "every process has ended by itself")
        came_to_rest(stack)
        assert stack.left_over() == []
