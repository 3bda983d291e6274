"""From a file to a motion: on its path, inside the limits, and refused with file, key, value and what is allowed."""

import numpy as np
import pinocchio as pin
import pytest

from hil.scenes.fr3 import urdf
from runtime.cell import load_cell
from runtime.robot import RobotModel
from runtime.sources.goto import MoveLimits
from runtime.sources.planning import Planner
from runtime.sources.waypoints import WaypointError, arm_of, load_waypoints

HOME = (0.0, -0.785398, 0.0, -2.356194, 0.0, 1.570796, 0.785398)
THERE = (0.3, -0.6, 0.2, -2.2, 0.1, 1.7, 0.9)
TCP_M_S = 0.15


@pytest.fixture(scope="module")
def robot():
    return RobotModel.from_urdf(urdf(), np.eye(4), hand=False)


@pytest.fixture(scope="module")
def tool(robot):
    model = robot.model()
    data = model.createData()
    frame = model.getFrameId("ee")

    def pose(q):
        pin.framesForwardKinematics(model, data, np.array(q))
        return data.oMf[frame].copy()

    return pose


@pytest.fixture(scope="module")
def planner(robot, tool):
    limits = MoveLimits(
        (1.0,) * 7, (3.0,) * 7, (500.0,) * 7, lambda q: (tuple(tool(q).translation.tolist()),), (TCP_M_S,)
    )
    return Planner(robot, limits, robot.lower, robot.upper, HOME, "there.yaml")


@pytest.fixture
def write(tmp_path):
    def make(text):
        path = tmp_path / "there.yaml"
        path.write_text("schema: sinew.waypoints/1\n" + text)
        return path

    return make


def joints(q):
    return "{joints_rad: [" + ", ".join(map(str, q)) + "]}"


def of(*points, extra=""):
    return extra + "waypoints:\n" + "".join(f"  - {point}\n" for point in points)


def assert_a_motion(plan, tool):
    """At rest at both ends, velocities the derivative of positions, nothing above the limits."""
    q, dq, dt = np.array(plan.q), np.array(plan.dq), plan.sample_ns * 1e-9
    assert np.abs(dq[[0, -1]]).max() < 1e-9
    middle = (q[2:] - q[:-2]) / (2 * dt)
    assert np.abs(middle - dq[1:-1]).max() < 2e-3
    assert np.abs(dq).max() <= 1.0 + 1e-6
    assert np.abs(np.diff(dq, axis=0)).max() / dt <= 3.0 * 1.02
    places = np.array([tool(one).translation for one in q])
    assert np.linalg.norm(np.diff(places, axis=0), axis=1).max() / dt <= TCP_M_S * 1.02
    return places


def test_joint_waypoints_are_met_in_a_row(planner, write, tool):
    plan = planner.plan(load_waypoints(write(of(joints(HOME), joints(THERE), joints(HOME), extra="speed: 1\n"))), 0)
    assert_a_motion(plan, tool)
    assert plan.q[0] == HOME
    assert plan.q[-1] == pytest.approx(HOME, abs=1e-12)
    assert min(max(abs(np.array(q) - THERE)) for q in plan.q) < 1e-9


def test_a_pose_is_reached_on_a_straight_line(planner, write, tool):
    start = tool(HOME)
    x, y, z = start.translation + np.array([0.05, 0.12, -0.1])
    r, p, w = pin.rpy.matrixToRpy(start.rotation)
    pose = f"{{pose: {{xyz_m: [{x}, {y}, {z}], rpy_rad: [{r}, {p}, {w + 0.3}]}}}}"
    plan = planner.plan(load_waypoints(write(of(joints(HOME), pose, extra="speed: 1\n"))), 0)
    places = assert_a_motion(plan, tool)
    way = places[-1] - places[0]
    assert places[-1] == pytest.approx([x, y, z], abs=1e-5)
    off = places - places[0] - np.outer((places - places[0]) @ way / (way @ way), way)
    assert np.abs(off).max() < 5e-5
    end = tool(plan.q[-1])
    assert np.linalg.norm(pin.log3(start.rotation.T @ end.rotation)) == pytest.approx(0.3, abs=1e-3)


