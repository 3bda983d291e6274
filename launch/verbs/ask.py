"""What the verbs stop, ack and home share: one request to a running session, its answer for people."""

import argparse
from typing import Any

from launch.console import ConsoleError, ask, sessions


def add_instance(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--instance", help="name of the session; needed only when several run")


def ask_and_print(instance: str | None, verb: str, timeout_s: float, **arguments: Any) -> int:
    """Exit status 0 if it was done, 1 if it was refused."""
    if instance is None:
        running = sessions()
        if len(running) != 1:
            which = f"several run: {', '.join(running)}: name one with --instance" if running else "no session runs"
            raise ConsoleError(f"{which}; sessions are started with 'sinew run'")
        instance = running[0]
    answer = ask(instance, verb, timeout_s, **arguments)
    print(f"sinew {verb}: {answer['text']}")
    return 0 if answer["ok"] else 1
