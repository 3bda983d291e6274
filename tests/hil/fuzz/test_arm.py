import numpy as np
import pinocchio as pin
import pytest

from hil.fuzz.arm import CheckedArm
from hil.fuzz.bounds import emulated_hand
from hil.fuzz.situation import Tool
from hil.scenes import fr3


@pytest.fixture(scope="module")
def arm():
    return CheckedArm(fr3.urdf(), fr3.T_flange_ee_hand(), emulated_hand())


def test_kinematics_are_pinocchios(arm):
    rng = np.random.default_rng(0)
    q, dq = rng.uniform(arm.lower, arm.upper, (50, 7)), rng.standard_normal((50, 7))
    motion, tool = arm.motion(arm.frames(q), dq), Tool()
    for k in range(50):
        twist = tool.jacobian(q[k]) @ dq[k]
        assert motion.tcp[k] == pytest.approx(tool.pose(q[k])[:3, 3], abs=1e-12)
        assert motion.tcp_velocity[k] == pytest.approx(twist[:3], abs=1e-12)
        assert motion.tcp_rotation[k] == pytest.approx(twist[3:], abs=1e-12)
        pin.forwardKinematics(tool.model, tool.data, q[k], dq[k])
        elbow = tool.model.getJointId("joint4")
        assert motion.elbow[k] == pytest.approx(tool.data.oMi[elbow].translation, abs=1e-12)
        speed = pin.getVelocity(tool.model, tool.data, elbow, pin.LOCAL_WORLD_ALIGNED)
        assert motion.elbow_velocity[k] == pytest.approx(speed.linear, abs=1e-12)


def test_speed_limits_are_the_published_law(arm):
    q = np.array([[2.0, 0, 0, -2.0, 0, 2.0, 0], [2.7437, 1.7, 0, -0.16, 2.8, 4.5, 3.0]])
    up, down = arm.speed_limits(q)
    assert up[0, 0] == pytest.approx(min(2.62, -0.30 + np.sqrt(12.0 * 0.7437)))
    assert up[1, 0] == 0.0
    assert up[1, 1] == pytest.approx(-0.20 + np.sqrt(5.17 * 0.0837))
    assert down[0, 4] == pytest.approx(5.26)


def test_capsules_are_where_the_scene_has_them(arm):
    links = [one for one in arm.segments if not one.tool]
    assert len(links) == len(fr3.CAPSULES)
    for mine, told in zip(links, fr3.CAPSULES, strict=True):
        assert mine.radius_m == told.radius_m
        assert mine.joint == int(told.link[-1])
        assert mine.start_m == pytest.approx(np.array(told.start_m), abs=1e-9)
        assert mine.end_m == pytest.approx(np.array(told.end_m), abs=1e-9)
    assert sum(one.tool for one in arm.segments) == 2
