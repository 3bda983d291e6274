"""The checker can fail: every kind of violation, planted, is found; and it leaves alone what is right."""

import ast
import importlib
from pathlib import Path

import numpy as np
import pytest

from hil.fuzz import history as history_module
from hil.fuzz.checker import check
from hil.fuzz.history import ROW, START, History
from hil.fuzz.violation import KEPT
from runtime.gate.verdict import Verdict

K = 200  # a row in the middle of the motion
CHECKER = ("checker", "stops", "bounds", "distance", "arm", "history", "violation")


def test_a_motion_inside_every_limit_is_left_alone(slow, fast):
    assert not check(*slow).counts
    assert not check(*fast).counts
    assert np.abs(slow[0].rows["dq"]).max() > 0.1, "nothing moved: the test says nothing"


@pytest.mark.parametrize("name", CHECKER)
def test_checker_imports_nothing_of_what_it_checks(name):
    module = importlib.import_module(f"hil.fuzz.{name}")
    tree = ast.parse(Path(str(module.__file__)).read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}
    ours = {one for one in imported if one and one.split(".")[0] in ("runtime", "drivers", "models", "hil")}
    assert ours <= {"runtime.cell", "runtime.rows", "hil.scenes", *(f"hil.fuzz.{one}" for one in CHECKER)}


def test_verdict_numbers_are_the_gates():
    assert list(Verdict) == [history_module.PASS, history_module.SHAPE, history_module.STOP, history_module.TRIP]


def _nan(rows, bounds, dt):
    rows["q"][K, 2] = np.nan


def _infinite_speed(rows, bounds, dt):
    rows["dq"][K, 6] = -np.inf


def _past_the_upper_limit(rows, bounds, dt):
    rows["q"][:, 1] += bounds.upper[1] - rows["q"][:, 1].max() + 1e-6


def _past_the_lower_limit(rows, bounds, dt):
    rows["q"][:, 3] += bounds.lower[3] - rows["q"][:, 3].min() - 1e-6


def _too_fast(rows, bounds, dt):
    rows["dq"][K, 4] = -bounds.velocity[4] * (1 + 1e-6)


def _too_fast_for_where_it_is(rows, bounds, dt):
    rows["q"][:, 0] += bounds.upper[0] - rows["q"][:, 0].max()
    rows["dq"][int(rows["q"][:, 0].argmax()), 0] = 0.5  # the law, 0.05 rad before the limit: 0.475 rad/s


def _accelerates_too_much(rows, bounds, dt):
    rows["ddq"][K, 0] = bounds.acceleration[0] * (1 + 1e-5)


def _velocity_steps(rows, bounds, dt):
    rows["dq"][K:, 2] += 2.0 * bounds.acceleration[2] * dt


def _jerks(rows, bounds, dt):
    rows["dq"][K, 2] += 1.2 * bounds.jerk[2] * dt * dt


def _jumps(rows, bounds, dt):
    rows["q"][K:, 5] += 0.05


def _position_shakes(rows, bounds, dt):
    rows["q"][K, 5] += 1.1 * bounds.acceleration[5] * dt * dt


def _position_jerks(rows, bounds, dt):
    rows["q"][K, 5] += 0.6 * bounds.jerk[5] * dt**3


def _says_other_speed(rows, bounds, dt):
    rows["q"][K:, 3] += 0.6 * bounds.acceleration[3] * dt * dt


def _says_other_acceleration(rows, bounds, dt):
    rows["ddq"][K, 3] += 1.5 * bounds.jerk[3] * dt


def _ignores_the_speed_factor(rows, bounds, dt):
    rows["speed"] = 0.0


def _bursts(rows, bounds, dt):
    rows["now_ns"] = 10**12


def _poisoned_and_passed(rows, bounds, dt):
    rows["must"][K] = history_module.TRIP


def _too_mild(rows, bounds, dt):
    rows["must"][K], rows["verdict"][K] = history_module.TRIP, history_module.STOP
    rows["at_rest"][K] = True


