"""The driver as a process on the real clock, with a commander that dies."""

import json
import os
import signal
import subprocess
import sys

import pytest
import yaml

from runtime.clock import MonotonicClock
from runtime.ring import RingReader, RingWriter, remove_dead_rings, ring_names
from runtime.rows import (
    ARM_STATE,
    HEARTBEAT,
    REQUEST,
    ArmActivity,
    DriverState,
    RequestKind,
    RequestStatus,
)
from runtime.ticker import sleep_ns

# Swings joint 1 for ever, 100 rows a second.
COMMANDER = """
import json, math, sys
from runtime.clock import MonotonicClock
from runtime.ring import RingWriter
from runtime.rows import ARM_COMMAND
from runtime.ticker import sleep_ns

clock = MonotonicClock()
home = json.loads(sys.argv[2])
with RingWriter(sys.argv[1], "arm.main.command", ARM_COMMAND, 1024) as ring:
    print("up", flush=True)
    sys.stdin.readline()
    for number in range(1, 1_000_000):
        row, phase = ring.row, 0.03 * number
        row["generation"], row["mode"], row["trace"], row["q"] = 1, 1, number, home
        row["q"][0] += 0.15 * (1 - math.cos(phase))
        row["dq"][0] = 0.45 * math.sin(phase)
        row["period_ns"], row["valid_until_ns"] = 10_000_000, clock.now_ns() + 400_000_000
        ring.commit(clock.now_ns())
        sleep_ns(10_000_000)
"""


class Cell:
    """Driver process, its rings, and a commander."""

    def __init__(self, emulated, cell, directory):
        self.instance = f"{emulated.instance}-driver"
        self.emulated, self.clock = emulated, MonotonicClock()
        self.file = directory / "cell.yaml"
        self.file.write_text(yaml.safe_dump(cell.model_dump(by_alias=True, mode="json")))
        self.driver = self.start_driver()
        self.state = RingReader(self.instance, "arm.main.state", ARM_STATE)
        self.heartbeat = RingReader(self.instance, "arm.main.heartbeat", HEARTBEAT)
        self.requests = RingWriter(self.instance, "arm.main.request", REQUEST, 64)
        self.commander = None

    def start_driver(self, **options):
        command = [sys.executable, "-m", "drivers.franka.arm_process", "--cell", str(self.file), "--arm", "main"]
        return subprocess.Popen([*command, "--instance", self.instance], text=True, **options)

    def until(self, condition):
        for _ in range(30_000):
            row = self.state.latest(self.clock.now_ns())
            if row is not None and condition(row):
                return row.copy()
            sleep_ns(2_000_000)
        raise AssertionError("never came")

    def ask(self, number, kind, **fields):
        row = self.requests.row
        row["id"], row["kind"] = number, kind
        for name, value in fields.items():
            row[name] = value
        self.requests.commit(self.clock.now_ns())
        row = self.until(lambda row: row["request_id"] == number and row["request_status"] > RequestStatus.RUNNING)
        return RequestStatus(int(row["request_status"]))

    def start_commander(self):
        home = self.until(lambda row: row["driver_state"] == DriverState.OK and row["states_seen"] > 60)["q_d"]
        self.commander = subprocess.Popen(
            [sys.executable, "-c", COMMANDER, self.instance, json.dumps(home.tolist())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.commander.stdout.readline() == "up\n"

    def close(self):
        for process in (self.driver, self.commander):
            if process is not None:
                process.kill()
                process.wait(20)
        if self.commander is not None:
            self.commander.stdin.close()
            self.commander.stdout.close()
        self.requests.close()
        remove_dead_rings(self.instance)


@pytest.fixture
def cell(emulated, cell_at, tmp_path):
    # A loaded machine may hold the commander up; how long the watchdog waits is not what is tested here.
    cell = Cell(emulated, cell_at(emulated.host, watchdog_ms=400), tmp_path)
    yield cell
    cell.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_arm_comes_to_rest_when_its_commander_is_gone(cell, how):
    cell.start_commander()
    assert cell.ask(1, RequestKind.ENABLE, generation=1) == RequestStatus.DONE
    cell.commander.stdin.write("go\n")
    cell.commander.stdin.flush()
    cell.until(lambda row: row["ack_trace"] > 30 and abs(row["dq"][0]) > 0.1)
    cell.commander.send_signal(how)
    row = cell.until(lambda row: row["activity"] == ArmActivity.IDLE)
    assert row["watchdog_stops"] == 1
    assert row["driver_state"] == DriverState.OK
    arm = cell.emulated.arm
    assert arm["control"] is None
    assert max(map(abs, arm["dq"])) < 0.02
    cell.commander.send_signal(signal.SIGCONT if how == signal.SIGSTOP else 0)
    sleep_ns(200_000_000)  # rows flow again, or never will: nothing may act on them
    assert max(map(abs, cell.emulated.arm["dq"])) < 0.02
    assert cell.until(lambda row: True)["enabled_generation"] == 0


def test_sigterm_ends_at_rest_with_status_0_and_leaves_nothing_behind(cell):
    cell.start_commander()
    assert cell.ask(1, RequestKind.ENABLE, generation=1) == RequestStatus.DONE
    cell.commander.stdin.write("go\n")
    cell.commander.stdin.flush()
    cell.until(lambda row: row["ack_trace"] > 30)
    assert cell.heartbeat.latest(cell.clock.now_ns())["pid"] == cell.driver.pid
    second = cell.start_driver(stderr=subprocess.PIPE)
    _, said = second.communicate(timeout=60)
    assert second.returncode == 1
    assert str(cell.driver.pid) in said, "the holder is named"
    cell.driver.send_signal(signal.SIGTERM)
    assert cell.driver.wait(30) == 0
    assert max(map(abs, cell.emulated.arm["dq"])) < 0.02
    assert not cell.emulated.arm["connected"]
    assert ring_names(cell.instance) == ["arm.main.command", "arm.main.request"]
    assert not [name for name in os.listdir(f"/dev/shm/sinew.{cell.instance}") if name.endswith(".json")]


def test_killed_driver_leaves_an_arm_at_rest_and_a_free_robot(cell):
    cell.start_commander()
    assert cell.ask(1, RequestKind.ENABLE, generation=1) == RequestStatus.DONE
    cell.commander.stdin.write("go\n")
    cell.commander.stdin.flush()
    cell.until(lambda row: row["ack_trace"] > 30)
    cell.driver.kill()
    cell.driver.wait(20)
    cell.emulated.panel.wait_robot_time(cell.emulated.panel.robot_time_s() + 1.0, 60.0)
    assert max(map(abs, cell.emulated.arm["dq"])) < 0.02
    dead = cell.state.attached_session
    cell.driver = cell.start_driver()
    row = cell.until(lambda row: cell.state.attached_session != dead and row["states_seen"] > 20)
    assert row["enabled_generation"] == 0
    assert row["activity"] in (ArmActivity.IDLE, ArmActivity.CONNECTING)
