"""Many seeds over worker processes, and their sum."""

import faulthandler
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from hil.fuzz.checker import check
from hil.fuzz.clean import interference
from hil.fuzz.episode import ROWS, Episode, bench_of, setting_of
from hil.fuzz.history import START
from hil.fuzz.violation import PREDICTION_KINDS, STOP_KINDS, VERDICT_KINDS
from runtime.gate.verdict import Verdict

T = TypeVar("T")
HANG_S = 120  # an episode takes seconds; a worker that hangs says where and dies, which breaks the run
SHOWN = 12  # findings kept as text


@dataclass
class Outcome:
    """Of some seeds. `kinds` counts violations, `verdicts` (family, verdict), `rows_out` rows outside a limit."""

    rows: int = 0
    rows_out: int = 0
    exceptions: int = 0
    stops: int = 0
    moving: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        self.rows += other.rows
        self.rows_out += other.rows_out
        self.exceptions += other.exceptions
        self.stops += other.stops
        self.moving += other.moving
        self.kinds += other.kinds
        self.verdicts += other.verdicts
        self.findings = (self.findings + other.findings)[:SHOWN]

    def of(self, kinds: Iterable[str]) -> int:
        """Violations of these kinds."""
        return sum(self.kinds[kind] for kind in kinds)

    @property
    def stops_infeasible(self) -> int:
        return self.of(STOP_KINDS)

    @property
    def longer_than_predicted(self) -> int:
        return self.of(PREDICTION_KINDS)

    @property
    def unheeded(self) -> int:
        return self.of(VERDICT_KINDS)


def run_seed(seed: int, rows: int = ROWS) -> Outcome:
    """One episode, checked."""
    faulthandler.dump_traceback_later(HANG_S, exit=True)
    try:
        return _run_seed(seed, rows)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _run_seed(seed: int, rows: int) -> Outcome:
    episode = Episode(seed, rows)
    history = episode.history
    sent = history.rows["verdict"] != START
    report = check(history, bench_of(setting_of(seed)).bounds)
    again = f"python -m hil.fuzz --seed {seed}" + (f" --rows {rows}" if rows != ROWS else "")
    findings = [f"{again} --tick {one.tick}: {one} ({history.families[one.row]})" for one in report.found]
    findings += [f"{again} --tick {one.tick}: {one.text.strip().splitlines()[-1]}" for one in episode.failures]
    verdicts = Counter(
        (family, Verdict(verdict).name)
        for family, verdict in zip(history.families, history.rows["verdict"].tolist(), strict=True)
        if verdict != START
    )
    braking = history.rows["stopping"]
    return Outcome(
        rows=int(sent.sum()),
        rows_out=len(report.rows_out),
        exceptions=len(episode.failures),
        stops=int((braking[1:] & ~braking[:-1]).sum()),
        moving=int((history.rows["dq"][sent] != 0.0).any(axis=1).sum()),
        kinds=report.counts,
        verdicts=verdicts,
        findings=findings,
    )


def run_seeds(seeds: range, rows: int, workers: int) -> Outcome:
    """All of them, over `workers` processes; the sum does not depend on how many."""
    total = Outcome()
    tasks = [(seed, rows) for seed in seeds]
    for one in _spread(run_seed, tasks, workers):
        total.add(one)
    return total


def run_clean(seeds: range, ticks: int, workers: int) -> tuple[int, Counter[tuple[str, str]]]:
    """Clean ticks judged, and those changed by (kind of motion, reason)."""
    judged, changed = 0, Counter[tuple[str, str]]()
    for count, some in _spread(interference, [(seed, ticks) for seed in seeds], workers):
        judged += count
        changed += some
    return judged, changed


def _spread(function: Callable[[int, int], T], tasks: list[tuple[int, int]], workers: int) -> list[T]:
    # A worker that dies breaks the run with an error; multiprocessing.Pool would wait for its answer for ever.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(function, *zip(*tasks, strict=True)))
