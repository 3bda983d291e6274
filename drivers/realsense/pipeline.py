"""One session of an `rs.pipeline`: open, poll without waiting, close in the background."""

import threading
from dataclasses import dataclass

import numpy as np
import pyrealsense2 as rs

from drivers.realsense.fitness import Wanted, information
from drivers.realsense.source import Source


@dataclass(frozen=True)
class Picture:
    """One stream's image of a frameset. `data` is librealsense's own memory: copy it out at once, never keep it."""

    number: int
    stamp_ms: float
    domain: int
    data: np.ndarray
    frame: rs.frame


@dataclass(frozen=True)
class Frameset:
    """What one poll gives. Depth and infrared are None where the frameset has none."""

    color: Picture
    depth: Picture | None
    infrared: Picture | None
    composite: rs.composite_frame


class Session:
    """A running pipeline on one device.

    `poll_for_frames` and nothing else is used to get frames: the waiting calls restart the pipeline on their own when
    the device is gone, losing options and up to 15 s; Python callbacks deadlock on destruction (librealsense 15401).

    Raises:
        RuntimeError: librealsense's own text, e.g. that another process has the device.
    """

    def __init__(
        self, source: Source, device: rs.device, streams: tuple[Wanted, ...], record_to: str | None = None
    ) -> None:
        config = rs.config()
        for one in streams:
            config.enable_stream(one.stream, one.index, one.width_px, one.height_px, one.format, one.fps)
        if record_to is not None:
            config.enable_record_to_file(record_to)
        self.device = device
        self._pipeline: rs.pipeline | None = source.pipeline(device)
        self.profile = self._pipeline.start(config)
        self._closing: threading.Thread | None = None

    @property
    def closing(self) -> bool:
        """`close` has been called."""
        return self._closing is not None

    def poll(self) -> Frameset | None:
        """The newest frameset that was not polled yet, or None. Returns at once.

        Raises:
            RuntimeError: the pipeline failed.
        """
        if self._pipeline is None:
            return None
        composite = self._pipeline.poll_for_frames()
        if not composite:
            return None
        color = _picture(composite.get_color_frame())
        if color is None:
            return None
        infrared = composite.first_or_default(rs.stream.infrared)
        return Frameset(color, _picture(composite.get_depth_frame()), _picture(infrared), composite)

    def close(self, wait_s: float) -> bool:
        """Stop the pipeline in a thread of its own; True when it has stopped within `wait_s`. Call again to ask."""
        if self._closing is None:
            self._closing = threading.Thread(target=self._stop, name="rs-stop", daemon=True)
            self._closing.start()
        self._closing.join(wait_s)
        return not self._closing.is_alive()

    def _stop(self) -> None:
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            try:
                pipeline.stop()
            except RuntimeError:
                pass  # stopping what is gone: librealsense has released it either way

    def identity(self) -> dict[str, object]:
        """Serial, firmware, geometry of every stream [px; m], depth scale [m]: what calibration and recordings bind to."""
        keys = ("name", "serial_number", "firmware_version", "usb_type_descriptor", "product_line", "physical_port")
        told = {key: information(self.device, getattr(rs.camera_info, key)) for key in keys}
        profiles = {p.stream_name(): p.as_video_stream_profile() for p in self.profile.get_streams()}
        color = next(p for p in profiles.values() if p.stream_type() == rs.stream.color)
        streams = {}
        for name, profile in profiles.items():
            lens, pose = profile.get_intrinsics(), profile.get_extrinsics_to(color)
            T_color_stream = np.eye(4)
            T_color_stream[:3, :3] = np.array(pose.rotation).reshape(3, 3, order="F")  # librealsense: column-major
            T_color_stream[:3, 3] = pose.translation
            streams[name.lower()] = {
                "width_px": lens.width, "height_px": lens.height, "fps": profile.fps(),
                "fx_px": lens.fx, "fy_px": lens.fy, "ppx_px": lens.ppx, "ppy_px": lens.ppy,
                "distortion_model": lens.model.name, "distortion": list(lens.coeffs),
                "T_color_stream": T_color_stream.tolist(),
            }  # fmt: skip
        return {**told, "librealsense": rs.__version__, "depth_scale_m": self.depth_scale_m(), "streams": streams}

    def depth_is_aligned(self) -> bool:
        """Depth already has the colour image's lens and viewpoint: aligning it again would only lose pixels to rounding."""
        profiles = {p.stream_type(): p.as_video_stream_profile() for p in self.profile.get_streams()}
        if rs.stream.depth not in profiles:
            return False
        depth, color = profiles[rs.stream.depth], profiles[rs.stream.color]
        pose, one, other = depth.get_extrinsics_to(color), depth.get_intrinsics(), color.get_intrinsics()
        lenses = [(lens.fx, lens.fy, lens.ppx, lens.ppy, *lens.coeffs) for lens in (one, other)]
        here = [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]
        return lenses[0] == lenses[1] and [*pose.rotation, *pose.translation] == here

    def depth_scale_m(self) -> float:
        """Metres per depth count, as the device has it (a D405 differs from a D435); 0.0 without a depth sensor."""
        for sensor in self.device.query_sensors():
            if sensor.supports(rs.option.depth_units):
                return float(sensor.get_option(rs.option.depth_units))
        return 0.0


def _picture(frame: rs.frame) -> Picture | None:
    if not frame:
        return None
    return Picture(
        frame.get_frame_number(),
        frame.get_timestamp(),
        int(frame.get_frame_timestamp_domain()),
        np.asanyarray(frame.get_data()),
        frame,
    )
