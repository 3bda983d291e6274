"""The fault table: every row can be asked for by name, wrong asks are refused with what is allowed."""

import math

import pytest

from hil.fci.errors import ErrorFlag
from hil.fci.faults import FAULTS, Fault, FaultError, make_fault


class Recorder:
    """Notes which method of the arm a fault calls, with what."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *arguments: self.calls.append((name, *arguments))


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_does_one_thing_with_its_defaults(name):
    arm = Recorder()
    make_fault(name).apply(arm)
    assert len(arm.calls) == 1


def test_every_error_flag_is_a_fault_of_its_own():
    for flag in ErrorFlag:
        arm = Recorder()
        make_fault(flag.name.lower()).apply(arm)
        assert arm.calls == [("reflex", flag)]


def test_given_arguments_reach_the_arm_and_the_rest_is_default():
    arm = Recorder()
    make_fault("lose_states", fraction=0.5, seed=9).apply(arm)
    assert arm.calls == [("lose_states", 0.5, 1500, 9)]


def test_fault_is_told_in_words():
    assert str(make_fault("late_states", 100, delay_ms=7)) == "late_states delay_ms=7 duration_ms=1500"
    assert make_fault("late_states", 100) == Fault("late_states", (("delay_ms", 5), ("duration_ms", 1500)), 100)


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("joint_reflexx", {}, "known are .*joint_reflex"),
        ("push", {"mass": 1.0}, "takes no 'mass': it takes link, force_x_n"),
        ("user_stop", {"x": 1.0}, "no arguments"),
        ("push", {"link": 0}, "link = 0: allowed 1 to 8"),
        ("push", {"link": 2.5}, "whole number"),
        ("push", {"force_x_n": math.nan}, "force_x_n = nan: allowed -500 to 500 N"),
        ("silence", {"duration_ms": -1}, "duration_ms"),
    ],
)
def test_wrong_ask_is_refused_with_what_is_allowed(name, values, says):
    with pytest.raises(FaultError, match=says):
        make_fault(name, **values)


def test_time_before_the_robots_is_refused():
    with pytest.raises(FaultError, match="must not be negative"):
        make_fault("user_stop", -1)
