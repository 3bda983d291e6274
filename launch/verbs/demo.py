"""`sinew demo`: the emulated cell picks and places, and leaves a report."""

import argparse
import tempfile
from pathlib import Path

from launch.demo import Demo
from launch.demo_report import write_report
from launch.session import Session
from runtime.cell import CellError, load_cell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--episodes", type=int, default=2, metavar="N", help="1 to 20 (default 2)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the first episode's object poses")
    parser.add_argument(
        "--fault", metavar="NAME", help="raise a fault while the object is carried ('sinew fault --list')"
    )
    parser.add_argument("--report", type=Path, default=Path("report"), metavar="DIR", help="where the report goes")
    parser.add_argument("--cell", default="emulated", help="an emulated cell with one arm and a hand")


def main(arguments: argparse.Namespace) -> int:
    if not 1 <= arguments.episodes <= 20 or arguments.seed < 0:
        raise CellError(f"--episodes {arguments.episodes} --seed {arguments.seed}: allowed are 1 to 20, and 0 or more")
    cell = load_cell(arguments.cell)
    if cell.emulated is None or not cell.hands:
        raise CellError(f"cell '{cell.name}': the demo needs an emulated cell with a hand; it never moves a real arm")
    with tempfile.TemporaryDirectory(prefix="sinew-demo-") as work:
        demo = Demo(cell, cell.name, arguments.episodes, arguments.seed, arguments.fault, Path(work))
        session = Session(cell, arguments.cell, cell.name, first=demo.mission, what="demo")
        status = session.run()
    report = write_report(demo, arguments.report, session.supervisor.log)
    good = sum(one.success for one in demo.episodes)
    print(f"\nsinew demo: {good} of {len(demo.episodes)} placed (emulated, scripted source); report: {report}")
    return status
