"""What the gate allows: the connected robot's limits, tightened by the cell's profile."""

import math
from dataclasses import dataclass

from runtime.cell import LimitsProfile
from runtime.errors import SinewError
from runtime.robot import RobotModel, Seven


class LimitsError(SinewError):
    """A profile is looser than the robot, or contradicts itself; the text names key, value and limit."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Plain numbers for the checks; (7,) per joint where plural.

    `lower`, `upper` are the profile's (the robot's with a margin); `robot_lower`, `robot_upper` the robot's own, from which
    the position-dependent velocity limit counts. `jump` is the step per command above which it is blended.
    """

    lower: Seven
    upper: Seven
    robot_lower: Seven
    robot_upper: Seven
    velocity: Seven
    velocity_offset: Seven
    deceleration: Seven
    acceleration: Seven
    jerk: Seven
    jump: Seven
    jump_stop: float
    tcp_speed: float
    elbow_speed: float
    tcp_rotation: float
    min_singular_value: float
    tracking: float
    force: float
    torque: float
    window_m: float
    max_age_ns: int
    max_shapes: int


def limits_of(robot: RobotModel, profile: LimitsProfile, period_s: float) -> Limits:
    """Tighten a robot's limits by a profile.

    Args:
        robot: the connected one.
        profile: of the cell file.
        period_s: between two commands: what a joint may travel in one at full speed is never a jump.

    Raises:
        LimitsError: the profile allows more than the robot, leaves a joint no room, or blends above what it stops.
    """
    for key, value, most in (
        ("joint_velocity_fraction", profile.joint_velocity_fraction, 1.0),
        ("joint_acceleration_fraction", profile.joint_acceleration_fraction, 1.0),
        ("joint_jerk_fraction", profile.joint_jerk_fraction, 1.0),
        ("tcp_speed_m_s", profile.tcp_speed_m_s, robot.tcp_speed),
        ("elbow_speed_m_s", profile.elbow_speed_m_s, robot.elbow_speed),
        ("tcp_rotation_rad_s", profile.tcp_rotation_rad_s, robot.tcp_rotation),
    ):
        if value > most:
            raise LimitsError(
                f"limits profile: {key} = {value:g} is looser than the robot {robot.name}: at most {most:g}"
            )
    margin = profile.joint_margin_rad
    lower = tuple(low + margin for low in robot.lower)
    upper = tuple(high - margin for high in robot.upper)
    for name, low, high in zip(robot.names, lower, upper, strict=True):
        if low >= high:
            raise LimitsError(f"limits profile: joint_margin_rad = {margin:g} leaves {name} no room: use a smaller one")
    velocity = tuple(profile.joint_velocity_fraction * value for value in robot.velocity)
    jump = tuple(max(profile.jump_shape_rad, value * period_s) for value in velocity)
    if profile.jump_stop_rad < max(jump):
        raise LimitsError(
            f"limits profile: jump_stop_rad = {profile.jump_stop_rad:g} is below what is blended "
            f"(jump_shape_rad, or full speed for {1e3 * period_s:g} ms): at least {max(jump):g}"
        )
    return Limits(
        lower=lower,
        upper=upper,
        robot_lower=robot.lower,
        robot_upper=robot.upper,
        velocity=velocity,
        velocity_offset=robot.velocity_offset,
        deceleration=robot.deceleration,
        acceleration=tuple(profile.joint_acceleration_fraction * value for value in robot.acceleration),
        jerk=tuple(profile.joint_jerk_fraction * value for value in robot.jerk),
        jump=jump,
        jump_stop=profile.jump_stop_rad,
        tcp_speed=profile.tcp_speed_m_s,
        elbow_speed=profile.elbow_speed_m_s,
        tcp_rotation=profile.tcp_rotation_rad_s,
        min_singular_value=profile.min_singular_value,
        tracking=profile.tracking_error_rad,
        force=profile.external_force_n,
        torque=profile.external_torque_nm,
        window_m=profile.window_displacement_m,
        max_age_ns=round(profile.max_command_age_ms * 1e6),
        max_shapes=profile.max_consecutive_shapes,
    )


def velocity_bounds(joint: int, q: float, limits: Limits) -> tuple[float, float]:
    """Least and greatest velocity [rad/s] of a joint (0 to 6) at position `q` [rad]: it must be able to brake.

    The FR3's law (FCI documentation, limits for FR3): `min(v, max(0, -offset + sqrt(2 deceleration distance)))`.
    """
    offset, double, most = limits.velocity_offset[joint], 2.0 * limits.deceleration[joint], limits.velocity[joint]
    up = math.sqrt(max(0.0, double * (limits.robot_upper[joint] - q))) - offset
    down = math.sqrt(max(0.0, double * (q - limits.robot_lower[joint]))) - offset
    return -min(most, max(0.0, down)), min(most, max(0.0, up))
