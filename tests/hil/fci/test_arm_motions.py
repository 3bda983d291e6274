"""Every motion mode, driven by the real client library in lock-step."""

import franky
import numpy as np
import pytest
from franky import Affine, Duration, ReferenceType, RobotMode

HOME = np.array([0.0, -0.785398, 0.0, -2.356194, 0.0, 1.570796, 0.785398])
STEP = np.array([0.15, 0.1, -0.1, 0.1, 0.1, 0.1, -0.1])


def assert_clean(arm, robot):
    """The motion ended by itself: idle, no error, not one packet missed."""
    state = robot.state
    assert state.robot_mode == RobotMode.Idle
    assert not robot.has_errors
    assert arm.server.counts.missed == 0
    assert np.abs(np.array(state.q) - np.array(state.q_d)).max() < 5e-4


def test_joint_motion_arrives_where_it_was_sent(arm):
    robot = arm.connect()
    robot.move(franky.JointMotion(HOME + STEP))
    assert np.array(robot.state.q) == pytest.approx(HOME + STEP, abs=5e-4)
    assert_clean(arm, robot)


def test_joint_waypoints_are_passed_in_order(arm):
    robot = arm.connect()
    robot.move(franky.JointWaypointMotion([franky.JointWaypoint(HOME + STEP), franky.JointWaypoint(HOME - STEP)]))
    first = np.array([command["q_c"][0] for command in arm.commands])
    assert first.max() == pytest.approx(HOME[0] + STEP[0], abs=1e-3)
    assert first[-1] == pytest.approx(HOME[0] - STEP[0], abs=1e-3)
    assert_clean(arm, robot)


def test_joint_velocity_moves_for_its_duration_and_stops_by_itself(arm):
    robot = arm.connect()
    robot.move(franky.JointVelocityMotion([0.2, 0, 0, 0, 0, 0, -0.2], Duration(200)))
    travelled = np.array(robot.state.q) - HOME
    assert 0.03 < travelled[0] < 0.08
    assert travelled[6] == pytest.approx(-travelled[0], abs=2e-3)
    assert np.abs(travelled[1:6]).max() < 1e-3
    assert_clean(arm, robot)


def test_streamed_joint_velocities_are_followed_without_a_gap(arm):
    robot = arm.connect()
    for number in range(10):
        velocity = [0.02 * number, 0, 0, 0, 0, 0, 0]
        robot.move(franky.JointVelocityMotion(velocity, Duration(100)), asynchronous=True)
        arm.wait_ms(20)
    robot.join_motion()
    assert_clean(arm, robot)
    assert arm.robot.reflexes == 0
    assert 0.01 < robot.state.q[0] < 0.1


def test_cartesian_motion_moves_the_end_effector_on_the_asked_path(arm):
    robot = arm.connect(factor=0.1)
    before = robot.current_pose.end_effector_pose
    robot.move(franky.CartesianMotion(Affine([0.05, 0.03, 0.04]), ReferenceType.Relative))
    after = robot.current_pose.end_effector_pose
    turn = before.matrix[:3, :3]
    assert after.translation - before.translation == pytest.approx(turn @ [0.05, 0.03, 0.04], abs=5e-4)
    assert after.matrix[:3, :3] == pytest.approx(turn, abs=2e-3)
    assert_clean(arm, robot)


def test_cartesian_motion_holds_the_commanded_elbow(arm):
    robot = arm.connect(factor=0.1)
    elbow = robot.state.elbow.joint_3_pos
    pose = franky.RobotPose(robot.current_pose.end_effector_pose, franky.ElbowState(elbow + 0.1))
    robot.move(franky.CartesianMotion(pose))
    assert robot.state.elbow.joint_3_pos == pytest.approx(elbow + 0.1, abs=2e-3)
    assert robot.current_pose.end_effector_pose.translation == pytest.approx(
        pose.end_effector_pose.translation, abs=5e-4
    )
    assert_clean(arm, robot)


def test_cartesian_velocity_moves_along_its_twist(arm):
    robot = arm.connect(factor=0.1)
    before = robot.current_pose.end_effector_pose.translation
    twist = franky.Twist([0.05, 0.0, -0.05], [0.0, 0.0, 0.0])
    robot.move(franky.CartesianVelocityMotion(franky.RobotVelocity(twist), Duration(200)))
    moved = robot.current_pose.end_effector_pose.translation - before
    assert moved[0] > 0.008
    assert moved[2] == pytest.approx(-moved[0], abs=1e-3)
    assert abs(moved[1]) < 1e-3
    assert_clean(arm, robot)


def test_cartesian_stop_ends_a_running_motion_cleanly(arm):
    robot = arm.connect(factor=0.1)
    motion = franky.CartesianMotion(Affine([0.1, 0.0, 0.0]), ReferenceType.Relative)
    robot.move(motion, asynchronous=True)
    arm.wait_until(lambda: arm.robot.reference.moving)
    robot.move(franky.CartesianStopMotion())
    assert_clean(arm, robot)


def test_cartesian_impedance_controller_follows_a_joint_motion(arm):
    robot = franky.Robot(
        arm.host,
        relative_dynamics_factor=0.2,
        default_torque_threshold=100.0,
        default_force_threshold=100.0,
        controller_mode=franky.ControllerMode.CartesianImpedance,
        realtime_config=franky.RealtimeConfig.Ignore,
    )
    seen = []
    arm.server.on_command = lambda _: seen.append(arm.robot.motion.controller.name)
    robot.move(franky.JointMotion(HOME + 0.5 * STEP))
    assert set(seen) == {"CARTESIAN_IMPEDANCE"}
    assert robot.state.q == pytest.approx(HOME + 0.5 * STEP, abs=5e-3)
    assert robot.state.robot_mode == RobotMode.Idle


