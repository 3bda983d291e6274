"""The checker finds every planted violation by its name and first row, and nothing in a clean history."""

import numpy as np
import pytest

from hil.robot_log import ROBOT_ROW
from hil.schedules.checker import CHECKS, REST_MS, check
from hil.schedules.history import Act, History, RobotLimits

LIMITS = RobotLimits(np.full(7, -2.0), np.full(7, 2.0), np.full(7, 1.5), np.full(7, 10.0))
START, STOP = 500, 2500  # rows at which motion is asked for, and stopped


def clean_rows():
    """Rest, then a trapezoid of joint 1 that is commanded every millisecond, then rest again."""
    rows = np.zeros(7000, ROBOT_ROW)
    rows["robot_time_ms"] = np.arange(len(rows)) + 1000
    rows["mode"], rows["client"] = 1, 1
    k = np.arange(len(rows))
    speed = np.clip(np.minimum((k - 600) * 1e-3, (2800 - k) * 1e-3), 0, 0.3)  # 1 rad/s2
    rows["dq_d"][:, 0] = rows["dq"][:, 0] = speed
    rows["ddq_d"][:, 0] = np.gradient(speed) * 1e3
    rows["q_d"][:, 0] = rows["q"][:, 0] = np.cumsum(speed) * 1e-3
    moving = (k >= 550) & (k < 2850)
    rows["moving"], rows["mode"][moving] = moving, 2
    rows["commands"] = np.cumsum(moving)
    return rows


def history_of(rows, lost=0):
    acts = (Act(0, "start"), Act(START * 10, "swing", moves=True), Act(STOP * 10, "stop", stops=True))
    return History(rows, np.arange(len(rows)) * 10, lost, acts)


def test_a_clean_history_breaks_nothing():
    assert check(history_of(clean_rows()), LIMITS) == []


def _repeat_time(rows):
    rows["robot_time_ms"][3000:] -= 1


def _count_twice(rows):
    rows["commands"][1500:] += 1


def _count_back(rows):
    rows["commands"][1500:] -= 5


def _command_without_client(rows):
    rows["client"][1990:2010] = 0


def _leave_the_box(rows):
    rows["q"][1200, 3] = 2.001


def _nan_position(rows):
    rows["q_d"][1200, 3] = np.nan


def _too_fast(rows):
    rows["dq_d"][1200, 0] = 1.51


def _nan_velocity(rows):
    rows["dq_d"][1200, 0] = np.nan


def _too_sharp(rows):
    rows["ddq_d"][1200, 5] = -10.1


def _faster_without_commands(rows):
    rows["commands"][700:2850] = rows["commands"][700]
    rows["commands"][2850:] = rows["commands"][700]


def _long_brake(rows):
    rows["moving"][1000:] = 0
    rows["mode"][1000:3000] = 4
    rows["commands"][1000:] = rows["commands"][1000]


def _unasked(rows):
    rows["dq_d"][STOP + REST_MS + 10 : STOP + REST_MS + 20, 2] = 0.006


def _before_asking(rows):
    rows["dq_d"][400:410, 2] = 0.006


def _never_rests(rows):
    rows["dq"][-1, 6] = 0.003


PLANTED = [
    (_repeat_time, "the log is complete and robot time steps by one", 3000),
    (_count_twice, "at most one command acts per millisecond", 1500),
    (_count_back, "at most one command acts per millisecond", 1500),
    (_command_without_client, "only a connected client commands", 1991),
    (_leave_the_box, "positions inside the robot's limits", 1200),
    (_nan_position, "positions inside the robot's limits", 1200),
    (_too_fast, "velocities inside the robot's limits", 1200),
    (_nan_velocity, "velocities inside the robot's limits", 1200),
    (_too_sharp, "accelerations inside the robot's limits", 1200),
    (_faster_without_commands, "no command for longer than the watchdog: only slower", 721),
    (_long_brake, "a motion that ends by itself brakes within the predicted distance", 1000),
    (_unasked, "nothing moves unasked, or long after a stop", STOP + REST_MS + 10),
    (_before_asking, "nothing moves unasked, or long after a stop", 400),
    (_never_rests, "at rest in the end", 6999),
]


@pytest.mark.parametrize(("plant", "name", "row"), PLANTED, ids=[one[0].__name__ for one in PLANTED])
def test_a_planted_violation_is_found_by_name_and_first_row(plant, name, row):
    rows = clean_rows()
    plant(rows)
    found = {violation.check: violation for violation in check(history_of(rows), LIMITS)}
    assert name in found
    assert found[name].row == row
    assert found[name].robot_time_ms == rows["robot_time_ms"][row]


def test_lost_rows_make_a_history_worthless():
    assert "3 rows" in check(history_of(clean_rows(), lost=3), LIMITS)[0].text


def test_every_check_has_been_seen_to_fail():
    assert {name for _, name, _ in PLANTED} == set(CHECKS)
