"""Plans a waypoint file in a process of its own: `python -m launch.plan_process --cell C --instance I --file F --out O`.

Inverse kinematics and the building of a gate's limits hold Python for up to seconds; the supervisor's heartbeat, which
keeps the arms armed, must not wait for them. The answer is a JSON file: the plan, or the sentence that refuses it.
"""

import argparse
import json
import sys
from pathlib import Path

from runtime.cell import load_cell
from runtime.errors import SinewError
from runtime.sources.plan import Plan
from runtime.sources.planning import plan_file


class PlanRefusedError(SinewError):
    """The file cannot be run; the text is the planner's own."""


def command(cell_file: str, instance: str, file: Path, out: Path) -> tuple[str, ...]:
    """The command line that plans `file` into `out`."""
    options = ("--cell", cell_file, "--instance", instance, "--file", str(file), "--out", str(out))
    return (sys.executable, "-m", "launch.plan_process", *options)


def read_answer(out: Path) -> Plan:
    """The plan in an answer file. Raises PlanRefusedError with the planner's sentence."""
    try:
        data = json.loads(out.read_text())
    except (OSError, ValueError) as error:
        raise PlanRefusedError(f"planning ended without an answer: {error}") from error
    if "refused" in data:
        raise PlanRefusedError(str(data["refused"]))
    q, dq = (tuple(tuple(map(float, row)) for row in data[key]) for key in ("q", "dq"))
    return Plan(int(data["arm"]), int(data["sample_ns"]), q, dq)


def main(argv: list[str] | None = None) -> int:
    """Exit status 0 with a plan, 1 with a refusal; either way the answer is in the file."""
    parser = argparse.ArgumentParser(prog="python -m launch.plan_process", description=__doc__)
    for option in ("--cell", "--instance", "--file", "--out"):
        parser.add_argument(option, required=True)
    arguments = parser.parse_args(argv)
    try:
        plan = plan_file(Path(arguments.file), load_cell(arguments.cell), arguments.instance)
        answer = {"arm": plan.arm, "sample_ns": plan.sample_ns, "q": plan.q, "dq": plan.dq}
    except SinewError as error:
        answer = {"refused": str(error)}
    Path(arguments.out).write_text(json.dumps(answer))
    return 1 if "refused" in answer else 0


if __name__ == "__main__":
    sys.exit(main())
