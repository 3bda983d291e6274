"""The wire of the arm's server: sizes, bounds before allocation, and what is no message."""

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.fci.protocol import (
    ROBOT_COMMAND,
    STATE,
    CollisionThresholds,
    Command,
    Controller,
    Generator,
    LoadRequest,
    MoveRequest,
    MoveStatus,
    ProtocolError,
    answer,
    is_finite,
    parse_frame,
    take_message,
)

PAYLOAD = {
    Command.CONNECT: 4,
    Command.MOVE: 113,
    Command.STOP_MOVE: 0,
    Command.SET_COLLISION_BEHAVIOR: 416,
    Command.SET_JOINT_IMPEDANCE: 56,
    Command.SET_CARTESIAN_IMPEDANCE: 48,
    Command.SET_GUIDING_MODE: 7,
    Command.SET_EE_TO_K: 128,
    Command.SET_NE_TO_EE: 128,
    Command.SET_LOAD: 104,
    Command.AUTOMATIC_ERROR_RECOVERY: 0,
    Command.GET_ROBOT_MODEL: 0,
}


def message(command, payload=None, command_id=3, size=None):
    payload = bytes(PAYLOAD[command]) if payload is None else payload
    return struct.pack("<III", command, command_id, 12 + len(payload) if size is None else size) + payload


def test_packets_have_the_sizes_of_server_version_10():
    assert STATE.itemsize == 1377
    assert ROBOT_COMMAND.itemsize == 371


@pytest.mark.parametrize("command", list(Command))
def test_whole_message_is_taken_and_nothing_more(command):
    received = bytearray(message(command) + b"next")
    taken = take_message(received)
    assert taken is not None
    assert (taken.command, taken.command_id, len(taken.payload)) == (command, 3, PAYLOAD[command])
    assert received == b"next"


@pytest.mark.parametrize("command", list(Command))
def test_incomplete_message_is_waited_for_and_kept(command):
    whole = message(command)
    for length in (0, 1, 11, len(whole) - 1):
        received = bytearray(whole[:length])
        assert take_message(received) is None
        assert received == whole[:length]


@pytest.mark.parametrize("command", list(Command))
@pytest.mark.parametrize("change", [-1, 1, 1000])
def test_wrong_size_is_refused_from_the_header_alone(command, change):
    header = message(command, size=12 + PAYLOAD[command] + change)[:12]
    with pytest.raises(ProtocolError, match=f"{command.name} of"):
        take_message(bytearray(header))


@pytest.mark.parametrize("size", [0, 11, 2**31, 2**32 - 1])
def test_absurd_size_is_refused_before_anything_is_kept(size):
    with pytest.raises(ProtocolError):
        take_message(bytearray(message(Command.MOVE, size=size)[:12]))


def test_unknown_command_is_refused_with_the_known_ones():
    with pytest.raises(ProtocolError, match="command 12: .*0 CONNECT.*11 GET_ROBOT_MODEL"):
        take_message(bytearray(struct.pack("<III", 12, 0, 12)))


@given(st.binary(max_size=600))
def test_any_bytes_are_a_message_or_incomplete_or_refused(data):
    received = bytearray(data)
    try:
        taken = take_message(received)
    except ProtocolError:
        return
    assert len(received) + (0 if taken is None else 12 + len(taken.payload)) == len(data)
    assert taken is not None or len(data) < 12 + 416


def test_answer_repeats_the_request_and_counts_its_bytes():
    assert answer(Command.MOVE, 9, MoveStatus.MOTION_STARTED) == struct.pack("<IIIB", 1, 9, 13, 1)
    assert answer(Command.CONNECT, 0, MoveStatus.SUCCESS, b"\x0a\x00") == struct.pack("<IIIBH", 0, 0, 15, 0, 10)


def move_request(**changes):
    fields = {
        "controller": 0,
        "generator": 0,
        "path_deviation": (10.0, 3.12, 6.28),
        "goal_deviation": (10.0, 3.12, 6.28),
        "use_async": False,
        "max_velocity_rad_s": (0.0,) * 7,
    }
    return MoveRequest(**(fields | changes))


def test_move_is_read_from_its_113_bytes():
    payload = struct.pack("<II6d?7d", 2, 4, 1, 2, 3, 4, 5, 6, True, *range(7))
    request = MoveRequest.parse(payload)
    assert request == MoveRequest(2, 4, (1, 2, 3), (4, 5, 6), True, (0, 1, 2, 3, 4, 5, 6))


ASYNC = {"use_async": True, "max_velocity_rad_s": (1.0,) * 7}
VALID = [
    ({}, True),
    ({"controller": 3}, False),
    ({"generator": 5}, False),
    ({"generator": Generator.NONE}, False),  # torques need the external controller
    ({"generator": Generator.NONE, "controller": Controller.EXTERNAL}, True),
    ({"path_deviation": (-1.0, 1.0, 1.0)}, False),
    ({"goal_deviation": (1.0, math.nan, 1.0)}, False),
    (ASYNC, True),
    (ASYNC | {"generator": Generator.JOINT_VELOCITY}, False),
    (ASYNC | {"controller": Controller.EXTERNAL}, False),
    (ASYNC | {"max_velocity_rad_s": (0.0,) * 7}, False),
    (ASYNC | {"max_velocity_rad_s": (math.inf,) * 7}, False),
]


@pytest.mark.parametrize(("changes", "valid"), VALID)
def test_move_with_modes_that_do_not_go_together_is_invalid(changes, valid):
    assert move_request(**changes).valid() is valid


def test_thresholds_come_in_the_order_of_the_header_file():
    thresholds = CollisionThresholds.parse(struct.pack("<52d", *range(52)))
    assert thresholds.upper_torque_nominal.tolist() == list(range(21, 28))
    assert thresholds.lower_force_acceleration.tolist() == list(range(28, 34))
    assert thresholds.upper_force_nominal.tolist() == list(range(46, 52))


@pytest.mark.parametrize(
    ("lower", "upper", "refused"), [(1, 2, False), (2, 2, False), (3, 2, True), (-1, 2, True), (1, math.inf, True)]
)
def test_thresholds_out_of_order_are_refused(lower, upper, refused):
    values = [lower] * 7 + [upper] * 7 + [lower] * 7 + [upper] * 7 + ([lower] * 6 + [upper] * 6) * 2
    assert CollisionThresholds.parse(struct.pack("<52d", *values)).refused() is refused


def test_frames_are_column_major_on_the_wire():
    T = parse_frame(struct.pack("<16d", *range(16)))
    assert T[:, 0].tolist() == [0, 1, 2, 3]


def test_load_is_mass_centre_inertia():
    assert LoadRequest.parse(struct.pack("<13d", *range(13))) == LoadRequest(0, (1, 2, 3), tuple(range(4, 13)))


@pytest.mark.parametrize("field", ["q_c", "dq_c", "O_T_EE_c", "O_dP_EE_c", "elbow_c", "tau_J_d"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_one_number_that_is_not_finite_spoils_a_command(field, bad):
    command = np.zeros(1, ROBOT_COMMAND)[0]
    assert is_finite(command)
    command[field][-1] = bad
    assert not is_finite(command)
