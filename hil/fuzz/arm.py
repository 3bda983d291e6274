"""The checker's own view of the robot: limits and geometry from the URDF, kinematics of many rows at once in numpy.

Written from the URDF and the Denavit-Hartenberg chain alone. It shares no code with the gate, so an error there cannot
hide here too.
"""

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass

import numpy as np

from runtime.rows import JOINTS

ELBOW_JOINT = 3  # index of the joint whose origin is the elbow (joint 4)
TOOL_LINK = JOINTS  # index after the last joint's: the hand's capsules move with joint 7


@dataclass(frozen=True)
class Segment:
    """A capsule: radius [m], end points (3,) [m] in the frame of joint number `joint` (0: the base), and its name."""

    name: str
    joint: int
    tool: bool
    radius_m: float
    start_m: np.ndarray
    end_m: np.ndarray


@dataclass(frozen=True)
class Motion:
    """Where things are and how they move, in base axes. All arrays (n, 3): [m], [m/s], [rad/s]."""

    tcp: np.ndarray
    elbow: np.ndarray
    tcp_velocity: np.ndarray
    elbow_velocity: np.ndarray
    tcp_rotation: np.ndarray


@dataclass(frozen=True)
class Frames:
    """Frames of base and joints at n configurations: rotations (8, n, 3, 3) and origins (8, n, 3)."""

    rotations: np.ndarray
    origins: np.ndarray