def test_a_first_pose_is_solved_from_home(planner, write, tool):
    x, y, z = tool(HOME).translation + 0.03
    r, p, w = pin.rpy.matrixToRpy(tool(HOME).rotation)
    plan = planner.plan(load_waypoints(write(of(f"{{pose: {{xyz_m: [{x}, {y}, {z}], rpy_rad: [{r}, {p}, {w}]}}}}"))), 0)
    assert len(plan.q) == 2
    assert tool(plan.q[0]).translation == pytest.approx([x, y, z], abs=1e-5)


def test_speed_and_duration_make_a_motion_longer(planner, write):
    def seconds(text):
        return planner.plan(load_waypoints(write(text)), 0).duration_s

    two = joints(THERE)[:-1] + ", duration_s: 9.0}"
    full = seconds(of(joints(HOME), joints(THERE), extra="speed: 1\n"))
    assert seconds(of(joints(HOME), joints(THERE), extra="speed: 0.5\n")) == pytest.approx(2 * full, abs=0.02)
    assert seconds(of(joints(HOME), two, extra="speed: 1\n")) == 9.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (of(joints((0, 0, 0, -2, 0, 9, 0))), ["waypoints.0.joints_rad", "joint 6", "9.0000", "allows"]),
        (of(joints(HOME), joints((0, 0, 0, 1, 0, 1, 0))), ["waypoints.1.joints_rad", "joint 4", "1.0000"]),
        (of(joints(HOME), joints(THERE)[:-1] + ", duration_s: 0.1}"), ["waypoints.1.duration_s", "0.1", "no less than"]),
        (of(joints(HOME), "{pose: {xyz_m: [1.5, 0, 0.3], rpy_rad: [3.14, 0, 0]}}"), ["waypoints.1.pose", "of its way", "joint 4"]),
        (of(joints(HOME), *[joints(q)[:-1] + ", duration_s: 120}" for q in (THERE, HOME, THERE)]),
         ["waypoints.", "more than", "split"]),
    ],
)  # fmt: skip
def test_what_the_arm_cannot_do_is_refused_with_its_key(planner, write, text, words):
    with pytest.raises(WaypointError) as caught:
        planner.plan(load_waypoints(write(text)), 0)
    for word in ["there.yaml", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["waypoints", "required"]),
        ("waypoints: []\n", ["waypoints"]),
        (of("{joints_rad: [1, 2]}"), ["waypoints.0.joints_rad"]),
        (of("{joints_rad: [.nan, 0, 0, 0, 0, 0, 0]}"), ["waypoints.0.joints_rad.0", "finite"]),
        (of("{}"), ["waypoints.0", "either"]),
        (of(joints(HOME)[:-1] + ", pose: {xyz_m: [0, 0, 0]}}"), ["waypoints.0", "either"]),
        (of(joints(HOME)[:-1] + ", duration_s: -1}"), ["waypoints.0.duration_s", "-1"]),
        (of(joints(HOME), extra="sped: 1\n"), ["sped", "did you mean 'speed'"]),
        (of(joints(HOME), extra="speed: 2\n"), ["speed", "2"]),
        ("waypoints: 3\nwaypoints: 4\n", ["written twice"]),
    ],
)
def test_a_wrong_file_is_refused_with_its_key(write, text, words):
    with pytest.raises(WaypointError) as caught:
        load_waypoints(write(text))
    for word in ["there.yaml", *words]:
        assert word in str(caught.value)


def test_absent_files_lists_and_arms_are_named(write, tmp_path):
    with pytest.raises(WaypointError, match="No such file"):
        load_waypoints(tmp_path / "no.yaml")
    path = tmp_path / "list.yaml"
    path.write_text("- 1\n")
    with pytest.raises(WaypointError, match="mapping"):
        load_waypoints(path)
    cell = load_cell("emulated")
    path = write(of(joints(HOME)))
    assert arm_of(load_waypoints(path), path, cell) == "main"
    path = write(of(joints(HOME), extra="arm: left\n"))
    with pytest.raises(WaypointError, match=r"'left'.*\['main'\]"):
        arm_of(load_waypoints(path), path, cell)
