"""Documents, prefixes and pieces: what the tests of partial JSON share."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tests.support.beside import SHARED
from tests.support.texts import pieces_of
from tokenstream.partial_json import PartialJSONParser, StringDelta
from tokenstream.partial_json._events import JSONEvent


def cases(name: str) -> dict[str, Any]:
    path = SHARED / "cases" / name
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def read(text: str, size: int = 0, **options: Any) -> PartialJSONParser:
    """Return a parser that has read a text in pieces of `size` characters; 0 is whole."""
    parser = PartialJSONParser(**options)
    for piece in pieces_of(text, size):
        parser.feed(piece)
    return parser


def events_of(text: str, size: int = 0, **options: Any) -> list[JSONEvent]:
    """Return what a text tells, with the pieces of a string joined."""
    parser = PartialJSONParser(**options)
    told = [event for piece in pieces_of(text, size) for event in parser.feed(piece)]
    return joined([*told, *parser.end()])


def joined(events: list[JSONEvent]) -> list[JSONEvent]:
    """Join the deltas that follow each other: how a string is cut is no matter of the text."""
    found: list[JSONEvent] = []
    for event in events:
        last = found[-1] if found else None
        if isinstance(event, StringDelta) and isinstance(last, StringDelta):
            found[-1] = StringDelta(last.path, last.text + event.text)
        else:
            found.append(event)
    return found


def calls_of(run: Callable[..., object]) -> int:
    """Return how many functions a call calls."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(before)
    return calls


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal with their types and the order of their keys; NaN is no JSON."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def grew(before: Any, after: Any) -> bool:
    """Whether one shown value may become another: nothing is taken back, nothing becomes something else."""
    if type(before) is not type(after):
        return False
    if isinstance(before, dict):
        return list(before) == list(after)[: len(before)] and all(
            grew(before[key], after[key]) for key in before
        )
    if isinstance(before, list):
        return len(before) <= len(after) and all(map(grew, before, after))
    if isinstance(before, str):
        return bool(after.startswith(before))
    # NaN, which lenient reading accepts, does not equal itself.
    return before is after or bool(before == after)


# -- any document --------------------------------------------------------------

SPACE = st.sampled_from(["", "", " ", "\n  ", "\t", "\r\n "])
_NUMBERS = [
    *(
        "0",
        "-0",
        "7",
        "-12",
        "1234567890123456789012345678901234567890",
        "0.5",
        "-0.0",
        "12.75",
        "1e5",
        "1E+5",
    ),
    *("-2.5e-3", "1e400", "-1e400", "1e-400", "5e-324", "1.7976931348623157e308", "0e0", "3.0"),
]
NUMBERS = st.one_of(
    st.sampled_from(_NUMBERS),
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)
_CHARACTERS = [
    *("a", "b", "Z", " ", "0", ",", ":", "{", "}", "[", "]", "/", "'", "true"),
    *("é", "€", "\x7f", "\x80", "\xa0", "\u2028", "\ufeff", "\U0001f600", "👩\u200d👩"),
    *(r"\"", r"\\", r"\/", r"\b", r"\f", r"\n", r"\r", r"\t"),
    *(r"\u0000", r"\u0022", r"\u005C", r"\u00e9", r"\uD83D\uDE00", r"\ud83d\ude00", r"\uDBFF\uDFFF"),
    r"\u0013",
]
_LONE = [r"\ud83d", r"\uDE00", r"\ud83d\ud83d\ude00", r"\udbff\n", r"\ud800\u0041", r"\uD83D\uDBFF\uDFFF"]


def strings(characters: list[str], *, most: int = 6) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(characters), max_size=most).map(lambda found: f'"{"".join(found)}"')


def _containers(
    key: st.SearchStrategy[str], *, repeat: bool
) -> Callable[[st.SearchStrategy[str]], st.SearchStrategy[str]]:
    def extend(value: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        spaced = st.tuples(SPACE, value, SPACE).map("".join)
        field = st.tuples(SPACE, key, SPACE, spaced)
        fields = st.lists(field, max_size=4, unique_by=None if repeat else lambda found: json.loads(found[1]))
        return st.one_of(
            st.lists(spaced, max_size=4).map(lambda found: f"[{','.join(found)}]"),
            st.lists(spaced, max_size=4).map(lambda found: f"[{','.join(found)}]" if found else "[ ]"),
            fields.map(lambda found: f"{{{','.join(f'{a}{b}{c}:{d}' for a, b, c, d in found)}}}"),
        )

    return extend


def documents(*, repeat: bool = False, lone: bool = True, numbers: bool = True) -> st.SearchStrategy[str]:
    """Return the texts of JSON documents.

    Args:
        repeat: Whether a key may come twice in an object.
        lone: Whether half a surrogate pair may stand alone.
        numbers: Whether the document may itself be a number.
    """
    characters = [*_CHARACTERS, *(_LONE if lone else ())]
    key = st.one_of(st.sampled_from(['"a"', '"b"', r'"\u0061"', '""']), strings(characters, most=3))
    scalars = st.one_of(strings(characters), st.sampled_from(["true", "false", "null"]), NUMBERS)
    inner = st.recursive(scalars, _containers(key, repeat=repeat), max_leaves=10)
    value = inner if numbers else _containers(key, repeat=repeat)(inner)
    return st.tuples(SPACE, value, SPACE).map("".join)
