"""Carries out a schedule on a session of its own, and records its history."""

import json
import signal
from collections.abc import Callable

import numpy as np
import yaml

from hil.realsense.script import CameraFaultError, camera_fault
from hil.schedules.history import Act, History, RobotLimits
from hil.schedules.schedule import ENDS, Episode, Schedule
from hil.stack import Stack, StackError, lean_cell
from runtime.cell import Cell
from runtime.modes.machine import Mode
from runtime.rows import JOINTS
from runtime.ticker import sleep_ns

SWING_RAD, SECONDS_PER_RAD = 0.8, 2.5
JOG_RAD_S = 0.2
ACK_TRIES = 40
FR3_ACCELERATION_RAD_S2 = 10.0  # libfranka rate_limiting.h; the robot's description does not carry it
END_SIGNALS = {"SIGTERM": signal.SIGTERM, "SIGHUP": signal.SIGHUP}


def run_schedule(schedule: Schedule, *, cameras: bool = False) -> tuple[History, RobotLimits]:
    """Run it; returns what the robot did and the limits it has.

    Raises:
        StackError: the session could not be started, or did not come back to where motion may be asked for.
    """
    cell = lean_cell(cameras=cameras)
    options = ["--source", "hold", "--stay"]
    if cameras:
        options += ["--needs-cameras", "front"]
    with Stack(cell, options) as stack:
        stack.wait_mode(Mode.ARMED, Mode.HOLD)
        runner = Runner(stack, cell)
        for episode in schedule.episodes:
            runner.episode(episode)
        runner.end(schedule.end)
        history = stack.histories[stack.arm]
        return History(history.rows(), history.stamps_ns(), history.lost, tuple(runner.acts)), runner.limits


class Runner:
    """Does the acts of a schedule, and notes them."""

    def __init__(self, stack: Stack, cell: Cell) -> None:
        self._stack, self._cell = stack, cell
        self.acts: list[Act] = [Act(0, "start")]
        self.limits = self._limits()

    def episode(self, episode: Episode) -> None:
        """Ask for a motion, let the failure befall it, bring everything to rest and acknowledge."""
        stack = self._stack
        jog = self._ask(episode.ask)
        end_ns = stack.now_ns() + int(episode.after_s * 1e9)
        while stack.now_ns() < end_ns:
            if jog is not None:
                jog()
            stack.pause(0.02)
        self._note(f"{episode.failure} {episode.argument or ''}".strip())
        self._fail(episode)
        stack.pause(0.5)
        self._note("stop", stops=True)
        stack.ask("stop")
        self._come_back()

    def end(self, how: str) -> None:
        """End the session in one of the ways it can end, and wait until nothing of it lives."""
        stack = self._stack
        self._note(how, stops=True)
        if how == "end":
            stack.tell("end")
        elif how == "kill supervisor":
            stack.kill("launch")
        else:
            stack.signal("launch", END_SIGNALS[how])
        stack.wait(lambda: not stack.processes(), "every process of the session has ended")
        if left := stack.left_over():
            raise StackError(f"left behind after '{how}': {', '.join(left)}")

    def _note(self, text: str, *, moves: bool = False, stops: bool = False) -> None:
        self.acts.append(Act(self._stack.now_ns(), text, moves, stops))

    def _ask(self, what: str) -> Callable[[], None] | None:
        """Ask for a motion; for a jog, what must be called again and again."""
        stack = self._stack
        start = [float(value) for value in stack.robot()["q_d"]]
        sign = -1.0 if start[0] > 0 else 1.0
        self._note(what, moves=True)
        if what == "home":
            stack.tell("home")
            return None
        if what == "jog":
            stack.ask("hold")
            velocities = [sign * JOG_RAD_S] + [0.0] * 6

            def word() -> None:
                stack.tell("jog", arm=stack.arm, velocities=velocities)

            return word
        end = [sign * SWING_RAD, *start[1:]]
        duration_s = SECONDS_PER_RAD * abs(end[0] - start[0])
        waypoints = [{"joints_rad": start}, {"joints_rad": end, "duration_s": duration_s}, {"joints_rad": start}]
        path = stack.work_dir / "swing.yaml"
        path.write_text(yaml.safe_dump({"schema": "sinew.waypoints/1", "speed": 1.0, "waypoints": waypoints}))
        asked = stack.tell("run", file=str(path))
        stack.wait(lambda: asked.answered or stack.mode is Mode.RUNNING, "the swing starts, or is refused")
        return None

    def _fail(self, episode: Episode) -> None:
        stack, kind, argument = self._stack, episode.failure, episode.argument
        if kind == "fault":
            stack.panel.fault(str(argument))
        elif kind == "camera":
            try:
                camera_fault(stack.instance, "front", str(argument))
            except CameraFaultError:
                self._note("the camera did not take it")  # it is being restarted after the last one
        elif kind in ("stop", "ack"):
            stack.ask(kind)
        elif kind.startswith("kill"):
            stack.kill(_PROCESSES[kind.removeprefix("kill ")])
        elif kind.startswith("stall"):
            name = _PROCESSES[kind.removeprefix("stall ")]
            stack.signal(name, signal.SIGSTOP)
            sleep_ns(int(argument) * 1_000_000)
            stack.signal(name, signal.SIGCONT)

    def _come_back(self) -> None:
        """End lasting faults, and acknowledge until the session takes it."""
        stack = self._stack
        stack.panel.clear()
        for name in ENDS:
            stack.panel.fault(name)
        if self._cell.cameras:
            try:
                camera_fault(stack.instance, "front", "replug")
            except CameraFaultError:
                self._note("no camera to plug in")
        stack.wait(lambda: stack.mode in (Mode.FAULT, Mode.HOLD, Mode.DISARMED), "rt is at rest")
        said = ""
        for _ in range(ACK_TRIES):
            answer = stack.ask("ack")
            if answer["ok"]:
                return
            said = answer["text"]
            stack.pause(0.25)
        raise StackError(f"no acknowledgement was taken: {said}; the session's last words: {stack.said()[-2000:]}")

    def _limits(self) -> RobotLimits:
        """What the driver learnt of the connected robot."""
        path = self._stack.directory / f"arm.{self._stack.arm}.identity.json"
        limits = json.loads(path.read_text())["limits"]
        lower, upper, velocity = (np.array(limits[name]) for name in ("lower_rad", "upper_rad", "velocity_rad_s"))
        return RobotLimits(lower, upper, velocity, np.full(JOINTS, FR3_ACCELERATION_RAD_S2))


_PROCESSES = {"rt": "runtime.rt", "arm": "drivers.franka.arm_process", "camera": "hil.realsense.process front"}
