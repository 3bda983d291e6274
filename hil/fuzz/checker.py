"""The independent checker: is every row that was sent inside every limit?

It is written from the limits (the URDF, the cell file, the issue's promises), imports nothing of the gate, and looks at
nothing but the history. What it holds is in `hil/fuzz/bounds.py`, with the tolerances; stops are in `stops.py`.

An arm that was moved outside by hand may come back: a row outside a position or distance limit is allowed if it is no
further out than the one before it; a stop, than the two before the stop.
"""

import numpy as np

from hil.fuzz.bounds import (
    DISTANCE_M,
    FACTOR_PER_S,
    JERK_ROUNDING,
    LEAST_FACTOR,
    RELATIVE,
    ROUNDING,
    WINDOW_NS,
    Bounds,
)
from hil.fuzz.history import SHAPE, START, STOP, History
from hil.fuzz.stops import check_stops
from hil.fuzz.violation import Report

CHUNK = 8192  # rows worked on at once: their frames fit the processor's cache


def check(history: History, bounds: Bounds) -> Report:
    """Everything that is wrong in a history, in the order of the checks."""
    report = Report(history)
    rows = history.rows
    finite = np.isfinite(rows["q"]) & np.isfinite(rows["dq"]) & np.isfinite(rows["ddq"])
    report.add("finite", ~finite.all(axis=1), rows["q"].sum(axis=1), 0.0)
    if not finite.all():
        return report  # nothing below can be worked out
    ground = Ground(history)
    for part in (_position, _joint_rates, _position_rates, _consistency, _poses, _window, _heeded):
        part(ground, bounds, report)
    check_stops(history, bounds, report)
    return report


class Ground:
    """A history with what several checks need: which rows follow on the one before, the two, the three before."""

    def __init__(self, history: History) -> None:
        rows = history.rows
        self.rows, self.dt = rows, history.period_s
        self.tcp = np.empty((len(rows), 3))  # filled by `_poses`
        # The newest row before each in which no stop was run. A changed row may be a stop's too: it then has one period
        # less to rest than the row before.
        run_on = np.abs(_change(rows["predicted_s"]) + self.dt) < ROUNDING
        stops = (rows["verdict"] >= STOP) | rows["stopping"] | rows["absent"] | ((rows["verdict"] == SHAPE) & run_on)
        newest = np.maximum.accumulate(np.where(stops, 0, np.arange(len(rows))))
        self.free_before = np.concatenate([[0], newest[:-1]])
        self.follows = np.concatenate([[False], rows["epoch"][1:] == rows["epoch"][:-1]])
        self.follows2 = self.follows & np.concatenate([[False], self.follows[:-1]])
        self.follows3 = self.follows2 & np.concatenate([[False], self.follows2[:-1]])


def _before(values: np.ndarray) -> np.ndarray:
    """Each row's predecessor; the first is its own."""
    return np.concatenate([values[:1], values[:-1]])


def _change(values: np.ndarray) -> np.ndarray:
    """Difference to the row before; the first row's is 0."""
    return values - _before(values)


def _worse(excess: np.ndarray, ground: Ground) -> np.ndarray:
    """Rows further out than the one before them; of a stop: further than both of the two before the stop.

    (A stop is verified together with the command that leads to it, against the one before that.) Where an epoch starts,
    nothing was sent yet.
    """
    continues = ground.follows[:, None] if excess.ndim == 2 else ground.follows
    free = ground.free_before
    allowed = np.where(_column(free == np.arange(len(free)) - 1, excess), excess[free], _two_before(excess, free))
    return continues & (excess > allowed + ROUNDING)


def _two_before(excess: np.ndarray, free: np.ndarray) -> np.ndarray:
    return np.maximum(excess[free], excess[np.maximum(free - 1, 0)])