BOTH = [
    ("finite", _nan),
    ("finite", _infinite_speed),
    ("position", _past_the_upper_limit),
    ("position", _past_the_lower_limit),
    ("velocity", _too_fast),
    ("velocity", _too_fast_for_where_it_is),
    ("acceleration", _accelerates_too_much),
    ("acceleration_by_velocity", _velocity_steps),
    ("velocity_by_position", _jumps),
    ("acceleration_by_position", _position_shakes),
    ("velocity_inconsistent", _says_other_speed),
    ("tcp_speed", _ignores_the_speed_factor),
    ("unheeded", _poisoned_and_passed),
    ("unheeded", _too_mild),
]
# At 200 Hz the acceleration limit comes before the jerk limit; at 1 kHz the motion is too short for the window.
FAST = [
    ("jerk", _jerks),
    ("jerk_by_position", _position_jerks),
    ("acceleration_inconsistent", _says_other_acceleration),
]
SLOW = [("window", _bursts)]


@pytest.mark.parametrize(
    ("rate", "kind", "spoil"),
    [("slow", *one) for one in BOTH + SLOW] + [("fast", *one) for one in BOTH + FAST],
)
def test_a_planted_violation_is_found(rate, kind, spoil, request):
    history, bounds = request.getfixturevalue(rate)
    spoil(history.rows, bounds, history.period_s)
    report = check(history, bounds)
    assert report.counts[kind]
    assert any(one.kind == kind for one in report.found)


@pytest.mark.parametrize(
    ("kind", "key"),
    [("tcp_speed", "tcp_velocity"), ("elbow_speed", "elbow_velocity"), ("tcp_rotation", "tcp_rotation")],
)
@pytest.mark.parametrize("share", [1 - 1e-6, 1 + 1e-6])
def test_speeds_of_tool_and_elbow_are_held_to_the_digit(slow, kind, key, share):
    _, bounds = slow
    limit = getattr(bounds.profile, kind if kind.endswith("s") else f"{kind}_{'rad' if 'rot' in kind else 'm'}_s")
    rows = np.zeros(2, dtype=ROW)
    rows["q"], rows["speed"], rows["verdict"][0] = slow[0].rows["q"][0], 1.0, START
    direction = {
        "tcp_speed": [1, 0, 0, 0, 0, 0, 0],
        "elbow_speed": [1, 1, 0, 0, 0, 0, 0],
        "tcp_rotation": [0] * 6 + [1],
    }
    dq = np.array([direction[kind]], dtype=float)
    moving = getattr(bounds.arm.motion(bounds.arm.frames(rows["q"][:1]), dq), key)
    rows["dq"][1] = dq[0] * share * limit / np.linalg.norm(moving)
    assert bool(check(History(0.005, rows), bounds).counts[kind]) is (share > 1)


@pytest.mark.parametrize("kind", ["workspace", "points", "clearance"])
def test_poses_outside_are_found_and_only_the_way_back_is_allowed(fast, kind):
    _, bounds = fast
    q = np.random.default_rng(3).uniform(bounds.lower, bounds.upper, (4000, 7))
    frames = bounds.arm.frames(q)
    motion = bounds.arm.motion(frames, np.zeros_like(q))
    out = {
        "workspace": bounds.outside(motion.tcp),
        "points": np.maximum(bounds.intrusion(motion.tcp), bounds.intrusion(motion.elbow)),
        "clearance": -bounds.surroundings.worst(frames)[0],
    }[kind]
    inside, outside = q[bounds.room(q) > 0.01][0], np.flatnonzero(out > 0.01)
    little, much = sorted(outside[:2], key=lambda k: out[k])

    def counted(*poses):
        rows = np.zeros(len(poses), dtype=ROW)
        rows["q"], rows["speed"], rows["verdict"][0] = poses, 1.0, START
        return check(History(0.005, rows), bounds).counts[kind]

    assert counted(inside, q[little]) == 1
    assert counted(q[little], q[much]) == 1
    assert counted(q[much], q[little], inside) == 0


def test_keep_out_box_is_kept_clear_of(fast):
    _, bounds = fast
    box = bounds.workspace.keep_out[0]
    q = np.random.default_rng(4).uniform(bounds.lower, bounds.upper, (4000, 7))
    slack, which, names = bounds.surroundings.worst(bounds.arm.frames(q))
    near = [names[k] for k in which[slack < 0]]
    assert any(name.endswith(f"and {box.name}") for name in near)
    assert any(name.startswith("hand") for name in near)


def test_few_of_each_kind_are_kept_and_all_are_counted(slow):
    history, bounds = slow
    history.rows["dq"][50:150, 1] += 3.0
    report = check(history, bounds)
    assert report.counts["velocity"] >= 100
    assert sum(one.kind == "velocity" for one in report.found) == KEPT
    assert len(report.rows_out) >= 100
