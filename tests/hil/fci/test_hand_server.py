"""The real franky.Gripper, and strangers, against the emulated hand."""

import socket
import struct

import franky
import pytest

from hil.fci.hand_wire import MAX_MESSAGE_BYTES

CONNECT = struct.pack("<HIIHH", 0, 1, 14, 3, 40_000)


@pytest.fixture
def stranger(hand):
    """Opens raw connections to the hand and closes them."""
    opened = []

    def connect(data=b""):
        connection = socket.create_connection((hand.host, 1338), timeout=20)
        opened.append(connection)
        connection.sendall(data)
        return connection

    yield connect
    for connection in opened:
        connection.close()


def until_dropped(connection):
    """What the hand still said before it closed the connection."""
    received = b""
    try:
        while chunk := connection.recv(100):
            received += chunk
    except ConnectionResetError:
        pass  # closed with bytes of ours unread
    return received


def test_franky_homes_moves_and_reads_the_width(hand, fingers):
    gripper = franky.Gripper(hand.host)
    assert gripper.homing()
    assert gripper.max_width == pytest.approx(0.08, abs=0.001)
    assert gripper.move(0.02, 0.05)
    assert gripper.state.width == pytest.approx(0.02, abs=0.001)
    assert not gripper.state.is_grasped
    assert gripper.open(0.1)
    assert fingers.width_m == pytest.approx(0.08, abs=0.001)


def test_franky_grasps_what_is_there_and_not_what_is_not(hand, fingers):
    gripper = franky.Gripper(hand.host)
    fingers.object_m = 0.03
    assert gripper.grasp(0.03, 0.1, 20.0) is True
    assert gripper.state.is_grasped
    fingers.object_m = None
    hand.wait_until(lambda: not hand.server.motion.is_grasped)
    assert gripper.open(0.1)
    assert gripper.grasp(0.03, 0.1, 20.0) is False
    assert not gripper.state.is_grasped


def test_stop_aborts_a_running_move_where_the_fingers_are(hand, fingers):
    gripper = franky.Gripper(hand.host)
    future = gripper.move_async(0.08, 0.0005)
    hand.wait_until(lambda: hand.server.motion.running is not None)
    assert gripper.stop()
    with pytest.raises(franky.CommandException, match="aborted"):
        future.get()
    stopped_at = fingers.width_m
    assert 0.04 <= stopped_at < 0.08
    hand.wait_until(lambda start=hand.time_ns: hand.time_ns > start + 100_000_000)
    assert fingers.width_m == stopped_at


def test_a_new_command_aborts_the_running_one_and_is_done(hand, fingers):
    gripper = franky.Gripper(hand.host)
    future = gripper.move_async(0.08, 0.0005)
    hand.wait_until(lambda: hand.server.motion.running is not None)
    assert gripper.move(0.03, 0.1)
    with pytest.raises(franky.CommandException, match="aborted"):
        future.get()
    assert fingers.width_m == pytest.approx(0.03, abs=0.001)


@pytest.mark.parametrize("bad", [(float("nan"), 0.1), (-0.01, 0.1), (0.2, 0.1), (0.04, 0.0), (0.04, float("inf"))])
def test_a_refused_command_raises_in_the_client_and_the_hand_lives_on(hand, fingers, bad):
    gripper = franky.Gripper(hand.host)
    with pytest.raises(franky.CommandException, match="failed"):
        gripper.move(*bad)
    assert "refused" in hand.log[-1]
    assert gripper.move(0.03, 0.1)


def test_a_second_client_is_refused_and_the_first_one_served_on(hand, stranger):
    gripper = franky.Gripper(hand.host)
    assert until_dropped(stranger(CONNECT)) == b""
    with pytest.raises(franky.NetworkException):
        franky.Gripper(hand.host)
    assert sum("refused a second client" in line for line in hand.log) == 2
    assert gripper.move(0.03, 0.1)


def test_when_the_client_leaves_the_next_one_is_served(hand):
    for _ in range(3):
        gripper = franky.Gripper(hand.host)
        assert gripper.move(0.03, 0.1)
        del gripper
        hand.wait_until(lambda: not hand.server.connected)


def test_a_client_that_comes_back_at_once_is_served_and_owed_nothing(hand, stranger, fingers):
    slow_move = struct.pack("<HIIdd", 3, 2, 26, 0.08, 0.0005)
    for _ in range(20):
        first = stranger(CONNECT + slow_move)
        assert len(first.recv(14)) == 14
        hand.wait_until(lambda: hand.server.motion.running is not None)
        first.close()
        second = stranger(CONNECT)
        assert second.recv(100) == struct.pack("<HIIHH", 0, 1, 14, 0, 3), (
            "nor the end of a move that it did not ask for"
        )
        assert hand.server.motion.running is None
        second.close()


