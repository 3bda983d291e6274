"""Every fault of the arm's table, seen through the real client library."""

import subprocess
import sys

import franky
import numpy as np
import pytest
from franky import Duration, RobotMode

from hil.fci.errors import ErrorFlag
from hil.fci.faults import FAULTS, make_fault
from hil.fci.profile import Profile
from hil.fci.protocol import RobotMode as WireMode
from runtime.ticker import sleep_ns

HOME = np.array([0.0, -0.785398, 0.0, -2.356194, 0.0, 1.570796, 0.785398])
LINK_DEAD = (franky.NetworkException, RuntimeError)  # libfranka lets an exception of its socket library through
SLOW = [0.1, 0, 0, 0, 0, 0, 0]


def errors_of(state_errors):
    return {name for name in dir(state_errors) if not name.startswith("_") and getattr(state_errors, name) is True}


def start_moving(arm, robot, velocity=SLOW):
    robot.move(franky.JointVelocityMotion(velocity, Duration(20_000)), asynchronous=True)
    arm.wait_until(lambda: np.abs(arm.robot.dq).max() > 0.9 * np.abs(velocity).max())


def recover(arm, robot):
    assert robot.recover_from_errors()
    assert robot.state.robot_mode == RobotMode.Idle
    assert arm.robot.errors == frozenset()


def test_every_flag_of_the_table_reaches_the_client_by_its_name_and_is_recovered_from(arm):
    robot = arm.connect()
    arm.fault("slow_recovery", delay_ms=1)
    for flag in ErrorFlag:
        arm.fault(flag.name.lower())
        arm.wait_until(lambda: arm.robot.mode is WireMode.REFLEX)
        state = robot.state
        assert state.robot_mode == RobotMode.Reflex
        names = errors_of(state.current_errors)
        assert names == {flag.name.lower()}
        recover(arm, robot)


@pytest.mark.parametrize("flag", ["joint_reflex", "self_collision_avoidance_violation", "instability_detected"])
def test_reflex_in_a_motion_aborts_it_and_names_the_flag(arm, flag):
    robot = arm.connect()
    start_moving(arm, robot)
    arm.fault(flag)
    with pytest.raises(franky.ControlException, match=flag[:12]):
        robot.join_motion()
    state = robot.state
    assert state.robot_mode == RobotMode.Reflex
    assert len(errors_of(state.last_motion_errors)) == 1
    with pytest.raises(franky.CommandException, match="Reflex"):
        robot.move(franky.JointMotion(HOME))
    arm.wait_until(lambda: not arm.robot.reference.moving)
    recover(arm, robot)
    robot.move(franky.JointMotion(HOME))
    assert robot.state.q == pytest.approx(HOME, abs=1e-3)


def test_user_stop_aborts_the_motion_and_holds_until_it_is_released(arm):
    robot = arm.connect()
    start_moving(arm, robot)
    arm.fault("user_stop")
    with pytest.raises(franky.ControlException, match="User Stop"):
        robot.join_motion()
    assert robot.state.robot_mode == RobotMode.UserStopped
    with pytest.raises(franky.CommandException, match="User stopped"):
        robot.recover_from_errors()
    arm.wait_until(lambda: np.abs(arm.robot.dq).max() < 1e-3)
    arm.fault("user_stop_released")
    arm.wait_until(lambda: arm.robot.mode is WireMode.IDLE)
    robot.move(franky.JointMotion(HOME))
    assert robot.state.robot_mode == RobotMode.Idle


def test_locked_brakes_hold_the_arm_and_refuse_motions(arm):
    robot = arm.connect()
    start_moving(arm, robot)
    arm.fault("brakes_locked")
    with pytest.raises(franky.ControlException, match="aborted"):
        robot.join_motion()
    assert robot.state.robot_mode == RobotMode.Other
    with pytest.raises(franky.CommandException, match="not possible"):
        robot.move(franky.JointMotion(HOME))
    held = arm.robot.q.copy()
    arm.fault("push", force_x_n=0, force_y_n=80, duration_ms=50)
    arm.wait_ms(60)
    assert arm.robot.q == pytest.approx(held, abs=2e-3)
    arm.fault("brakes_unlocked")
    arm.wait_until(lambda: arm.robot.mode is WireMode.IDLE)
    robot.move(franky.JointMotion(HOME))
    assert robot.state.q == pytest.approx(HOME, abs=1e-3)


