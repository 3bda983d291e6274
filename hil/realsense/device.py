"""An `rs.software_device` that looks like a D435I: streams, lens, options, metadata, identity.

What it cannot be: a USB device. Time stamps are what we inject (librealsense's own global-time estimator does not run),
frame memory is never short, there is no hardware reset. Those are for the real camera's bench.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import pyrealsense2 as rs

from runtime.cell import Camera

DEPTH_SCALE_M = 0.001  # of the rows that the renderer writes


@dataclass(frozen=True)
class Images:
    """What the sensors see at one instant: colour (h, w, 3) uint8 RGB, depth (h, w) uint16 in DEPTH_SCALE_M, infrared
    (h, w) uint8; None where there is no such image."""

    color: np.ndarray | None
    depth: np.ndarray | None = None
    infrared: np.ndarray | None = None


@dataclass(frozen=True)
class Identity:
    """What the device says of itself and what it offers."""

    serial: str
    width_px: int
    height_px: int
    fps: int
    fovy_deg: float
    usb: str = "3.2"
    infrared: bool = False
    depth_to_color_m: float = 0.0  # along x: 0 as the scene renders it, 0.015 in a D435

    @classmethod
    def of_camera(cls, camera: Camera, fovy_deg: float) -> "Identity":
        """The device that the cell file asks for, with the lens of the scene's camera."""
        image = camera.image
        return cls(camera.serial, image.width_px, image.height_px, image.fps, fovy_deg, infrared=camera.infrared)

    def with_other_serial(self) -> "Identity":
        """The same model, but another piece."""
        return replace(self, serial=str(int(self.serial) + 500_000).zfill(len(self.serial)))

    def on_usb2(self) -> "Identity":
        """The same piece on a USB 2 cable."""
        return replace(self, usb="2.1")

    def with_other_profiles(self) -> "Identity":
        """The same piece, offering only half the picture's size."""
        return replace(self, width_px=self.width_px // 2, height_px=self.height_px // 2)


class _Automatic:
    """Auto-exposure or auto-white-balance: creeps to its target while it is on, obeys the option while it is off."""

    def __init__(self, switch: rs.option, option: rs.option, target: float, start: float) -> None:
        self.switch, self.option, self._target, self.value = switch, option, target, start

    def advance(self, sensor: rs.software_sensor) -> float:
        if sensor.get_option(self.switch):
            self.value += 0.4 * (self._target - self.value)
        else:
            self.value = float(sensor.get_option(self.option))
        return self.value


class EmulatedDevice:
    """One software device."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.rs_device = rs.software_device()
        information = {
            "name": "Intel RealSense D435I",
            "serial_number": identity.serial,
            "firmware_version": "5.16.0.1",
            "usb_type_descriptor": identity.usb,
            "product_line": "D400",
            "product_id": "0B3A",
            "physical_port": "emulated",
        }
        for key, value in information.items():
            self.rs_device.register_info(getattr(rs.camera_info, key), value)
        self._stereo = self.rs_device.add_sensor("Stereo Module")
        self._rgb = self.rs_device.add_sensor("RGB Camera")
        self._options()
        # Unique ids tell streams apart within a process: two devices must not share any.
        first = int(identity.serial) % 1_000_000 * 10
        self._color = self._profile(self._rgb, rs.stream.color, 0, first, rs.format.rgb8, 3)
        self._depth = self._profile(self._stereo, rs.stream.depth, 0, first + 1, rs.format.z16, 2)
        self._infrared = (
            self._profile(self._stereo, rs.stream.infrared, 1, first + 2, rs.format.y8, 1)
            if identity.infrared
            else None
        )
        beside = _offset(identity.depth_to_color_m)
        self._depth.register_extrinsics_to(self._color, beside)
        if self._infrared is not None:
            self._depth.register_extrinsics_to(self._infrared, _offset(0.0))
            self._infrared.register_extrinsics_to(self._color, beside)
        self.rs_device.create_matcher(rs.matchers.dlr_c)

    def push(self, number: int, stamp_ms: float, images: Images) -> None:
        """Hand one set of images to librealsense. `stamp_ms` is wall time [ms], as its global time is."""
        common = {
            rs.frame_metadata_value.frame_counter: number,
            rs.frame_metadata_value.sensor_timestamp: int(stamp_ms * 1e3) & 0x7FFFFFFF,
            rs.frame_metadata_value.time_of_arrival: int(stamp_ms),
            # Without the rate [mHz] the syncer guesses it from arrival times and hands out half sets.
            rs.frame_metadata_value.actual_fps: self.identity.fps * 1000,
        }
        _set_metadata(self._stereo, common)
        if images.depth is not None:
            self._stereo.on_video_frame(self._frame(self._depth, images.depth, 2, stamp_ms, number))
        if self._infrared is not None and images.infrared is not None:
            self._stereo.on_video_frame(self._frame(self._infrared, images.infrared, 1, stamp_ms, number))
        if images.color is not None:
            taken_with = {
                rs.frame_metadata_value.actual_exposure: round(self._exposure.advance(self._rgb)),
                rs.frame_metadata_value.gain_level: int(self._rgb.get_option(rs.option.gain)),
                rs.frame_metadata_value.white_balance: round(self._balance.advance(self._rgb)),
            }
            _set_metadata(self._rgb, {**common, **taken_with})
            self._rgb.on_video_frame(self._frame(self._color, images.color, 3, stamp_ms, number))

    def _options(self) -> None:
        self._stereo.add_option(rs.option.depth_units, _range(1e-6, 0.01, 1e-6, DEPTH_SCALE_M))
        for option, limits in {
            rs.option.exposure: (1, 10_000, 1, 156),  # 100 us
            rs.option.gain: (0, 128, 1, 64),
            rs.option.white_balance: (2800, 6500, 10, 4600),
            rs.option.enable_auto_exposure: (0, 1, 1, 1),
            rs.option.enable_auto_white_balance: (0, 1, 1, 1),
            rs.option.global_time_enabled: (0, 1, 1, 1),
        }.items():
            self._rgb.add_option(option, _range(*limits))
        self._exposure = _Automatic(rs.option.enable_auto_exposure, rs.option.exposure, 83, 300)
        self._balance = _Automatic(rs.option.enable_auto_white_balance, rs.option.white_balance, 4200, 5500)

    def _profile(
        self, sensor: rs.software_sensor, stream: rs.stream, index: int, uid: int, format_: rs.format, bytes_px: int
    ) -> rs.video_stream_profile:
        identity = self.identity
        video = rs.video_stream()
        video.type, video.index, video.uid, video.fmt, video.bpp = stream, index, uid, format_, bytes_px
        video.width, video.height, video.fps = identity.width_px, identity.height_px, identity.fps
        lens = rs.intrinsics()
        lens.width, lens.height = identity.width_px, identity.height_px
        lens.fx = lens.fy = identity.height_px / 2 / math.tan(math.radians(identity.fovy_deg) / 2)
        # librealsense's pixel centres lie at whole numbers, so the middle of the picture is at (w - 1) / 2.
        lens.ppx, lens.ppy = (identity.width_px - 1) / 2, (identity.height_px - 1) / 2
        lens.model, lens.coeffs = rs.distortion.brown_conrady, [0, 0, 0, 0, 0]
        video.intrinsics = lens
        return sensor.add_video_stream(video, True).as_video_stream_profile()

    @staticmethod
    def _frame(
        profile: rs.video_stream_profile, image: np.ndarray, bytes_px: int, stamp_ms: float, number: int
    ) -> rs.software_video_frame:
        frame = rs.software_video_frame()  # a new one per push: pushing one twice frees its pixels twice
        frame.profile, frame.bpp, frame.stride = profile, bytes_px, image.shape[1] * bytes_px
        frame.timestamp, frame.domain, frame.frame_number = stamp_ms, rs.timestamp_domain.global_time, number
        frame.pixels = image
        return frame


def _set_metadata(sensor: rs.software_sensor, values: dict[rs.frame_metadata_value, int]) -> None:
    for key, value in values.items():
        sensor.set_metadata(key, value)


def _offset(x_m: float) -> rs.extrinsics:
    pose = rs.extrinsics()
    pose.rotation, pose.translation = [1, 0, 0, 0, 1, 0, 0, 0, 1], [x_m, 0, 0]
    return pose


def _range(low: float, high: float, step: float, default: float) -> rs.option_range:
    limits = rs.option_range()  # its constructor swaps step and default
    limits.min, limits.max, limits.step, limits.default = float(low), float(high), float(step), float(default)
    return limits
