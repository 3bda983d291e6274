"""Every command that README.md and docs/ show is run here, on an emulated cell at an address of its own.

Only the cell's name (and with it the session's) is replaced, and options that keep a bench short are added.
"""

import os
import re
import secrets
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SINEW = str(ROOT / "sinew")
SHOWN = re.compile(r"^ {4}(?:\./)?sinew ([^#\n]*[^#\s])", re.MULTILINE)

# What is shown -> the test below that runs it; `sinew test` is what runs this.
COVERED = {
    "demo": "test_the_demo_places_the_cube_and_leaves_a_report",
    "test": "this very suite",
    "check emulated": "test_check_says_ready",
    "run --cell emulated --source waypoints docs/examples/square.yaml": "test_a_session_is_run_stopped_and_sent_home",
    "stop": "test_a_session_is_run_stopped_and_sent_home",
    "ack": "test_a_session_is_run_stopped_and_sent_home",
    "home": "test_a_session_is_run_stopped_and_sent_home",
    "cell emulated": "test_a_cell_runs_and_takes_faults",
    "cell emulated --profile lockstep": "test_a_cell_runs_and_takes_faults",
    "cell emulated --profile paced": "test_a_cell_runs_and_takes_faults",
    "cell emulated --profile strict": "test_a_cell_runs_and_takes_faults",
    "fault --list": "test_a_cell_runs_and_takes_faults",
    "fault joint_reflex": "test_a_cell_runs_and_takes_faults",
    "fault push --at 12.5 link=7 force_x_n=80 duration_ms=200": "test_a_cell_runs_and_takes_faults",
    "hil drivers --cell emulated": "test_the_driver_bench_runs",
    "bench loop --quick": "test_the_loop_bench_runs",
}


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    """The shipped emulated cell under another name and address."""
    name = f"readme-{secrets.token_hex(3)}"
    host = ".".join(["127", *(str(20 + secrets.randbelow(200)) for _ in range(3))])
    text = (ROOT / "launch" / "cells" / "emulated.yaml").read_text()
    path = tmp_path_factory.mktemp("cell") / f"{name}.yaml"
    path.write_text(text.replace("name: emulated", f"name: {name}").replace("127.0.0.1", host))
    return path


@pytest.fixture
def environment(tmp_path):
    return {**os.environ, "SINEW_STATE": str(tmp_path / "state")}


def sinew(environment, *arguments, check=True, timeout=300):
    done = subprocess.run(
        [SINEW, *map(str, arguments)], env=environment, cwd=ROOT, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, timeout=timeout,
    )  # fmt: skip
    assert not check or done.returncode == 0, f"{arguments}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


class Background:
    """A command in the foreground of another terminal: ended with Ctrl-C."""

    def __init__(self, environment, log, *arguments):
        self.log = log
        with log.open("w") as out:
            self.process = subprocess.Popen(
                [SINEW, *map(str, arguments)], env=environment, cwd=ROOT, stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def until(self, text, timeout_s=120):
        for _ in range(timeout_s * 10):
            if text in self.log.read_text():
                return
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        raise AssertionError(f"'{text}' was not said:\n{self.log.read_text()}")

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


def test_every_command_shown_is_run_by_a_test():
    shown = {
        match.group(1).strip()
        for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
        for match in SHOWN.finditer(page.read_text())
    }
    assert shown == set(COVERED)


def test_check_says_ready(cell, environment):
    assert "arm main: mode: Idle" in sinew(environment, "check", cell, check=False)


def test_the_demo_places_the_cube_and_leaves_a_report(cell, environment, tmp_path):
    said = sinew(environment, "demo", "--cell", cell, "--episodes", 1, "--report", tmp_path / "report")
    assert "1 of 1 placed (emulated, scripted source)" in said
    page = (tmp_path / "report" / "index.html").read_text()
    assert "data:image/png;base64," in page
    assert not re.search(r"(?:src|href)=\"http", page), "the report must work offline"


def test_a_session_is_run_stopped_and_sent_home(cell, environment, tmp_path):
    name = cell.stem
    motion = ("--source", "waypoints", "docs/examples/square.yaml")
    session = Background(environment, tmp_path / "run.log", "run", "--cell", cell, *motion, "--stay")
    try:
        session.until("RUNNING")
        assert "every arm is still" in sinew(environment, "stop", "--instance", name)
        assert "a stop is latched" in sinew(environment, "home", "--instance", name, check=False)
        assert "acknowledged" in sinew(environment, "ack", "--instance", name)
        assert "at home" in sinew(environment, "home", "--instance", name)
    finally:
        session.end()
    assert f"sinew.{name}" not in os.listdir("/dev/shm")


@pytest.mark.parametrize("profile", [None, "lockstep", "paced", "strict"])
def test_a_cell_runs_and_takes_faults(cell, environment, tmp_path, profile):
    options = ("--profile", profile) if profile else ()
    running = Background(environment, tmp_path / "cell.log", "cell", cell, *options, "--no-render")
    try:
        running.until("arm main: idle")
        assert "joint_reflex" in sinew(environment, "fault", "--list")
        sinew(environment, "fault", "joint_reflex", "--cell", cell)
        running.until("fault joint_reflex")
        push = ("push", "--at", "12.5", "link=7", "force_x_n=80", "duration_ms=200")
        assert "12.5" in sinew(environment, "fault", *push, "--cell", cell)
    finally:
        status = running.end()
    assert status == 0


def test_the_loop_bench_runs(environment, tmp_path):
    sinew(environment, "bench", "loop", "--quick", "--json", tmp_path / "loop.json", check=False)
    assert "p99_over_cyclictest_1khz" in (tmp_path / "loop.json").read_text()


def test_the_driver_bench_runs(cell, environment, tmp_path):
    said = sinew(environment, "hil", "drivers", "--cell", cell, "--quick", "--json", tmp_path / "d.json", check=False)
    assert "rows" in said
    assert '"bench": "' in (tmp_path / "d.json").read_text()
