"""An emulated camera on its cable: takes rendered pictures, suffers faults, feeds librealsense; and is the driver's source.

Everything happens in the thread that calls it, with time as an argument, so a test can step it frame by frame.
"""

from collections import deque
from dataclasses import dataclass, replace

import pyrealsense2 as rs

from drivers.realsense.source import pipeline_of
from hil.realsense.device import EmulatedDevice, Identity, Images
from hil.realsense.noise import SensorNoise
from hil.realsense.script import Fault, Script


@dataclass(frozen=True)
class _Delivery:
    """Images of one imager on their way: `due_ns` monotonic. Depth and infrared travel ahead of colour, apart from it."""

    due_ns: int
    number: int
    stamp_ns: int  # monotonic time of capture as the camera's clock tells it
    images: Images


class EmulatedCamera:
    """The camera; implements `drivers.realsense.source.Source`.

    Args:
        identity: what the device is when nothing is wrong.
        script: planned faults.
        seed: of the sensor's noise.
    """

    remedy = "it is emulated: is the renderer running ('sinew cell')?"

    def __init__(self, identity: Identity, script: Script | None = None, seed: int = 0) -> None:
        self._context = rs.context()
        self._identity, self._script = identity, script or Script()
        self._noise = SensorNoise(seed)
        self._attached: EmulatedDevice | None = EmulatedDevice(identity)
        self._rendered = 0
        self._left: dict[str, int] = {}  # frames that a running fault still lasts
        self._late_ns = self._jump_ns = 0
        self._deaf = False
        self._held: list[_Delivery] = []
        self._way: deque[_Delivery] = deque()
        self._frozen: Images | None = None

    # --- the driver's side ----------------------------------------------------------------------------------------

    def devices(self) -> list[rs.device]:
        return [] if self._attached is None else [self._attached.rs_device]

    def pipeline(self, device: rs.device) -> rs.pipeline:
        return pipeline_of(self._context, device)

    def reset(self, device: rs.device) -> None:
        """A software device has no hardware reset: the power cycle is emulated by a new device."""
        if self._attached is None:
            raise RuntimeError("the device is gone")
        self._plug(self._attached.identity)

    # --- the cell's side ------------------------------------------------------------------------------------------

    @property
    def device(self) -> EmulatedDevice | None:
        """What is plugged in now."""
        return self._attached

    def suffer(self, fault: Fault) -> None:
        """Begin a fault with the next rendered frame; cable faults act at once."""
        identity = self._identity
        if fault.name == "unplug":
            self._unplug()
        elif fault.name == "replug":
            self._plug(identity)
        elif fault.name == "wrong_serial":
            self._plug(identity.with_other_serial())
        elif fault.name == "usb2":
            self._plug(identity.on_usb2())
        elif fault.name == "missing_profile":
            self._plug(identity.with_other_profiles())
        elif fault.name == "deaf":
            self._deaf = True
        else:
            self._left[fault.name] = max(1, fault.frames)
            if fault.name == "late":
                self._late_ns = round(fault.by_ms * 1e6)
            elif fault.name == "clock_jump":
                self._jump_ns = round(fault.by_ms * 1e6)

    def take(self, now_ns: int, number: int, capture_ns: int, images: Images) -> None:
        """One set of rendered pictures with the scene's frame number and time (monotonic). The pictures are copied."""
        for fault in self._script.due(self._rendered):
            self.suffer(fault)
        self._rendered += 1
        if self._lasts("freeze"):
            self._frozen = images = self._frozen or self._exposed(images)
        else:
            self._frozen = None
            images = self._exposed(images)
        stamp_ns = capture_ns + (self._jump_ns if self._lasts("clock_jump") else 0)
        if self._lasts("stall") or self._lasts("drop") or self._deaf:
            return
        if self._lasts("drop_depth"):
            images = replace(images, depth=None)
        due_ns = now_ns + (self._late_ns if self._lasts("late") else 0)
        deliveries = [
            _Delivery(due_ns, number, stamp_ns, replace(images, color=None)),
            _Delivery(due_ns, number, stamp_ns, Images(images.color)),
        ]
        if self._lasts("out_of_order"):
            self._held = deliveries
            return
        self._way.extend(deliveries)
        if self._lasts("duplicate"):
            self._way.extend(deliveries)
        self._way.extend(self._held)
        self._held = []

    def deliver(self, now_ns: int, wall_offset_ns: int) -> int | None:
        """Hand what is due to librealsense, in order. Returns when the next one is due, or None.

        One imager's images per call: librealsense keeps only the newest set, a reader polls in between to see each.
        """
        if self._way and self._way[0].due_ns <= now_ns:
            delivery = self._way.popleft()
            if self._attached is not None and self._attached.identity.width_px == self._identity.width_px:
                stamp_ms = (delivery.stamp_ns + wall_offset_ns) / 1e6
                self._attached.push(delivery.number, stamp_ms, delivery.images)
        return self._way[0].due_ns if self._way else None

    def _exposed(self, images: Images) -> Images:
        color, depth, infrared = images.color, images.depth, images.infrared
        return Images(
            None if color is None else self._noise.add(color),
            None if depth is None else depth.copy(),
            None if infrared is None else infrared.copy(),
        )

    def _lasts(self, name: str) -> bool:
        left = self._left.get(name, 0)
        if left:
            self._left[name] = left - 1
        return left > 0

    def _plug(self, identity: Identity) -> None:
        self._unplug()
        self._attached = EmulatedDevice(identity)
        self._deaf = False

    def _unplug(self) -> None:
        self._attached = None
        self._way.clear()
        self._held = []
