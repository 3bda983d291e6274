"""The connected robot: joints, limits and collision capsules from the URDF that it sent, never from constants.

What a robot's URDF leaves out (acceleration and jerk limits, capsules) comes from one data file per robot model,
`runtime/robots/<name>.yaml`, and `notes` says so for the start-up report.
"""

import math
import xml.etree.ElementTree as ET
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pinocchio as pin

from runtime.cell import read_yaml
from runtime.errors import SinewError

JOINTS = 7
MAX_URDF_BYTES = 1 << 20
ROBOTS_DIR = Path(__file__).resolve().parent / "robots"
HAND_TURN_RAD = -math.pi / 4  # of the hand's frame against the flange, about z (the maker's mount)
HAND_LINK = "hand"
TOOL_RADIUS_M = 0.03  # of the capsule that stands for a tool nobody described

Seven = tuple[float, ...]


class RobotError(SinewError):
    """The robot's description cannot be used; the text says which joint, what was found and what is needed."""


@dataclass(frozen=True)
class Capsule:
    """All points within `radius_m` of the segment `start_m` to `end_m`, in the frame of the link named."""

    link: str
    radius_m: float
    start_m: tuple[float, float, float]
    end_m: tuple[float, float, float]


@dataclass(frozen=True)
class RobotModel:
    """A robot arm of seven joints.

    Attributes:
        names: of the joints, in their order.
        lower, upper: position limits (7,) [rad].
        velocity, acceleration, jerk: (7,) [rad/s, rad/s2, rad/s3].
        torque: (7,) [Nm].
        velocity_offset, deceleration: (7,) of the position-dependent velocity limit
            `-offset + sqrt(2 deceleration distance)` (FCI documentation, limits for FR3).
        tcp_speed, elbow_speed: [m/s]; tcp_rotation: [rad/s].
        capsules: of the links, and of the hand or tool in the flange's frame (link `hand`).
        T_flange_ee: (4, 4).
        joint_order, frame: numbers that name joints and end-effector frame; a command carries them.
        notes: what did not come from the robot itself.
    """

    name: str
    names: tuple[str, ...]
    lower: Seven
    upper: Seven
    velocity: Seven
    acceleration: Seven
    jerk: Seven
    torque: Seven
    velocity_offset: Seven
    deceleration: Seven
    tcp_speed: float
    elbow_speed: float
    tcp_rotation: float
    capsules: tuple[Capsule, ...]
    T_flange_ee: np.ndarray
    joint_order: int
    frame: int
    urdf: str
    notes: tuple[str, ...]

    @staticmethod
    def from_urdf(urdf: str, T_flange_ee: np.ndarray, *, hand: bool, robot: str = "fr3") -> "RobotModel":
        """Read a robot's URDF.

        Args:
            urdf: the text that the robot sent.
            T_flange_ee: (4, 4) pose of the end effector in the flange's frame, as the robot reports it.
            hand: a Franka Hand is on the flange.
            robot: the model's name: which file of `runtime/robots` fills the gaps.

        Raises:
            RobotError: no XML, a joint or limit is missing, or a value that cannot be a limit.
        """
        if len(urdf.encode()) > MAX_URDF_BYTES:
            raise RobotError(f"the robot's URDF is larger than {MAX_URDF_BYTES} bytes: this is no robot's")
        try:
            root = ET.fromstring(urdf)
        except ET.ParseError as error:
            raise RobotError(f"the robot's URDF is no XML: {error}") from error
        T = np.array(T_flange_ee, dtype=float)
        if T.shape != (4, 4) or not np.isfinite(T).all() or abs(T[:3, :3] @ T[:3, :3].T - np.eye(3)).max() > 1e-4:
            raise RobotError(f"T_flange_ee is no rigid transform: {T.tolist()}")
        T.flags.writeable = False
        published = _published(robot)
        found = _joints(root)
        columns = {key: tuple(_limit(joint, *key.split(".")) for joint in found) for key in _REQUIRED}
        for joint, low, high in zip(found, columns["limit.lower"], columns["limit.upper"], strict=True):
            if low >= high:
                raise RobotError(f"the robot's URDF: {joint.get('name')}: lower limit {low} is not below upper {high}")
        notes = []
        dynamic: dict[str, Seven] = {}
        for key in ("acceleration", "jerk"):
            if all(_text(joint, "dynamic_limits", key) is not None for joint in found):
                dynamic[key] = tuple(_limit(joint, "dynamic_limits", key) for joint in found)
            else:
                dynamic[key] = published[key]
                notes.append(
                    f"{key} limits: not in the robot's URDF, taken from the published table ({published['source']})"
                )
        capsules = _capsules(root)
        if not capsules:
            capsules = published["capsules"]
            notes.append(f"collision capsules: none in the robot's URDF, taken from the table ({published['source']})")
        names = tuple(str(joint.get("name")) for joint in found)
        flat = ",".join(f"{value:.4f}" for value in T.ravel())
        return RobotModel(
            name=str(root.get("name")),
            names=names,
            lower=columns["limit.lower"],
            upper=columns["limit.upper"],
            velocity=columns["limit.velocity"],
            acceleration=dynamic["acceleration"],
            jerk=dynamic["jerk"],
            torque=columns["limit.effort"],
            velocity_offset=columns["position_based_velocity_limits.velocity_offset"],
            deceleration=columns["position_based_velocity_limits.deceleration_limit"],
            tcp_speed=published["tcp_speed"],
            elbow_speed=published["elbow_speed"],
            tcp_rotation=published["tcp_rotation"],
            capsules=capsules + (published["hand"] if hand else _tool(T)),
            T_flange_ee=T,
            joint_order=zlib.crc32(",".join(names).encode()),
            frame=zlib.crc32(flat.encode()),
            urdf=urdf,
            notes=tuple(notes),
        )

    def model(self) -> pin.Model:
        """A fresh kinematic model with the frame `ee`.

        Raises:
            RobotError: the URDF has other movable joints than the seven.
        """
        model = pin.buildModelFromXML(self.urdf)
        movable = tuple(model.names)[1:]
        if movable != self.names:
            raise RobotError(f"the robot's URDF has the movable joints {movable}, not the seven {self.names}")
        flange = model.frames[model.getFrameId("link8")]
        model.addFrame(
            pin.Frame("ee", flange.parentJoint, flange.placement * pin.SE3(self.T_flange_ee), pin.FrameType.OP_FRAME)
        )
        return model


