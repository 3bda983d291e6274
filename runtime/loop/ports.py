"""Where a tick gets its inputs and puts its outputs: rings when live, arrays in tests and replay."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from runtime.ring import RingReader, RingWriter, RowMeta, RowStatus
from runtime.rows import ARM_COMMAND, ARM_STATE, HEARTBEAT
from runtime.rows_rt import (
    MODES_SLOTS,
    RT_MODES,
    RT_PLAN,
    RT_REQUEST,
    RT_TICK,
    TICK_SLOTS,
)

COMMAND_SLOTS = 16384
NEVER = -1  # age of a heartbeat that was never seen


class Ports(Protocol):
    """All that a tick sees and does. Rows handed out are scratch: good until the next call."""

    def arm_state(self, arm: int, now_ns: int) -> tuple[np.void | None, RowMeta, RowStatus]:
        """The newest `ARM_STATE` row of an arm, its meta, and why there is none."""
        ...

    def requests(self) -> Iterator[tuple[np.void, RowMeta]]:
        """`RT_REQUEST` rows not taken yet, oldest first. What the caller does not take stays."""
        ...

    def plan_rows(self) -> Iterator[tuple[np.void, RowMeta]]:
        """`RT_PLAN` rows not taken yet, oldest first."""
        ...

    def supervisor_age_ns(self, now_ns: int) -> int:
        """Age of the supervisor's heartbeat [ns]; `NEVER` if there is none."""
        ...

    def command_row(self, arm: int) -> np.void:
        """The `ARM_COMMAND` row to fill for `write_command`."""
        ...

    def write_command(self, arm: int, now_ns: int) -> int:
        """Send the filled command row; returns its sequence number."""
        ...

    def tick_row(self, arm: int) -> np.void:
        """The `RT_TICK` row to fill for `write_tick`."""
        ...

    def write_tick(self, arm: int, now_ns: int) -> None: ...

    def modes_row(self) -> np.void:
        """The `RT_MODES` row to fill for `write_modes`."""
        ...

    def write_modes(self, now_ns: int) -> None: ...


class RingPorts:
    """The rings of a running instance. Opens everything at once; reading and writing never wait."""

    def __init__(self, instance: str, arms: list[str]) -> None:
        self._states = [RingReader(instance, f"arm.{name}.state", ARM_STATE) for name in arms]
        self._commands = [RingWriter(instance, f"arm.{name}.command", ARM_COMMAND, COMMAND_SLOTS) for name in arms]
        self._ticks = [RingWriter(instance, f"rt.tick.{name}", RT_TICK, TICK_SLOTS) for name in arms]
        self._modes = RingWriter(instance, "rt.modes", RT_MODES, MODES_SLOTS)
        self._requests = RingReader(instance, "rt.request", RT_REQUEST)
        self._plans = RingReader(instance, "rt.plan", RT_PLAN)
        self._supervisor = RingReader(instance, "supervisor.heartbeat", HEARTBEAT)

    def arm_state(self, arm: int, now_ns: int) -> tuple[np.void | None, RowMeta, RowStatus]:
        reader = self._states[arm]
        row = reader.latest(now_ns)
        return row, reader.meta, reader.status

    def requests(self) -> Iterator[tuple[np.void, RowMeta]]:
        for row in self._requests.drain():
            yield row, self._requests.meta

    def plan_rows(self) -> Iterator[tuple[np.void, RowMeta]]:
        for row in self._plans.drain():
            yield row, self._plans.meta

    def supervisor_age_ns(self, now_ns: int) -> int:
        return now_ns - self._supervisor.meta.stamp_ns if self._supervisor.latest(now_ns) is not None else NEVER

    def command_row(self, arm: int) -> np.void:
        return self._commands[arm].row

    def write_command(self, arm: int, now_ns: int) -> int:
        return self._commands[arm].commit(now_ns)

    def tick_row(self, arm: int) -> np.void:
        return self._ticks[arm].row

    def write_tick(self, arm: int, now_ns: int) -> None:
        self._ticks[arm].commit(now_ns)

    def modes_row(self) -> np.void:
        return self._modes.row

    def write_modes(self, now_ns: int) -> None:
        self._modes.commit(now_ns)

    def close(self) -> None:
        """Remove the rings that rt writes."""
        for ring in [*self._commands, *self._ticks, self._modes]:
            ring.close()
