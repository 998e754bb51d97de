"""The changes: one comparison, condition, constant or statement at a time."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Change", "changes"]

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
_SKIPPED = (ast.Raise, ast.Assert, ast.Import, ast.ImportFrom, ast.JoinedStr, ast.AnnAssign, ast.Global)
"""Nodes in which nothing is changed: messages are tested by their words, and annotations do not run."""


@dataclass(frozen=True)
class Change:
    """A piece of a module, and what takes its place."""

    start: int
    end: int
    """Offsets in the module's source, in bytes."""
    line: int
    before: str
    after: str

    def apply(self, source: str) -> str:
        """Return the source with the change made; all other lines stay where they are."""
        data = source.encode()
        return (data[: self.start] + self.after.encode() + data[self.end :]).decode()

    def __str__(self) -> str:
        return f"{self.line}: `{' '.join(self.before.split())}` → `{self.after}`"


def changes(source: str) -> list[Change]:
    """Return each change that can be made to a module, in the order of its lines."""
    starts = [0]
    for line in source.encode().split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)
    found = [
        Change(
            starts[node.lineno - 1] + node.col_offset,
            starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0),
            node.lineno,
            ast.get_source_segment(source, node) or "",
            after,
        )
        for node, after in _in(ast.parse(source))
    ]
    return sorted(found, key=lambda change: (change.start, change.end, change.after))


def _in(node: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """Yield what may be changed below a node, each with its replacement."""
    for child in _running(node):
        if isinstance(child, ast.expr):
            yield from ((child, after) for after in _of_expression(child))
        elif isinstance(child, ast.stmt):
            yield from _of_statement(child)
        yield from _in(child)


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of a node that run when the module is used: no decorators, annotations or messages."""
    for name, field in ast.iter_fields(node):
        if name in {
            "decorator_list",
            "returns",
            "annotation",
            "type_params",
            "bases",
            "keywords",
        } and not isinstance(node, ast.Call):
            continue
        for child in field if isinstance(field, list) else [field]:
            if isinstance(child, ast.AST) and not isinstance(child, _SKIPPED) and not _is_for_types(child):
                yield child


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


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
        case ast.If(test=test) | ast.While(test=test) if isinstance(
            test, ast.Name | ast.Attribute | ast.Call
        ):
            yield test, f"(not {ast.unparse(test)})"
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield value, "None"
        case ast.Break():
            yield node, "continue"
        case ast.Continue():
            yield node, "break"
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Assign(targets=[ast.Attribute()]):
            yield node, "pass"
        case _:
            pass
