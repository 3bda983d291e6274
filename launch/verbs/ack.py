"""`sinew ack`: acknowledge what stopped the arms; without a running session, the fault that one has left latched."""

import argparse

from launch import latch
from launch.console import ConsoleError, sessions
from launch.verbs.ask import add_instance, ask_and_print


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_instance(parser)


def main(arguments: argparse.Namespace) -> int:
    if sessions() and (arguments.instance is None or arguments.instance in sessions()):
        return ask_and_print(arguments.instance, "ack", timeout_s=30)
    kept = latch.kept()
    names = [arguments.instance] if arguments.instance else list(kept)
    if len(names) != 1 or names[0] not in kept:
        raise ConsoleError(f"no session runs, and latched faults are kept for: {', '.join(kept) or 'none'}")
    latch.clear(names[0])
    print(f"sinew ack: no session runs; acknowledged what '{names[0]}' had latched: {kept[names[0]].text}")
    return 0
