"""The emulated arm's data: one table of kinematics, limits, masses and collision capsules for physics and URDF alike.

Kinematics are the maker's public Denavit-Hartenberg parameters (Craig's convention), limits the public FR3 data sheet.
Masses, inertias and capsules are our own plausible figures, not an identified robot: 17.8 kg in all. The physics plant
(`hil/plant.py`) and the URDF that the emulated robot serves are both built from here, so a client's model calls agree
with the physics.

Link frames are the DH frames: joint i turns link i about its own z axis; link 8 is the flange.

Two things in the URDF are ours, in places that libfranka and urdfdom pass over:
- `<dynamic_limits acceleration= jerk=/>` in each joint [rad/s2, rad/s3]: URDF has no field for them, and a gate must
  take its limits from the robot it is connected to.
- collision capsules: each is a `<collision>` with a `<cylinder>` (radius, and the length between the two end centres,
  along z of its origin) named `<link>_capsule<k>`, followed by its end `<sphere>`s `..._start` and `..._end`.
"""

import math
from dataclasses import dataclass

import numpy as np

JOINTS = 7

Vector3 = tuple[float, float, float]


@dataclass(frozen=True)
class JointData:
    """One joint: where it sits in the previous link, and what the robot allows.

    `a_m`, `d_m`, `alpha_rad`: Craig's DH parameters (theta is the joint angle). Velocity near a position limit is
    bounded by `-velocity_offset + sqrt(2 * deceleration * distance)` as libfranka reads it from the URDF.
    """

    a_m: float
    d_m: float
    alpha_rad: float
    lower_rad: float
    upper_rad: float
    velocity_rad_s: float
    velocity_offset_rad_s: float
    deceleration_rad_s2: float
    torque_nm: float
    acceleration_rad_s2: float = 10.0
    jerk_rad_s3: float = 5000.0

    def T_parent_joint(self) -> np.ndarray:
        """(4, 4) pose of the joint's frame at angle zero in the parent link's frame."""
        ca, sa = math.cos(self.alpha_rad), math.sin(self.alpha_rad)
        return np.array(
            [[1, 0, 0, self.a_m], [0, ca, -sa, -sa * self.d_m], [0, sa, ca, ca * self.d_m], [0, 0, 0, 1]], dtype=float
        )


@dataclass(frozen=True)
class Capsule:
    """All points within `radius_m` of the segment from `start_m` to `end_m`, in the frame of the link named."""

    link: str
    radius_m: float
    start_m: Vector3
    end_m: Vector3


@dataclass(frozen=True)
class LinkInertia:
    """Mass [kg], centre of mass in the link frame [m], inertia diagonal about it in the link's axes [kg m2]."""

    mass_kg: float
    center_m: Vector3
    inertia_kg_m2: Vector3


_HALF_PI = math.pi / 2

# Limits: public FR3 data sheet; the velocity_offset and deceleration pairs are its position-dependent velocity
# limits, e.g. joint 1: min(2.62, max(0, -0.30 + sqrt(12.0 * (2.7501 - q)))), 12.0 being twice the deceleration.
JOINT_TABLE: tuple[JointData, ...] = (
    JointData(0.0, 0.333, 0.0, -2.7437, 2.7437, 2.62, 0.30, 6.0, 87.0),
    JointData(0.0, 0.0, -_HALF_PI, -1.7837, 1.7837, 2.62, 0.20, 2.585, 87.0),
    JointData(0.0, 0.316, _HALF_PI, -2.9007, 2.9007, 2.62, 0.20, 3.5, 87.0),
    JointData(0.0825, 0.0, _HALF_PI, -3.0421, -0.1518, 2.62, 0.30, 4.0, 87.0),
    JointData(-0.0825, 0.384, -_HALF_PI, -2.8065, 2.8065, 5.26, 0.35, 17.0, 12.0),
    JointData(0.0, 0.0, _HALF_PI, 0.5445, 4.5169, 4.18, 0.35, 5.5, 12.0),
    JointData(0.088, 0.0, _HALF_PI, -3.0159, 3.0159, 5.26, 0.35, 17.0, 12.0),
)

FLANGE_OFFSET_M = 0.107  # along z of link 7

