"""Is the right camera there, and can it do what the cell file asks? Every no has a name, a reason and a remedy."""

from dataclasses import dataclass

import pyrealsense2 as rs

from drivers.realsense.source import Source
from runtime.cell import Camera

FORMATS = {
    rs.stream.color: rs.format.rgb8,
    rs.stream.depth: rs.format.z16,
    rs.stream.infrared: rs.format.y8,
}


@dataclass(frozen=True)
class Wanted:
    """One stream of the cell file, in librealsense's terms."""

    stream: rs.stream
    index: int
    width_px: int
    height_px: int
    format: rs.format
    fps: int

    def __str__(self) -> str:
        return f"{self.stream.name} {self.width_px}x{self.height_px} {self.format.name} at {self.fps} Hz"


@dataclass(frozen=True)
class Refusal:
    """Why no stream is started: `code` for tables, `text` for people."""

    code: str
    text: str


def wanted_streams(camera: Camera) -> tuple[Wanted, ...]:
    """The streams that the cell file asks for; the left infrared image is number 1."""
    kinds = [(rs.stream.color, 0)]
    if camera.depth != "off":
        kinds.append((rs.stream.depth, 0))
    if camera.infrared:
        kinds.append((rs.stream.infrared, 1))
    image = camera.image
    return tuple(
        Wanted(stream, index, image.width_px, image.height_px, FORMATS[stream], image.fps) for stream, index in kinds
    )


def information(device: rs.device, key: rs.camera_info) -> str:
    """What the device says of itself, or '' where it does not say."""
    return device.get_info(key) if device.supports(key) else ""


def find_device(source: Source, name: str, camera: Camera) -> rs.device | Refusal:
    """The device with the cell file's serial number, or why there is none. Quick: for the once-a-second look."""
    devices = source.devices()
    serials = [information(device, rs.camera_info.serial_number) for device in devices]
    for device, serial in zip(devices, serials, strict=True):
        if serial == camera.serial:
            return device
    if not devices:
        return Refusal("absent", f"camera '{name}' (serial {camera.serial}) is not attached: {source.remedy}")
    return Refusal(
        "wrong_serial",
        f"camera '{name}': serial {camera.serial} is not attached, but {', '.join(serials)}: "
        "correct the key 'serial' in the cell file, or attach the right camera",
    )


def unfit(device: rs.device, name: str, camera: Camera) -> Refusal | None:
    """Why this device cannot serve the cell file, or None. Called before every start of the stream."""
    usb = information(device, rs.camera_info.usb_type_descriptor)
    if usb and not usb.startswith("3"):
        return Refusal(
            "usb2",
            f"camera '{name}' (serial {camera.serial}) is connected as USB {usb}: it needs USB 3: "
            "use a USB 3 cable and port, and plug it in quickly (a slow hand enumerates as USB 2)",
        )
    offered = [profile.as_video_stream_profile() for profile in _video_profiles(device)]
    for wanted in wanted_streams(camera):
        if not any(_matches(profile, wanted) for profile in offered):
            near = sorted(
                {
                    f"{p.width()}x{p.height()}@{p.fps()} {p.format().name}"
                    for p in offered
                    if p.stream_type() == wanted.stream
                }
            )
            return Refusal(
                "missing_profile",
                f"camera '{name}' (serial {camera.serial}) cannot give {wanted}; it offers "
                f"{', '.join(near[:8]) or 'no such stream'}: change 'image', 'depth' or 'infrared' in the cell file",
            )
    return None


def _video_profiles(device: rs.device) -> list[rs.stream_profile]:
    return [
        profile
        for sensor in device.query_sensors()
        for profile in sensor.get_stream_profiles()
        if profile.is_video_stream_profile()
    ]


def _matches(profile: rs.video_stream_profile, wanted: Wanted) -> bool:
    return (
        profile.stream_type() == wanted.stream
        # Live devices number the only colour and depth stream 0, the infrared ones 1 and 2.
        and (wanted.index == 0 or profile.stream_index() == wanted.index)
        and profile.format() == wanted.format
        and (profile.width(), profile.height()) == (wanted.width_px, wanted.height_px)
        and profile.fps() == wanted.fps
    )
