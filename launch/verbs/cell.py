"""`sinew cell NAME`: run an emulated cell in the foreground."""

import argparse

from hil.cell import add_arguments as add_arguments
from hil.cell import run


def main(arguments: argparse.Namespace) -> int:
    return run(arguments)
