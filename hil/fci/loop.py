"""Turns a world and the servers of its devices: reads sockets, waits as each profile asks, steps 1 ms at a time.

The world goes on when every arm is ready. Then it keeps real time, unless a lock-stepped arm has just got its answer:
that one goes on at once.
"""

import select
from collections.abc import Callable, Sequence
from typing import Protocol

from runtime.clock import Clock
from runtime.ticker import sleep_until_ns

PERIOD_NS = 1_000_000
_WAIT_S = 0.005  # longest sleep on the sockets while an arm waits for its client


class World(Protocol):
    """The physics: one millisecond per call."""

    time_ns: int

    def step(self) -> None: ...


class Station(Protocol):
    """A device's server as the loop sees it."""

    @property
    def descriptor(self) -> int: ...
    def poll(self) -> None: ...
    def ready(self) -> bool: ...
    @property
    def in_real_time(self) -> bool: ...
    def before_step(self) -> None: ...
    def after_step(self) -> None: ...


class WorldLoop:
    """Runs until told to stop.

    Args:
        world: stepped by 1 ms.
        stations: the arms' servers.
        clock: monotonic.
        each_tick: called after every step with the world's time [ns] (hands, panel, rings), in this thread.
    """

    def __init__(
        self,
        world: World,
        stations: Sequence[Station],
        clock: Clock,
        each_tick: Callable[[int], None] | None = None,
    ) -> None:
        self._world, self._stations, self._clock, self._each_tick = world, tuple(stations), clock, each_tick
        self._epoll = select.epoll()
        self._stopped = False
        self.late_ticks = 0  # that began more than a period behind real time
        for station in self._stations:
            self._epoll.register(station.descriptor, select.EPOLLIN)

    def stop(self) -> None:
        """End `run` at its next turn; may be called from any thread or a signal handler."""
        self._stopped = True

    def run(self, each_wait: Callable[[], None] | None = None) -> None:
        """Turn until `stop`. `each_wait` is called whenever an arm holds the world back, at least every 5 ms."""
        clock, stations = self._clock, self._stations
        due_ns = clock.now_ns()
        while not self._stopped:
            for station in stations:
                station.poll()
            if not all(station.ready() for station in stations):
                self._epoll.poll(_WAIT_S)
                if each_wait is not None:
                    each_wait()
                continue
            now_ns = clock.now_ns()
            if all(station.in_real_time for station in stations):
                if now_ns < due_ns:
                    sleep_until_ns(due_ns)
                    for station in stations:
                        station.poll()  # a command that came meanwhile belongs to this millisecond
                due_ns = self._next(due_ns, clock.now_ns())
            else:
                due_ns = now_ns + PERIOD_NS
            for station in stations:
                station.before_step()
            self._world.step()
            for station in stations:
                station.after_step()
            if self._each_tick is not None:
                self._each_tick(self._world.time_ns)

    def close(self) -> None:
        """Give the descriptors back; the stations are closed by their owner."""
        self._epoll.close()

    def _next(self, due_ns: int, now_ns: int) -> int:
        """When the millisecond after this one is due: on the grid, or a period from now if a slot was missed.

        Missed slots are never caught up: robot time falls behind, as no robot's does, but never runs fast.
        """
        if now_ns > due_ns + PERIOD_NS:
            self.late_ticks += 1
            return now_ns + PERIOD_NS
        return due_ns + PERIOD_NS