LINK_INERTIAS: tuple[LinkInertia, ...] = (
    LinkInertia(2.0, (-0.03, 0.0, 0.06), (0.008, 0.011, 0.009)),
    LinkInertia(2.9, (0.0, -0.01, -0.09), (0.030, 0.027, 0.009)),
    LinkInertia(2.9, (0.0, -0.08, 0.02), (0.030, 0.009, 0.028)),
    LinkInertia(2.6, (0.03, 0.01, -0.05), (0.018, 0.018, 0.008)),
    LinkInertia(2.5, (-0.05, 0.08, 0.01), (0.020, 0.008, 0.019)),
    LinkInertia(2.9, (0.0, 0.03, -0.10), (0.031, 0.027, 0.009)),
    LinkInertia(1.4, (0.05, -0.01, -0.01), (0.0030, 0.0045, 0.0050)),
    LinkInertia(0.6, (0.005, 0.0, 0.06), (0.0008, 0.0008, 0.0005)),
)

# What the motors add to each joint as seen from the link side [kg m2]. The robot's torque control hides most of the
# rotor's inertia; the rest keeps stiff joint impedance stable at 1 kHz, here as there. No part of the URDF (libfranka's
# mass matrix is the rigid links' alone).
ROTOR_INERTIA_KG_M2 = (0.20, 0.20, 0.20, 0.20, 0.10, 0.10, 0.10)
# What is left of joint friction after the robot's own compensation [Nm s/rad].
JOINT_DAMPING_NM_S = (0.3, 0.3, 0.3, 0.3, 0.1, 0.1, 0.1)
# How far behind the position limit the mechanical end stop sits [rad].
END_STOP_MARGIN_RAD = 0.05

CAPSULES: tuple[Capsule, ...] = (
    Capsule("link0", 0.075, (-0.06, 0.0, 0.06), (0.0, 0.0, 0.06)),
    Capsule("link1", 0.057, (0.0, 0.0, -0.192), (0.0, 0.0, 0.0)),
    Capsule("link2", 0.060, (0.0, 0.0, -0.060), (0.0, 0.0, 0.060)),
    Capsule("link2", 0.056, (0.0, 0.0, 0.0), (0.0, -0.145, 0.0)),
    Capsule("link3", 0.053, (0.0, 0.0, -0.120), (0.0, 0.0, 0.0)),
    Capsule("link3", 0.053, (0.0, 0.0, 0.0), (0.0825, 0.0, 0.0)),
    Capsule("link4", 0.056, (0.0, 0.0, -0.050), (0.0, 0.0, 0.050)),
    Capsule("link4", 0.050, (0.0, 0.0, 0.0), (-0.0825, 0.115, 0.0)),
    Capsule("link5", 0.052, (0.0, 0.0, -0.260), (0.0, 0.020, -0.150)),
    Capsule("link5", 0.046, (0.0, 0.050, -0.150), (0.0, 0.060, -0.020)),
    Capsule("link6", 0.050, (0.0, 0.0, -0.030), (0.0, 0.0, 0.040)),
    Capsule("link6", 0.048, (0.0, 0.0, 0.0), (0.088, 0.0, 0.0)),
    Capsule("link7", 0.045, (0.0, 0.0, -0.020), (0.0, 0.0, 0.062)),
)

# --- the hand: two fingers sliding along y of the hand frame, which is the flange turned by -45 degrees about z ---
HAND_TURN_RAD = -math.pi / 4
# The maker's public figures for the Franka Hand with both fingers, in the flange frame's axes.
HAND_INERTIA = LinkInertia(0.73, (-0.01, 0.0, 0.03), (0.001, 0.0025, 0.0017))
FINGER_MASS_KG = 0.015  # each; part of HAND_INERTIA's mass
FINGER_BASE_M = 0.0584  # where the fingers leave the hand, along z of the hand frame
FINGER_STROKE_M = 0.04
TCP_OFFSET_M = 0.1034  # flange to the point between the fingertips
MAX_WIDTH_M = 2 * FINGER_STROKE_M

HAND_CAPSULE = Capsule("hand", 0.031, (0.0, -0.072, 0.030), (0.0, 0.072, 0.030))  # the palm, in the hand frame


def T_flange_ee_hand() -> np.ndarray:
    """(4, 4) the end-effector frame that a Franka Hand sets: 103.4 mm in front of the flange, turned by -45 degrees."""
    c, s = math.cos(HAND_TURN_RAD), math.sin(HAND_TURN_RAD)
    return np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, TCP_OFFSET_M], [0, 0, 0, 1]], dtype=float)


