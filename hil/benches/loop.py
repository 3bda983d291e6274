"""`sinew bench loop`: how late the loop's ticks are, next to cyclictest and to plain sleep(dt - elapsed), in the same minutes.

Rounds interleave the three, idle and beside a CPU hog plus an onnxruntime process, at 1 kHz and 200 Hz, all on one core;
figures are medians over rounds of each round's p99. Rounds in which the hypervisor took time (steal in /proc/stat) count
only if there are no others: what it takes hits whoever runs, cyclictest too.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from hil.benches.loop_worker import PRIORITY
from hil.report import BenchRow
from runtime.errors import SinewError
from runtime.ring import remove_dead_rings

RATES_HZ = (1000, 200)
HISTOGRAM_US = 60_000
RATIO_LIMIT = 1.5


class LoopBenchError(SinewError):
    """The bench cannot run here."""


@dataclass
class Window:
    """One stretch of one contender."""

    p99_us: float
    p50_us: float
    skipped: int = 0
    stolen: bool = False


@dataclass
class Case:
    """All windows of one rate and load, by contender."""

    windows: dict[str, list[Window]] = field(default_factory=dict)

    def clean(self, name: str) -> list[Window]:
        every = self.windows[name]
        return [one for one in every if not one.stolen] or every

    def p99_us(self, name: str) -> float:
        return statistics.median(one.p99_us for one in self.clean(name))


def _steal() -> int:
    return int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8])


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


class _Process:
    """A worker or load in a process of its own, ready when it says so."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        if self.process.stdout.readline().strip() != "ready":
            raise LoopBenchError(f"{' '.join(command)} did not start: exit status {self.process.wait()}")

    def ask(self, rate_hz: int, ticks: int) -> dict:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{rate_hz} {ticks}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __enter__(self) -> "_Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def _cyclictest(rate_hz: int, ticks: int, cpu: int) -> tuple[float, float]:
    """p99 and p50 [us] of cyclictest under FIFO on one core."""
    with tempfile.TemporaryDirectory() as folder:
        histogram = Path(folder) / "histogram"
        options = ["-q", "-m", f"-p{PRIORITY}", f"-a{cpu}", f"-i{1_000_000 // rate_hz}", f"-l{ticks}"]
        command = ["cyclictest", *options, f"-h{HISTOGRAM_US}", f"--histfile={histogram}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LoopBenchError(f"cyclictest: {done.stderr.strip()[:300]}: FIFO must be permitted for the yardstick")
        counts = [line.split() for line in histogram.read_text().splitlines() if line and line[0].isdigit()]
    total = sum(int(count) for _, count in counts)
    missing = ticks - total  # beyond the histogram
    found = []
    for share in (0.99, 0.50):
        seen, value = 0, float(HISTOGRAM_US)
        for us, count in counts:
            seen += int(count)
            if seen >= share * (total + missing):
                value = float(us)
                break
        found.append(value)
    return found[0], found[1]


def _window(contender: str, worker: _Process | None, rate_hz: int, ticks: int, cpu: int) -> tuple[Window, dict]:
    before = _steal()
    answer: dict = {}
    if worker is None:
        p99, p50 = _cyclictest(rate_hz, ticks, cpu)
        window = Window(p99, p50)
    else:
        answer = worker.ask(rate_hz, ticks)
        window = Window(_percentile(answer["late_us"], 0.99), _percentile(answer["late_us"], 0.5), answer["skipped"])
    window.stolen = _steal() > before
    return window, answer


def run(*, quick: bool) -> list[BenchRow]:
    """Raises LoopBenchError where cyclictest is not installed or FIFO is not permitted."""
    if shutil.which("cyclictest") is None:
        raise LoopBenchError("cyclictest is not installed: apt-get install rt-tests")
    cpu = max(os.sched_getaffinity(0))
    rounds, seconds = (3, 0.8) if quick else (12, 3.0)
    instance = f"bench-loop-{os.getpid()}"
    cases: dict[tuple[int, str], Case] = {}
    gc_runs = 0
    fifo = True
    try:
        with (
            _Process("hil.benches.loop_worker", "rt", instance, str(cpu)) as rt,
            _Process("hil.benches.loop_worker", "plain", instance, str(cpu)) as plain,
        ):
            contenders: dict[str, _Process | None] = {"rt": rt, "cyclictest": None, "plain": plain}
            for load in ("idle", "loaded"):
                with ExitStack() as loads:
                    if load == "loaded":
                        loads.enter_context(_Process("hil.benches.loop_load", "hog"))
                        loads.enter_context(_Process("hil.benches.loop_load", "onnx"))
                    for number in range(rounds):
                        for rate_hz in RATES_HZ:
                            case = cases.setdefault((rate_hz, load), Case())
                            names = list(contenders)
                            for name in names[number % 3 :] + names[: number % 3]:  # nobody always goes first
                                ticks = round(seconds * rate_hz)
                                window, answer = _window(name, contenders[name], rate_hz, ticks, cpu)
                                case.windows.setdefault(name, []).append(window)
                                if name == "rt":
                                    gc_runs, fifo = answer["gc"], answer["fifo"]
    finally:
        remove_dead_rings(instance)
    return _rows(cases, gc_runs, fifo=fifo)


def _rows(cases: dict[tuple[int, str], Case], gc_runs: int, *, fifo: bool) -> list[BenchRow]:
    note = "" if fifo else "FIFO was NOT granted to the loop"
    rows = []
    ratios = {load: _ratio(cases[1000, load]) for load in ("idle", "loaded")}
    worst = max(ratios, key=lambda load: ratios[load])
    case = cases[1000, worst]
    rows.append(
        BenchRow(
            "p99_over_cyclictest_1khz", ratios[worst], "ratio", RATIO_LIMIT, baseline=case.p99_us("cyclictest"),
            ratio=ratios[worst], note=f"the worse of idle and loaded ({worst}); {_steal_note(case)}; {note}".rstrip("; "),
        )
    )  # fmt: skip
    slots = [cases[200, load] for load in ("idle", "loaded")]
    clean = [one for case in slots for one in case.windows["rt"] if not one.stolen]
    total = sum(len(case.windows["rt"]) for case in slots)
    rows.append(
        BenchRow(
            "missed_slots_200hz", sum(one.skipped for one in clean) if clean else float("nan"), "slots", 0, "equal",
            note=f"{len(clean)} of {total} windows without steal",
        )
    )  # fmt: skip
    rows.append(BenchRow("gc_in_rt", gc_runs, "runs", 0, "equal"))
    for (rate_hz, load), case in cases.items():
        for name in ("rt", "cyclictest", "plain"):
            rows.append(
                BenchRow(
                    f"{name}_p99_{rate_hz}hz_{load}", case.p99_us(name), "us", baseline=case.p99_us("cyclictest"),
                    ratio=case.p99_us(name) / max(1.0, case.p99_us("cyclictest")),
                    note=f"p50 {statistics.median(one.p50_us for one in case.clean(name)):.0f} us, "
                    f"{sum(one.skipped for one in case.windows[name])} slots missed, {_steal_note(case, name)}",
                )
            )  # fmt: skip
    return rows


def _ratio(case: Case) -> float:
    return case.p99_us("rt") / max(1.0, case.p99_us("cyclictest"))


def _steal_note(case: Case, name: str = "rt") -> str:
    windows = case.windows[name]
    return f"{sum(not one.stolen for one in windows)} of {len(windows)} windows without steal"
