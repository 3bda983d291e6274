"""References and generators: braking, extrapolation, and inverse kinematics over the real kinematics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.fci.frames import ToolFrames
from hil.fci.motion import CartesianPosition, CartesianVelocity, JointVelocity, Reference, elbow_sign, is_singular
from hil.fci.protocol import ROBOT_COMMAND
from hil.fci.transforms import is_transform, pose_error, rotation_matrix, rotation_vector
from hil.plant import World
from hil.scenes.fr3 import T_flange_ee_hand
from runtime.cell import load_cell

HOME = np.array([0.0, -0.785398, 0.0, -2.356194, 0.0, 1.570796, 0.785398])


@pytest.fixture(scope="module")
def plant():
    return World(load_cell("emulated")).arms["main"]


@pytest.fixture
def frames():
    return ToolFrames(T_flange_ee_hand())


@pytest.fixture
def reference(plant, frames):
    return Reference(HOME.copy(), plant.fk(HOME, frames.F_T_EE), elbow=HOME[2])


def command(**fields):
    record = np.zeros(1, ROBOT_COMMAND)[0]
    for name, value in fields.items():
        record[name] = value
    return record


@given(st.lists(st.floats(-2.0, 2.0), min_size=7, max_size=7))
def test_braking_never_overshoots_and_ends_at_exact_rest(velocity):
    reference = Reference(np.zeros(7), np.eye(4), dq=np.array(velocity))
    for _ in range(201):
        before = reference.dq
        reference.brake(10.0)
        assert (np.abs(reference.dq) <= np.abs(before)).all()
        assert (reference.dq * before >= 0).all()
        assert (np.abs(reference.dq - before) <= 0.01 + 1e-12).all()
    assert not reference.moving
    assert not reference.ddq.any()


def test_extrapolation_goes_on_with_constant_acceleration(reference):
    generator = JointVelocity(reference)
    for number in range(1, 11):
        assert generator.follow(command(dq_c=[0.001 * number] * 7)) is None
    for number in range(11, 16):
        assert generator.extrapolate() is None
        assert reference.dq[0] == pytest.approx(0.001 * number)


def test_pose_commands_are_reached_by_the_joints(plant, frames, reference):
    generator = CartesianPosition(reference, plant, frames)
    start = reference.T.copy()
    for number in range(1, 301):
        T = start.copy()
        T[:3, 3] += 0.02 * (1 - np.cos(number / 300 * np.pi)) * np.array([1.0, -1.0, 0.5])
        T[:3, :3] = rotation_matrix(np.array([0.0, 0.0, 0.1 * (1 - np.cos(number / 300 * np.pi))])) @ start[:3, :3]
        flag = generator.follow(command(O_T_EE_c=T.ravel(order="F"), elbow_c=[0.0, -1.0], valid_elbow=True))
        assert flag is None
        assert np.abs(pose_error(T, plant.fk(reference.q, frames.F_T_EE))).max() < 1e-7
    assert reference.q[2] == pytest.approx(0.0, abs=1e-6)


def test_integrated_twist_does_not_drift_from_the_joints(plant, frames, reference):
    generator = CartesianVelocity(reference, plant, frames)
    for number in range(400):
        speed = 0.05 * np.sin(number / 400 * 2 * np.pi)
        assert generator.follow(command(O_dP_EE_c=[speed, 0, -speed, 0, 0.5 * speed, 0])) is None
    assert np.abs(pose_error(reference.T, plant.fk(reference.q, frames.F_T_EE))).max() < 1e-6
    assert is_transform(reference.T, 1e-9)


def test_stretched_arm_is_singular_and_home_is_not(plant, frames):
    assert not is_singular(plant, HOME, frames.F_T_EE)
    assert is_singular(plant, np.zeros(7), frames.F_T_EE)


@pytest.mark.parametrize(("q4", "sign"), [(-2.0, -1.0), (-0.4671, -1.0), (-0.4669, 1.0)])
def test_elbow_flips_at_the_documented_angle(q4, sign):
    assert elbow_sign(q4) == sign


@given(st.lists(st.floats(-1.7, 1.7), min_size=3, max_size=3))
def test_rotation_vector_and_matrix_are_inverse(vector):
    R = rotation_matrix(np.array(vector))
    assert is_transform(np.block([[R, np.zeros((3, 1))], [np.zeros((1, 3)), np.ones((1, 1))]]), 1e-9)
    assert rotation_vector(R) == pytest.approx(vector, abs=1e-7)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda T: T.__setitem__((0, 0), np.nan),
        lambda T: T.__setitem__((3, 3), 0.0),
        lambda T: T.__setitem__((0, 0), -1.0),  # a mirror is no rotation
        lambda T: T.__setitem__((0, 1), 0.1),
    ],
)
def test_what_is_no_rigid_transform_is_found_out(spoil):
    T = np.eye(4)
    assert is_transform(T)
    spoil(T)
    assert not is_transform(T)
