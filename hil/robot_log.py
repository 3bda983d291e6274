"""What an emulated robot really did and was told, a row per millisecond: the one history that safety checks read.

It is written at the robot's end of the wire, below driver, gate and rt, and shares no code with them.
"""

import numpy as np

from hil.fci.arm_server import ArmServer
from runtime.ring import RingReader, RingWriter
from runtime.rows import JOINTS

SLOTS = 65536  # one minute

ROBOT_ROW = np.dtype(
    [
        ("robot_time_ms", "<u8"),
        ("q", "<f8", (JOINTS,)), ("dq", "<f8", (JOINTS,)),  # measured
        ("q_d", "<f8", (JOINTS,)), ("dq_d", "<f8", (JOINTS,)), ("ddq_d", "<f8", (JOINTS,)),  # what it was told
        ("commands", "<u8"),  # that acted, since the start
        ("missed_in_a_row", "<u4"), ("mode", "u1"), ("moving", "u1"), ("client", "u1"),
    ]
)  # fmt: skip


def ring_name(arm: str) -> str:
    return f"robot.{arm}"


class RobotLog:
    """Writes the ring `robot.<arm>` of one emulated arm."""

    def __init__(self, instance: str, server: ArmServer) -> None:
        self._server = server
        self._ring = RingWriter(instance, ring_name(server.name), ROBOT_ROW, SLOTS)

    def write(self, now_ns: int) -> None:
        """Once per millisecond of the world, after the arm's step."""
        row, server = self._ring.row, self._server
        robot = server.robot
        reference, motion = robot.reference, robot.motion
        row["robot_time_ms"] = robot.now_ms
        row["q"], row["dq"] = robot.q, robot.dq
        row["q_d"], row["dq_d"], row["ddq_d"] = reference.q, reference.dq, reference.ddq
        row["commands"] = server.counts.commands
        row["missed_in_a_row"] = 0 if motion is None else motion.missed_in_a_row
        row["mode"], row["moving"], row["client"] = robot.mode, motion is not None, server.client_connected
        self._ring.commit(now_ns)

    def close(self) -> None:
        self._ring.close()


class RobotHistory:
    """Collects the rows of one arm; `lost` must stay 0 for a history to count."""

    def __init__(self, instance: str, arm: str) -> None:
        self._reader = RingReader(instance, ring_name(arm), ROBOT_ROW)
        self._rows: list[np.void] = []
        self._stamps: list[int] = []

    def collect(self) -> None:
        """Take in what was written since the last call; at least once in half a minute."""
        for row in self._reader.drain():
            self._rows.append(row.copy())
            self._stamps.append(self._reader.meta.stamp_ns)

    @property
    def lost(self) -> int:
        return self._reader.lost

    def rows(self) -> np.ndarray:
        """All rows as one structured array, oldest first."""
        return np.array(self._rows, dtype=ROBOT_ROW)

    def stamps_ns(self) -> np.ndarray:
        """Monotonic stamp of each row [ns]."""
        return np.array(self._stamps, dtype=np.int64)
