"""`sinew stop`: stop every arm of a running session, from any terminal."""

import argparse

from launch.verbs.ask import add_instance, ask_and_print


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_instance(parser)


def main(arguments: argparse.Namespace) -> int:
    return ask_and_print(arguments.instance, "stop", timeout_s=15)
