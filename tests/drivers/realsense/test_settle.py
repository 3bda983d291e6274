import pytest

from drivers.realsense.settle import FRAMES, PATIENCE_NS, Settings, Settle, Settled

MS = 1_000_000


def answers(exposures, warmup_ms=0, step_ms=33):
    settle = Settle(0, warmup_ms * MS)
    return [
        settle.add(index * step_ms * MS, Settings(exposure, 64.0, 4600.0)) for index, exposure in enumerate(exposures)
    ]


def test_still_settings_are_settled_after_the_frames_needed():
    assert answers([100.0] * 10) == [Settled.NOT_YET] * (FRAMES - 1) + [Settled.YES] * (10 - FRAMES + 1)


def test_not_before_the_warm_up_is_over():
    assert answers([100.0] * 20, warmup_ms=500).index(Settled.YES) == 16  # 16 * 33 ms is the first after 500 ms


@pytest.mark.parametrize(("last", "expected"), [(105.0, Settled.YES), (106.0, Settled.NOT_YET)])
def test_a_spread_of_five_percent_is_still(last, expected):
    assert answers([100.0] * (FRAMES - 1) + [last])[-1] is expected


def test_settings_that_never_rest_end_the_patience():
    flicker = [100.0, 200.0] * 100
    found = answers(flicker, warmup_ms=200)
    assert Settled.YES not in found
    first = found.index(Settled.GAVE_UP)
    assert first * 33 * MS >= 200 * MS + PATIENCE_NS > (first - 1) * 33 * MS


def test_absent_settings_do_not_block():
    settle = Settle(0, 0)
    assert [settle.add(0, Settings(0.0, 0.0, 0.0)) for _ in range(FRAMES)][-1] is Settled.YES
