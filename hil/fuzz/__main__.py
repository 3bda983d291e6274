"""Run one seed again and say what is wrong with it: `python -m hil.fuzz --seed 36 --tick 367`."""

import argparse
import sys

from hil.fuzz.bounds import Bounds
from hil.fuzz.checker import check
from hil.fuzz.episode import ROWS, Episode, bench_of, setting_of
from hil.fuzz.history import History
from runtime.gate.reasons import Reason
from runtime.gate.verdict import Verdict

AROUND = 4  # ticks shown before and after the one asked for


def show(history: History, bounds: Bounds, tick: int) -> None:
    """The rows about a tick."""
    room = bounds.room(history.rows["q"])
    for k, row in enumerate(history.rows):
        if abs(int(row["tick"]) - tick) > AROUND:
            continue
        verdict = "START" if row["verdict"] < 0 else Verdict(int(row["verdict"])).name
        print(
            f"tick {row['tick']} epoch {row['epoch']} {history.families[k]}: {verdict} {Reason(int(row['reason'])).name}"
            f"{' stopping' if row['stopping'] else ''}{' at rest' if row['at_rest'] else ''}"
            f"{' no candidate' if row['absent'] else ''}, room {1e3 * room[k]:.3f} mm, stop {row['predicted_s']:.4f} s"
        )
        for name in ("q", "dq", "ddq"):
            print(f"    {name:<3} " + " ".join(f"{value:>12.8f}" for value in row[name]))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hil.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--rows", type=int, default=ROWS, help="as in the run that failed (default: the bench's)")
    parser.add_argument("--tick", type=int, help="show the rows about this tick")
    arguments = parser.parse_args()
    episode = Episode(arguments.seed, arguments.rows)
    bounds = bench_of(setting_of(arguments.seed)).bounds
    report = check(episode.history, bounds)
    print(f"seed {arguments.seed}: {len(episode.history)} rows, {episode.setting}")
    for failure in episode.failures:
        print(f"exception at tick {failure.tick} ({failure.family}):\n{failure.text}")
    for violation in report.found:
        print(f"  {violation}")
    for kind, count in report.counts.most_common():
        print(f"  {count:>6} x {kind}")
    if arguments.tick is not None:
        show(episode.history, bounds, arguments.tick)
    return 1 if report.counts or episode.failures else 0


if __name__ == "__main__":
    sys.exit(main())
