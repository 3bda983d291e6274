"""`sinew hil NAME --cell CELL`: a hardware-in-the-loop bench, the same against the emulated cell and the real one."""

import argparse
import sys
from pathlib import Path

from hil.report import print_table, write_json, write_junit
from runtime.cell import load_cell

BENCHES = {"drivers": "every motion mode, fault and device of a cell through its real driver processes"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        (parser.epilog or "") + "\n\nbenches:\n" + "\n".join(f"  {name}  {says}" for name, says in BENCHES.items())
    )
    parser.add_argument("name", choices=sorted(BENCHES), metavar="NAME", help="one of: " + ", ".join(sorted(BENCHES)))
    parser.add_argument("--cell", required=True, metavar="CELL", help="name of a cell, or path of its file")
    parser.add_argument(
        "--quick", action="store_true", help="fewer modes, rates and faults, one arm: within 50 s on 2 cores"
    )
    parser.add_argument("--yes", action="store_true", help="real cell: do not ask before the arms move")
    parser.add_argument("--allow-no-rt", action="store_true", help="real cell: run without real-time permissions")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows as JSON")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the rows as JUnit XML")


def main(arguments: argparse.Namespace) -> int:
    from hil.driver_bench import bench  # the client libraries take a second to load: not for --help

    cell = load_cell(arguments.cell)
    if cell.emulated is None and not arguments.yes and not _confirmed(cell.name, list(cell.arms)):
        print("sinew hil: nothing was moved", file=sys.stderr)
        return 1
    name = f"hil_{arguments.name}"
    rows = bench.run(arguments.cell, quick=arguments.quick, allow_no_rt=arguments.allow_no_rt)
    print_table(
        f"{name} ({'emulated' if cell.emulated else 'real'} cell '{cell.name}')", [row for row in rows if not row.ok]
    )
    print(f"  {len(rows)} rows, {sum(not row.ok for row in rows)} not met")
    if arguments.json:
        write_json(arguments.json, name, rows)
    if arguments.junit:
        write_junit(arguments.junit, name, rows)
    return 0 if all(row.ok for row in rows) else 1


def _confirmed(cell: str, arms: list[str]) -> bool:
    """The arms will move: somebody must say so. A pipe or a script is nobody."""
    if not sys.stdin.isatty():
        print(
            f"cell '{cell}' is real and its arms {arms} would move: say --yes, or run it in a terminal", file=sys.stderr
        )
        return False
    print(f"Cell '{cell}' is REAL. Its arms {arms} will move around their home pose, up to 0.25 m/s at the tool.")
    print("Clear the table, keep the emergency stop in your hand.")
    return input("Type the cell's name to go on: ").strip() == cell
