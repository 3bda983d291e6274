"""The processes of a session: started in stages, watched, started again where their row allows it, ended in reverse."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from runtime.child import Child
from runtime.errors import SinewError
from runtime.processes import ProcessSpec, Restart
from runtime.ring import RingPulse, remove_dead_rings

MAX_RESTARTS = 3
END_NS = 8_000_000_000  # then a process is killed; rt itself gives up before that
HANGING_END_S = 0.2


class StartError(SinewError):
    """A process did not come up; the text names it with its last words."""


@dataclass
class Managed:
    """A process under the supervisor's care."""

    spec: ProcessSpec
    pulse: RingPulse
    child: Child | None = None
    started_ns: int = 0
    restarts: int = 0
    dead: bool = False


class Children:
    """All of them. `now_ns` is set by the supervisor in each turn, and generators are resumed once a turn."""

    def __init__(self, specs: list[ProcessSpec], instance: str, log_dir: Path) -> None:
        self.all = [Managed(spec, RingPulse(instance, spec.pulse)) for spec in specs]
        self.now_ns = 0
        self._instance, self._log_dir = instance, log_dir

    def _stages(self) -> list[list[Managed]]:
        numbers = sorted({one.spec.kind.stage for one in self.all})
        return [[one for one in self.all if one.spec.kind.stage == number] for number in numbers]

    def start(self) -> Generator[str, None, None]:
        """Start a stage once every process of the one before lives; yields what is waited for. Raises StartError."""
        for batch in self._stages():
            for one in batch:
                self._launch(one)
            while late := [one for one in batch if not self.lives(one)]:
                for one in late:
                    self._check_start(one)
                yield f"starting {', '.join(one.spec.name for one in late)}"

    def _check_start(self, one: Managed) -> None:
        assert one.child is not None
        text = one.child.how_it_ended()
        if not text and self.now_ns - one.started_ns > one.spec.kind.ready_s * 1e9:
            text = f"{one.spec.name} gave no sign of life within {one.spec.kind.ready_s:g} s"
        if text:
            raise StartError(f"start failed: {text} (its output: {one.child.log})")

    def _launch(self, one: Managed) -> None:
        one.child = Child(one.spec.name, one.spec.command, self._log_dir / f"{one.spec.name}.log")
        one.started_ns, one.dead = self.now_ns, False

    def lives(self, one: Managed) -> bool:
        """It runs, and has given a sign of life since it was started."""
        stamp_ns = one.pulse.stamp_ns()
        return stamp_ns is not None and stamp_ns >= one.started_ns and one.child is not None and one.child.alive

    def deaths(self, *, starting: bool) -> Iterator[tuple[Managed, str]]:
        """Those that died since the last turn, each once, with a sentence. One that hangs is ended, and dead."""
        for one in self.all:
            if one.child is None or one.dead or (starting and not self.lives(one)):
                continue
            text = one.child.how_it_ended()
            if not text and (silent_ns := self._silent_ns(one)):
                text = f"{one.spec.name} (process {one.child.pid}) has been silent for {silent_ns / 1e6:.0f} ms and was ended"
                one.child.end(HANGING_END_S)  # what it should have done is covered by the watchdog behind it
            if text:
                one.dead = True
                yield one, text

    def _silent_ns(self, one: Managed) -> int:
        """How long it has been silent for [ns], if that is too long; else 0."""
        if self.now_ns - one.started_ns <= one.spec.kind.ready_s * 1e9:
            return 0
        silent_ns = self.now_ns - (one.pulse.stamp_ns() or one.started_ns)
        return silent_ns if silent_ns > one.spec.kind.silent_ms * 1e6 else 0

    def to_restart(self) -> list[Managed]:
        """The dead that may be started again, at rest or always."""
        return [
            one
            for one in self.all
            if one.dead and one.spec.kind.restart is not Restart.NEVER and one.restarts < MAX_RESTARTS
        ]

    def restart(self, one: Managed) -> str:
        """Start a dead one again; motion never resumes by that. Returns what to say."""
        one.restarts += 1
        remove_dead_rings(self._instance)
        self._launch(one)
        return f"starting {one.spec.name} again ({one.restarts} of {MAX_RESTARTS})"

    def end(self) -> Generator[str, None, list[str]]:
        """End all, last stage first; yields what is waited for, returns what had to be killed, in sentences."""
        said = []
        for batch in reversed(self._stages()):
            running = [one.child for one in batch if one.child]
            for child in running:
                child.ask_to_end()
            deadline_ns = self.now_ns + END_NS
            while any(child.alive for child in running) and self.now_ns < deadline_ns:
                yield f"ending {', '.join(child.name for child in running if child.alive)}"
            for child in running:
                if child.alive:
                    said.append(f"{child.name} did not end within {END_NS / 1e9:g} s and was killed")
                    child.end(0.1)
        return said

    def close(self) -> None:
        """End at once whatever still runs."""
        for one in self.all:
            if one.child and one.child.alive:
                one.child.end()
