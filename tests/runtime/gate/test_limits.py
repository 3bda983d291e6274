import math

import pytest

from runtime.cell import LimitsProfile
from runtime.gate.limits import LimitsError, limits_of, velocity_bounds

EXACT = {
    "joint_velocity_fraction": 1.0, "joint_acceleration_fraction": 1.0, "joint_jerk_fraction": 1.0,
    "tcp_speed_m_s": 3.0, "elbow_speed_m_s": 3.0, "tcp_rotation_rad_s": 2.5,
}  # fmt: skip


def with_values(**values: float) -> LimitsProfile:
    return LimitsProfile.model_construct(**{**LimitsProfile().model_dump(), **values})


@pytest.mark.parametrize("key", EXACT)
def test_a_profile_may_reach_the_robots_limit_and_is_refused_above_it(robot, key):
    limits_of(robot, with_values(**{key: EXACT[key]}), 0.005)
    with pytest.raises(LimitsError, match=f"{key} = .* is looser than the robot fr3: at most {EXACT[key]:g}"):
        limits_of(robot, with_values(**{key: math.nextafter(EXACT[key], 9.0)}), 0.005)


def test_fractions_margin_and_stamps_are_applied(robot):
    profile = with_values(
        joint_velocity_fraction=0.25, joint_acceleration_fraction=0.5, joint_jerk_fraction=0.1, joint_margin_rad=0.1,
        max_command_age_ms=40.0,
    )  # fmt: skip
    limits = limits_of(robot, profile, 0.005)
    for j in range(7):
        assert limits.lower[j] == robot.lower[j] + 0.1
        assert limits.upper[j] == robot.upper[j] - 0.1
        assert limits.velocity[j] == 0.25 * robot.velocity[j]
        assert limits.acceleration[j] == 0.5 * robot.acceleration[j]
        assert limits.jerk[j] == 0.1 * robot.jerk[j]
    assert limits.robot_lower == robot.lower
    assert limits.robot_upper == robot.upper
    assert limits.max_age_ns == 40_000_000
    assert (limits.tracking, limits.force, limits.torque) == (
        profile.tracking_error_rad, profile.external_force_n, profile.external_torque_nm,
    )  # fmt: skip
    assert (limits.window_m, limits.max_shapes) == (profile.window_displacement_m, profile.max_consecutive_shapes)
    assert (limits.velocity_offset, limits.deceleration) == (robot.velocity_offset, robot.deceleration)
    assert (limits.tcp_speed, limits.elbow_speed, limits.tcp_rotation, limits.min_singular_value) == (
        profile.tcp_speed_m_s, profile.elbow_speed_m_s, profile.tcp_rotation_rad_s, profile.min_singular_value,
    )  # fmt: skip


def test_a_margin_that_leaves_no_room_is_refused(robot):
    half = min((high - low) / 2 for low, high in zip(robot.lower, robot.upper, strict=True))
    limits_of(robot, with_values(joint_margin_rad=half - 1e-9), 0.005)
    with pytest.raises(LimitsError, match="joint_margin_rad = .* leaves .*joint4 no room"):
        limits_of(robot, with_values(joint_margin_rad=half + 1e-9), 0.005)


def test_a_margin_that_leaves_one_point_is_no_room(robot):
    from dataclasses import replace

    narrow = replace(robot, lower=(-1.0,) * 7, upper=(1.0,) * 7)
    with pytest.raises(LimitsError, match="no room"):
        limits_of(narrow, with_values(joint_margin_rad=1.0), 0.005)


def test_full_speed_of_one_period_is_never_a_jump(robot):
    slow = limits_of(robot, with_values(joint_velocity_fraction=1.0, jump_shape_rad=0.02), 0.001)
    assert slow.jump == (0.02,) * 7
    fast = limits_of(robot, with_values(joint_velocity_fraction=1.0, jump_shape_rad=0.02), 0.02)
    assert fast.jump == tuple(0.02 * value for value in robot.velocity)


def test_what_stops_may_not_be_below_what_is_blended(robot):
    limits_of(robot, with_values(jump_shape_rad=0.2, jump_stop_rad=0.2), 0.005)
    with pytest.raises(LimitsError, match="jump_stop_rad = 0.19 .* at least 0.2"):
        limits_of(robot, with_values(jump_shape_rad=0.2, jump_stop_rad=0.19), 0.005)
    with pytest.raises(LimitsError, match="full speed for 100 ms"):
        limits_of(robot, with_values(joint_velocity_fraction=1.0, jump_stop_rad=0.2), 0.1)


def test_velocity_bounds_follow_the_published_law(robot):
    limits = limits_of(robot, with_values(joint_velocity_fraction=1.0), 0.005)
    # FCI documentation, limits for FR3, joint 1: min(2.62, -0.30 + sqrt(12.0 (q_max - q))).
    assert velocity_bounds(0, 0.0, limits) == (-2.62, 2.62)
    least, most = velocity_bounds(0, robot.upper[0] - 0.1, limits)
    assert most == pytest.approx(-0.30 + math.sqrt(12.0 * 0.1))
    assert least == -2.62
    least, most = velocity_bounds(1, robot.lower[1] + 0.05, limits)
    assert least == pytest.approx(0.20 - math.sqrt(5.17 * 0.05))
    for j in range(7):
        assert velocity_bounds(j, robot.upper[j], limits) == (-limits.velocity[j], 0.0)
        assert velocity_bounds(j, robot.upper[j] + 0.1, limits)[1] == 0.0
        assert velocity_bounds(j, robot.lower[j], limits) == (0.0, limits.velocity[j])
        assert velocity_bounds(j, robot.lower[j] - 0.1, limits)[0] == 0.0
