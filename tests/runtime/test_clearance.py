"""Distances against those of an independent implementation over the whole joint space."""

import numpy as np
import pytest

from hil.scenes import fr3
from runtime.cell import Box, HalfSpace, Workspace
from runtime.clearance import Clearance, PairKind
from runtime.robot import HAND_LINK, RobotModel

WORKSPACE = Workspace(
    half_spaces=(HalfSpace(name="table", normal=(0.0, 0.0, 1.0), offset_m=0.01),),
    keep_out=(Box(name="shelf", center_m=(0.5, 0.2, 0.4), size_m=(0.2, 0.3, 0.1)),),
)
CLEARANCE_M = 0.02


@pytest.fixture(scope="module")
def robot() -> RobotModel:
    return RobotModel.from_urdf(fr3.urdf(), fr3.T_flange_ee_hand(), hand=True)


def ends(robot: RobotModel, q: np.ndarray) -> list[tuple[int, bool, float, np.ndarray, np.ndarray]]:
    """(joint, tool, radius, start, end) of every capsule in the base frame."""
    T, frames = np.eye(4), [np.eye(4)]
    for joint, angle in zip(fr3.JOINT_TABLE, q, strict=True):
        c, s = np.cos(angle), np.sin(angle)
        T = T @ joint.T_parent_joint() @ np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        frames.append(T)
    flange = np.eye(4)
    flange[2, 3] = fr3.FLANGE_OFFSET_M
    frames.append(T @ flange)
    found = []
    for one in robot.capsules:
        link = 8 if one.link == HAND_LINK else int(one.link[4:])
        R, p = frames[link][:3, :3], frames[link][:3, 3]
        found.append((min(link, 7), one.link == HAND_LINK, one.radius_m, R @ one.start_m + p, R @ one.end_m + p))
    return found


def segment_distance(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> float:
    """By alternating projections: the squared distance is convex in both parameters."""
    s = t = 0.5
    u, v = b - a, d - c
    for _ in range(2000):
        before = (s, t)
        t = min(1.0, max(0.0, float((a + s * u - c) @ v / (v @ v))))
        s = min(1.0, max(0.0, float((c + t * v - a) @ u / (u @ u))))
        if abs(s - before[0]) + abs(t - before[1]) < 1e-13:
            break
    return float(np.linalg.norm(a + s * u - c - t * v))


def box_distance(a: np.ndarray, b: np.ndarray, box: Box) -> float:
    t = np.linspace(0.0, 1.0, 2001)[:, None]
    apart = np.abs(a + t * (b - a) - np.array(box.center_m)) - np.array(box.size_m) / 2
    return float(np.linalg.norm(np.maximum(apart, 0.0), axis=1).min())


def slack(robot: RobotModel, q: np.ndarray) -> float:
    bodies = ends(robot, q)
    rooms = []
    for i, (joint, tool, radius, a, b) in enumerate(bodies):
        for other, other_tool, other_radius, c, d in bodies[i + 1 :]:
            if other - joint > (1 if tool or other_tool else 2):
                rooms.append(segment_distance(a, b, c, d) - radius - other_radius - CLEARANCE_M)
        if joint > 1:
            rooms.append(min(a[2], b[2]) - 0.01 - radius - (0.0 if tool else CLEARANCE_M))
            rooms.append(box_distance(a, b, WORKSPACE.keep_out[0]) - radius - CLEARANCE_M)
    return min(rooms)


def test_the_room_is_that_of_an_independent_calculation(robot):
    clearance, rng = Clearance(robot, WORKSPACE, CLEARANCE_M), np.random.default_rng(4)
    near = 0
    for _ in range(60):
        q = rng.uniform(fr3.LOWER_RAD, fr3.UPPER_RAD)
        want = slack(robot, q)
        if want > -CLEARANCE_M:  # inside each other how deep is a matter of definition
            near += 1
            assert clearance.slack(q.tolist())[0] == pytest.approx(want, abs=1e-5)
        else:
            assert clearance.slack(q.tolist())[0] < 0.0
    assert near > 20


def test_more_than_fifty_pairs_are_watched_and_named(robot):
    clearance = Clearance(robot, WORKSPACE, CLEARANCE_M)
    assert len(clearance) == len(clearance.names) > 50
    assert sum(kind is PairKind.SELF for kind in clearance.kinds) > 50
    _, index = clearance.slack([0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785])
    assert " and " in clearance.names[index]


def test_home_is_clear_and_a_fold_into_the_base_is_not(robot):
    clearance = Clearance(robot, Workspace(), CLEARANCE_M)
    assert clearance.slack([0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785])[0] > 0.0
    assert clearance.slack([0.0, 1.3, 0.0, -3.0, 0.0, 1.0, 0.0])[0] < 0.0


def test_the_tool_may_go_down_to_the_surface_but_links_keep_off(robot):
    q = [0.0, 0.6, 0.0, -2.0, 0.0, 2.6, 0.785]
    low = min(min(a[2], b[2]) - radius for _, tool, radius, a, b in ends(robot, np.array(q)) if tool)
    floor = Workspace(half_spaces=(HalfSpace(name="floor", normal=(0.0, 0.0, 1.0), offset_m=low - 0.005),))
    room, index = Clearance(robot, floor, CLEARANCE_M).slack(q)
    assert room == pytest.approx(0.005, abs=1e-6)
    assert Clearance(robot, floor, CLEARANCE_M).kinds[index] is PairKind.HALF_SPACE
