"""Clean motion, and how often the gate changes it: a gate that shapes what is inside every limit gets switched off.

Clean is what the independent checker finds nothing wrong with, with the margins below: it asks nothing that the limits
forbid, so every changed tick is the gate's own doing.
"""

from collections import Counter
from collections.abc import Callable

import numpy as np

from hil.fuzz.checker import check
from hil.fuzz.episode import ARM, CELL, Bench, Setting, bench_of
from hil.fuzz.history import ROW, SHAPE, History
from hil.fuzz.mover import Mover
from hil.fuzz.situation import Situation
from runtime.cell import load_cell
from runtime.gate.reasons import Reason

SECONDS = 6.0
SHARE = 0.8  # of speeds, accelerations and jerks: a task that sits on the limits is not clean
ROOM_M = 0.02  # to walls, boxes and itself, beyond what must be kept
BRAKING_RAD = 0.1  # from a joint's limit: room to stop in
SETTING = Setting("collaborative", False, 5_000_000)

SPREAD_RAD = 0.35  # of the poses about the arm's home: where a table task is done

Path = tuple[np.ndarray, np.ndarray]


def moves(s: Situation, ticks: int) -> Path:
    """From pose to pose, as a planner or an operator's goals would have it."""
    mover = Mover(s, velocity=SHARE, acceleration=SHARE, jerk=SHARE, tool=SHARE)
    target = s.some_pose()
    steps = []
    for _ in range(ticks):
        if np.abs(mover.q - target).max() < 0.01:
            target = s.some_pose()
        steps.append(mover.towards(target))
    return np.array([q for q, _ in steps]), np.array([dq for _, dq in steps])


def waves(s: Situation, ticks: int) -> Path:
    """Smooth periodic motion about a pose, as in exploration and calibration; it starts from rest."""
    t = np.arange(1, ticks + 1) * s.period_s
    rise = np.clip(t / 1.0, 0.0, 1.0)
    gain = rise**3 * (10 - 15 * rise + 6 * rise**2)
    slope = np.where(t < 1.0, 30 * rise**2 * (1 - rise) ** 2, 0.0)
    size, rate = s.rng.uniform(0.02, 0.12, 7), 2 * np.pi * s.rng.uniform(0.1, 0.5, 7)
    wave, change = np.sin(np.outer(t, rate)), rate * np.cos(np.outer(t, rate))
    return s.q + size * gain[:, None] * wave, size * (gain[:, None] * change + slope[:, None] * wave)


def lines(s: Situation, ticks: int) -> Path:
    """The tool along straight lines with minimum-jerk timing, as in pick and place; joints by damped least squares."""
    q, steps = s.q.copy(), []
    begin = goal = s.tool.pose(q)[:3, 3]
    turn = s.tool.pose(q)[:3, :3]
    left, lasts = 0, 1
    for _ in range(ticks):
        if left == 0:
            begin = s.tool.pose(q)[:3, 3]
            goal = begin + s.rng.uniform(-0.12, 0.12, 3)
            # Minimum jerk is at most 1.875 times its mean speed.
            seconds = 1.875 * np.linalg.norm(goal - begin) / (SHARE * s.bounds.profile.tcp_speed_m_s)
            left = lasts = max(20, round(max(0.5, float(seconds)) / s.period_s))
        left -= 1
        u = 1.0 - left / lasts
        at = begin + (10 * u**3 - 15 * u**4 + 6 * u**5) * (goal - begin)
        last = q
        for _ in range(2):
            T, J = s.tool.pose(q), s.tool.jacobian(q)
            back = turn @ T[:3, :3].T
            rotation = 0.5 * np.array([back[2, 1] - back[1, 2], back[0, 2] - back[2, 0], back[1, 0] - back[0, 1]])
            error = np.concatenate([at - T[:3, 3], rotation])
            q = q + J.T @ np.linalg.solve(J @ J.T + 1e-6 * np.eye(6), error)
        steps.append((q, (q - last) / s.period_s))
    positions = np.array([one for one, _ in steps])
    # The velocity at a tick, not over the period before it.
    return positions, np.gradient(np.vstack([s.q, positions]), s.period_s, axis=0)[1:]


# name -> (motion, asked as poses of the tool)
KINDS: dict[str, tuple[Callable[[Situation, int], Path], bool]] = {
    "moves": (moves, False),
    "waves": (waves, False),
    "lines": (lines, False),
    "lines as poses": (lines, True),
}


def about_home(bench: Bench) -> np.ndarray:
    """(n, 7) poses about the arm's home with room on all sides."""
    rng = np.random.default_rng(314)
    home = np.array(load_cell(CELL).arms[ARM].home_q_rad)
    q = home + SPREAD_RAD * rng.uniform(-1, 1, (400, 7))
    return q[bench.bounds.room(q) > 2 * ROOM_M]


def is_clean(bench: Bench, start: np.ndarray, q: np.ndarray, dq: np.ndarray, period_s: float) -> bool:
    """Whether the checker finds nothing wrong with commanding it, and room is left on all sides."""
    rows = np.zeros(len(q) + 1, dtype=ROW)
    rows["q"][0], rows["q"][1:], rows["dq"][1:] = start, q, dq
    rows["ddq"][1:] = np.diff(rows["dq"], axis=0) / period_s
    rows["now_ns"] = np.arange(len(rows)) * round(1e9 * period_s)
    rows["speed"] = 1.0
    bounds = bench.bounds
    far = (q < bounds.upper - BRAKING_RAD).all() and (q > bounds.lower + BRAKING_RAD).all()
    return bool(far and bounds.room(q).min() > ROOM_M and not check(History(period_s, rows), bounds).counts)


def interference(seed: int, ticks: int) -> tuple[int, Counter[tuple[str, str]]]:
    """(ticks judged, ticks changed by kind and reason) of at least `ticks` clean ticks."""
    bench = bench_of(SETTING)
    rng = np.random.default_rng([seed, 3])
    period_ns = SETTING.period_ns
    judged, changed = 0, Counter[tuple[str, str]]()
    kinds = list(KINDS)
    turn = 0
    pool = about_home(bench)
    while judged < ticks:
        s = Situation(
            rng=rng, bounds=bench.bounds, tool=bench.tool, pool=pool, period_s=period_ns * 1e-9,
            joint_order=bench.gate.robot.joint_order, frame=bench.gate.robot.frame,
            q=np.zeros(7), dq=np.zeros(7), ddq=np.zeros(7),
        )  # fmt: skip
        s.q = s.some_pose()
        kind = kinds[turn % len(kinds)]
        motion, as_poses = KINDS[kind]
        q, dq = motion(s, round(SECONDS / s.period_s))
        if not is_clean(bench, s.q, q, dq, s.period_s):
            continue
        turn += 1
        bench.gate.reset(s.q.tolist())
        for position, velocity in zip(q, dq, strict=True):
            s.now_ns += period_ns
            candidate = s.pose_candidate(s.tool.pose(position)) if as_poses else s.candidate(position, velocity)
            decision = bench.gate.decide(s.now_ns, candidate, s.facts(), True, True)
            judged += 1
            if decision.verdict >= SHAPE:
                changed[kind, Reason(decision.reason).name] += 1
            s.q = np.array(decision.q)
            if decision.verdict > SHAPE:
                break
    return judged, changed
