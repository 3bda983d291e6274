"""Seeded schedules of operation and faults: how many were run, how many invariants they broke (none may be)."""

from hil.report import BenchRow
from hil.schedules.checker import check
from hil.schedules.run import run_schedule
from hil.schedules.schedule import schedule

FULL = (24, 6)  # schedules, episodes in each
QUICK = (1, 3)
WITH_CAMERAS = 4  # every fourth of the full run has cameras and needs one


def run(*, quick: bool) -> list[BenchRow]:
    """The rows; every violation is printed with the seed that reproduces it."""
    count, episodes = QUICK if quick else FULL
    violations = judged = acts = 0
    for seed in range(1, count + 1):
        cameras = not quick and seed % WITH_CAMERAS == 0
        history, limits = run_schedule(schedule(seed, episodes, cameras=cameras), cameras=cameras)
        judged += len(history.rows)
        acts += len(history.acts)
        for violation in check(history, limits):
            violations += 1
            print(f"  seed {seed}, {episodes} episodes{', cameras' if cameras else ''}: {violation}", flush=True)
    return [
        BenchRow("schedules", count, "", float(count), "equal", note=f"of {episodes} episodes each, {acts} acts"),
        BenchRow("violations", violations, "", 0.0, "equal", note=f"in {judged} rows of the robot's own log"),
    ]