def _column(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    return values[:, None] if like.ndim == 2 else values


def _position(ground: Ground, bounds: Bounds, report: Report) -> None:
    q = ground.rows["q"]
    out = np.maximum(q - bounds.upper, bounds.lower - q)
    limit = np.where(q > bounds.upper, bounds.upper, bounds.lower)
    report.joints("position", (out > ROUNDING) & _worse(out, ground), q, limit)


def _joint_rates(ground: Ground, bounds: Bounds, report: Report) -> None:
    rows, dt, a = ground.rows, ground.dt, bounds.acceleration
    up, down = bounds.speed_limits(rows["q"])
    report.joints("velocity", (rows["dq"] > up + ROUNDING) | (-rows["dq"] > down + ROUNDING), rows["dq"], up)
    report.joints("acceleration", np.abs(rows["ddq"]) > a * (1 + RELATIVE), rows["ddq"], a)
    mean = _change(rows["dq"]) / dt
    bad = np.abs(mean) > a * (1 + RELATIVE)
    report.joints("acceleration_by_velocity", bad & ground.follows[:, None], mean, a)
    # Second differences of the velocity, not differences of ddq: whether that is a mean or the end's is not laid down.
    # A reset is rest: the first command's acceleration came about within its period.
    settled = np.where(ground.follows[:, None], mean, 0.0)
    jerk = _change(settled) / dt
    bad = np.abs(jerk) > bounds.jerk * (1 + RELATIVE) + JERK_ROUNDING
    report.joints("jerk", bad & ground.follows[:, None], jerk, bounds.jerk)


def _position_rates(ground: Ground, bounds: Bounds, report: Report) -> None:
    """The same limits on the positions alone: an arm follows positions whatever velocities come with them.

    Exact for every motion inside the limits: a first, second, third difference is a weighted mean of velocity,
    acceleration, jerk over what it spans.
    """
    q, dt = ground.rows["q"], ground.dt
    velocity = _change(q) / dt
    up, down = bounds.speed_limits(q)
    up, down = np.maximum(up, _before(up)), np.maximum(down, _before(down))
    bad = (velocity > up + RELATIVE) | (-velocity > down + RELATIVE)
    report.joints("velocity_by_position", bad & ground.follows[:, None], velocity, up)
    acceleration = _change(velocity) / dt
    bad = np.abs(acceleration) > bounds.acceleration * (1 + RELATIVE)
    report.joints("acceleration_by_position", bad & ground.follows2[:, None], acceleration, bounds.acceleration)
    jerk = _change(acceleration) / dt
    bad = np.abs(jerk) > bounds.jerk * (1 + RELATIVE) + JERK_ROUNDING
    report.joints("jerk_by_position", bad & ground.follows3[:, None], jerk, bounds.jerk)


def _consistency(ground: Ground, bounds: Bounds, report: Report) -> None:
    """q, dq and ddq tell of one motion, as far as a bounded acceleration lets anyone say.

    Between two rows the velocity stays within A of both, so the step differs from the trapezoid of the velocities by at
    most A dt^2 / 4; and the acceleration given is one that occurs within the period: within J dt of the mean one.
    """
    rows, dt = ground.rows, ground.dt
    off = np.abs(rows["ddq"] - _change(rows["dq"]) / dt)
    limit = bounds.jerk * dt * (1 + RELATIVE) + JERK_ROUNDING
    report.joints("acceleration_inconsistent", (off > limit) & ground.follows[:, None], off, limit)
    off = np.abs(_change(rows["q"]) - 0.5 * (rows["dq"] + _before(rows["dq"])) * dt)
    limit = 0.25 * bounds.acceleration * dt * dt * (1 + RELATIVE) + ROUNDING
    report.joints("velocity_inconsistent", (off > limit) & ground.follows[:, None], off, limit)


def _factor(ground: Ground) -> np.ndarray:
    """(n,) share of the speed limits in force: down by at most `FACTOR_PER_S`, up at once."""
    factor = np.ones(len(ground.rows))
    last = 1.0
    for k, speed in enumerate(ground.rows["speed"].tolist()):
        if not ground.follows[k]:
            last = 1.0
        last = min(1.0, max(speed, last - FACTOR_PER_S * ground.dt, LEAST_FACTOR))
        factor[k] = last
    return factor


def _poses(ground: Ground, bounds: Bounds, report: Report) -> None:
    """What depends on where the links are, in chunks: speeds of tool and elbow, workspace, capsules."""
    n = len(ground.rows)
    kinds = ("tcp_speed", "elbow_speed", "tcp_rotation", "workspace", "points", "clearance")
    columns = {name: np.empty(n) for name in kinds}
    nearest = np.empty(n, dtype=np.int32)
    names: list[str] = []
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        frames = bounds.arm.frames(ground.rows["q"][part])
        motion = bounds.arm.motion(frames, ground.rows["dq"][part])
        columns["tcp_speed"][part] = np.linalg.norm(motion.tcp_velocity, axis=1)
        columns["elbow_speed"][part] = np.linalg.norm(motion.elbow_velocity, axis=1)
        columns["tcp_rotation"][part] = np.linalg.norm(motion.tcp_rotation, axis=1)
        columns["workspace"][part] = bounds.outside(motion.tcp)
        columns["points"][part] = np.maximum(bounds.intrusion(motion.tcp), bounds.intrusion(motion.elbow))
        slack, nearest[part], names = bounds.surroundings.worst(frames)
        columns["clearance"][part] = -slack
        ground.tcp[part] = motion.tcp
    profile, factor = bounds.profile, _factor(ground)
    for name, limit in (
        ("tcp_speed", profile.tcp_speed_m_s),
        ("elbow_speed", profile.elbow_speed_m_s),
        ("tcp_rotation", profile.tcp_rotation_rad_s),
    ):
        report.add(name, columns[name] > limit * factor + ROUNDING, columns[name], limit * factor)
    for name in ("workspace", "points"):
        out = columns[name]
        report.add(name, (out > DISTANCE_M) & _worse(out, ground), out, 0.0)
    out = columns["clearance"]
    bad = (out > DISTANCE_M) & _worse(out, ground)
    report.add("clearance", bad, out, 0.0, lambda k: names[nearest[k]])


def _window(ground: Ground, bounds: Bounds, report: Report) -> None:
    """The tool's way within any 250 ms of the clock. A running stop is let off: it is what such a burst must lead to."""
    rows = ground.rows
    step = np.linalg.norm(_change(ground.tcp), axis=1)
    step[~ground.follows] = 0.0
    way = np.cumsum(step)
    starts = np.flatnonzero(~ground.follows)
    since = np.empty(len(rows), dtype=np.int64)
    for begin, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        times = rows["now_ns"][begin:end]
        since[begin:end] = begin + np.searchsorted(times, times - WINDOW_NS, side="right")
    travelled = way - way[since]
    bad = (travelled > bounds.profile.window_displacement_m + ROUNDING) & (rows["verdict"] < STOP) & ~rows["stopping"]
    report.add("window", bad, travelled, bounds.profile.window_displacement_m)


def _heeded(ground: Ground, bounds: Bounds, report: Report) -> None:
    """Poisoned input gets the verdict it must get, unless a stop runs already; a stop once started is run to its end."""
    rows = ground.rows
    running = np.zeros(len(rows), dtype=bool)  # a latched stop runs before this row
    active = False
    for k, (verdict, follows) in enumerate(zip(rows["verdict"].tolist(), ground.follows.tolist(), strict=True)):
        active = active and follows and not rows["at_rest"][k - 1]
        running[k] = active
        active = active or verdict >= STOP
    given, least = rows["verdict"].astype(float), rows["must"].astype(float)
    sent = rows["verdict"] != START
    report.add("unheeded", (least >= STOP) & (given < least) & ~running & sent, given, least)
    report.add("stop_left", running & (given < STOP), given, float(STOP))
