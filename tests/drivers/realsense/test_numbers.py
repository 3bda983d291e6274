import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.realsense.numbers import FrameNumbers, Kind


def judged(*pairs):
    numbers = FrameNumbers()
    return [numbers.judge(*pair) for pair in pairs]


@pytest.mark.parametrize(
    ("pairs", "kinds", "missing"),
    [
        ([(5, 5), (6, 6)], [Kind.NEW, Kind.NEW], [0, 0]),
        ([(5, 5), (8, 8)], [Kind.NEW, Kind.NEW], [0, 2]),
        ([(5, 5), (5, 6), (6, 6)], [Kind.NEW, Kind.REPEATED, Kind.NEW], [0, 0, 0]),
        ([(5, 5), (5, 5), (5, 5)], [Kind.NEW, Kind.DUPLICATE, Kind.REPEATED], [0, 0, 0]),
        ([(5, 5), (7, 7), (6, 6), (8, 8)], [Kind.NEW, Kind.NEW, Kind.OUT_OF_ORDER, Kind.NEW], [0, 1, 0, 0]),
        ([(5, None), (6, None), (6, None)], [Kind.NEW, Kind.NEW, Kind.DUPLICATE], [0, 0, 0]),
        ([(0, 0), (1, 1)], [Kind.NEW, Kind.NEW], [0, 0]),
    ],
)
def test_kinds_and_missing_counts(pairs, kinds, missing):
    verdicts = judged(*pairs)
    assert [verdict.kind for verdict in verdicts] == kinds
    assert [verdict.missing for verdict in verdicts] == missing


def test_depth_is_new_once():
    assert [verdict.depth_new for verdict in judged((5, 5), (6, 5), (7, 6), (8, None))] == [True, False, True, False]


def test_depth_seen_ahead_of_its_colour_is_still_new_with_it():
    assert [verdict.depth_new for verdict in judged((5, 5), (5, 6), (6, 6))] == [True, False, True]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30))))
def test_served_numbers_rise_and_what_is_missing_adds_up(pairs):
    numbers, served, missing = FrameNumbers(), [], 0
    for color, depth in pairs:
        verdict = numbers.judge(color, depth)
        if verdict.kind is Kind.NEW:
            served.append(color)
            missing += verdict.missing
    assert served == sorted(set(served))
    if served:
        assert missing == served[-1] - served[0] + 1 - len(served)
