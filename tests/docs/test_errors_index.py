"""The index of errors names every public error class, and quotes messages as the package has them.

Messages of misuse say themselves what to do; they are not on the page, and the search leads to their guides.
A message that is reworded fails here, as does one that is new: both would no longer be found.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.project import PACKAGE, ROOT, parsed
from tests.public_names import PUBLIC

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (ROOT / "docs" / "reference" / "errors-index.md").read_text(encoding="utf-8")

NOT_ON_THE_PAGE = {
    "the continuation does not join the answer": "it is in the reports on attempts, and is never raised"
}
"""First words of messages that users cannot meet, each with the reason."""

_SECTION = re.compile(r"^## (?P<name>\w+)\n(?P<body>(?:(?!## ).*\n)*)", re.MULTILINE)
_ROW = re.compile(r"^\| (?P<messages>`.*`) \| (?P<advice>.+) \|$", re.MULTILINE)
_CODE = re.compile(r"(?P<fence>`+) ?(?P<code>.+?) ?(?P=fence)(?!`)")
_HOLE = "…"
_HOLES = re.compile(f"{_HOLE}+")


_reads_the_package = pytest.mark.slow
"""What parses all of it takes seconds."""


@cache
def _trees() -> list[ast.Module]:
    return [parsed(path) for path in sorted(PACKAGE.rglob("*.py"))]


@cache
def _texts() -> set[str]:
    """Return each text in the package but for docstrings, with "…" in place of what is computed."""
    return {text for tree in _trees() for text in _texts_in(tree)}


def _texts_in(tree: ast.Module) -> Iterator[str]:
    nodes = list(ast.walk(tree))
    bare = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if id(node) not in bare and (text := _text_of(node)):
            yield _shorten(text)


def _shorten(text: str) -> str:
    return _HOLES.sub(_HOLE, text)


def _text_of(node: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text_of(part) or _HOLE for part in node.values)
    if isinstance(node, ast.BinOp):
        return (_text_of(node.left) or _HOLE) + (_text_of(node.right) or _HOLE)
    return ""


def _quotes() -> list[str]:
    rows = [row["messages"].replace("\\|", "|") for row in _ROW.finditer(PAGE)]
    return [match["code"].rstrip(f"{_HOLE} ") for row in rows for match in _CODE.finditer(row)]


MISUSE: dict[str, list[str]] = json.loads(
    (ROOT / "docs" / "_programs" / "misuse_messages.json").read_text(encoding="utf-8")
)
QUOTES = [*_quotes(), *(quote for quotes in MISUSE.values() for quote in quotes)]


@cache
def _public_errors() -> set[str]:
    found: set[str] = set()
    for module, names in PUBLIC.items():
        for name in names:
            value = getattr(importlib.import_module(module), name)
            if isinstance(value, type) and issubclass(value, BaseException):
                found.add(name)
    return found


@cache
def messages() -> list[str]:
    """Return the literal messages with which public errors are made, also those that a variable holds."""
    functions = (
        node
        for tree in _trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    found = {_shorten(message) for function in functions for message in _raised_in(function)}
    return sorted(message for message in found if re.search(r"\w", message))


def _raised_in(function: ast.AST) -> Iterator[str]:
    nodes = list(ast.walk(function))
    held = {
        target.id: _text_of(node.value)
        for node in nodes
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in nodes:
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.func) in _public_errors():
            message = node.args[0]
            yield held.get(message.id, "") if isinstance(message, ast.Name) else _text_of(message)


def test_each_public_error_has_a_section() -> None:
    """The anchor of a section is the name of its class; no section is about anything else."""
    sections = [match["name"] for match in _SECTION.finditer(PAGE)]

    assert sorted(_public_errors()) == sections


def test_each_section_says_when_its_error_is_raised() -> None:
    """A sentence comes before the first table."""
    for section in _SECTION.finditer(PAGE):
        assert re.match(r"\n[A-Z].+\.\n", section["body"]), section["name"]


@_reads_the_package
def test_the_quoted_messages_are_those_of_the_package() -> None:
    """The words of each stand in one text of the package, with the same placeholders."""
    assert [] == [quote for quote in QUOTES if not any(quote in text for text in _texts())]


def test_a_quote_has_words_to_search_for() -> None:
    assert [] == [quote for quote in QUOTES if len(re.findall(r"\w+", quote)) < 2]


def test_each_message_of_misuse_leads_to_a_page() -> None:
    """A page that is renamed takes its messages along."""
    assert [] == [name for name in MISUSE if not (ROOT / "docs" / f"{name}.md").is_file()]


@_reads_the_package
def test_each_message_is_found() -> None:
    known = (*QUOTES, *NOT_ON_THE_PAGE)

    assert [] == [message for message in messages() if not message.startswith(known)]


@_reads_the_package
def test_the_reasons_are_about_messages_that_exist() -> None:
    """A message that is gone takes its reason along."""
    assert [] == [
        words for words in NOT_ON_THE_PAGE if not any(text.startswith(words) for text in messages())
    ]


@_reads_the_package
def test_the_messages_are_found() -> None:
    """The search sees most of the literals; it would be of no use if it saw none."""
    assert len(messages()) > 300
