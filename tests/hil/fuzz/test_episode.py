"""The real gate under fuzz: a short run of what `sinew bench fuzz` does at length."""

from itertools import islice

import numpy as np
import pytest

from hil.fuzz.campaign import Outcome, run_seed
from hil.fuzz.clean import interference
from hil.fuzz.episode import PERIODS_NS, SOURCES, Episode, Setting, bench_of, setting_of
from hil.fuzz.poison import POISONS
from hil.fuzz.situation import Situation

# Both profiles, both workspaces, all periods: the smallest seeds that have each.
SEEDS = (0, 1, 3, 4, 7)
ROWS = 900


@pytest.fixture(scope="module")
def outcome():
    total = Outcome()
    for seed in SEEDS:
        total.add(run_seed(seed, ROWS))
    return total


def test_seeds_of_this_test_cover_the_settings():
    settings = [setting_of(seed) for seed in SEEDS]
    assert {one.profile for one in settings} == {"collaborative", "full"}
    assert {one.crowded for one in settings} == {True, False}
    assert {one.period_ns for one in settings} == set(PERIODS_NS)


def test_no_row_leaves_a_limit_and_no_input_raises(outcome):
    assert not outcome.findings
    assert (outcome.rows_out, outcome.exceptions, outcome.unheeded) == (0, 0, 0)
    assert outcome.rows >= len(SEEDS) * ROWS


def test_every_stop_is_feasible_and_at_most_as_long_as_predicted(outcome):
    assert outcome.stops > 20
    assert (outcome.stops_infeasible, outcome.longer_than_predicted) == (0, 0)


def test_the_fuzz_moves_the_arm_and_meets_every_verdict(outcome):
    assert outcome.moving > outcome.rows / 3
    for verdict in ("PASS", "SHAPE", "STOP", "TRIP"):
        assert sum(count for (_, one), count in outcome.verdicts.items() if one == verdict) > 20


def test_a_seed_gives_the_same_history_again():
    first, second = Episode(2, 300).history, Episode(2, 300).history
    assert first.rows.tobytes() == second.rows.tobytes()
    assert first.families == second.families
    assert first.rows.tobytes() != Episode(5, 300).history.rows.tobytes()


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_source_asks_and_never_runs_dry(name):
    bench = bench_of(Setting("full", True, 5_000_000))
    s = Situation(
        rng=np.random.default_rng(1), bounds=bench.bounds, tool=bench.tool, pool=bench.pool, period_s=0.005,
        joint_order=bench.gate.robot.joint_order, frame=bench.gate.robot.frame,
        q=bench.pool[0].copy(), dq=np.zeros(7), ddq=np.zeros(7),
    )  # fmt: skip
    s.taken = s.candidate(s.q, None)
    asks = list(islice(SOURCES[name][0](s), 400))
    assert len(asks) == 400
    if name in POISONS and name not in ("missing", "modes", "guarded", "speeds", "late", "bursts"):
        assert any(ask.must for ask in asks), "this poison never poisons"


def test_a_gate_that_lets_anything_pass_is_found_out(monkeypatch):
    from runtime.gate.types import Decision
    from runtime.gate.verdict import Verdict

    def anything(self, now_ns, candidate, facts, armed, deadman_ok, speed=1.0):
        good = candidate is not None and candidate.q is not None and len(candidate.q) == 7
        q = [float(value) for value in candidate.q] if good else list(np.zeros(7))
        return Decision(Verdict.PASS, 0, 0.0, 0.0, 0, q, [0.0] * 7, [0.0] * 7, False, True)

    monkeypatch.setattr("runtime.gate.gate.Gate.decide", anything)
    outcome = run_seed(1, 300)
    assert outcome.rows_out + outcome.exceptions
    assert outcome.unheeded
    assert "--seed 1 --rows 300 --tick" in outcome.findings[0]


def test_an_exception_of_the_gate_is_counted_and_told(monkeypatch):
    def fails(self, *arguments):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("runtime.gate.gate.Gate.decide", fails)
    outcome = run_seed(1, 20)
    assert outcome.exceptions >= 20
    assert "ZeroDivisionError: a bug" in outcome.findings[0]


def test_clean_motion_is_hardly_ever_changed():
    judged, changed = interference(0, 2500)
    assert judged >= 2500
    assert sum(changed.values()) <= 0.01 * judged, changed
