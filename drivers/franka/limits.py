"""The connected robot's own joint limits: read from the URDF that it sends, never from constants."""

import math
import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass

from drivers.franka.errors import RobotModelError
from runtime.rows import JOINTS

Seven = tuple[float, ...]
MAX_URDF_BYTES = 1 << 20


@dataclass(frozen=True)
class JointLimits:
    """Limits per joint, each (7,).

    Attributes:
        lower_rad, upper_rad: position.
        velocity_rad_s: what this driver can follow: the robot's limit, or the client library's planner's if lower.
        effort_nm: torque.
        velocity_offset_rad_s, deceleration_rad_s2: of the FR3's position-dependent velocity limit, `velocity_bounds`.
        acceleration_rad_s2, jerk_rad_s3: of the driver's planner.
    """

    lower_rad: Seven
    upper_rad: Seven
    velocity_rad_s: Seven
    effort_nm: Seven
    velocity_offset_rad_s: Seven
    deceleration_rad_s2: Seven
    acceleration_rad_s2: Seven
    jerk_rad_s3: Seven

    def velocity_bounds(self, q: Seven) -> tuple[list[float], list[float]]:
        """Least and greatest joint velocity [rad/s] at positions `q` (7,) [rad]: the arm must be able to brake.

        The FR3's position-dependent limits (FCI documentation, "limits for FR3"), whose parameters are in the URDF.
        """
        low, high = [], []
        for joint in range(JOINTS):
            offset, double = self.velocity_offset_rad_s[joint], 2.0 * self.deceleration_rad_s2[joint]
            most = self.velocity_rad_s[joint]
            up = math.sqrt(max(double * (self.upper_rad[joint] - q[joint]), 0.0)) - offset
            down = math.sqrt(max(double * (q[joint] - self.lower_rad[joint]), 0.0)) - offset
            low.append(-min(most, max(down, 0.0)))
            high.append(min(most, max(up, 0.0)))
        return low, high

    def as_dict(self) -> dict[str, Seven]:
        """Plain values for JSON."""
        return asdict(self)


def read_limits(urdf: str, planner_velocity: Seven, planner_acceleration: Seven, planner_jerk: Seven) -> JointLimits:
    """The limits in a robot's URDF text, velocities tightened to what the client library's planner takes.

    Args:
        urdf: what the robot sent.
        planner_velocity, planner_acceleration, planner_jerk: (7,) [rad/s, rad/s2, rad/s3].

    Raises:
        RobotModelError: not XML, a joint or an attribute missing, or a value that cannot be a limit.
    """
    if len(urdf.encode()) > MAX_URDF_BYTES:
        raise RobotModelError(f"the robot's URDF has {len(urdf)} characters; at most {MAX_URDF_BYTES} bytes are read")
    try:
        joints = {str(joint.get("name")): joint for joint in ET.fromstring(urdf).iter("joint")}
    except ET.ParseError as error:
        raise RobotModelError(f"the robot's URDF is no XML: {error}") from error
    columns: dict[str, list[float]] = {}
    for number in range(1, JOINTS + 1):
        joint = next((one for name, one in joints.items() if name.endswith(f"joint{number}")), None)
        if joint is None:
            raise RobotModelError(f"the robot's URDF has no joint{number}: it has {sorted(joints)}")
        for tag, attribute in _ATTRIBUTES:
            columns.setdefault(f"{tag}.{attribute}", []).append(_value(joint, number, tag, attribute))
    lower, upper = columns["limit.lower"], columns["limit.upper"]
    if any(low >= high for low, high in zip(lower, upper, strict=True)):
        raise RobotModelError(f"the robot's URDF has a lower joint limit above the upper: {lower}, {upper}")
    velocity = [min(pair) for pair in zip(columns["limit.velocity"], planner_velocity, strict=True)]
    return JointLimits(
        tuple(lower),
        tuple(upper),
        tuple(velocity),
        tuple(columns["limit.effort"]),
        tuple(columns["position_based_velocity_limits.velocity_offset"]),
        tuple(columns["position_based_velocity_limits.deceleration_limit"]),
        tuple(planner_acceleration),
        tuple(planner_jerk),
    )


_ATTRIBUTES = (
    ("limit", "lower"), ("limit", "upper"), ("limit", "velocity"), ("limit", "effort"),
    ("position_based_velocity_limits", "velocity_offset"), ("position_based_velocity_limits", "deceleration_limit"),
)  # fmt: skip


def _value(joint: ET.Element, number: int, tag: str, attribute: str) -> float:
    element = joint.find(tag)
    text = element.get(attribute) if element is not None else None
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        value = math.nan
    signed = attribute in ("lower", "upper")
    if not math.isfinite(value) or (not signed and value < 0.0):
        raise RobotModelError(f"the robot's URDF: joint{number}, <{tag} {attribute}>: {text!r} is no limit")
    return value
