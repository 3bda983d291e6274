"""A rig that steps feeder and driver together: emulated camera, real pyrealsense2 pipeline, real rings, manual time."""

import os
import uuid

import numpy as np
import pytest

from drivers.device import DeviceShell
from drivers.realsense.driver import CameraDriver
from hil.realsense.camera import EmulatedCamera
from hil.realsense.device import Identity, Images
from hil.realsense.script import Script, fault
from runtime.cell import Camera
from runtime.clock import ManualClock
from runtime.ring import RingReader, remove_dead_rings
from runtime.rows import CAMERA_STATE, EVENT, CameraPhase, frame_dtype
from runtime.ticker import sleep_ns

WALL_OFFSET_NS = 1_700_000_000_000_000_000
PERIOD_NS = 33_333_333
LATENCY_NS = 8_000_000


def camera_part(**changes):
    """The camera of a cell file, small."""
    values = {
        "driver": "realsense", "source": "software", "serial": "000000000101",
        "image": {"width_px": 64, "height_px": 48, "fps": 30}, "warmup_s": 0.3,
    }  # fmt: skip
    return Camera.model_validate({**values, **changes})


def picture(number, width=64, height=48):
    """Colour, depth and infrared that carry their number in every upper bit plane."""
    generator = np.random.default_rng(number)
    color = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    depth = np.full((height, width), 500 + number, np.uint16)
    infrared = np.full((height, width), number % 256, np.uint8)
    return Images(color, depth, infrared)


class Rig:
    """Steps one camera. Time moves only here."""

    def __init__(self, camera=None, script=None, name="front", source=None, instance=None):
        self.camera = camera or camera_part()
        self.name = name
        self.instance = instance or f"cam-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.clock = ManualClock()
        self.emulated = source or EmulatedCamera(Identity.of_camera(self.camera, 43.0), script)
        self.shell = DeviceShell(self.instance, f"camera.{name}")
        self.driver = CameraDriver(self.shell, name, self.camera, self.emulated, self.clock.now_ns())
        image = self.camera.image
        self.dtype = frame_dtype(
            image.width_px, image.height_px, depth=self.camera.depth != "off", infrared=self.camera.infrared
        )
        self.frames = RingReader(self.instance, f"camera.{name}.frame", self.dtype)
        self.states = RingReader(self.instance, f"camera.{name}.state", CAMERA_STATE)
        self.events_ring = RingReader(self.instance, f"camera.{name}.event", EVENT)
        self.number = 0
        self.rows = []
        self.phases = [CameraPhase.ABSENT]

    def step(self):
        self.driver.step(self.clock.now_ns(), WALL_OFFSET_NS)
        while self.driver.closing:  # librealsense stops in real time, whatever the manual clock says
            sleep_ns(1_000_000)
        if self.driver.phase != self.phases[-1]:
            self.phases.append(self.driver.phase)
        self.rows += [row.copy() for row in self.frames.drain()]

    def deliver(self):
        """Everything that is due reaches librealsense; the driver polls in between."""
        for _ in range(6):  # stereo and colour; a duplicate or a swapped frame follows at once
            self.emulated.deliver(self.clock.now_ns(), WALL_OFFSET_NS)
            self.step()

    def idle(self, milliseconds, each_ms=20):
        """Time passes without a picture."""
        for _ in range(milliseconds // each_ms):
            self.clock.advance(each_ms * 1_000_000)
            self.deliver()

    def feed(self, count=1, period_ns=PERIOD_NS):
        """Render `count` pictures, one per period; deliver each LATENCY_NS after its capture."""
        for _ in range(count):
            capture_ns = self.clock.now_ns()
            self.clock.advance(LATENCY_NS)
            image = self.camera.image
            self.emulated.take(
                self.clock.now_ns(), self.number, capture_ns, picture(self.number, image.width_px, image.height_px)
            )
            self.number += 1
            self.deliver()
            self.clock.advance(period_ns - LATENCY_NS)
            self.step()

    def feed_until(self, phase, limit=300):
        for _ in range(limit):
            if self.driver.phase == phase:
                return
            self.feed()
        raise AssertionError(f"phase {phase.name} not reached in {limit} frames: {self.phases}, {self.events()}")

    def idle_until(self, phase, limit_ms=60_000):
        for _ in range(limit_ms // 20):
            if self.driver.phase == phase:
                return
            self.idle(20)
        raise AssertionError(f"phase {phase.name} not reached: {self.phases}, {self.events()}")

    def suffer(self, name, **arguments):
        self.emulated.suffer(fault(name, arguments))

    def streaming(self):
        """Up and streaming; forgets the rows so far."""
        self.feed_until(CameraPhase.STREAMING)
        self.rows.clear()
        return self

    def numbers(self):
        return [int(row["color_number"]) for row in self.rows]

    def state(self):
        """The state row as it is now."""
        self.driver.publish_state(self.clock.now_ns())
        return self.states.latest(self.clock.now_ns()).copy()

    def events(self):
        return [(bytes(row["code"]).decode(), bytes(row["text"]).decode()) for row in self.events_ring.drain()]

    def close(self):
        self.driver.close(self.clock.now_ns())
        self.shell.close()
        remove_dead_rings(self.instance)


@pytest.fixture
def make_rig():
    """Makes rigs and ends them."""
    made = []

    def make(**given):
        made.append(Rig(**given))
        return made[-1]

    yield make
    for rig in made:
        rig.close()


@pytest.fixture
def rig(make_rig):
    return make_rig()


@pytest.fixture
def make_camera():
    return camera_part


@pytest.fixture
def make_script():
    return lambda plan: Script({at: (fault(*one),) for at, one in plan.items()})


@pytest.fixture
def make_picture():
    return picture
