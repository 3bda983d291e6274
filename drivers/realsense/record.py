"""Record a camera to a .db3 file, for debugging and for playing back with source 'file'. About 1 MB a frame.

`python -m drivers.realsense.record --cell CELL --camera NAME --file OUT.db3 [--frames N]`; the driver of that camera
must not run meanwhile. Episodes are recorded elsewhere: this is librealsense's own format.
"""

import argparse
import sys
from pathlib import Path

from drivers.realsense.fitness import Refusal, find_device, unfit, wanted_streams
from drivers.realsense.numbers import FrameNumbers, Kind
from drivers.realsense.pipeline import Session
from drivers.realsense.process import camera_of, source_of
from drivers.realsense.source import Source
from runtime.cell import Camera, load_cell
from runtime.clock import MonotonicClock
from runtime.errors import SinewError
from runtime.ticker import sleep_ns

SILENCE_LIMIT_NS = 5_000_000_000


class RecordError(SinewError):
    """The camera cannot be recorded; the text says why and what to do."""


class Recording:
    """One recording under way. `step` takes what has come; `close` ends the file.

    Raises:
        RecordError: no fit camera, the file exists or does not end in .db3, or librealsense refuses.
    """

    def __init__(self, source: Source, name: str, camera: Camera, path: Path) -> None:
        if path.suffix != ".db3":
            raise RecordError(f"recording '{path}': librealsense writes .db3 files only")
        if path.exists():
            raise RecordError(f"recording '{path}': the file exists: name another or remove it")
        found = find_device(source, name, camera)
        refusal = found if isinstance(found, Refusal) else unfit(found, name, camera)
        if isinstance(refusal, Refusal):
            raise RecordError(refusal.text)
        try:
            self._session: Session | None = Session(source, found, wanted_streams(camera), record_to=str(path))
        except RuntimeError as error:
            raise RecordError(f"camera '{name}': {error}: does its driver run?") from error
        self._numbers = FrameNumbers()
        self.frames = 0

    def step(self) -> int:
        """New colour frames since the last call; returns at once."""
        assert self._session is not None
        new = 0
        while (frameset := self._session.poll()) is not None:
            depth = frameset.depth.number if frameset.depth else None
            new += self._numbers.judge(frameset.color.number, depth).kind is Kind.NEW
        self.frames += new
        return new

    def close(self) -> None:
        """Stop the stream; librealsense finishes the file when its last reference goes."""
        if self._session is not None:
            self._session.close(wait_s=10.0)
            self._session = None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m drivers.realsense.record", description=__doc__)
    parser.add_argument("--cell", required=True, help="name or path of the cell file")
    parser.add_argument("--camera", required=True, help="name of the camera in the cell file")
    parser.add_argument("--file", required=True, type=Path, help="the .db3 file to write")
    parser.add_argument("--frames", type=int, default=300, help="colour frames to wait for")
    given = parser.parse_args()
    clock = MonotonicClock()
    try:
        camera = camera_of(load_cell(given.cell), given.camera)
        recording = Recording(source_of(given.camera, camera), given.camera, camera, given.file)
        try:
            last_ns = clock.now_ns()
            while recording.frames < given.frames:
                now_ns = clock.now_ns()
                if recording.step():
                    last_ns = now_ns
                elif now_ns - last_ns > SILENCE_LIMIT_NS:
                    raise RecordError(
                        f"camera '{given.camera}': no frame for {SILENCE_LIMIT_NS / 1e9:g} s after {recording.frames} "
                        f"of {given.frames}: check the USB 3 cable"
                    )
                sleep_ns(2_000_000)
        finally:
            recording.close()
        print(f"{given.file}: {recording.frames} frames")
    except SinewError as error:
        print(f"record: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
