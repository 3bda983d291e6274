"""What a mutant is: one small change inside one function, or of one module constant.

Families as in opendbc's safety tests: comparison, boundary, arithmetic, negation, constant, removed statement. Docstrings,
annotations, messages and default arguments are left alone: they are no behaviour, or are bound before a test runs.
"""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARISON: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_REMOVABLE = (ast.Assign, ast.AugAssign, ast.Raise, ast.Break, ast.Continue, ast.Return, ast.Expr, ast.Delete)


@dataclass(frozen=True)
class Mutant:
    """One change. `key` names it without line numbers, so that a list of known survivors outlives edits elsewhere."""

    path: str  # relative to the repository root
    function: str  # qualified name inside the module; "" for a module constant
    family: str
    before: str
    after: str
    occurrence: int  # among equal changes in the same function
    line: int
    site: int  # index of the node in a walk of the module
    choice: int  # which of the node's changes

    @property
    def key(self) -> str:
        return f"{self.path}::{self.function or '<module>'}::{self.family}::{self.before} -> {self.after}#{self.occurrence}"


def _changes(node: ast.AST) -> list[tuple[str, ast.AST | None]]:
    """The changes of one node: (family, replacement); None removes the statement."""
    found: list[tuple[str, ast.AST | None]] = []
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            for number, other in enumerate(_COMPARISON.get(type(operator), ())):
                new = copy.deepcopy(node)
                new.ops[index] = other()
                ordered = isinstance(operator, ast.Lt | ast.LtE | ast.Gt | ast.GtE)
                found.append(("boundary" if ordered and number == 0 else "comparison", new))
    elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        if not isinstance(node.left, ast.Constant | ast.JoinedStr) or not isinstance(
            getattr(node.left, "value", 0), str
        ):
            new_bin = copy.deepcopy(node)
            new_bin.op = _ARITHMETIC[type(node.op)]()
            found.append(("arithmetic", new_bin))
    elif isinstance(node, ast.AugAssign) and type(node.op) in _ARITHMETIC:
        new_aug = copy.deepcopy(node)
        new_aug.op = _ARITHMETIC[type(node.op)]()
        found.append(("arithmetic", new_aug))
    elif isinstance(node, ast.BoolOp):
        new_bool = copy.deepcopy(node)
        new_bool.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        found.append(("negation", new_bool))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        found.append(("negation", copy.deepcopy(node.operand)))
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            found.append(("constant", ast.Constant(not node.value)))
        elif isinstance(node.value, int | float):
            found.append(("constant", ast.Constant(node.value + 1)))
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        negated = copy.deepcopy(node)
        negated.test = ast.UnaryOp(ast.Not(), negated.test)
        found.append(("negation", negated))
    returns_nothing = isinstance(node, ast.Return) and (
        node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None)
    )
    is_body_only = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)  # `...` of a protocol
    if isinstance(node, _REMOVABLE) and not returns_nothing and not is_body_only:
        found.append(("removed statement", None))
    return found


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _sites(tree: ast.Module) -> Iterator[tuple[int, str, ast.AST]]:
    """(index in walk order, qualified function name, node) of every node that may change."""
    counter = 0

    def walk(node: ast.AST, function: str, scope: tuple[str, ...]) -> Iterator[tuple[int, str, ast.AST]]:
        nonlocal counter
        for child in ast.iter_child_nodes(node):
            index = counter
            counter += 1
            inside, names = function, scope
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                # A nested function is part of the outer one's code.
                inside = function or ".".join((*scope, child.name))
                for statement in child.body:
                    yield from walk_one(statement, inside, names)
                continue
            if isinstance(child, ast.ClassDef):
                names = (*scope, child.name)
            yield from visit(child, index, inside, names)

    def walk_one(child: ast.AST, function: str, scope: tuple[str, ...]) -> Iterator[tuple[int, str, ast.AST]]:
        nonlocal counter
        index = counter
        counter += 1
        yield from visit(child, index, function, scope)

    def visit(child: ast.AST, index: int, inside: str, names: tuple[str, ...]) -> Iterator[tuple[int, str, ast.AST]]:
        if _is_docstring(child) or isinstance(child, ast.JoinedStr):
            return
        if isinstance(child, ast.AnnAssign):  # the annotation is no behaviour
            if child.value is not None:
                yield from walk_one(child.value, inside, names)
            return
        module_constant = not inside and not names and isinstance(child, ast.Assign)
        if inside:
            yield index, inside, child
        elif module_constant and isinstance(child.value, ast.Constant):  # type: ignore[attr-defined]
            yield index, "", child
        if inside or not module_constant:
            yield from walk(child, inside, names)

    yield from walk(tree, "", ())


def mutants(path: str, source: str) -> list[Mutant]:
    """Every mutant of one module's source."""
    found: list[Mutant] = []
    seen: dict[tuple[str, str, str, str], int] = {}
    for site, function, node in _sites(ast.parse(source)):
        options = _changes(node)
        if not function:
            options = [("constant", change) for change in _constant_assignments(node)]
        for choice, (family, change) in enumerate(options):
            before = " ".join(ast.unparse(node).split())[:90]
            after = "pass" if change is None else " ".join(ast.unparse(ast.fix_missing_locations(change)).split())[:90]
            if isinstance(node, ast.If | ast.While):
                before, after = ast.unparse(node.test)[:90], "not"
            same = (function, family, before, after)
            occurrence = seen.get(same, 0)
            seen[same] = occurrence + 1
            found.append(
                Mutant(path, function, family, before, after, occurrence, getattr(node, "lineno", 0), site, choice)
            )
    return found


def _constant_assignments(node: ast.AST) -> list[ast.AST | None]:
    assert isinstance(node, ast.Assign)
    changed: list[ast.AST | None] = []
    for _, constant in _changes(node.value):
        new = copy.deepcopy(node)
        assert isinstance(constant, ast.Constant)
        new.value = constant
        changed.append(new)
    return changed


def mutated_tree(source: str, mutant: Mutant) -> ast.Module:
    """The module with the one change made."""
    tree = ast.parse(source)
    node = next(one for site, _, one in _sites(tree) if site == mutant.site)
    if mutant.function:
        change = _changes(node)[mutant.choice][1]
    else:
        change = _constant_assignments(node)[mutant.choice]
    replacement: ast.AST = ast.Pass() if change is None else change

    class Swap(ast.NodeTransformer):
        def visit(self, one: ast.AST) -> ast.AST:
            return replacement if one is node else self.generic_visit(one)

    changed = Swap().visit(tree)
    assert isinstance(changed, ast.Module)
    return ast.fix_missing_locations(changed)
