"""A command row as plain values."""

from dataclasses import dataclass

import numpy as np

from runtime.ring import RowMeta
from runtime.rows import CommandMode


@dataclass(frozen=True)
class Command:
    """One row of `ARM_COMMAND` with its ring's sequence number, session and stamp [ns]."""

    sequence: int
    session: int
    stamp_ns: int
    generation: int
    trace: int
    mode: int
    q: tuple[float, ...]
    dq: tuple[float, ...]
    tau_ff: tuple[float, ...]
    T_base_ee: np.ndarray
    period_ns: int
    valid_until_ns: int

    @staticmethod
    def from_row(row: np.void, meta: RowMeta) -> "Command":
        return Command(
            meta.sequence,
            meta.session,
            meta.stamp_ns,
            int(row["generation"]),
            int(row["trace"]),
            int(row["mode"]),
            tuple(row["q"].tolist()),
            tuple(row["dq"].tolist()),
            tuple(row["tau_ff"].tolist()),
            row["T_base_ee"].copy(),
            int(row["period_ns"]),
            int(row["valid_until_ns"]),
        )

    @property
    def is_cartesian(self) -> bool:
        return self.mode == CommandMode.CARTESIAN_IMPEDANCE
