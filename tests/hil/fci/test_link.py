"""Hostile and clumsy clients: each is dropped or refused with a reason, and the server serves the next one."""

import contextlib
import random
import socket
import struct

import franky
import pytest

from hil.fci.arm_server import HANDSHAKE_PATIENCE_NS
from hil.fci.protocol import ROBOT_COMMAND, RobotMode
from runtime.clock import ManualClock

PORT = 1337
CONNECT = struct.pack("<IIIHH", 0, 0, 16, 10, 40_000)


@contextlib.contextmanager
def stranger(arm, *sent):
    """A raw connection to the arm that says these bytes."""
    with socket.create_connection((arm.host, PORT), timeout=10) as client:
        for part in sent:
            client.sendall(part)
        yield client


def assert_dropped(client):
    """The server has cut the connection."""
    with contextlib.suppress(ConnectionResetError):
        while client.recv(4096):
            pass


def wait_for_report(arm, text):
    """The server says why, after the cut that the client sees."""
    arm.wait_until(lambda: any(text in sentence for sentence in arm.log))


def assert_serves(arm):
    """A real client connects and reads a state."""
    arm.wait_until(lambda: not arm.server.link.connected)
    robot = arm.connect()
    assert robot.state.q is not None


MALFORMED = {
    "unknown command": struct.pack("<III", 99, 0, 12),
    "size smaller than a header": struct.pack("<III", 1, 0, 3),
    "size of zero": struct.pack("<III", 0, 0, 0),
    "four gigabytes": struct.pack("<III", 1, 0, 2**32 - 1),
    "short Connect": struct.pack("<IIIH", 0, 0, 14, 10),
    "long Connect": struct.pack("<IIIHHH", 0, 0, 18, 10, 40_000, 0),
    "text": b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_first_message_drops_the_client_with_the_reason(arm, name):
    with stranger(arm, MALFORMED[name]) as client:
        assert_dropped(client)
    arm.wait_until(lambda: not arm.server.link.connected)
    wait_for_report(arm, "broke the protocol")
    assert_serves(arm)


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_later_message_drops_the_client(arm, name):
    with stranger(arm, CONNECT) as client:
        assert len(client.recv(64)) == 15
        client.sendall(MALFORMED[name])
        assert_dropped(client)
    assert_serves(arm)


def test_message_before_connect_drops_the_client(arm):
    with stranger(arm, struct.pack("<III", 11, 0, 12)) as client:
        assert_dropped(client)
    wait_for_report(arm, "before Connect")
    assert_serves(arm)


def test_second_connect_drops_the_client(arm):
    with stranger(arm, CONNECT, CONNECT) as client:
        assert_dropped(client)
    wait_for_report(arm, "Connect twice")
    assert_serves(arm)


def test_header_cut_short_by_a_close_is_said_and_forgotten(arm):
    with stranger(arm, CONNECT[:7]):
        arm.wait_until(lambda: arm.server.link.connected)
    arm.wait_until(lambda: not arm.server.link.connected)
    wait_for_report(arm, "within a message")
    assert_serves(arm)


def test_message_in_single_bytes_is_understood(arm):
    with stranger(arm) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in CONNECT:
            client.sendall(bytes((byte,)))
        assert client.recv(64) == struct.pack("<IIIBH", 0, 0, 15, 0, 10)


def test_stranger_that_says_nothing_keeps_no_one_out_for_ever(run_arm):
    clock = ManualClock()
    arm = run_arm(clock=clock, turning=False)
    with stranger(arm) as client:
        while not arm.server.link.connected:
            arm.server.poll()
        clock.advance(HANDSHAKE_PATIENCE_NS)
        arm.server.poll()
        assert arm.server.link.connected
        clock.advance(1)
        arm.server.poll()
        assert_dropped(client)
    assert not arm.server.link.connected
    assert any("did not say Connect" in sentence for sentence in arm.log)


def test_random_bytes_never_end_the_server(arm):
    dice = random.Random(20_26)
    for _ in range(40):
        prefix = CONNECT if dice.random() < 0.5 else b""
        with contextlib.suppress(ConnectionError), stranger(arm, prefix + dice.randbytes(dice.randrange(1, 300))):
            pass
        arm.wait_until(lambda: not arm.server.link.connected)
    assert arm.server.link.connections + arm.server.link.refused >= 20
    assert_serves(arm)
    assert arm.robot.mode is RobotMode.IDLE


def test_datagrams_of_the_wrong_size_or_sender_move_nothing(arm):
    robot = arm.connect()
    robot.move(franky.JointVelocityMotion([0.0] * 7, franky.Duration(20_000)), asynchronous=True)
    arm.wait_until(lambda: arm.robot.motion is not None and arm.robot.motion.started)
    port = arm.server.link.udp_port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        for size in (0, 1, ROBOT_COMMAND.itemsize - 1, ROBOT_COMMAND.itemsize, ROBOT_COMMAND.itemsize + 1, 2000):
            other.sendto(b"\xff" * size, (arm.host, port))
    arm.wait_until(lambda: arm.server.link.bad_datagrams >= 6)
    wait_for_report(arm, "ignored a datagram")
    assert arm.robot.mode is RobotMode.MOVE
    robot.move(franky.JointVelocityStopMotion())
