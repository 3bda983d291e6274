"""`sinew bench fuzz`: a million bad commands through the gate against an independent checker; and clean motion unharmed."""

import os
from collections import Counter

from hil.fuzz.campaign import Outcome, run_clean, run_seeds
from hil.fuzz.episode import ROWS
from hil.report import BenchRow

# Full: 410 seeds of 2500 ticks. Quick ends within 50 s on two cores.
SEEDS, QUICK_SEEDS = 410, 20
MOST_ROWS, QUICK_ROWS = 1e6, 5e4
CLEAN_SEEDS, CLEAN_TICKS = 8, 12_000
QUICK_CLEAN_TICKS = 3_000
MOST_WORKERS = 4


def run(*, quick: bool) -> list[BenchRow]:
    workers = max(2, min(os.cpu_count() or 1, MOST_WORKERS))
    total = run_seeds(range(QUICK_SEEDS if quick else SEEDS), ROWS, workers)
    ticks = QUICK_CLEAN_TICKS if quick else CLEAN_TICKS
    judged, changed = run_clean(range(workers if quick else CLEAN_SEEDS), ticks, workers)
    _print(total)
    return rows_of(total, judged, changed, QUICK_ROWS if quick else MOST_ROWS)


def rows_of(total: Outcome, judged: int, changed: Counter[tuple[str, str]], least_rows: float) -> list[BenchRow]:
    """What the bench answers."""
    share = 100.0 * sum(changed.values()) / judged
    causes = ", ".join(f"{kind}: {reason} {count}" for (kind, reason), count in changed.most_common())
    kinds = ", ".join(f"{kind} {count}" for kind, count in total.kinds.most_common())
    return [
        BenchRow("rows", total.rows, "rows", least_rows, "more", note=f"{total.moving} of them moving"),
        BenchRow("out_of_limits", total.rows_out, "rows", 0, "equal", note=kinds),
        BenchRow("exceptions", total.exceptions, "", 0, "equal"),
        BenchRow("unheeded", total.unheeded, "rows", 0, "equal", note="bad input that did not get its verdict"),
        BenchRow("stops", total.stops, "stops", 100, "more"),
        BenchRow(
            "stops_infeasible", total.stops_infeasible, "stops", 0, "equal", note="not at rest, slow, speeding up"
        ),
        BenchRow("stop_longer_than_predicted", total.longer_than_predicted, "stops", 0, "equal"),
        BenchRow("shaped_clean_pct", share, "%", 1.0, "less", note=f"of {judged} clean ticks; {causes or 'none'}"),
    ]


def _print(total: Outcome) -> None:
    families = sorted({family for family, _ in total.verdicts})
    names = ("PASS", "SHAPE", "STOP", "TRIP")
    print(f"\n  {'source':<16}" + "".join(f"{name:>9}" for name in names))
    for family in families:
        print(f"  {family:<16}" + "".join(f"{total.verdicts[family, name]:>9}" for name in names))
    for finding in total.findings:
        print(f"  {finding}")
