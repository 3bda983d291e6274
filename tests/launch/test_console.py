"""The console's line: answers find their asker, late ones too; garbage is refused and harms nobody."""

import threading
import uuid

import msgpack
import pytest
import zmq

from launch.console import MAX_MESSAGE_BYTES, ConsoleError, ConsoleServer, address, ask
from runtime.ring import remove_dead_rings


@pytest.fixture
def instance():
    name = f"test-{uuid.uuid4().hex[:8]}"
    yield name
    remove_dead_rings(name)


@pytest.fixture
def server(instance):
    one = ConsoleServer(instance)
    yield one
    one.close()


def _ask_in_thread(instance, verb, found, **arguments):
    thread = threading.Thread(target=lambda: found.append(ask(instance, verb, 20.0, **arguments)))
    thread.start()
    return thread


def test_nobody_there_is_said_with_the_remedy(instance):
    with pytest.raises(ConsoleError, match="nothing runs as .* 'sinew run'"):
        ask(instance, "stop", 1.0)


def test_a_silent_supervisor_is_said_and_what_protects_meanwhile(instance, server):
    with pytest.raises(ConsoleError, match="did not answer 'stop'.*stops the arms by itself"):
        ask(instance, "stop", 0.2)


def test_an_answer_may_come_later_and_finds_its_asker(instance, server):
    found_stop, found_status = [], []
    stop = _ask_in_thread(instance, "stop", found_stop, reason="test")
    waiting = server.poll(20_000)
    status = _ask_in_thread(instance, "status", found_status)
    for request in server.poll(20_000):
        server.answer(request, ok=True, text="running", speed=1.0)
    status.join()
    assert waiting[0].arguments == {"reason": "test"}
    assert not found_stop
    server.answer(waiting[0], ok=True, text="still")
    stop.join()
    assert found_stop[0]["text"] == "still"
    assert found_status[0]["data"] == {"speed": 1.0}


def _deep(depth):
    return b"\x91" * depth + b"\xc0"


@pytest.mark.parametrize(
    "parts",
    [
        [b""],
        [b"\xc1"],
        [b"\xff" * 100],
        [_deep(10_000)],
        [b"\xdd\xff\xff\xff\xff"],
        [b"\xdb\x7f\xff\xff\xff"],
        [msgpack.packb([1, 2])],
        [msgpack.packb({"number": "x", "verb": "stop", "arguments": {}})],
        [msgpack.packb({"number": 1, "verb": 5, "arguments": {}})],
        [msgpack.packb({"number": 1, "verb": "stop"})],
        [msgpack.packb({"number": 1, "verb": "stop", "arguments": {}}), b"more"],
    ],
)
def test_garbage_is_refused_with_the_reason_and_the_line_lives_on(instance, server, parts):
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(address(instance))
        socket.send_multipart(parts)
        assert server.poll(20_000) == []
        assert server.refused == 1
        assert socket.poll(20_000)
        assert "not understood" in msgpack.unpackb(socket.recv())["text"]
    found = []
    good = _ask_in_thread(instance, "status", found)
    server.answer(server.poll(20_000)[0], ok=True, text="fine")
    good.join()
    assert found[0]["text"] == "fine"


def test_an_oversize_message_ends_that_line_only(instance, server):
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(address(instance))
        socket.send(b"x" * (MAX_MESSAGE_BYTES + 1))
        assert server.poll(300) == []
    found = []
    good = _ask_in_thread(instance, "status", found)
    server.answer(server.poll(20_000)[0], ok=True, text="fine")
    good.join()
    assert found[0]["ok"]
