"""The stop table: from the last valid command to rest, for every failure above the robot, by the robot's own log.

The motion is a swing of joint 1 under the profile `full`, interrupted near its largest speed, where it is steady: a row
that brakes is then unmistakable. Times are of the robot's clock.
"""

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import yaml

from hil.report import BenchRow
from hil.stack import Stack, StackError, lean_cell
from hil.stops.cases import CASES, Case
from hil.stops.judge import Bound, Stop, judge
from runtime.modes.machine import Mode
from runtime.rows import JOINTS
from runtime.sources.jog import FRESH_NS

WATCHDOG_MS = 50.0  # the cell file's; also the gate's oldest command
SWING_RAD = 1.3
SECONDS_PER_RAD = 3.0  # about as fast as planned motions are allowed to be under `full`
PEAK_RATE = 1.875  # of a quintic, over way per time
STEADY = 0.97  # of the peak: nearer the rate changes by less than 0.5 rad/s^2
JOG_RAD_S = 0.5
TRIES = 3  # a machine that stutters may end a motion before the failure does


def run(*, quick: bool) -> list[BenchRow]:
    """The rows of the table; quick: the cases marked so, in one session."""
    cases = [case for case in CASES if case.quick or not quick]
    rows: list[BenchRow] = []
    for with_cameras in (False, True):
        of_session = [case for case in cases if case.cameras is with_cameras]
        # What ends a session comes last in it.
        for batch in _sessions(sorted(of_session, key=lambda case: case.ends)):
            rows += _session(batch, cameras=with_cameras)
    return rows


def _sessions(cases: list[Case]) -> Iterable[list[Case]]:
    batch: list[Case] = []
    for case in cases:
        batch.append(case)
        if case.ends:
            yield batch
            batch = []
    if batch:
        yield batch


def _session(cases: list[Case], *, cameras: bool) -> list[BenchRow]:
    cell = lean_cell(cameras=cameras, profile="full")
    options = ["--source", "hold", "--stay"]
    if cameras:
        options += ["--needs-cameras", "front"]
    rows: list[BenchRow] = []
    with Stack(cell, options) as stack:
        stack.wait_mode(Mode.ARMED)
        for case in cases:
            stop, before = _interrupt(stack, case)
            # A driver that had fallen behind its plan catches up: the arm may be faster than planned.
            rows += _rows(case, stop, _bound(stack, case, max(before, stop.speed_rad_s)))
    return rows


def _interrupt(stack: Stack, case: Case) -> tuple[Stop, float]:
    """Do one case; returns the stop, and the largest speed of the motion before it [rad/s]."""
    for _ in range(TRIES):
        if case.jogged:
            moving, peak = _jog(stack), JOG_RAD_S
        else:
            moving, peak = _swing(stack)
        if moving:
            break
        stack.ask("ack")
    else:
        raise StackError(f"stops: '{case.name}': the arm did not come into motion: {stack.said()[-1500:]}")
    last_command_ns = case.do(stack)
    if case.stops is False:
        stack.pause(0.3)
        stack.collect()
        stop = _judged(stack, last_command_ns, 0.3)
        stack.ask("stop")
    else:
        if case.ends:
            stack.wait(lambda: not stack.processes(), "the session's processes have ended")
        else:
            stack.pause(0.2)
            stack.wait_still()
            stack.pause(0.3)
        stop = _judged(stack, last_command_ns, None)
    if not case.ends:
        _recover(stack)
    return stop, peak


def _judged(stack: Stack, last_command_ns: int, seconds: float | None) -> Stop:
    history = stack.histories[stack.arm]
    rows, stamps = history.rows(), history.stamps_ns()
    if seconds is not None:
        kept = stamps <= last_command_ns + int(seconds * 1e9)
        rows, stamps = rows[kept], stamps[kept]
    return judge(rows, stamps, last_command_ns)


