"""Where the project's files lie, and what its pyproject.toml says."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import tokenstream

ROOT = Path(__file__).parents[1]
PACKAGE = Path(tokenstream.__path__[0])
"""Where the package that is tested lies: the checkout, or what a wheel installed."""

PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

MODULES = sorted(
    ".".join(("tokenstream", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)
"""The dotted names of all modules of the package."""


@cache
def parsed(path: Path) -> ast.Module:
    """Return a module's source, parsed: several tests look at all of the package's."""
    return ast.parse(path.read_text(encoding="utf-8"))
