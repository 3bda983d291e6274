"""What an operator sees in the terminal: mode, reason, what to do next, loop timing, devices, the last messages.

Plain text with a few ANSI codes, redrawn in place on a terminal (also over ssh); a line per change where output is no
terminal.
"""

import shutil
from typing import TextIO

from launch.supervisor import Phase, Supervisor
from runtime.modes.causes import CAUSES, Cause
from runtime.modes.machine import Mode
from runtime.ring import RingReader
from runtime.rows import CAMERA_STATE, CameraPhase
from runtime.rows_rt import SourceKind

REDRAW_NS = 200_000_000
MESSAGES = 6
_COLOUR = {
    Mode.DISARMED: "2", Mode.ARMED: "36", Mode.APPROACH: "32", Mode.RUNNING: "32", Mode.TAKEOVER: "35",
    Mode.HOLD: "33", Mode.STOPPING: "31", Mode.FAULT: "1;31", Mode.RECOVERING: "33",
}  # fmt: skip


def lines(
    supervisor: Supervisor, cameras: dict[str, RingReader], now_ns: int, *, keys: str = ""
) -> list[tuple[str, str]]:
    """The view as (ANSI colour, text) lines."""
    cell = supervisor.cell
    label = " (emulated)" if cell.emulated else ""
    doing = supervisor.mission_text or supervisor.doing or "idle"
    found = [("1", f"sinew  cell {cell.name}{label}  {supervisor.phase.value}  {doing}")]
    for group in supervisor.rt.groups:
        doing = "" if group.lease is SourceKind.NONE else f"  {group.lease.name.lower()} {group.progress:.0%}"
        found.append((_COLOUR[group.mode], f"  {group.name}: {group.mode.name}{doing}  speed {group.speed:.2f}"))
        if group.cause is not Cause.NONE:
            cause = CAUSES[group.cause]
            found.append((_COLOUR[group.mode], f"    why: {cause.text}"))
            found.append(("", f"    what to do: {cause.remedy}"))
    found += _timing(supervisor)
    for arm in supervisor.devices.arms:
        facts = arm.facts
        text = "no state" if facts is None else f"{facts.state.name} {facts.activity.name.lower()}"
        found.append(
            ("" if facts else "31", f"  arm {arm.name}: {text}{'' if arm.still else '  moving' if facts else ''}")
        )
    for name, reader in cameras.items():
        row = reader.latest(now_ns, 2_000_000_000)
        text = (
            "no state"
            if row is None
            else f"{CameraPhase(row['phase']).name}  {row['frames']} frames, {row['gaps']} gaps"
        )
        found.append(("", f"  camera {name}: {text}"))
    found += [("2", f"  {text}") for text in supervisor.log[-MESSAGES:]]
    found += [("2", line) for line in keys.splitlines()]
    return found


def _timing(supervisor: Supervisor) -> list[tuple[str, str]]:
    row = supervisor.rt.row
    if row is None:
        return [("33", "  rt: no word")] if supervisor.phase is Phase.UP else []
    gate = f"gate {row['passes'].sum()} pass, {row['shapes'].sum()} shaped, {row['stops'].sum()} stop, {row['trips'].sum()} trip"
    text = (
        f"  loop {1e9 / max(1, int(row['period_ns'])):.0f} Hz  late {row['late_ns'] / 1e3:.0f} us "
        f"(worst {row['late_max_ns'] / 1e6:.1f} ms)  skipped {row['skipped']}  tick {row['work_ns'] / 1e3:.0f} us  {gate}"
    )
    return [("33" if row["timing"] else "", text)]


class View:
    """Draws the view to a stream."""

    def __init__(self, supervisor: Supervisor, instance: str, out: TextIO, keys: str = "") -> None:
        self._supervisor, self._out, self._keys = supervisor, out, keys
        self._cameras = {
            name: RingReader(instance, f"camera.{name}.state", CAMERA_STATE) for name in supervisor.cell.cameras
        }
        self._terminal = out.isatty()
        self._drawn = 0
        self._next_ns = 0
        self._told = 0
        self._mode = ""

    def draw(self, now_ns: int) -> None:
        """Redraw if it is time to."""
        if not self._terminal:
            self._tell()
            return
        if now_ns < self._next_ns:
            return
        self._next_ns = now_ns + REDRAW_NS
        width = shutil.get_terminal_size().columns - 1
        shown = lines(self._supervisor, self._cameras, now_ns, keys=self._keys)
        text = f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""
        text += "".join(f"\x1b[{colour}m{line[:width]}\x1b[0m\n" for colour, line in shown)
        self._drawn = len(shown)
        self._out.write(text)
        self._out.flush()

    def _tell(self) -> None:
        """Only what is new: modes and messages."""
        mode = "; ".join(f"{group.name}: {group.mode.name}" for group in self._supervisor.rt.groups)
        if mode != self._mode:
            self._mode = mode
            print(f"[{mode}]", file=self._out, flush=True)
        new = self._supervisor.said - self._told
        for text in self._supervisor.log[-new:] if new else []:
            print(text, file=self._out, flush=True)
        self._told = self._supervisor.said
