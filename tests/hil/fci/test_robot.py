"""The robot's state machine over the real physics, without sockets: modes, ends of motions, limits by their flags."""

import math

import numpy as np
import pytest

from hil.fci.errors import ErrorFlag
from hil.fci.frames import ToolFrames
from hil.fci.protocol import (
    ROBOT_COMMAND,
    CollisionThresholds,
    Command,
    Controller,
    Generator,
    MoveRequest,
    MoveStatus,
    RecoveryStatus,
    RobotMode,
    StopStatus,
)
from hil.fci.robot import FIRST_COMMAND_MS, MISSED_IN_A_ROW, RECOVERY_MS, SETTLE_MS, Robot
from hil.plant import World
from hil.scenes.fr3 import T_flange_ee_hand
from runtime.cell import load_cell

WIDE = (10.0, 3.12, 6.28)


class Bench:
    """A robot, its physics, and a client that answers every millisecond."""

    def __init__(self):
        self.world = World(load_cell("emulated"))
        self.plant = self.world.arms["main"]
        self.robot = Robot(self.plant, ToolFrames(T_flange_ee_hand()))
        self.command = np.zeros(1, ROBOT_COMMAND)[0]

    def start(self, generator, controller=Controller.JOINT_IMPEDANCE, deviation=WIDE, **options):
        fields = {"use_async": False, "max_velocity_rad_s": (0.0,) * 7} | options
        request = MoveRequest(controller, generator, deviation, WIDE, **fields)
        robot = self.robot
        status = robot.start_move(1, request)
        self.command["q_c"] = robot.reference.q
        self.command["O_T_EE_c"] = robot.reference.T.ravel(order="F")
        return status

    def turn(self, command=None, count=1, silent=False):
        for _ in range(count):
            self.robot.step(command, silent=silent)
            self.world.step()
            self.robot.observe()

    def follow(self, count=1, **fields):
        """Send `count` commands with these fields changed."""
        for name, value in fields.items():
            self.command[name] = value
        self.turn(self.command.copy(), count)

    def statuses(self):
        return [(reply.command, reply.status) for reply in self.robot.replies]


@pytest.fixture
def bench():
    return Bench()


def test_motion_ends_with_success_after_it_came_to_rest(bench):
    assert bench.start(Generator.JOINT_VELOCITY) is MoveStatus.MOTION_STARTED
    assert bench.robot.mode is RobotMode.MOVE
    bench.follow(5)
    bench.follow(motion_finished=True)
    bench.turn(count=2)
    assert bench.robot.mode is RobotMode.IDLE
    assert bench.statuses() == [(Command.MOVE, MoveStatus.SUCCESS)]


def test_finish_while_still_moving_is_a_reflex(bench):
    bench.start(Generator.JOINT_VELOCITY)
    for speed in np.linspace(0.0, 0.1, 30):
        bench.follow(dq_c=[speed, 0, 0, 0, 0, 0, 0])
    bench.follow(motion_finished=True)
    assert bench.robot.mode is RobotMode.REFLEX
    assert bench.statuses() == [(Command.MOVE, MoveStatus.REFLEX_ABORTED)]


def test_second_motion_is_not_possible_while_one_runs(bench):
    bench.start(Generator.JOINT_VELOCITY)
    assert bench.start(Generator.JOINT_VELOCITY) is MoveStatus.NOT_POSSIBLE


def test_stop_brakes_first_and_answers_move_before_stop(bench):
    bench.start(Generator.JOINT_VELOCITY)
    for speed in np.linspace(0.0, 0.3, 60):
        bench.follow(dq_c=[speed, 0, 0, 0, 0, 0, 0])
    assert bench.robot.stop_move(2) is None
    assert bench.statuses() == []
    bench.turn(count=20)
    assert bench.robot.mode is RobotMode.MOVE
    assert bench.robot.reference.moving
    bench.turn(count=20 + SETTLE_MS)
    assert np.abs(bench.robot.dq).max() < 1e-4
    assert bench.robot.mode is RobotMode.IDLE
    assert bench.statuses() == [(Command.MOVE, MoveStatus.PREEMPTED), (Command.STOP_MOVE, StopStatus.SUCCESS)]


