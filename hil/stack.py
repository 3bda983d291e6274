"""A whole session as people start it: `sinew run` as a child process with everything it starts, on an emulated cell.

Rigs start drivers alone; this starts the stack above them too, at addresses of its own, and talks to it as another
terminal would. What the arm really did comes from the emulated robot's own log.
"""

import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import yaml
import zmq

from hil.cell_client import CellClient
from hil.rig import own_addresses
from hil.robot_log import ROBOT_ROW, RobotHistory, ring_name
from runtime.cell import Cell, load_cell
from runtime.child import Child
from runtime.clock import MonotonicClock
from runtime.errors import SinewError
from runtime.modes.causes import Cause
from runtime.modes.machine import Mode
from runtime.ring import RingReader, instance_dir, remove_dead_rings
from runtime.rows_rt import RT_MODES
from runtime.ticker import sleep_ns

START_S = 120.0  # a loaded machine takes long to import
WAIT_S = 60.0
END_S = 40.0
STILL_RAD_S = 2e-3
_POLL_NS = 5_000_000


class StackError(SinewError):
    """The session did not do what was waited for; the text has its last words."""


def lean_cell(
    name: str = "emulated",
    *,
    hands: bool = False,
    cameras: bool = False,
    profile: str | None = None,
    patient: bool = False,
) -> Cell:
    """A cell at addresses of its own, by default with arms only: nothing else is needed to see one stop.

    Args:
        name: of the cell file it is made from.
        hands, cameras: keep these devices.
        profile: limits profile to run under; None: the file's.
        patient: watchdogs bear a machine that stutters, for what is not about time.
    """
    changes = {"watchdog_ms": 500.0} if patient else {}
    cell = own_addresses(load_cell(name), **changes)
    data = cell.model_dump(by_alias=True, mode="json")
    if profile is not None:
        data["limits"]["profile"] = profile
    if patient:
        data["loop"]["stop_gap_ms"] = 1000.0
        for one in data["limits"]["profiles"].values():
            one["max_command_age_ms"] = 500.0
    if not hands:
        data["hands"] = {}
    if not cameras:
        data["cameras"] = {}
    return Cell.model_validate(data)


@dataclass(frozen=True)
class Process:
    """A process of a session: `name` is its module with its device, such as `drivers.franka.arm_process main`."""

    pid: int
    name: str


class Asked:
    """A request whose answer may come late."""

    def __init__(self, stack: "Stack", verb: str, arguments: dict[str, Any]) -> None:
        self._stack, self._verb = stack, verb
        self._socket = stack.context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 1000)  # also one whose answer nobody waits for is sent
        self._socket.connect(f"ipc://{stack.directory / 'supervisor.sock'}")
        self._socket.send(msgpack.packb({"number": secrets.randbits(31), "verb": verb, "arguments": arguments}))
        self._answer: dict[str, Any] | None = None

    @property
    def answered(self) -> bool:
        if self._answer is None and self._socket.poll(0):
            self._answer = msgpack.unpackb(self._socket.recv())
            self._socket.close()
        return self._answer is not None

    def wait(self, timeout_s: float = WAIT_S) -> dict[str, Any]:
        """The answer: {"ok", "text", "data"}. Raises StackError when none comes in time."""
        self._stack.wait(lambda: self.answered, f"an answer to '{self._verb}'", timeout_s)
        assert self._answer is not None
        return self._answer


