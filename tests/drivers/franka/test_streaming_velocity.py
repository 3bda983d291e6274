import numpy as np
import pytest

from drivers.franka.command import Command
from drivers.franka.limits import read_limits
from drivers.franka.streaming_velocity import dead_man_ms, velocity_command
from hil.scenes.fr3 import urdf

LIMITS = read_limits(urdf(), (2.175,) * 4 + (2.61,) * 3, (10.0,) * 7, (5000.0,) * 7)
HOME = (0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785)


def command(q=HOME, dq=(0.0,) * 7):
    return Command(1, 1, 0, 1, 1, 1, q, dq, (0.0,) * 7, np.eye(4), 5_000_000, 0)


def test_velocity_is_feed_forward_plus_feedback_on_what_the_robot_was_told():
    target = tuple(value + 0.01 for value in HOME)
    found = velocity_command(command(target, (0.1, -0.1, 0.2, 0.0, 0.0, 0.3, 0.0)), HOME, 5.0, LIMITS)
    np.testing.assert_allclose(found, [0.15, -0.05, 0.25, 0.05, 0.05, 0.35, 0.05])


def test_velocity_stays_inside_the_planners_limit_whatever_the_error():
    for sign in (1.0, -1.0):
        found = velocity_command(command(tuple(value + sign * 9.0 for value in HOME)), HOME, 5.0, LIMITS)
        low, high = LIMITS.velocity_bounds(HOME)
        assert all(a < value < b for a, value, b in zip(low, found, high, strict=True))


def test_near_its_limit_a_joint_only_moves_as_fast_as_it_can_brake():
    at = (LIMITS.upper_rad[0] - 0.005, *HOME[1:])
    found = velocity_command(command((at[0] + 0.5, *HOME[1:]), (2.0,) + (0.0,) * 6), at, 5.0, LIMITS)
    assert 0.0 <= found[0] <= LIMITS.velocity_bounds(at)[1][0] < 0.2


@pytest.mark.parametrize("rate_hz", [20, 30, 50, 100, 200, 500, 1000])
def test_native_dead_man_is_two_to_three_periods(rate_hz):
    period_ms = 1000 / rate_hz
    assert 2 * period_ms <= dead_man_ms(round(period_ms * 1e6)) <= 3 * period_ms
