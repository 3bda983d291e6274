"""What a client can ask of the arm besides motions, with the real library; and what the server refuses."""

import socket
import struct
import xml.etree.ElementTree as ET

import franky
import numpy as np
import pytest
from franky import Duration, RobotMode

from hil.fci.errors import ErrorFlag
from hil.fci.listen import PortError
from hil.fci.protocol import RobotMode as WireMode
from hil.scenes.fr3 import T_flange_ee_hand

HOME = np.array([0.0, -0.785398, 0.0, -2.356194, 0.0, 1.570796, 0.785398])
LONG = Duration(20_000)


def column_major(T):
    return np.asarray(T).ravel(order="F").tolist()


def test_first_state_shows_an_idle_arm_at_home(arm):
    state = arm.connect().state
    assert state.robot_mode == RobotMode.Idle
    assert state.q == pytest.approx(HOME, abs=1e-5)
    assert state.F_T_EE.matrix == pytest.approx(T_flange_ee_hand(), abs=1e-6)
    assert state.O_T_EE.matrix == pytest.approx(arm.plant.fk(HOME, T_flange_ee_hand()), abs=1e-4)
    assert state.elbow.joint_3_pos == pytest.approx(0.0, abs=1e-6)
    assert state.m_ee == pytest.approx(0.73)
    assert np.abs(state.tau_ext_hat_filtered).max() < 1e-6


def test_robot_time_goes_on_between_motions(arm):
    robot = arm.connect()
    first = robot.state.time.to_msec()
    arm.wait_ms(30)
    assert robot.state.time.to_msec() >= first + 30


def test_model_is_downloaded_and_agrees_with_the_physics(arm):
    robot = arm.connect()
    links = {link.get("name") for link in ET.fromstring(robot.model_urdf).iter("link")}
    assert {f"link{number}" for number in range(9)} <= links
    state = robot.state
    pose = robot.model.pose(franky.Frame.EndEffector, state)
    assert pose.matrix == pytest.approx(arm.plant.fk(np.array(state.q), T_flange_ee_hand()), abs=1e-5)
    assert robot.model.gravity(state) == pytest.approx(arm.plant.gravity(np.array(state.q)), abs=2e-2)
    assert robot.model.mass(state) == pytest.approx(arm.plant.mass_matrix(np.array(state.q)), abs=2e-3)


def test_end_effector_frame_set_by_the_client_is_reported_and_used(arm):
    robot = arm.connect(factor=0.1)
    NE_T_EE = np.eye(4)
    NE_T_EE[:3, 3] = 0.02, 0.0, 0.05
    before = robot.state.O_T_EE.matrix
    robot.set_ee(column_major(NE_T_EE))
    arm.wait_ms(3)
    state = robot.state
    assert state.NE_T_EE.matrix == pytest.approx(NE_T_EE)
    assert state.F_T_EE.matrix == pytest.approx(T_flange_ee_hand() @ NE_T_EE, abs=1e-6)
    assert state.O_T_EE.matrix == pytest.approx(before @ NE_T_EE, abs=1e-5)
    robot.move(franky.CartesianMotion(franky.Affine([0.0, 0.0, 0.02]), franky.ReferenceType.Relative))
    moved = robot.state.O_T_EE.matrix
    assert moved == pytest.approx(before @ NE_T_EE @ franky.Affine([0.0, 0.0, 0.02]).matrix, abs=2e-3)


