"""Where the project's files lie, and what its pyproject.toml says."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import tokenstream

ROOT = Path(__file__).parents[1]
PACKAGE = Path(tokenstream.__path__[0])
"""Where the package that is tested lies: the checkout, or what a wheel installed."""

CAPABILITIES = ROOT / "docs" / "reports" / "capabilities.md"
"""What we do beside other libraries; a program writes a part of it."""

PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

MODULES = sorted(
    ".".join(("tokenstream", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)
"""The dotted names of all modules of the package."""


@cache
def source_of(path: Path) -> str:
    """Return a module's text."""
    return path.read_text(encoding="utf-8")


@cache
def parsed(path: Path) -> ast.Module:
    """Return a module's source, parsed: several tests look at all of the package's."""
    return ast.parse(source_of(path))


def parsed_with(words: str, paths: Iterable[Path]) -> Iterator[tuple[Path, ast.Module]]:
    """Give the modules in whose text this expression is found, parsed: to parse all takes seconds."""
    expression = re.compile(words)
    return ((path, parsed(path)) for path in paths if expression.search(source_of(path)))
