"""What the camera process refuses before it starts anything, and how it ends."""

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
import yaml

from drivers.realsense.process import camera_of, source_of
from drivers.realsense.source import FileSource
from runtime.cell import Camera, Cell
from runtime.clock import MonotonicClock
from runtime.errors import SinewError
from runtime.ring import RingReader, remove_dead_rings, ring_names
from runtime.rows import CAMERA_STATE, HEARTBEAT, CameraPhase
from runtime.ticker import sleep_ns

ROOT = Path(__file__).resolve().parents[3]


def camera(**changes):
    return Camera.model_validate({"driver": "realsense", "source": "live", "serial": "000000000101", **changes})


@pytest.fixture
def cell():
    arm = {
        "driver": "franka", "host": "127.0.0.1", "T_flange_ee": {}, "home_q_rad": [0, 0, 0, -1.5, 0, 1.5, 0],
    }  # fmt: skip
    cameras = {"front": {"driver": "realsense", "source": "live", "serial": "000000000101"}}
    return Cell.model_validate({"schema": "sinew.cell/1", "name": "t", "arms": {"main": arm}, "cameras": cameras})


def test_an_unknown_camera_is_refused_with_the_known_names(cell):
    assert camera_of(cell, "front").serial == "000000000101"
    with pytest.raises(SinewError, match=r"no camera 'wrist': its cameras are \['front'\]"):
        camera_of(cell, "wrist")


def test_an_emulated_camera_is_refused_with_the_process_to_start_instead():
    with pytest.raises(SinewError, match=r"hil\.realsense\.process"):
        source_of("front", camera(source="software"))


def test_a_recording_is_opened_by_its_path(tmp_path):
    path = tmp_path / "x.db3"
    path.touch()
    assert isinstance(source_of("front", camera(source="file", file=str(path))), FileSource)


def test_without_the_camera_the_process_beats_says_absent_and_ends_cleanly(tmp_path, cell):
    """The whole process of a live camera on a machine that has none: real librealsense, nothing attached."""
    path = tmp_path / "cell.yaml"
    path.write_text(yaml.safe_dump(cell.model_dump(mode="json", by_alias=True)))
    instance = f"cam-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    process = subprocess.Popen(
        [sys.executable, "-m", "drivers.realsense.process", "--cell", str(path), "--instance", instance,
         "--camera", "front"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "camera 'front' (serial 000000000101) is not attached" in line
        states = RingReader(instance, "camera.front.state", CAMERA_STATE)
        beats = RingReader(instance, "camera.front.heartbeat", HEARTBEAT)
        clock = MonotonicClock()
        seen = set()
        for _ in range(3000):
            if (beat := beats.latest(clock.now_ns())) is not None:
                seen.add(int(beat["beats"]))
            if len(seen) >= 5:
                break
            sleep_ns(10_000_000)
        assert len(seen) >= 5
        row = states.latest(clock.now_ns())
        assert row is not None
        assert (row["phase"], row["frames"]) == (CameraPhase.ABSENT, 0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert ring_names(instance) == []
    finally:
        process.kill()
        process.wait()
        remove_dead_rings(instance)
