"""`sinew bench mutation`: every mutant of the gate and the modes must be killed, but for a listed, argued set.

The list is hil/mutation/survivors.txt: a mutant's key on one line, the argument indented below it. It may only shrink.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from hil.mutation.engine import ROOT
from hil.report import BenchRow

SURVIVORS = Path(__file__).resolve().parent.parent / "mutation" / "survivors.txt"
TARGETS = ("runtime/gate", "runtime/modes")
GUARDS = ("tests/runtime/gate", "tests/runtime/modes")
_WORKER = """
import json, sys
from hil.mutation.engine import run
task = json.loads(sys.argv[1])
outcomes, not_applied, tests = run(task["paths"], task["tests"], tuple(task["share"]))
answer = {
    "killed": sum(one.killed for one in outcomes), "total": len(outcomes), "tests": tests,
    "survived": [[one.mutant.key, one.mutant.line] for one in outcomes if not one.killed],
    "not_applied": [one.key for one in not_applied],
}
open(task["answer"], "w").write(json.dumps(answer))
"""


def listed_survivors(text: str) -> dict[str, str]:
    """Key -> argument. Raises ValueError for a key without an argument."""
    found: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith((" ", "\t")):
            found[key] = (found[key] + " " + line.strip()).strip()
        else:
            key = line.strip()
            found[key] = ""
    bare = [one for one, argument in found.items() if not argument]
    if bare:
        raise ValueError(f"{SURVIVORS.name}: these keys have no argument below them: {bare}")
    return found


def modules(targets: tuple[str, ...] = TARGETS) -> list[str]:
    """The modules under the targets, without package markers, relative to the root."""
    found = []
    for target in targets:
        base = ROOT / target
        paths = sorted(base.rglob("*.py")) if base.is_dir() else [base.with_suffix(".py")]
        found += [str(path.relative_to(ROOT)) for path in paths if path.name != "__init__.py"]
    return found


def run(*, quick: bool) -> list[BenchRow]:
    started = time.monotonic()
    paths = modules()
    guards = [guard for guard in GUARDS if (ROOT / guard).exists()]
    workers = max(1, min(os.cpu_count() or 1, 4))
    # The quick form takes every fifth mutant: a sample, named as such in the note.
    thin = 5 if quick else 1
    answers, running = [], []
    for index in range(workers):
        answer = Path(f"/dev/shm/sinew-mutation-{os.getpid()}-{index}.json")  # noqa: S108 in memory, removed below
        task = {"paths": paths, "tests": guards, "share": [index, workers * thin], "answer": str(answer)}
        command = [sys.executable, "-c", _WORKER, json.dumps(task)]
        running.append(
            (subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True), answer)
        )
    for process, answer in running:
        output, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"a mutation worker failed:\n{output[-3000:]}")
        answers.append(json.loads(answer.read_text()))
        answer.unlink()
    known = listed_survivors(SURVIVORS.read_text() if SURVIVORS.exists() else "")
    survived = [tuple(one) for answer in answers for one in answer["survived"]]
    unlisted = [(key, line) for key, line in survived if key not in known]
    stale = [] if quick else sorted(set(known) - {key for key, _ in survived})
    for key, line in unlisted:
        print(f"  survived (line {line}): {key}")
    for key in stale:
        print(f"  listed as a survivor but killed or gone, remove it from {SURVIVORS.name}: {key}")
    total = sum(answer["total"] for answer in answers)
    not_applied = sorted({key for answer in answers for key in answer["not_applied"]})
    for key in not_applied:
        print(f"  could not be put in place: {key}")
    sample = "every 5th mutant" if quick else "all mutants"
    return [
        BenchRow("mutants", total, "mutants", 50, "more", note=f"{sample}, {answers[0]['tests']} guarding tests"),
        BenchRow("killed", sum(answer["killed"] for answer in answers), "mutants", note=f"{len(survived)} survived"),
        BenchRow("survivors_unlisted", len(unlisted), "mutants", 0, "equal", note=f"{len(known)} listed and argued"),
        BenchRow("not_applied", len(not_applied), "mutants", 0, "equal"),
        BenchRow("stale_listed", len(stale), "mutants", 0, "equal"),
        BenchRow("minutes", (time.monotonic() - started) / 60, "min", 5.0, note="2 cores"),
    ]
