"""`sinew check CELL`: is the cell ready, and what to do where it is not."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from runtime.cell import load_cell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cell", metavar="CELL", help="name of a cell, or path of its file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings as JSON")


def main(arguments: argparse.Namespace) -> int:
    cell = load_cell(arguments.cell)  # every finding about the file itself is in the error

    from drivers.check import check  # the client libraries take a second to load: not for --help

    print(f"cell '{cell.name}' ({'emulated' if cell.emulated else 'real'}): its file is valid")
    findings = []
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