def test_stiffness_frame_turns_and_shifts_the_reported_wrench(arm):
    robot = arm.connect(threshold=500.0)
    EE_T_K = np.eye(4)
    EE_T_K[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    EE_T_K[:3, 3] = 0.0, 0.0, 0.1
    arm.fault("push", link=8, force_x_n=0, force_y_n=20, duration_ms=60_000)
    arm.wait_ms(60)
    plain = robot.state
    robot.set_k(column_major(EE_T_K))
    arm.wait_ms(60)
    state = robot.state
    assert state.EE_T_K.matrix == pytest.approx(EE_T_K)
    base = np.array(state.O_F_ext_hat_K)
    assert base[:3] == pytest.approx(plain.O_F_ext_hat_K[:3], abs=0.5)
    R_K_O = (state.O_T_EE.matrix @ EE_T_K)[:3, :3].T
    assert state.K_F_ext_hat_K[:3] == pytest.approx(R_K_O @ base[:3], abs=1e-2)
    assert state.K_F_ext_hat_K[3:] == pytest.approx(R_K_O @ base[3:], abs=1e-2)
    lever = state.O_T_EE.matrix[:3, :3] @ [0.0, 0.0, 0.1]
    shift = base[3:] - np.array(plain.O_F_ext_hat_K[3:])
    assert shift == pytest.approx(-np.cross(lever, base[:3]), abs=0.1)


def test_known_push_gives_the_external_torque_and_wrench_of_libfrankas_sign(arm):
    robot = arm.connect(threshold=500.0)
    arm.fault("push", link=8, force_x_n=0.0, force_y_n=15.0, duration_ms=60_000)
    arm.wait_ms(100)
    state = robot.state
    # "Forces applied by the robot to the environment are positive": a push towards +y reads -15 N.
    assert state.O_F_ext_hat_K[:3] == pytest.approx([0.0, -15.0, 0.0], abs=0.1)
    J = arm.plant.jacobian(np.array(state.q), T_flange_ee_hand())
    assert state.tau_ext_hat_filtered == pytest.approx(J.T @ np.array(state.O_F_ext_hat_K), abs=0.05)
    assert state.tau_ext_hat_filtered[0] == pytest.approx(-15.0 * state.O_T_EE.matrix[0, 3], rel=0.1)


def test_contact_is_reported_between_the_thresholds_and_ends_with_the_push(arm):
    robot = arm.connect()
    robot.set_collision_behavior(5.0, 100.0, 8.0, 100.0)
    arm.fault("push", link=8, force_x_n=0.0, force_y_n=30.0, duration_ms=100)
    arm.wait_ms(80)
    state = robot.state
    assert state.cartesian_contact[1] == 1.0
    assert state.cartesian_contact[2] == 0.0
    assert state.joint_contact[0] == 1.0
    assert list(state.cartesian_collision) == [0.0] * 6
    assert state.robot_mode == RobotMode.Idle
    arm.wait_ms(100)
    assert list(robot.state.cartesian_contact) == [0.0] * 6


def test_undeclared_load_is_felt_and_declared_load_is_compensated(arm):
    robot = arm.connect()
    robot.set_load(1.0, [0.0, 0.0, 0.05], np.diag([0.001, 0.001, 0.001]).ravel().tolist())
    arm.wait_ms(60)
    state = robot.state
    assert state.m_load == pytest.approx(1.0)
    assert state.m_total == pytest.approx(1.73)
    # Declared but absent: the robot presses up with the weight that is not there.
    assert state.O_F_ext_hat_K[2] == pytest.approx(-9.81, abs=0.3)


def test_joint_stiffness_decides_how_far_a_push_moves_the_arm(arm):
    robot = arm.connect(threshold=500.0)

    def yielded(stiffness):
        robot.set_joint_impedance([stiffness] * 7)
        arm.wait_ms(150)
        arm.fault("push", link=8, force_x_n=0.0, force_y_n=20.0, duration_ms=400)
        arm.wait_ms(390)
        offset = abs(arm.robot.q[0] - arm.robot.reference.q[0])
        arm.wait_ms(400)
        return offset

    assert yielded(500.0) == pytest.approx(3.0 * yielded(1500.0), rel=0.25)


def test_setters_refuse_values_no_robot_takes(arm):
    robot = arm.connect()
    with pytest.raises(franky.CommandException, match="invalid argument"):
        robot.set_joint_impedance([20_000.0] * 7)
    with pytest.raises(franky.CommandException, match="invalid argument"):
        robot.set_cartesian_impedance([1.0] * 6)
    with pytest.raises(franky.CommandException, match="invalid argument"):
        robot.set_load(50.0, [0, 0, 0], [0] * 9)
    with pytest.raises(franky.CommandException, match="invalid argument"):
        robot.set_collision_behavior([float("nan")] * 7, [10.0] * 6)
    assert robot.state.m_load == 0.0


def test_setters_are_refused_while_a_motion_runs_and_accepted_in_reflex(arm):
    robot = arm.connect()
    robot.move(franky.JointVelocityMotion([0.05, 0, 0, 0, 0, 0, 0], LONG), asynchronous=True)
    arm.wait_until(lambda: arm.robot.mode is WireMode.MOVE)
    with pytest.raises(franky.CommandException, match="not possible"):
        robot.set_collision_behavior(50.0, 50.0)
    arm.fault("joint_reflex")
    arm.wait_until(lambda: arm.robot.mode is WireMode.REFLEX)
    robot.set_collision_behavior(50.0, 50.0)
    assert arm.robot.collisions.thresholds.upper_force_nominal.tolist() == [50.0] * 6


def test_client_can_connect_in_any_mode(arm):
    for fault, mode in (
        ("joint_reflex", RobotMode.Reflex),
        ("user_stop", RobotMode.UserStopped),
        ("brakes_locked", RobotMode.Other),
    ):
        arm.fault(fault)  # one more each time: brakes show before the user stop, that before a reflex
        arm.wait_ms(3)
        robot = arm.connect()
        assert robot.state.robot_mode == mode
        del robot
        arm.wait_until(lambda: not arm.server.link.connected)


def test_recovery_in_idle_succeeds_at_once(arm):
    robot = arm.connect()
    assert robot.recover_from_errors()


def test_recovered_robot_is_idle_when_the_client_looks(arm):
    robot = arm.connect()
    for _ in range(5):
        arm.fault("joint_reflex")
        arm.wait_until(lambda: arm.robot.mode is WireMode.REFLEX)
        assert robot.recover_from_errors()
        assert robot.state.robot_mode == RobotMode.Idle


def test_second_client_is_refused_and_the_first_goes_on(arm):
    robot = arm.connect()
    with pytest.raises(franky.NetworkException):
        arm.connect()
    assert arm.server.link.refused == 1
    assert any("refused a second client" in sentence for sentence in arm.log)
    robot.move(franky.JointVelocityMotion([0.05, 0, 0, 0, 0, 0, 0], Duration(50)))
    assert robot.state.robot_mode == RobotMode.Idle


def test_second_server_on_the_same_address_is_refused_with_the_holders_pid(run_arm, arm):
    with pytest.raises(PortError, match=r"held by process \d+"):
        run_arm(at=arm.host)


def test_two_arms_in_one_process_do_not_disturb_each_other(run_arm, host):
    one, two = run_arm(at=host), run_arm(at=host[: host.rindex(".")] + ".251")
    first, second = one.connect(), two.connect()
    first.move(franky.JointVelocityMotion([0.1, 0, 0, 0, 0, 0, 0], LONG), asynchronous=True)
    second.move(franky.JointMotion(HOME + 0.05))
    two.fault("joint_reflex")
    two.wait_until(lambda: two.robot.mode is WireMode.REFLEX)
    assert first.is_in_control
    assert one.robot.errors == frozenset()
    first.move(franky.JointVelocityStopMotion())
    assert first.state.robot_mode == RobotMode.Idle
    assert second.state.robot_mode == RobotMode.Reflex


# --- the robot's own limits, exceeded through the real client ----------------------------------------------------


def aborted_by(arm, robot, motion, flag, **options):
    with pytest.raises(franky.ControlException, match=flag.name.lower()[:20]):
        robot.move(motion, **options)
    assert arm.robot.last_errors == {flag}
    assert robot.recover_from_errors()


def test_franky_at_full_dynamics_exceeds_an_fr3_and_is_stopped(arm):
    # franky 2.0.0 takes the Panda's limits (20 rad/s^2 for joints 6 and 7) where the FR3 allows 10.
    robot = arm.connect(factor=1.0)
    flag = ErrorFlag.JOINT_MOTION_GENERATOR_VELOCITY_DISCONTINUITY
    aborted_by(arm, robot, franky.JointMotion(HOME + 0.3), flag)


def test_joint_target_beyond_the_limit_stops_at_the_limit(arm):
    robot = arm.connect(factor=0.4)
    beyond = HOME.copy()
    beyond[5] = 4.7
    with pytest.raises(franky.ControlException, match="joint_motion_generator"):
        robot.move(franky.JointMotion(beyond))
    assert arm.robot.q[5] < 4.53
    assert robot.recover_from_errors()
    robot.move(franky.JointMotion(HOME))
    assert robot.state.q == pytest.approx(HOME, abs=1e-3)


def test_fast_joint_near_its_limit_breaks_the_position_dependent_velocity_limit(arm):
    robot = arm.connect(factor=0.5)
    start = HOME.copy()
    start[0] = 2.2
    robot.move(franky.JointMotion(start))
    aborted_by(
        arm,
        robot,
        franky.JointVelocityMotion([1.0, 0, 0, 0, 0, 0, 0], Duration(2000)),
        ErrorFlag.JOINT_MOTION_GENERATOR_VELOCITY_LIMITS_VIOLATION,
    )


def test_torque_step_is_a_discontinuity(arm):
    robot = arm.connect()
    motion = franky.SimpleTorqueMotion(initial_torque=[20, 0, 0, 0, 0, 0, 0], max_delta_tau=1000.0)
    robot.move(motion, asynchronous=True, cutoff_frequency=1000.0)
    with pytest.raises(franky.ControlException, match="controller_torque_discontinuity"):
        robot.join_motion()
    assert arm.robot.last_errors == {ErrorFlag.CONTROLLER_TORQUE_DISCONTINUITY}


def test_torque_that_drives_a_joint_too_fast_is_a_velocity_violation(arm):
    robot = arm.connect()
    motion = franky.SimpleTorqueMotion(initial_torque=[0, 0, 0, 0, 6.0, 0, 0], signal_timeout=None)
    robot.move(motion, asynchronous=True)
    with pytest.raises(franky.ControlException, match="joint_"):
        robot.join_motion()
    assert arm.robot.last_errors <= {
        ErrorFlag.JOINT_VELOCITY_VIOLATION,
        ErrorFlag.JOINT_POSITION_LIMITS_VIOLATION,
    }


def test_joint_pushed_beyond_its_limit_is_brought_back_by_recovery(arm):
    robot = arm.connect()
    motion = franky.SimpleTorqueMotion(initial_torque=[0, 0, 0, 0, 0, 0, 0.3], signal_timeout=None)
    robot.move(motion, asynchronous=True)
    with pytest.raises(franky.ControlException, match="joint_position_limits_violation"):
        robot.join_motion()
    assert robot.recover_from_errors()
    assert robot.state.robot_mode == RobotMode.Idle
    arm.wait_ms(50)
    assert robot.state.robot_mode == RobotMode.Idle


def test_collision_in_a_motion_stops_the_arm_against_the_table(arm):
    robot = arm.connect(factor=0.1, threshold=15.0)
    with pytest.raises(franky.ControlException, match="reflex"):
        robot.move(franky.CartesianMotion(franky.Affine([0.0, 0.0, 0.6]), franky.ReferenceType.Relative))
    assert robot.state.robot_mode == RobotMode.Reflex
    state = robot.state
    assert max(*state.cartesian_collision, *state.joint_collision) == 1.0
    assert arm.robot.T_base_ee[2, 3] > -0.05


def test_too_old_a_client_is_told_the_version(arm):
    with socket.create_connection((arm.host, 1337), timeout=5) as client:
        client.sendall(struct.pack("<IIIHH", 0, 7, 16, 9, 40000))
        answer = client.recv(64)
        assert struct.unpack("<IIIBH", answer) == (0, 7, 15, 1, 10)
        assert client.recv(64) == b""
    arm.connect()


def test_connection_lost_while_answering_ends_the_motion_as_well(run_arm):
    arm = run_arm(turning=False)
    with socket.create_connection((arm.host, 1337), timeout=5) as client:
        client.sendall(struct.pack("<IIIHH", 0, 0, 16, 10, 40_000))
        while not arm.server.client_connected:
            arm.server.poll()
        client.sendall(struct.pack("<III", 1, 1, 125) + struct.pack("<II6d?7d", 0, 1, *[9.0] * 6, False, *[0.0] * 7))
        while arm.robot.motion is None:
            arm.server.poll()
        arm.server.link.drop("lost while answering")  # as `Link.send` does
        arm.server.poll()
    assert arm.robot.motion is None
    assert arm.robot.errors == {ErrorFlag.COMMUNICATION_CONSTRAINTS_VIOLATION}
