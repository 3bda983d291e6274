"""What every device process shares: heartbeat, events, requests, and a clean end on SIGTERM or Ctrl-C."""

import os
import signal
from collections.abc import Iterator
from types import FrameType

import numpy as np

from runtime.child import orphaned
from runtime.ring import RingReader, RingWriter, remove_dead_rings
from runtime.rows import EVENT, HEARTBEAT, REQUEST, Severity

EVENT_SLOTS = 256
REQUEST_SLOTS = 64
HEARTBEAT_SLOTS = 64


class DeviceShell:
    """The process side of one device: `device` is `arm.main`, `hand.main`, `camera.front`.

    Owns the rings `<device>.heartbeat` and `<device>.event`, reads `<device>.request`. Signals only set
    `stop_requested`: the device's own loop decides how to end, so that an arm is brought to rest first.
    """

    def __init__(self, instance: str, device: str) -> None:
        self.instance, self.device = instance, device
        self.stop_requested = False
        self._heartbeat = RingWriter(instance, f"{device}.heartbeat", HEARTBEAT, HEARTBEAT_SLOTS)
        self._event = RingWriter(instance, f"{device}.event", EVENT, EVENT_SLOTS)
        self._requests = RingReader(instance, f"{device}.request", REQUEST)
        self._requests.skip_to_head()  # a restarted driver must not do again what its predecessor was asked
        self._heartbeat.row["pid"] = os.getpid()

    def handle_signals(self) -> None:
        """Let SIGTERM and SIGINT ask for a clean end (main thread only)."""

        def ask(_number: int, _frame: FrameType | None) -> None:
            self.stop_requested = True

        signal.signal(signal.SIGTERM, ask)
        signal.signal(signal.SIGINT, ask)

    def beat(self, now_ns: int, *, work_ns: int = 0, late_ns: int = 0, phase: int = 0, overruns: int = 0) -> None:
        """Say that the loop turned: `work_ns` it took, `late_ns` behind its grid, `overruns` slots left out so far."""
        row = self._heartbeat.row
        row["beats"] += 1
        row["phase"], row["work_ns"], row["late_ns"], row["overruns"] = phase, work_ns, late_ns, overruns
        self._heartbeat.commit(now_ns)

    def event(self, now_ns: int, severity: Severity, code: str, text: str) -> None:
        """Tell people: `code` for tables (at most 32 bytes), `text` says what, where, and what to do."""
        row = self._event.row
        row["severity"], row["code"], row["text"] = severity, code.encode(), text.encode()[:400]
        self._event.commit(now_ns)

    def requests(self) -> Iterator[np.void]:
        """The `REQUEST` rows that arrived since the last call, or since this process took up its work."""
        return self._requests.drain()

    def close(self) -> None:
        self._heartbeat.close()
        self._event.close()
        if orphaned():  # nobody else is left to sweep up; the last of us removes the rest
            remove_dead_rings(self.instance)
