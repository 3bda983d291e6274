import math
from dataclasses import replace

import numpy as np
import pytest

from drivers.franka.command import Command
from drivers.franka.last_word import (
    MAX_PERIOD_NS,
    MAX_POSE_STEP_M,
    MAX_POSE_STEP_RAD,
    MAX_STATE_AGE_NS,
    MIN_PERIOD_NS,
    STEP_MARGIN,
    LastWord,
)
from drivers.franka.limits import JointLimits
from drivers.franka.view import RobotView
from runtime.rows import CommandMode, RejectReason

NOW = 5_000_000_000
ENABLED = 4_000_000_000
PERIOD = 5_000_000
MAX_AGE = 50_000_000
HOME = (0.0, -0.8, 0.0, -2.3, 0.0, 1.6, 0.8)
LIMITS = JointLimits(
    (-2.7, -1.7, -2.9, -3.0, -2.8, 0.5, -3.0),
    (2.7, 1.7, 2.9, -0.15, 2.8, 4.5, 3.0),
    (2.0,) * 7,
    (87.0,) * 7,
    (0.3,) * 7,
    (6.0,) * 7,
    (10.0,) * 7,
    (5000.0,) * 7,
)
STEP = STEP_MARGIN * 2.0 * 2 * PERIOD / 1e9  # limit velocity, since the last row and until the next


def last_word(mode=CommandMode.JOINT_VELOCITY):
    return LastWord(LIMITS, 0.2, MAX_AGE, mode=mode, generation=3, session=77, enabled_ns=ENABLED)


def view(**fields):
    return RobotView(q=HOME, q_d=HOME, advanced_ns=NOW, **fields)


def command(**fields):
    return replace(
        Command(
            9, 77, NOW, 3, 1, CommandMode.JOINT_VELOCITY, HOME, (0.0,) * 7, (0.0,) * 7, np.eye(4), PERIOD, NOW + PERIOD
        ),
        **fields,
    )


def with_joint(joint, value, base=HOME):
    return tuple(value if index == joint else other for index, other in enumerate(base))


def turned(angle, x=0.0):
    T = np.eye(4)
    T[:2, :2] = (math.cos(angle), -math.sin(angle)), (math.sin(angle), math.cos(angle))
    T[0, 3] = x
    return T


def test_a_row_within_every_limit_acts():
    word = last_word()
    assert word.check(command(), view(), NOW) is RejectReason.NONE
    assert word.rejected == 0


BOUNDARIES = [
    # What is allowed to the digit, what is just beyond, and the reason.
    ({"session": 77}, {"session": 78}, RejectReason.SESSION),
    ({"stamp_ns": NOW}, {"stamp_ns": ENABLED - 1}, RejectReason.BEFORE_ENABLE),
    ({"generation": 3}, {"generation": 2}, RejectReason.GENERATION),
    ({"mode": 1}, {"mode": 2}, RejectReason.MODE),
    ({"valid_until_ns": NOW}, {"valid_until_ns": NOW - 1}, RejectReason.EXPIRED),
    ({"stamp_ns": NOW - MAX_AGE}, {"stamp_ns": NOW - MAX_AGE - 1}, RejectReason.EXPIRED),
    ({"period_ns": MIN_PERIOD_NS}, {"period_ns": MIN_PERIOD_NS - 1}, RejectReason.PERIOD),
    ({"period_ns": MAX_PERIOD_NS}, {"period_ns": MAX_PERIOD_NS + 1}, RejectReason.PERIOD),
    ({}, {"q": with_joint(6, math.nan)}, RejectReason.NOT_FINITE),
    ({}, {"q": with_joint(0, math.inf)}, RejectReason.NOT_FINITE),
    ({}, {"dq": (0.0,) * 6 + (-math.inf,)}, RejectReason.NOT_FINITE),
    ({}, {"tau_ff": (math.nan,) + (0.0,) * 6}, RejectReason.NOT_FINITE),
    ({"dq": (2.0,) * 7}, {"dq": (0.0,) * 6 + (2.001,)}, RejectReason.VELOCITY),
    ({"dq": (-2.0,) * 7}, {"dq": (-2.001,) + (0.0,) * 6}, RejectReason.VELOCITY),
    ({"tau_ff": (87.0,) * 7}, {"tau_ff": (0.0,) * 6 + (-87.1,)}, RejectReason.TORQUE),
    ({"q": with_joint(2, STEP * 0.999)}, {"q": with_joint(2, STEP * 1.001)}, RejectReason.STEP),
    ({"q": with_joint(2, -STEP * 0.999)}, {"q": with_joint(2, -STEP * 1.001)}, RejectReason.STEP),
]