def test_guided_arm_yields_to_a_hand_and_refuses_motions(arm):
    robot = arm.connect()
    arm.fault("guiding")
    arm.wait_until(lambda: arm.robot.mode is WireMode.GUIDING)
    arm.wait_ms(2)
    assert robot.state.robot_mode == RobotMode.Guiding
    with pytest.raises(franky.CommandException):
        robot.move(franky.JointMotion(HOME))
    arm.fault("push", link=7, force_x_n=0, force_y_n=25, duration_ms=300)
    arm.wait_ms(320)
    assert arm.robot.q[0] > 0.05
    arm.fault("guiding_ended")
    arm.wait_until(lambda: arm.robot.mode is WireMode.IDLE)
    arm.wait_until(lambda: not arm.robot.reference.moving)
    robot.move(franky.JointMotion(HOME))
    assert robot.state.q == pytest.approx(HOME, abs=1e-3)


def test_guiding_holds_the_axes_the_client_locked(arm):
    robot = arm.connect()
    robot.set_guiding_mode([True, False, True, False, False, False], False)
    arm.fault("guiding")
    arm.wait_until(lambda: arm.robot.mode is WireMode.GUIDING)
    before = arm.robot.T_base_ee[:3, 3].copy()
    arm.fault("push", link=8, force_x_n=20, force_y_n=20, duration_ms=300)
    arm.wait_ms(300)
    moved = arm.robot.T_base_ee[:3, 3] - before
    assert moved[0] > 0.01
    assert abs(moved[1]) < 0.012
    assert abs(moved[1]) < 0.4 * moved[0]


def test_lost_states_are_survived_and_counted(arm):
    robot = arm.connect(factor=0.1)
    arm.fault("lose_states", fraction=0.02, duration_ms=10_000, seed=5)
    robot.move(franky.JointMotion(HOME + 0.2))
    assert robot.state.robot_mode == RobotMode.Idle
    assert 5 < arm.server.counts.missed < 60
    assert arm.server.counts.most_missed_in_a_row < 20


def test_losses_drawn_from_one_seed_are_the_same_each_time(run_arm, host):
    def missed(number):
        running = run_arm(at=host[: host.rindex(".")] + f".{number + 1}")
        robot = running.connect(factor=0.1)
        ids = []
        running.fault("lose_states", fraction=0.05, duration_ms=10_000, seed=11)
        running.wait_ms(2)
        running.server.on_command = lambda _: ids.append(running.robot.reference.q[0])
        robot.move(franky.JointMotion(HOME + 0.05))
        return running.server.counts.missed > 0, ids

    (lost, first), (_, second) = missed(0), missed(1)
    assert lost
    assert first[-1] == pytest.approx(second[-1], abs=1e-6)


def test_all_states_lost_is_a_communication_violation_after_twenty(arm):
    robot = arm.connect()
    start_moving(arm, robot)
    arm.fault("lose_states", fraction=1.0, duration_ms=60)
    with pytest.raises(franky.ControlException, match="communication_constraints_violation"):
        robot.join_motion()
    assert arm.server.counts.most_missed_in_a_row == 20
    recover(arm, robot)


def test_late_states_lose_their_answers(arm):
    robot = arm.connect()
    start_moving(arm, robot)
    arm.fault("late_states", delay_ms=3, duration_ms=10)
    arm.wait_until(lambda: arm.server.counts.missed >= 10)
    arm.wait_ms(50)
    assert arm.robot.mode is WireMode.MOVE
    assert arm.server.counts.late_commands > 0
    assert 10 <= arm.server.counts.missed < 20
    robot.move(franky.JointVelocityStopMotion())
    assert robot.state.robot_mode == RobotMode.Idle


