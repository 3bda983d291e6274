"""`sinew home`: move the arms to their home poses."""

import argparse

from launch.verbs.ask import add_instance, ask_and_print


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_instance(parser)


def main(arguments: argparse.Namespace) -> int:
    return ask_and_print(arguments.instance, "home", timeout_s=120)
