import pytest

from runtime.gate.reasons import Reason
from runtime.gate.windows import Windows

PERIOD_NS, HERE = 5_000_000, (0.0, 0.0, 0.0)
WINDOW_NS = 250_000_000


def test_rate_at_its_cap():
    windows = Windows(PERIOD_NS, 1.0)
    assert windows.most == 61  # 1.2 times 50, and one
    assert Windows(1_000_000, 1.0).most == 301
    for number in range(61):
        assert windows.check_rate(number) is None
        windows.add(number, HERE)
    assert windows.check_rate(61) == (Reason.RATE, 62, 61, 0)


def test_what_is_older_than_the_window_no_longer_counts():
    windows = Windows(PERIOD_NS, 1.0)
    for _ in range(61):
        windows.add(1000, HERE)
    assert windows.check_rate(1000 + WINDOW_NS - 1) is not None
    assert windows.check_rate(1000 + WINDOW_NS) is None
    assert len(windows.sent) == 0


def test_way_at_its_limit():
    windows = Windows(PERIOD_NS, 0.5)
    assert windows.check_way((9.0, 0.0, 0.0)) is None  # nothing was sent yet: no way
    windows.add(0, HERE)
    assert windows.check_way((0.5, 0.0, 0.0)) is None
    assert windows.check_way((0.5625, 0.0, 0.0)) == (Reason.WINDOW, 0.5625, 0.5, 0)
    assert windows.check_way((float("nan"), 0.0, 0.0)) is not None


def test_to_and_fro_is_way_too():
    windows = Windows(PERIOD_NS, 0.5)
    windows.add(0, HERE)
    windows.add(1, (0.25, 0.0, 0.0))
    assert windows.check_way(HERE) is None
    windows.add(2, HERE)
    assert windows.check_way((0.0, 0.0, 0.125)) == (Reason.WINDOW, 0.625, 0.5, 0)


def test_way_before_the_window_no_longer_counts():
    windows = Windows(PERIOD_NS, 0.5)
    windows.add(0, HERE)
    windows.add(1, (0.4, 0.0, 0.0))
    windows.check_rate(WINDOW_NS)
    assert windows.check_way((0.8, 0.0, 0.0)) is None
    assert windows.check_way((0.95, 0.0, 0.0)).value == pytest.approx(0.55)


def test_what_was_undone_does_not_count():
    windows = Windows(PERIOD_NS, 0.5)
    windows.add(0, HERE)
    windows.add(1, (0.4, 0.0, 0.0))
    windows.undo()
    assert windows.check_way((0.5, 0.0, 0.0)) is None


def test_reset_forgets():
    windows = Windows(PERIOD_NS, 0.5)
    windows.add(0, HERE)
    windows.reset()
    assert windows.check_way((9.0, 0.0, 0.0)) is None
