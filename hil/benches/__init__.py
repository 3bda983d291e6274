"""Benchmarks: one file each, `run(quick) -> list[BenchRow]`. A new one is a line in the table."""

import importlib

from hil.report import BenchRow

BENCHES = {
    "loop": "lateness of the control loop against cyclictest and plain sleep, idle and loaded; missed slots; gc",
    "ring": "rows and frames through shared memory against memcpy; torn reads under a full-speed writer",
    "stops": "every failure under way: time to the start of braking, stop time and distance, by the robot's own log",
    "schedules": "seeded schedules of operation and faults; an independent checker over the robot's own log",
    "soak": "a whole cell streaming: memory, file descriptors and shared memory must not grow",
    "fuzz": "a million bad commands through the gate against an independent checker; clean motion unharmed",
    "gate": "what a decision of the gate costs, whole and check by check",
    "mutation": "every small change of the gate and the modes must be noticed by a test",
}


def run(name: str, *, quick: bool) -> list[BenchRow]:
    """Run one bench by name."""
    return importlib.import_module(f"hil.benches.{name}").run(quick=quick)
