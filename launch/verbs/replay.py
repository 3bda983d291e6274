"""`sinew replay [--verify] LOG`: what happened in a recording; with --verify, run it through the step again, bit for bit."""

import argparse
from pathlib import Path

import numpy as np

from runtime.blackbox import LOG_NAME
from runtime.gate.reasons import Reason
from runtime.gate.reasons import describe as describe_reason
from runtime.modes.causes import Cause, describe
from runtime.modes.machine import Mode
from runtime.replay import Outcome, verify
from runtime.rowlog import RowLog, read_log
from runtime.rows_rt import RT_MODES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("log", type=Path, metavar="LOG", help=f"a recording, or the folder of a black box ({LOG_NAME})")
    parser.add_argument("--verify", action="store_true", help="replay it and compare every command and verdict")


def main(arguments: argparse.Namespace) -> int:
    path = arguments.log / LOG_NAME if arguments.log.is_dir() else arguments.log
    log = read_log(path)
    if not log.whole:
        print(f"{path}: cut off: read as far as it goes")
    if not arguments.verify:
        _tell(log)
        return 0
    outcome = verify(log)
    print(f"{path}: {_sentence(outcome)}")
    return 1 if outcome.difference else 0


def _sentence(outcome: Outcome) -> str:
    stretch = f"ticks {outcome.first} to {outcome.last}"
    if outcome.difference:
        return f"{stretch}: NOT the same: {outcome.difference}"
    return (
        f"{stretch}: bit-identical ({outcome.last - outcome.first + 1} ticks, {outcome.commands} command rows compared)"
    )


def _tell(log: RowLog) -> None:
    """One line per change of mode: when, what, why."""
    rows = log.rings["rt.modes"].rows if "rt.modes" in log.rings else np.zeros(0, RT_MODES)
    seen: dict[int, tuple[int, int]] = {}
    for row in rows:
        for group in range(int(row["groups"])):
            now = int(row["mode"][group]), int(row["cause"][group])
            if seen.get(group) == now:
                continue
            seen[group] = now
            seconds = (int(row["now_ns"]) - int(rows[0]["now_ns"])) / 1e9
            line = f"{seconds:9.3f} s  tick {int(row['tick']):>7}  group {group}  {Mode(now[0]).name}"
            if now[1]:
                line += f": {describe(Cause(now[1]))}"
            if now[1] in (Cause.GATE_STOP, Cause.GATE_TRIP):
                reason, where = Reason(int(row["reason"][group])), int(row["reason_where"][group])
                value, limit = float(row["reason_value"][group]), float(row["reason_limit"][group])
                line += f" [{describe_reason(reason, value, limit, where)}]"
            print(line)
    print(f"{len(rows)} ticks; rings: {', '.join(f'{name} ({len(ring.rows)})' for name, ring in log.rings.items())}")