def test_joint_impedance_tracker_follows_references_by_torque_alone(arm):
    robot = arm.connect()
    lower, upper = [-2.7, -1.7, -2.8, -3.0, -2.7, 0.6, -2.9], [2.7, 1.7, 2.8, -0.2, 2.7, 4.4, 2.9]
    tracker = franky.JointImpedanceTracker(
        robot, stiffness=np.full(7, 400.0), lower_joint_limits=lower, upper_joint_limits=upper, period=0.01
    )
    with tracker:
        for number in range(30):
            assert tracker.tick() is not None
            tracker.set_target(HOME + STEP * min(1.0, number / 15))
            arm.wait_ms(10)
        reached = np.array(robot.state.q)
    assert reached == pytest.approx(HOME + STEP, abs=0.02)
    assert robot.state.robot_mode == RobotMode.Idle
    assert arm.server.counts.missed == 0


def test_cartesian_impedance_tracker_follows_poses(arm):
    robot = arm.connect()
    start = robot.current_pose.end_effector_pose
    with franky.CartesianImpedanceTracker(robot, translational_stiffness=1500.0, period=0.01) as tracker:
        for number in range(30):
            assert tracker.tick() is not None
            tracker.set_target(Affine([0.0, 0.03 * min(1.0, number / 15), 0.0]) * start)
            arm.wait_ms(10)
        reached = robot.current_pose.end_effector_pose.translation
    assert reached - start.translation == pytest.approx([0.0, 0.03, 0.0], abs=6e-3)
    assert robot.state.robot_mode == RobotMode.Idle


def test_torque_motion_that_is_no_longer_fed_ends_by_the_client_and_the_arm_rests(arm):
    robot = arm.connect()
    motion = franky.SimpleTorqueMotion(initial_torque=[0.5, 0, 0, 0, 0, 0, 0])
    robot.move(motion, asynchronous=True)
    with pytest.raises(franky.TorqueSignalTimeoutException):
        robot.join_motion()
    arm.wait_until(lambda: not arm.robot.reference.moving)
    arm.wait_ms(100)
    assert np.abs(arm.robot.dq).max() < 1e-3


def test_external_torque_moves_the_joint_it_is_given(arm):
    robot = arm.connect()
    motion = franky.SimpleTorqueMotion(initial_torque=[3.0, 0, 0, 0, 0, 0, 0], signal_timeout=None)
    robot.move(motion, asynchronous=True)
    arm.wait_until(lambda: arm.robot.motion is not None and arm.robot.motion.started)
    arm.wait_ms(150)
    assert arm.robot.dq[0] > 0.05
    assert arm.robot.tau[0] == pytest.approx(3.0, abs=1e-6)
    robot.move(franky.TorqueStopMotion())
    assert robot.state.robot_mode == RobotMode.Idle
    assert np.abs(np.array(robot.state.dq)).max() < 0.05


def test_stop_preempts_the_motion_and_the_arm_comes_to_rest(arm):
    robot = arm.connect()
    robot.move(franky.JointVelocityMotion([0.3, 0, 0, 0, 0, 0, 0], Duration(5000)), asynchronous=True)
    arm.wait_until(lambda: arm.robot.dq[0] > 0.25)
    robot.stop()
    with pytest.raises(franky.ControlException, match="preempted"):
        robot.join_motion()
    assert np.abs(np.array(robot.state.dq)).max() < 0.02
    robot.move(franky.JointMotion(HOME))
    assert_clean(arm, robot)


def test_replanning_while_moving_never_raises_a_discontinuity(arm):
    robot = arm.connect(factor=0.2)
    for number in range(12):
        target = HOME + 0.4 * STEP * np.sin(0.5 * number)
        robot.move(franky.JointMotion(target), asynchronous=True)
        arm.wait_ms(25)
    robot.join_motion()
    assert_clean(arm, robot)
    assert arm.robot.reflexes == 0


def test_other_control_signal_while_moving_is_refused_by_the_client_and_the_arm_stops(arm):
    robot = arm.connect()
    robot.move(franky.JointVelocityMotion([0.1, 0, 0, 0, 0, 0, 0], Duration(500)), asynchronous=True)
    with pytest.raises(franky.InvalidMotionTypeException):
        robot.move(franky.JointMotion(HOME))
    robot.join_motion()
    assert_clean(arm, robot)


def test_same_motion_on_four_fresh_servers_gives_the_same_commands_and_paths(run_arm, host):
    def path(number):
        running = run_arm(at=host[: host.rindex(".")] + f".{number + 1}")
        joints = []
        running.server.on_command = lambda _: joints.append(running.robot.q.copy())
        robot = running.connect()
        target = HOME + np.random.default_rng(7).uniform(-0.1, 0.1, 7)
        robot.move(franky.JointMotion(target))
        robot.move(franky.JointVelocityMotion([0.1, -0.1, 0, 0.1, 0, 0, 0.2], Duration(100)))
        return np.array(joints)

    first, *others = (path(number) for number in range(4))
    for other in others:
        assert len(other) == len(first)
        assert other == pytest.approx(first, abs=1e-6)
