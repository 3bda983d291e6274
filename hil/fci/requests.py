"""What each request of a client does, and with which status it is answered.

Setters are refused while a motion runs ("always executed outside of any real-time control loop", FCI documentation) and
accepted in every other mode: libfranka's communication_test sets gains before it moves, and users in Reflex, with the
user stop pressed or with locked brakes report its Move as the first command to be rejected (libfranka issues 128, 133
and 192).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from hil.fci.control import CARTESIAN_STIFFNESS_RANGE, MAX_JOINT_STIFFNESS
from hil.fci.protocol import (
    CollisionThresholds,
    Command,
    LoadRequest,
    Message,
    MoveRequest,
    MoveStatus,
    RecoveryStatus,
    RobotMode,
    Status,
    StopStatus,
    parse_doubles,
    parse_frame,
)
from hil.fci.transforms import is_transform

if TYPE_CHECKING:
    from hil.fci.arm_server import ArmServer

MAX_LOAD_KG = 10.0  # beyond any load an FR3 carries (3 kg)
_SINGULAR_INERTIA = -1e-9  # eigenvalues below this are no inertia


def handle_request(server: "ArmServer", message: Message) -> None:
    """Answer one request now, or leave it to the robot to answer it when it is done."""
    if message.command is Command.CONNECT:
        server.connect(message)
    elif not server.link.streaming:
        server.drop(f"sent {message.command.name} before Connect")
    else:
        _HANDLERS[message.command](server, message)


def _move(server: "ArmServer", message: Message) -> None:
    status = server.robot.start_move(message.command_id, MoveRequest.parse(message.payload))
    server.reply(message, status)
    if status is MoveStatus.MOTION_STARTED:
        server.move_started()


def _stop(server: "ArmServer", message: Message) -> None:
    status: StopStatus | None = server.robot.stop_move(message.command_id)
    if status is not None:
        server.reply(message, status)


def _recover(server: "ArmServer", message: Message) -> None:
    status: RecoveryStatus | None = server.robot.recover(message.command_id)
    if status is not None:
        server.reply(message, status)


def _model(server: "ArmServer", message: Message) -> None:
    server.reply(message, Status.SUCCESS, server.urdf)


_Setter = Callable[["ArmServer", bytes], bool]  # False: the argument is refused


def _setter(apply: _Setter) -> Callable[["ArmServer", Message], None]:
    def handle(server: "ArmServer", message: Message) -> None:
        if server.robot.mode is RobotMode.MOVE:
            server.reply(message, Status.NOT_POSSIBLE)
        else:
            server.reply(message, Status.SUCCESS if apply(server, message.payload) else Status.INVALID_ARGUMENT)

    return handle


def _set_collision(server: "ArmServer", payload: bytes) -> bool:
    thresholds = CollisionThresholds.parse(payload)
    if thresholds.refused():
        return False
    server.robot.collisions.thresholds = thresholds
    return True


def _set_joint_impedance(server: "ArmServer", payload: bytes) -> bool:
    stiffness = parse_doubles(payload)
    if not ((stiffness >= 0.0) & (stiffness <= MAX_JOINT_STIFFNESS)).all():
        return False
    server.robot.controllers.joint_stiffness = stiffness
    return True


def _set_cartesian_impedance(server: "ArmServer", payload: bytes) -> bool:
    stiffness = parse_doubles(payload)
    (low, high), (low_turn, high_turn) = CARTESIAN_STIFFNESS_RANGE
    lower, upper = np.repeat((low, low_turn), 3), np.repeat((high, high_turn), 3)
    if not ((stiffness >= lower) & (stiffness <= upper)).all():
        return False
    server.robot.controllers.cartesian_stiffness = stiffness
    return True


def _set_guiding_mode(server: "ArmServer", payload: bytes) -> bool:
    if any(value > 1 for value in payload):
        return False
    guiding = server.robot.guiding
    guiding.free_axes, guiding.elbow_free = np.array([bool(value) for value in payload[:6]]), bool(payload[6])
    return True


def _set_k(server: "ArmServer", payload: bytes) -> bool:
    T = parse_frame(payload)
    if not is_transform(T):
        return False
    server.frames.set_k(T)
    server.frames_changed()
    return True


def _set_ee(server: "ArmServer", payload: bytes) -> bool:
    T = parse_frame(payload)
    if not is_transform(T):
        return False
    server.frames.set_ee(T)
    server.frames_changed()
    return True


def _set_load(server: "ArmServer", payload: bytes) -> bool:
    load = LoadRequest.parse(payload)
    inertia = np.array(load.inertia_kg_m2).reshape(3, 3, order="F")
    if not 0.0 <= load.mass_kg <= MAX_LOAD_KG or not np.isfinite([*load.center_m, *load.inertia_kg_m2]).all():
        return False
    if (inertia != inertia.T).any() or np.linalg.eigvalsh(inertia)[0] < _SINGULAR_INERTIA:
        return False
    server.plant.set_load(load.mass_kg, np.array(load.center_m), inertia)
    packet = server.packet
    packet.m_load[:], packet.F_x_Cload[:], packet.I_load[:] = load.mass_kg, load.center_m, load.inertia_kg_m2
    return True


_HANDLERS: dict[Command, Callable[["ArmServer", Message], None]] = {
    Command.MOVE: _move,
    Command.STOP_MOVE: _stop,
    Command.AUTOMATIC_ERROR_RECOVERY: _recover,
    Command.GET_ROBOT_MODEL: _model,
    Command.SET_COLLISION_BEHAVIOR: _setter(_set_collision),
    Command.SET_JOINT_IMPEDANCE: _setter(_set_joint_impedance),
    Command.SET_CARTESIAN_IMPEDANCE: _setter(_set_cartesian_impedance),
    Command.SET_GUIDING_MODE: _setter(_set_guiding_mode),
    Command.SET_EE_TO_K: _setter(_set_k),
    Command.SET_NE_TO_EE: _setter(_set_ee),
    Command.SET_LOAD: _setter(_set_load),
}
