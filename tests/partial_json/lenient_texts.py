"""Texts that are no JSON, and what comes of them: what the tests of the lenient reading share."""

from __future__ import annotations

from typing import Any

from tests.partial_json.support import read
from tokenstream.errors import InvalidJSON
from tokenstream.partial_json import PartialJSONParser

SIZES = (0, 1, 3)
NAN, INF = float("nan"), float("inf")


def ended(text: str, size: int = 0, **options: Any) -> PartialJSONParser:
    """Return a lenient parser that has read a text in pieces of `size` characters, and its end."""
    parser = read(text, size, **{"lenient": True, **options})
    parser.end()
    return parser


def repairs_of(parser: PartialJSONParser) -> str:
    """Return the repairs in short: name@offset."""
    return " ".join(f"{repair.name}@{repair.offset}" for repair in parser.repairs)


def what_is_read(text: str) -> tuple[str, str]:
    """Return the value of a text, and its repairs; they must not depend on the pieces."""
    found = []
    for size in SIZES:
        parser = ended(text, size)
        assert parser.error is None, parser.error
        assert parser.complete
        found.append((repr(parser.value), repairs_of(parser)))
    assert len(set(found)) == 1
    return found[0]


def what_is_refused(text: str) -> tuple[int, str]:
    """Return the offset at which a text is refused, and what was read before; the same in any pieces."""
    found = []
    for size in SIZES:
        parser = ended(text, size)
        assert isinstance(parser.error, InvalidJSON)
        found.append((parser.error.offset, repr(parser.value)))
    assert len(set(found)) == 1
    return found[0]