_REQUIRED = (
    "limit.lower", "limit.upper", "limit.velocity", "limit.effort",
    "position_based_velocity_limits.velocity_offset", "position_based_velocity_limits.deceleration_limit",
)  # fmt: skip


def _joints(root: ET.Element) -> list[ET.Element]:
    every = {str(joint.get("name")): joint for joint in root.iter("joint")}
    found = []
    for number in range(1, JOINTS + 1):
        joint = next((one for name, one in every.items() if name.endswith(f"joint{number}")), None)
        if joint is None:
            raise RobotError(f"the robot's URDF has no joint{number}: it has {sorted(every)}")
        found.append(joint)
    return found


def _text(joint: ET.Element, tag: str, attribute: str) -> str | None:
    element = joint.find(tag)
    return element.get(attribute) if element is not None else None


def _limit(joint: ET.Element, tag: str, attribute: str) -> float:
    text = _text(joint, tag, attribute)
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        value = math.nan
    signed = attribute in ("lower", "upper")
    offset = attribute == "velocity_offset"
    if not math.isfinite(value) or (not signed and (value < 0.0 or (value == 0.0 and not offset))):
        raise RobotError(f"the robot's URDF: {joint.get('name')}, <{tag} {attribute}>: {text!r} is no limit")
    return value


def _three(text: str | None, where: str) -> tuple[float, float, float]:
    try:
        x, y, z = (float(part) for part in (text or "").split())
    except ValueError:
        raise RobotError(f"the robot's URDF: {where}: {text!r} are not three numbers") from None
    return x, y, z


def _capsules(root: ET.Element) -> tuple[Capsule, ...]:
    """Capsules as `hil/scenes/fr3.py` writes them: a cylinder named `..._capsuleK` and its spheres `_start`, `_end`."""
    found = []
    for link in root.iter("link"):
        parts = {str(one.get("name")): one for one in link.iter("collision")}
        for name, part in parts.items():
            start, end = parts.get(f"{name}_start"), parts.get(f"{name}_end")
            cylinder = part.find("geometry/cylinder")
            if start is None or end is None or cylinder is None:
                continue
            ends = [_three(_text(one, "origin", "xyz"), f"{name}, <origin xyz>") for one in (start, end)]
            radius = float(cylinder.get("radius", "nan"))
            if not radius > 0.0:
                raise RobotError(f"the robot's URDF: {name}: radius {cylinder.get('radius')!r} is no radius")
            found.append(Capsule(str(link.get("name")), radius, ends[0], ends[1]))
    return tuple(found)


def _tool(T_flange_ee: np.ndarray) -> tuple[Capsule, ...]:
    """From the flange to the end effector, where no hand is described; nothing if they coincide."""
    x, y, z = (float(value) for value in T_flange_ee[:3, 3])
    if math.hypot(x, y, z) < 1e-3:
        return ()
    return (Capsule(HAND_LINK, TOOL_RADIUS_M, (0.0, 0.0, 0.0), (x, y, z)),)


def _published(robot: str) -> dict:
    path = ROBOTS_DIR / f"{robot}.yaml"
    if not path.is_file():
        known = sorted(one.stem for one in ROBOTS_DIR.glob("*.yaml"))
        raise RobotError(f"no data for robot '{robot}': known are {known}")
    data = read_yaml(path)
    assert isinstance(data, dict)
    c, s = math.cos(HAND_TURN_RAD), math.sin(HAND_TURN_RAD)

    def turned(point: list[float]) -> tuple[float, float, float]:
        return c * point[0] - s * point[1], s * point[0] + c * point[1], point[2]

    return {
        "source": f"{path.name}: {data['source']}",
        "acceleration": tuple(float(value) for value in data["acceleration_rad_s2"]),
        "jerk": tuple(float(value) for value in data["jerk_rad_s3"]),
        "tcp_speed": float(data["tcp_speed_m_s"]),
        "elbow_speed": float(data["elbow_speed_m_s"]),
        "tcp_rotation": float(data["tcp_rotation_rad_s"]),
        "capsules": tuple(Capsule(link, r, tuple(a), tuple(b)) for link, r, a, b in data["capsules"]),
        "hand": tuple(Capsule(HAND_LINK, r, turned(a), turned(b)) for r, a, b in data["hand_capsules"]),
    }
