"""What a hand is told is checked before anything is sent; every refusal names the value and what is allowed."""

import math

import numpy as np
import pytest

from drivers.franka.hand_command import (
    HOMING_S,
    MAX_FORCE_N,
    MAX_SPEED_M_S,
    WIDTH_TOLERANCE_M,
    HandCommand,
    hand_command,
)
from runtime.rows import REQUEST, RequestKind

MOVE, GRASP, HOMING = RequestKind.HAND_MOVE, RequestKind.HAND_GRASP, RequestKind.HAND_HOMING
MAX_WIDTH_M = 0.078  # what homing found


def _request(kind, values=()):
    row = np.zeros(1, REQUEST)[0]
    row["kind"] = kind
    row["values"][: len(values)] = values
    return row


GOOD_GRASP = (0.03, 0.05, 20.0, 0.005, 0.005)
ABOVE = math.nextafter(MAX_WIDTH_M + WIDTH_TOLERANCE_M, 1.0)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (HOMING, ()),
        (MOVE, (0.0, 0.01)),
        (MOVE, (MAX_WIDTH_M + WIDTH_TOLERANCE_M, MAX_SPEED_M_S)),
        (GRASP, GOOD_GRASP),
        (GRASP, (0.0, MAX_SPEED_M_S, MAX_FORCE_N, 0.0, 0.08)),
    ],
)
def test_a_good_request_becomes_the_librarys_arguments_unchanged(kind, values):
    command = hand_command(_request(kind, values), MAX_WIDTH_M)
    assert isinstance(command, HandCommand)
    assert (command.kind, command.arguments) == (kind, values)
    assert command.limit_s == HOMING_S or command.limit_s > MAX_WIDTH_M / values[1]
    assert command.text


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, -1e-9, 1e9])
@pytest.mark.parametrize(
    ("kind", "index", "name"),
    [
        (MOVE, 0, "width"),
        (MOVE, 1, "speed"),
        (GRASP, 0, "width"),
        (GRASP, 1, "speed"),
        (GRASP, 2, "force"),
        (GRASP, 3, "epsilon_inner"),
        (GRASP, 4, "epsilon_outer"),
    ],
)
def test_every_value_that_is_no_number_or_out_of_range_is_refused_by_name(kind, index, name, bad):
    values = list(GOOD_GRASP[: 2 if kind is MOVE else 5])
    values[index] = bad
    refusal = hand_command(_request(kind, values), MAX_WIDTH_M)
    assert isinstance(refusal, str)
    assert refusal.startswith(f"{name} {bad:g} ")
    assert "allowed is" in refusal


@pytest.mark.parametrize(
    ("kind", "values"),
    [(MOVE, (ABOVE, 0.1)), (MOVE, (0.04, 0.0)), (MOVE, (0.04, 0.1000001)), (GRASP, (0.03, 0.05, 0.0, 0.0, 0.0)),
     (GRASP, (0.03, 0.05, 70.0001, 0.0, 0.0))],
)  # fmt: skip
def test_a_step_beyond_each_limit_is_refused(kind, values):
    assert isinstance(hand_command(_request(kind, values), MAX_WIDTH_M), str)


@pytest.mark.parametrize("unknown", [math.nan, 0.0])
def test_before_homing_the_travel_is_the_limit(unknown):
    assert isinstance(hand_command(_request(MOVE, (0.08, 0.1)), unknown), HandCommand)
    assert isinstance(hand_command(_request(MOVE, (0.0811, 0.1)), unknown), str)
