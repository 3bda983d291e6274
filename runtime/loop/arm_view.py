"""One arm as its state rows tell it: how fresh, how still, whether the driver follows, and what is wrong. Pure."""

import math
from typing import NamedTuple

import numpy as np

from runtime.modes.causes import Cause, bit
from runtime.ring import RowMeta, RowStatus
from runtime.rows import ArmActivity, DriverState, RejectReason, RobotMode
from runtime.sources.base import Joints

STATE_LATE_NS = 50_000_000  # the client library's own signal timeout
STATE_LOST_NS = 150_000_000
STILL_RAD_S = 0.01  # noise of a resting arm's velocity stays well below
STILL_FOR_NS = 50_000_000  # of robot time: a link that repeats one state proves nothing
NOT_STILL = -1
ACK_LATE_NS = 200_000_000
ACK_TOLERANCE_RAD = 1e-9
RESYNC_RAD = 0.01  # a resting robot's own set-point is this near to where it is, or it is not believed
REMEMBERED = 256  # commands sent whose acknowledgement may still come

_BY_DRIVER_STATE = {
    DriverState.NOT_READY: Cause.ARM_NOT_READY,
    DriverState.REFLEX: Cause.ARM_REFLEX,
    DriverState.USER_STOP: Cause.ARM_USER_STOP,
    DriverState.LINK_DEAD: Cause.ARM_LINK_DEAD,
    DriverState.PLANNER_ERROR: Cause.ARM_PLANNER_ERROR,
}
# The mode counts even where the error flags, or the driver, say that all is well: Reflex was seen latched with clear flags.
_BY_ROBOT_MODE = {
    RobotMode.OTHER: Cause.ARM_NOT_READY,
    RobotMode.GUIDING: Cause.ARM_NOT_READY,
    RobotMode.REFLEX: Cause.ARM_REFLEX,
    RobotMode.USER_STOPPED: Cause.ARM_USER_STOP,
    RobotMode.AUTOMATIC_ERROR_RECOVERY: Cause.ARM_REFLEX,
}


# A row that crossed the ENABLE, or came late, is no sign of a bug; that they stay away is for the driver's watchdog.
_REFUSED_FOR_ITS_TIME = (RejectReason.BEFORE_ENABLE, RejectReason.EXPIRED, RejectReason.STATE_OLD)


class Sent(NamedTuple):
    """A command row that rt wrote."""

    sequence: int
    generation: int
    q: Joints


