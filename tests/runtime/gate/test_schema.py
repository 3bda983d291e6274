import math

import pytest

from runtime.gate.reasons import Reason
from runtime.gate.schema import check_numbers, check_schema
from runtime.gate.types import Kind

IDENTITY = [1.0, 0.0, 0.0, 0.4, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.3, 0.0, 0.0, 0.0, 1.0]
BAD = [float("nan"), float("inf"), float("-inf")]


def check(candidate, robot):
    return check_schema(candidate, robot.joint_order, robot.frame)


def pose(candidate, T):
    return candidate(kind=Kind.CARTESIAN, T_base_ee=T, q=None, dq=None)


def test_a_good_candidate_passes(candidate, robot):
    assert check(candidate(), robot) is None
    assert check(candidate(dq=None), robot) is None
    assert check(pose(candidate, IDENTITY), robot) is None


def test_it_must_be_made_for_this_robot(candidate, robot):
    assert check(candidate(joint_order=5), robot) == (Reason.JOINT_ORDER, 5, robot.joint_order, 0)
    assert check(candidate(frame=6), robot) == (Reason.FRAME, 6, robot.frame, 0)
    assert check(candidate(frame=6, joint_order=5), robot).reason == Reason.JOINT_ORDER


@pytest.mark.parametrize("name", ["q", "dq"])
@pytest.mark.parametrize("count", [0, 6, 8])
def test_a_wrong_number_of_values_trips(candidate, robot, name, count):
    assert check(candidate(**{name: [0.0] * count}), robot) == (Reason.SHAPE_WRONG, count, 7, 0)


def test_positions_are_required_whatever_else_comes(candidate, robot):
    assert check(candidate(q=None), robot) == (Reason.SHAPE_WRONG, 0.0, 7, 0)
    assert check(pose(candidate, None), robot) == (Reason.SHAPE_WRONG, 0.0, 16, 0)
    assert check(pose(candidate, [0.0] * 15), robot) == (Reason.SHAPE_WRONG, 15, 16, 0)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("index", range(7))
@pytest.mark.parametrize("name", ["q", "dq"])
def test_one_value_that_is_not_finite_trips(candidate, robot, name, index, bad):
    values = [0.1] * 7
    values[index] = bad
    found = check(candidate(**{name: values}), robot)
    assert (found.reason, found.limit, found.where) == (Reason.NOT_FINITE, 0.0, index + 1)
    assert found.value == pytest.approx(bad, nan_ok=True)


@pytest.mark.parametrize("bad", [None, "1", 1, True, [0.0]])
def test_only_python_floats_are_numbers(bad):
    assert check_numbers([0.0, bad], 2) == (Reason.SHAPE_WRONG, 0.0, 2, 2)


@pytest.mark.parametrize("good", [5e-324, -0.0, 1.7e308])
def test_odd_but_finite_numbers_are_left_to_the_limits(good):
    assert check_numbers([good], 1) is None


def test_a_pose_that_is_not_finite_trips(candidate, robot):
    T = list(IDENTITY)
    T[3] = math.nan
    assert check(pose(candidate, T), robot).reason == Reason.NOT_FINITE


@pytest.mark.parametrize("index", [0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 15])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_every_element_of_the_rotation_and_the_last_row_counts(candidate, robot, index, sign):
    T = list(IDENTITY)
    T[index] += sign * 0.4e-3
    assert check(pose(candidate, T), robot) is None
    T[index] = IDENTITY[index] + sign * 1.2e-3
    found = check(pose(candidate, T), robot)
    assert (found.reason, found.limit) == (Reason.NOT_RIGID, 1e-3)
    assert 1.1e-3 < found.value < 2.6e-3


def test_a_mirror_is_no_pose(candidate, robot):
    T = list(IDENTITY)
    T[0] = -1.0
    assert check(pose(candidate, T), robot) == (Reason.NOT_RIGID, 2.0, 1e-3, 0)


@pytest.mark.parametrize("axis", range(3))
def test_turned_poses_pass(candidate, robot, axis):
    c, s = math.cos(0.7), math.sin(0.7)
    i, j = [k for k in range(3) if k != axis]
    T = list(IDENTITY)
    T[4 * i + i], T[4 * i + j], T[4 * j + i], T[4 * j + j] = c, -s, s, c
    assert check(pose(candidate, T), robot) is None


def test_a_general_rotation_has_determinant_one(candidate, robot):
    # From the quaternion (1, 2, 3, 4) / sqrt(30).
    w, x, y, z = (value / math.sqrt(30.0) for value in (1.0, 2.0, 3.0, 4.0))
    R = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    T = [*R[0], 0.1, *R[1], 0.2, *R[2], 0.3, 0.0, 0.0, 0.0, 1.0]
    assert check(pose(candidate, T), robot) is None
    mirrored = [-value for value in R[0]]
    assert check(pose(candidate, [*mirrored, *T[3:]]), robot).value == pytest.approx(2.0)
