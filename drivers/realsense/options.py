"""Exposure, gain and white balance: left to settle, then locked and read back; plus the other options of a session."""

from dataclasses import dataclass

import pyrealsense2 as rs

from drivers.realsense.settle import Settings

# Unit of the option and metadata 'exposure' [us]: UVC colour sensors count in 100 us, stereo modules in 1 us.
_EXPOSURE_UNIT_US = {"RGB Camera": 100.0}


@dataclass(frozen=True)
class Lock:
    """What the options were found to be after locking. `trouble` is None when every one took."""

    settings: Settings
    locked: bool
    trouble: str | None


class ColorOptions:
    """The options of the sensor that makes the colour image (its name differs: D405 has it in the stereo module)."""

    def __init__(self, device: rs.device) -> None:
        self._sensor = _color_sensor(device)
        name = self._sensor.get_info(rs.camera_info.name)
        self._unit_us = _EXPOSURE_UNIT_US.get(name, 1.0)

    def begin(self, exposure_us: float | None) -> None:
        """At the start of a session: global time on, automatics on, or the cell file's exposure."""
        self._set(rs.option.global_time_enabled, 1)
        self._set(rs.option.enable_auto_white_balance, 1)
        if exposure_us is None:
            self._set(rs.option.enable_auto_exposure, 1)
        else:
            self._set(rs.option.enable_auto_exposure, 0)
            self._set(rs.option.exposure, self._in_range(rs.option.exposure, exposure_us / self._unit_us))

    def of_frame(self, frame: rs.frame) -> Settings:
        """What this frame was taken with, from its metadata, else from the options."""

        def value(key: rs.frame_metadata_value, option: rs.option) -> float:
            if frame.supports_frame_metadata(key):
                return float(frame.get_frame_metadata(key))
            return self._get(option)

        return Settings(
            exposure_us=value(rs.frame_metadata_value.actual_exposure, rs.option.exposure) * self._unit_us,
            gain=value(rs.frame_metadata_value.gain_level, rs.option.gain),
            white_balance_k=value(rs.frame_metadata_value.white_balance, rs.option.white_balance),
        )

    def lock(self, settled: Settings, exposure_us: float | None) -> Lock:
        """Switch the automatics off, set what they had settled on, read everything back."""
        targets = {
            rs.option.enable_auto_exposure: 0.0,
            rs.option.exposure: (settled.exposure_us if exposure_us is None else exposure_us) / self._unit_us,
            rs.option.gain: settled.gain,
            rs.option.enable_auto_white_balance: 0.0,
            rs.option.white_balance: settled.white_balance_k,
        }
        troubles = []
        for option, value in targets.items():
            if not self._sensor.supports(option):
                continue
            if self._sensor.is_option_read_only(option):
                troubles.append(f"{option.name} is read-only")
                continue
            value = self._in_range(option, value)
            self._sensor.set_option(option, value)
            found = self._sensor.get_option(option)
            if abs(found - value) > self._sensor.get_option_range(option).step:
                troubles.append(f"{option.name} is {found:g} after setting {value:g}")
        found_settings = Settings(
            self._get(rs.option.exposure) * self._unit_us,
            self._get(rs.option.gain),
            self._get(rs.option.white_balance),
        )
        return Lock(found_settings, not troubles, "; ".join(troubles) or None)

    def snapshot(self) -> dict[str, float]:
        """Every option the sensor lets us read, by name."""
        values = {}
        for option in self._sensor.get_supported_options():
            try:
                values[option.name] = float(self._sensor.get_option(option))
            except RuntimeError:
                continue  # write-only or not readable while streaming: librealsense does not say which beforehand
        return values

    def _get(self, option: rs.option) -> float:
        return float(self._sensor.get_option(option)) if self._sensor.supports(option) else 0.0

    def _set(self, option: rs.option, value: float) -> None:
        """Set where it can be set: recordings are read-only, small models lack some."""
        if self._sensor.supports(option) and not self._sensor.is_option_read_only(option):
            self._sensor.set_option(option, value)

    def _in_range(self, option: rs.option, value: float) -> float:
        limits = self._sensor.get_option_range(option)
        step = limits.step or 1.0
        rounded = limits.min + round((value - limits.min) / step) * step
        return min(max(rounded, limits.min), limits.max)


def _color_sensor(device: rs.device) -> rs.sensor:
    for sensor in device.query_sensors():
        if any(profile.stream_type() == rs.stream.color for profile in sensor.get_stream_profiles()):
            return sensor
    raise RuntimeError("the device has no colour sensor")
