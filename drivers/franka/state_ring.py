"""The ring `arm.NAME.state`: what the robot reported, and beside it what the driver makes of it."""

import numpy as np

from drivers.franka.activity import Activity
from drivers.franka.reader import Seen
from drivers.franka.state import fill_state
from drivers.franka.streaming import Acknowledgement, Streaming
from drivers.franka.view import RobotView
from runtime.ring import RingWriter
from runtime.rows import ARM_STATE, ArmActivity, CommandMode, DriverState, RequestStatus

SLOTS = 16384  # 16 s at 1 kHz: the black box needs 10
SILENT_ROW_NS = 20_000_000  # with no new robot state, a row this often says what the driver knows
_UNKNOWN = (
    "q", "dq", "tau", "tau_ext", "q_d", "dq_d", "ddq_d", "wrench_base", "wrench_k",
    "T_base_ee", "T_base_ee_d", "T_flange_ee", "success_rate", "ack_q",
)  # fmt: skip


class StateRing:
    """Writes the state rows of one arm; raises RingBusyError when another process does."""

    def __init__(self, instance: str, name: str) -> None:
        self._ring = RingWriter(instance, f"arm.{name}.state", ARM_STATE, SLOTS)
        self._last_ns = 0
        for field in _UNKNOWN:
            self._ring.row[field] = np.nan  # nothing is known yet; a zero would be an invented position

    def robot_reported(self, one: Seen) -> int:
        """Take a robot state into the next rows; returns its error mask."""
        fill_state(self._ring.row, one.state)
        return int(self._ring.row["errors"])

    def driver_knows(
        self,
        state: DriverState,
        activity: Activity | None,
        view: RobotView,
        acknowledgement: Acknowledgement,
        *,
        connection: int,
        connected: bool,
        request: tuple[int, RequestStatus],
    ) -> None:
        """Take the driver's side into the next rows."""
        row = self._ring.row
        streaming = activity if isinstance(activity, Streaming) else None
        row["driver_state"] = state
        idle = ArmActivity.IDLE if connected else ArmActivity.CONNECTING
        row["activity"] = activity.kind if activity is not None else idle
        row["command_mode"] = streaming.mode if streaming else CommandMode.NONE
        row["enabled_generation"] = streaming.generation if streaming else 0
        row["connection"] = connection
        row["states_seen"], row["states_missed"] = view.seen, view.missed
        applied = acknowledgement.command
        if applied is not None:
            row["ack_sequence"], row["ack_generation"] = applied.sequence, applied.generation
            row["ack_trace"], row["ack_stamp_ns"] = applied.trace, acknowledgement.stamp_ns
            row["ack_q"] = applied.q
        row["rejected"], row["reject_reason"] = acknowledgement.rejected, acknowledgement.reason
        row["watchdog_stops"] = acknowledgement.watchdog_stops
        row["request_id"], row["request_status"] = request

    def commit(self, stamp_ns: int) -> None:
        """Publish the row. With no new robot state in between, its robot time stands still: nothing is invented."""
        self._ring.commit(stamp_ns)
        self._last_ns = stamp_ns

    def silent(self, now_ns: int) -> bool:
        """No row for a while."""
        return now_ns - self._last_ns > SILENT_ROW_NS

    def close(self) -> None:
        self._ring.close()
