"""The connection to one robot and the threads that wait in the client library for it."""

import threading
from collections.abc import Callable
from enum import Enum
from typing import Any

import franky

from drivers.franka.bounded import Call, Caller, cut_connections
from drivers.franka.connection import Connected, Identity, connect
from drivers.franka.reader import StateReader
from drivers.franka.robot_lock import ARM_PORT
from drivers.franka.settings import Settings
from runtime.clock import Clock, wall_ns

MOVE_NS = 1_000_000_000  # handing over a motion takes 0.15 ms, 1 s when the robot has just fallen silent
CONNECT_NS = 10_000_000_000
TORQUE_STOP_S = 1.5  # damping only: shorter than the first rung of the stop ladder, 0.3 s is usual


class Signal(Enum):
    """What kind of control signal the last motion sends: a motion must be ended by a stop of the same kind."""

    VELOCITY = "joint velocities"
    TORQUE = "torques"
    POSITION = "joint positions"


def stop_motion(signal: Signal) -> Any:
    """A fresh motion that brings the arm to rest in this kind of control (motion objects are single-use)."""
    if signal is Signal.VELOCITY:
        return franky.JointVelocityStopMotion()
    if signal is Signal.TORQUE:
        return franky.TorqueStopMotion(max_duration=TORQUE_STOP_S)
    return franky.JointStopMotion()


class Link:
    """Owns the `franky.Robot`, its reader and its caller; `connection` counts connections made.

    Nothing here waits: calls return `Call` objects to be asked later. `at_thread_start` runs first in every thread.
    """

    def __init__(self, host: str, address: str, clock: Clock, at_thread_start: Callable[[], None]) -> None:
        self.host, self.address = host, address
        self.identity: Identity | None = None
        self.settings_problem: str | None = None
        self.connection = 0
        self.signal: Signal | None = None
        self.reader: StateReader | None = None
        self._robot: franky.Robot | None = None
        self._clock, self._at_thread_start = clock, at_thread_start
        self._calls = Caller(clock, "franka-calls", at_thread_start)
        self._connects = Caller(clock, "franka-connect", at_thread_start)
        self._readers_left: list[StateReader] = []
        self._disposals: list[threading.Thread] = []

    @property
    def connected(self) -> bool:
        return self._robot is not None

    def start_connecting(self, settings: Settings, *, enforce_realtime: bool) -> Call:
        """Begin to connect; give the finished call to `adopt`."""
        label_ns = wall_ns()

        def open_robot() -> Connected:
            return connect(
                self.host, self.address, settings, enforce_realtime=enforce_realtime, wall_ns=label_ns
            )  # fmt: skip

        return self._connects.submit("connect", open_robot, self._clock.now_ns() + CONNECT_NS)

    def adopt(self, call: Call) -> None:
        """Take a fresh connection into use and start to read its states."""
        found: Connected = call.result
        call.result = None
        self._robot, self.identity, self.settings_problem = found.robot, found.identity, found.settings_problem
        self.connection += 1
        self.signal = None
        self.reader = StateReader(found.robot, self._clock, self._at_thread_start)

    def call(self, name: str, function: Callable[[franky.Robot], Any], within_ns: int) -> Call:
        """Queue `function(robot)` behind the calls under way; it should be back within this time [ns]."""
        robot = self._robot
        assert robot is not None, "ask `connected` first"
        return self._calls.submit(name, lambda: function(robot), self._clock.now_ns() + within_ns)

    def move(self, motion: Any, signal: Signal) -> Call:
        """Start a motion, or swap it for the one that runs; returns at once, how it ends is seen by the reader."""
        self.signal = signal
        return self.call("move", lambda robot: robot.move(motion, asynchronous=True), MOVE_NS)

    def stop_smoothly(self) -> Call | None:
        """Swap a stop motion of the right kind for what runs; None when nothing ever ran on this connection."""
        signal = self.signal
        if signal is None:
            return None

        def stop(robot: franky.Robot) -> None:
            if robot.is_in_control:  # else the stop itself would start a motion
                robot.move(stop_motion(signal), asynchronous=True)

        return self.call("stop motion", stop, MOVE_NS)

    def stop_hard(self) -> Call:
        """The robot's own stop command, past whatever call is stuck."""
        self._calls.abandon()
        return self.call("stop", lambda robot: robot.stop(), MOVE_NS)

    def drop(self) -> None:
        """Cut the connection and let everything that hangs on it go. The robot stops by itself: its client is gone."""
        cut_connections(self.address, ARM_PORT)
        self._calls.abandon()
        if self.reader is not None:
            self.reader.end()
            self._readers_left.append(self.reader)
            self.reader = None
        if self._robot is not None:
            # Its destructor joins the control thread, which may take a second: never in the driver's loop.
            holder = [self._robot]
            self._robot = None
            thread = threading.Thread(target=holder.clear, name="franka-disposal", daemon=True)
            thread.start()
            self._disposals.append(thread)
        self._readers_left = [reader for reader in self._readers_left if not reader.join(0.0)]
        self._disposals = [thread for thread in self._disposals if thread.is_alive()]

    def close(self, timeout_s: float) -> bool:
        """Cut and wait for the threads; False if one is still inside the client library."""
        self.drop()
        ended = [self._calls.close(timeout_s), self._connects.close(timeout_s)]
        ended += [reader.join(timeout_s) for reader in self._readers_left]
        for thread in self._disposals:
            thread.join(timeout_s)
            ended.append(not thread.is_alive())
        return all(ended)
