"""`sinew fault NAME`: raise a fault in a running emulated cell."""

import argparse
import sys

from hil.cell_client import CellClient
from hil.fci.faults import FaultError
from hil.fci.panel import fault_table
from runtime.cell import load_cell

INTERMIXED = True  # options may stand between the fault and its arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", metavar="NAME [KEY=VALUE ...]", help="the fault and its arguments")
    parser.add_argument("--list", action="store_true", help="show every fault, what it does and its arguments")
    parser.add_argument("--clear", action="store_true", help="end lasting faults and forget those that are to come")
    parser.add_argument("--cell", default="emulated", metavar="CELL", help="the running cell (default: emulated)")
    parser.add_argument("--instance", help="name under which it runs (default: the cell's name)")
    parser.add_argument("--arm", metavar="ARM", help="which arm, or whose hand (default: the only one)")
    parser.add_argument("--at", type=float, metavar="SECONDS", help="robot time at which it strikes (default: now)")


def main(arguments: argparse.Namespace) -> int:
    if bool(arguments.words) + arguments.list + arguments.clear != 1:
        print("sinew fault: give the name of a fault and its arguments, or --list, or --clear", file=sys.stderr)
        return 2
    if arguments.list:
        print_table()
        return 0
    instance = arguments.instance or load_cell(arguments.cell).name
    with CellClient(instance) as client:
        if arguments.clear:
            client.clear(arguments.arm)
            print("lasting faults ended")
        else:
            name, *values = arguments.words
            checked = dict(parse_value(text) for text in values)
            print(client.fault(name, arm=arguments.arm, at_s=arguments.at, **checked))
    return 0


def print_table() -> None:
    """Every fault in two lines: what it does, what it takes."""
    for name, says, takes in fault_table():
        print(f"{name}: {says}")
        if takes:
            print(f"    {takes}")


def parse_value(text: str) -> tuple[str, float]:
    """`force_x_n=60` as its two parts.

    Raises:
        FaultError: no '=' in it, or no number behind it.
    """
    name, separator, value = text.partition("=")
    try:
        if not separator:
            raise ValueError
        return name, float(value)
    except ValueError:
        raise FaultError(f"argument '{text}': write it as key=number, e.g. duration_ms=500") from None
