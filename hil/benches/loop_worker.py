"""One loop of the bench, in a process of its own: `rt`, the real step on the real grid, or `plain`, sleep(dt - elapsed).

Reads lines `RATE_HZ TICKS` and answers each with a line of JSON: lateness of every tick [us], slots skipped, collections.
"""

import json
import sys

from runtime.cell import Cell, load_cell
from runtime.clock import MonotonicClock
from runtime.loop.ports import RingPorts
from runtime.loop.shell import SPIN_NS, run_on_grid
from runtime.loop.step import Rt
from runtime.realtime import GcCounter, enter_realtime
from runtime.ticker import sleep_ns

PRIORITY = 60
LEAD_NS = 20_000_000


def with_rate(rate_hz: int) -> Cell:
    """The emulated cell's loop at another rate."""
    cell = load_cell("emulated")
    return cell.model_copy(update={"loop": cell.loop.model_copy(update={"rate_hz": rate_hz})})


def run_rt(instance: str, rate_hz: int, ticks: int, *, fifo: bool) -> dict[str, object]:
    """The real step over real rings (no arm is connected), as `runtime.rt` turns it."""
    clock = MonotonicClock()
    cell = with_rate(rate_hz)
    ports = RingPorts(instance, list(cell.arms))
    try:
        start_ns = clock.now_ns() + LEAD_NS
        rt = Rt(cell, ports, start_ns, 1)
        late_us = [0.0] * ticks

        def step(now_ns: int, work_ns: int) -> None:
            rt.step(now_ns, work_ns)
            late_us[rt.tick - 1] = rt.timing.late_ns / 1000

        run_on_grid(step, clock, start_ns, rt.period_ns, lambda: rt.tick >= ticks, spin_ns=SPIN_NS if fifo else 0)
        return {"late_us": late_us, "skipped": rt.timing.skipped}
    finally:
        ports.close()


def run_plain(rate_hz: int, ticks: int) -> dict[str, object]:
    """What most policy code does: measure, then sleep for what is left of the period; lateness adds up to drift."""
    clock = MonotonicClock()
    period_ns = 1_000_000_000 // rate_hz
    late_us = []
    begun_ns = clock.now_ns()
    first_ns = begun_ns
    for _ in range(ticks):
        sum(value * value for value in range(400))  # about what a light tick costs
        sleep_ns(max(0, period_ns - (clock.now_ns() - begun_ns)))
        now_ns = clock.now_ns()
        late_us.append((now_ns - begun_ns - period_ns) / 1000)
        begun_ns = now_ns
    drift_ns = begun_ns - first_ns - ticks * period_ns
    return {"late_us": late_us, "skipped": drift_ns // period_ns}


def main() -> None:
    kind, instance, cpu = sys.argv[1], sys.argv[2], int(sys.argv[3])
    fifo = True
    if kind == "rt":
        fifo = enter_realtime(PRIORITY, cpu).named("fifo").granted
    collector = GcCounter()
    print("ready", flush=True)
    for line in sys.stdin:
        rate_hz, ticks = map(int, line.split())
        found = run_rt(instance, rate_hz, ticks, fifo=fifo) if kind == "rt" else run_plain(rate_hz, ticks)
        print(json.dumps({**found, "gc": collector.runs, "fifo": fifo}), flush=True)


if __name__ == "__main__":
    main()
