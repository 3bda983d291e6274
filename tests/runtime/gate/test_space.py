from types import SimpleNamespace

import pytest

from runtime.cell import Box, HalfSpace, Workspace
from runtime.gate.reasons import Reason
from runtime.gate.space import DIP_M, Room, Space, check_room, inside
from runtime.kinematics import Kinematics

UNIT = SimpleNamespace(center_m=(0.0, 0.0, 0.0), size_m=(2.0, 4.0, 6.0))
FAR = SimpleNamespace(center_m=(10.0, 0.0, 0.0), size_m=(1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("point", "depth"),
    [((0.0, 0.0, 0.0), 1.0), ((0.75, 0.0, 0.0), 0.25), ((-0.75, 0.0, 0.0), 0.25), ((0.0, 1.5, 0.0), 0.5),
     ((0.0, 0.0, -2.75), 0.25), ((1.0, 0.0, 0.0), 0.0), ((1.5, 0.0, 0.0), -0.5), ((0.0, -3.0, 0.0), -1.0)],
)  # fmt: skip
def test_depth_in_a_box(point, depth):
    assert inside(point, [UNIT]) == depth
    assert inside(point, [FAR, UNIT]) == depth


def test_room_at_its_limit_and_for_an_arm_that_stands_too_near():
    for slack, before, ok in [
        (0.0, 1.0, True),
        (-1e-9, 1.0, False),
        (-0.25, -0.25, True),
        (-0.125, -0.25, True),
        (-0.5, -0.25, False),
    ]:
        found = check_room(Room(slack, Reason.CLEARANCE, 5), before)
        assert found == (None if ok else (Reason.CLEARANCE, -slack, -min(0.0, before), 5))
    assert check_room(Room(float("nan"), Reason.CLEARANCE, 5), 1.0) is not None


def tcp_at(robot, q):
    kinematics = Kinematics(robot)
    kinematics.set(q, [0.0] * 7)
    return kinematics.tcp()


def test_without_a_workspace_only_the_arm_itself_counts(robot, home):
    space = Space(robot, Workspace(), 0.02)
    room = space.room(home, tcp_at(robot, home))
    assert room.reason is Reason.CLEARANCE
    assert room.slack == space.clearance.slack(home)[0] - DIP_M
    assert room.where == space.clearance.slack(home)[1]


def test_the_nearest_of_all_decides(robot, home):
    x, y, z = tcp_at(robot, home)
    tight = Box(name="tight", center_m=(x, y, z), size_m=(0.02, 0.02, 0.02))
    room = Space(robot, Workspace(inside=(tight,)), 0.02).room(home, (x, y, z))
    assert room == (pytest.approx(0.01 - DIP_M), Reason.OUTSIDE_WORKSPACE, 0)
    wide = Box(name="wide", center_m=(x, y, z), size_m=(9.0, 9.0, 9.0))
    assert Space(robot, Workspace(inside=(wide,)), 0.02).room(home, (x, y, z)).reason is Reason.CLEARANCE


def test_walls_and_keep_outs_are_named(robot, home):
    x, y, z = tcp_at(robot, home)
    floor = HalfSpace(name="floor", normal=(0.0, 0.0, 1.0), offset_m=z - 0.05)
    assert Space(robot, Workspace(half_spaces=(floor,)), 0.02).room(home, (x, y, z)).reason is Reason.HALF_SPACE
    block = Box(name="block", center_m=(x + 0.1, y, z), size_m=(0.1, 0.1, 0.1))
    assert Space(robot, Workspace(keep_out=(block,)), 0.02).room(home, (x, y, z)).reason is Reason.KEEP_OUT
