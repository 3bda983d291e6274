"""What every driver process shares: requests are for the process that lives, signals only ask."""

import os
import signal
import uuid

import pytest

from drivers.device import REQUEST_SLOTS, DeviceShell
from runtime.ring import RingBusyError, RingReader, RingWriter, remove_dead_rings
from runtime.rows import EVENT, HEARTBEAT, REQUEST, RequestKind, Severity


@pytest.fixture
def instance():
    name = f"test-{uuid.uuid4().hex[:8]}"
    yield name
    remove_dead_rings(name)


@pytest.fixture
def shell(instance):
    one = DeviceShell(instance, "arm.main")
    yield one
    one.close()


@pytest.fixture
def requester(instance):
    with RingWriter(instance, "arm.main.request", REQUEST, REQUEST_SLOTS) as writer:
        yield writer


def _ask(requester, request_id, kind):
    requester.row["id"], requester.row["kind"] = request_id, kind
    requester.commit(request_id)


def _ids(shell):
    return [int(request["id"]) for request in shell.requests()]


def test_a_restarted_driver_never_does_again_what_its_predecessor_was_asked(instance, requester):
    _ask(requester, 1, RequestKind.GOTO)
    first = DeviceShell(instance, "arm.main")
    _ask(requester, 2, RequestKind.GOTO)
    assert _ids(first) == [2]
    _ask(requester, 3, RequestKind.GOTO)
    first.close()
    second = DeviceShell(instance, "arm.main")
    assert _ids(second) == []
    _ask(requester, 4, RequestKind.STOP)
    assert _ids(second) == [4]
    second.close()


def test_a_requester_that_comes_later_or_is_replaced_is_heard_from_its_first_request(instance, shell):
    assert _ids(shell) == []
    for session in (1, 2):
        with RingWriter(instance, "arm.main.request", REQUEST, REQUEST_SLOTS) as writer:
            _ask(writer, session, RequestKind.ENABLE)
            assert _ids(shell) == [session]


def test_two_processes_cannot_be_the_same_device(instance, shell):
    with pytest.raises(RingBusyError, match=f"process {os.getpid()}"):
        DeviceShell(instance, "arm.main")


def test_heartbeat_and_events_are_readable_by_others(instance, shell):
    shell.beat(10, work_ns=3, late_ns=4, phase=5)
    shell.beat(20)
    shell.event(30, Severity.ERROR, "a_code", "what, where, and what to do " + "x" * 1000)
    beat = RingReader(instance, "arm.main.heartbeat", HEARTBEAT).latest(20)
    assert (int(beat["pid"]), int(beat["beats"])) == (os.getpid(), 2)
    event = RingReader(instance, "arm.main.event", EVENT).latest(30)
    assert event["code"] == b"a_code"
    assert len(event["text"]) == 400


def test_a_signal_only_asks_so_that_the_arm_can_be_stopped_first(shell):
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        for number in before:
            shell.stop_requested = False
            shell.handle_signals()
            os.kill(os.getpid(), number)
            assert shell.stop_requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
