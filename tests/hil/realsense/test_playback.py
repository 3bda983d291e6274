"""A .db3 recording made by librealsense from the emulated camera, played back through the same driver."""

import gc

import numpy as np
import pytest

from drivers.realsense.record import RecordError, Recording
from drivers.realsense.source import FileSource, SourceError
from hil.realsense.camera import EmulatedCamera
from hil.realsense.device import Identity
from runtime.rows import CameraPhase
from runtime.ticker import sleep_ns

FRAMES = 60
DROPPED = 50
WALL_OFFSET_NS = 1_700_000_000_000_000_000


@pytest.fixture
def recording(tmp_path, make_camera, make_picture, make_script):
    """A recording of FRAMES pictures without number DROPPED."""
    path = tmp_path / "front.db3"
    camera = make_camera()
    emulated = EmulatedCamera(Identity.of_camera(camera, 43.0), make_script({DROPPED: ("drop", {})}))
    made = Recording(emulated, "front", camera, path)
    for number in range(FRAMES):
        now_ns = 1_000_000_000 + number * 33_333_333
        emulated.take(now_ns, number, now_ns - 8_000_000, make_picture(number))
        while emulated.deliver(now_ns, WALL_OFFSET_NS) is not None:
            made.step()
        made.step()
    assert made.frames == FRAMES - 1
    made.close()
    del made, emulated
    gc.collect()
    return path


def play(rig):
    """Step until the recording is over, each frame one period apart; the reader thread sets the pace."""
    for _ in range(20_000):
        before = len(rig.rows)
        rig.step()
        sleep_ns(500_000)
        if rig.driver.phase == CameraPhase.LOST:
            return
        rig.clock.advance(33_333_333 if len(rig.rows) > before else 200_000)
    raise AssertionError(f"the recording did not end: {rig.phases}")


def test_playback_gives_every_recorded_frame_once_with_its_number_and_pixels(
    recording, make_rig, make_camera, make_picture
):
    runs = []
    for _ in range(2):
        source = FileSource(str(recording), real_time=False)
        rig = make_rig(camera=make_camera(source="file", file=str(recording), warmup_s=0), source=source)
        play(rig)
        runs.append(rig.numbers())
        for row in rig.rows:
            fed = make_picture(int(row["color_number"]))
            np.testing.assert_array_equal(row["color"] >> 1, fed.color >> 1)
            if row["depth_number"]:
                np.testing.assert_array_equal(row["depth"], fed.depth)
        assert rig.state()["gaps"] == 1
        assert CameraPhase.STREAMING in rig.phases
        found = dict(rig.events())
        assert "read-only" in found["not_locked"]
        assert "play the recording again" in found["absent"]
    # librealsense hands out nothing before every stream has begun, so a run may begin a few framesets late.
    for numbers in runs:
        assert 8 <= numbers[0] < DROPPED  # the warm-up takes eight frames, and until the recorded exposure had settled
        assert numbers == [number for number in range(numbers[0], FRAMES) if number != DROPPED]


def test_a_recording_of_another_camera_is_refused(recording, make_rig, make_camera):
    camera = make_camera(source="file", file=str(recording), serial="000000000777")
    rig = make_rig(camera=camera, source=FileSource(str(recording), real_time=False))
    for _ in range(10):
        rig.clock.advance(500_000_000)
        rig.step()
    assert rig.phases == [CameraPhase.ABSENT]
    assert [code for code, _ in rig.events()] == ["wrong_serial"]


@pytest.mark.parametrize("name", ["front.bag", "absent.db3"])
def test_a_file_that_cannot_be_played_is_refused_by_name(tmp_path, name):
    with pytest.raises(SourceError, match=name):
        FileSource(str(tmp_path / name))


def test_a_recording_is_refused_for_wrong_names_existing_files_and_absent_cameras(tmp_path, make_camera):
    camera = make_camera()
    emulated = EmulatedCamera(Identity.of_camera(camera, 43.0))
    with pytest.raises(RecordError, match="db3 files only"):
        Recording(emulated, "front", camera, tmp_path / "front.bag")
    (tmp_path / "old.db3").touch()
    with pytest.raises(RecordError, match="the file exists"):
        Recording(emulated, "front", camera, tmp_path / "old.db3")
    with pytest.raises(RecordError, match="000000000101 is not attached"):
        Recording(EmulatedCamera(Identity.of_camera(make_camera(serial="000000000555"), 43.0)), "front", camera,
                  tmp_path / "new.db3")  # fmt: skip