def test_silence_is_a_dead_link_for_the_client_and_a_reflex_for_the_robot(arm):
    robot = arm.connect()
    start_moving(arm, robot)
    arm.fault("silence", duration_ms=1400)
    with pytest.raises(franky.NetworkException, match="Timeout"):
        robot.join_motion()
    assert ErrorFlag.COMMUNICATION_CONSTRAINTS_VIOLATION in arm.robot.errors
    arm.wait_until(lambda: not arm.server.client_connected)
    arm.wait_ms(500)
    again = arm.connect()
    assert again.state.robot_mode == RobotMode.Reflex
    recover(arm, again)


def test_dropped_connection_stops_the_arm_and_a_new_client_is_served(arm):
    robot = arm.connect()
    start_moving(arm, robot)
    arm.fault("tcp_dropped")
    with pytest.raises(LINK_DEAD):
        robot.join_motion()
    arm.wait_until(lambda: np.abs(arm.robot.dq).max() < 1e-3)
    assert arm.robot.mode is WireMode.REFLEX
    again = arm.connect()
    recover(arm, again)
    again.move(franky.JointMotion(HOME))
    assert again.state.robot_mode == RobotMode.Idle


MOVE_UNTIL_KILLED = """
import sys, franky
robot = franky.Robot(sys.argv[1], relative_dynamics_factor=0.3, realtime_config=franky.RealtimeConfig.Ignore)
robot.move(franky.JointVelocityMotion([0.1, 0, 0, 0, 0, 0, 0], franky.Duration(600_000)))
"""


def test_client_killed_in_a_motion_neither_holds_the_world_back_nor_moves_the_arm_on(arm):
    client = subprocess.Popen([sys.executable, "-c", MOVE_UNTIL_KILLED, arm.host])
    try:
        while arm.robot.dq[0] < 0.09:  # a Python that starts on a loaded machine takes its time: no limit but pytest's
            assert client.poll() is None
            sleep_ns(1_000_000)
    finally:
        client.kill()
        client.wait()
    arm.wait_until(lambda: arm.robot.mode is WireMode.REFLEX)
    arm.wait_until(lambda: np.abs(arm.robot.dq).max() < 1e-3, within_ms=200)
    assert ErrorFlag.COMMUNICATION_CONSTRAINTS_VIOLATION in arm.robot.errors
    recover(arm, arm.connect())


def test_latched_reflex_reads_clear_but_stays_in_the_mode(arm):
    robot = arm.connect()
    start_moving(arm, robot)
    arm.fault("latched_reflex", clear_after_ms=50)
    with pytest.raises(franky.ControlException, match="joint_reflex"):
        robot.join_motion()
    arm.wait_ms(100)
    assert not robot.has_errors
    assert robot.state.robot_mode == RobotMode.Reflex
    with pytest.raises(franky.CommandException, match="Reflex"):
        robot.move(franky.JointMotion(HOME))
    recover(arm, robot)


def test_withheld_reply_keeps_the_client_waiting_while_the_robot_is_idle(arm):
    robot = arm.connect()
    arm.fault("move_reply_withheld")
    arm.wait_ms(2)
    robot.move(franky.JointVelocityMotion(SLOW, Duration(50)), asynchronous=True)
    arm.wait_until(lambda: arm.robot.motion is not None)
    arm.wait_until(lambda: arm.robot.mode is WireMode.IDLE)
    assert robot.join_motion(timeout=0.3) is False
    assert robot.is_in_control
    arm.fault("tcp_dropped")  # what ends the client's wait
    with pytest.raises(franky.NetworkException):
        robot.join_motion()


