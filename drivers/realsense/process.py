"""The process of a live or recorded camera: `python -m drivers.realsense.process --cell CELL --instance I --camera NAME`."""

import argparse
import gc
import sys
from collections.abc import Callable

from drivers.device import DeviceShell
from drivers.realsense.driver import CameraDriver
from drivers.realsense.source import FileSource, LiveSource, Source
from runtime.cell import Camera, Cell, load_cell
from runtime.clock import MonotonicClock, wall_ns
from runtime.errors import SinewError
from runtime.rows import RequestKind
from runtime.ticker import sleep_until_ns

BEAT_EVERY_NS = 50_000_000


def arguments(program: str) -> argparse.Namespace:
    """The command line of a camera process."""
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("--cell", required=True, help="name or path of the cell file")
    parser.add_argument("--instance", help="name of the running cell (default: the cell's)")
    parser.add_argument("--camera", required=True, help="name of the camera in the cell file")
    return parser.parse_args()


def camera_of(cell: Cell, name: str) -> Camera:
    """The camera's part of the cell file. Raises SinewError with the known names."""
    if name not in cell.cameras:
        raise SinewError(f"cell '{cell.name}' has no camera '{name}': its cameras are {sorted(cell.cameras)}")
    return cell.cameras[name]


def serve(
    instance: str,
    name: str,
    camera: Camera,
    source: Source,
    each_turn: Callable[[int, int], int | None] = lambda _now_ns, _wall_offset_ns: None,
) -> None:
    """Run the driver until SIGTERM, SIGINT or a SHUTDOWN request.

    `each_turn(now_ns, wall_offset_ns)` runs before every step and may ask to be called again by a time (the emulated
    camera is fed there).
    """
    clock = MonotonicClock()
    shell = DeviceShell(instance, f"camera.{name}")
    shell.handle_signals()
    driver = CameraDriver(
        shell, name, camera, source, clock.now_ns(), lambda text: print(f"camera {name}: {text}", flush=True)
    )
    gc.freeze()
    beat_ns = due_ns = clock.now_ns()
    try:
        while not shell.stop_requested:
            now_ns = clock.now_ns()
            late_ns = max(0, now_ns - due_ns)
            wall_offset_ns = wall_ns() - now_ns
            again_ns = each_turn(now_ns, wall_offset_ns)
            received_ns = clock.now_ns()
            driver.step(received_ns, wall_offset_ns)
            done_ns = clock.now_ns()
            if done_ns >= beat_ns:
                shell.beat(done_ns, work_ns=done_ns - now_ns, late_ns=late_ns, phase=int(driver.phase))
                beat_ns = done_ns + BEAT_EVERY_NS
            if any(int(request["kind"]) == RequestKind.SHUTDOWN for request in shell.requests()):
                break
            due_ns = driver.due_ns(done_ns)
            if again_ns is not None:
                due_ns = min(due_ns, again_ns)
            sleep_until_ns(due_ns)
    finally:
        driver.close(clock.now_ns())
        shell.close()


def source_of(name: str, camera: Camera) -> Source:
    """The source that the cell file names. Raises SinewError for one that is not the drivers' business."""
    if camera.source == "live":
        return LiveSource()
    if camera.source == "file":
        assert camera.file is not None  # the cell file's own check
        return FileSource(camera.file)
    raise SinewError(
        f"camera '{name}' is emulated (source 'software'): start it with 'python -m hil.realsense.process'"
    )


def main() -> int:
    given = arguments("drivers.realsense.process")
    try:
        cell = load_cell(given.cell)
        camera = camera_of(cell, given.camera)
        serve(given.instance or cell.name, given.camera, camera, source_of(given.camera, camera))
    except SinewError as error:
        print(f"camera {given.camera}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
