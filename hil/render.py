"""The renderer of the emulated cell, a process of its own: `python -m hil.render CELL --instance I`.

Reads `scene.state`, renders each software camera at its rate and writes `scene.<camera>.frame`. A frame's `capture_ns`
is the stamp of the state it shows. Under load it renders fewer frames, always of the newest state; what it had to leave
out counts as `overruns` in `render.heartbeat`. It ends with its parent.
"""

import argparse
import os
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drivers.device import DeviceShell
from hil.render_gl import RenderError
from hil.render_image import DEPTH_SCALE_M, SceneRenderer
from hil.render_snapshot import write_snapshots
from hil.scenes.state import RING_NAME, scene_state_dtype
from runtime.cell import Cell, load_cell
from runtime.clock import Clock, MonotonicClock
from runtime.errors import SinewError
from runtime.ring import RingReader, RingWriter
from runtime.rows import Severity, frame_dtype
from runtime.ticker import Grid, sleep_until_ns

# What a colour imager would report indoors; the rendering knows no exposure.
EXPOSURE_US, GAIN, WHITE_BALANCE_K = 8500.0, 16.0, 4600.0
STATE_TIMEOUT_NS = 60_000_000_000  # without a state for this long, nobody runs the cell


class FramePlan:
    """Which cameras are due. Pure: a camera that is late is due once, and the slots passed over are counted."""

    def __init__(self, rates_hz: dict[str, int], start_ns: int) -> None:
        self._grids = {name: Grid(1_000_000_000 // rate, start_ns) for name, rate in rates_hz.items()}

    @property
    def next_ns(self) -> int:
        return min(grid.next_ns for grid in self._grids.values())

    @property
    def skipped(self) -> int:
        return sum(grid.skipped for grid in self._grids.values())

    def due(self, now_ns: int) -> list[str]:
        """Cameras whose time has come; each is moved on to its first slot after `now_ns`."""
        names = [name for name, grid in self._grids.items() if grid.next_ns <= now_ns]
        for name in names:
            self._grids[name].advance(now_ns)
        return names


@dataclass
class _Stream:
    """One camera's ring and the state its last frame showed."""

    ring: RingWriter
    number: int = 0
    shown_stamp_ns: int = -1


def software_cameras(cell: Cell) -> dict[str, int]:
    """Names of the cameras to render, and their rates [Hz]."""
    return {name: camera.image.fps for name, camera in cell.cameras.items() if camera.source == "software"}


class RenderProcess:
    """The rings around a `SceneRenderer`: state in, frames out."""

    def __init__(self, cell: Cell, instance: str, renderer: SceneRenderer, clock: Clock) -> None:
        self._renderer, self._clock = renderer, clock
        self._state = RingReader(instance, RING_NAME, scene_state_dtype(renderer.model))
        self._streams: dict[str, _Stream] = {}
        try:
            for name in software_cameras(cell):
                camera = cell.cameras[name]
                dtype = frame_dtype(
                    camera.image.width_px,
                    camera.image.height_px,
                    depth=camera.depth != "off",
                    infrared=camera.infrared,
                )
                self._streams[name] = _Stream(RingWriter(instance, f"scene.{name}.frame", dtype, camera.slots))
        except SinewError:
            self.close()
            raise

    def render_due(self, names: Iterable[str], now_ns: int) -> int | None:
        """Render these cameras from the newest state; returns its stamp, or None when there is no state."""
        row = self._state.latest(now_ns)
        if row is None:
            return None
        stamp_ns = self._state.meta.stamp_ns
        self._renderer.set_state(row)
        for name in names:
            stream = self._streams[name]
            if stamp_ns == stream.shown_stamp_ns:
                continue  # the world has not moved on: an old picture is not sent as a new one
            stream.shown_stamp_ns = stamp_ns
            stream.number += 1
            with stream.ring.writing(stamp_ns) as frame:
                self._renderer.render(name, frame)
                _label(frame, stream.number, stamp_ns, self._clock.now_ns())
        return stamp_ns

    def close(self) -> None:
        for stream in self._streams.values():
            stream.ring.close()


def _label(frame: np.void, number: int, capture_ns: int, receive_ns: int) -> None:
    frame["capture_ns"], frame["receive_ns"] = capture_ns, receive_ns
    frame["color_number"] = frame["depth_number"] = number
    frame["session"], frame["quality"], frame["stamp_domain"] = 1, 0, 0
    frame["exposure_us"], frame["gain"], frame["white_balance_k"] = EXPOSURE_US, GAIN, WHITE_BALANCE_K
    frame["depth_scale_m"] = DEPTH_SCALE_M


def run(cell: Cell, instance: str, renderer: SceneRenderer, clock: Clock) -> None:
    """Render until told to stop, the parent is gone, or the cell is.

    Raises:
        RenderError: no state of the scene for a minute.
    """
    parent = os.getppid()
    with ExitStack() as opened:
        shell = DeviceShell(instance, "render")
        opened.callback(shell.close)
        shell.handle_signals()
        process = RenderProcess(cell, instance, renderer, clock)
        opened.callback(process.close)
        now_ns = clock.now_ns()
        plan, last_stamp_ns = FramePlan(software_cameras(cell), now_ns), now_ns
        shell.event(now_ns, Severity.INFO, "started", f"rendering {', '.join(software_cameras(cell))}")
        while not shell.stop_requested and os.getppid() == parent:
            due_ns = plan.next_ns
            sleep_until_ns(due_ns)
            start_ns = clock.now_ns()
            stamp_ns = process.render_due(plan.due(start_ns), start_ns)
            end_ns = clock.now_ns()
            shell.beat(end_ns, work_ns=end_ns - start_ns, late_ns=start_ns - due_ns, overruns=plan.skipped)
            last_stamp_ns = max(last_stamp_ns, stamp_ns or 0)
            if end_ns - last_stamp_ns > STATE_TIMEOUT_NS:
                raise RenderError(
                    f"no new row in ring '{RING_NAME}' of instance '{instance}' for {STATE_TIMEOUT_NS // 10**9} s: "
                    f"is the emulated cell running? Start it with 'sinew cell {cell.name}'"
                )


def _open(cell: Cell, backend: str) -> SceneRenderer:
    if backend == "osmesa":
        return SceneRenderer(cell, "osmesa")
    try:
        return SceneRenderer(cell, "egl")
    except RenderError as error:
        if backend == "egl":
            raise
        print(f"render: {error}\nrender: going on with osmesa, which is slower", file=sys.stderr, flush=True)
        # OpenGL is bound to EGL in this process by now: become a fresh one, same pid, same parent.
        os.environ.pop("PYOPENGL_PLATFORM", None)
        os.execv(sys.executable, [*sys.orig_argv, "--gl", "osmesa"])


def main(argv: list[str] | None = None) -> int:
    """Run the renderer; exit status 0 when it was told to end, 1 when it cannot run."""
    parser = argparse.ArgumentParser(prog="python -m hil.render", description=__doc__)
    parser.add_argument("cell", help="name of a cell, or path of a cell file")
    parser.add_argument("--instance", help="name under which the cell's rings live (default: the cell's name)")
    parser.add_argument("--gl", choices=("auto", "egl", "osmesa"), default="auto", help="OpenGL without a screen")
    parser.add_argument("--snapshot", type=Path, metavar="DIR", help="write one PNG per camera and stream, and end")
    parser.add_argument("--seed", type=int, help="object poses of the snapshot (default: the cell file's)")
    arguments = parser.parse_args(argv)
    try:
        cell = load_cell(arguments.cell)
        if not software_cameras(cell):
            raise RenderError(f"cell '{cell.name}' has no camera with source 'software': there is nothing to render")
        renderer = _open(cell, arguments.gl)
        try:
            if arguments.snapshot is not None:
                for path in write_snapshots(cell, renderer, arguments.snapshot, arguments.seed):
                    print(path)
            else:
                run(cell, arguments.instance or cell.name, renderer, MonotonicClock())
        finally:
            renderer.close()
    except SinewError as error:
        print(f"render: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
