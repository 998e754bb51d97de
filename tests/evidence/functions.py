"""Functions of a package's modules, and the lines that their bodies span."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Function:
    """A function or a method.

    Attributes:
        name: Its name, behind those of the classes and functions that it stands in.
        first: The line of its first decorator, or of its head.
        body: The lines of its body, without its docstring and without the bodies of functions within.
    """

    name: str
    first: int
    body: frozenset[int]


def functions(source: str) -> list[Function]:
    """Return the functions of a module that have more than a docstring."""
    return list(_functions(ast.parse(source), ()))


def _functions(parent: ast.AST, names: tuple[str, ...]) -> Iterator[Function]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, _FUNCTIONS):
            inner = list(_functions(node, (*names, node.name)))
            body = _body(node).difference(*(function.body for function in inner))
            if body:
                first = min(each.lineno for each in (node, *node.decorator_list))
                yield Function(".".join((*names, node.name)), first, body)
            yield from inner
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, (*names, node.name))
        else:
            yield from _functions(node, names)


def _body(function: ast.FunctionDef | ast.AsyncFunctionDef) -> frozenset[int]:
    has_docstring = ast.get_docstring(function, clean=False) is not None
    statements = function.body[has_docstring:]
    if not statements:
        return frozenset()
    return frozenset(range(statements[0].lineno, (statements[-1].end_lineno or 0) + 1))
