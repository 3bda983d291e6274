import numpy as np
import pytest

from drivers.franka.frames import is_rigid, pose_distance, pose_matrix, pose_text
from hil.scenes.table import T_world_pose
from runtime.cell import Pose

HAND = Pose(xyz_m=(0.0, 0.0, 0.1034), rpy_rad=(0.0, 0.0, -np.pi / 4))


def test_pose_matrix_is_the_one_the_emulated_cell_uses():
    rng = np.random.default_rng(0)
    for _ in range(50):
        pose = Pose(xyz_m=tuple(rng.normal(size=3)), rpy_rad=tuple(rng.uniform(-3, 3, 3)))
        np.testing.assert_allclose(pose_matrix(pose), T_world_pose(pose), atol=1e-12)


def test_distance_of_the_franka_hand_from_the_bare_flange():
    distance, angle = pose_distance(np.eye(4), pose_matrix(HAND))
    assert distance == pytest.approx(0.1034)
    assert angle == pytest.approx(np.pi / 4)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 0.01, 1.5, 3.0])
def test_small_angles_keep_their_digits(angle):
    turned = pose_matrix(Pose(rpy_rad=(angle, 0.0, 0.0)))
    assert pose_distance(np.eye(4), turned) == (0.0, pytest.approx(angle, abs=1e-12))


def test_text_is_for_people():
    assert pose_text(pose_matrix(HAND)) == "xyz (0.0, 0.0, 103.4) mm, rpy (0.0, 0.0, -45.0) deg"


def test_what_is_no_rigid_transform():
    assert is_rigid(pose_matrix(HAND))
    for broken in (np.zeros((4, 4)), np.full((4, 4), np.nan), np.diag((1, 1, -1, 1)), np.diag((1, 1, 1, 2))):
        assert not is_rigid(np.asarray(broken, float))
