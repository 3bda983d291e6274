"""Messages of the arm's FCI server, robot server version 10: little-endian, packed; commands over TCP, states over UDP.

Layout from the public interface headers (libfranka-common d96c221, research_interface/robot/service_types.h and
rbk_types.h). A TCP header is command u32, command id u32, size u32 (header included); an answer repeats it and adds a
status u8. Sizes are a rule of the protocol: a header that breaks it is refused before anything is waited for.
"""

import math
import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from runtime.errors import SinewError

PORT = 1337
VERSION = 10
JOINTS = 7
_HEADER = struct.Struct("<III")
HEADER_BYTES = _HEADER.size


class ProtocolError(SinewError):
    """What arrived is no message of this protocol; the text says which rule it breaks."""


class Command(IntEnum):
    """Numbers on the wire (they shift between server versions)."""

    CONNECT = 0
    MOVE = 1
    STOP_MOVE = 2
    SET_COLLISION_BEHAVIOR = 3
    SET_JOINT_IMPEDANCE = 4
    SET_CARTESIAN_IMPEDANCE = 5
    SET_GUIDING_MODE = 6
    SET_EE_TO_K = 7
    SET_NE_TO_EE = 8
    SET_LOAD = 9
    AUTOMATIC_ERROR_RECOVERY = 10
    GET_ROBOT_MODEL = 11


class RobotMode(IntEnum):
    """In the state packet."""

    OTHER = 0  # brakes locked
    IDLE = 1
    MOVE = 2
    GUIDING = 3
    REFLEX = 4
    USER_STOPPED = 5
    AUTOMATIC_ERROR_RECOVERY = 6


class Generator(IntEnum):
    """Motion generator asked for in Move."""

    JOINT_POSITION = 0
    JOINT_VELOCITY = 1
    CARTESIAN_POSITION = 2
    CARTESIAN_VELOCITY = 3
    NONE = 4  # torques only


class Controller(IntEnum):
    """Controller asked for in Move, and reported; OTHER is reported only."""

    JOINT_IMPEDANCE = 0
    CARTESIAN_IMPEDANCE = 1
    EXTERNAL = 2
    OTHER = 3


REPORTED_IDLE = 0  # motion generator mode of a state without a motion; otherwise Generator + 1


class ConnectStatus(IntEnum):
    """Answers to Connect."""

    SUCCESS = 0
    INCOMPATIBLE_VERSION = 1


class Status(IntEnum):
    """Answers to the setters and to GetRobotModel."""

    SUCCESS = 0
    NOT_POSSIBLE = 1
    INVALID_ARGUMENT = 2  # of setters


class MoveStatus(IntEnum):
    """Answers to Move: MOTION_STARTED at once, then one of the others when it ends."""

    SUCCESS = 0
    MOTION_STARTED = 1
    PREEMPTED = 2
    PREEMPTED_SAFETY = 3
    REJECTED_SAFETY = 4
    NOT_POSSIBLE = 5
    START_AT_SINGULAR_POSE = 6
    INVALID_ARGUMENT = 7
    REFLEX_ABORTED = 8
    EMERGENCY_ABORTED = 9
    INPUT_ERROR_ABORTED = 10
    ABORTED = 11


class StopStatus(IntEnum):
    """Answers to StopMove."""

    SUCCESS = 0
    NOT_POSSIBLE = 1
    REJECTED_SAFETY = 2
    EMERGENCY_ABORTED = 3
    REFLEX_ABORTED = 4
    ABORTED = 5


class RecoveryStatus(IntEnum):
    """Answers to AutomaticErrorRecovery."""

    SUCCESS = 0
    NOT_POSSIBLE = 1
    REJECTED_SAFETY = 2
    MANUAL_REQUIRED = 3
    REFLEX_ABORTED = 4
    EMERGENCY_ABORTED = 5
    ABORTED = 6


AnyStatus = ConnectStatus | Status | MoveStatus | StopStatus | RecoveryStatus

