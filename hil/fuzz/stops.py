"""Every stop in a history: it brakes, it ends at rest, no later and no further than was predicted before it began."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hil.fuzz.bounds import PREDICTED_RAD, ROUNDING, SLOW_STOP, Bounds
from hil.fuzz.history import STOP, History
from hil.fuzz.violation import Report


@dataclass(frozen=True)
class Braking:
    """Rows `first` to `last` brake; `before` is the row that was in force when it was decided.

    `latched`: row at which a stop became final, -1 while it may still be taken up again.
    """

    before: int
    first: int
    last: int
    latched: int
    ended: bool


def brakings(history: History) -> Iterator[Braking]:
    """Runs of rows in which a stop runs: told by the verdict, by `stopping`, or by there being no candidate."""
    rows = history.rows
    moving = np.any(rows["dq"] != 0.0, axis=1)
    brake = (rows["verdict"] >= STOP) | rows["stopping"] | rows["absent"]
    k = 1
    while k < len(rows):
        if not brake[k] or rows["epoch"][k] != rows["epoch"][k - 1] or not (moving[k - 1] or moving[k]):
            k += 1
            continue
        first, latched = k, -1
        while True:
            if latched < 0 and rows["verdict"][k] >= STOP:
                latched = k
            after = k + 1
            ended = bool(rows["at_rest"][k])
            if ended or after >= len(rows) or not brake[after] or rows["epoch"][after] != rows["epoch"][k]:
                break
            k = after
        yield Braking(first - 1, first, k, latched, ended)
        k += 1


def check_stops(history: History, bounds: Bounds, report: Report) -> None:
    """Held: a final stop ends at rest; rest is rest; it slows down only; its time and way are at most as predicted."""
    rows, dt = history.rows, history.period_s
    resting = rows["at_rest"] & np.any(np.abs(rows["dq"]) > 0.0, axis=1)
    report.add("rest_moves", resting, np.abs(rows["dq"]).max(axis=1), 0.0)
    settle = float((bounds.acceleration / bounds.jerk).max()) + dt
    least = bounds.stop_time(rows["dq"], rows["ddq"])
    speed = np.linalg.norm(rows["dq"], axis=1)
    for one in brakings(history):
        if one.latched >= 0 and not one.ended:
            report.one("stop_not_ended", one.last, float(speed[one.last]), 0.0)
        # An acceleration must be taken back before the arm slows: |a| / J, and the period in which that ends.
        slowing = one.before + int(np.ceil(settle / dt))
        gain = np.diff(speed[slowing : one.last + 1])
        if len(gain) and gain.max() > ROUNDING:
            at = slowing + 1 + int(gain.argmax())
            report.one("stop_speeds_up", at, float(speed[at]), float(speed[at - 1]))
        if not one.ended:
            continue
        took = (one.last - one.before) * dt
        limit = SLOW_STOP * float(least[one.before]) + 2 * dt
        if took > limit:
            report.one("stop_slow", one.last, took, limit)
        predicted, told_s = rows["predicted"][one.before], float(rows["predicted_s"][one.before])
        way = np.abs(rows["q"][one.last] - rows["q"][one.before])
        longer = ~(way <= predicted + PREDICTED_RAD)
        for j in np.flatnonzero(longer):
            report.one("stop_longer", one.last, float(way[j]), float(predicted[j]), f"joint {j + 1}")
        if not took <= told_s + dt * (1 + 1e-6):
            report.one("stop_later", one.last, took, told_s + dt)
