import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.scenes.fr3 import HAND_INERTIA, HAND_TURN_RAD
from hil.scenes.table import _AREA_HALF_M, _SPACING_M, MOVABLES, OBJECTS, build_scene, random_poses, work_center


def compiled(cell):
    model = mujoco.MjModel.from_xml_string(build_scene(cell))
    data = mujoco.MjData(model)
    for name, arm in cell.arms.items():
        for number in range(7):
            data.joint(f"arm.{name}.joint{number + 1}").qpos = arm.home_q_rad[number]
    mujoco.mj_forward(model, data)
    return model, data


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_objects_are_apart_and_within_reach_for_every_seed(cell, seed):
    poses = random_poses(cell, np.random.default_rng(seed))
    assert set(poses) == set(OBJECTS)
    places = np.array([position[:2] for position, _ in poses.values()])
    assert np.all(np.abs(places - work_center(cell)) <= _AREA_HALF_M)
    distances = np.linalg.norm(places[:, None] - places[None], axis=2) + np.eye(len(places))
    assert distances.min() >= _SPACING_M


def test_two_arms_share_one_table_and_keep_their_own_parts(two_arm_cell):
    model, _ = compiled(two_arm_cell)
    assert model.nu == 2  # one hand
    assert {model.camera(index).name for index in range(model.ncam)} == set(two_arm_cell.cameras)
    np.testing.assert_allclose(model.body("arm.right.link0").pos, [1.0, 0.1, 0.0])


def touching(model, data):
    pairs = set()
    for contact in data.contact:
        bodies = sorted(model.body(int(model.geom_bodyid[geom])).name for geom in contact.geom)
        pairs.add(tuple(bodies))
    return pairs


def test_arm_at_home_touches_nothing(two_arm_cell):
    model, data = compiled(two_arm_cell)
    assert not [pair for pair in touching(model, data) if any(name.startswith("arm.") for name in pair)]


@pytest.mark.parametrize(
    ("q_left", "q_right", "expected"),
    [
        # bent down into the table
        ([2.14, 1.15, -0.12, -2.37, 1.69, 4.21, -1.41], None, ("arm.left.hand", "world")),
        # folded: the far part meets the near part of the same arm
        ([2.05, 1.33, -0.13, -2.94, 1.36, 3.68, 2.81], None, ("arm.left.link1", "arm.left.link6")),
        # both stretched towards the middle
        ([0.1, 0.7, 0, -0.9, 0, 1.6, 0.8], [0, 0.7, 0, -0.9, 0, 1.6, 0.8], ("arm.left", "arm.right")),
    ],
)
def test_arm_touches_table_itself_and_the_other_arm(two_arm_cell, q_left, q_right, expected):
    model, data = compiled(two_arm_cell)
    for name, q in (("left", q_left), ("right", q_right)):
        for number in range(7):
            if q is not None:
                data.joint(f"arm.{name}.joint{number + 1}").qpos = q[number]
    mujoco.mj_forward(model, data)
    found = touching(model, data)
    assert any(one.startswith(expected[0]) and other.startswith(expected[1]) for one, other in found), found


def test_palm_and_fingers_together_are_the_published_hand(cell):
    model, data = compiled(cell)
    for number in (1, 2):
        data.joint(f"hand.main.finger{number}").qpos = 0.02
    mujoco.mj_forward(model, data)
    hand = model.body("arm.main.hand").id
    assert model.body_subtreemass[hand] == pytest.approx(HAND_INERTIA.mass_kg, abs=1e-12)
    c, s = np.cos(HAND_TURN_RAD), np.sin(HAND_TURN_RAD)
    R_flange_hand = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    R_world_flange = data.xmat[hand].reshape(3, 3) @ R_flange_hand.T
    center = data.xpos[hand] + R_world_flange @ HAND_INERTIA.center_m
    np.testing.assert_allclose(data.subtree_com[hand], center, atol=1e-12)
    total = np.zeros((3, 3))
    for name in ("arm.main.hand", "hand.main.finger1", "hand.main.finger2"):
        body = model.body(name).id
        rotation, offset = data.ximat[body].reshape(3, 3), data.xipos[body] - center
        total += rotation @ np.diag(model.body_inertia[body]) @ rotation.T
        total += model.body_mass[body] * (offset @ offset * np.eye(3) - np.outer(offset, offset))
    expected = R_world_flange @ np.diag(HAND_INERTIA.inertia_kg_m2) @ R_world_flange.T
    np.testing.assert_allclose(total, expected, atol=1e-9)


def test_objects_stand_where_they_are_put(cell):
    model, data = compiled(cell)
    for name, (position, quat) in random_poses(cell, np.random.default_rng(1)).items():
        if name in MOVABLES:
            data.joint(name).qpos = [*position, *quat]
    before = {name: data.joint(name).qpos.copy() for name in MOVABLES}
    for _ in range(500):
        mujoco.mj_step(model, data)
    for name in MOVABLES:
        np.testing.assert_allclose(data.joint(name).qpos, before[name], atol=1e-4)
