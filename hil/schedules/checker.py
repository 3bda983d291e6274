"""Was everything that the robot did allowed? From its log and published limits alone; no code of gate, rt or drivers.

A new invariant is a function here and a line in `CHECKS`. Each returns the first row that breaks it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hil.schedules.history import History, RobotLimits

IDLE, MOVE = 1, 2  # robot modes: only in these does the robot follow anybody
WATCHDOG_MS = 20  # commands in a row that a robot misses before it must be braking (FCI documentation)
MOVING_RAD_S = 5e-3
AT_REST_RAD_S = 2e-3
# From a stop that was asked for to rest, in robot time: operators' requests go through processes of the normal class.
REST_MS = 3000
START_MS = 100  # a log begins with the robot settling under gravity
ROUNDING = 1e-6
REACTION_S = 0.01
ROBOT_BRAKE_RAD_S2 = 10.0  # what the robot itself brakes with, every joint
BRAKE_SLACK_RAD = 2e-3


@dataclass(frozen=True)
class Violation:
    """The first row that breaks an invariant."""

    check: str
    row: int
    robot_time_ms: int
    text: str

    def __str__(self) -> str:
        return f"{self.check}: row {self.row} at robot time {self.robot_time_ms} ms: {self.text}"


Found = tuple[int, str] | None
Check = Callable[[History, RobotLimits], Found]


def check(history: History, limits: RobotLimits) -> list[Violation]:
    """Every broken invariant with its first row; empty if all hold."""
    found = []
    for name, one in CHECKS.items():
        broken = one(history, limits)
        if broken is not None:
            row, text = broken
            found.append(Violation(name, row, int(history.rows["robot_time_ms"][row]), text))
    return found


def _first(bad: np.ndarray) -> int | None:
    where = np.flatnonzero(bad)
    return int(where[0]) if len(where) else None


def _complete(history: History, _limits: RobotLimits) -> Found:
    if history.lost:
        return 0, f"{history.lost} rows of the log were lost"
    steps = np.diff(history.rows["robot_time_ms"].astype(np.int64))
    row = _first(steps != 1)
    return None if row is None else (row + 1, f"robot time goes on by {steps[row]} ms")


def _counted(history: History, _limits: RobotLimits) -> Found:
    steps = np.diff(history.rows["commands"].astype(np.int64))
    row = _first((steps < 0) | (steps > 1))
    return None if row is None else (row + 1, f"{steps[row]} commands acted in one millisecond")


def _one_client(history: History, _limits: RobotLimits) -> Found:
    rows = history.rows
    acted = np.diff(rows["commands"].astype(np.int64)) > 0
    nobody = (rows["client"][1:] == 0) & (rows["client"][:-1] == 0)
    row = _first(acted & nobody)
    return None if row is None else (row + 1, "a command acted while no client was connected")


def _positions(history: History, limits: RobotLimits) -> Found:
    for name in ("q", "q_d"):
        q = history.rows[name]
        row = _first(((q < limits.lower) | (q > limits.upper) | ~np.isfinite(q)).any(axis=1))
        if row is not None:
            return row, f"{name} {np.round(q[row], 4).tolist()} outside the robot's limits"
    return None


def _velocities(history: History, limits: RobotLimits) -> Found:
    dq = np.abs(history.rows["dq_d"])
    row = _first(~(dq <= limits.velocity + ROUNDING).all(axis=1))
    return None if row is None else (row, f"commanded {dq[row].max():.3f} rad/s: limits {limits.velocity.tolist()}")


def _accelerations(history: History, limits: RobotLimits) -> Found:
    ddq = np.abs(history.rows["ddq_d"])
    row = _first(~(ddq <= limits.acceleration + ROUNDING).all(axis=1))
    return (
        None if row is None else (row, f"commanded {ddq[row].max():.2f} rad/s2: limits {limits.acceleration.tolist()}")
    )


def _gaps(history: History, _limits: RobotLimits) -> Found:
    """Without commands for longer than the robot's patience, it may only become slower."""
    rows = history.rows
    acted = np.diff(rows["commands"].astype(np.int64), prepend=rows["commands"][0]) > 0
    since = np.arange(len(rows)) - np.maximum.accumulate(np.where(acted, np.arange(len(rows)), 0))
    speed = np.abs(rows["dq_d"]).max(axis=1)
    faster = np.diff(speed, prepend=speed[0]) > ROUNDING
    follows = np.isin(rows["mode"], (IDLE, MOVE))
    row = _first((since > WATCHDOG_MS) & faster & (speed > MOVING_RAD_S) & follows)
    return None if row is None else (row, f"faster ({speed[row]:.4f} rad/s) {since[row]} ms after the last command")


