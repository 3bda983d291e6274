"""Histories that are inside every limit, for tests to spoil."""

import numpy as np
import pytest

from hil.fuzz.clean import about_home, waves
from hil.fuzz.episode import Setting, bench_of
from hil.fuzz.history import ROW, START, History
from hil.fuzz.situation import Situation


def situation(setting, seed=0):
    bench = bench_of(setting)
    s = Situation(
        rng=np.random.default_rng(seed), bounds=bench.bounds, tool=bench.tool, pool=about_home(bench),
        period_s=setting.period_ns * 1e-9,
        joint_order=bench.gate.robot.joint_order, frame=bench.gate.robot.frame,
        q=np.zeros(7), dq=np.zeros(7), ddq=np.zeros(7),
    )  # fmt: skip
    s.q = s.pool[0].copy()
    return s


def moved_and_stopped(setting, ticks, velocities=True):
    """A wave through the real gate, then no candidate until it rests."""
    s, gate = situation(setting), bench_of(setting).gate
    q, dq = waves(s, ticks)
    rows = np.zeros(3 * ticks, dtype=ROW)
    rows[0]["q"], rows[0]["verdict"], rows[0]["at_rest"], rows[0]["speed"] = s.q, START, True, 1.0
    gate.reset(s.q.tolist())
    for k in range(1, len(rows)):
        s.now_ns += setting.period_ns
        candidate = s.candidate(q[k - 1], dq[k - 1]) if k <= ticks else None
        decision = gate.decide(s.now_ns, candidate, s.facts(), True, True)
        s.q = np.array(decision.q)
        row = rows[k]
        row["tick"], row["now_ns"], row["absent"], row["speed"] = k, s.now_ns, candidate is None, 1.0
        row["q"], row["dq"], row["ddq"] = decision.q, decision.dq, decision.ddq
        row["verdict"], row["stopping"], row["at_rest"] = decision.verdict, decision.stopping, decision.at_rest
        row["predicted"], row["predicted_s"] = np.abs(np.array(gate.stop_q) - s.q), gate.stop_duration_s
        if candidate is None and decision.at_rest:
            return History(s.period_s, rows[: k + 1].copy())
    raise AssertionError("the gate did not come to rest")


AT_200_HZ = Setting("collaborative", False, 5_000_000)
AT_1_KHZ = Setting("collaborative", True, 1_000_000)


@pytest.fixture(scope="session")
def slow_history():
    return moved_and_stopped(AT_200_HZ, 300)


@pytest.fixture(scope="session")
def fast_history():
    return moved_and_stopped(AT_1_KHZ, 1200)


@pytest.fixture
def slow(slow_history):
    """(history at 200 Hz to spoil, bounds)."""
    return History(slow_history.period_s, slow_history.rows.copy()), bench_of(AT_200_HZ).bounds


@pytest.fixture
def fast(fast_history):
    """(history at 1 kHz to spoil, bounds with a keep-out box)."""
    return History(fast_history.period_s, fast_history.rows.copy()), bench_of(AT_1_KHZ).bounds