def test_stop_without_a_motion_is_not_possible(bench):
    assert bench.robot.stop_move(1) is StopStatus.NOT_POSSIBLE
    bench.robot.reflex(ErrorFlag.JOINT_REFLEX)
    assert bench.robot.stop_move(2) is StopStatus.REFLEX_ABORTED


def test_missed_packets_extrapolate_with_constant_acceleration(bench):
    bench.start(Generator.JOINT_VELOCITY)
    for speed in 0.001 * np.arange(1, 21):
        bench.follow(dq_c=[speed, 0, 0, 0, 0, 0, 0])
    before = bench.robot.reference.q[0]
    bench.turn(count=5)
    expected = sum(0.001 * number for number in range(21, 26)) * 1e-3
    assert bench.robot.reference.q[0] - before == pytest.approx(expected, rel=1e-9)
    assert bench.robot.motion.missed_in_a_row == 5
    assert bench.robot.motion.success_rate == pytest.approx(20 / 25)


def test_twentieth_miss_in_a_row_is_a_communication_violation(bench):
    bench.start(Generator.JOINT_VELOCITY)
    bench.follow()
    bench.turn(count=MISSED_IN_A_ROW - 1)
    assert bench.robot.mode is RobotMode.MOVE
    bench.turn()
    assert bench.robot.errors == {ErrorFlag.COMMUNICATION_CONSTRAINTS_VIOLATION}
    assert bench.robot.mode is RobotMode.REFLEX


def test_one_answer_in_time_forgives_the_misses_before_it(bench):
    bench.start(Generator.JOINT_VELOCITY)
    for _ in range(4):
        bench.follow()
        bench.turn(count=MISSED_IN_A_ROW - 1)
    assert bench.robot.mode is RobotMode.MOVE


def test_first_command_is_waited_for_but_not_for_ever(bench):
    bench.start(Generator.JOINT_VELOCITY)
    bench.turn(count=FIRST_COMMAND_MS)
    assert bench.robot.mode is RobotMode.MOVE
    bench.turn()
    assert bench.robot.errors == {ErrorFlag.COMMUNICATION_CONSTRAINTS_VIOLATION}


def test_silent_client_is_given_up_at_once(bench):
    bench.start(Generator.JOINT_VELOCITY)
    bench.follow()
    bench.turn(silent=True)
    assert bench.robot.errors == {ErrorFlag.COMMUNICATION_CONSTRAINTS_VIOLATION}


def test_command_that_is_not_finite_ends_the_motion_as_an_input_error(bench):
    bench.start(Generator.JOINT_VELOCITY)
    bench.follow()
    bench.follow(dq_c=[math.nan] * 7)
    bench.turn(count=2)
    assert bench.statuses() == [(Command.MOVE, MoveStatus.INPUT_ERROR_ABORTED)]
    assert bench.robot.mode is RobotMode.IDLE
    assert np.isfinite(bench.robot.reference.q).all()


