"""The real client library against the emulated arm: a cell in lock-step as a process, and a driver stepped by the test.

The driver runs on a manual clock that moves 1 ms per turn, so every limit in it is a number of turns here, and a turn
waits a while for the next robot state: a loaded machine cannot make a test fail.
"""

import subprocess
import sys
import threading
import uuid

import numpy as np
import pytest

from drivers.device import DeviceShell
from drivers.franka.arm import ArmDriver
from drivers.franka.view import STILL_STATES
from hil.cell_client import CellClient
from hil.fci.listen import listen
from hil.fci.protocol import PORT
from runtime.cell import Cell, load_cell
from runtime.clock import ManualClock
from runtime.ring import RingReader, RingWriter, remove_dead_rings
from runtime.rows import (
    ARM_COMMAND,
    ARM_STATE,
    EVENT,
    REQUEST,
    ArmActivity,
    CommandMode,
    DriverState,
    RequestKind,
    RequestStatus,
)
from runtime.ticker import sleep_ns

TURN_NS = 1_000_000
HOME = (0.0, -0.785398, 0.0, -2.356194, 0.0, 1.570796, 0.785398)
MANY = 20_000  # turns: far above what anything may take


def new_host():
    """A loopback address of this test's own."""
    number = uuid.uuid4().int
    return f"127.{number % 200 + 20}.{number // 256 % 250 + 1}.{number // 65536 % 250 + 1}"


def new_instance():
    return f"test-arm-{uuid.uuid4().hex[:10]}"


def arm_cell(host, **arm):
    """The emulated cell's one arm, alone, at an address; `arm` replaces keys of its entry."""
    data = load_cell("emulated").model_dump(by_alias=True, mode="json")
    data["arms"]["main"] |= {"host": host, **arm}
    data["hands"], data["cameras"] = {}, {}
    return Cell.model_validate(data)


class EmulatedArm:
    """A lock-stepped cell in a process of its own."""

    def __init__(self):
        self.host, self.instance = new_host(), new_instance()
        command = [sys.executable, "-m", "hil.cell", "emulated", "--profile", "lockstep", "--no-render"]
        self._process = subprocess.Popen(
            [*command, "--host", self.host, "--instance", self.instance], stdout=subprocess.DEVNULL
        )
        self.panel = CellClient(self.instance, wait_s=60.0)

    @property
    def arm(self):
        """What the robot really does."""
        return self.panel.status()["arms"]["main"]

    def close(self):
        self.panel.close()
        self._process.terminate()
        self._process.wait(20)
        remove_dead_rings(self.instance)


