"""The checker's own geometry against coal, which the gate uses."""

import coal
import numpy as np
import pinocchio as pin
import pytest

from hil.fuzz.arm import CheckedArm, segment_angle_free
from hil.fuzz.bounds import emulated_hand
from hil.fuzz.distance import Surroundings, between_segments, point_to_box, segment_to_box
from hil.scenes import fr3
from runtime.cell import Box, HalfSpace

BOX = Box(name="box", center_m=(0.1, -0.2, 0.3), size_m=(0.2, 0.4, 0.6))


def _capsule(start, end):
    turn = pin.Quaternion.FromTwoVectors(np.array([0.0, 0.0, 1.0]), end - start).toRotationMatrix()
    return coal.Capsule(1e-9, float(np.linalg.norm(end - start))), coal.Transform3s(turn, (start + end) / 2)


def _coal(first, second):
    request, result = coal.DistanceRequest(), coal.DistanceResult()
    return coal.distance(first[0], first[1], second[0], second[1], request, result)


def test_segments_are_as_far_apart_as_coal_says():
    rng = np.random.default_rng(1)
    p1, q1, p2, q2 = rng.uniform(-1, 1, (4, 200, 3))
    q2[:50] = p2[:50] + (q1 - p1)[:50] * rng.uniform(-1, 1, (50, 1))  # parallel ones
    mine = between_segments(p1, q1, p2, q2)
    theirs = [_coal(_capsule(p1[k], q1[k]), _capsule(p2[k], q2[k])) for k in range(200)]
    assert mine == pytest.approx(np.maximum(theirs, 0), abs=2e-6)


def test_boxes_are_as_far_as_coal_says():
    rng = np.random.default_rng(2)
    start, end = rng.uniform(-1, 1, (2, 200, 3))
    box = coal.Box(*BOX.size_m), coal.Transform3s(np.eye(3), np.array(BOX.center_m))
    mine = segment_to_box(start, end, BOX)
    theirs = np.array([_coal(_capsule(start[k], end[k]), box) for k in range(200)])
    assert mine[theirs > 0] == pytest.approx(theirs[theirs > 0], abs=2e-6)
    assert (mine[theirs <= 0] <= 1e-9).all()


def test_inside_a_box_the_distance_is_the_depth():
    points = np.array([BOX.center_m, (0.1, -0.2, 0.59), (0.1, -0.2, 0.7)])
    assert point_to_box(points, BOX) == pytest.approx([-0.1, -0.01, 0.1])


def test_hand_may_touch_a_half_space_and_links_may_not():
    arm = CheckedArm(fr3.urdf(), fr3.T_flange_ee_hand(), emulated_hand())
    floor = HalfSpace(name="floor", normal=(0.0, 0.0, 1.0), offset_m=0.0)
    q = np.random.default_rng(5).uniform(arm.lower, arm.upper, (300, 7))
    frames = arm.frames(q)
    lowest = {True: np.full(300, np.inf), False: np.full(300, np.inf)}
    for one in arm.segments:
        if one.joint > 1:
            start, end = arm.place(frames, one)
            lowest[one.tool] = np.minimum(lowest[one.tool], np.minimum(start, end)[:, 2] - one.radius_m)
    free = Surroundings(arm, (), (), 0.02).worst(frames)[0]
    slack = Surroundings(arm, (floor,), (), 0.02).worst(frames)[0]
    wanted = np.minimum(free, np.minimum(lowest[True], lowest[False] - 0.02))
    assert slack == pytest.approx(wanted)
    assert (lowest[True] < lowest[False]).any()


def test_self_pairs_are_those_that_can_meet():
    arm = CheckedArm(fr3.urdf(), fr3.T_flange_ee_hand(), emulated_hand())
    for first in arm.segments:
        assert not segment_angle_free(first, first)
    pairs = Surroundings(arm, (), (), 0.02).pairs
    assert len(pairs) > 50
    assert any(first.joint == 5 and second.tool for first, second in pairs)
    assert not any(abs(first.joint - second.joint) < 2 for first, second in pairs)
