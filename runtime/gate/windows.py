"""Check 10, by the wall clock: how many commands, and how much travel of the tool, in any 250 ms."""

import math
from collections import deque

from runtime.gate.finding import Finding
from runtime.gate.reasons import Reason

WINDOW_NS = 250_000_000
MOST_RATE = 1.2  # times the nominal number of commands in a window
Point = tuple[float, float, float]


class Windows:
    """What was sent lately: stamps and the tool's way. Counts whatever is sent, stops too."""

    def __init__(self, period_ns: int, limit_m: float) -> None:
        self.most = math.floor(MOST_RATE * WINDOW_NS / period_ns) + 1
        self._limit_m = limit_m
        self.sent: deque[tuple[int, float, Point]] = deque()  # stamp, way since the reset, point

    def reset(self) -> None:
        self.sent.clear()

    def check_rate(self, now_ns: int) -> Finding | None:
        """Before anything is sent at `now_ns`."""
        while self.sent and self.sent[0][0] <= now_ns - WINDOW_NS:
            self.sent.popleft()
        if len(self.sent) >= self.most:
            return Finding(Reason.RATE, len(self.sent) + 1, self.most)
        return None

    def check_way(self, point: Point) -> Finding | None:
        """Whether the tool may go to `point` [m]; after `check_rate` of the same tick."""
        way = self._way(point) - self.sent[0][1] if self.sent else 0.0
        if not way <= self._limit_m:
            return Finding(Reason.WINDOW, way, self._limit_m)
        return None

    def add(self, now_ns: int, point: Point) -> None:
        """The tool was sent to `point`."""
        self.sent.append((now_ns, self._way(point), point))

    def undo(self) -> None:
        """What was added last was not sent."""
        self.sent.pop()

    def _way(self, point: Point) -> float:
        if not self.sent:
            return 0.0
        _, way, last = self.sent[-1]
        return way + math.dist(last, point)