class Rig:
    """A driver in this process with the rings of its neighbours; `turn` is one millisecond of its clock."""

    def __init__(self, cell, emulated):
        self.cell, self.emulated, self.instance = cell, emulated, new_instance()
        self.clock = ManualClock()
        self.shell = DeviceShell(self.instance, "arm.main")
        try:
            self.driver = ArmDriver("main", cell, self.shell, self.clock)
        except Exception:
            self.shell.close()
            remove_dead_rings(self.instance)
            raise
        self._request = RingWriter(self.instance, "arm.main.request", REQUEST, 64)
        self.command = None
        self.open_command_ring()
        self._state = RingReader(self.instance, "arm.main.state", ARM_STATE)
        self._events = RingReader(self.instance, "arm.main.event", EVENT)
        self.events, self.rows = [], []
        self._number = 0
        self.generation = 0
        self._origin, self._T = np.array(HOME), np.eye(4)
        self._written = 0
        self.mode = CommandMode.JOINT_VELOCITY
        self.patient = True  # False where no robot state is to be expected for long
        self._seen = self._silent = 0

    def open_command_ring(self):
        self.command = RingWriter(self.instance, "arm.main.command", ARM_COMMAND, 1024)

    # ---- time ----

    def turn(self, count=1, each=None):
        for _ in range(count):
            now_ns = self.clock.advance(TURN_NS)
            if each is not None:
                each()
            self.driver.step(now_ns)
            self.rows += [row.copy() for row in self._state.drain()]
            self.events += [(row["code"].decode(), row["text"].decode()) for row in self._events.drain()]
            seen = self.rows[-1]["states_seen"] if self.rows else 0
            self._silent = self._silent + 1 if seen == self._seen > 0 else 0
            self._seen = seen
            # A robot that is merely slow must not look dead: after some turns without a new state they take their time.
            sleep_ns(5_000_000 if self._silent > 10 and self.patient else 500_000)

    @property
    def row(self):
        return self.rows[-1]

    def until(self, condition, each=None):
        """Turn until a state row fulfils the condition; returns that row."""
        for _ in range(MANY):
            self.turn(1, each)
            if self.rows and condition(self.row):
                return self.row
        raise AssertionError(f"never came: the newest row is {self.row}, events {self.events[-8:]}")

    def until_state(self, state, each=None):
        return self.until(lambda row: row["driver_state"] == state, each)

    # ---- requests ----

    def request(self, kind, **fields):
        self._number += 1
        row = self._request.row
        for name in row.dtype.names:
            row[name] = 0
        row["id"], row["kind"] = self._number, kind
        for name, value in fields.items():
            row[name] = value
        self._request.commit(self.clock.now_ns())
        return self._number

    def ask(self, kind, each=None, **fields):
        """A request and how it ended."""
        number = self.request(kind, **fields)
        row = self.until(
            lambda row: row["request_id"] == number and row["request_status"] > RequestStatus.RUNNING, each
        )
        return RequestStatus(int(row["request_status"]))

    # ---- commands ----

    def write(self, stamp_ns=None, **fields):
        """A command row 1 % further along a slow swing of joint 1; `fields` replace what it says."""
        row = self.command.row
        now_ns = self.clock.now_ns()
        phase = 0.02 * self._written
        row["generation"], row["trace"], row["tick"], row["mode"] = self.generation, self._written, 0, self.mode
        row["q"], row["dq"], row["tau_ff"], row["T_base_ee"] = self._origin, 0.0, 0.0, self._T
        row["q"][0] += 0.1 * (1.0 - np.cos(phase))
        row["dq"][0] = 0.2 * np.sin(phase)
        row["T_base_ee"][2, 3] += 0.02 * (1.0 - np.cos(phase))
        row["period_ns"], row["valid_until_ns"] = 10 * TURN_NS, now_ns + 40 * TURN_NS
        for name, value in fields.items():
            row[name] = value
        return self.command.commit(now_ns if stamp_ns is None else stamp_ns)

    def stream(self):
        """Call every turn: a command row every 10 turns."""
        if self.clock.now_ns() // TURN_NS % 10 == 0:
            self._written += 1
            self.write()

    def enable(self, mode=CommandMode.JOINT_VELOCITY):
        """Enable with a new generation and stream until the arm follows."""
        self.generation += 1
        self.mode, self._written = mode, 0
        self._origin, self._T = self.row["q_d"].copy(), self.row["T_base_ee_d"].copy()
        status = self.ask(RequestKind.ENABLE, generation=self.generation, mode=mode)
        assert status == RequestStatus.DONE, self.events[-1]
        started = self.row["ack_sequence"]
        self.until(lambda row: row["ack_sequence"] > started + 20, self.stream)

    def ready(self):
        """Connected, idle, at rest, whatever an earlier test left."""
        self.emulated.panel.clear()
        self.until(lambda row: row["driver_state"] != DriverState.LINK_DEAD and row["states_seen"] > 40)
        if self.row["driver_state"] == DriverState.REFLEX:
            assert self.ask(RequestKind.RECOVER) == RequestStatus.DONE
        self.until(lambda row: row["driver_state"] == DriverState.OK and row["activity"] == ArmActivity.IDLE)
        return self.settle()

    def settle(self):
        """Let the driver see a resting arm for a while, counted in the robot's states."""
        seen = self.row["states_seen"]
        self.until(lambda row: row["states_seen"] > seen + 2 * STILL_STATES)
        return self

    def close(self):
        assert self.driver.close(), "a thread is still inside the client library"
        self.shell.close()
        self._request.close()
        self.command.close()
        remove_dead_rings(self.instance)


class OtherVersion:
    """A robot server of another version: it answers Connect as robots do, by refusing and naming its own."""

    def __init__(self, host, version):
        self._socket = listen(host, PORT)
        self._socket.setblocking(True)
        self._socket.settimeout(20)
        self._version = version
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()

    def _answer(self):
        client, _ = self._socket.accept()
        with client:
            header = client.recv(12)
            # command and id as asked, size 15, status 1 (incompatible), the server's version
            client.sendall(header[:8] + (15).to_bytes(4, "little") + b"\x01" + self._version.to_bytes(2, "little"))
            client.recv(64)

    def close(self):
        self._thread.join(10)
        self._socket.close()


@pytest.fixture(scope="module")
def emulated():
    """One emulated arm for the tests of a file; faults are cleared by each rig."""
    arm = EmulatedArm()
    yield arm
    arm.close()


@pytest.fixture
def make_rig():
    """Makes drivers and closes them after the test."""
    made = []

    def make(cell, emulated=None):
        made.append(Rig(cell, emulated))
        return made[-1]

    yield make
    for rig in made:
        rig.close()


@pytest.fixture
def rig(emulated, make_rig):
    """A connected driver, arm idle."""
    return make_rig(arm_cell(emulated.host), emulated).ready()


@pytest.fixture
def cell_at():
    """The function that makes a one-arm cell."""
    return arm_cell


@pytest.fixture
def other_version():
    """Makes robot servers of other versions."""
    made = []

    def make(host, version):
        made.append(OtherVersion(host, version))

    yield make
    for server in made:
        server.close()


@pytest.fixture
def host():
    return new_host()
