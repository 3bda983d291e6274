import xml.etree.ElementTree as ET

import numpy as np
import pinocchio as pin
import pytest

from hil.plant_model import ArmModel
from hil.scenes.fr3 import (
    CAPSULES,
    JOINT_TABLE,
    LOWER_RAD,
    UPPER_RAD,
    VELOCITY_RAD_S,
    T_flange_ee_hand,
    urdf,
)

GRAVITY = np.array([0.0, 0.0, -9.81])


@pytest.fixture(scope="module")
def robot():
    model = pin.buildModelFromXML(urdf())
    return model, model.createData()


def positions(count):
    return np.random.default_rng(7).uniform(LOWER_RAD, UPPER_RAD, (count, 7))


def test_urdf_and_physics_have_the_same_kinematics(robot):
    model, data = robot
    arm, T_flange_ee = ArmModel(with_hand=False, gravity_base_m_s2=GRAVITY), T_flange_ee_hand()
    for q in positions(20):
        pin.forwardKinematics(model, data, q)
        pin.updateFramePlacements(model, data)
        expected = data.oMf[model.getFrameId("link8")].homogeneous @ T_flange_ee
        np.testing.assert_allclose(arm.fk(q, T_flange_ee), expected, atol=1e-12)
        step = 1e-6
        J = arm.jacobian(q, T_flange_ee)
        for joint in range(7):
            moved = q.copy()
            moved[joint] += step
            difference = (arm.fk(moved, T_flange_ee)[:3, 3] - expected[:3, 3]) / step
            np.testing.assert_allclose(J[:3, joint], difference, atol=1e-5)
        expected_angular = pin.computeFrameJacobian(model, data, q, model.getFrameId("link8"), pin.LOCAL_WORLD_ALIGNED)[
            3:
        ]
        np.testing.assert_allclose(J[3:], expected_angular, atol=1e-12)


def test_urdf_and_physics_have_the_same_dynamics(robot):
    model, data = robot
    arm, rng = ArmModel(with_hand=False, gravity_base_m_s2=GRAVITY), np.random.default_rng(3)
    for q in positions(20):
        dq = rng.normal(size=7)
        gravity = pin.computeGeneralizedGravity(model, data, q)
        np.testing.assert_allclose(arm.gravity(q), gravity, atol=1e-9)
        mass = pin.crba(model, data, q)
        np.testing.assert_allclose(arm.mass_matrix(q), np.triu(mass) + np.triu(mass, 1).T, atol=1e-9)
        np.testing.assert_allclose(arm.coriolis(q, dq), pin.rnea(model, data, q, dq, np.zeros(7)) - gravity, atol=1e-9)


def test_declared_load_weighs_as_much_as_the_same_mass_in_the_urdf(robot):
    model, _ = robot
    loaded = model.copy()
    center, inertia = np.array([0.01, -0.02, 0.08]), np.array([[3, 1, 0], [1, 4, 0], [0, 0, 5]]) * 1e-3
    placement = model.frames[model.getFrameId("link8")].placement
    loaded.appendBodyToJoint(7, pin.Inertia(1.4, center, inertia), placement)
    data = loaded.createData()
    arm = ArmModel(with_hand=False, gravity_base_m_s2=GRAVITY)
    arm.set_load(1.4, center, inertia)
    for q in positions(5):
        np.testing.assert_allclose(arm.gravity(q), pin.computeGeneralizedGravity(loaded, data, q), atol=1e-9)
        mass = pin.crba(loaded, data, q)
        np.testing.assert_allclose(np.triu(arm.mass_matrix(q)), np.triu(mass), atol=1e-9)
        bare = ArmModel(with_hand=False, gravity_base_m_s2=GRAVITY)
        np.testing.assert_allclose(arm.load_weight_torque(q), arm.gravity(q) - bare.gravity(q), atol=1e-9)


def test_urdf_carries_every_limit_a_gate_needs():
    joints = {joint.get("name"): joint for joint in ET.fromstring(urdf()).iter("joint")}
    for number, row in enumerate(JOINT_TABLE, start=1):
        joint = joints[f"joint{number}"]
        limit, near = joint.find("limit").attrib, joint.find("position_based_velocity_limits").attrib
        dynamic = joint.find("dynamic_limits").attrib
        assert (float(limit["lower"]), float(limit["upper"])) == (LOWER_RAD[number - 1], UPPER_RAD[number - 1])
        assert (float(limit["velocity"]), float(limit["effort"])) == (VELOCITY_RAD_S[number - 1], row.torque_nm)
        assert float(near["velocity_offset"]) == row.velocity_offset_rad_s
        assert float(near["deceleration_limit"]) == row.deceleration_rad_s2
        assert float(dynamic["acceleration"]) == row.acceleration_rad_s2
        assert float(dynamic["jerk"]) == row.jerk_rad_s3


def test_urdf_names_its_links_as_libfranka_demands():
    links = [link.get("name") for link in ET.fromstring(urdf()).iter("link")]
    assert links == [f"link{number}" for number in range(9)]


def test_collision_capsules_survive_the_urdf():
    root, found = ET.fromstring(urdf()), []
    for link in root.iter("link"):
        for collision in link.iter("collision"):
            cylinder = collision.find("geometry/cylinder")
            if cylinder is None:
                continue
            origin = collision.find("origin")
            rotation = pin.rpy.rpyToMatrix(*[float(part) for part in origin.get("rpy").split()])
            middle = np.array([float(part) for part in origin.get("xyz").split()])
            half = rotation @ (0, 0, float(cylinder.get("length")) / 2)
            found.append((link.get("name"), float(cylinder.get("radius")), middle - half, middle + half))
    assert [(name, radius) for name, radius, _, _ in found] == [(one.link, one.radius_m) for one in CAPSULES]
    for (_, _, start, end), capsule in zip(found, CAPSULES, strict=True):
        np.testing.assert_allclose(start, capsule.start_m, atol=1e-12)
        np.testing.assert_allclose(end, capsule.end_m, atol=1e-12)
