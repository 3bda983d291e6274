"""Boundaries of the robot's own checks."""

import numpy as np
import pytest

from hil.fci import limits
from hil.fci.errors import ErrorFlag
from hil.fci.limits import JOINT_FLAGS, check_cartesian, check_joints, check_measured, check_torque_rate
from hil.scenes.fr3 import LOWER_RAD, TORQUE_NM, UPPER_RAD, VELOCITY_RAD_S

HOME = np.array([0.0, -0.785398, 0.0, -2.356194, 0.0, 1.570796, 0.785398])
ZERO = np.zeros(7)


def one(joint, value):
    vector = np.zeros(7)
    vector[joint] = value
    return vector


@pytest.mark.parametrize("joint", range(7))
def test_each_limit_of_each_joint_holds_to_the_digit_and_no_further(joint):
    position, velocity, jump, step = JOINT_FLAGS
    upper, lower = HOME.copy(), HOME.copy()
    upper[joint], lower[joint] = UPPER_RAD[joint], LOWER_RAD[joint]
    assert check_joints(upper, ZERO, ZERO, ZERO, JOINT_FLAGS) is None
    assert check_joints(upper + one(joint, 1e-9), ZERO, ZERO, ZERO, JOINT_FLAGS) is position
    assert check_joints(lower - one(joint, 1e-9), ZERO, ZERO, ZERO, JOINT_FLAGS) is position
    allowed = limits.velocity_bounds(HOME)[1][joint]
    assert check_joints(HOME, one(joint, allowed), ZERO, ZERO, JOINT_FLAGS) is None
    assert check_joints(HOME, one(joint, allowed + 0.002), ZERO, ZERO, JOINT_FLAGS) is velocity
    assert check_joints(HOME, ZERO, one(joint, 19.9), one(joint, 19.9), JOINT_FLAGS) is None
    assert check_joints(HOME, ZERO, one(joint, 20.1), one(joint, 20.1), JOINT_FLAGS) is jump
    assert check_joints(HOME, ZERO, one(joint, 10.0), one(joint, -4.9), JOINT_FLAGS) is None
    assert check_joints(HOME, ZERO, one(joint, 10.0), one(joint, -5.1), JOINT_FLAGS) is step


def test_velocity_bounds_close_towards_the_limit_and_are_the_maximum_far_from_it():
    lower, upper = limits.velocity_bounds(UPPER_RAD)
    assert upper == pytest.approx(ZERO)
    assert (lower < -1.0).all()
    middle = (LOWER_RAD + UPPER_RAD) / 2
    assert limits.velocity_bounds(middle)[1][6] == VELOCITY_RAD_S[6]


def test_velocity_bound_is_the_documented_formula():
    q = UPPER_RAD - 0.1
    assert limits.velocity_bounds(q)[1][0] == pytest.approx(-0.30 + np.sqrt(12.0 * 0.1))


@pytest.mark.parametrize(
    ("twist", "acceleration", "before", "flag"),
    [
        ([3.0, 0, 0, 0, 0, 0], ZERO[:6], ZERO[:6], None),
        ([3.01, 0, 0, 0, 0, 0], ZERO[:6], ZERO[:6], ErrorFlag.CARTESIAN_MOTION_GENERATOR_VELOCITY_LIMITS_VIOLATION),
        ([2.2, 2.2, 0, 0, 0, 0], ZERO[:6], ZERO[:6], ErrorFlag.CARTESIAN_MOTION_GENERATOR_VELOCITY_LIMITS_VIOLATION),
        ([0, 0, 0, 0, 0, 2.51], ZERO[:6], ZERO[:6], ErrorFlag.CARTESIAN_MOTION_GENERATOR_VELOCITY_LIMITS_VIOLATION),
        (ZERO[:6], one(0, 18.1)[:6], one(0, 18.1)[:6], ErrorFlag.CARTESIAN_MOTION_GENERATOR_VELOCITY_DISCONTINUITY),
        (ZERO[:6], one(0, 8.0)[:6], one(0, -5.6)[:6], ErrorFlag.CARTESIAN_MOTION_GENERATOR_ACCELERATION_DISCONTINUITY),
        (ZERO[:6], one(0, 8.0)[:6], one(0, -5.4)[:6], None),
    ],
)
def test_cartesian_limits_are_of_the_whole_vector(twist, acceleration, before, flag):
    assert check_cartesian(np.array(twist, dtype=float), acceleration, before) is flag


def test_torque_may_change_by_the_rate_and_its_tolerance():
    assert check_torque_rate(one(2, 1.5), ZERO) is None
    assert check_torque_rate(one(2, 1.51), ZERO) is ErrorFlag.CONTROLLER_TORQUE_DISCONTINUITY


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({}, None),
        ({"q": UPPER_RAD + 1e-6}, ErrorFlag.JOINT_POSITION_LIMITS_VIOLATION),
        ({"dq": one(4, 5.8)}, ErrorFlag.JOINT_VELOCITY_VIOLATION),
        ({"tcp_speed_m_s": 3.31}, ErrorFlag.CARTESIAN_VELOCITY_VIOLATION),
        ({"tau": 1.16 * TORQUE_NM}, ErrorFlag.TAU_J_RANGE_VIOLATION),
        ({"tau": 0.99 * TORQUE_NM, "dq": 0.9 * VELOCITY_RAD_S}, ErrorFlag.POWER_LIMIT_VIOLATION),
    ],
)
def test_measurements_raise_the_flag_of_what_they_break(change, flag):
    measured = {"q": HOME, "dq": ZERO, "tau": ZERO, "tcp_speed_m_s": 0.0} | change
    assert check_measured(**measured) is flag
