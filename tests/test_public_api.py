"""The public names: each of them listed in tests/surface.txt, importable and documented."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import subprocess
import sys
from importlib import metadata
from itertools import pairwise
from typing import Any

import pytest

import tokenstream
from tests.project import PACKAGE, parsed_with
from tests.support.tables import in_one_test
from tests.surface import LIST, PUBLIC, find_unexplained, list_names

_SOURCES = sorted(PACKAGE.rglob("*.py"))
_NAMES = [(module, name) for module, names in PUBLIC.items() for name in names]


def _public_rooms() -> list[str]:
    """Return the public modules and packages right below `tokenstream`."""
    rooms = {module.split(".")[1] for module in PUBLIC if "." in module}
    return sorted(rooms - {"cli", "connect"})


_LAZY = [
    "tokenstream",
    "tokenstream.formats",
    "tokenstream.partial_json",
    "tokenstream.relay",
    "tokenstream.stages",
    "tokenstream.stream",
    "tokenstream.testing",
]


@in_one_test("module", _LAZY)
def test_dir_shows_public_names_only(module: str) -> None:
    """Completion offers names that load late, and no helper that the package imports for itself."""
    shown = {name for name in dir(importlib.import_module(module)) if not name.startswith("__")}
    rooms = set(_public_rooms()) if module == "tokenstream" else set[str]()

    assert {*PUBLIC[module], *rooms} == shown


@pytest.mark.slow
def test_every_public_room_is_an_attribute_of_the_package() -> None:
    """`import tokenstream` is enough for `tokenstream.errors.StreamError`; rooms load when used."""
    program = (
        "import sys, tokenstream\n"
        f"for room in {_public_rooms()}:\n"
        "    assert getattr(tokenstream, room) is sys.modules[f'tokenstream.{room}'], room\n"
        "assert callable(tokenstream.connect)"
    )

    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_errors_and_events_that_users_match_are_at_the_top() -> None:
    """`from tokenstream import StreamError, TextDelta` needs no second import line."""
    errors, events = set(PUBLIC["tokenstream.errors"]), set(PUBLIC["tokenstream.events"])

    assert (errors - {"ErrorKind", "Outcome"}) | events <= set(PUBLIC["tokenstream"])


def test_the_version_is_that_of_the_distribution() -> None:
    """`tokenstream.__version__` is looked up when it is asked for: the import does not pay for it."""
    program = "import sys, tokenstream; assert 'importlib.metadata' not in sys.modules"
    subprocess.run(
        [sys.executable, "-S", "-c", program],
        check=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
    )

    assert metadata.version("llm-tokenstream") == tokenstream.__version__


def test_an_unknown_top_level_name_is_an_attribute_error() -> None:
    """A name that is misspelt is named in the error, as for any module."""
    with pytest.raises(AttributeError, match="Sream"):
        _ = importlib.import_module("tokenstream").Sream


@pytest.mark.parametrize("name", ["errors.StreamClosed", "stream.Tap", "ToolResults", "OpenAI", "APIError"])
def test_a_name_that_one_may_expect_says_the_way(name: str) -> None:
    """The import fails with a sentence about what a program writes instead."""
    module, _, last = f"tokenstream.{name}".rpartition(".")

    with pytest.raises(ImportError, match=rf"^{module} has no {last}: .+ .+"):
        exec(f"from {module} import {last}")
    with pytest.raises(AttributeError, match=rf"^{module} has no {last}: .+ .+"):
        exec(f"import {module}; {module}.{last}")

    assert not hasattr(importlib.import_module(module), last)


def test_the_surface_is_the_list() -> None:
    """A name that goes needs a line in CHANGELOG before `python -m tests.surface` writes the list anew."""
    listed, names = {*LIST.read_text().split()}, list_names()

    assert sorted(names - listed) == [], "new names: run `python -m tests.surface`"
    assert sorted(listed - names) == [], "say in CHANGELOG what to write, and run `python -m tests.surface`"


def test_a_name_that_goes_is_named_in_the_changelog() -> None:
    gone, title = {"tokenstream.Retry.mode", "tokenstream.x.Y(z=)"}, "\n### For users of a clone\n"

    assert find_unexplained(gone, f"{title}`Retry(mode=)`, `Retry.mode`, `z`") == []
    assert find_unexplained(gone, f"`z`{title}`Retry.mod`, mode and z") == sorted(gone)


def _says_something(document: str | None, name: str) -> bool:
    # A dataclass without a docstring gets its own signature as one.
    return bool(document) and not str(document).startswith(f"{name}(")


def _has_string_below(name: str) -> bool:
    """Tell whether a module of the package assigns this name and has a string below it."""
    for _, tree in parsed_with(rf"\n{name}\b.*=", _SOURCES):
        for statement, below in pairwise(tree.body):
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            if isinstance(statement, ast.AnnAssign):
                targets = [statement.target]
            assigned = {target.id for target in targets if isinstance(target, ast.Name)}
            if name in assigned and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                return True
    return False


@in_one_test(("module", "name"), _NAMES)
def test_every_public_name_is_documented(module: str, name: str) -> None:
    """A class, a function or a module has a docstring, anything else a string below it."""
    value: Any = getattr(importlib.import_module(module), name)
    if inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value):
        documented = _says_something(value.__doc__, name)
    else:
        documented = _has_string_below(name)

    assert documented


def _members(owner: type) -> list[tuple[str, Any]]:
    """Members that `owner` has from this package, its own and those of its bases."""
    names = {
        name: member
        for base in reversed(owner.__mro__)
        if base.__module__.split(".")[0] == "tokenstream"
        for name, member in vars(base).items()
        if not name.startswith("_")
    }
    return [
        (name, getattr(owner, name))
        for name, member in names.items()
        if (inspect.isroutine(member) or isinstance(member, property | classmethod | staticmethod))
        # Some names are there only to explain themselves.
        and hasattr(owner, name)
    ]


@in_one_test(("module", "name"), _NAMES)
def test_every_public_method_is_documented(module: str, name: str) -> None:
    """What can be called or read on a public class, also from a base class, says what it is for."""
    value: Any = getattr(importlib.import_module(module), name)
    if not (inspect.isclass(value) and sys.modules[value.__module__].__name__.startswith("tokenstream")):
        return
    silent = [member for member, found in _members(value) if not inspect.getdoc(found)]

    assert [] == silent
