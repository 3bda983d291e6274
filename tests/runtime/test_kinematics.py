import math

import numpy as np
import pytest

from hil.scenes import fr3
from runtime.kinematics import Kinematics
from runtime.robot import RobotModel

Q = [0.2, -0.6, 0.3, -2.1, -0.4, 1.9, 0.5]
DQ = [0.1, -0.2, 0.3, 0.15, -0.25, 0.2, 0.35]


@pytest.fixture(scope="module")
def kinematics() -> Kinematics:
    return Kinematics(RobotModel.from_urdf(fr3.urdf(), fr3.T_flange_ee_hand(), hand=True))


def table_frames(q: list[float]) -> list[np.ndarray]:
    """Link frames from the table, by matrices."""
    T, found = np.eye(4), [np.eye(4)]
    for joint, angle in zip(fr3.JOINT_TABLE, q, strict=True):
        c, s = math.cos(angle), math.sin(angle)
        T = T @ joint.T_parent_joint() @ np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        found.append(T)
    flange = np.eye(4)
    flange[2, 3] = fr3.FLANGE_OFFSET_M
    return [*found, T @ flange @ fr3.T_flange_ee_hand()]


def test_tool_and_elbow_are_where_the_table_puts_them(kinematics):
    kinematics.set(Q, DQ)
    frames = table_frames(Q)
    assert kinematics.tcp() == pytest.approx(frames[-1][:3, 3].tolist(), abs=1e-12)
    assert kinematics.elbow() == pytest.approx(frames[4][:3, 3].tolist(), abs=1e-12)
    assert kinematics.pose(Q) == pytest.approx(frames[-1], abs=1e-12)


def test_speeds_are_those_of_the_positions(kinematics):
    kinematics.set(Q, DQ)
    tool, elbow, rotation = kinematics.speeds()
    h = 1e-6
    before, after = (table_frames([a + k * h * b for a, b in zip(Q, DQ, strict=True)]) for k in (-1, 1))
    assert tool == pytest.approx(np.linalg.norm(after[-1][:3, 3] - before[-1][:3, 3]) / (2 * h), rel=1e-6)
    assert elbow == pytest.approx(np.linalg.norm(after[4][:3, 3] - before[4][:3, 3]) / (2 * h), rel=1e-6)
    turned = after[-1][:3, :3] @ before[-1][:3, :3].T
    angle = math.acos(min(1.0, (np.trace(turned) - 1.0) / 2.0))
    assert rotation == pytest.approx(angle / (2 * h), rel=1e-3)


def test_the_jacobian_is_the_derivative_of_the_pose(kinematics):
    J, h = kinematics.jacobian(Q), 1e-6
    for j in range(7):
        moved = [a + h * (k == j) for k, a in enumerate(Q)]
        assert (kinematics.pose(moved)[:3, 3] - kinematics.pose(Q)[:3, 3]) / h == pytest.approx(J[:3, j], abs=1e-5)
        assert kinematics.twist_to(kinematics.pose(moved), Q) / h == pytest.approx(J[:, j], abs=1e-5)


def test_the_smallest_singular_value_vanishes_where_the_arm_is_singular(kinematics):
    assert kinematics.smallest_singular_value(Q) == pytest.approx(
        np.linalg.svd(kinematics.jacobian(Q), compute_uv=False)[-1], rel=1e-6
    )
    stretched = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert kinematics.smallest_singular_value(stretched) < 1e-3


def test_no_pose_reaches_further_than_the_reach(kinematics):
    rng = np.random.default_rng(2)
    for _ in range(200):
        q = rng.uniform(fr3.LOWER_RAD, fr3.UPPER_RAD)
        frames = table_frames(list(q))
        for j in range(7):
            away = np.linalg.norm(frames[-1][:3, 3] - frames[j + 1][:3, 3])
            assert away <= kinematics.reach[j] + 1e-9
