"""The changes: one comparison, condition, constant, result or statement of a function at a time."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tests.project import PACKAGE

ROOMS = (
    "framing",
    "formats/_kit",
    "_answer/accumulator.py",
    "_pipeline",
    "recovery",
    "stages/_text",
    "relay/_encoders",
    "partial_json",
)
"""Files and folders below the package that are changed unless others are named."""

_OPPOSITES: dict[type[ast.cmpop], ast.cmpop] = {
    ast.Lt: ast.LtE(),
    ast.LtE: ast.Lt(),
    ast.Gt: ast.GtE(),
    ast.GtE: ast.Gt(),
    ast.Eq: ast.NotEq(),
    ast.NotEq: ast.Eq(),
    ast.Is: ast.IsNot(),
    ast.IsNot: ast.Is(),
    ast.In: ast.NotIn(),
    ast.NotIn: ast.In(),
}
_SKIPPED = (ast.Raise, ast.Assert, ast.Import, ast.ImportFrom, ast.JoinedStr, ast.Global, ast.MatchValue)
"""Nodes in which nothing is changed: messages are tested by their words."""
_NOT_RUN = {"decorator_list", "returns", "annotation", "type_params"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_UNREACHABLE = ("raise AssertionError", "raise NotImplementedError", "assert_never(")


@dataclass(frozen=True)
class Change:
    """A piece of a module, and what takes its place."""

    room: str
    module: str
    """Path below the package."""
    scope: str
    """Dotted name of the function; "" where the code runs as its module is imported."""
    lines: tuple[int, int]
    """First and last line of which one runs whenever the piece does."""
    start: int
    end: int
    """Offsets in the module's source, in bytes."""
    line: int
    before: str
    after: str

    def apply(self, source: str) -> str:
        """Return the source with the change made; all other lines stay where they are.

        What no longer runs is still there: a function keeps its free variables, and a generator stays one.
        """
        unused = {"pass": f"if 0: {self.before}", "None": f"None and ({self.before})"}
        after = unused.get(self.after, self.after)
        after += " \\\n" * (self.before.count("\n") - after.count("\n"))
        data = source.encode()
        return (data[: self.start] + after.encode() + data[self.end :]).decode()

    def __str__(self) -> str:
        return f"{self.module}:{self.line} {self.scope}: `{' '.join(self.before.split())}` → `{self.after}`"


@dataclass(frozen=True)
class _Place:
    scope: str = ""
    runs: bool = False
    """True in a function."""
    first: int = 0
    last: int = 0
    """Lines of the statement; of one with a body, the first line twice."""

    def below(self, node: ast.AST, field: str, child: ast.AST) -> _Place:
        place = self
        if field == "body" and isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            scope = ".".join(filter(None, [self.scope, getattr(node, "name", "<lambda>")]))
            place = replace(place, scope=scope, runs=self.runs or isinstance(node, _FUNCTIONS))
        if isinstance(child, ast.stmt):
            whole = not hasattr(child, "body") and not isinstance(child, ast.Match)
            last = (child.end_lineno or 0) if whole else child.lineno
            place = replace(place, first=child.lineno, last=last)
        return place


def changes(source: str, module: str = "", room: str = "") -> list[Change]:
    """Return each change that can be made to a module, in the order of its lines."""
    data = source.encode()
    starts = [0]
    for line in data.split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)
    found = []
    for node, after, place in _in(ast.parse(source), _Place()):
        scope = place.scope if place.runs else ""
        last_line = node.end_lineno or 0
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[last_line - 1] + (node.end_col_offset or 0)
        lines = place.first, max(place.last, last_line)
        before = data[start:end].decode()
        found.append(Change(room, module, scope, lines, start, end, node.lineno, before, after))
    return sorted(found, key=lambda change: (change.start, change.end, change.after))


