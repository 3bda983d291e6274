"""The sinew command: a flat table of verbs. A new verb is one row here and one file under launch/verbs/.

A verb's module has `add_arguments(parser)` and `main(arguments) -> int`, and is imported only when the verb is used;
with `INTERMIXED = True` its options may stand between its words.
Exit status: 0 as asked, 1 not met or refused, 2 wrong use.
"""

import argparse
import importlib
import sys
from dataclasses import dataclass
from typing import Any

from runtime.errors import SinewError


@dataclass(frozen=True)
class Verb:
    """One row of the command: its name, what it does in a sentence, an example."""

    name: str
    sentence: str
    example: str


VERBS = (
    Verb("demo", "show the main job on the emulated cell and leave a report", "sinew demo --episodes 2 --seed 1"),
    Verb(
        "run",
        "start a cell and follow a source of motion through the gate, with a live view",
        "sinew run --cell emulated --source waypoints docs/examples/square.yaml",
    ),
    Verb("stop", "stop every arm of the running session; answers when they are still", "sinew stop"),
    Verb("ack", "acknowledge what stopped the arms, so that motion may be asked for again", "sinew ack"),
    Verb("home", "move the arms to their home poses, gated and guarded against contact", "sinew home"),
    Verb(
        "cell", "run an emulated cell in the foreground: the real client libraries connect to it", "sinew cell emulated"
    ),
    Verb(
        "fault",
        "raise a fault in a running emulated cell, now or at a robot time",
        "sinew fault push --at 12.5 link=7 force_x_n=80 duration_ms=200",
    ),
    Verb(
        "find",
        "list attached cameras and reachable arms, and draft a cell file from them",
        "sinew find --write my_cell.yaml",
    ),
    Verb(
        "check", "say whether a cell is ready to run, and for each thing that is not, what to do", "sinew check franka"
    ),
    Verb(
        "hil",
        "run a bench through the real drivers of a cell, emulated or real",
        "sinew hil drivers --cell emulated --quick --json out/hil.json --junit out/hil.xml",
    ),
    Verb(
        "replay",
        "tell what happened in a recording, or run it through the loop again and compare every bit",
        "sinew replay --verify blackbox/1763690000000-stop",
    ),
    Verb("test", "run lint, types and tests", "sinew test tests/runtime -k ring"),
    Verb(
        "bench",
        "measure one part and print its numbers against their limits",
        "sinew bench ring --quick --json out/ring.json",
    ),
)


def _module(verb: Verb) -> Any:
    return importlib.import_module(f"launch.verbs.{verb.name}")


def main(argv: list[str] | None = None) -> int:
    """Run one verb and return the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    width = max(len(verb.name) for verb in VERBS)
    table = "\n".join(f"  {verb.name:<{width}}  {verb.sentence}" for verb in VERBS)
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(f"usage: sinew VERB [options]\n\nverbs:\n{table}\n\n'sinew VERB --help' tells more, with an example.")
        return 0 if argv else 2
    verb = next((one for one in VERBS if one.name == argv[0]), None)
    if verb is None:
        print(f"sinew: no verb '{argv[0]}'. The verbs are:\n{table}", file=sys.stderr)
        return 2
    module = _module(verb)
    parser = argparse.ArgumentParser(
        prog=f"sinew {verb.name}",
        description=verb.sentence[0].upper() + verb.sentence[1:] + ".",
        epilog=f"example: {verb.example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    intermixed = getattr(module, "INTERMIXED", False)
    arguments = parser.parse_intermixed_args(argv[1:]) if intermixed else parser.parse_args(argv[1:])
    try:
        return module.main(arguments)
    except SinewError as error:
        print(f"sinew {verb.name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