# Payload bytes by command; nothing else is a message.
_PAYLOAD_BYTES = {
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


@dataclass(frozen=True)
class Message:
    """One request of a client with the id its answers must carry."""

    command: Command
    command_id: int
    payload: bytes


def take_message(received: bytearray) -> Message | None:
    """Take the first whole message off the front of `received`; None while it is incomplete.

    Raises:
        ProtocolError: unknown command, or a size that is not this command's, known from the header alone.
    """
    if len(received) < HEADER_BYTES:
        return None
    number, command_id, size = _HEADER.unpack_from(received)
    try:
        command = Command(number)
    except ValueError:
        known = ", ".join(f"{one.value} {one.name}" for one in Command)
        raise ProtocolError(f"command {number}: server version {VERSION} knows {known}") from None
    expected = HEADER_BYTES + _PAYLOAD_BYTES[command]
    if size != expected:
        raise ProtocolError(f"{command.name} of {size} bytes: this command has {expected}")
    if len(received) < size:
        return None
    message = Message(command, command_id, bytes(received[HEADER_BYTES:size]))
    del received[:size]
    return message


def answer(command: Command, command_id: int, status: AnyStatus, tail: bytes = b"") -> bytes:
    """The reply to a request: `tail` is the version of Connect, the URDF text of GetRobotModel, else empty."""
    size = HEADER_BYTES + 1 + len(tail)
    return _HEADER.pack(command, command_id, size) + bytes((status,)) + tail


_CONNECT = struct.Struct("<HH")
_MOVE = struct.Struct("<II6d?7d")
_COLLISION = struct.Struct("<52d")
_LOAD = struct.Struct("<13d")


@dataclass(frozen=True)
class ConnectRequest:
    """First message of a client: its protocol version and the UDP port where it wants states."""

    version: int
    udp_port: int

    @classmethod
    def parse(cls, payload: bytes) -> "ConnectRequest":
        return cls(*_CONNECT.unpack(payload))


@dataclass(frozen=True)
class MoveRequest:
    """Start of a motion. `controller` and `generator` are the raw numbers: an unknown one is answered, not dropped."""

    controller: int
    generator: int
    path_deviation: tuple[float, ...]  # translation [m], rotation [rad], elbow [rad]
    goal_deviation: tuple[float, ...]
    use_async: bool  # the robot interpolates between targets that come at any rate
    max_velocity_rad_s: tuple[float, ...]  # with use_async

    @classmethod
    def parse(cls, payload: bytes) -> "MoveRequest":
        values = _MOVE.unpack(payload)
        return cls(values[0], values[1], values[2:5], values[5:8], values[8], values[9:16])

    def valid(self) -> bool:
        """Known modes that go together; deviations not negative; with `use_async`, joint positions and velocities above 0."""
        if self.controller not in (0, 1, 2) or self.generator not in tuple(Generator):
            return False
        if self.generator == Generator.NONE and self.controller != Controller.EXTERNAL:
            return False
        if not all(value >= 0.0 for value in (*self.path_deviation, *self.goal_deviation)):  # also refuses NaN
            return False
        if not self.use_async:
            return True
        if self.generator != Generator.JOINT_POSITION or self.controller == Controller.EXTERNAL:
            return False
        return all(0.0 < value < math.inf for value in self.max_velocity_rad_s)


@dataclass(frozen=True)
class CollisionThresholds:
    """When a contact is reported (lower) and when it stops the robot (upper); shapes (7,) [Nm] and (6,) [N, Nm]."""

    lower_torque_acceleration: np.ndarray
    upper_torque_acceleration: np.ndarray
    lower_torque_nominal: np.ndarray
    upper_torque_nominal: np.ndarray
    lower_force_acceleration: np.ndarray
    upper_force_acceleration: np.ndarray
    lower_force_nominal: np.ndarray
    upper_force_nominal: np.ndarray

    @classmethod
    def parse(cls, payload: bytes) -> "CollisionThresholds":
        values = np.array(_COLLISION.unpack(payload))
        return cls(*(values[7 * k : 7 * k + 7] for k in range(4)), *(values[28 + 6 * k : 34 + 6 * k] for k in range(4)))

    @classmethod
    def uniform(cls, torque_nm: float, force_n: float) -> "CollisionThresholds":
        """The same threshold for every joint and every axis, contact and collision alike."""
        return cls(*([np.full(7, torque_nm)] * 4), *([np.full(6, force_n)] * 4))

    def refused(self) -> bool:
        """Thresholds must be finite, not negative, and lower must not exceed upper."""
        pairs = (
            (self.lower_torque_acceleration, self.upper_torque_acceleration),
            (self.lower_torque_nominal, self.upper_torque_nominal),
            (self.lower_force_acceleration, self.upper_force_acceleration),
            (self.lower_force_nominal, self.upper_force_nominal),
        )
        return not all(
            np.all(lower >= 0) and np.all(lower <= upper) and np.all(np.isfinite(upper)) for lower, upper in pairs
        )


@dataclass(frozen=True)
class LoadRequest:
    """What the flange carries besides the end effector."""

    mass_kg: float
    center_m: tuple[float, ...]  # in the flange frame
    inertia_kg_m2: tuple[float, ...]  # 3x3, column-major

    @classmethod
    def parse(cls, payload: bytes) -> "LoadRequest":
        values = _LOAD.unpack(payload)
        return cls(values[0], values[1:4], values[4:13])


def parse_doubles(payload: bytes) -> np.ndarray:
    """A payload of doubles only, as an array."""
    return np.frombuffer(payload, "<f8").astype(float)


def parse_frame(payload: bytes) -> np.ndarray:
    """A homogeneous transform (4, 4), row-major, from the wire's column-major order."""
    return parse_doubles(payload).reshape(4, 4, order="F").copy()


def _floats(*fields: tuple[str, int]) -> list[tuple[str, str, tuple[int]]]:
    return [(name, "<f4", (count,)) for name, count in fields]


# One UDP packet per robot millisecond. 4x4 matrices are column-major. `errors` are the current ones, `reflex_reason`
# those that ended the last motion.
STATE = np.dtype(
    [
        ("message_id", "<u8"),
        *_floats(
            ("O_T_EE", 16), ("O_T_EE_d", 16), ("F_T_EE", 16), ("EE_T_K", 16), ("F_T_NE", 16), ("NE_T_EE", 16),
            ("m_ee", 1), ("I_ee", 9), ("F_x_Cee", 3), ("m_load", 1), ("I_load", 9), ("F_x_Cload", 3),
            ("elbow", 2), ("elbow_d", 2), ("tau_J", 7), ("tau_J_d", 7), ("dtau_J", 7),
            ("q", 7), ("q_d", 7), ("dq", 7), ("dq_d", 7), ("ddq_d", 7),
            ("joint_contact", 7), ("cartesian_contact", 6), ("joint_collision", 7), ("cartesian_collision", 6),
            ("tau_ext_hat_filtered", 7), ("O_F_ext_hat_K", 6), ("K_F_ext_hat_K", 6),
            ("O_dP_EE_d", 6), ("O_ddP_O", 3), ("elbow_c", 2), ("delbow_c", 2), ("ddelbow_c", 2),
            ("O_T_EE_c", 16), ("O_dP_EE_c", 6), ("O_ddP_EE_c", 6), ("theta", 7), ("dtheta", 7),
            ("accelerometer_top", 18), ("accelerometer_bottom", 18),
        ),
        ("motion_generator_mode", "u1"), ("controller_mode", "u1"),
        ("errors", "u1", (41,)), ("reflex_reason", "u1", (41,)),
        ("robot_mode", "u1"), ("control_command_success_rate", "<f4"),
    ]
)  # fmt: skip
assert STATE.itemsize == 1377, "rbk_types.h: RobotState of server version 10"

# The client's answer to a state: `message_id` is that state's. Unused fields are zero.
ROBOT_COMMAND = np.dtype(
    [
        ("message_id", "<u8"),
        ("q_c", "<f8", (7,)), ("dq_c", "<f8", (7,)), ("O_T_EE_c", "<f8", (16,)), ("O_dP_EE_c", "<f8", (6,)),
        ("elbow_c", "<f8", (2,)), ("valid_elbow", "?"), ("motion_finished", "?"),
        ("tau_J_d", "<f8", (7,)), ("torque_finished", "?"),
    ]
)  # fmt: skip
COMMAND_BYTES = ROBOT_COMMAND.itemsize
assert COMMAND_BYTES == 371, "rbk_types.h: RobotCommand of server version 10"
_MOTION_DOUBLES = 38  # q_c to elbow_c


def is_finite(command: np.void) -> bool:
    """Whether every number of a `ROBOT_COMMAND` is finite (a client of libfranka cannot send others)."""
    data = command.tobytes()
    motion, torque = np.frombuffer(data, "<f8", _MOTION_DOUBLES, 8), np.frombuffer(data, "<f8", JOINTS, 314)
    return bool(np.isfinite(motion).all() and np.isfinite(torque).all())


assert ROBOT_COMMAND.fields is not None
assert ROBOT_COMMAND.fields["tau_J_d"][1] == 314
assert ROBOT_COMMAND.fields["valid_elbow"][1] == 8 + 8 * _MOTION_DOUBLES
