"""Messages of the Franka Hand's server, gripper version 3: little-endian, packed, over TCP 1338; states over UDP.

Layout from the public interface headers (libfranka-common, research_interface/gripper/types.h). A header is command
u16, command id u32, size u32 (header included); an answer repeats it and adds a status u16.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from runtime.errors import SinewError

PORT = 1338
VERSION = 3
_HEADER = struct.Struct("<HII")
_STATUS = struct.Struct("<H")
_STATE = struct.Struct("<Idd?H")
STATE_BYTES = _STATE.size
HEADER_BYTES = _HEADER.size


class HandWireError(SinewError):
    """What arrived is no message of this protocol; the text says which rule it breaks."""


class HandCommand(IntEnum):
    """Numbers on the wire."""

    CONNECT = 0
    HOMING = 1
    GRASP = 2
    MOVE = 3
    STOP = 4


class Outcome(IntEnum):
    """Status of an answer. In the client: SUCCESS is True, UNSUCCESSFUL False, the others raise CommandException."""

    SUCCESS = 0
    FAIL = 1  # of Connect: incompatible version
    UNSUCCESSFUL = 2
    ABORTED = 3


@dataclass(frozen=True)
class Connect:
    """First message of a client: its protocol version and the UDP port where it wants states."""

    version: int
    udp_port: int


@dataclass(frozen=True)
class Homing:
    """Find the ends of travel."""


@dataclass(frozen=True)
class Grasp:
    """Close until something stops the fingers, then press; held if the width is inside the window."""

    width_m: float
    epsilon_inner_m: float
    epsilon_outer_m: float
    speed_m_s: float
    force_n: float


@dataclass(frozen=True)
class Move:
    """Bring the fingers to a width."""

    width_m: float
    speed_m_s: float


@dataclass(frozen=True)
class Stop:
    """Abort what runs."""


Request = Connect | Homing | Grasp | Move | Stop

# Command: its payload layout and class. The payload's size is a rule of the protocol, not a hint.
_PAYLOADS: dict[HandCommand, tuple[struct.Struct, type]] = {
    HandCommand.CONNECT: (struct.Struct("<HH"), Connect),
    HandCommand.HOMING: (struct.Struct("<"), Homing),
    HandCommand.GRASP: (struct.Struct("<5d"), Grasp),
    HandCommand.MOVE: (struct.Struct("<2d"), Move),
    HandCommand.STOP: (struct.Struct("<"), Stop),
}
MAX_MESSAGE_BYTES = HEADER_BYTES + max(layout.size for layout, _ in _PAYLOADS.values())


@dataclass(frozen=True)
class Message:
    """One request of a client with the id its answer must carry."""

    command: HandCommand
    command_id: int
    request: Request


def take_message(received: bytearray) -> Message | None:
    """Take the first whole message off the front of `received`; None while it is incomplete.

    Raises:
        HandWireError: unknown command or a size that is not this command's, known from the header alone: nothing is
            waited for or allocated on a stranger's word.
    """
    if len(received) < HEADER_BYTES:
        return None
    number, command_id, size = _HEADER.unpack_from(received)
    try:
        command = HandCommand(number)
    except ValueError:
        raise HandWireError(
            f"command {number}: allowed are {[f'{one.value} {one.name}' for one in HandCommand]}"
        ) from None
    layout, kind = _PAYLOADS[command]
    if size != HEADER_BYTES + layout.size:
        raise HandWireError(f"{command.name} of {size} bytes: this command has {HEADER_BYTES + layout.size}")
    if len(received) < size:
        return None
    message = Message(command, command_id, kind(*layout.unpack_from(received, HEADER_BYTES)))
    del received[:size]
    return message


def answer(command: HandCommand, command_id: int, status: Outcome) -> bytes:
    """The reply to a request; Connect's also tells the server's version."""
    tail = struct.pack("<H", VERSION) if command is HandCommand.CONNECT else b""
    size = HEADER_BYTES + _STATUS.size + len(tail)
    return _HEADER.pack(command, command_id, size) + _STATUS.pack(status) + tail


def state(number: int, width_m: float, max_width_m: float, is_grasped: bool, temperature_c: int) -> bytes:
    """One UDP state packet of 23 bytes; `number` grows by one per packet."""
    return _STATE.pack(number & 0xFFFFFFFF, width_m, max_width_m, is_grasped, temperature_c)
