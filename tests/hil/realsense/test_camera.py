"""Every scripted fault of an emulated camera, and the answer of the real driver above the real librealsense pipeline."""

import json
from dataclasses import replace

import numpy as np
import pytest

from hil.realsense.camera import EmulatedCamera
from hil.realsense.device import Identity
from hil.realsense.script import FAULTS, Script
from runtime.ring import instance_dir
from runtime.rows import CameraPhase, FrameQuality

UP = [CameraPhase.ABSENT, CameraPhase.STARTING, CameraPhase.WARMUP, CameraPhase.STREAMING]
BACK = [CameraPhase.STARTING, CameraPhase.WARMUP, CameraPhase.STREAMING]
LOST_AND_BACK = [*UP, CameraPhase.STALLED, CameraPhase.LOST, *BACK]


def codes(rig):
    return [code for code, _ in rig.events()]


def test_a_camera_comes_up_through_every_phase_and_serves_the_pixels_that_were_fed(rig, make_picture):
    rig.streaming()
    assert rig.phases == UP
    rig.feed(10)
    assert rig.numbers() == list(range(rig.number - 10, rig.number))
    for row in rig.rows:
        fed = make_picture(int(row["color_number"]))
        # The emulated sensor flips lowest bits; everything above is as fed.
        np.testing.assert_array_equal(row["color"] >> 1, fed.color >> 1)
        np.testing.assert_array_equal(row["depth"], fed.depth)
        assert row["depth_number"] == row["color_number"]
        assert row["quality"] == FrameQuality.GOOD
        assert row["depth_scale_m"] == np.float32(0.001)
        assert abs(int(row["receive_ns"]) - int(row["capture_ns"]) - 8_000_000) < 1000


def test_exposure_is_locked_where_it_settled_and_read_back(rig):
    rig.streaming()
    rig.feed(3)
    state = rig.state()
    assert state["options_locked"] == 1
    # 83 and 4200 K are what the emulated automatics settle on; the option counts in 100 us and 10 K.
    assert state["exposure_us"] == pytest.approx(8300, abs=200)
    assert state["white_balance_k"] == pytest.approx(4200, abs=100)
    assert rig.rows[-1]["exposure_us"] == state["exposure_us"]


def test_the_exposure_of_the_cell_file_is_set_from_the_start(make_rig, make_camera):
    rig = make_rig(camera=make_camera(exposure_us=5000)).streaming()
    rig.feed(2)
    assert {float(row["exposure_us"]) for row in rig.rows} == {5000.0}


def test_infrared_and_raw_depth_arrive_when_asked_for(make_rig, make_camera, make_picture):
    rig = make_rig(camera=make_camera(depth="raw", infrared=True)).streaming()
    rig.feed(5)
    assert len(rig.rows) == 5
    for row in rig.rows:
        fed = make_picture(int(row["color_number"]))
        np.testing.assert_array_equal(row["infrared"], fed.infrared)
        np.testing.assert_array_equal(row["depth"], fed.depth)


def test_a_camera_without_depth_has_none_in_its_rows(make_rig, make_camera):
    rig = make_rig(camera=make_camera(depth="off")).streaming()
    rig.feed(5)
    assert len(rig.rows) == 5
    assert "depth" not in rig.rows[0].dtype.names
    assert {int(row["quality"]) for row in rig.rows} == {FrameQuality.GOOD}


def test_depth_of_another_viewpoint_is_aligned_to_colour(make_rig, make_camera, make_picture):
    camera = make_camera()
    identity = replace(Identity.of_camera(camera, 43.0), depth_to_color_m=0.05)
    rig = make_rig(camera=camera, source=EmulatedCamera(identity)).streaming()
    rig.feed()
    depth = rig.rows[0]["depth"]
    # 5 cm at about 0.5 m and f = 61 px: the plane moves about 6 px to the right and leaves a border without depth.
    assert not depth[:, :5].any()
    covered = depth[:, 10:]
    assert (covered == make_picture(rig.number - 1).depth[0, 0]).mean() > 0.9


