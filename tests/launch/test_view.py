"""What an operator reads: where the session stands, what it waits for, and every message once where there is no terminal."""

import io
import uuid

import pytest

from hil.stack import lean_cell
from launch.supervisor import Supervisor
from launch.view import View, lines
from runtime.clock import MonotonicClock
from runtime.ring import remove_dead_rings


@pytest.fixture
def supervisor(tmp_path, monkeypatch):
    """A supervisor that has not taken its first turn: it has started nothing."""
    monkeypatch.setenv("SINEW_STATE", str(tmp_path))
    instance = f"test-{uuid.uuid4().hex[:8]}"
    one = Supervisor(lean_cell(), "emulated", instance, tmp_path, MonotonicClock().now_ns())
    yield one
    one.close()
    remove_dead_rings(instance)


def test_what_the_start_waits_for_is_said(supervisor):
    supervisor.doing = "starting arm.main"
    first = lines(supervisor, {}, 0)[0][1]
    assert first == "sinew  cell emulated (emulated)  starting  starting arm.main"


def test_an_arm_without_state_is_no_still_arm(supervisor):
    assert ("31", "  arm main: no state") in lines(supervisor, {}, 0)


def test_help_on_keys_stands_last(supervisor):
    assert [text for _, text in lines(supervisor, {}, 0, keys="one\ntwo")[-2:]] == ["one", "two"]


def test_without_a_terminal_every_message_is_printed_once(supervisor):
    out = io.StringIO()
    view = View(supervisor, supervisor.instance, out)
    supervisor.say("first")
    view.draw(0)
    view.draw(1)
    supervisor.say("second")
    view.draw(2)
    assert out.getvalue().splitlines() == ["first", "second"]


def test_more_messages_than_are_kept_lose_the_oldest_only(supervisor):
    out = io.StringIO()
    view = View(supervisor, supervisor.instance, out)
    for number in range(250):
        supervisor.say(f"message {number}")
    view.draw(0)
    assert out.getvalue().splitlines()[-200:] == [f"message {number}" for number in range(50, 250)]
