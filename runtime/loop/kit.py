"""From what a driver learnt at connect to what rt needs of an arm: the gate, and how sources may move it."""

import json
import math
from dataclasses import dataclass, replace

import numpy as np

from runtime.cell import Cell, Workspace
from runtime.errors import SinewError
from runtime.gate.gate import Gate
from runtime.kinematics import Kinematics
from runtime.loop.arm import Kit
from runtime.ring import instance_dir
from runtime.robot import RobotModel
from runtime.rows import JOINTS
from runtime.sources.base import Joints
from runtime.sources.goto import MoveLimits

_FOLLOWED = ("velocity_rad_s", "acceleration_rad_s2", "jerk_rad_s3")
IDENTITY_SCHEMA = "sinew.arm_identity/1"
MAX_IDENTITY_BYTES = 4 << 20
# Share of the profile's limits that moves of rt's own use, so that the gate has nothing to shape.
OWN_SHARE = 0.6


class IdentityError(SinewError):
    """A driver's identity file cannot be used."""


@dataclass(frozen=True)
class Identity:
    """The robot that a driver holds. `digest` differs where the limits may differ.

    `velocity`, `acceleration`, `jerk` (7,) [rad/s, rad/s2, rad/s3] are what the driver can follow: its planner's limits
    may be below the robot's (franky 2.0.0 plans with the Panda's velocities).
    """

    urdf: str
    T_flange_ee: np.ndarray
    velocity: Joints
    acceleration: Joints
    jerk: Joints
    digest: str


def read_identity(instance: str, arm: str) -> Identity | None:
    """What the driver of `arm` has learnt, or None while it is not connected.

    Raises:
        IdentityError: the file is too large or not what a driver of this version writes.
    """
    path = instance_dir(instance) / f"arm.{arm}.identity.json"
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_IDENTITY_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(raw) > MAX_IDENTITY_BYTES:
        raise IdentityError(f"{path}: larger than {MAX_IDENTITY_BYTES} bytes: no driver writes that")
    return parse_identity(raw, str(path))


def parse_identity(raw: bytes, source: str) -> Identity:
    """The identity in a file's bytes. Raises IdentityError, naming `source`."""
    try:
        data = json.loads(raw)
        if data["schema"] != IDENTITY_SCHEMA:
            raise IdentityError(f"{source}: schema {data['schema']!r}, expected {IDENTITY_SCHEMA!r}: restart the cell")
        T_flange_ee = np.array(data["T_flange_ee"], dtype=float)
        if T_flange_ee.shape != (4, 4) or not np.isfinite(T_flange_ee).all():
            raise IdentityError(f"{source}: T_flange_ee is no 4x4 matrix")
        limits = data["limits"]
        followed = [tuple(float(v) for v in limits[key]) for key in _FOLLOWED]
        if any(len(values) != JOINTS or not all(v > 0.0 and math.isfinite(v) for v in values) for values in followed):
            raise IdentityError(f"{source}: limits: {followed} are no limits of {JOINTS} joints")
        digest = f"{data['urdf_sha256']} {T_flange_ee.tolist()} {followed}"
        velocity, acceleration, jerk = followed
        return Identity(str(data["urdf"]), T_flange_ee, velocity, acceleration, jerk, digest)
    except (ValueError, KeyError, TypeError) as error:
        raise IdentityError(f"{source}: not a driver's identity file: {error!r}: restart the arm driver") from error


def build_kit(identity: Identity, cell: Cell, arm: str, period_ns: int) -> Kit:
    """Build an arm's gate from the connected robot, the active profile and the workspace. Takes a while: never in a tick."""
    hand = any(one.arm == arm for one in cell.hands.values())
    robot = RobotModel.from_urdf(identity.urdf, identity.T_flange_ee, hand=hand)
    # What the driver's last word would refuse, the gate must not let pass.
    robot = replace(
        robot,
        velocity=tuple(map(min, robot.velocity, identity.velocity)),
        acceleration=tuple(map(min, robot.acceleration, identity.acceleration)),
        jerk=tuple(map(min, robot.jerk, identity.jerk)),
    )
    gate = Gate(robot, cell.limits.active, cell.limits.workspace.get(arm, Workspace()), period_ns)
    limits = gate.limits
    moves = MoveLimits(
        _share(limits.velocity),
        _share(limits.acceleration),
        _share(limits.jerk),
        gate.points,
        (OWN_SHARE * limits.tcp_speed, OWN_SHARE * limits.elbow_speed),
    )
    return Kit(gate, moves, tuple(limits.lower), tuple(limits.upper), Kinematics(robot).pose)


def _share(values: Joints) -> Joints:
    return tuple(OWN_SHARE * value for value in values)
