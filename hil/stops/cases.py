"""The table of failures under way: what is done to a moving arm, and from when its commands count as gone."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from hil.stack import Stack
from runtime.ring import RingReader
from runtime.rows import ARM_COMMAND
from runtime.ticker import sleep_ns

Do = Callable[[Stack], int]
RT, DRIVER, SUPERVISOR = "runtime.rt", "drivers.franka.arm_process", "launch"


@dataclass(frozen=True)
class Case:
    """One row. `do` is called while the arm moves, and returns when the last valid command was given [ns, monotonic].

    Attributes:
        says: for the table.
        do: raises the failure.
        stops: whether the arm must come to rest; None: it may, and then within the limits.
        jogged: the motion is a jog, whose words stop with `do`, instead of a planned one.
        cameras: the session has cameras and needs them.
        ends: the session does not survive it.
        quick: part of the quick table.
    """

    name: str
    says: str
    do: Do
    stops: bool | None = True
    jogged: bool = False
    cameras: bool = False
    ends: bool = False
    quick: bool = False


def _last_command_ns(stack: Stack, before_ns: int) -> int:
    """Stamp of the newest command row that rt wrote up to a time [ns, monotonic]."""
    reader = RingReader(stack.instance, f"arm.{stack.arm}.command", ARM_COMMAND)
    newest = 0
    for _ in reader.drain():
        if reader.meta.stamp_ns <= before_ns:
            newest = reader.meta.stamp_ns
    return newest


def _kill_rt(stack: Stack) -> int:
    reader = RingReader(stack.instance, f"arm.{stack.arm}.command", ARM_COMMAND)
    reader.skip_to_head()  # attached: a killed writer's ring stays readable
    dead_ns = stack.kill(RT)
    newest = dead_ns
    for _ in reader.drain():
        newest = reader.meta.stamp_ns
    return newest


def _stop_rt(duration_ms: int) -> Do:
    def do(stack: Stack) -> int:
        pid = stack.pid(RT)
        os.kill(pid, signal.SIGSTOP)
        now_ns = stack.now_ns()
        sleep_ns(duration_ms * 1_000_000)
        os.kill(pid, signal.SIGCONT)
        return _last_command_ns(stack, now_ns)

    return do


def _panel(fault: str) -> Do:
    def do(stack: Stack) -> int:
        stack.panel.fault(fault)
        return stack.now_ns()

    return do


def _operator_stop(stack: Stack) -> int:
    now_ns = stack.now_ns()
    stack.tell("stop")
    return now_ns


def _lose_words(stack: Stack) -> int:
    return stack.now_ns()  # the last word was the last; nothing more needs to happen


CASES = (
    Case(
        "source killed",
        "the supervisor, which hands on plans and the jog's words, is killed",
        lambda stack: stack.kill(SUPERVISOR),
        ends=True,
        quick=True,
    ),
    Case("rt killed", "SIGKILL to rt", _kill_rt, quick=True),
    Case("rt stopped 10 ms", "SIGSTOP to rt for 10 ms: the motion goes on", _stop_rt(10), stops=False),
    Case("rt stopped 50 ms", "SIGSTOP to rt for 50 ms", _stop_rt(50), stops=None),
    Case("rt stopped 200 ms", "SIGSTOP to rt for 200 ms", _stop_rt(200)),
    Case("arm driver killed", "SIGKILL to the arm driver", lambda stack: stack.kill(DRIVER)),
    Case("teleop lease lost", "the jog's words stop coming", _lose_words, jogged=True),
    Case(
        "camera dead",
        "SIGKILL to the driver of a camera that the motion needs",
        lambda stack: stack.kill("hil.realsense.process front"),
        cameras=True,
    ),
    Case("robot reflex", "the robot stops by its own reflex", _panel("joint_reflex"), quick=True),
    Case("user stop", "the user stop is pressed", _panel("user_stop")),
    Case("operator stop", "'sinew stop' in another terminal", _operator_stop, quick=True),
)