class ArmView:
    """What rt knows of one arm; `observe` once per tick, before anything is decided."""

    def __init__(self) -> None:
        self.row: np.void | None = None  # the newest row if it is fresh
        self.age_ns = -1
        self.conditions = bit(Cause.ARM_STATE_LOST)
        self.still = False
        self.following = False
        self.left = False
        self.q: Joints = ()
        self.dq: Joints = ()
        self.q_d: Joints = ()
        self.tau_ext: Joints = ()
        self.still_from_ns = NOT_STILL
        self._sent: list[Sent] = [Sent(0, 0, ())] * REMEMBERED
        self.last_sent = 0
        self._ack = 0
        self._ack_ns = 0
        self._rejected = 0
        self._watchdog_stops = 0

    def sent(self, sequence: int, generation: int, q: Joints) -> None:
        """Remember a command row, to compare with what the driver acknowledges."""
        self._sent[sequence % REMEMBERED] = Sent(sequence, generation, q)
        self.last_sent = sequence

    def observe(
        self, now_ns: int, row: np.void | None, meta: RowMeta, status: RowStatus, armed: int, generation: int
    ) -> int:
        """Take in the newest state row; returns the mask of causes found in it.

        Args:
            now_ns: this tick.
            row, meta, status: as the ring reader gave them.
            armed: generation at which the arm was armed; 0 while rt writes no commands.
            generation: the newest one.
        """
        before_following = self.following
        self.age_ns = now_ns - meta.stamp_ns if row is not None else -1
        # A stamp of the future (another clock) would be fresh for ever; a row written while the tick began is not meant.
        current = -STATE_LATE_NS <= self.age_ns <= STATE_LOST_NS
        if row is None or status is not RowStatus.FRESH or not current or not _is_finite(row):
            self.row, self.still, self.still_from_ns = None, False, NOT_STILL
            self.following, self.left = False, before_following
            self.conditions = bit(Cause.ARM_STATE_LOST)
            return self.conditions
        self.row = row
        self.q, self.dq = tuple(row["q"].tolist()), tuple(row["dq"].tolist())
        self.q_d, self.tau_ext = tuple(row["q_d"].tolist()), tuple(row["tau_ext"].tolist())
        enabled = int(row["enabled_generation"])
        self.following = armed > 0 and armed <= enabled <= generation and int(row["activity"]) == ArmActivity.STREAMING
        self.left = before_following and not self.following
        self.still = self._find_still(row)
        found = bit(Cause.ARM_STATE_LATE) if self.age_ns > STATE_LATE_NS else 0
        by_driver = _BY_DRIVER_STATE.get(int(row["driver_state"]), Cause.NONE)  # type: ignore[call-overload]
        by_mode = _BY_ROBOT_MODE.get(int(row["robot_mode"]), Cause.NONE)  # type: ignore[call-overload]
        if by_driver is Cause.ARM_NOT_READY and int(row["robot_mode"]) == RobotMode.AUTOMATIC_ERROR_RECOVERY:
            by_driver = Cause.NONE  # on its way out of the reflex: to call that "not ready" would end every recovery
        for cause in (by_driver, by_mode):
            found |= bit(cause) if cause else 0
        found |= self._find_driver_faults(now_ns, row, armed, before_following)
        self.conditions = found
        return found

    def restore(self, row: np.void | None, still_from_ns: int, last_sent: int) -> None:
        """Be as after a tick in which the driver did not follow: nothing else is remembered then."""
        self.still_from_ns, self.last_sent = still_from_ns, last_sent
        if row is not None:
            self._rejected, self._watchdog_stops = int(row["rejected"]), int(row["watchdog_stops"])

    def resting_set_point(self) -> Joints:
        """Where a resting arm is to be commanded from: the robot's set-point, or the measurement if that is off."""
        if max(abs(a - b) for a, b in zip(self.q, self.q_d, strict=True)) <= RESYNC_RAD:
            return self.q_d
        return self.q

    def _find_still(self, row: np.void) -> bool:
        robot_ns = int(row["robot_time_ns"])
        if max(map(abs, self.dq)) > STILL_RAD_S:
            self.still_from_ns = NOT_STILL
            return False
        if self.still_from_ns == NOT_STILL or robot_ns < self.still_from_ns:  # smaller: a new connection
            self.still_from_ns = robot_ns
        return robot_ns - self.still_from_ns >= STILL_FOR_NS

    def _find_driver_faults(self, now_ns: int, row: np.void, armed: int, before_following: bool) -> int:
        """Rows refused, watchdog stops, acknowledgements that differ or stay away; only while the driver follows us."""
        rejected, stops = int(row["rejected"]), int(row["watchdog_stops"])
        ack = int(row["ack_sequence"])
        found = 0
        if before_following:
            refused = rejected > self._rejected and int(row["reject_reason"]) not in _REFUSED_FOR_ITS_TIME
            found |= bit(Cause.DRIVER_REJECTED) if refused else 0
            found |= bit(Cause.DRIVER_WATCHDOG) if stops > self._watchdog_stops else 0
        self._rejected, self._watchdog_stops = rejected, stops
        if not self.following:
            self._ack, self._ack_ns = ack, now_ns
            return found
        if ack != self._ack:
            self._ack, self._ack_ns = ack, now_ns
            if int(row["ack_generation"]) >= armed and not self._acknowledged_as_sent(ack, row):
                found |= bit(Cause.ACK_DIFFERS)
        elif now_ns - self._ack_ns > ACK_LATE_NS and self.last_sent > ack:
            found |= bit(Cause.ACK_LATE)
        return found

    def _acknowledged_as_sent(self, ack: int, row: np.void) -> bool:
        sent = self._sent[ack % REMEMBERED]
        if sent.sequence != ack or sent.generation != int(row["ack_generation"]):
            return False
        applied = row["ack_q"].tolist()
        return all(abs(a - b) <= ACK_TOLERANCE_RAD for a, b in zip(sent.q, applied, strict=True))


def _is_finite(row: np.void) -> bool:
    """A driver that has not seen its robot yet writes NaN."""
    return all(math.isfinite(value) for field in ("q", "dq", "q_d", "tau_ext") for value in row[field].tolist())
