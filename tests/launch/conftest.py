"""Whole sessions for the launch tests: real processes, the emulated robot's own log as the judge."""

import numpy as np
import pytest
import yaml

from hil.stack import Stack, lean_cell

SWING_RAD = 0.9
SWING_S = 5.0


def write_swing(stack, name="swing.yaml"):
    """A waypoint file: joint 1 swings to the other side and back, from where the arm is now."""
    start = [float(value) for value in stack.robot()["q_d"]]
    end = [-SWING_RAD if start[0] > 0 else SWING_RAD, *start[1:]]
    path = stack.work_dir / name
    waypoints = [{"joints_rad": start}, {"joints_rad": end, "duration_s": SWING_S}, {"joints_rad": start}]
    path.write_text(yaml.safe_dump({"schema": "sinew.waypoints/1", "speed": 1.0, "waypoints": waypoints}))
    return path


TRIES = 5  # a machine that stutters under its load may stop a motion: that is no finding here


@pytest.fixture
def swing():
    """Start the swing and return once the arm is under way: its request, not answered yet."""

    def start(stack):
        for _ in range(TRIES):
            asked = stack.tell("run", file=str(write_swing(stack)))
            stack.wait(lambda a=asked: a.answered or np.abs(stack.robot()["dq"]).max() > 0.2, "the arm swings")
            if not asked.answered:
                return asked
            stack.ask("ack")
        raise AssertionError(asked.wait())

    return start


@pytest.fixture
def done():
    """Ask for something that moves, until it is done."""

    def ask(stack, verb, **arguments):
        for _ in range(TRIES):
            answer = stack.ask(verb, **arguments)
            if answer["ok"]:
                return
            stack.ask("ack")
        raise AssertionError(answer)

    return ask


@pytest.fixture(scope="module")
def session():
    """A session with arms only, up and armed. Tests leave it at rest; it must end with nothing left behind."""
    with Stack(lean_cell(patient=True)) as stack:
        stack.wait_up()
        yield stack


@pytest.fixture
def came_to_rest():
    """The robot's own log: it moved, and its last half second is rest in a mode that follows nobody."""

    def check(stack, arm="main"):
        stack.collect()
        history = stack.histories[arm]
        if stack.processes():  # the robot still lives: half a second of its time must pass, however slow it is
            end = stack.robot()["robot_time_ms"] + 800
            stack.wait(lambda: stack.robot()["robot_time_ms"] > end, "robot time goes on")
        rows = history.rows()
        assert history.lost == 0
        assert np.abs(rows["dq"]).max() > 0.1, "it never moved"
        last = rows[rows["robot_time_ms"] > rows["robot_time_ms"][-1] - 500]
        assert len(last) > 400
        assert np.abs(last["dq"]).max() < 2e-3
        assert np.abs(last["q"] - last["q"][-1]).max() < 1e-3
        return rows

    return check


@pytest.fixture
def armed(done):
    """Wait until a session is up, and arm it."""

    def wait(stack):
        stack.wait_up()
        stack.wait(
            lambda: stack.ask("status")["data"]["mission"] != "hold" or "hold: " in stack.said(), "its first mission"
        )
        done(stack, "hold")

    return wait
