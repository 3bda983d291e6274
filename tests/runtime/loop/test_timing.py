"""Late ticks degrade with hysteresis, gaps are told at once, and no slot is ever made up for."""

import pytest

from runtime.loop.timing import (
    CLEAN_TO_CLEAR,
    HOLD_IN_WINDOW,
    SLOW_IN_A_ROW,
    SLOW_IN_WINDOW,
    WINDOW,
    Timing,
    TimingWatch,
)

PERIOD, START, GAP = 5_000_000, 1_000_000_000, 100_000_000


class Bench:
    """Ticks a watch slot by slot, with a lateness per tick."""

    def __init__(self):
        self.watch = TimingWatch(PERIOD, START, GAP)
        self.slot = -1

    def tick(self, late_ns=0, skip=0):
        self.slot += 1 + skip
        return self.watch.tick(START + self.slot * PERIOD + late_ns)


def test_a_tick_on_its_slot_is_on_time():
    bench = Bench()
    assert [bench.tick() for _ in range(100)] == [Timing.ON_TIME] * 100
    watch = bench.watch
    assert (watch.late_ns, watch.late_max_ns, watch.late_ticks, watch.skipped) == (0, 0, 0, 0)
    assert (watch.due_ns, watch.gap_max_ns, watch.slot) == (START + 99 * PERIOD, PERIOD, 99)


@pytest.mark.parametrize(("late_ns", "counted"), [(PERIOD // 2, 0), (PERIOD // 2 + 1, 1), (PERIOD - 1, 1)])
def test_half_a_period_is_the_border_of_late(late_ns, counted):
    bench = Bench()
    bench.tick()
    bench.tick(late_ns)
    assert bench.watch.late_ticks == counted
    assert bench.watch.late_ns == late_ns


def test_an_overrun_skips_slots_and_counts_them():
    bench = Bench()
    bench.tick()
    assert bench.tick(skip=3) is Timing.ON_TIME
    assert (bench.watch.skipped, bench.watch.late_ticks) == (3, 1)
    assert bench.watch.late_max_ns == 3 * PERIOD
    bench.tick()
    assert bench.watch.skipped == 3


def test_one_late_tick_in_a_million_ends_nothing():
    bench = Bench()
    for _ in range(200):
        bench.tick()
    assert bench.tick(PERIOD - 1) is Timing.ON_TIME
    assert bench.tick() is Timing.ON_TIME


def test_a_few_in_a_row_slow_down_and_a_clean_window_clears():
    bench = Bench()
    found = [bench.tick(PERIOD - 1) for _ in range(SLOW_IN_A_ROW)]
    assert found == [Timing.ON_TIME] * (SLOW_IN_A_ROW - 1) + [Timing.SLOW]
    found = [bench.tick() for _ in range(CLEAN_TO_CLEAR)]
    assert found == [Timing.SLOW] * (CLEAN_TO_CLEAR - 1) + [Timing.ON_TIME]


def test_a_late_tick_in_the_clean_window_starts_it_again():
    bench = Bench()
    for _ in range(SLOW_IN_A_ROW):
        bench.tick(PERIOD - 1)
    for _ in range(CLEAN_TO_CLEAR - 1):
        bench.tick()
    assert bench.tick(PERIOD - 1) is Timing.SLOW
    found = [bench.tick() for _ in range(CLEAN_TO_CLEAR)]
    assert found[-2:] == [Timing.SLOW, Timing.ON_TIME]


def test_many_in_the_window_slow_down_without_a_row():
    bench = Bench()
    found = []
    for _ in range(SLOW_IN_WINDOW):
        found.append(bench.tick(PERIOD - 1))
        bench.tick()
    assert found == [Timing.ON_TIME] * (SLOW_IN_WINDOW - 1) + [Timing.SLOW]


def test_late_ticks_that_left_the_window_do_not_count():
    bench = Bench()
    for _ in range(3 * SLOW_IN_WINDOW):
        assert bench.tick(PERIOD - 1) is Timing.ON_TIME
        for _ in range(WINDOW // (SLOW_IN_WINDOW - 1)):
            assert bench.tick() is Timing.ON_TIME


def test_half_the_window_late_holds_until_a_clean_window():
    bench = Bench()
    found = [bench.tick(PERIOD - 1) for _ in range(HOLD_IN_WINDOW)]
    assert found[-2:] == [Timing.SLOW, Timing.HOLD]
    found = [bench.tick() for _ in range(CLEAN_TO_CLEAR)]
    assert found == [Timing.HOLD] * (CLEAN_TO_CLEAR - 1) + [Timing.ON_TIME]


@pytest.mark.parametrize(("gap_ns", "expected"), [(GAP, Timing.ON_TIME), (GAP + 1, Timing.GAP)])
def test_the_gap_limit_is_exact_and_told_once(gap_ns, expected):
    watch = TimingWatch(PERIOD, START, GAP)
    assert watch.tick(START) is Timing.ON_TIME
    assert watch.tick(START + gap_ns) is expected
    assert watch.gap_max_ns == gap_ns
    assert watch.skipped == GAP // PERIOD - 1
    assert watch.tick(START + GAP + PERIOD) is Timing.ON_TIME


def test_the_first_tick_has_no_gap_and_skips_nothing():
    watch = TimingWatch(PERIOD, START, GAP)
    assert watch.tick(START + 10 * GAP) is Timing.ON_TIME
    assert (watch.skipped, watch.gap_max_ns, watch.late_ticks) == (0, 0, 0)


def test_two_ticks_in_one_slot_skip_nothing():
    watch = TimingWatch(PERIOD, START, GAP)
    watch.tick(START)
    watch.tick(START + 1)
    watch.tick(START + PERIOD)
    assert watch.skipped == 0
