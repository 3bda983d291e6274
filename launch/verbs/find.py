"""`sinew find`: what is attached and reachable, and a draft of a cell file with it."""

import argparse
import json
import os
import re
from dataclasses import asdict
from pathlib import Path

from runtime.cell import CELLS_DIR, CellError, load_cell
from runtime.errors import SinewError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host", action="append", default=[], metavar="ADDRESS", help="also look for an arm here (repeatable)"
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="draft a cell file; an existing file is never overwritten"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found as JSON")


def main(arguments: argparse.Namespace) -> int:
    import pyrealsense2 as rs  # takes a second to load: not for --help

    from drivers.find import USUAL_HOSTS, draft, find_arms, find_cameras

    if arguments.write is not None:
        _check_target(arguments.write)
    cameras = find_cameras(rs.context().query_devices())
    arms = find_arms([*arguments.host, *_known_hosts(), *USUAL_HOSTS])
    print(
        f"{len(cameras)} RealSense cameras attached{':' if cameras else ' (is one plugged in? USB 3 port, udev rules)'}"
    )
    for camera in cameras:
        print(f"  {camera.serial}  {camera.name}, USB {camera.usb or '?'}, firmware {camera.firmware}", camera.trouble)
    print(
        "arms (TCP ports 1337 and 1338 only; version and frames are not asked, so that no working robot is disturbed):"
    )
    for arm in arms:
        found = f"listens{', with a hand' if arm.hand else ', no hand'}" if arm.arm else f"not found: {arm.why_not}"
        print(f"  {arm.host:<15}  {found}")
    if arguments.json:
        data = {"cameras": [asdict(one) for one in cameras], "arms": [asdict(one) for one in arms]}
        arguments.json.write_text(json.dumps(data, indent=2) + "\n")
    if arguments.write is not None:
        _write(arguments.write, draft(arguments.write.stem, cameras, arms))
        print(f"drafted {arguments.write}: look at the lines marked CHECK, then 'sinew check {arguments.write}'")
    return 0


def _known_hosts() -> list[str]:
    """Hosts of the cell files that there are; one that is wrong is not our business here."""
    hosts = []
    for file in sorted(CELLS_DIR.glob("*.yaml")):
        try:
            hosts += [arm.host for arm in load_cell(str(file)).arms.values()]
        except CellError:
            continue
    return hosts


def _check_target(path: Path) -> None:
    if path.suffix != ".yaml" or not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", path.stem):
        raise SinewError(f"--write {path}: the file bears the cell's name: a-z, 0-9, '_', '-', ending in .yaml")
    if path.exists():
        raise SinewError(
            f"--write {path}: exists already and is not overwritten: give another name, or remove it first"
        )


def _write(path: Path, text: str) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w") as file:
            file.write(text)
    except OSError as error:
        raise SinewError(f"--write {path}: {error.strerror}") from error
    load_cell(str(path))  # a draft that does not load would be our mistake: it is said at once