def drawn(rooms: Sequence[str], count: int, seed: int) -> list[Change]:
    """Return `count` changes at most, as many of each room as of any other, always the same ones."""
    chance = random.Random(seed)
    found: list[Change] = []
    for number, room in enumerate(rooms):
        possible = [
            change for module in modules([room]) for change in _of_module(module, room) if change.scope
        ]
        share = (number + 1) * count // len(rooms) - number * count // len(rooms)
        numbers = chance.sample(range(len(possible)), min(share, len(possible)))
        found += [possible[at] for at in sorted(numbers)]
    return found


def modules(rooms: Sequence[str]) -> list[str]:
    """Return the paths below the package of all modules of rooms."""
    paths = [path for room in rooms for path in [PACKAGE / room, *sorted((PACKAGE / room).rglob("*.py"))]]
    return [path.relative_to(PACKAGE).as_posix() for path in paths if path.suffix]


def found_again(change: Change) -> Change | None:
    """Return a change of other sources where it stands in these, or None."""
    same = [
        one
        for one in (_of_module(change.module, change.room) if (PACKAGE / change.module).exists() else ())
        if (one.scope, one.before, one.after) == (change.scope, change.before, change.after)
    ]
    return min(same, key=lambda one: abs(one.start - change.start), default=None)


def _of_module(module: str, room: str) -> list[Change]:
    return changes((PACKAGE / module).read_text(encoding="utf-8"), module, room)


def _in(node: ast.AST, place: _Place) -> Iterator[tuple[ast.expr | ast.stmt, str, _Place]]:
    """Yield what may be changed below a node, each with its replacement and its place."""
    for field, child in _running(node):
        here = place.below(node, field, child)
        if isinstance(child, ast.expr):
            yield from ((child, after, here) for after in _of_expression(child))
        elif isinstance(child, ast.stmt):
            yield from ((piece, after, here) for piece, after in _of_statement(child))
        if not isinstance(child, _SKIPPED):
            conditions = (
                test for test in _conditions(child) if isinstance(test, ast.Name | ast.Attribute | ast.Call)
            )
            yield from ((test, f"(not {ast.unparse(test)})", here) for test in conditions)
            yield from _in(child, here)


def _running(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield the parts of a node that run when the module is used: no decorators, annotations or bases."""
    for name, field in ast.iter_fields(node):
        if name in _NOT_RUN or (isinstance(node, ast.ClassDef) and name != "body"):
            continue
        for child in field if isinstance(field, list) else [field]:
            if isinstance(child, ast.AST) and not _is_for_types(child):
                yield name, child


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _conditions(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            return [test]
        case ast.comprehension(ifs=tests):
            return tests
        case ast.match_case(guard=ast.expr() as test):
            return [test]
        case _:
            return []


def _of_expression(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Compare(ops=[operator]):
            yield f"({ast.unparse(ast.Compare(node.left, [_OPPOSITES[type(operator)]], node.comparators))})"
        case ast.BoolOp():
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield f"({ast.unparse(ast.BoolOp(other, node.values))})"
        case ast.UnaryOp(op=ast.Not()):
            yield f"({ast.unparse(node.operand)})"
        case ast.BinOp(op=ast.Add() | ast.Sub()) if not _is_text(node.left) and not _is_text(node.right):
            other_sign = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
            yield f"({ast.unparse(ast.BinOp(node.left, other_sign, node.right))})"
        case ast.Constant(value=bool(value)):
            yield str(not value)
        case ast.Constant(value=int(value)):
            yield f"({value + 1})"
        case _:
            pass


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    )


def _of_statement(node: ast.stmt) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    match node:
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield value, "None"
        case ast.Break():
            yield node, "continue"
        case ast.Continue():
            yield node, "break"
        case (
            ast.Expr(value=ast.Call() | ast.Await() | ast.Yield() | ast.YieldFrom())
            | ast.AugAssign()
            | ast.Assign(targets=[ast.Attribute() | ast.Subscript()])
            | ast.Delete()
            | ast.Raise()
        ) if not ast.unparse(node).startswith(_UNREACHABLE):
            yield node, "pass"
        case _:
            pass
