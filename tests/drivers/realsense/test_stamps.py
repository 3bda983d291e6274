import pytest

from drivers.realsense.stamps import MAX_LATENCY_NS, RELEARN_AFTER, Domain, Doubt, StampClock

MS = 1_000_000
PERIOD = 33_333_333
WALL = 1_700_000_000_000_000_000


class Feed:
    """Frames at the nominal period with 10 ms latency; every deviation is an argument."""

    def __init__(self, latency_ns=0):
        self.clock = StampClock(PERIOD, latency_ns)
        self.number = 0

    def frame(self, *, error_ns=0, late_ns=0, domain=Domain.GLOBAL_TIME, skip=0, off_grid_ns=0, wall_step_ns=0):
        self.number += 1 + skip
        taken_ns = 1_000_000_000 + self.number * PERIOD + off_grid_ns
        receive_ns = taken_ns + 10 * MS + late_ns
        # A wall clock step of the host changes the offset that is sampled at receipt, not the camera's old stamp.
        stamp = self.clock.stamp(self.number, domain, taken_ns + error_ns + WALL, receive_ns, WALL + wall_step_ns)
        return stamp, taken_ns, receive_ns

    def steady(self, count):
        for _ in range(count):
            assert self.frame()[0].doubt is None


def test_a_healthy_stamp_is_the_cameras_own_in_monotonic_time():
    feed = Feed()
    for _ in range(5):
        stamp, taken_ns, _ = feed.frame()
        assert (stamp.capture_ns, stamp.doubt) == (taken_ns, None)
    assert feed.clock.median_latency_ns == 10 * MS


def test_the_calibrated_latency_is_subtracted():
    stamp, taken_ns, _ = Feed(latency_ns=4 * MS).frame()
    assert stamp.capture_ns == taken_ns - 4 * MS


@pytest.mark.parametrize(
    ("error_ms", "doubt"),
    [
        (4, None), (-4, None), (6, Doubt.JUMP), (-6, Doubt.JUMP), (9.99, Doubt.JUMP), (10, Doubt.FUTURE), (500, Doubt.FUTURE),
        (-32, Doubt.JUMP), (-34, Doubt.BACKWARDS), (-1000, Doubt.BACKWARDS),
    ],
)  # fmt: skip
def test_one_wrong_stamp_is_doubted_by_what_it_contradicts_and_the_next_right_one_believed(error_ms, doubt):
    feed = Feed()
    feed.steady(20)
    stamp, _, receive_ns = feed.frame(error_ns=round(error_ms * MS))
    assert stamp.doubt is doubt
    if doubt is not None:
        assert stamp.capture_ns == receive_ns - 10 * MS
    assert feed.frame()[0].doubt is None


@pytest.mark.parametrize("domain", [Domain.HARDWARE_CLOCK, Domain.SYSTEM_TIME])
def test_any_other_clock_than_global_time_is_not_a_capture_time(domain):
    feed = Feed()
    stamp, _, receive_ns = feed.frame(domain=domain)
    assert stamp.doubt is Doubt.DOMAIN
    assert stamp.capture_ns == receive_ns


def test_a_first_stamp_beyond_the_limit_is_not_believed_and_at_the_limit_is():
    assert Feed().frame(error_ns=-(MAX_LATENCY_NS - 10 * MS))[0].doubt is None
    assert Feed().frame(error_ns=-(MAX_LATENCY_NS - 10 * MS) - 1)[0].doubt is Doubt.LATE


def test_a_frame_that_really_is_late_keeps_its_old_capture_time():
    feed = Feed()
    feed.steady(20)
    stamp, taken_ns, _ = feed.frame(late_ns=400 * MS)
    assert (stamp.capture_ns, stamp.doubt) == (taken_ns, None)


def test_an_irregular_camera_is_not_taken_for_a_jumping_clock():
    feed = Feed()
    feed.steady(5)
    for off_grid_ms in (8, -12, 15, 0, -9):
        assert feed.frame(off_grid_ns=off_grid_ms * MS)[0].doubt is None


def test_a_stream_that_never_was_regular_is_not_judged_by_its_numbers():
    feed = Feed()
    for off_grid_ms in [0, 14, -14, 3, 12] * 10:  # captures wander, arrivals keep step
        assert feed.frame(off_grid_ns=off_grid_ms * MS, late_ns=-off_grid_ms * MS // 2)[0].doubt is None


def test_a_stamp_that_is_old_is_never_made_younger_once_one_was_believed():
    feed = Feed()
    feed.steady(20)
    stamp, taken_ns, _ = feed.frame(skip=30, off_grid_ns=12 * MS, late_ns=700 * MS)
    assert (stamp.capture_ns, stamp.doubt) == (taken_ns, None)


def test_skipped_frames_are_no_jump():
    feed = Feed()
    feed.steady(5)
    assert feed.frame(skip=7)[0].doubt is None


@pytest.mark.parametrize("wall_step_ms", [-3_600_000, -500, 500, 3_600_000])
def test_a_step_of_the_wall_clock_does_not_move_the_capture_time(wall_step_ms):
    feed = Feed()
    feed.steady(20)
    stamp, taken_ns, _ = feed.frame(wall_step_ns=wall_step_ms * MS)
    assert stamp.doubt is not None
    assert abs(stamp.capture_ns - taken_ns) < MS


def test_capture_times_rise_strictly_whatever_the_clock_does():
    feed, last = Feed(), 0
    for error_ms in [0, 0, 0, 9, -9, 200, 0, -200, 5, -5, 0, 3, -3] * 5:
        stamp = feed.frame(error_ns=error_ms * MS)[0]
        assert stamp.capture_ns > last
        last = stamp.capture_ns


def test_a_clock_that_jumped_once_and_runs_true_is_believed_again_and_says_so():
    feed = Feed()
    feed.steady(20)
    stamps = [feed.frame(error_ns=-20 * MS)[0] for _ in range(RELEARN_AFTER + 5)]
    doubted = [stamp.doubt is not None for stamp in stamps]
    assert doubted == [True] * RELEARN_AFTER + [False] * 5
    assert [stamp.relearned for stamp in stamps].count(True) == 1
    assert feed.clock.median_latency_ns == 30 * MS


def test_a_clock_in_the_future_is_never_relearned():
    feed = Feed()
    feed.steady(20)
    assert all(feed.frame(error_ns=50 * MS)[0].doubt is Doubt.FUTURE for _ in range(RELEARN_AFTER * 2))
