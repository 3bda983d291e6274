"""Following the command ring: from an accepted ENABLE until something ends it. Motion never resumes by itself."""

from dataclasses import dataclass
from typing import Protocol

from drivers.franka.activity import Outcome
from drivers.franka.command import Command
from drivers.franka.errors import is_planner_error
from drivers.franka.last_word import LastWord
from drivers.franka.view import RobotView
from drivers.franka.watchdog import Watchdog
from runtime.ring import RingReader
from runtime.rows import ArmActivity, CommandMode, RejectReason, Severity


class Stream(Protocol):
    """A way to make the arm follow commands."""

    def apply(self, command: Command) -> None: ...
    def poll(self, view: RobotView) -> Command | None: ...
    def ended(self, view: RobotView) -> bool: ...
    def overdue(self, now_ns: int) -> bool: ...


@dataclass
class Acknowledgement:
    """The newest command that was really applied, and when [ns]; and what the last word refused since the start."""

    command: Command | None = None
    stamp_ns: int = 0
    rejected: int = 0
    reason: RejectReason = RejectReason.NONE
    watchdog_stops: int = 0


class Streaming:
    """Enabled: command rows act. Reads them, gives them the last word, hands the newest good one to the stream."""

    kind = ArmActivity.STREAMING
    request_id = 0  # the ENABLE was answered when this began

    def __init__(
        self,
        commands: RingReader,
        stream: Stream,
        last_word: LastWord,
        watchdog: Watchdog,
        acknowledgement: Acknowledgement,
        mode: CommandMode,
    ) -> None:
        self.mode = mode
        self._commands, self._stream = commands, stream
        self._last_word, self._watchdog, self._ack = last_word, watchdog, acknowledgement

    @property
    def generation(self) -> int:
        """Lowest generation that still acts."""
        return self._last_word.generation

    def step(self, view: RobotView, now_ns: int) -> Outcome | None:
        """Take the rows that came; the outcome when following must end."""
        for row in self._commands.drain():
            if int(row["mode"]) == CommandMode.NONE:
                continue  # the writer is alive and commands nothing: the watchdog runs on
            command = Command.from_row(row, self._commands.meta)
            reason = self._last_word.check(command, view, now_ns)
            if reason:
                self._ack.rejected += 1
                self._ack.reason = reason
            else:
                self._watchdog.feed(command.stamp_ns, command.period_ns)
                self._stream.apply(command)
        if self._watchdog.expired(now_ns):
            self._ack.watchdog_stops += 1
            age_ms = self._watchdog.age_ns(now_ns) / 1e6
            count = self._last_word.rejected
            refused = f"; {count} rows were refused, the newest for {self._last_word.reason.name}" if count else ""
            text = f"no acceptable command for {age_ms:.0f} ms{refused}: check the commander, then re-arm"
            return _ended(text, "watchdog")
        try:
            applied = self._stream.poll(view)
        except Exception as error:  # noqa: BLE001 franky raises half a dozen unrelated types here
            text = f"the client library refused a command: {error}"
            return _ended(text, "stream.refused", lost=not is_planner_error(error))
        if applied is not None:
            self._ack.command, self._ack.stamp_ns = applied, now_ns
        if self._stream.overdue(now_ns):
            return _ended(
                "the client library does not come back from handing over a command", "stream.stuck", lost=True
            )
        if self._stream.ended(view):
            return _ended("the motion ended by itself", "stream.ended")
        return None


def _ended(text: str, code: str, *, lost: bool = False) -> Outcome:
    return Outcome(text, None, code, Severity.ERROR, True, text if lost else "")
