"""The line per second says what is seen, and telling never blocks the robot."""

import os

import pytest

from hil.cell_report import MAX_LINE_BYTES, Console, LineWriter


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    yield reader, writer
    for descriptor in (reader, writer):
        try:
            os.close(descriptor)
        except OSError:
            pass


def test_lines_arrive_one_each_whatever_is_in_them(pipe):
    reader, writer = pipe
    console = Console(writer)
    console.say("first\nstill first")
    console.say("second")
    assert os.read(reader, 4096) == b"first still first\nsecond\n"


def test_a_full_pipe_costs_lines_and_no_time_and_the_loss_is_told(pipe):
    reader, writer = pipe
    console = Console(writer)
    for _ in range(200):
        console.say("x" * 1000)
    lost = console.lost
    assert lost > 100
    while True:
        try:
            assert os.read(reader, 65536)
        except BlockingIOError:
            break
    console.say("again")
    assert os.read(reader, 4096) == f"({lost} lines were not taken) again\n".encode()
    assert console.lost == 0


def test_a_reader_that_has_gone_is_survived(pipe):
    reader, writer = pipe
    os.close(reader)
    console = Console(writer)
    console.say("nobody")
    assert console.lost == 1


def test_a_line_is_bounded(pipe):
    reader, writer = pipe
    Console(writer).say("y" * 100_000)
    assert len(os.read(reader, 65536)) == MAX_LINE_BYTES


def status(**arm):
    return {
        "robot_time_s": 2.0,
        "arms": {
            "main": {
                "connected": True, "mode": "move", "control": "joint_impedance", "generator": "joint_velocity",
                "commands": 1990, "missed": 3, "errors": [], **arm,
            }
        },
        "hands": {"main": {"connected": True, "width_m": 0.041, "is_grasped": True, "running": None, "faults": []}},
        "pending_faults": ["user_stop on 'main' at 9.000 s"],
    }  # fmt: skip


OBJECTS = {"cube": {"xyz_m": [0.5, -0.1, 0.025], "quat_wxyz": [1, 0, 0, 0]}}


def test_the_line_tells_client_mode_generator_rate_missed_errors_objects_and_faults():
    line = LineWriter().line(status(), OBJECTS, 2.0)
    assert line == (
        "    2.000 s (1.00 of real time) | arm main: move, joint_impedance / joint_velocity, 995 commands/s, 3 missed, "
        "no errors | hand main: 41.0 mm, holds an object | cm: cube 50.0 -10.0 2.5 | to come: user_stop on 'main' at 9.000 s"
    )


def test_rates_count_from_line_to_line():
    writer = LineWriter()
    writer.line(status(), OBJECTS, 2.0)
    later = writer.line({**status(commands=2490), "robot_time_s": 2.5}, OBJECTS, 1.0)
    assert "500 commands/s" in later
    assert "(0.50 of real time)" in later


def test_errors_and_absent_clients_are_named():
    assert "reflex, 995 commands/s, 3 missed, joint_reflex |" in LineWriter().line(
        status(mode="reflex", control=None, errors=["joint_reflex"]), OBJECTS, 2.0
    )
    assert "arm main: idle, no client |" in LineWriter().line(status(connected=False, mode="idle"), OBJECTS, 2.0)
