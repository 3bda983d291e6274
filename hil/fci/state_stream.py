"""The way of state packets to the client, and the faults of that way: lost, late, silent."""

from collections import deque
from collections.abc import Callable

import numpy as np


class StateStream:
    """Sends each packet through `send`, unless a fault keeps or delays it. Times are robot milliseconds."""

    def __init__(self, send: Callable[[bytes | memoryview], None]) -> None:
        self._send = send
        self._fraction, self._lossy_until = 0.0, 0
        self._random = np.random.default_rng(0)
        self._delay, self._late_until = 0, 0
        self._silent_until = 0
        self._waiting: deque[tuple[int, bytes]] = deque()

    def lose(self, fraction: float, until_ms: int, seed: int) -> None:
        """Lose this share of the packets, drawn from `seed`."""
        self._fraction, self._lossy_until = fraction, until_ms
        self._random = np.random.default_rng(seed)

    def delay(self, delay_ms: int, until_ms: int) -> None:
        """Deliver each packet this much later."""
        self._delay, self._late_until = delay_ms, until_ms

    def silence(self, until_ms: int) -> None:
        """Send nothing at all."""
        self._silent_until = until_ms

    def restore(self) -> None:
        """End all three; packets on their way still arrive."""
        self._lossy_until = self._late_until = self._silent_until = 0

    def forget(self) -> None:
        """A client has gone: what was on its way to it is lost."""
        self._waiting.clear()

    def publish(self, now_ms: int, packet: memoryview) -> bool:
        """Send the packet of this millisecond; False when the client will not have it in time."""
        while self._waiting and self._waiting[0][0] <= now_ms:
            self._send(self._waiting.popleft()[1])
        if now_ms < self._silent_until:
            return False
        if now_ms < self._lossy_until and self._random.random() < self._fraction:
            return False
        if now_ms < self._late_until:
            self._waiting.append((now_ms + self._delay, bytes(packet)))
            return False
        self._send(packet)
        return True
