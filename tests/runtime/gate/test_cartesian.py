import numpy as np
import pytest

from runtime.cell import HalfSpace, Workspace
from runtime.gate.cartesian import BARRIER, RESIDUAL, PoseFollower
from runtime.gate.reasons import Reason
from runtime.kinematics import Kinematics

PERIOD_S = 0.005


@pytest.fixture
def kinematics(robot):
    return Kinematics(robot)


def shifted(kinematics, q, x=0.0, y=0.0, z=0.0):
    T = kinematics.pose(q)
    T[:3, 3] += (x, y, z)
    return T.ravel().tolist()


def turned(kinematics, q, angle):
    T = kinematics.pose(q)
    c, s = np.cos(angle), np.sin(angle)
    T[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ T[:3, :3]
    return T.ravel().tolist()


def test_a_pose_within_reach_is_reached(kinematics, limits, home):
    follower = PoseFollower(kinematics, limits, Workspace(), PERIOD_S)
    for pose in (
        shifted(kinematics, home, x=0.0005, z=-0.0005),
        turned(kinematics, home, 0.002),
        shifted(kinematics, home),
    ):
        q, short = follower.step(pose, home)
        assert short is None
        assert kinematics.pose(q).ravel().tolist() == pytest.approx(pose, abs=3e-5)
        assert max(abs(a - b) for a, b in zip(q, home, strict=True)) < 0.01


def test_no_joint_goes_further_than_its_velocity_allows(kinematics, limits, home):
    q, short = PoseFollower(kinematics, limits, Workspace(), PERIOD_S).step(shifted(kinematics, home, z=0.04), home)
    moved = [abs(a - b) for a, b in zip(q, home, strict=True)]
    most = [0.999 * PERIOD_S * v for v in limits.velocity]
    assert all(a <= b * (1 + 1e-9) for a, b in zip(moved, most, strict=True))
    assert any(a >= b * (1 - 1e-6) for a, b in zip(moved, most, strict=True))
    assert (short.reason, short.limit) == (Reason.POSE_SHORT, RESIDUAL)
    assert RESIDUAL < short.value < 0.04


def test_what_is_missing_is_told_in_metres_and_tenths_of_radians(kinematics, limits, home):
    follower = PoseFollower(kinematics, limits, Workspace(), PERIOD_S)
    q, short = follower.step(turned(kinematics, home, 0.12), home)
    missing = kinematics.twist_to(np.array(turned(kinematics, home, 0.12)).reshape(4, 4), q)
    missing[3:] *= 0.1
    assert short.value == pytest.approx(float(np.linalg.norm(missing)))


def test_a_pose_that_asks_a_joint_to_jump_is_another_branch(kinematics, limits, home):
    q, found = PoseFollower(kinematics, limits, Workspace(), PERIOD_S).step(shifted(kinematics, home, y=0.4), home)
    assert q is None
    assert (found.reason, found.limit) == (Reason.BRANCH, limits.jump_stop)
    assert found.value > limits.jump_stop
    assert 1 <= found.where <= 7


def test_joints_stay_in_their_box(kinematics, limits, home):
    start = list(home)
    start[3] = limits.upper[3] - 1e-4
    start[5] = 2.2
    q, _ = PoseFollower(kinematics, limits, Workspace(), PERIOD_S).step(
        shifted(kinematics, start, x=0.02, z=0.01), start
    )
    assert q[3] <= limits.upper[3] + 1e-9
    start[3] = limits.lower[3] + 1e-4
    q, _ = PoseFollower(kinematics, limits, Workspace(), PERIOD_S).step(
        shifted(kinematics, start, x=-0.01, z=-0.01), start
    )
    assert q[3] >= limits.lower[3] - 1e-9


def test_towards_a_wall_the_tool_takes_a_share_of_the_distance(kinematics, limits, home):
    z = kinematics.pose(home)[2, 3]
    wall = Workspace(half_spaces=(HalfSpace(name="floor", normal=(0.0, 0.0, 1.0), offset_m=z - 0.005),))
    pose = shifted(kinematics, home, z=-0.004)
    free, _ = PoseFollower(kinematics, limits, Workspace(), PERIOD_S).step(pose, home)
    held, short = PoseFollower(kinematics, limits, wall, PERIOD_S).step(pose, home)
    # Three rounds of the program, each taking at most its share.
    floor = z - 0.005 * (1.0 - (1.0 - BARRIER) ** 3)
    assert kinematics.pose(free)[2, 3] < floor - 0.0005
    assert kinematics.pose(held)[2, 3] == pytest.approx(floor, abs=5e-5)
    assert short.reason is Reason.POSE_SHORT


def test_where_no_step_leads_away_from_a_wall_in_one_period_there_is_none(kinematics, limits, home):
    z = kinematics.pose(home)[2, 3]
    wall = Workspace(half_spaces=(HalfSpace(name="floor", normal=(0.0, 0.0, 1.0), offset_m=z + 0.5),))
    q, found = PoseFollower(kinematics, limits, wall, PERIOD_S).step(shifted(kinematics, home, z=0.001), home)
    assert q is None
    assert found == (Reason.BARRIER, 0.0, 0.0, 0)
