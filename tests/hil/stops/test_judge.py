"""Reaction, stop time and distance are read off the log as they are, and a motion that goes on is no stop."""

import math

import numpy as np
import pytest

from hil.robot_log import ROBOT_ROW
from hil.stops.judge import Bound, judge

BRAKE_AT, DECELERATION = 140, 5.0  # the last valid command is at row 100


def rows_of(speed):
    rows = np.zeros(len(speed), ROBOT_ROW)
    rows["robot_time_ms"] = 5000 + np.arange(len(speed))
    rows["moving"] = 1
    rows["dq"][:, 2] = rows["dq_d"][:, 2] = speed
    rows["ddq_d"][:, 2] = np.diff(speed, prepend=speed[0]) * 1e3
    rows["q"][:, 2] = rows["q_d"][:, 2] = np.cumsum(speed) * 1e-3
    return rows


def braking(sign=1.0):
    k = np.arange(600)
    return sign * np.clip(0.5 - DECELERATION * 1e-3 * (k - BRAKE_AT + 1), 0.0, 0.5)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_stop_is_measured_in_robot_time(sign):
    rows = rows_of(braking(sign))
    stop = judge(rows, np.arange(600) * 2_000_000, last_command_ns=100 * 2_000_000 + 1)
    assert stop.reaction_ms == BRAKE_AT - 100, "the stamps run at half the speed of robot time"
    assert stop.stop_ms == pytest.approx(0.5 / DECELERATION * 1e3, abs=2)
    assert stop.distance_rad == pytest.approx(0.5 * 0.040 + 0.5**2 / (2 * DECELERATION), abs=2e-3)
    assert stop.speed_rad_s == 0.5
    assert stop.at_rest


def test_a_motion_that_goes_on_is_no_stop():
    stop = judge(rows_of(np.full(600, 0.5)), np.arange(600), last_command_ns=100)
    assert math.isnan(stop.reaction_ms)
    assert not stop.at_rest


def test_a_motion_that_the_robot_gave_up_brakes_from_there():
    rows = rows_of(braking())
    rows["moving"][120:] = 0
    assert judge(rows, np.arange(600), last_command_ns=100).reaction_ms == 20


def test_the_predicted_distance_grows_with_everything_that_makes_it_longer():
    base = Bound(0.055, 5.0, 2500.0, 0.5)
    assert base.distance_rad == pytest.approx(0.5 * 0.055 + 0.5**2 / 10 + 0.5 * 5 / 5000)
    for longer in (Bound(0.1, 5.0, 2500.0, 0.5), Bound(0.055, 2.5, 2500.0, 0.5), Bound(0.055, 5.0, 2500.0, 0.6)):
        assert longer.distance_rad > base.distance_rad
