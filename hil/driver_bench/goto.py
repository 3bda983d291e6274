"""Point-to-point motions: where they end, what is refused, and that the same ones repeat on fresh servers."""

import math

import numpy as np

from hil.driver_bench.arm_faults import expect
from hil.remote import Arm
from hil.report import BenchRow
from hil.rig import Rig, own_addresses
from runtime.cell import Cell
from runtime.errors import SinewError
from runtime.rows import JOINTS, RequestStatus

REACHED_RAD = 2e-3
SAME_RAD = 1e-6
SERVERS = 4
WAYPOINTS = 3
SPREAD_RAD = 0.25


def waypoints(home: tuple[float, ...], seed: int) -> np.ndarray:
    """(WAYPOINTS, 7) joint positions [rad] around home; the same seed gives the same ones."""
    return np.array(home) + np.random.default_rng(seed).uniform(-SPREAD_RAD, SPREAD_RAD, (WAYPOINTS, JOINTS))


def run(rig: Rig) -> list[BenchRow]:
    """GOTO on the first arm: out, home, and requests that must be refused."""
    arm = next(iter(rig.arms.values()))
    home = rig.cell.arms[arm.name].home_q_rad
    try:
        error = max(_go(arm, target) for target in (*waypoints(home, 1), np.array(home)))
        note = f"{WAYPOINTS} waypoints and home"
    except SinewError as failure:
        error, note = math.nan, str(failure)
    wrong, bad = 0, _bad_targets(home)
    for target, speed in bad:
        arm.wait_rest()
        before = arm.wait(lambda _: True, "a state row")["q"]
        wrong += arm.goto(target, speed) is not RequestStatus.REFUSED
        wrong += bool(np.abs(arm.wait(lambda _: True, "a state row")["q"] - before).max() > 1e-4)
    return [
        BenchRow("goto_error", error, "rad", REACHED_RAD, note=note),
        BenchRow("goto_bad_accepted", wrong, "", 0, "equal", note=f"of {len(bad)} bad requests"),
    ]


def _go(arm: Arm, target: np.ndarray) -> float:
    arm.wait_rest()
    status = arm.goto(target)
    expect(status is RequestStatus.DONE, f"GOTO ended {status.name}: {arm.events()[-1:]}")
    arm.wait_rest()
    return float(np.abs(arm.wait(lambda _: True, "a state row")["q"] - target).max())


def _bad_targets(home: tuple[float, ...]) -> list[tuple[np.ndarray, float]]:
    q = np.array(home)
    outside, nan, infinite = q.copy(), q.copy(), q.copy()
    outside[3], nan[6], infinite[0] = 3.0, math.nan, -math.inf  # joint 4 of an FR3 ends below zero, a Panda's too
    return [(outside, 0.2), (nan, 0.2), (infinite, 0.2), (q, 0.0), (q, math.nan), (q, 5.0), (q, -0.1)]


def determinism(cell: Cell, *, servers: int = SERVERS) -> list[BenchRow]:
    """The same seeded motion on fresh lock-step servers: command counts and joint paths.

    Args:
        cell: an emulated cell; every server gets addresses of its own.
    """
    counts, paths = [], []
    for _ in range(servers):
        with Rig(own_addresses(cell), arms=list(cell.arms)[:1], hands=[], cameras=[], profile="lockstep") as rig:
            arm = next(iter(rig.arms.values()))
            arm.wait_rest()
            before = rig.panel.status()["arms"][arm.name]["commands"]
            legs = []
            for target in waypoints(rig.cell.arms[arm.name].home_q_rad, seed=7):
                arm.skip_history()
                _go(arm, target)
                legs.append(_leg(arm.history()["row"]))
            counts.append(rig.panel.status()["arms"][arm.name]["commands"] - before)
            paths.append(legs)
    apart = max(_apart(one, other) for legs in paths[1:] for one, other in zip(paths[0], legs, strict=True))
    return [
        BenchRow("determinism_commands", len(set(counts)), "counts", 1, "equal", note=f"commands per server: {counts}"),
        BenchRow("determinism_path", apart, "rad", SAME_RAD, note=f"{WAYPOINTS} motions on {servers} fresh servers"),
    ]


def _leg(rows: np.ndarray) -> dict[int, np.ndarray]:
    """Commanded joint positions by robot millisecond since the motion's first one: states nobody read are missing."""
    times_ms = rows["robot_time_ns"] // 1_000_000
    moving = np.abs(rows["dq_d"]).max(axis=1) > 0.0
    expect(bool(moving.any()), "no state of the motion was seen")
    begin = int(times_ms[moving][0])
    return {int(time) - begin: q for time, q in zip(times_ms[moving], rows["q"][moving], strict=True)}


def _apart(one: dict[int, np.ndarray], other: dict[int, np.ndarray]) -> float:
    """Largest difference where both were seen; the first state seen may be a millisecond or two later in one of them."""
    best = math.inf
    for shift in range(-5, 6):
        both = [(one[time], other[time + shift]) for time in one if time + shift in other]
        if len(both) >= len(one) // 2:
            best = min(best, max(float(np.abs(a - b).max()) for a, b in both))
    return best
