"""`sinew run`: start a cell, arm it, and follow a source through the gate; or hand a motion to the session that runs."""

import argparse
import sys
from pathlib import Path

from launch.console import ConsoleError, ask, sessions
from launch.missions import Mission
from launch.session import Session
from launch.supervisor import Supervisor
from runtime.cell import load_cell
from runtime.sources.waypoints import load_waypoints

ANSWER_S = 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cell", default="emulated", help="name or path of the cell file (default: emulated)")
    parser.add_argument(
        "--source",
        nargs="+",
        metavar=("SOURCE", "FILE"),
        required=True,
        help="'waypoints FILE': joint or Cartesian waypoints; 'home': the home poses; 'hold': arm and hold still; "
        "'jog': arm, then move joints with the keys of this terminal while they are held",
    )
    parser.add_argument("--instance", help="name of the session (default: the cell's name)")
    parser.add_argument(
        "--needs-cameras",
        nargs="+",
        default=[],
        metavar="CAMERA",
        help="cameras that the motion depends on: one that serves no frames stops the arms",
    )
    parser.add_argument("--stay", action="store_true", help="keep the cell up afterwards, for stop, ack, home and run")
    parser.add_argument(
        "--allow-no-rt", action="store_true", help="run a real cell without FIFO: recorded with the run"
    )


def main(arguments: argparse.Namespace) -> int:
    kind, *rest = arguments.source
    if kind not in ("waypoints", "home", "hold", "jog") or len(rest) != (kind == "waypoints"):
        print("sinew run: --source is one of: waypoints FILE, home, hold, jog", file=sys.stderr)
        return 2
    cell = load_cell(arguments.cell)
    if unknown := sorted(set(arguments.needs_cameras) - set(cell.cameras)):
        known = ", ".join(cell.cameras) or "none"
        print(
            f"sinew run: --needs-cameras {' '.join(unknown)}: the cameras of '{cell.name}' are: {known}",
            file=sys.stderr,
        )
        return 2
    instance = arguments.instance or cell.name
    file = str(Path(rest[0]).resolve()) if rest else ""
    if file:
        load_waypoints(Path(file))  # what is wrong with the file is said before anything is started
    if instance in sessions():
        return _hand_over(instance, kind, file)
    cell_file = arguments.cell if "/" not in arguments.cell else str(Path(arguments.cell).resolve())
    session = Session(
        cell,
        cell_file,
        instance,
        first=lambda supervisor: _mission(supervisor, kind, file),
        what=f"{kind} {rest[0]}" if rest else kind,
        stay=arguments.stay or kind in ("hold", "jog"),
        jog=kind == "jog",
        needs_cameras=arguments.needs_cameras,
        allow_no_rt=arguments.allow_no_rt,
    )
    return session.run()


def _mission(supervisor: Supervisor, kind: str, file: str) -> Mission:
    missions = supervisor.missions
    return missions.run(Path(file)) if kind == "waypoints" else missions.home() if kind == "home" else missions.hold()


def _hand_over(instance: str, kind: str, file: str) -> int:
    """A session of this name runs: ask it, so that two terminals never start two sessions of one cell."""
    if kind in ("hold", "jog"):
        raise ConsoleError(
            f"session '{instance}' runs already, so '{kind}' cannot start another: use its own terminal, or end it first"
        )
    print(f"sinew run: session '{instance}' is running: asking it")
    answer = ask(instance, "run" if kind == "waypoints" else kind, ANSWER_S, file=file)
    print(f"sinew run: {answer['text']}")
    return 0 if answer["ok"] else 1
