"""A program run as a child that does not outlive its parent, however that ends."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc = ctypes.CDLL(None, use_errno=True)
ROOT = Path(__file__).resolve().parent.parent
_PARENT = os.getppid()


def orphaned() -> bool:
    """The process that started this one is gone, or going: what it would have done in the end is ours to do."""
    if os.getppid() != _PARENT:
        return True
    # The signal comes when the thread that started us dies; until its last thread has died too, the parent is a zombie
    # that is still ours.
    try:
        state = Path(f"/proc/{_PARENT}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in "ZX"


class Child:
    """One child process. The kernel sends it SIGTERM when this process dies.

    Args:
        name: for messages.
        command: program and arguments, no shell.
        log: file that takes its output (appended), or None to share ours.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path | None = None) -> None:
        self.name, self.command, self.log = name, tuple(command), log
        parent = os.getpid()

        def die_with_parent() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # it died before the line above
                os._exit(1)

        output = None
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            output = log.open("ab")
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
                cwd="/",
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"},
                preexec_fn=die_with_parent,
                start_new_session=True,  # Ctrl-C in a terminal reaches us alone: we end our children in order
            )
        finally:
            if output:
                output.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def status(self) -> int | None:
        """Exit status, negative for a signal; None while it lives."""
        return self._process.poll()

    def how_it_ended(self) -> str:
        """A sentence about its end, with the last lines it wrote; "" while it lives."""
        code = self._process.poll()
        if code is None:
            return ""
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
        text = f"{self.name} (process {self.pid}) ended {how}"
        said = self.last_lines() if code else ""
        return f"{text}: {said}" if said else text

    def last_lines(self, count: int = 3, limit: int = 600) -> str:
        """The end of its log, for messages."""
        if self.log is None:
            return ""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - 8192))
                lines = file.read().decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return " | ".join(line.strip() for line in lines[-count:])[-limit:]

    def ask_to_end(self) -> None:
        """SIGTERM, once."""
        if self.alive:
            self._process.terminate()

    def end(self, timeout_s: float = 5.0) -> None:
        """SIGTERM, and SIGKILL when it has not ended after `timeout_s`."""
        self.ask_to_end()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
