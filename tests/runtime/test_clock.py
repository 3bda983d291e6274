"""Clocks go forward only."""

import pytest

from runtime.clock import ManualClock, MonotonicClock
from runtime.ticker import Grid


def test_the_manual_clock_moves_only_when_told():
    clock = ManualClock(5)
    assert clock.now_ns() == clock.now_ns() == 5
    assert clock.advance(10) == clock.now_ns() == 15
    with pytest.raises(ValueError, match="cannot go back"):
        clock.advance(-1)


def test_the_monotonic_clock_does_not_go_back():
    clock = MonotonicClock()
    stamps = [clock.now_ns() for _ in range(1000)]
    assert stamps == sorted(stamps)


def test_an_overrun_skips_slots_and_never_bursts():
    grid = Grid(period_ns=10, start_ns=100)
    assert grid.advance(100) == 110
    assert grid.advance(109) == 120
    assert grid.advance(157) == 160
    assert grid.skipped == 3
    assert grid.advance(160) == 170
    assert grid.advance(180) == 190
    assert grid.skipped == 4
