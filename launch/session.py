"""One session in the foreground: a supervisor, its view, its keys and its signals, until it has ended."""

import signal
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from types import FrameType

from launch import latch
from launch.jog import JogKeys
from launch.keys import Keys
from launch.missions import Mission, MissionRefusedError
from launch.supervisor import Phase, Supervisor
from launch.view import View
from runtime.cell import Cell
from runtime.clock import MonotonicClock
from runtime.modes.machine import Mode
from runtime.ticker import sleep_ns

TURN_MS = 10
KEYS_HELP = "  keys: space stop · a ack · r run · h home · b save black box · q end"
JOG_HELP = "  jog: 1-7 choose a joint · hold an arrow, + or - to move it · r arms again"


class Session:
    """Runs a supervisor until it ends.

    Args:
        first: makes the mission to begin once the cell is up (and again on the key r); None: only wait for requests.
        stay: keep the cell up after the mission, until q, Ctrl-C or `end`.
        jog: keys move the first arm once the mission (arming) is done.
        needs_cameras: cameras whose loss stops the arms.
    """

    def __init__(
        self,
        cell: Cell,
        cell_file: str,
        instance: str,
        *,
        first: Callable[[Supervisor], Mission] | None = None,
        what: str = "run",
        stay: bool = False,
        jog: bool = False,
        needs_cameras: Collection[str] = (),
        allow_no_rt: bool = False,
    ) -> None:
        self.clock = MonotonicClock()
        self.log_dir = log_dir(instance)
        self.supervisor = Supervisor(
            cell, cell_file, instance, self.log_dir, self.clock.now_ns(), allow_no_rt=allow_no_rt
        )
        self.supervisor.missions.cameras_needed = frozenset(needs_cameras)
        self._first, self._what, self._stay = first, what, stay
        self._jog_keys = JogKeys() if jog else None
        self._instance = instance
        self._signalled = 0
        self._begun = False
        self.ok = first is None

    def run(self) -> int:
        """Returns the exit status: 0 the mission came to its end, 1 it did not, 130 ended by a signal before that."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        supervisor = self.supervisor
        try:
            with Keys() as keys:
                help_text = KEYS_HELP + (f"\n{JOG_HELP}" if self._jog_keys else "")
                view = View(supervisor, self._instance, sys.stdout, help_text if keys.live else "")
                while supervisor.phase is not Phase.ENDED:
                    now_ns = self.clock.now_ns()
                    supervisor.step(now_ns)
                    self._turn(now_ns, keys.pressed(), keys.live)
                    view.draw(now_ns)
                    sleep_ns(TURN_MS * 1_000_000)
                view.draw(self.clock.now_ns() + 1_000_000_000)
        finally:
            supervisor.close()
        if supervisor.exit_text:
            print(f"sinew: {supervisor.exit_text}", file=sys.stderr)
            return 1
        if self._signalled and not self.ok:
            return 130
        return 0 if self.ok else 1

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signalled = number

    def _turn(self, now_ns: int, keys: str, live: bool) -> None:
        supervisor = self.supervisor
        if self._signalled and supervisor.phase not in (Phase.ENDING, Phase.ENDED):
            supervisor.stop(now_ns)
            supervisor.end(f"signal {signal.Signals(self._signalled).name}")
            return
        for key in self._jog(keys, now_ns) if self._jog_keys else keys:
            self._key(key, now_ns)
        if self._first and not self._begun and supervisor.phase is Phase.UP:
            self._begun = True
            self._begin()
        if not self._begun or supervisor.mission is not None or supervisor.phase is not Phase.UP:
            return
        self.ok = not supervisor.mission_failed
        if self._stay or not self._first:
            return
        # Without keys nobody here can acknowledge: end once the arms are at rest, the fault stays latched.
        at_rest = all(group.mode not in (Mode.STOPPING, Mode.RUNNING, Mode.APPROACH) for group in supervisor.rt.groups)
        if self.ok or (not live and at_rest):
            supervisor.end("the run's end")

    def _jog(self, keys: str, now_ns: int) -> str:
        """Let the keys that jog act; returns the others."""
        assert self._jog_keys is not None
        rest, velocities = self._jog_keys.feed(keys)
        if velocities is not None:
            try:
                self.supervisor.jog(now_ns, self.supervisor.jog_line.arms[0], velocities)
            except MissionRefusedError as refused:
                self.supervisor.say(str(refused))
        return rest

    def _begin(self) -> None:
        supervisor = self.supervisor
        assert self._first is not None
        try:
            supervisor.begin(self._first(supervisor), self._what)
        except MissionRefusedError as refused:
            supervisor.say(str(refused))
            supervisor.mission_failed = True

    def _key(self, key: str, now_ns: int) -> None:
        supervisor = self.supervisor
        try:
            if key == " ":
                supervisor.stop(now_ns)
            elif key == "a":
                supervisor.begin_ack()
            elif key == "h":
                supervisor.begin(supervisor.missions.home(), "home")
            elif key == "r" and self._first:
                self._begin()
            elif key == "b":
                supervisor.save_black_box("key")
            elif key == "q":
                supervisor.end("key q")
        except MissionRefusedError as refused:
            supervisor.say(str(refused))


def log_dir(instance: str) -> Path:
    """Where a session's process output and black boxes are kept."""
    return latch.state_dir() / instance
