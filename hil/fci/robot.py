"""What the emulated robot does: its modes, one motion at a time, its reflexes. No sockets, no clock.

`step` runs before each millisecond of physics and sets the joint torques, `observe` runs after it. Answers to requests
collect in `replies`; they are sent after the state packet that shows what they say.
"""

from dataclasses import dataclass

import numpy as np

from hil.fci import limits
from hil.fci.arm_plant import ArmPlant
from hil.fci.control import Controllers, Guiding
from hil.fci.errors import ErrorFlag
from hil.fci.frames import ToolFrames
from hil.fci.motion import BRAKE_RAD_S2, Reference, is_singular
from hil.fci.move import Motion, make_generator
from hil.fci.protocol import (
    Command,
    Controller,
    Generator,
    MoveRequest,
    MoveStatus,
    RecoveryStatus,
    RobotMode,
    StopStatus,
    is_finite,
)
from hil.fci.reflex import ACCELERATING_RAD_S2, CollisionDetector
from hil.scenes.fr3 import TORQUE_NM

MISSED_IN_A_ROW = 20  # lost packets after which the robot gives up the motion (FCI documentation)
FIRST_COMMAND_MS = 3000  # a Move whose first command does not come is given up (ours)
SETTLED_RAD_S = 1e-5  # a motion that has ended leaves the arm slower than this, or after SETTLE_MS (ours)
SETTLE_MS = 150
RECOVERY_MS = 100  # a recovery without a fault (ours; 700 to 7300 ms were seen on real arms)
RETURN_RAD_S = 0.2  # speed at which recovery brings a joint back inside its limits (ours)
RETURN_MARGIN_RAD = 0.02
STARTABLE = frozenset({RobotMode.IDLE, RobotMode.MOVE})  # modes in which collisions and limits are watched


@dataclass
class Reply:
    """An answer to be sent once the next state packet is out, or `delay_ms` later."""

    command: Command
    command_id: int
    status: MoveStatus | StopStatus | RecoveryStatus
    delay_ms: int = 0


