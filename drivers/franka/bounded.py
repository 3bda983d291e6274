"""Calls into the client library that may never return, made so that the driver's loop stays alive.

libfranka can wait for ever inside a call (a reply to Move that never comes). Such a call runs on a thread of its own and
has a due time; the loop asks whether it is done. When it is overdue the loop cuts the connection (`cut_connections`),
which ends every wait inside libfranka with an error: measured with franky 2.0.0, control loop and stop() 0.1 s after the
cut, a blocked read of the state after its own 1 s. What still does not return is abandoned with its thread.
"""

import os
import socket
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from runtime.clock import Clock


class Call:
    """One call: `done` once it returned or raised; then `result` or `error`, and `done_ns` [ns, monotonic]."""

    def __init__(self, name: str, function: Callable[[], Any], due_ns: int) -> None:
        self.name, self.due_ns = name, due_ns
        self.function: Callable[[], Any] | None = function
        self.result: Any = None
        self.error: Exception | None = None
        self.done_ns = 0
        self.done = False

    def overdue(self, now_ns: int) -> bool:
        """Not back although its time is over."""
        return not self.done and now_ns > self.due_ns


class Caller:
    """Runs calls one after the other on one thread. `abandon` gives a stuck one up; the next call gets a new thread."""

    def __init__(self, clock: Clock, name: str, at_start: Callable[[], None] = lambda: None) -> None:
        self._clock, self._name, self._at_start = clock, name, at_start
        self._queue: SimpleQueue[Call | None] | None = None
        self._thread: threading.Thread | None = None
        self._left: list[threading.Thread] = []

    def submit(self, name: str, function: Callable[[], Any], due_ns: int) -> Call:
        """Queue a call; it should be back at monotonic time `due_ns` [ns]."""
        if self._queue is None:
            self._queue = SimpleQueue()
            self._thread = threading.Thread(target=self._run, args=(self._queue,), name=self._name, daemon=True)
            self._thread.start()
        call = Call(name, function, due_ns)
        self._queue.put(call)
        return call

    def _run(self, queue: "SimpleQueue[Call | None]") -> None:
        self._at_start()
        while (call := queue.get()) is not None:
            function, call.function = call.function, None
            assert function is not None
            try:
                call.result = function()
            except Exception as error:  # noqa: BLE001 handed to the loop, which knows what each type means
                error.__traceback__ = None  # it holds the frame, and with it the robot, in a cycle; gc is off here
                call.error = error
            del function  # the last reference to a dead robot must not wait here for the next call
            call.done_ns = self._clock.now_ns()
            call.done = True

    def abandon(self) -> None:
        """Give the thread up with whatever it waits for. It ends by itself if its call ever returns."""
        if self._queue is not None and self._thread is not None:
            self._queue.put(None)
            self._left.append(self._thread)
            self._queue = self._thread = None

    def close(self, timeout_s: float) -> bool:
        """End the threads; False if one is still inside a call after `timeout_s` [s]."""
        self.abandon()
        for thread in self._left:
            thread.join(timeout_s)
        self._left = [thread for thread in self._left if thread.is_alive()]
        return not self._left


def cut_connections(address: str, port: int) -> int:
    """Shut down every TCP connection of this process to an address and port; returns how many there were.

    The robot then sees its client gone and stops by itself; the waits inside libfranka end with NetworkException or
    RuntimeError. The descriptors stay libfranka's own to close.
    """
    cut = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            if not os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                continue
            copy = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue  # closed meanwhile
        with copy:
            try:
                if copy.type == socket.SOCK_STREAM and copy.getpeername()[:2] == (address, port):
                    copy.shutdown(socket.SHUT_RDWR)
                    cut += 1
            except OSError:
                continue  # not connected
    return cut