def _shifted(bench, x=0.0, turn=0.0):
    T = bench.robot.reference.T.copy()
    T[0, 3] += x
    c, s = math.cos(turn), math.sin(turn)
    T[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ T[:3, :3]
    return T.ravel(order="F")


# generator, what the first commands are, the flag
TRIPS = [
    (
        Generator.JOINT_POSITION,
        lambda b: {"q_c": b.robot.reference.q + 0.01},
        ErrorFlag.JOINT_POSITION_MOTION_GENERATOR_START_POSE_INVALID,
    ),
    (
        Generator.JOINT_POSITION,
        lambda b: {"q_c": b.robot.reference.q + 1e-4},
        ErrorFlag.JOINT_MOTION_GENERATOR_VELOCITY_DISCONTINUITY,
    ),
    (
        Generator.JOINT_POSITION,
        lambda b: {"q_c": b.robot.reference.q + 1.8e-5},
        ErrorFlag.JOINT_MOTION_GENERATOR_ACCELERATION_DISCONTINUITY,
    ),
    (
        Generator.JOINT_VELOCITY,
        lambda b: {"dq_c": [0.05, 0, 0, 0, 0, 0, 0]},
        ErrorFlag.JOINT_MOTION_GENERATOR_VELOCITY_DISCONTINUITY,
    ),
    (
        Generator.JOINT_VELOCITY,
        lambda b: {"dq_c": [0.018, 0, 0, 0, 0, 0, 0]},
        ErrorFlag.JOINT_MOTION_GENERATOR_ACCELERATION_DISCONTINUITY,
    ),
    (
        Generator.CARTESIAN_POSITION,
        lambda b: {"O_T_EE_c": _shifted(b, x=0.01)},
        ErrorFlag.CARTESIAN_POSITION_MOTION_GENERATOR_START_POSE_INVALID,
    ),
    (
        Generator.CARTESIAN_POSITION,
        lambda b: {"O_T_EE_c": _shifted(b, turn=0.1)},
        ErrorFlag.CARTESIAN_POSITION_MOTION_GENERATOR_START_POSE_INVALID,
    ),
    (
        Generator.CARTESIAN_POSITION,
        lambda b: {"O_T_EE_c": _shifted(b, x=2e-4)},
        ErrorFlag.CARTESIAN_MOTION_GENERATOR_VELOCITY_DISCONTINUITY,
    ),
    (
        Generator.CARTESIAN_POSITION,
        lambda b: {"O_T_EE_c": _shifted(b, x=1.5e-5)},
        ErrorFlag.CARTESIAN_MOTION_GENERATOR_ACCELERATION_DISCONTINUITY,
    ),
    (
        Generator.CARTESIAN_POSITION,
        lambda b: {"O_T_EE_c": _shifted(b), "valid_elbow": True, "elbow_c": [0.0, 1.0]},
        ErrorFlag.CARTESIAN_MOTION_GENERATOR_ELBOW_SIGN_INCONSISTENT,
    ),
    (
        Generator.CARTESIAN_POSITION,
        lambda b: {"O_T_EE_c": _shifted(b), "valid_elbow": True, "elbow_c": [0.1, -1.0]},
        ErrorFlag.CARTESIAN_MOTION_GENERATOR_START_ELBOW_INVALID,
    ),
    (
        Generator.CARTESIAN_POSITION,
        lambda b: {"O_T_EE_c": _shifted(b), "valid_elbow": True, "elbow_c": [0.005, -1.0]},
        ErrorFlag.CARTESIAN_MOTION_GENERATOR_ELBOW_LIMIT_VIOLATION,
    ),
    (
        Generator.CARTESIAN_POSITION,
        lambda b: {"O_T_EE_c": np.zeros(16)},
        ErrorFlag.CARTESIAN_POSITION_MOTION_GENERATOR_INVALID_FRAME,
    ),
    (
        Generator.CARTESIAN_VELOCITY,
        lambda b: {"O_dP_EE_c": [0.1, 0, 0, 0, 0, 0]},
        ErrorFlag.CARTESIAN_MOTION_GENERATOR_VELOCITY_DISCONTINUITY,
    ),
    (
        Generator.CARTESIAN_VELOCITY,
        lambda b: {"O_dP_EE_c": [0, 0, 0, 0.03, 0, 0]},
        ErrorFlag.CARTESIAN_MOTION_GENERATOR_ACCELERATION_DISCONTINUITY,
    ),
]


@pytest.mark.parametrize(("generator", "fields", "flag"), TRIPS, ids=[flag.name.lower() for _, _, flag in TRIPS])
def test_command_beyond_the_robots_limits_raises_its_flag(bench, generator, fields, flag):
    bench.start(generator)
    bench.follow(**fields(bench))
    assert bench.robot.errors == {flag}
    assert bench.robot.last_errors == {flag}
    assert bench.robot.mode is RobotMode.REFLEX
    assert bench.statuses() == [(Command.MOVE, MoveStatus.REFLEX_ABORTED)]


def test_path_deviation_asked_for_in_the_request_is_watched(bench):
    bench.start(Generator.JOINT_VELOCITY, deviation=(0.01, 3.12, 6.28))
    bench.robot.collisions.thresholds = CollisionThresholds.uniform(1e3, 1e3)
    bench.robot.controllers.joint_stiffness[:] = 200.0
    bench.plant.push(8, np.array([0.0, 40.0, 0.0]), 500)
    for _ in range(300):
        if bench.robot.mode is not RobotMode.MOVE:
            break
        bench.follow()
    assert bench.robot.errors == {ErrorFlag.MAX_PATH_POSE_DEVIATION_VIOLATION}


def test_motion_does_not_start_in_a_singular_pose(bench):
    bench.robot.reference.q[:] = [0.0, 0.0, 0.0, -0.16, 0.0, 1.6, 0.0]
    bench.robot.reference.q[3] = 0.0
    bench.robot.reference.q[5] = 0.0
    assert bench.start(Generator.CARTESIAN_VELOCITY) is MoveStatus.START_AT_SINGULAR_POSE
    assert bench.robot.mode is RobotMode.IDLE


def test_async_generator_reaches_sparse_targets_without_a_missed_packet(bench):
    speed = (0.3,) * 7
    assert bench.start(Generator.JOINT_POSITION, use_async=True, max_velocity_rad_s=speed) is MoveStatus.MOTION_STARTED
    target = bench.robot.reference.q + 0.1
    bench.follow(q_c=target)
    fastest = 0.0
    for _ in range(600):
        bench.turn()
        fastest = max(fastest, bench.robot.reference.speed)
    assert bench.robot.mode is RobotMode.MOVE
    assert bench.robot.q == pytest.approx(target, abs=1e-3)
    assert 0.25 < fastest <= 0.3 + 1e-9
    bench.follow(motion_finished=True, q_c=np.zeros(7))
    bench.turn(count=SETTLE_MS)
    assert bench.statuses() == [(Command.MOVE, MoveStatus.SUCCESS)]


def test_async_finish_in_full_motion_brakes_instead_of_jumping(bench):
    bench.start(Generator.JOINT_POSITION, use_async=True, max_velocity_rad_s=(0.5,) * 7)
    bench.follow(q_c=bench.robot.reference.q + 0.5)
    bench.turn(count=200)
    assert bench.robot.reference.speed > 0.4
    bench.follow(motion_finished=True)
    bench.turn(count=100 + SETTLE_MS)
    assert bench.robot.mode is RobotMode.IDLE
    assert bench.statuses() == [(Command.MOVE, MoveStatus.SUCCESS)]


def test_async_target_outside_the_limits_is_a_reflex(bench):
    bench.start(Generator.JOINT_POSITION, use_async=True, max_velocity_rad_s=(0.5,) * 7)
    bench.follow(q_c=np.full(7, 5.0))
    assert bench.robot.errors == {ErrorFlag.JOINT_MOTION_GENERATOR_POSITION_LIMITS_VIOLATION}


def test_recovery_takes_its_time_and_answers_after_the_idle_state(bench):
    bench.robot.reflex(ErrorFlag.POWER_LIMIT_VIOLATION)
    assert bench.robot.recover(5) is None
    assert bench.robot.mode is RobotMode.AUTOMATIC_ERROR_RECOVERY
    bench.turn(count=RECOVERY_MS - 1)
    assert bench.robot.mode is RobotMode.AUTOMATIC_ERROR_RECOVERY
    assert bench.statuses() == []
    bench.turn()
    assert bench.robot.mode is RobotMode.IDLE
    assert bench.robot.errors == frozenset()
    assert bench.statuses() == [(Command.AUTOMATIC_ERROR_RECOVERY, RecoveryStatus.SUCCESS)]


@pytest.mark.parametrize("prepare", ["press_user_stop", "lock", "guide", "move"])
def test_recovery_is_not_possible_outside_reflex_and_idle(bench, prepare):
    robot = bench.robot
    {
        "press_user_stop": robot.press_user_stop,
        "lock": lambda: robot.set_brakes(True),
        "guide": lambda: robot.set_guiding(True),
        "move": lambda: bench.start(Generator.JOINT_VELOCITY),
    }[prepare]()
    assert robot.recover(1) is RecoveryStatus.NOT_POSSIBLE


def test_reflex_in_a_recovery_aborts_it(bench):
    bench.robot.reflex(ErrorFlag.JOINT_REFLEX)
    bench.robot.recover(5)
    bench.turn(count=3)
    bench.robot.reflex(ErrorFlag.CARTESIAN_REFLEX)
    assert bench.statuses() == [(Command.AUTOMATIC_ERROR_RECOVERY, RecoveryStatus.REFLEX_ABORTED)]
    assert bench.robot.mode is RobotMode.REFLEX


def test_flag_raised_under_a_pressed_user_stop_shows_when_it_is_released(bench):
    bench.robot.press_user_stop()
    bench.robot.reflex(ErrorFlag.JOINT_REFLEX)
    assert bench.robot.mode is RobotMode.USER_STOPPED
    bench.robot.release_user_stop()
    assert bench.robot.mode is RobotMode.REFLEX


def test_errors_of_the_last_motion_stay_until_the_next_one_starts(bench):
    bench.start(Generator.JOINT_VELOCITY)
    bench.robot.reflex(ErrorFlag.JOINT_REFLEX)
    bench.robot.recover(2)
    bench.turn(count=RECOVERY_MS)
    assert bench.robot.last_errors == {ErrorFlag.JOINT_REFLEX}
    bench.start(Generator.JOINT_VELOCITY)
    assert bench.robot.last_errors == frozenset()


def test_lost_client_is_a_communication_violation_only_while_it_moves_the_arm(bench):
    bench.robot.client_lost()
    assert bench.robot.mode is RobotMode.IDLE
    bench.start(Generator.JOINT_VELOCITY)
    bench.robot.client_lost()
    assert bench.robot.errors == {ErrorFlag.COMMUNICATION_CONSTRAINTS_VIOLATION}
    assert bench.robot.replies == []


def test_external_torque_with_a_motion_generator_takes_both(bench):
    assert bench.start(Generator.JOINT_VELOCITY, Controller.EXTERNAL) is MoveStatus.MOTION_STARTED
    for number in range(50):
        bench.follow(dq_c=[1e-3 * number, 0, 0, 0, 0, 0, 0], tau_J_d=[0.02 * number, 0, 0, 0, 0, 0, 0])
    assert bench.robot.reference.dq[0] == pytest.approx(0.049)
    assert bench.robot.tau[0] == pytest.approx(0.98)


def test_missed_torque_command_keeps_the_last_torque(bench):
    bench.start(Generator.NONE, Controller.EXTERNAL)
    for number in range(20):
        bench.follow(tau_J_d=[0.05 * number, 0, 0, 0, 0, 0, 0])
    bench.turn(count=3)
    assert bench.robot.tau[0] == pytest.approx(0.95)


def test_brakes_hide_the_user_stop_and_that_hides_the_reflex_until_each_is_undone(bench):
    robot = bench.robot
    robot.reflex(ErrorFlag.JOINT_REFLEX)
    robot.press_user_stop()
    robot.set_brakes(True)
    seen = [robot.mode]
    for undo in (lambda: robot.set_brakes(False), robot.release_user_stop, lambda: robot.recover(1)):
        undo()
        seen.append(robot.mode)
    assert seen == [RobotMode.OTHER, RobotMode.USER_STOPPED, RobotMode.REFLEX, RobotMode.AUTOMATIC_ERROR_RECOVERY]


def test_user_stop_released_under_locked_brakes_leaves_them_locked(bench):
    bench.robot.set_brakes(True)
    bench.robot.press_user_stop()
    bench.robot.release_user_stop()
    assert bench.robot.mode is RobotMode.OTHER


def test_latched_reflex_outlives_its_flags_and_a_user_stop(bench):
    bench.robot.latch_reflex(ErrorFlag.JOINT_REFLEX, 5)
    bench.turn(count=6)
    assert bench.robot.errors == frozenset()
    bench.robot.press_user_stop()
    bench.robot.release_user_stop()
    assert bench.robot.mode is RobotMode.REFLEX