def test_the_identity_file_holds_serial_lens_and_scale(rig):
    rig.streaming()
    identity = json.loads((instance_dir(rig.instance) / "camera.front.identity.json").read_text())
    assert identity["serial_number"] == "000000000101"
    assert identity["depth_scale_m"] == pytest.approx(0.001)
    color = identity["streams"]["color"]
    assert color["fy_px"] == pytest.approx(24 / np.tan(np.radians(21.5)))
    assert (color["ppx_px"], color["ppy_px"]) == (31.5, 23.5)
    assert identity["options"]["exposure"] == pytest.approx(83, abs=2)


def test_dropped_frames_are_counted_and_the_next_one_says_so(rig):
    rig.streaming()
    rig.feed(3)
    rig.suffer("drop", frames=2)
    rig.feed(4)
    first = rig.number - 7
    assert rig.numbers() == [first, first + 1, first + 2, first + 5, first + 6]
    assert [int(row["quality"]) for row in rig.rows] == [0, 0, 0, FrameQuality.GAP_BEFORE, 0]
    assert rig.state()["gaps"] == 2


def test_a_frameset_without_depth_is_flagged_and_never_carries_the_old_depth(rig):
    rig.streaming()
    rig.feed(2)
    rig.suffer("drop_depth", frames=1)
    rig.feed(3)
    flagged = [row for row in rig.rows if int(row["quality"]) & FrameQuality.NO_DEPTH]
    assert len(flagged) == 1
    assert not flagged[0]["depth"].any()
    assert flagged[0]["depth_number"] == 0
    assert all(row["depth_number"] == row["color_number"] for row in rig.rows if row["depth_number"])


def test_a_frozen_picture_with_fresh_stamps_is_flagged_until_it_moves(rig):
    rig.streaming()
    rig.feed(5)
    rig.suffer("freeze", frames=10)
    rig.feed(12)
    frozen = [bool(int(row["quality"]) & FrameQuality.FROZEN) for row in rig.rows]
    # The third repetition is the first that counts: two frames may be equal at full saturation.
    assert frozen == [False] * 8 + [True] * 7 + [False] * 2
    assert rig.state()["frozen"] == 7
    found = codes(rig)
    assert found.count("frozen") == found.count("thawed") == 1
    assert rig.driver.phase == CameraPhase.STREAMING


def test_a_resting_scene_is_not_taken_for_a_frozen_camera(rig, make_picture):
    rig.streaming()
    still = make_picture(7)
    for _ in range(20):
        number = rig.number
        rig.number += 1
        rig.emulated.take(rig.clock.now_ns(), number, rig.clock.now_ns() - 8_000_000, still)
        rig.deliver()
        rig.clock.advance(33_333_333)
    assert len(rig.rows) == 20
    assert not any(int(row["quality"]) & FrameQuality.FROZEN for row in rig.rows)


def test_duplicates_are_counted_and_never_served_again(rig):
    rig.streaming()
    rig.suffer("duplicate", frames=3)
    rig.feed(6)
    assert rig.numbers() == list(range(rig.number - 6, rig.number))
    assert rig.state()["duplicates"] == 3


def test_an_older_frame_is_dropped_and_the_next_one_says_so(rig):
    rig.streaming()
    rig.feed(2)
    rig.suffer("out_of_order")
    rig.feed(4)
    first = rig.number - 6
    assert rig.numbers() == [first, first + 1, first + 3, first + 4, first + 5]
    assert rig.state()["out_of_order"] == 1
    assert int(rig.rows[3]["quality"]) == FrameQuality.OUT_OF_ORDER
    assert int(rig.rows[2]["quality"]) == FrameQuality.GAP_BEFORE