class Robot:
    """One arm's state machine. All times are robot milliseconds.

    Args:
        plant: the physics of this arm.
        frames: its tool frames, changed by the client's setters.
    """

    def __init__(self, plant: ArmPlant, frames: ToolFrames) -> None:
        self.plant, self.frames = plant, frames
        self.controllers = Controllers(plant, frames)
        self.collisions = CollisionDetector()
        self.guiding = Guiding()
        self.mode = RobotMode.IDLE
        self.motion: Motion | None = None
        self.errors: frozenset[ErrorFlag] = frozenset()
        self.last_errors: frozenset[ErrorFlag] = frozenset()  # of the last motion
        self.replies: list[Reply] = []
        self.now_ms = 0
        self.reflexes = 0
        q = plant.q
        self.reference = Reference(q, plant.fk(q, frames.F_T_EE))
        self.reference.elbow = float(q[2])
        self.tau = np.zeros(7)  # commanded in this millisecond, without gravity
        self.q, self.dq = q, plant.dq
        self.T_base_ee = self.reference.T
        self._in_reflex = False  # until recovery, whatever the flags read
        self._brakes_locked = False
        self._stop_pressed = False
        self._recovery: tuple[int, int] | None = None  # command id, when it is done
        self._recovery_ms = RECOVERY_MS
        self._clear_flags_at: int | None = None
        self._withheld_replies = 0
        self._late_replies = (0, 0)  # how many, how late

    # --- requests of the client -------------------------------------------------------------------------------

    def start_move(self, command_id: int, request: MoveRequest) -> MoveStatus:
        """The immediate answer to Move: MOTION_STARTED, or why not."""
        if self.mode is not RobotMode.IDLE or self.motion is not None or self.reference.moving:
            return MoveStatus.NOT_POSSIBLE
        if not request.valid():
            return MoveStatus.INVALID_ARGUMENT
        generator = Generator(request.generator)
        cartesian = generator in (Generator.CARTESIAN_POSITION, Generator.CARTESIAN_VELOCITY)
        if cartesian and is_singular(self.plant, self.reference.q, self.frames.F_T_EE):
            return MoveStatus.START_AT_SINGULAR_POSE
        self._settle()
        self.last_errors = frozenset()
        self.motion = Motion(
            command_id=command_id,
            request=request,
            controller=Controller(request.controller),
            generator=make_generator(request, self.reference, self.plant, self.frames),
            tau=self.tau.copy(),
        )
        self.mode = RobotMode.MOVE
        return MoveStatus.MOTION_STARTED

    def stop_move(self, command_id: int) -> StopStatus | None:
        """The answer to StopMove, or None: it comes when the arm stands still."""
        refusals = {
            RobotMode.USER_STOPPED: StopStatus.EMERGENCY_ABORTED,
            RobotMode.REFLEX: StopStatus.REFLEX_ABORTED,
        }
        motion = self.motion
        if motion is None:
            return refusals.get(self.mode, StopStatus.NOT_POSSIBLE)
        motion.stop_ids.append(command_id)
        if motion.ending is None:
            self._end(MoveStatus.PREEMPTED)
        return None

    def recover(self, command_id: int) -> RecoveryStatus | None:
        """The answer to AutomaticErrorRecovery, or None: it comes after the idle state."""
        if self.mode is RobotMode.IDLE:
            return RecoveryStatus.SUCCESS
        if self.mode is not RobotMode.REFLEX:
            return RecoveryStatus.NOT_POSSIBLE
        self.mode = RobotMode.AUTOMATIC_ERROR_RECOVERY
        self._recovery = (command_id, self.now_ms + self._recovery_ms)
        return None

    def client_lost(self) -> None:
        """The connection ended. A motion that still ran ends as the robot's own: commands stopped coming."""
        self.replies.clear()
        if self.motion is not None and self.motion.ending is None:
            self.reflex(ErrorFlag.COMMUNICATION_CONSTRAINTS_VIOLATION)
        elif self.motion is not None:
            self.motion.stop_ids.clear()
        self.replies.clear()
        if self._recovery is not None:
            self._recovery = (-1, self._recovery[1])

    # --- what happens to the robot ------------------------------------------------------------------------------

    def reflex(self, flag: ErrorFlag) -> None:
        """Stop by a reflex: brake from where the arm really is, report the flag, end the motion.

        With brakes locked or the user stop pressed the flag is noted and shows once they are released.
        """
        self.reflexes += 1
        self.errors = frozenset({flag})
        self._in_reflex = True
        if self._brakes_locked or self._stop_pressed:
            return
        self._clear_flags_at = None
        if self.motion is not None:
            self.last_errors = self.errors
        if self.mode is RobotMode.AUTOMATIC_ERROR_RECOVERY:
            self._answer_recovery(RecoveryStatus.REFLEX_ABORTED)
        self._abort(RobotMode.REFLEX, MoveStatus.REFLEX_ABORTED, StopStatus.REFLEX_ABORTED)

    def latch_reflex(self, flag: ErrorFlag, clear_after_ms: int) -> None:
        """A reflex whose flags read clear again after a while, although the mode stays Reflex until recovery."""
        self.reflex(flag)
        self._clear_flags_at = self.now_ms + clear_after_ms

    def press_user_stop(self) -> None:
        """The motion ends and none starts until `release_user_stop`."""
        self._stop_pressed = True
        if self.mode is RobotMode.AUTOMATIC_ERROR_RECOVERY:
            self._answer_recovery(RecoveryStatus.EMERGENCY_ABORTED)
        self._abort(self._resting_mode(), MoveStatus.EMERGENCY_ABORTED, StopStatus.EMERGENCY_ABORTED)

    def release_user_stop(self) -> None:
        if self._stop_pressed:
            self._stop_pressed = False
            self.mode = self._resting_mode()

    def set_brakes(self, locked: bool) -> None:
        """Lock or open the brakes: locked, the mode is Other and no motion starts."""
        if locked == self._brakes_locked:
            return
        self._brakes_locked = locked
        if locked and self.mode is RobotMode.AUTOMATIC_ERROR_RECOVERY:
            self._answer_recovery(RecoveryStatus.ABORTED)
        self._abort(self._resting_mode(), MoveStatus.ABORTED, StopStatus.ABORTED)
        self.plant.set_brakes(locked)

    def _resting_mode(self) -> RobotMode:
        """The mode without a motion: brakes decide before the user stop, that before a reflex."""
        if self._brakes_locked:
            return RobotMode.OTHER
        if self._stop_pressed:
            return RobotMode.USER_STOPPED
        return RobotMode.REFLEX if self._in_reflex else RobotMode.IDLE

    def set_guiding(self, active: bool) -> None:
        """Somebody takes the arm by the hand, or lets it go. Not possible with locked brakes, stops or reflexes."""
        if active and self.mode in (RobotMode.IDLE, RobotMode.MOVE):
            self._abort(RobotMode.GUIDING, MoveStatus.ABORTED, StopStatus.ABORTED)
            q = self.plant.q
            self.guiding.q_held = q
            self.guiding.T_held = self.plant.fk(q, self.frames.F_T_K)
        elif not active and self.mode is RobotMode.GUIDING:
            self.mode = RobotMode.IDLE
            self._settle(measured=True)

    def withhold_move_replies(self, count: int) -> None:
        self._withheld_replies = count

    def delay_move_replies(self, delay_ms: int, count: int) -> None:
        self._late_replies = (count, delay_ms)

    def delay_recovery(self, delay_ms: int) -> None:
        self._recovery_ms = delay_ms

    def restore(self) -> None:
        """End the lasting faults; modes and errors stay as they are."""
        self._withheld_replies, self._late_replies, self._recovery_ms = 0, (0, 0), RECOVERY_MS

    # --- one millisecond ----------------------------------------------------------------------------------------

    def step(self, command: np.void | None, *, silent: bool = False) -> None:
        """Before the physics: advance the reference by the client's command (None: none came) and set the torques.

        `silent`: the client has not answered for longer than any robot waits; its motion is given up.
        """
        self.now_ms += 1
        if self._clear_flags_at is not None and self.now_ms >= self._clear_flags_at:
            self.errors, self._clear_flags_at = frozenset(), None
        q, dq = self.plant.q, self.plant.dq
        motion = self.motion
        if motion is None:
            if self.mode is RobotMode.AUTOMATIC_ERROR_RECOVERY:
                self._recover_step()
            elif self.reference.moving:
                self._brake()
        elif motion.ending is not None:
            self._end_step(motion, motion.ending)
        else:
            self._follow(motion, command, silent)
            if motion.in_joint_space:
                self.reference.T = self.plant.fk(self.reference.q, self.frames.F_T_EE)
        self.tau = np.clip(self._torque(q, dq), -TORQUE_NM, TORQUE_NM)
        self.plant.apply_torque(self.tau)

    def observe(self) -> None:
        """After the physics: measure, and stop for what the measurement shows."""
        q, dq = self.plant.q, self.plant.dq
        T = self.plant.fk(q, self.frames.F_T_EE)
        step = T[:3, 3] - self.T_base_ee[:3, 3]
        speed = 1e3 * float(step @ step) ** 0.5
        self.q, self.dq, self.T_base_ee = q, dq, T
        accelerating = bool((np.abs(self.reference.ddq) > ACCELERATING_RAD_S2).any())
        # libfranka: forces applied by the robot to the environment are positive; the plant's act on the robot.
        collision = self.collisions.update(-self.plant.tau_ext(), -self.plant.wrench_ext(), accelerating)
        if self.mode in STARTABLE:
            flag = collision or limits.check_measured(q, dq, self.tau + self.plant.gravity(q), speed)
            if flag is None and self.motion is not None:
                flag = self.motion.check_deviation(T, self.reference.T)
            if flag is not None:
                self.reflex(flag)

    # --- inside -------------------------------------------------------------------------------------------------

    def _follow(self, motion: Motion, command: np.void | None, silent: bool) -> None:
        if command is None:
            flag = self._miss(motion, silent)
        elif not is_finite(command):
            self._end(MoveStatus.INPUT_ERROR_ABORTED)
            return
        else:
            motion.arrived()
            flag = motion.follow(command)
            if flag is None and (command["motion_finished"] or command["torque_finished"]):
                flag = self._finish_asked(motion)
        if flag is not None:
            self.reflex(flag)

    def _miss(self, motion: Motion, silent: bool) -> ErrorFlag | None:
        if motion.request.use_async:
            return motion.extrapolate()
        if not motion.started:
            motion.waited_ms += 1
            late = silent or motion.waited_ms > FIRST_COMMAND_MS
            return ErrorFlag.COMMUNICATION_CONSTRAINTS_VIOLATION if late else None
        motion.missed()
        if silent or motion.missed_in_a_row >= MISSED_IN_A_ROW:
            return ErrorFlag.COMMUNICATION_CONSTRAINTS_VIOLATION
        return motion.extrapolate()

    def _finish_asked(self, motion: Motion) -> ErrorFlag | None:
        if motion.controls_torque_only or motion.request.use_async:
            self._end(MoveStatus.SUCCESS)
            return None
        if self.reference.speed > limits.FINISH_SPEED_RAD_S:
            return ErrorFlag.JOINT_MOTION_GENERATOR_VELOCITY_DISCONTINUITY
        self._end(MoveStatus.SUCCESS)
        return None

    def _end(self, status: MoveStatus) -> None:
        """Begin to end the motion: brake first, then answer."""
        motion = self.motion
        assert motion is not None
        motion.ending = status
        if motion.controller is Controller.EXTERNAL:
            self._settle(measured=True)

    def _end_step(self, motion: Motion, status: MoveStatus) -> None:
        """Brake, then stay until the arm has come to rest too: the next motion starts from the same state each time."""
        self._brake()
        if not self.reference.moving:
            motion.resting_ms += 1
            if np.abs(self.dq).max() < SETTLED_RAD_S or motion.resting_ms > SETTLE_MS:
                self._finish(status)

    def _finish(self, status: MoveStatus, stop_status: StopStatus = StopStatus.SUCCESS) -> None:
        """Leave the motion and answer Move, then every StopMove that waited for it."""
        motion = self.motion
        assert motion is not None
        self.motion = None
        if self.mode is RobotMode.MOVE:
            self.mode = RobotMode.IDLE
        delay_ms = 0
        if self._late_replies[0] > 0:
            delay_ms = self._late_replies[1]
            self._late_replies = (self._late_replies[0] - 1, delay_ms)
        if self._withheld_replies > 0:
            self._withheld_replies -= 1
        else:
            self.replies.append(Reply(Command.MOVE, motion.command_id, status, delay_ms))
        for stop_id in motion.stop_ids:
            self.replies.append(Reply(Command.STOP_MOVE, stop_id, stop_status))

    def _abort(self, mode: RobotMode, status: MoveStatus, stop_status: StopStatus) -> None:
        """Change to a mode without motions: the arm brakes from its measured motion."""
        self.mode = mode
        self._recovery = None
        if self.motion is not None:
            self._finish(status, stop_status)
        self._settle(measured=True)

    def _settle(self, *, measured: bool = False) -> None:
        """Make the reference what the controllers hold next: q_d as it is, or the measured motion to brake from."""
        reference = self.reference
        if not measured:
            reference.rest(reference.q, self.plant.fk(reference.q, self.frames.F_T_EE))
            return
        q, dq = self.plant.q, self.plant.dq
        reference.rest(q, self.plant.fk(q, self.frames.F_T_EE))
        reference.dq = np.where(np.abs(dq) > 1e-3, dq, 0.0)

    def _brake(self) -> None:
        self.reference.brake(BRAKE_RAD_S2)
        self.reference.T = self.plant.fk(self.reference.q, self.frames.F_T_EE)
        self.reference.twist, self.reference.acceleration = np.zeros(6), np.zeros(6)

    def _recover_step(self) -> None:
        """Bring joints that are outside their limits back, slowly; then be idle."""
        reference = self.reference
        if reference.moving:
            self._brake()
            return
        inside = np.clip(reference.q, limits.LOWER_RAD + RETURN_MARGIN_RAD, limits.UPPER_RAD - RETURN_MARGIN_RAD)
        outside = (self.q < limits.LOWER_RAD) | (self.q > limits.UPPER_RAD)
        if outside.any():
            step = np.clip(inside - reference.q, -RETURN_RAD_S * 1e-3, RETURN_RAD_S * 1e-3)
            if step.any():
                reference.q = reference.q + np.where(outside, step, 0.0)
                reference.T = self.plant.fk(reference.q, self.frames.F_T_EE)
                return
        assert self._recovery is not None
        if self.now_ms < self._recovery[1]:
            return
        self.mode = RobotMode.IDLE
        self.errors, self._in_reflex = frozenset(), False
        self.collisions.reset()
        self._answer_recovery(RecoveryStatus.SUCCESS)

    def _answer_recovery(self, status: RecoveryStatus) -> None:
        if self._recovery is not None and self._recovery[0] >= 0:
            self.replies.append(Reply(Command.AUTOMATIC_ERROR_RECOVERY, self._recovery[0], status))
        self._recovery = None

    def _torque(self, q: np.ndarray, dq: np.ndarray) -> np.ndarray:
        if self.mode is RobotMode.OTHER:
            return np.zeros(7)
        if self.mode is RobotMode.GUIDING:
            self.reference.rest(q, self.T_base_ee)
            return self.controllers.guided(q, dq, self.guiding)
        motion = self.motion
        if motion is not None and motion.ending is None:
            if motion.controller is Controller.EXTERNAL:
                if motion.controls_torque_only:
                    self.reference.rest(q, self.T_base_ee)  # nothing is desired of the position: q_d is where it is
                return motion.tau
            if motion.controller is Controller.CARTESIAN_IMPEDANCE:
                return self.controllers.cartesian_impedance(q, dq, self.reference)
        return self.controllers.joint_impedance(q, dq, self.reference)
