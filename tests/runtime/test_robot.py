import math
import re

import numpy as np
import pytest

from hil.scenes import fr3
from runtime.robot import MAX_URDF_BYTES, TOOL_RADIUS_M, RobotError, RobotModel

URDF, TOOL = fr3.urdf(), fr3.T_flange_ee_hand()


def read(urdf: str = URDF, tool: np.ndarray = TOOL, **options: object) -> RobotModel:
    return RobotModel.from_urdf(urdf, tool, **{"hand": True, **options})


def test_limits_are_the_robots_own():
    robot = read()
    for j, joint in enumerate(fr3.JOINT_TABLE):
        assert (robot.lower[j], robot.upper[j]) == (joint.lower_rad, joint.upper_rad)
        assert (robot.velocity[j], robot.torque[j]) == (joint.velocity_rad_s, joint.torque_nm)
        assert (robot.acceleration[j], robot.jerk[j]) == (joint.acceleration_rad_s2, joint.jerk_rad_s3)
        assert (robot.velocity_offset[j], robot.deceleration[j]) == (
            joint.velocity_offset_rad_s,
            joint.deceleration_rad_s2,
        )
    assert robot.names == tuple(f"joint{number}" for number in range(1, 8))
    assert robot.notes == ()


def test_capsules_are_the_robots_own_and_the_hands():
    robot = read()
    assert len(robot.capsules) == len(fr3.CAPSULES) + 2
    for got, want in zip(robot.capsules, fr3.CAPSULES, strict=False):
        assert (got.link, got.radius_m) == (want.link, want.radius_m)
        assert got.start_m == pytest.approx(want.start_m)
        assert got.end_m == pytest.approx(want.end_m)
    palm = robot.capsules[-2]
    assert palm.link == "hand"
    # The fingers open along y of the hand, which is turned by -45 degrees against the flange.
    x, y, _ = np.subtract(palm.end_m, palm.start_m)
    assert math.degrees(math.atan2(y, x)) == pytest.approx(45.0)


def test_what_a_real_robots_urdf_leaves_out_is_announced():
    bare = re.sub(r"<dynamic_limits[^>]*/>", "", re.sub(r"<collision.*?</collision>", "", URDF))
    robot = read(bare)
    assert robot.acceleration == (10.0,) * 7
    assert robot.jerk == (5000.0,) * 7
    assert len(robot.capsules) == len(fr3.CAPSULES) + 2
    assert [note.split(":")[0] for note in robot.notes] == ["acceleration limits", "jerk limits", "collision capsules"]
    assert all("fr3.yaml" in note for note in robot.notes)


def test_one_joint_without_dynamic_limits_makes_the_table_count_for_all():
    partly = URDF.replace("<dynamic_limits", "<other_limits", 1).replace('jerk="5000.0"', 'jerk="4000.0"')
    assert read(partly).jerk == (5000.0,) * 7


def test_without_a_hand_the_way_to_the_end_effector_is_a_capsule():
    T = np.eye(4)
    T[:3, 3] = (0.0, 0.05, 0.2)
    tool = read(tool=T, hand=False).capsules[-1]
    assert (tool.link, tool.radius_m, tool.start_m, tool.end_m) == (
        "hand",
        TOOL_RADIUS_M,
        (0.0, 0.0, 0.0),
        (0.0, 0.05, 0.2),
    )
    assert len(read(tool=np.eye(4), hand=False).capsules) == len(fr3.CAPSULES)


def test_joints_and_frame_have_numbers_that_change_with_them():
    robot, moved = read(), TOOL.copy()
    moved[2, 3] += 0.001
    assert read().frame == robot.frame
    assert read(tool=moved).frame != robot.frame
    assert read(tool=moved).joint_order == robot.joint_order
    renamed = re.sub(r'name="joint(\d)"', r'name="fr3_joint\1"', URDF)
    assert read(renamed).joint_order != robot.joint_order


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "<robot", "no XML"),
        (lambda text: text.replace('name="joint3"', 'name="elbow"'), "has no joint3"),
        (
            lambda text: text.replace('lower="-2.7437"', 'lower="2.8"', 1),
            "joint1: lower limit 2.8 is not below upper 2.7437",
        ),
        (lambda text: text.replace('lower="-2.7437"', 'lower="2.7437"', 1), "is not below"),
        (
            lambda text: text.replace('velocity="5.26"', 'velocity="fast"', 1),
            "joint5, <limit velocity>: 'fast' is no limit",
        ),
        (lambda text: text.replace('velocity="5.26"', 'velocity="0"', 1), "'0' is no limit"),
        (lambda text: text.replace('velocity="5.26"', 'velocity="-1"', 1), "'-1' is no limit"),
        (lambda text: text.replace('velocity="5.26"', 'velocity="nan"', 1), "'nan' is no limit"),
        (
            lambda text: text.replace('deceleration_limit="6.0"', "", 1),
            "joint1, <position_based_velocity_limits deceleration_limit>: None",
        ),
        (lambda text: text.replace('velocity_offset="0.3"', 'velocity_offset="-0.3"', 1), "velocity_offset"),
        (lambda text: text.replace('jerk="5000.0"', 'jerk="0"', 1), "jerk"),
        (
            lambda text: text.replace('<cylinder radius="0.075"', '<cylinder radius="0"', 1),
            "link0_capsule0: radius '0'",
        ),
        (lambda text: text.replace('_start"><origin xyz="', '_start"><origin xyz="a ', 1), "are not three numbers"),
        (lambda text: text + " " * MAX_URDF_BYTES, "larger than"),
    ],
)
def test_a_description_that_cannot_be_used_is_refused_with_place_and_value(change, message):
    with pytest.raises(RobotError, match=re.escape(message)):
        read(change(URDF))


def test_an_offset_of_zero_is_a_limit():
    assert read(URDF.replace('velocity_offset="0.3"', 'velocity_offset="0"', 1)).velocity_offset[0] == 0.0


@pytest.mark.parametrize("tool", [np.eye(3), 2.0 * np.eye(4), np.full((4, 4), np.nan)])
def test_the_end_effector_frame_must_be_rigid(tool):
    with pytest.raises(RobotError, match="T_flange_ee"):
        read(tool=tool)


def test_an_unknown_robot_is_refused_with_the_known_ones():
    with pytest.raises(RobotError, match=r"no data for robot 'ur5': known are \['fr3'\]"):
        read(robot="ur5")


def test_other_movable_joints_than_the_seven_are_refused():
    finger = (
        '<link name="finger"/><joint name="finger" type="prismatic"><parent link="link8"/><child link="finger"/>'
        '<axis xyz="0 1 0"/><limit lower="0" upper="0.04" velocity="1" effort="1"/></joint></robot>'
    )
    with pytest.raises(RobotError, match="movable joints .*finger"):
        read(URDF.replace("</robot>", finger)).model()