class Stack:
    """One session. Use it in a `with` block: whatever happens inside, nothing is left running.

    Args:
        cell: an emulated cell, at addresses of its own (`lean_cell`).
        options: of `sinew run`, besides cell and instance.
        keep: an earlier stack whose instance name and state are taken over, as by a restart.

    Attributes:
        supervisor: the session's own process.
    """

    def __init__(
        self, cell: Cell, options: Sequence[str] = ("--source", "hold", "--stay"), *, keep: "Stack | None" = None
    ) -> None:
        self.cell = cell
        self.instance: str = keep.instance if keep else f"{cell.name}-{os.getpid()}-{secrets.token_hex(3)}"
        self.directory: Path = instance_dir(self.instance)
        self.work_dir: Path = keep.work_dir if keep else Path(tempfile.mkdtemp(prefix="sinew-stack-"))
        self._owns_work_dir = keep is None
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._options = tuple(options)
        self._clock = MonotonicClock()
        self.cell_file = self.work_dir / f"{cell.name}.yaml"
        self.cell_file.write_text(yaml.safe_dump(cell.model_dump(by_alias=True, mode="json"), sort_keys=False))
        self._program = ("env", f"SINEW_STATE={self.work_dir / 'state'}", sys.executable, "-m", "launch")
        self.supervisor: Child | None = None
        self.histories: dict[str, RobotHistory] = {}
        self._modes = RingReader(self.instance, "rt.modes", RT_MODES)
        self._panel: CellClient | None = None
        self._robots: dict[str, RingReader] = {}

    def __enter__(self) -> "Stack":
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the session; it is not up yet when this returns."""
        command = (*self._program, "run", "--cell", str(self.cell_file), "--instance", self.instance, *self._options)
        self.supervisor = Child("session", command, self.work_dir / "session.log")
        self.histories = {name: RobotHistory(self.instance, name) for name in self.cell.arms}

    def close(self) -> None:
        """End the session, in order if it lets us, and whatever of it is still there; remove what is left."""
        if self._panel is not None:
            self._panel.close()
        if self.supervisor is not None:
            self.supervisor.end(END_S)
        for process in self.processes():
            try:
                os.kill(process.pid, signal.SIGKILL)  # ours: it carries our instance's name
            except ProcessLookupError:
                continue
        remove_dead_rings(self.instance)
        self.context.destroy(linger=0)  # with every socket of it
        if self._owns_work_dir:
            shutil.rmtree(self.work_dir, ignore_errors=True)

    # --- what there is -----------------------------------------------------------------------------------------------

    def processes(self) -> list[Process]:
        """Every process of this session that lives now, its own supervisor among them."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if self.instance in words and "-m" in words and _state(int(entry.name)) not in "ZX":
                device = next((words[k + 1] for k, word in enumerate(words) if word in _DEVICE_OPTIONS), "")
                found.append(Process(int(entry.name), f"{words[words.index('-m') + 1]} {device}".strip()))
        return found

    def pid(self, name: str) -> int:
        """The process whose name begins with `name`; raises StackError where there is none."""
        for process in self.processes():
            if process.name.startswith(name):
                return process.pid
        raise StackError(f"no process '{name}' in this session: {[one.name for one in self.processes()]}")

    def signal(self, name: str, number: signal.Signals) -> int:
        """Send a signal to a process of the session; returns when [ns, monotonic]."""
        pid = self.pid(name)
        now_ns = self._clock.now_ns()
        os.kill(pid, number)
        return now_ns

    def kill(self, name: str) -> int:
        """SIGKILL, as a crash would; returns once the process is dead: when that was [ns, monotonic]."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        while _state(pid) not in "ZX":
            sleep_ns(200_000)
        return self._clock.now_ns()

    def born(self, name: str) -> int:
        """When a process was started [ns, monotonic], to 10 ms."""
        ticks = int(Path(f"/proc/{self.pid(name)}/stat").read_text().rpartition(")")[2].split()[19])
        return ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK")

    def left_over(self) -> list[str]:
        """What is still in shared memory under this instance; after the end it must be nothing."""
        return sorted(path.name for path in self.directory.iterdir()) if self.directory.exists() else []

    @property
    def panel(self) -> CellClient:
        """The emulated cell's fault panel."""
        if self._panel is None:
            self._panel = CellClient(self.instance, wait_s=START_S)
        return self._panel

    def said(self) -> str:
        """All that the session has printed."""
        return (self.work_dir / "session.log").read_text(errors="replace")

    @property
    def arm(self) -> str:
        """Name of the cell's first arm."""
        return next(iter(self.cell.arms))

    # --- operators ---------------------------------------------------------------------------------------------------

    def tell(self, verb: str, **arguments: Any) -> Asked:
        """Send a request as another terminal would."""
        return Asked(self, verb, arguments)

    def ask(self, verb: str, timeout_s: float = WAIT_S, **arguments: Any) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        return self.tell(verb, **arguments).wait(timeout_s)

    def verb(self, *words: str) -> tuple[int, str]:
        """Run `sinew WORDS` in a terminal of its own; returns its exit status and what it printed."""
        log = self.work_dir / f"verb-{secrets.token_hex(3)}.log"
        child = Child(words[0], (*self._program, *words), log)
        try:
            self.wait(lambda: not child.alive, f"'sinew {' '.join(words)}' ends", START_S)
        finally:
            child.end(END_S)
        assert child.status is not None
        return child.status, log.read_text(errors="replace")

    # --- waiting -----------------------------------------------------------------------------------------------------

    def collect(self) -> None:
        """Take in what the robots' logs have; waiting does it by itself."""
        for history in self.histories.values():
            history.collect()

    def wait(self, condition: Callable[[], bool], what: str, timeout_s: float = WAIT_S) -> None:
        """Wait for something. Raises StackError with the session's last words after `timeout_s` [s]."""
        end_ns = self._clock.now_ns() + int(timeout_s * 1e9)
        while True:
            self.collect()
            if condition():
                return
            if self._clock.now_ns() > end_ns:
                raise StackError(
                    f"not within {timeout_s:g} s: {what}; the session's last words:\n{self.said()[-3000:]}"
                )
            sleep_ns(_POLL_NS)

    def wait_said(self, text: str, times: int = 1, timeout_s: float = START_S) -> None:
        """Until the session has printed `text` so often."""
        child = self.supervisor
        assert child is not None, "not started"
        self.wait(lambda: not child.alive or self.said().count(text) >= times, f"the session says '{text}'", timeout_s)
        if self.said().count(text) < times:
            raise StackError(f"the session ended without saying '{text}'; its last words:\n{self.said()[-3000:]}")

    def pause(self, seconds: float) -> None:
        """Let time pass, collecting."""
        end_ns = self._clock.now_ns() + int(seconds * 1e9)
        self.wait(lambda: self._clock.now_ns() >= end_ns, f"{seconds:g} s", seconds + WAIT_S)

    def wait_up(self) -> None:
        """Until every process is ready and rt turns."""
        self.wait_said("the cell is up")

    def wait_mode(self, *modes: Mode, timeout_s: float = WAIT_S) -> Mode:
        """Until the (first) stop group is in one of these modes; returns it."""
        names = " or ".join(mode.name for mode in modes)
        self.wait(lambda: self.mode in modes, f"mode {names} (it is {self.mode}, {self.cause})", timeout_s)
        return modes[0] if len(modes) == 1 else self.mode or modes[0]

    def wait_ended(self, timeout_s: float = WAIT_S) -> int:
        """Until the session and all its processes have ended; returns its exit status, negative for a signal."""
        self.wait(lambda: not self.processes(), "every process of the session has ended", timeout_s)
        return self.wait_supervisor(timeout_s)

    def wait_supervisor(self, timeout_s: float = START_S) -> int:
        """Until the session's own process has ended; returns its exit status, negative for a signal."""
        assert self.supervisor is not None, "not started"
        child = self.supervisor
        self.wait(lambda: not child.alive, "the session ends", timeout_s)
        assert child.status is not None
        return child.status

    # --- what rt and the robots say ------------------------------------------------------------------------------------

    @property
    def mode(self) -> Mode | None:
        """Mode of the first stop group, as rt says it now; None without a fresh word."""
        row = self._modes.latest(self._clock.now_ns(), 500_000_000)
        return None if row is None else Mode(row["mode"][0])

    @property
    def cause(self) -> Cause | None:
        """Why it is in that mode."""
        row = self._modes.latest(self._clock.now_ns(), 500_000_000)
        return None if row is None else Cause(row["cause"][0])

    @property
    def latched(self) -> int:
        """The first group's mask of latched causes; 0 without a fresh word."""
        row = self._modes.latest(self._clock.now_ns(), 500_000_000)
        return 0 if row is None else int(row["latched"][0])

    def robot(self, arm: str | None = None) -> np.void:
        """The newest row of a robot's own log."""
        row = self.robot_or_none(arm)
        if row is None:
            raise StackError("the emulated robot writes no log")
        return row

    def robot_or_none(self, arm: str | None = None) -> np.void | None:
        """The same, or None before the robot is there."""
        name = arm or self.arm
        if name not in self._robots:
            self._robots[name] = RingReader(self.instance, ring_name(name), ROBOT_ROW)
        row = self._robots[name].latest(self._clock.now_ns())
        return None if row is None else row.copy()

    def wait_moving(self, faster_rad_s: float = 0.1) -> None:
        """Until the arm is really moving."""
        self.wait(lambda: bool(np.abs(self.robot()["dq"]).max() > faster_rad_s), "the arm moves")

    def wait_still(self) -> None:
        """Until the arm really stands still."""
        self.wait(lambda: bool(np.abs(self.robot()["dq"]).max() < STILL_RAD_S), "the arm stands still")

    def now_ns(self) -> int:
        """Monotonic time [ns]."""
        return self._clock.now_ns()


def _state(pid: int) -> str:
    """The kernel's letter for a process; "X" once it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


_DEVICE_OPTIONS = ("--arm", "--hand", "--camera")
