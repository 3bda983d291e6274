"""`sinew check CELL`: is the cell ready, and what to do where it is not."""

import argparse
import json
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from hil.cell_client import CellClient
from runtime.cell import Cell, load_cell
from runtime.child import Child

START_S = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cell", metavar="CELL", help="name of a cell, or path of its file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings as JSON")


@contextmanager
def _robot_there(cell: Cell, cell_file: str) -> Iterator[None]:
    """An emulated cell that nobody runs is run for the check: 'sinew run' would start it too."""
    if cell.emulated is None or all(_listens(arm.host) for arm in cell.arms.values()):
        yield
        return
    instance = f"check-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="sinew-check-") as directory:
        command = (sys.executable, "-m", "hil.cell", os.path.abspath(cell_file) if "/" in cell_file else cell_file)
        child = Child("cell", (*command, "--instance", instance, "--no-render"), Path(directory) / "cell.log")
        try:
            with CellClient(instance, START_S):
                print("  (the emulated cell was not running: it is started for this check)")
                yield
        finally:
            child.end()


def _listens(host: str) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, 1337)) == 0


def main(arguments: argparse.Namespace) -> int:
    cell = load_cell(arguments.cell)  # every finding about the file itself is in the error

    from drivers.check import check  # the client libraries take a second to load: not for --help

    print(f"cell '{cell.name}' ({'emulated' if cell.emulated else 'real'}): its file is valid")
    findings = []
    with _robot_there(cell, arguments.cell):
        for one in check(cell):
            findings.append(one)
            sign = "ok" if one.ok else "NO" if one.required else "no"
            print(f"  {sign:<3} {one.name}: {one.found}", flush=True)
            if not one.ok and one.remedy:
                print(f"        -> {one.remedy}")
    missing = [one for one in findings if not one.ok and one.required]
    if arguments.json:
        data = {"cell": cell.name, "ready": not missing, "findings": [asdict(one) for one in findings]}
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(data, indent=2) + "\n")
    print(f"  {len(findings)} looked at: " + (f"{len(missing)} keep the cell from running" if missing else "ready"))
    return 1 if missing else 0
