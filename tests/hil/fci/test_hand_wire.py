"""The hand's messages: sizes are rules, and no bytes bring anything but a named error."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.fci.hand_wire import (
    MAX_MESSAGE_BYTES,
    STATE_BYTES,
    Connect,
    Grasp,
    HandCommand,
    HandWireError,
    Homing,
    Message,
    Move,
    Outcome,
    Stop,
    answer,
    state,
    take_message,
)

# Bytes written out by hand from the public interface header: the layout must not follow our own structs in error.
ON_THE_WIRE = [
    ("0000" "07000000" "0e000000" "0300" "409c", HandCommand.CONNECT, Connect(3, 40_000)),
    ("0100" "07000000" "0a000000", HandCommand.HOMING, Homing()),
    ("0200" "07000000" "32000000" "000000000000e03f" "000000000000d03f" "000000000000c03f" "000000000000b03f"
     "0000000000004440", HandCommand.GRASP, Grasp(0.5, 0.25, 0.125, 0.0625, 40.0)),
    ("0300" "07000000" "1a000000" "000000000000e03f" "000000000000d03f", HandCommand.MOVE, Move(0.5, 0.25)),
    ("0400" "07000000" "0a000000", HandCommand.STOP, Stop()),
]  # fmt: skip


@pytest.mark.parametrize(("text", "command", "request_"), ON_THE_WIRE)
def test_each_request_is_read_as_the_interface_writes_it(text, command, request_):
    received = bytearray.fromhex(text) + b"rest"
    assert take_message(received) == Message(command, 7, request_)
    assert received == b"rest"
    assert take_message(bytearray.fromhex(text)) == Message(command, 7, request_)


@pytest.mark.parametrize(("text", "command", "request_"), ON_THE_WIRE)
@pytest.mark.parametrize("change", [-1, 1, 1 << 31])
def test_a_size_that_is_not_the_commands_is_refused_from_the_header_alone(text, command, request_, change):
    header = bytearray.fromhex(text)[:10]
    header[6:10] = (int.from_bytes(header[6:10], "little") + change).to_bytes(4, "little")
    with pytest.raises(HandWireError, match=f"{command.name} of .* bytes: this command has"):
        take_message(header)


@pytest.mark.parametrize(("text", "command", "request_"), ON_THE_WIRE)
def test_an_incomplete_message_waits_and_stays(text, command, request_):
    whole = bytes.fromhex(text)
    for length in range(len(whole)):
        received = bytearray(whole[:length])
        assert take_message(received) is None
        assert received == whole[:length]


def test_answers_and_states_have_the_sizes_of_the_interface():
    assert answer(HandCommand.MOVE, 7, Outcome.ABORTED).hex() == "0300070000000c0000000300"
    assert answer(HandCommand.CONNECT, 7, Outcome.FAIL).hex() == "0000070000000e00000001000300"
    assert STATE_BYTES == len(state(1 << 32, 0.04, 0.08, True, 25)) == 23
    assert struct.unpack("<Idd?H", state(5, 0.04, 0.08, True, 25)) == (5, 0.04, 0.08, True, 25)


@given(st.binary(max_size=200))
def test_any_bytes_give_messages_a_wait_or_a_named_error_and_never_a_growing_rest(data):
    received = bytearray(data)
    reason = None
    try:
        while (message := take_message(received)) is not None:
            assert isinstance(message, Message)
    except HandWireError as error:
        reason = str(error)
    if reason is None:
        assert len(received) < MAX_MESSAGE_BYTES
    else:
        assert "allowed are" in reason or "this command has" in reason
