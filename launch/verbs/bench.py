"""`sinew bench NAME`: run one benchmark, print its table, write its JSON. Numbers are ratios within one run."""

import argparse
from pathlib import Path

from hil.benches import BENCHES, run
from hil.report import print_table, write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    width = max(len(name) for name in BENCHES)
    parser.epilog = (
        (parser.epilog or "")
        + "\n\nbenches:\n"
        + "\n".join(f"  {name:<{width}}  {sentence}" for name, sentence in BENCHES.items())
    )
    parser.add_argument("name", choices=sorted(BENCHES), metavar="NAME", help="one of: " + ", ".join(sorted(BENCHES)))
    parser.add_argument("--quick", action="store_true", help="end within 50 s on 2 cores")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows as JSON")


def main(arguments: argparse.Namespace) -> int:
    rows = run(arguments.name, quick=arguments.quick)
    print_table(arguments.name, rows)
    if arguments.json:
        write_json(arguments.json, arguments.name, rows)
    return 0 if all(row.ok for row in rows) else 1