def test_late_reply_ends_the_motion_after_the_gap(arm):
    robot = arm.connect()
    arm.fault("end_of_motion_gap", delay_ms=300)
    arm.wait_ms(2)
    robot.move(franky.JointVelocityMotion(SLOW, Duration(50)), asynchronous=True)
    arm.wait_until(lambda: arm.robot.motion is not None)
    arm.wait_until(lambda: arm.robot.mode is WireMode.IDLE)
    idle_since = arm.server.robot_time_ms
    robot.join_motion()
    assert arm.server.robot_time_ms - idle_since >= 295
    robot.move(franky.JointVelocityMotion(SLOW, Duration(50)))  # the fault was for one motion


def test_slow_recovery_takes_its_time_and_ends_in_idle(arm):
    robot = arm.connect()
    arm.fault("slow_recovery", delay_ms=700)
    arm.fault("joint_reflex")
    arm.wait_until(lambda: arm.robot.mode is WireMode.REFLEX)
    before = arm.server.robot_time_ms
    recover(arm, robot)
    assert arm.server.robot_time_ms - before >= 700


def test_user_stop_in_a_recovery_aborts_it(arm):
    robot = arm.connect()
    arm.fault("slow_recovery", delay_ms=5000)
    arm.fault("joint_reflex")
    arm.wait_until(lambda: arm.robot.mode is WireMode.REFLEX)
    arm.fault("user_stop", in_ms=200)
    with pytest.raises(franky.CommandException, match="User Stop"):
        robot.recover_from_errors()
    assert arm.robot.mode is WireMode.USER_STOPPED


def test_push_beyond_the_threshold_is_a_reflex_that_names_the_axis(arm):
    robot = arm.connect(threshold=20.0)
    arm.fault("push", link=8, force_x_n=0, force_y_n=60, duration_ms=40)
    arm.wait_until(lambda: arm.robot.mode is WireMode.REFLEX)
    state = robot.state
    assert "cartesian_reflex" in errors_of(state.current_errors) or "joint_reflex" in errors_of(state.current_errors)
    assert state.cartesian_collision[1] == 1.0
    assert state.cartesian_collision[2] == 0.0
    arm.wait_ms(100)
    assert robot.state.cartesian_collision[1] == 1.0  # latched after the push has gone
    recover(arm, robot)
    assert robot.state.cartesian_collision[1] == 0.0


def test_fault_strikes_at_its_robot_time(arm):
    arm.connect()
    at = arm.server.robot_time_ms + 40
    modes = {}
    arm.server.schedule(make_fault("joint_reflex", at))
    arm.wait_until(lambda: modes.setdefault(arm.server.robot_time_ms, arm.robot.mode) is WireMode.REFLEX)
    assert all(mode is WireMode.IDLE for when, mode in modes.items() if when < at)
    assert any(f"at {at / 1000:.3f} s" in sentence for sentence in arm.log)


def test_restore_ends_the_lasting_faults(arm):
    robot = arm.connect()
    arm.fault("silence", duration_ms=600_000)
    arm.fault("move_reply_withheld", count=5)
    arm.fault("slow_recovery", delay_ms=600_000)
    arm.fault("restore")
    arm.wait_ms(3)
    robot.move(franky.JointVelocityMotion(SLOW, Duration(50)))
    arm.fault("joint_reflex")
    arm.wait_until(lambda: arm.robot.mode is WireMode.REFLEX)
    recover(arm, robot)


def test_strict_robot_declares_a_violation_when_the_client_stalls(run_arm):
    arm = run_arm(Profile.STRICT)
    robot = arm.connect()
    start_moving(arm, robot)
    arm.fault("lose_states", fraction=1.0, duration_ms=30)
    with pytest.raises(franky.ControlException, match="communication_constraints_violation"):
        robot.join_motion()
    assert arm.robot.mode is WireMode.REFLEX


def test_every_row_of_the_table_has_a_sentence():
    for name, kind in FAULTS.items():
        assert kind.says, name
        assert len({argument.name for argument in kind.arguments}) == len(kind.arguments), name
