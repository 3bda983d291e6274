"""The driver's last word on a command row: cheap checks that hold whatever the gate did. Pure; time is an argument."""

import math

from drivers.franka.command import Command
from drivers.franka.frames import is_rigid, pose_distance
from drivers.franka.limits import JointLimits
from drivers.franka.view import RobotView
from runtime.rows import JOINTS, CommandMode, RejectReason

MIN_PERIOD_NS, MAX_PERIOD_NS = 1_000_000, 100_000_000  # as the cell file allows
MAX_STATE_AGE_NS = 200_000_000  # no command acts on a robot state older than this
STEP_MARGIN = 1.2  # a step may be this much further than the limit velocity reaches: writer and robot clocks differ
MAX_TRANSLATION_M_S, MAX_ROTATION_RAD_S = 3.0, 2.5  # of the tool (libfranka rate_limiting.h)
MAX_POSE_STEP_M, MAX_POSE_STEP_RAD = 0.1, 0.3  # per row, however long the writer was silent


class LastWord:
    """Judges the rows of one ENABLE: `check` gives `RejectReason.NONE` for a row that may act.

    Args:
        limits: of the connected robot.
        max_step_rad: hard limit of a joint step against the last accepted command (the cell's `jump_stop_rad`).
        max_age_ns: a row that waited longer than this is dead (the watchdog's limit).
        mode, generation, session: what was enabled; a higher generation raises the floor, a lower one is dead.
        enabled_ns: rows written earlier are dead.
    """

    def __init__(
        self,
        limits: JointLimits,
        max_step_rad: float,
        max_age_ns: int,
        *,
        mode: CommandMode,
        generation: int,
        session: int,
        enabled_ns: int,
    ) -> None:
        self._limits, self._max_step_rad, self._max_age_ns = limits, max_step_rad, max_age_ns
        self._mode, self._session, self._enabled_ns = mode, session, enabled_ns
        self.generation = generation
        self.rejected = 0
        self.reason = RejectReason.NONE
        self._last: Command | None = None

    def check(self, command: Command, view: RobotView, now_ns: int) -> RejectReason:
        """Judge a row against the newest robot state; remembers it when it may act."""
        reason = self._find(command, view, now_ns)
        if reason:
            self.rejected += 1
            self.reason = reason
        else:
            self.generation = command.generation
            self._last = command
        return reason

    def _find(self, command: Command, view: RobotView, now_ns: int) -> RejectReason:
        if command.session != self._session:
            return RejectReason.SESSION
        if command.stamp_ns < self._enabled_ns:
            return RejectReason.BEFORE_ENABLE
        if command.generation < self.generation:
            return RejectReason.GENERATION
        if command.mode != self._mode:
            return RejectReason.MODE
        if now_ns > command.valid_until_ns or now_ns - command.stamp_ns > self._max_age_ns:
            return RejectReason.EXPIRED
        if not MIN_PERIOD_NS <= command.period_ns <= MAX_PERIOD_NS:
            return RejectReason.PERIOD
        if now_ns - view.advanced_ns > MAX_STATE_AGE_NS:
            return RejectReason.STATE_OLD
        return self._cartesian(command, view) if command.is_cartesian else self._joints(command, view)

    def _seconds(self, command: Command) -> float:
        """Time in which the arm may have moved on since the last accepted row, and may until the next."""
        since = command.stamp_ns - self._last.stamp_ns if self._last else command.period_ns
        return STEP_MARGIN * (since + command.period_ns) / 1e9

    def _joints(self, command: Command, view: RobotView) -> RejectReason:
        limits = self._limits
        if not all(map(math.isfinite, (*command.q, *command.dq, *command.tau_ff))):
            return RejectReason.NOT_FINITE
        reference = self._last.q if self._last else view.q_d
        seconds = self._seconds(command)
        for joint in range(JOINTS):
            q = command.q[joint]
            if not limits.lower_rad[joint] <= q <= limits.upper_rad[joint]:
                return RejectReason.POSITION
            if abs(command.dq[joint]) > limits.velocity_rad_s[joint]:
                return RejectReason.VELOCITY
            if abs(command.tau_ff[joint]) > limits.effort_nm[joint]:
                return RejectReason.TORQUE
            if abs(q - reference[joint]) > min(self._max_step_rad, limits.velocity_rad_s[joint] * seconds):
                return RejectReason.STEP
        return RejectReason.NONE

    def _cartesian(self, command: Command, view: RobotView) -> RejectReason:
        T = command.T_base_ee
        if not all(map(math.isfinite, T.ravel().tolist())):
            return RejectReason.NOT_FINITE
        if not is_rigid(T):
            return RejectReason.POSE
        distance, angle = pose_distance(self._last.T_base_ee if self._last else view.T_base_ee_d, T)
        seconds = self._seconds(command)
        if distance > min(MAX_POSE_STEP_M, MAX_TRANSLATION_M_S * seconds):
            return RejectReason.STEP
        if angle > min(MAX_POSE_STEP_RAD, MAX_ROTATION_RAD_S * seconds):
            return RejectReason.STEP
        return RejectReason.NONE