@pytest.mark.parametrize(("allowed", "beyond", "reason"), BOUNDARIES)
def test_each_limit_holds_to_the_digit(allowed, beyond, reason):
    assert last_word().check(command(**allowed), view(), NOW) is RejectReason.NONE
    word = last_word()
    assert word.check(command(**beyond), view(), NOW) is reason
    assert (word.rejected, word.reason) == (1, reason)


@pytest.mark.parametrize("joint", range(7))
def test_position_limits_of_every_joint(joint):
    for limit, outward in ((LIMITS.lower_rad[joint], -1e-6), (LIMITS.upper_rad[joint], 1e-6)):
        at = with_joint(joint, limit)
        inside = RobotView(q=at, q_d=at, advanced_ns=NOW)
        assert last_word().check(command(q=at), inside, NOW) is RejectReason.NONE
        assert last_word().check(command(q=with_joint(joint, limit + outward)), inside, NOW) is RejectReason.POSITION


def test_no_row_acts_on_an_old_robot_state():
    fresh, old = view(), view()
    fresh.advanced_ns, old.advanced_ns = NOW - MAX_STATE_AGE_NS, NOW - MAX_STATE_AGE_NS - 1
    assert last_word().check(command(), fresh, NOW) is RejectReason.NONE
    assert last_word().check(command(), old, NOW) is RejectReason.STATE_OLD


def test_a_higher_generation_raises_the_floor_for_good():
    word = last_word()
    assert word.check(command(generation=5), view(), NOW) is RejectReason.NONE
    assert word.generation == 5
    assert word.check(command(generation=4), view(), NOW) is RejectReason.GENERATION
    assert word.check(command(generation=5), view(), NOW) is RejectReason.NONE


def test_steps_are_measured_from_the_last_accepted_row_not_from_a_refused_one():
    word = last_word()
    assert word.check(command(q=with_joint(0, 0.015)), view(), NOW) is RejectReason.NONE
    later = NOW + PERIOD
    row = command(stamp_ns=later, valid_until_ns=later)
    assert word.check(replace(row, q=with_joint(0, 0.1)), view(), later) is RejectReason.STEP
    assert word.check(replace(row, q=with_joint(0, 0.1)), view(), later) is RejectReason.STEP
    assert word.check(replace(row, q=with_joint(0, 0.03)), view(), later) is RejectReason.NONE


def test_a_long_silence_does_not_allow_a_jump():
    word = last_word()
    word.check(command(), view(), NOW)
    later = NOW + 40_000_000_000
    late = view()
    late.advanced_ns = later
    row = command(stamp_ns=later, valid_until_ns=later)
    assert word.check(replace(row, q=with_joint(0, 0.19)), late, later) is RejectReason.NONE
    assert last_word().check(command(q=with_joint(0, 0.21)), view(), NOW) is RejectReason.STEP
    assert word.check(replace(row, q=with_joint(0, 0.5)), late, later) is RejectReason.STEP


CARTESIAN = {"mode": CommandMode.CARTESIAN_IMPEDANCE, "period_ns": 50_000_000}


@pytest.mark.parametrize(
    ("T", "reason"),
    [
        (np.eye(4), RejectReason.NONE),
        (turned(0.0, MAX_POSE_STEP_M * 0.999), RejectReason.NONE),
        (turned(0.0, MAX_POSE_STEP_M * 1.001), RejectReason.STEP),
        (turned(0.99 * MAX_POSE_STEP_RAD), RejectReason.NONE),
        (turned(1.01 * MAX_POSE_STEP_RAD), RejectReason.STEP),
        (np.full((4, 4), np.nan), RejectReason.NOT_FINITE),
        (np.diag((1.0, 1.0, 1.1, 1.0)), RejectReason.POSE),
        (np.diag((1.0, 1.0, -1.0, 1.0)), RejectReason.POSE),
        (np.zeros((4, 4)), RejectReason.POSE),
    ],
)
def test_poses(T, reason):
    word = last_word(CommandMode.CARTESIAN_IMPEDANCE)
    assert word.check(command(T_base_ee=T, **CARTESIAN), view(), NOW) is reason


def test_pose_steps_are_bounded_by_the_speed_of_the_tool():
    word = last_word(CommandMode.CARTESIAN_IMPEDANCE)
    fast = command(T_base_ee=turned(0.0, 0.04), **(CARTESIAN | {"period_ns": PERIOD}))
    assert word.check(fast, view(), NOW) is RejectReason.STEP  # 3 m/s reach 0.036 m
    spin = command(T_base_ee=turned(0.04), **(CARTESIAN | {"period_ns": PERIOD}))
    assert word.check(spin, view(), NOW) is RejectReason.STEP  # 2.5 rad/s reach 0.03 rad
