"""`sinew bench gate`: what a tick of the gate costs, whole and check by check, on motions that keep every check at work.

Time is the thread's own processor time: what other programs take from this machine does not count, what the gate itself
does (memory included) does. The whole decision is timed, from the candidate to the decision.
"""

import math
import random
import statistics
import time
from collections.abc import Callable

from hil.report import BenchRow
from hil.scenes import fr3
from runtime.cell import load_cell
from runtime.clearance import Clearance
from runtime.gate.gate import Gate
from runtime.gate.joints import check_change, check_consistency, check_position, check_step, check_velocity
from runtime.gate.last_word import cheap_subset
from runtime.gate.permission import check_permission
from runtime.gate.provenance import check_provenance, origin_of
from runtime.gate.schema import check_schema
from runtime.gate.speeds import check_singularity, check_speeds
from runtime.gate.stop import StopPlanner
from runtime.gate.touch import check_touch
from runtime.gate.types import ArmFacts, Candidate
from runtime.gate.verdict import Verdict
from runtime.kinematics import Kinematics
from runtime.robot import RobotModel
from runtime.rows import DriverState, RobotMode

CELL, ARM, PERIOD_NS = "emulated", "main", 1_000_000
LEAST_PAIRS = 50
WARM_UP = 200


def _robot() -> RobotModel:
    return RobotModel.from_urdf(fr3.urdf(), fr3.T_flange_ee_hand(), hand=True)


def _facts(now_ns: int, q: list[float]) -> ArmFacts:
    return ArmFacts(now_ns, q, [1.0, 0.5, -2.0, 0.1, 0.0, 0.2], int(DriverState.OK), int(RobotMode.MOVE))


def _motion(
    seed: int, home: tuple[float, ...], size_rad: float = 0.05
) -> Callable[[float], tuple[list[float], list[float]]]:
    """Every joint swings about home, at its own rate: a curved path, so that stops along it are curved too."""
    rng = random.Random(seed)
    rate = [rng.uniform(1.0, 2.5) for _ in home]
    size = [rng.uniform(0.4, 1.0) * size_rad for _ in home]

    def at(t: float) -> tuple[list[float], list[float]]:
        return (
            [a + s * (1.0 - math.cos(w * t)) for a, s, w in zip(home, size, rate, strict=True)],
            [s * w * math.sin(w * t) for s, w in zip(size, rate, strict=True)],
        )

    return at


def decisions(profile: str, ticks: int, size_rad: float, jump_rad: float = 0.0) -> tuple[list[float], int, int]:
    """([ms] of processor time of each decision, how many passed, how many pairs of capsules).

    The joints swing by `size_rad`; candidates lie `jump_rad` beside that, so that all are blended.
    """
    cell = load_cell(CELL)
    robot = _robot()
    gate = Gate(robot, cell.limits.profiles[profile], cell.limits.workspace[ARM], PERIOD_NS)
    home = cell.arms[ARM].home_q_rad
    motion, took, passed, q = _motion(1, home, size_rad), [], 0, list(home)
    gate.reset(q)
    for tick in range(1, ticks + 1):
        now_ns = 10**12 + tick * PERIOD_NS
        target, dq = motion(tick * PERIOD_NS * 1e-9)
        beside = jump_rad if tick // 20 % 2 else -jump_rad
        target = [value + beside for value in target]
        if tick % 80 == 0 and jump_rad:
            gate.reset(q)  # many blends in a row would trip
        candidate = Candidate(now_ns, now_ns, tick, 1, 1, 0, robot.joint_order, robot.frame, q=target, dq=dq)
        facts = _facts(now_ns, q)
        start = time.thread_time_ns()
        decision = gate.decide(now_ns, candidate, facts, True, True)
        took.append((time.thread_time_ns() - start) / 1e6)
        q = decision.q
        passed += decision.verdict is Verdict.PASS and not decision.at_rest
    return took[WARM_UP:], passed, len(gate.space.clearance)


def _cost_us(call: Callable[[], object], rounds: int, calls: int = 100) -> float:
    """Median over the rounds of the processor time per call [us]."""
    found = []
    for _ in range(rounds):
        start = time.thread_time_ns()
        for _ in range(calls):
            call()
        found.append((time.thread_time_ns() - start) / calls / 1e3)
    return statistics.median(found)


def plain_python_pair_us(rounds: int) -> float:
    """What one capsule pair costs in plain Python [us], the yardstick of `runtime/clearance.py`."""
    a, b, c, d = (0.1, 0.2, 0.3), (0.3, 0.1, 0.5), (0.6, 0.1, 0.2), (0.5, 0.4, 0.4)

    def distance() -> float:
        ux, uy, uz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
        vx, vy, vz = d[0] - c[0], d[1] - c[1], d[2] - c[2]
        wx, wy, wz = a[0] - c[0], a[1] - c[1], a[2] - c[2]
        uu, uv, vv = ux * ux + uy * uy + uz * uz, ux * vx + uy * vy + uz * vz, vx * vx + vy * vy + vz * vz
        uw, vw = ux * wx + uy * wy + uz * wz, vx * wx + vy * wy + vz * wz
        det = uu * vv - uv * uv
        s = min(1.0, max(0.0, (uv * vw - vv * uw) / det)) if det > 1e-12 else 0.0
        t = (uv * s + vw) / vv
        if not 0.0 <= t <= 1.0:
            t = min(1.0, max(0.0, t))
            s = min(1.0, max(0.0, (uv * t - uw) / uu))
        x, y, z = wx + s * ux - t * vx, wy + s * uy - t * vy, wz + s * uz - t * vz
        return math.sqrt(x * x + y * y + z * z)

    return _cost_us(distance, rounds)


