"""Reads every state that the robot sends, on a thread of its own: a read can block for a second when the robot is silent."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import franky

from drivers.franka.errors import is_planner_error
from runtime.clock import Clock
from runtime.ticker import sleep_ns

_IN_CONTROL_PERIOD_NS = 700_000  # below a robot turn: while a motion runs franky hands out the last state at once
_MAX_PENDING = 4096  # states that the loop may fall behind (4 s); the oldest go first and count as missed


@dataclass(frozen=True)
class Seen:
    """A robot state, when it was received [ns, monotonic], and whether a motion of ours was running then."""

    state: franky.RobotState
    stamp_ns: int
    in_control: bool


class StateReader:
    """Hands robot states to the loop through `seen`, and what ended a motion through `motion_errors`.

    Errors of asynchronous motions are silent in franky until someone asks: the reader asks whenever no motion runs.
    `failure` is set when the link is dead; the thread has ended then.
    """

    def __init__(self, robot: franky.Robot, clock: Clock, at_start: Callable[[], None]) -> None:
        self.seen: deque[Seen] = deque(maxlen=_MAX_PENDING)
        self.motion_errors: deque[Exception] = deque(maxlen=16)
        self.failure: Exception | None = None
        self._clock, self._ending = clock, False
        self._thread = threading.Thread(target=self._run, args=(robot, at_start), name="franka-reader", daemon=True)
        self._thread.start()

    def _run(self, robot: franky.Robot, at_start: Callable[[], None]) -> None:
        at_start()
        last_ms = -1
        while not self._ending and self.failure is None:
            try:
                in_control = robot.is_in_control
                if not in_control:
                    self._ask_how_the_motion_ended(robot)
                state = robot.state
            except Exception as error:  # noqa: BLE001 whatever it is, no further state can be trusted: the loop decides
                error.__traceback__ = None
                self.failure = error
                return
            # A motion that ended between the two calls shows as running once more: the next turn tells.
            now_ms = state.time.to_msec()
            if now_ms != last_ms or not in_control:
                last_ms = now_ms
                self.seen.append(Seen(state, self._clock.now_ns(), in_control))
            if in_control:
                sleep_ns(_IN_CONTROL_PERIOD_NS)

    def _ask_how_the_motion_ended(self, robot: franky.Robot) -> None:
        try:
            robot.poll_motion()
        except Exception as error:
            error.__traceback__ = None
            if not is_planner_error(error):
                raise
            self.motion_errors.append(error)

    def end(self) -> None:
        """Ask the thread to end after the read that it is in."""
        self._ending = True

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread; False if it is still inside a read."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()
