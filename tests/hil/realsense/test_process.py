"""The whole process of an emulated camera, fed through the renderer's ring by this test, faults raised while it runs."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest

from hil.realsense.script import camera_fault
from runtime.cell import load_cell
from runtime.clock import MonotonicClock
from runtime.ring import RingReader, RingWriter, remove_dead_rings, ring_names
from runtime.rows import CAMERA_STATE, REQUEST, CameraPhase, RequestKind, frame_dtype
from runtime.ticker import sleep_ns

ROOT = Path(__file__).resolve().parents[3]
STEP_NS = 33_000_000
STEPS = 1500  # as long as the test waits for anything: the process may be slow, never wrong


class Cell:
    """Stands in for the renderer: writes `scene.front.frame`, one picture per call, each with its number in it."""

    def __init__(self, instance):
        self.instance, self.clock = instance, MonotonicClock()
        image = load_cell("emulated").cameras["front"].image
        dtype = frame_dtype(image.width_px, image.height_px, depth=True, infrared=False)
        self.scene = RingWriter(instance, "scene.front.frame", dtype, 4)
        self.frames = RingReader(instance, "camera.front.frame", dtype)
        self.states = RingReader(instance, "camera.front.state", CAMERA_STATE)
        self.number = 0
        self.phases = []

    def render(self):
        self.number += 1
        now_ns = self.clock.now_ns()
        with self.scene.writing(now_ns) as row:
            row["capture_ns"], row["color_number"] = now_ns, self.number
            row["color"] = 2 * (self.number % 100) + 20
            row["depth"] = self.number
        sleep_ns(STEP_NS)
        for state in self.states.drain():
            if not self.phases or self.phases[-1] != state["phase"]:
                self.phases.append(int(state["phase"]))

    def until(self, reached):
        for _ in range(STEPS):
            self.render()
            if reached():
                return
        raise AssertionError(f"not reached: phases {self.phases}")

    def phase_is(self, phase):
        return lambda: bool(self.phases) and self.phases[-1] == phase


@pytest.fixture
def cell():
    instance = f"cam-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    made = Cell(instance)
    yield made
    made.scene.close()
    remove_dead_rings(instance)


@pytest.fixture
def process(cell):
    started = subprocess.Popen(
        [sys.executable, "-m", "hil.realsense.process", "--cell", "emulated", "--instance", cell.instance,
         "--camera", "front"],
        cwd=ROOT, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    yield started
    started.kill()
    started.wait()


def test_the_emulated_camera_serves_what_is_rendered_suffers_faults_and_ends_cleanly(cell, process):
    cell.until(cell.phase_is(CameraPhase.STREAMING))
    served = []
    for _ in range(20):
        cell.render()
        served += [row.copy() for row in cell.frames.drain()]
    assert served
    for row in served:
        number = int(row["color_number"])
        assert set(np.unique(row["color"] >> 1)) == {(2 * (number % 100) + 20) >> 1}
        assert set(np.unique(row["depth"])) == {number}
        assert 0 < row["capture_ns"] < row["receive_ns"]
    camera_fault(cell.instance, "front", "unplug")
    cell.until(cell.phase_is(CameraPhase.LOST))
    camera_fault(cell.instance, "front", "replug")
    cell.until(cell.phase_is(CameraPhase.STREAMING))
    with RingWriter(cell.instance, "camera.front.request", REQUEST, 4) as requests:
        requests.row["id"], requests.row["kind"] = 1, RequestKind.SHUTDOWN
        requests.commit(cell.clock.now_ns())
        assert process.wait(20) == 0
    assert ring_names(cell.instance) == ["scene.front.frame"]
