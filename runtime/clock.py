"""The only module that reads a clock.

Control uses monotonic nanoseconds; wall time is a label in recordings. Everything that decides takes `now_ns` as an
argument, so the same code runs live, on a manual clock in tests, and in replay.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Anything that tells monotonic time."""

    def now_ns(self) -> int:
        """Monotonic time [ns], comparable between all processes of one host."""
        ...


class MonotonicClock:
    """CLOCK_MONOTONIC of this host: never steps, whatever happens to the wall clock."""

    def now_ns(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class ManualClock:
    """A clock that stands still until told to move: for tests, replay and faster-than-real-time runs."""

    def __init__(self, start_ns: int = 1_000_000_000) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        return self._now_ns

    def advance(self, step_ns: int) -> int:
        """Move forward by `step_ns` [ns] and return the new time. Raises ValueError on a step back."""
        if step_ns < 0:
            raise ValueError(f"a monotonic clock cannot go back: step {step_ns} ns")
        self._now_ns += step_ns
        return self._now_ns


def wall_ns() -> int:
    """Wall-clock time [ns since 1970]: a label for people, never an input of control."""
    return time.time_ns()


def thread_cpu_ns() -> int:
    """CPU time of the calling thread [ns]: what a computation cost, whatever else the machine was doing."""
    return time.thread_time_ns()
