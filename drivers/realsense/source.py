"""Where the rs device comes from: the only difference between a live, a recorded and an emulated camera.

A source lists devices; everything after that (fitness, pipeline, options, frames) is the same code for all of them. The
pipeline is given the device itself (`set_device`): asked for a serial number that is not there, `pipeline.start` would
hold the interpreter for 15 s.
"""

from pathlib import Path
from typing import Protocol

import pyrealsense2 as rs

from runtime.errors import SinewError


class SourceError(SinewError):
    """The cell file names a source that cannot be used; the text says which and what to do."""


class Source(Protocol):
    """What the driver needs to know of where devices come from."""

    remedy: str  # what a person does when the device is not there

    def devices(self) -> list[rs.device]:
        """What is attached now. Returns within milliseconds, never waits for anything to appear."""
        ...

    def pipeline(self, device: rs.device) -> rs.pipeline:
        """A pipeline that has been given the device and not been started."""
        ...

    def reset(self, device: rs.device) -> None:
        """Power-cycle the device. Raises RuntimeError where the device cannot be reset."""
        ...


def pipeline_of(context: rs.context, device: rs.device) -> rs.pipeline:
    """A pipeline on this very device: it does not go looking for one."""
    pipeline = rs.pipeline(context)
    pipeline.set_device(device)
    return pipeline


class LiveSource:
    """Cameras on this host's USB ports."""

    remedy = "check the USB 3 cable and port, then 'sinew find'"

    def __init__(self) -> None:
        self._context = rs.context()

    def devices(self) -> list[rs.device]:
        return list(self._context.query_devices())

    def pipeline(self, device: rs.device) -> rs.pipeline:
        return pipeline_of(self._context, device)

    def reset(self, device: rs.device) -> None:
        device.hardware_reset()


class FileSource:
    """A .db3 recording, played once from its beginning.

    Args:
        path: the recording.
        real_time: at the recorded pace (the first framesets may be lost); else as fast as the reader takes them, every
            frame exactly once: for tests.
    """

    remedy = "restart the driver to play the recording again, or name another file in the cell file"

    def __init__(self, path: str, *, real_time: bool = True) -> None:
        if Path(path).suffix != ".db3":
            raise SourceError(
                f"camera recording '{path}': only .db3 files are played (record one with sinew's recorder)"
            )
        if not Path(path).is_file():
            raise SourceError(f"camera recording '{path}': no such file: check the key 'file' in the cell file")
        self._path, self._real_time = path, real_time
        self._context = rs.context()
        self._playback: rs.playback | None = None
        self._begun = False

    def devices(self) -> list[rs.device]:
        if self._playback is None:
            device = self._context.load_device(self._path)
            self._playback = device.as_playback()
            self._playback.set_real_time(self._real_time)
        # A recording that has been played to its end is like a camera that was unplugged: there is nothing more to come.
        over = self._begun and self._playback.current_status() == rs.playback_status.stopped
        return [] if over else [self._playback]

    def pipeline(self, device: rs.device) -> rs.pipeline:
        self._begun = True
        return pipeline_of(self._context, device)

    def reset(self, device: rs.device) -> None:
        raise RuntimeError("a recording cannot be reset")