def _swing(stack: Stack) -> tuple[bool, float]:
    """Start the swing; True once it is as fast as it gets."""
    start = [float(value) for value in stack.robot()["q_d"]]
    end = [-SWING_RAD if start[0] > 0 else SWING_RAD, *start[1:]]
    time_s = SECONDS_PER_RAD * abs(end[0] - start[0])
    peak = PEAK_RATE / SECONDS_PER_RAD
    path = _write(stack.work_dir / "swing.yaml", start, end, time_s)
    asked = stack.tell("run", file=str(path))
    stack.wait(
        lambda: asked.answered or float(np.abs(stack.robot()["dq_d"]).max()) > STEADY * peak,
        "the swing is at its fastest",
    )
    return not asked.answered, peak


def _write(path: Path, start: list[float], end: list[float], time_s: float) -> Path:
    waypoints = [{"joints_rad": start}, {"joints_rad": end, "duration_s": time_s}, {"joints_rad": start}]
    path.write_text(yaml.safe_dump({"schema": "sinew.waypoints/1", "speed": 1.0, "waypoints": waypoints}))
    return path


def _jog(stack: Stack) -> bool:
    """Jog joint 1 until it is at its speed for a while; the words stop when this returns."""
    if not stack.ask("hold")["ok"]:
        return False
    sign = -1.0 if float(stack.robot()["q"][0]) > 0 else 1.0
    velocities = [sign * JOG_RAD_S] + [0.0] * (JOINTS - 1)
    refused: list[str] = []

    def fast() -> bool:
        answer = stack.tell("jog", arm=stack.arm, velocities=velocities).wait()
        if not answer["ok"]:
            refused.append(answer["text"])
        return len(refused) > 0 or float(np.abs(stack.robot()["dq_d"]).max()) > STEADY * JOG_RAD_S

    stack.wait(fast, "the jog is at its speed")
    return not refused


def _recover(stack: Stack) -> None:
    """Acknowledge until motion may be asked for again; a pressed user stop is released first."""
    stack.panel.fault("user_stop_released")
    stack.wait(lambda: stack.mode in (Mode.FAULT, Mode.HOLD, Mode.DISARMED), "the arm rests")
    stack.wait(lambda: stack.ask("ack")["ok"], "the acknowledgement is taken")


def _bound(stack: Stack, case: Case, speed_rad_s: float) -> Bound:
    """What the stop may take: the cell file's profile, of the robot's own limits."""
    profile = stack.cell.limits.active
    reaction_s = _reaction_ms(stack, case) * 1e-3
    # The gate's stop on the path may take twice the time of one per joint: half its deceleration.
    acceleration = 10.0 * profile.joint_acceleration_fraction / 2
    return Bound(reaction_s, acceleration, 5000.0 * profile.joint_jerk_fraction, speed_rad_s)


def _reaction_ms(stack: Stack, case: Case) -> float:
    limit_ms = WATCHDOG_MS + 1000.0 / stack.cell.loop.rate_hz
    # A hand's word is good for so long by itself: only then are commands gone.
    return limit_ms + FRESH_NS * 1e-6 if case.jogged else limit_ms


def _rows(case: Case, stop: Stop, bound: Bound) -> list[BenchRow]:
    name, note = case.name, case.says
    if case.stops is False:
        return [BenchRow(f"{name}: comes to rest", float(stop.at_rest), "", 0.0, "equal", note=note)]
    if case.stops is None and math.isnan(stop.reaction_ms):
        return [BenchRow(f"{name}: brakes", 0.0, "", note=note)]
    predicted = (
        f"predicted from {bound.speed_rad_s:.2f} rad/s, {bound.reaction_s * 1e3:.0f} ms, "
        f"{bound.deceleration_rad_s2:g} rad/s2, {bound.jerk_rad_s3:g} rad/s3"
    )
    return [
        BenchRow(f"{name}: braking begins", stop.reaction_ms, "ms", bound.reaction_s * 1e3, note=note),
        BenchRow(f"{name}: stop time", stop.stop_ms, "ms"),
        BenchRow(
            f"{name}: stop distance",
            stop.distance_rad,
            "rad",
            bound.distance_rad,
            baseline=bound.distance_rad,
            ratio=stop.distance_rad / bound.distance_rad,
            note=predicted,
        ),
        BenchRow(f"{name}: at rest", float(stop.at_rest), "", 1.0, "equal"),
    ]