def test_another_protocol_version_is_told_ours(hand, stranger):
    reply = stranger(struct.pack("<HIIHH", 0, 7, 14, 2, 40_000)).recv(100)
    assert reply == struct.pack("<HIIHH", 0, 7, 14, 1, 3)
    hand.wait_until(lambda: any("speaks gripper version 2: this hand has 3" in line for line in hand.log))


MALFORMED = {
    "unknown command": (struct.pack("<HII", 9, 1, 10), "command 9: allowed are"),
    "size below the header": (struct.pack("<HII", 1, 1, 9), "HOMING of 9 bytes"),
    "size of zero": (struct.pack("<HII", 3, 1, 0), "MOVE of 0 bytes"),
    "four gigabytes announced": (struct.pack("<HII", 3, 1, 0xFFFFFFFF), "MOVE of 4294967295 bytes"),
    "payload too long": (struct.pack("<HII", 4, 1, 14) + b"0123", "STOP of 14 bytes"),
    "command before CONNECT": (struct.pack("<HII", 1, 1, 10), "HOMING before CONNECT"),
    "CONNECT twice": (CONNECT + CONNECT, "CONNECT on a connection"),
    "UDP port zero": (struct.pack("<HIIHH", 0, 1, 14, 3, 0), "UDP port 0"),
    "not this protocol": (b"GET / HTTP/1.1\r\n\r\n", "command 17735"),
    "truncated header": (b"\x03\x00\x01", "cut off after 3 bytes"),
    "truncated payload": (CONNECT + struct.pack("<HIId", 3, 1, 26, 0.04), "cut off after 18 bytes"),
    "silence": (b"", "no CONNECT"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_packet_drops_its_client_says_why_and_the_hand_lives_on(hand, stranger, name):
    data, reason = MALFORMED[name]
    assert len(until_dropped(stranger(data))) <= 14, "nothing but CONNECT's answer was due"
    hand.wait_until(lambda: any(reason in line for line in hand.log))
    assert franky.Gripper(hand.host).move(0.03, 0.1)


def test_a_trickle_of_bytes_does_not_keep_the_place(hand, stranger):
    connection = stranger()
    message = struct.pack("<HIIHH", 0, 1, 14, 3, 40_000)
    for byte in message[:-1]:
        start = hand.time_ns
        try:
            connection.sendall(bytes([byte]))
        except OSError:
            break
        hand.wait_until(lambda start=start: hand.time_ns > start + 300_000_000)
    hand.wait_until(lambda: any("for 2 s" in line for line in hand.log))


def test_what_is_received_and_not_yet_a_message_stays_bounded(hand, stranger):
    connection = stranger(CONNECT)
    connection.recv(14)
    for number in range(400):
        connection.sendall(struct.pack("<HII", 4, number, 10))
    received = 0
    while received < 400 * 12:
        received += len(connection.recv(4096))
        assert hand.between_steps(lambda: len(hand.server._link._received)) < 2 * MAX_MESSAGE_BYTES


def test_a_silent_hand_answers_nothing_and_then_everything(hand, fingers):
    gripper = franky.Gripper(hand.host)
    hand.between_steps(lambda: hand.server.silence(hand.time_ns + 500_000_000))
    silent_from = hand.time_ns
    assert gripper.move(0.03, 0.1), "queued while silent, done afterwards"
    assert hand.time_ns - silent_from >= 500_000_000


def test_a_hand_silent_for_good_times_out_in_the_client(hand):
    gripper = franky.Gripper(hand.host)
    hand.between_steps(lambda: hand.server.silence(1 << 62))
    with pytest.raises(franky.NetworkException, match="UDP"):
        _ = gripper.state
    hand.between_steps(hand.server.restore)
    assert hand.server.faults(hand.time_ns) == []


def test_a_dropped_hand_is_a_network_error_and_can_be_reached_again_later(hand):
    gripper = franky.Gripper(hand.host)
    future = gripper.move_async(0.08, 0.0005)
    hand.wait_until(lambda: hand.server.motion.running is not None)
    hand.between_steps(lambda: hand.server.go_away(hand.time_ns + 5_000_000_000))
    with pytest.raises(franky.NetworkException):
        future.get()
    assert hand.server.faults(hand.time_ns) == ["hand_dropped"]
    with pytest.raises(franky.NetworkException):
        franky.Gripper(hand.host)
    hand.wait_until(lambda: any("listening again" in line for line in hand.log))
    assert franky.Gripper(hand.host).move(0.03, 0.1)


def test_a_failing_hand_fails_as_often_as_told(hand):
    gripper = franky.Gripper(hand.host)
    hand.between_steps(lambda: hand.server.fail_next(2))
    for _ in range(2):
        with pytest.raises(franky.CommandException, match="failed"):
            gripper.homing()
    assert gripper.homing()