LOWER_RAD = np.array([joint.lower_rad for joint in JOINT_TABLE])
UPPER_RAD = np.array([joint.upper_rad for joint in JOINT_TABLE])
VELOCITY_RAD_S = np.array([joint.velocity_rad_s for joint in JOINT_TABLE])
TORQUE_NM = np.array([joint.torque_nm for joint in JOINT_TABLE])
for _table in (LOWER_RAD, UPPER_RAD, VELOCITY_RAD_S, TORQUE_NM):
    _table.flags.writeable = False


def urdf() -> str:
    """The description that the emulated robot serves. Model calls on it give the physics plant's own numbers.

    What libfranka (server version 10) demands: links named `link0` to `link8` without a prefix (another name lets the
    client connect and then crashes its model calls), `joint1` to `joint7` with `<limit>` and
    `<position_based_velocity_limits>`.
    """
    parts = ['<?xml version="1.0"?>', '<robot name="fr3">']
    for index in range(len(JOINT_TABLE) + 2):
        name = f"link{index}"
        body = _inertial(LINK_INERTIAS[index]) if index < len(LINK_INERTIAS) else ""
        capsules = [capsule for capsule in CAPSULES if capsule.link == name]
        body += "".join(_collision(f"{name}_capsule{k}", capsule) for k, capsule in enumerate(capsules))
        parts.append(f'<link name="{name}">{body}</link>')
    for number, joint in enumerate(JOINT_TABLE, start=1):
        xyz = joint.T_parent_joint()[:3, 3]
        parts.append(
            f'<joint name="joint{number}" type="revolute">'
            f'<origin xyz="{_numbers(xyz)}" rpy="{_numbers((joint.alpha_rad, 0.0, 0.0))}"/>'
            f'<parent link="link{number - 1}"/><child link="link{number}"/><axis xyz="0 0 1"/>'
            f'<limit lower="{joint.lower_rad}" upper="{joint.upper_rad}" velocity="{joint.velocity_rad_s}"'
            f' effort="{joint.torque_nm}"/>'
            f'<position_based_velocity_limits velocity_offset="{joint.velocity_offset_rad_s}"'
            f' deceleration_limit="{joint.deceleration_rad_s2}"/>'
            f'<dynamic_limits acceleration="{joint.acceleration_rad_s2}" jerk="{joint.jerk_rad_s3}"/>'
            "</joint>"
        )
    parts.append(
        f'<joint name="joint8" type="fixed"><origin xyz="0 0 {FLANGE_OFFSET_M}" rpy="0 0 0"/>'
        '<parent link="link7"/><child link="link8"/></joint>'
    )
    parts.append("</robot>")
    return "\n".join(parts) + "\n"


def _numbers(values: tuple[float, ...] | np.ndarray) -> str:
    return " ".join(repr(float(value)) for value in values)


def _inertial(link: LinkInertia) -> str:
    ixx, iyy, izz = link.inertia_kg_m2
    return (
        f'<inertial><origin xyz="{_numbers(link.center_m)}" rpy="0 0 0"/><mass value="{link.mass_kg}"/>'
        f'<inertia ixx="{ixx}" ixy="0" ixz="0" iyy="{iyy}" iyz="0" izz="{izz}"/></inertial>'
    )


def _collision(name: str, capsule: Capsule) -> str:
    start, end = np.array(capsule.start_m), np.array(capsule.end_m)
    axis = end - start
    length = float(np.linalg.norm(axis))
    x, y, z = axis / length
    # Roll-pitch-yaw that turns z onto the capsule's axis: R = Rz(yaw) Ry(pitch) Rx(0).
    pitch, yaw = math.atan2(math.hypot(x, y), z), math.atan2(y, x)

    def one(suffix: str, origin: np.ndarray, rpy: tuple[float, ...], shape: str) -> str:
        return (
            f'<collision name="{name}{suffix}"><origin xyz="{_numbers(origin)}" rpy="{_numbers(rpy)}"/>'
            f"<geometry>{shape}</geometry></collision>"
        )

    sphere = f'<sphere radius="{capsule.radius_m}"/>'
    return (
        one("", (start + end) / 2, (0.0, pitch, yaw), f'<cylinder radius="{capsule.radius_m}" length="{length!r}"/>')
        + one("_start", start, (0.0, 0.0, 0.0), sphere)
        + one("_end", end, (0.0, 0.0, 0.0), sphere)
    )
