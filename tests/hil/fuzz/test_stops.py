import numpy as np
import pytest

from hil.fuzz.checker import check
from hil.fuzz.history import STOP, TRIP
from hil.fuzz.stops import brakings


def _first_stop(rows):
    return int(np.flatnonzero(rows["absent"])[0])


def _speeds_up(rows, k):
    rows["dq"][-2] = 1.1 * rows["dq"][-3]


def _never_ends(rows, k):
    rows["verdict"][k:] = STOP
    rows["at_rest"][k:] = False


def _goes_further(rows, k):
    rows["predicted"][k - 1] *= 0.9


def _goes_further_than_nothing(rows, k):
    rows["predicted"][k - 1] = np.nan


def _takes_longer(rows, k):
    rows["predicted_s"][k - 1] -= 0.02


def _rests_and_moves(rows, k):
    rows["dq"][-1, 3] = 1e-12


def _gives_way_to_a_candidate(rows, k):
    rows["verdict"][k] = TRIP


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        ("stop_speeds_up", _speeds_up),
        ("stop_not_ended", _never_ends),
        ("stop_longer", _goes_further),
        ("stop_longer", _goes_further_than_nothing),
        ("stop_later", _takes_longer),
        ("rest_moves", _rests_and_moves),
        ("stop_left", _gives_way_to_a_candidate),
    ],
)
def test_a_planted_fault_of_a_stop_is_found(slow, kind, spoil):
    history, bounds = slow
    spoil(history.rows, _first_stop(history.rows))
    assert check(history, bounds).counts[kind]


def test_a_stop_that_takes_its_time_is_found(slow):
    history, bounds = slow
    rows, k = history.rows, _first_stop(history.rows)
    stretched = np.repeat(rows[k:-1], 6)
    stretched["dq"] /= 6.0
    history.rows = np.concatenate([rows[:k], stretched, rows[-1:]])
    assert check(history, bounds).counts["stop_slow"]


def test_every_stop_is_seen_with_the_command_before_it(slow):
    history, _ = slow
    (stop,) = brakings(history)
    assert (stop.before, stop.first) == (_first_stop(history.rows) - 1, _first_stop(history.rows))
    assert stop.ended
    assert stop.last == len(history.rows) - 1


def test_least_stop_time_is_the_jerk_limited_one(slow):
    _, bounds = slow
    dq = np.array([[0.5, 0, 0, 0, 0, 0, 0], [1e-4, 0, 0, 0, 0, 0, 0]])
    a, j = bounds.acceleration[0], bounds.jerk[0]
    assert bounds.stop_time(dq, np.zeros_like(dq)) == pytest.approx([0.5 / a + a / j, 2 * (1e-4 / j) ** 0.5])
    # An acceleration is taken back first, and has gained speed by then.
    ddq = np.array([[a, 0, 0, 0, 0, 0, 0]])
    assert bounds.stop_time(dq[:1], ddq) == pytest.approx([a / j + (0.5 + a * a / (2 * j)) / a + a / j])