def test_late_frames_keep_their_capture_time(rig):
    rig.streaming()
    rig.feed(5)
    before = rig.rows[-1]
    rig.suffer("late", frames=1, by_ms=60)
    rig.feed(1)
    rig.idle(60)
    rig.feed(3)
    late = next(row for row in rig.rows if row["color_number"] == before["color_number"] + 1)
    assert int(late["capture_ns"]) - int(before["capture_ns"]) == pytest.approx(33_333_333, abs=1000)
    assert int(late["receive_ns"]) - int(late["capture_ns"]) >= 60_000_000
    assert int(late["quality"]) == FrameQuality.GOOD


@pytest.mark.parametrize("by_ms", [200.0, 20.0, -20.0, -500.0])
def test_a_clock_jump_is_flagged_and_replaced_by_receive_time_minus_median_latency(rig, by_ms):
    rig.streaming()
    rig.feed(20)
    rig.suffer("clock_jump", frames=5, by_ms=by_ms)
    rig.feed(10)
    for index, row in enumerate(rig.rows):
        jumped = 20 <= index < 25
        expected = FrameQuality.STAMP_FALLBACK | FrameQuality.STAMP_JUMP if jumped else FrameQuality.GOOD
        assert int(row["quality"]) == expected, index
        assert abs(int(row["receive_ns"]) - int(row["capture_ns"]) - 8_000_000) < 1000, index
    captures = [int(row["capture_ns"]) for row in rig.rows]
    assert captures == sorted(set(captures))
    assert rig.state()["stamp_fallbacks"] == 5
    found = codes(rig)
    assert found.count("clock_doubted") == found.count("clock_believed") == 1


def test_a_short_stall_is_seen_and_survived_without_a_restart(rig):
    rig.streaming()
    rig.feed(3)
    rig.suffer("stall", frames=10)
    rig.feed(14)
    assert rig.phases == [*UP, CameraPhase.STALLED, CameraPhase.STREAMING]
    state = rig.state()
    assert (state["stalls"], state["restarts"], state["gaps"]) == (1, 0, 10)
    stalled = next(text for code, text in rig.events() if code == "stalled")
    assert "limit 100 ms" in stalled
    assert "renderer" in stalled


def test_a_stall_names_itself_after_the_cell_files_periods_and_not_before(rig):
    rig.streaming()
    rig.feed(1)
    rig.idle(60)  # two periods
    assert rig.driver.phase == CameraPhase.STREAMING
    rig.idle(60)
    assert rig.driver.phase == CameraPhase.STALLED


def test_a_deaf_device_is_restarted_then_reset_and_comes_back(rig):
    rig.streaming()
    rig.suffer("deaf")
    rig.feed_until(CameraPhase.RESET, limit=2000)
    assert rig.phases.count(CameraPhase.RESTART) == 3
    rig.feed_until(CameraPhase.STREAMING, limit=500)
    state = rig.state()
    assert (state["restarts"], state["resets"], state["session"]) == (3, 1, 5)
    rig.rows.clear()
    rig.feed(3)
    assert {int(row["session"]) for row in rig.rows} == {5}


def test_without_any_picture_the_driver_gives_up_in_bounded_time_and_invents_nothing(rig):
    rig.idle_until(CameraPhase.LOST, limit_ms=60_000)
    assert rig.rows == []
    assert rig.frames.latest(rig.clock.now_ns()) is None
    retries = len(rig.phases)
    rig.idle(9_000)
    assert len(rig.phases) == retries  # waits before it tries again


