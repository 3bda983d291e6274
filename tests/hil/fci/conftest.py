"""What several tests of the emulated robot share."""

import threading
import uuid

import franky
import pytest

from hil.cell_stations import desk_tool
from hil.fci.arm_server import ArmServer
from hil.fci.faults import make_fault
from hil.fci.hand_server import HandServer
from hil.fci.loop import WorldLoop
from hil.fci.profile import Profile
from hil.plant import World
from hil.scenes.fr3 import urdf
from runtime.cell import load_cell
from runtime.clock import MonotonicClock
from runtime.ticker import sleep_ns


@pytest.fixture
def host():
    """A loopback address no other test worker uses."""
    number = uuid.uuid4().int
    return f"127.{number % 200 + 20}.{number // 256 % 250 + 1}.{number // 65536 % 250 + 1}"


class Fingers:
    """Ideal fingers for the protocol's tests: reach their target at the commanded speed unless `object_m` is between."""

    max_width_m = 0.08

    def __init__(self):
        self.width_m, self.target_m, self.step_m, self.force_n = 0.04, 0.04, 0.0, 0.0
        self.object_m = None  # width of what stands between the fingers
        self.soft_m = None  # from this width on the object gives way while it presses
        self.jammed = False  # held by something that presses on neither finger

    @property
    def blocked(self):
        if self.object_m is None:
            return self.width_m <= 0.0 and self.target_m <= 0.0
        if self.soft_m is not None:
            return self.width_m <= self.soft_m
        return self.width_m <= self.object_m and self.target_m < self.object_m

    def set_target(self, width_m, speed_m_s, force_n):
        self.target_m, self.step_m, self.force_n = width_m, speed_m_s * 1e-3, force_n

    def stop(self):
        self.target_m = self.width_m

    def step(self):
        if self.jammed:
            return
        lowest = self.object_m if self.object_m is not None and self.width_m >= self.object_m else 0.0
        change = max(-self.step_m, min(self.step_m, self.target_m - self.width_m))
        self.width_m = max(lowest, self.width_m + change)


@pytest.fixture
def fingers():
    return Fingers()


class RunningHand:
    """A hand server stepped by a thread of its own, about ten times faster than real time."""

    def __init__(self, host, plant, advance):
        self.host, self.log, self.time_ns = host, [], 0
        self.server = HandServer(host, plant, MonotonicClock(), self.log.append)
        self._advance, self._stop = advance, threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            with self._lock:
                self._advance()
                self.time_ns += 1_000_000
                self.server.step(self.time_ns)
            sleep_ns(100_000)

    def between_steps(self, action):
        """Run `action` while the thread stands still."""
        with self._lock:
            return action()

    def wait_until(self, condition, steps=100_000):
        """Wait for a condition in robot time; fails by count, never by the wall clock."""
        end = self.time_ns + steps * 1_000_000
        while not condition():
            assert self._thread.is_alive(), f"the hand died; log: {self.log}"
            assert self.time_ns < end, f"not within {steps} ms of robot time; log: {self.log}"
            sleep_ns(200_000)

    def close(self):
        alive = self._thread.is_alive()
        self._stop.set()
        self._thread.join()
        self.server.close()
        assert alive, f"the hand died; log: {self.log}"


@pytest.fixture
def run_hand(host):
    """Start a hand server over a plant that `advance` moves by one millisecond."""
    running = []

    def start(plant, advance):
        running.append(RunningHand(host, plant, advance))
        return running[0]

    yield start
    for one in running:
        one.close()


@pytest.fixture
def hand(run_hand, fingers):
    return run_hand(fingers, fingers.step)


class RunningArm:
    """An arm's server over the real physics, turned by a loop in a thread of its own; the client is the real library."""

    def __init__(self, host, profile=Profile.LOCKSTEP, clock=None, turning=True):
        cell = load_cell("emulated")
        self.host, self.log, self.world = host, [], World(cell)
        self.plant = self.world.arms["main"]
        clock = clock or MonotonicClock()
        tool = desk_tool(cell.arms["main"], with_hand=True)
        self.server = ArmServer(
            "main", host, self.plant, profile, urdf=urdf(), tool=tool, clock=clock, report=self.log.append
        )
        self.loop = WorldLoop(self.world, [self.server], clock)
        self.commands = []  # a copy of each command that acted
        self.server.on_command = lambda command: self.commands.append(command.copy())
        self._thread = threading.Thread(target=self.loop.run, daemon=True) if turning else None
        if self._thread is not None:
            self._thread.start()

    def turn(self):
        """One millisecond by hand, for an arm that was started with `turning=False`."""
        self.server.poll()
        self.server.before_step()
        self.world.step()
        self.server.after_step()

    @property
    def robot(self):
        return self.server.robot

    def connect(self, factor=0.3, threshold=100.0):
        """The real client. `factor` of franky's limits, which are the older Panda's: 0.5 is what an FR3 bears."""
        return franky.Robot(
            self.host,
            relative_dynamics_factor=factor,
            default_torque_threshold=threshold,
            default_force_threshold=threshold,
            realtime_config=franky.RealtimeConfig.Ignore,
        )

    def fault(self, name, in_ms=0, **arguments):
        """Raise a fault, at once or some robot milliseconds from now."""
        self.server.schedule(make_fault(name, self.server.robot_time_ms + in_ms, **arguments))

    def wait_until(self, condition, within_ms=20_000):
        """Wait for a condition in robot time; fails by count, never by the wall clock."""
        end = self.server.robot_time_ms + within_ms
        while not condition():
            assert self._thread.is_alive(), f"the arm died; log: {self.log}"
            assert self.server.robot_time_ms < end, f"not within {within_ms} ms of robot time; log: {self.log}"
            sleep_ns(200_000)
        shown = self.server.robot_time_ms + 1  # a client that asks now gets a state that shows it
        while self.server.robot_time_ms < shown and self._thread.is_alive():
            sleep_ns(200_000)

    def wait_ms(self, count):
        """Let so many robot milliseconds pass, and the states of all of them go out."""
        end = self.server.robot_time_ms + count
        self.wait_until(lambda: self.server.robot_time_ms >= end, count + 1)

    def close(self):
        alive = self._thread is None or self._thread.is_alive()
        self.loop.stop()
        if self._thread is not None:
            self._thread.join(10)
        self.loop.close()
        self.server.close()
        assert alive, f"the arm died; log: {self.log}"


@pytest.fixture
def run_arm(host):
    """Start an arm's server with a profile of its own."""
    running = []

    def start(profile=Profile.LOCKSTEP, at=host, **kwargs):
        running.append(RunningArm(at, profile, **kwargs))
        return running[-1]

    yield start
    for one in running:
        one.close()


@pytest.fixture
def arm(run_arm):
    """A lock-stepped arm."""
    return run_arm()