def checks(rounds: int) -> list[BenchRow]:
    """One row per check: its cost when nothing is wrong, which is when all of it runs."""
    cell = load_cell(CELL)
    robot = _robot()
    gate = Gate(robot, cell.limits.active, cell.limits.workspace[ARM], PERIOD_NS)
    limits, period_s = gate.limits, PERIOD_NS * 1e-9
    home = cell.arms[ARM].home_q_rad
    q, dq = _motion(1, home)(0.4)
    ddq, now_ns = [0.2, -0.1, 0.3, 0.1, -0.2, 0.1, 0.2], 10**12
    candidate = Candidate(now_ns, now_ns, 5, 1, 1, 0, robot.joint_order, robot.frame, q=q, dq=dq)
    facts, last = _facts(now_ns, q), origin_of(candidate)._replace(sequence=4)
    kinematics, clearance = Kinematics(robot), Clearance(robot, cell.limits.workspace[ARM], 0.02)
    planner = StopPlanner(limits, period_s)
    kinematics.set(q, dq)
    tcp, speeds = kinematics.tcp(), kinematics.speeds()
    stop = planner.path(q, dq, ddq)
    assert stop is not None

    def whole_kinematics() -> None:
        kinematics.set(q, dq)
        kinematics.tcp()
        kinematics.speeds()

    table: list[tuple[str, str, Callable[[], object]]] = [
        ("permission_us", "armed, dead-man, driver, robot mode", lambda: check_permission(now_ns, facts, True, True)),
        (
            "schema_us",
            "type, shape, finite, joint order, frame",
            lambda: check_schema(candidate, robot.joint_order, robot.frame),
        ),
        (
            "provenance_us",
            "generation, sequence, age",
            lambda: check_provenance(candidate, now_ns, last, 50_000_000, PERIOD_NS),
        ),
        ("step_us", "step against the last command", lambda: check_step(q, q, limits)),
        ("position_us", "position box", lambda: check_position(q, q, limits)),
        ("velocity_us", "position-dependent velocity", lambda: check_velocity(q, dq, limits)),
        (
            "change_us",
            "acceleration and jerk (asked twice a tick)",
            lambda: check_change(dq, dq, [0.0] * 7, limits, period_s),
        ),
        ("consistency_us", "velocities against positions", lambda: check_consistency(dq, dq, dq, limits, period_s)),
        ("kinematics_us", "tool, elbow and their speeds (at every sample)", whole_kinematics),
        ("speeds_us", "speed limits", lambda: check_speeds(speeds, limits, 1.0)),
        (
            "singularity_us",
            "smallest singular value",
            lambda: check_singularity(dq, kinematics.smallest_singular_value(q), limits),
        ),
        ("room_us", f"{len(clearance)} capsule pairs and workspace (at every sample)", lambda: gate.space.room(q, tcp)),
        ("touch_us", "tracking error and wrench", lambda: check_touch(facts, q, limits, False)),
        ("stop_path_us", "plan a stop along the path", lambda: planner.path(q, dq, ddq)),
        ("stop_joints_us", "plan a stop per joint", lambda: planner.joints(q, dq, ddq)),
        ("stop_sample_us", "one sample of a stop", lambda: stop.at(0.01)),
    ]
    rows = [BenchRow(name, _cost_us(call, rounds), "us", note=note) for name, note, call in table]
    cheap = _cost_us(lambda: cheap_subset(q, dq, q, 0, limits), rounds)
    pairs = _cost_us(lambda: clearance.slack(q), rounds)
    python = plain_python_pair_us(rounds) * len(clearance)
    return [
        BenchRow(
            "cheap_p50_us",
            cheap,
            "us",
            10.0,
            note="the driver's last word: shape, finite, age, step, position, velocity",
        ),
        *rows,
        BenchRow(
            "pairs_us",
            pairs,
            "us",
            baseline=python,
            ratio=pairs / python,
            note="pin and coal; baseline: plain Python, distances alone",
        ),
    ]


def run(*, quick: bool) -> list[BenchRow]:
    ticks, rounds = (4000, 30) if quick else (20_000, 200)
    rows, passed, total, pairs = [], 0, 0, 0
    for name, profile, size_rad in (("full", "collaborative", 0.05), ("full_fast", "full", 0.16)):
        took, through, pairs = decisions(profile, ticks, size_rad)
        passed, total = passed + through, total + ticks
        ordered = sorted(took)
        p50, p99 = ordered[len(ordered) // 2], ordered[int(0.99 * len(ordered))]
        note = f"profile '{profile}', {len(took)} ticks, processor time of the thread; worst {ordered[-1]:.3f} ms"
        rows.append(BenchRow(f"{name}_p99_ms", p99, "ms", 0.4, note=note))
        rows.append(BenchRow(f"{name}_p50_ms", p50, "ms"))
    blended = sorted(decisions("collaborative", ticks // 2, 0.05, 0.004)[0])
    note = "every candidate is out of reach and blended: up to four tries in a tick"
    rows.append(BenchRow("blended_p99_ms", blended[int(0.99 * len(blended))], "ms", note=note))
    rows.append(
        BenchRow("passed_share", passed / total, "1", 0.99, "more", note="a gate that refuses is fast for nothing")
    )
    rows.append(BenchRow("pairs", pairs, "pairs", LEAST_PAIRS, "more", note="capsule pairs in every distance query"))
    return rows + checks(rounds)
