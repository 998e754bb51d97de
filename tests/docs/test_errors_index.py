"""The index of errors names every public error class, and quotes messages as the package has them.

Messages of misuse say themselves what to do; they are not on the page, and the search leads to the guides of
their rooms. Any other message that is reworded or new fails here: it would no longer be found.
"""

from __future__ import annotations

import ast
import importlib
import re
import runpy
from collections.abc import Iterator
from functools import cache

import pytest

from tests.project import PACKAGE, ROOT, parsed
from tests.surface import PUBLIC

PAGE = (ROOT / "docs" / "reference" / "errors-index.md").read_text(encoding="utf-8")

NOT_ON_THE_PAGE = {
    "the continuation does not join the answer": "it is in the reports on attempts, and is never raised",
    "its … bytes are too many": "it is in a line of the log, and is never raised",
    "the format of the payload is not known yet": "only a caller's own stage could read so early",
}
"""First words of messages that users cannot meet, each with the reason."""

_SECTION = re.compile(r"^## (?P<name>\w+)\n(?P<body>(?:(?!## ).*\n)*)", re.MULTILINE)
_ROW = re.compile(r"^\| (?P<messages>`.*`) \| (?P<advice>.+) \|$", re.MULTILINE)
_CODE = re.compile(r"(?P<fence>`+) ?(?P<code>.+?) ?(?P=fence)(?!`)")
_misuse = runpy.run_path(str(ROOT / "docs" / "_programs" / "misuse.py"))
_HOLE: str = _misuse["HOLE"]


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
        if id(node) not in bare and (text := _misuse["text_of"](node)):
            yield _misuse["shorten"](text)


def _quotes() -> list[str]:
    rows = [row["messages"].replace("\\|", "|") for row in _ROW.finditer(PAGE)]
    return [match["code"].rstrip(f"{_HOLE} ") for row in rows for match in _CODE.finditer(row)]


QUOTES = _quotes()


@cache
def messages_of_misuse() -> dict[str, list[str]]:
    """Return what the search finds of messages of misuse, by the guides that they lead to."""
    found: dict[str, list[str]] = _misuse["find_misuse"](PACKAGE)
    return found


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
    return sorted({message for tree in _trees() for message in _misuse["raised_in"](tree, _public_errors())})


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
    assert [] == [name for name in _misuse["GUIDES"].values() if not (ROOT / "docs" / f"{name}.md").is_file()]


@_reads_the_package
def test_each_message_is_found() -> None:
    known = (*QUOTES, *NOT_ON_THE_PAGE, *(text for texts in messages_of_misuse().values() for text in texts))

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
