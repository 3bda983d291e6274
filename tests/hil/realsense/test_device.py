"""The emulated device seen through librealsense alone, as any other program would see it."""

import numpy as np
import pyrealsense2 as rs
import pytest

from hil.realsense.device import EmulatedDevice, Identity, Images
from hil.realsense.noise import SensorNoise

IDENTITY = Identity("000000000201", 64, 48, 30, 43.0, infrared=True)


def images(number):
    return Images(
        np.full((48, 64, 3), number, np.uint8), np.full((48, 64), 700, np.uint16), np.full((48, 64), 9, np.uint8)
    )


@pytest.fixture
def started():
    device = EmulatedDevice(IDENTITY)
    context, config = rs.context(), rs.config()
    pipeline = rs.pipeline(context)
    pipeline.set_device(device.rs_device)
    config.enable_stream(rs.stream.color, 0, 64, 48, rs.format.rgb8, 30)
    config.enable_stream(rs.stream.depth, 0, 64, 48, rs.format.z16, 30)
    config.enable_stream(rs.stream.infrared, 1, 64, 48, rs.format.y8, 30)
    profile = pipeline.start(config)
    yield device, pipeline, profile
    pipeline.stop()


def test_all_three_streams_come_as_one_set_with_number_stamp_and_domain(started):
    device, pipeline, _ = started
    for number in range(1, 30):
        device.push(number, 1e12 + number * 33.333, images(number))
        found = pipeline.poll_for_frames()
        frames = [found.get_color_frame(), found.get_depth_frame(), found.get_infrared_frame(1)]
        assert [frame.get_frame_number() for frame in frames] == [number] * 3
        assert {frame.get_timestamp() for frame in frames} == {1e12 + number * 33.333}
        assert {frame.get_frame_timestamp_domain() for frame in frames} == {rs.timestamp_domain.global_time}
        assert np.asanyarray(frames[0].get_data())[0, 0, 0] == number
        assert frames[1].get_units() == pytest.approx(0.001)
        assert frames[1].get_distance(10, 10) == pytest.approx(0.7)


def test_metadata_tells_counter_stamp_exposure_and_arrival(started):
    device, pipeline, _ = started
    device.push(7, 1e12, images(7))
    frame = pipeline.poll_for_frames().get_color_frame()
    key = rs.frame_metadata_value
    assert frame.get_frame_metadata(key.frame_counter) == 7
    assert frame.get_frame_metadata(key.time_of_arrival) == 10**12
    assert frame.get_frame_metadata(key.sensor_timestamp) == 10**15 & 0x7FFFFFFF
    assert frame.get_frame_metadata(key.actual_exposure) > 0


def test_auto_exposure_moves_until_it_is_switched_off_and_then_obeys(started):
    device, pipeline, _ = started
    sensor = next(one for one in device.rs_device.query_sensors() if one.get_info(rs.camera_info.name) == "RGB Camera")

    def exposures(first, count):
        values = []
        for number in range(first, first + count):
            device.push(number, 1e12 + number * 33.333, images(number))
            frame = pipeline.poll_for_frames().get_color_frame()
            values.append(frame.get_frame_metadata(rs.frame_metadata_value.actual_exposure))
        return values

    moving = exposures(1, 30)
    assert moving[0] > moving[5] > moving[-1]
    sensor.set_option(rs.option.enable_auto_exposure, 0)
    sensor.set_option(rs.option.exposure, 120)
    assert exposures(31, 3) == [120] * 3


def test_the_lens_is_the_scenes(started):
    _, _, profile = started
    lens = profile.get_stream(rs.stream.color).as_video_stream_profile().get_intrinsics()
    assert lens.fy == pytest.approx(24 / np.tan(np.radians(43 / 2)))
    assert (lens.ppx, lens.ppy, list(lens.coeffs)) == (31.5, 23.5, [0.0] * 5)


def test_variants_differ_in_what_they_are_named_after():
    assert IDENTITY.with_other_serial().serial == "000000500201"
    assert IDENTITY.on_usb2().usb == "2.1"
    assert (IDENTITY.with_other_profiles().width_px, IDENTITY.with_other_profiles().height_px) == (32, 24)


def test_noise_changes_few_lowest_bits_differently_every_time_and_equally_for_a_seed():
    picture = np.full((48, 64, 3), 100, np.uint8)
    noise, again = SensorNoise(3), SensorNoise(3)
    first, second = noise.add(picture), noise.add(picture)
    assert (picture == 100).all()
    assert 0.05 < (first != picture).mean() < 0.25
    assert set(np.unique(first)) == {100, 101}
    assert (first != second).any()
    np.testing.assert_array_equal(again.add(picture), first)