def test_unplug_is_lost_and_replug_streams_with_options_locked_again(rig):
    rig.streaming()
    rig.feed(2)
    served = len(rig.rows)
    rig.suffer("unplug")
    rig.idle(3_000)
    assert rig.phases == [*UP, CameraPhase.STALLED, CameraPhase.LOST]
    assert len(rig.rows) == served
    assert any(code == "absent" and "is not attached" in text for code, text in rig.events())
    rig.suffer("replug")
    rig.feed_until(CameraPhase.STREAMING)
    assert rig.phases == LOST_AND_BACK
    state = rig.state()
    assert state["options_locked"] == 1
    assert state["session"] == 2


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("wrong_serial", "wrong_serial", ["000000000101 is not attached, but 000000500101", "'serial'"]),
        ("usb2", "usb2", ["USB 2.1", "use a USB 3 cable and port"]),
        ("missing_profile", "missing_profile", ["64x48 rgb8 at 30 Hz", "32x24@30 rgb8", "'image'"]),
    ],
)
def test_an_unfit_device_is_refused_by_name_once_and_the_right_one_accepted_later(rig, name, code, words):
    rig.streaming()
    rig.suffer(name)
    rig.idle(5_000)
    assert rig.driver.phase == CameraPhase.LOST
    texts = [text for found, text in rig.events() if found == code]
    assert len(texts) == 1
    for word in words:
        assert word in texts[0]
    rig.suffer("replug")
    rig.feed_until(CameraPhase.STREAMING)


def test_a_camera_that_was_never_there_is_absent_and_comes_up_when_plugged_in(rig):
    rig.suffer("unplug")
    rig.idle(3_000)
    assert rig.phases == [CameraPhase.ABSENT]
    rig.suffer("replug")
    rig.feed_until(CameraPhase.STREAMING)
    assert rig.phases == UP


def test_a_frame_that_waited_while_nobody_polled_is_not_served(rig, make_picture):
    rig.streaming()
    rig.feed(2)
    number = rig.number
    rig.number += 1
    rig.emulated.take(rig.clock.now_ns(), number, rig.clock.now_ns() - 8_000_000, make_picture(number))
    for _ in range(2):
        rig.emulated.deliver(rig.clock.now_ns(), 1_700_000_000_000_000_000)
    rig.clock.advance(2_000_000_000)  # the process was stopped meanwhile
    rig.step()
    assert number not in rig.numbers()
    rig.feed_until(CameraPhase.STREAMING)
    rig.feed(2)
    assert rig.numbers()[-1] == rig.number - 1


def test_two_cameras_at_once_serve_their_own_pictures(make_rig, make_camera, make_picture):
    one = make_rig(camera=make_camera(serial="000000000101"), name="front")
    other = make_rig(camera=make_camera(serial="000000000102"), name="wrist", instance=one.instance)
    other.number = 1000
    for _ in range(40):
        one.feed()
        other.feed()
    assert one.driver.phase == other.driver.phase == CameraPhase.STREAMING
    one.suffer("unplug")
    one.idle(3000)
    other.rows.clear()
    other.feed(3)
    assert (one.driver.phase, other.driver.phase) == (CameraPhase.LOST, CameraPhase.STREAMING)
    for row in other.rows:
        assert int(row["color_number"]) >= 1000
        np.testing.assert_array_equal(row["color"] >> 1, make_picture(int(row["color_number"])).color >> 1)


def test_a_planned_script_acts_at_its_frame_and_is_the_same_every_time(make_rig, make_script):
    runs = []
    for _ in range(2):
        rig = make_rig(script=make_script({30: ("drop", {"frames": 2}), 40: ("duplicate", {})}))
        rig.feed(50)
        runs.append([(int(row["color_number"]), int(row["quality"]), row["color"].tobytes()) for row in rig.rows])
        assert rig.numbers()[-1] == 49
        assert not {30, 31} & set(rig.numbers())
    assert runs[0] == runs[1]


def test_any_seeded_mix_of_faults_ends_in_streaming_after_a_replug(make_rig):
    for seed in (1, 2, 3):
        rig = make_rig(script=Script.seeded(seed, frames=200, faults=12, names=tuple(FAULTS)))
        rig.feed(220)
        captures = [int(row["capture_ns"]) for row in rig.rows]
        assert captures == sorted(set(captures))
        per_session = {}
        for row in rig.rows:
            per_session.setdefault(int(row["session"]), []).append(int(row["color_number"]))
        for numbers in per_session.values():
            assert numbers == sorted(set(numbers))
        rig.suffer("replug")
        rig.idle(3000)
        rig.feed_until(CameraPhase.STREAMING, limit=3000)