class CheckedArm:
    """Limits (7,) each, capsules and kinematics of one arm.

    Args:
        urdf: text as the robot serves it, with `<dynamic_limits>` and capsules (`hil/scenes/fr3.py`).
        T_flange_ee: (4, 4).
        tool: capsules (radius, start, end) of what is on the flange, in flange axes.
    """

    def __init__(
        self, urdf: str, T_flange_ee: np.ndarray, tool: tuple[tuple[float, np.ndarray, np.ndarray], ...]
    ) -> None:
        root = ET.fromstring(urdf)
        joints = {str(one.get("name")): one for one in root.iter("joint")}
        chain = [joints[f"joint{number}"] for number in range(1, JOINTS + 1)]
        for joint in chain:
            axis = joint.find("axis")
            if axis is None or axis.get("xyz") != "0 0 1":
                raise ValueError(f"{joint.get('name')}: this checker needs joints that turn about z")
        self.lower = _column(chain, "limit", "lower")
        self.upper = _column(chain, "limit", "upper")
        self.velocity = _column(chain, "limit", "velocity")
        self.velocity_offset = _column(chain, "position_based_velocity_limits", "velocity_offset")
        self.deceleration = _column(chain, "position_based_velocity_limits", "deceleration_limit")
        self.acceleration = _column(chain, "dynamic_limits", "acceleration")
        self.jerk = _column(chain, "dynamic_limits", "jerk")
        self._steps = [_origin(joint) for joint in chain]
        flange_rotation, flange_point = _origin(joints["joint8"])
        self._ee = flange_point + flange_rotation @ T_flange_ee[:3, 3]
        self.segments = _segments(root)
        for number, (radius, start, end) in enumerate(tool):
            ends = [flange_point + flange_rotation @ point for point in (start, end)]
            self.segments.append(Segment(f"hand{number}", JOINTS, True, radius, *ends))

    def speed_limits(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, 7) largest speed up and down [rad/s] at `q` (n, 7), as the URDF gives it (public FR3 limits).

        Up: min(vmax, max(0, -offset + sqrt(2 deceleration (upper - q)))); down is its mirror.
        """
        a = 2.0 * self.deceleration

        def bound(distance: np.ndarray) -> np.ndarray:
            near = np.sqrt(np.maximum(0.0, a * distance)) - self.velocity_offset
            return np.minimum(self.velocity, np.maximum(0.0, near))

        return bound(self.upper - q), bound(q - self.lower)

    def frames(self, q: np.ndarray) -> Frames:
        """Of base and joints at `q` (n, 7)."""
        n = len(q)
        rotations = np.empty((JOINTS + 1, n, 3, 3))
        origins = np.empty((JOINTS + 1, n, 3))
        rotations[0], origins[0] = np.eye(3), 0.0
        for j, (turn, step) in enumerate(self._steps):
            before = rotations[j]
            origins[j + 1] = origins[j] + before @ step
            fixed = (before.reshape(-1, 3) @ turn).reshape(n, 3, 3)
            c, s = np.cos(q[:, j])[:, None], np.sin(q[:, j])[:, None]
            after = rotations[j + 1]
            after[:, :, 0] = c * fixed[:, :, 0] + s * fixed[:, :, 1]
            after[:, :, 1] = c * fixed[:, :, 1] - s * fixed[:, :, 0]
            after[:, :, 2] = fixed[:, :, 2]
        return Frames(rotations, origins)

    def motion(self, frames: Frames, dq: np.ndarray) -> Motion:
        """Of tool and elbow at joint velocities `dq` (n, 7): v = sum of dq_j z_j x (p - o_j), w = sum of dq_j z_j."""
        tcp = frames.origins[JOINTS] + frames.rotations[JOINTS] @ self._ee
        elbow = frames.origins[ELBOW_JOINT + 1]
        tcp_velocity, elbow_velocity, rotation = np.zeros_like(tcp), np.zeros_like(tcp), np.zeros_like(tcp)
        for j in range(JOINTS):
            spin = dq[:, j : j + 1] * frames.rotations[j + 1][:, :, 2]
            rotation += spin
            tcp_velocity += np.cross(spin, tcp - frames.origins[j + 1])
            if j < ELBOW_JOINT:
                elbow_velocity += np.cross(spin, elbow - frames.origins[j + 1])
        return Motion(tcp, elbow, tcp_velocity, elbow_velocity, rotation)

    def place(self, frames: Frames, segment: Segment) -> tuple[np.ndarray, np.ndarray]:
        """End points (n, 3) of a capsule in base axes."""
        rotation, origin = frames.rotations[segment.joint], frames.origins[segment.joint]
        return origin + rotation @ segment.start_m, origin + rotation @ segment.end_m


def _column(chain: list[ET.Element], tag: str, attribute: str) -> np.ndarray:
    values = []
    for joint in chain:
        element = joint.find(tag)
        if element is None:
            raise ValueError(f"{joint.get('name')}: no <{tag}> in the URDF")
        values.append(float(element.attrib[attribute]))
    return np.array(values)


def _numbers(text: str | None) -> np.ndarray:
    return np.array([float(part) for part in (text or "0 0 0").split()])


def _rotation(rpy: np.ndarray) -> np.ndarray:
    (cr, cp, cy), (sr, sp, sy) = np.cos(rpy), np.sin(rpy)
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def _origin(element: ET.Element) -> tuple[np.ndarray, np.ndarray]:
    origin = element.find("origin")
    if origin is None:
        return np.eye(3), np.zeros(3)
    return _rotation(_numbers(origin.get("rpy"))), _numbers(origin.get("xyz"))


def _segments(root: ET.Element) -> list[Segment]:
    """Capsules of the links: each cylinder with its pose, radius and length; its end spheres only repeat it."""
    found = []
    for link in root.iter("link"):
        for part in link.iter("collision"):
            cylinder = part.find("geometry/cylinder")
            if cylinder is None:
                continue
            rotation, center = _origin(part)
            half = rotation @ np.array([0.0, 0.0, float(cylinder.attrib["length"]) / 2.0])
            number = int(str(link.get("name")).removeprefix("link"))
            found.append(
                Segment(
                    str(part.get("name")), min(number, JOINTS), False, float(cylinder.attrib["radius"]),
                    center - half, center + half,
                )
            )  # fmt: skip
    if not found:
        raise ValueError("the URDF has no capsules")
    return found


def segment_angle_free(first: Segment, second: Segment) -> bool:
    """Whether two capsules are far enough along the chain to be able to hit each other.

    Neighbouring links overlap by construction. Links two joints apart cannot reach each other within this arm's joint
    ranges, except for the hand, which folds back to the forearm.
    """
    apart = abs(first.joint - second.joint)
    return apart > (1 if first.tool or second.tool else 2)


def turned_about_z(angle_rad: float, point: tuple[float, float, float]) -> np.ndarray:
    """(3,) a point given in axes that are turned by `angle_rad` about z."""
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([c * point[0] - s * point[1], s * point[0] + c * point[1], point[2]])
