"""Runs every mutant against the tests that guard it, fast enough for every day: about 20 ms a mutant.

The tests are collected once. For each mutant the process forks; the child swaps the code object of the one changed
function inside the running interpreter (so every name bound to it sees the change), runs the guarding tests fail-fast and
tells by its exit status. A mutant that hangs is stopped by an alarm and counts as killed.
"""

import ast
import importlib
import os
import signal
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hil.mutation.operators import Mutant, mutants, mutated_tree

ROOT = Path(__file__).resolve().parent.parent.parent
HANG_S = 10
KILLED, SURVIVED, NOT_APPLIED = 1, 0, 3


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant."""

    mutant: Mutant
    killed: bool


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _functions(owner: Any, module: str) -> Iterator[types.FunctionType]:
    for value in list(vars(owner).values()):
        if isinstance(value, staticmethod | classmethod):
            value = value.__func__
        if isinstance(value, property):
            yield from (one for one in (value.fget, value.fset) if isinstance(one, types.FunctionType))
        elif isinstance(value, types.FunctionType):
            inner = getattr(value, "__wrapped__", value)  # functools.cache and contextmanager keep the original here
            if inner.__module__ == module:
                yield inner
        elif isinstance(value, type) and value.__module__ == module and value is not owner:
            yield from _functions(value, module)
        elif callable(value) and isinstance(getattr(value, "__wrapped__", None), types.FunctionType):
            yield value.__wrapped__


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from _codes(constant)


def apply(mutant: Mutant, source: str) -> bool:
    """Change the running interpreter; False where the function cannot be found (reported, never counted as killed)."""
    name = module_name(mutant.path)
    module = importlib.import_module(name)
    tree = mutated_tree(source, mutant)
    if not mutant.function:
        return _apply_constant(module, tree, mutant)
    compiled = compile(tree, str(ROOT / mutant.path), "exec")
    new = [code for code in _codes(compiled) if code.co_qualname == mutant.function]
    targets = [one for one in _functions(module, name) if one.__qualname__ == mutant.function]
    if len(new) != 1 or not targets:
        return False
    for target in targets:
        target.__code__ = new[0]
    return True


def _apply_constant(module: types.ModuleType, tree: ast.Module, mutant: Mutant) -> bool:
    """Rebind a module constant wherever it was imported to by the same name."""
    original = ast.parse((ROOT / mutant.path).read_text())
    for old, new in zip(original.body, tree.body, strict=True):
        if ast.dump(old) == ast.dump(new):
            continue
        assert isinstance(new, ast.Assign)
        assert isinstance(new.value, ast.Constant)
        for target in new.targets:
            if not isinstance(target, ast.Name):
                return False
            before = getattr(module, target.id)
            for other in list(sys.modules.values()):
                if getattr(other, "__dict__", {}).get(target.id) is before:
                    setattr(other, target.id, new.value.value)
        return True
    return False


class _Plugin:
    """Takes over pytest's run: one forked child per mutant over the collected items."""

    def __init__(self, todo: list[Mutant], sources: dict[str, str]) -> None:
        self.todo, self.sources = todo, sources
        self.outcomes: list[Outcome] = []
        self.not_applied: list[Mutant] = []
        self.items = 0

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = len(session.items)
        if not self.items:
            return True
        # Unmutated tests must pass first: a suite that fails anyway would kill everything.
        if self._in_child(session.items, None) != SURVIVED:
            raise pytest.UsageError("the guarding tests fail without any mutation: run them with `sinew test` first")
        for mutant in self.todo:
            # The mirrored test file first: it kills most of its module's mutants at once.
            mirror = f"test_{Path(mutant.path).name}"
            ordered = [item for item in session.items if item.path.name == mirror]
            ordered += [item for item in session.items if item.path.name != mirror]
            status = self._in_child(ordered, mutant)
            if status == NOT_APPLIED:
                self.not_applied.append(mutant)
            else:
                self.outcomes.append(Outcome(mutant, status != SURVIVED))
        return True

    def _in_child(self, items: list[pytest.Item], mutant: Mutant | None) -> int:
        child = os.fork()
        if child:
            _, status = os.waitpid(child, 0)
            return os.waitstatus_to_exitcode(status)
        code = KILLED
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            if mutant is not None and not apply(mutant, self.sources[mutant.path]):
                os._exit(NOT_APPLIED)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(HANG_S if mutant is not None else 0)
            code = SURVIVED if self._all_pass(items) else KILLED
        finally:
            os._exit(code)

    @staticmethod
    def _all_pass(items: list[pytest.Item]) -> bool:
        from _pytest.runner import runtestprotocol

        for index, item in enumerate(items):
            following = items[index + 1] if index + 1 < len(items) else None
            reports = runtestprotocol(item, nextitem=following, log=False)
            if any(report.failed for report in reports):
                return False
        return True


def run(paths: list[str], tests: list[str], share: tuple[int, int] = (0, 1)) -> tuple[list[Outcome], list[Mutant], int]:
    """Mutate the modules `paths` (relative to the root) against the test files `tests`.

    `share` is (index, of): this call takes every of-th mutant, so that several processes split the work. Returns the
    outcomes, the mutants that could not be put in place, and the number of tests that guarded.
    """
    sources = {path: (ROOT / path).read_text() for path in paths}
    every = [one for path in paths for one in mutants(path, sources[path])]
    plugin = _Plugin(every[share[0] :: share[1]], sources)
    arguments = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-m",
        "not slow",
        "--import-mode=importlib",
        "--no-header",
    ]
    status = pytest.main([*arguments, *tests], plugins=[plugin])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise RuntimeError(f"pytest ended with {status!r}: run the guarding tests alone to see why")
    return plugin.outcomes, plugin.not_applied, plugin.items