def _own_stops(history: History, _limits: RobotLimits) -> Found:
    """Where the robot gave up a motion by itself, it comes to rest within its braking distance."""
    rows = history.rows
    left = (rows["moving"][:-1] == 1) & (rows["moving"][1:] == 0)
    for begin in np.flatnonzero(left) + 1:
        speed = np.abs(rows["dq_d"][begin - 1 : begin + 1]).max(axis=0)
        again = np.flatnonzero(rows["moving"][begin:] == 1)
        after = rows[begin : begin + int(again[0]) if len(again) else len(rows)]
        braking = after[:1000][np.isin(after["mode"][:1000], (MOVE, IDLE, 4, 5))]  # not carried by a hand
        if len(braking) == 0:
            continue
        way = np.abs(braking["q_d"] - braking["q_d"][0]).max(axis=0)
        allowed = speed * REACTION_S + speed**2 / (2 * ROBOT_BRAKE_RAD_S2) + BRAKE_SLACK_RAD
        if (way > allowed).any():
            joint = int((way - allowed).argmax())
            return int(begin), f"joint {joint + 1} went on by {way[joint]:.4f} rad: predicted {allowed[joint]:.4f}"
    return None


def _asked(history: History, _limits: RobotLimits) -> Found:
    """Nothing follows a reference that moves unless a motion was asked for, and no stop since."""
    rows, stamps = history.rows, history.stamps_ns
    ms = rows["robot_time_ms"].astype(np.int64)
    allowed = np.zeros(len(rows), dtype=bool)
    begin: int | None = None
    for act in history.acts:
        at = int(np.searchsorted(stamps, act.stamp_ns))
        if act.moves and begin is None:
            begin = at
        elif act.stops and begin is not None:
            if at < len(rows):
                allowed[begin : int(np.searchsorted(ms, ms[at] + REST_MS))] = True
            else:
                allowed[begin:] = True
            begin = None
    if begin is not None:
        allowed[begin:] = True
    moves = (np.abs(rows["dq_d"]).max(axis=1) > MOVING_RAD_S) & np.isin(rows["mode"], (IDLE, MOVE))
    row = _first(moves & ~allowed & (ms > ms[0] + START_MS))
    if row is None:
        return None
    earlier = [act.text for act in history.acts if act.stamp_ns <= stamps[row]]
    return row, f"moves at {np.abs(rows['dq_d'][row]).max():.4f} rad/s unasked; last act: {earlier[-1:]}"


def _rests(history: History, _limits: RobotLimits) -> Found:
    """In the end the arm is at rest and nobody commands it."""
    rows = history.rows
    last = rows[-300:]
    speed = np.abs(last["dq"]).max(axis=1)
    row = _first(speed > AT_REST_RAD_S)
    return None if row is None else (len(rows) - len(last) + row, f"still moves at {speed[row]:.4f} rad/s in the end")


CHECKS: dict[str, Check] = {
    "the log is complete and robot time steps by one": _complete,
    "at most one command acts per millisecond": _counted,
    "only a connected client commands": _one_client,
    "positions inside the robot's limits": _positions,
    "velocities inside the robot's limits": _velocities,
    "accelerations inside the robot's limits": _accelerations,
    "no command for longer than the watchdog: only slower": _gaps,
    "a motion that ends by itself brakes within the predicted distance": _own_stops,
    "nothing moves unasked, or long after a stop": _asked,
    "at rest in the end": _rests,
}
