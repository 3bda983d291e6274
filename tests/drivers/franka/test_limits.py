import numpy as np
import pytest

from drivers.franka.errors import RobotModelError
from drivers.franka.limits import MAX_URDF_BYTES, read_limits
from hil.fci.limits import velocity_bounds
from hil.scenes.fr3 import JOINT_TABLE, LOWER_RAD, TORQUE_NM, UPPER_RAD, VELOCITY_RAD_S, urdf

PANDA_VELOCITY = (2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61)  # what franky 2.0.0 plans with at most
FAST = (100.0,) * 7
ACCELERATION, JERK = (10.0,) * 7, (5000.0,) * 7


def test_limits_are_the_connected_robots():
    limits = read_limits(urdf(), FAST, ACCELERATION, JERK)
    np.testing.assert_allclose(limits.lower_rad, LOWER_RAD, atol=1e-9)
    np.testing.assert_allclose(limits.upper_rad, UPPER_RAD, atol=1e-9)
    np.testing.assert_allclose(limits.velocity_rad_s, VELOCITY_RAD_S, atol=1e-9)
    np.testing.assert_allclose(limits.effort_nm, TORQUE_NM, atol=1e-9)
    assert limits.acceleration_rad_s2 == ACCELERATION
    offsets = [joint.velocity_offset_rad_s for joint in JOINT_TABLE]
    np.testing.assert_allclose(limits.velocity_offset_rad_s, offsets, atol=1e-9)


def test_the_planners_lower_velocity_wins():
    limits = read_limits(urdf(), PANDA_VELOCITY, ACCELERATION, JERK)
    np.testing.assert_allclose(limits.velocity_rad_s, np.minimum(PANDA_VELOCITY, VELOCITY_RAD_S))


def test_position_dependent_velocity_agrees_with_the_robots_own_rule():
    limits = read_limits(urdf(), FAST, ACCELERATION, JERK)
    rng = np.random.default_rng(3)
    for _ in range(200):
        q = rng.uniform(LOWER_RAD - 0.01, UPPER_RAD + 0.01)
        low, high = limits.velocity_bounds(tuple(q))
        robot_low, robot_high = velocity_bounds(q)
        np.testing.assert_allclose(low, robot_low, atol=1e-9)
        np.testing.assert_allclose(high, robot_high, atol=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("joint5", "elbow", "no joint5"),
        ("<limit", "<limited", "is no limit"),
        ('velocity="', 'velocity="fast', "is no limit"),
        ('lower="', 'lower="nan" was="', "is no limit"),
        ('deceleration_limit="', 'deceleration_limit="-', "is no limit"),
        ("</robot>", "", "is no XML"),
    ],
)
def test_a_description_without_limits_is_refused_by_name(old, new, said):
    with pytest.raises(RobotModelError, match=said):
        read_limits(urdf().replace(old, new), FAST, ACCELERATION, JERK)


def test_an_endless_description_is_not_parsed():
    with pytest.raises(RobotModelError, match="at most"):
        read_limits("x" * (MAX_URDF_BYTES + 1), FAST, ACCELERATION, JERK)
