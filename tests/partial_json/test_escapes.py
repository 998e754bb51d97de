"""Escapes are read in C, a piece at a time, and come to what they come to character by character."""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from itertools import combinations, pairwise
from typing import Any
from unittest.mock import Mock, patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.partial_json.support import joined
from tokenstream.partial_json import PartialJSONParser, _parser
from tokenstream.partial_json._events import JSONEvent
from tokenstream.partial_json._lenient import strings
from tokenstream.partial_json._strict import scalars as _strict

_PARTS = [
    *("a", "b", "bbbb", "u", "U", "ud83d", "}", " ", "é", "模", "\ud83d", "\ude00", "\x7f"),
    *(r"\n", r"\"", r"\\", r"\/", r"\b", r"\u6a21", r"\ubbbb", r"\u00bb", r"\u0062", r"\uD55C"),
    *(r"\ud83d", r"\ude00", r"\ud83d\ude00", r"\uD83D\uDE00", r"\uDBFF", r"\ud83d\\", r"\ud83d\n"),
    *(r"\\ud83d", r"\\u0022"),
]
_ODD_PARTS = [
    *(r"\u0022", r"\u000a", r"\u005C", r"\u005d", r"\alpha", r"\frac", "nu", "C:", "}", "]", "`", "'"),
    *(r"\q", r"\x", r"\u12g4", r"\u", r"\ud8", r"\ud83d\u", r"\ud83d\ud", r"\ud83d\x", "\n", "\x00"),
    *(r"\U0001f600", r"\u0009", "d83d"),
    *('"', '":"', '",'),
]
_STRINGS = st.lists(st.sampled_from(_PARTS), max_size=8).map("".join)
_ODD = st.lists(st.sampled_from([*_PARTS, *_ODD_PARTS]), max_size=8).map("".join)
_NO_CODES = UnicodeDecodeError("rawunicodeescape", b"", 0, 1, "none is read")
_AROUND = st.sampled_from(
    [('"', '"'), ('["', '", 1]'), ('{"a": "', '", "b": 1}'), ('{"', '": 1}'), ('{"a": "', "")]
)


def _told(pieces: list[str], **options: Any) -> list[tuple[list[JSONEvent], Any, Any]]:
    """Return what each piece tells, what shows behind it, and what is wrong; the end is the last."""
    parser = PartialJSONParser(**options)
    told = [(parser.feed(piece), parser.snapshot(), (str(parser.error), parser.repairs)) for piece in pieces]
    return [*told, (parser.end(), parser.snapshot(), (str(parser.error), parser.repairs))]


@contextmanager
def _one_by_one() -> Generator[None, None, None]:
    with (
        patch.object(_parser, "read_codes", Mock(side_effect=_NO_CODES)),
        patch.object(_parser, "scan_string", Mock(side_effect=ValueError)),
        patch.object(_strict, "read_string", Mock(return_value=None)),
        patch.object(_strict, "decode_open_string", Mock(return_value=None)),
        patch.object(strings, "read_codes", Mock(side_effect=_NO_CODES)),
        patch.object(strings, "decode_open_string", Mock(return_value=None)),
        patch.object(strings, "JSON_ESCAPES", re.compile("").match),
    ):
        yield


@given(st.one_of(_STRINGS, _ODD), _AROUND, st.booleans(), st.data())
def test_a_piece_tells_what_it_tells_character_by_character(
    string: str, around: tuple[str, str], lenient: bool, data: st.DataObject
) -> None:
    text = string.join(around)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)) | {0, len(text)})
    pieces = [text[start:end] for start, end in pairwise(cuts)]
    fast = _told(pieces, lenient=lenient)
    with _one_by_one():
        plain = _told(pieces, lenient=lenient)
        single = _told([*text], lenient=lenient)

    assert plain == fast
    assert single[-1][1:] == fast[-1][1:]
    assert [single[end - 1][1:] for end in cuts[1:] if end] == [
        shown[1:] for end, shown in zip(cuts[1:], fast, strict=False) if end
    ]
    assert joined([event for events, _, _ in single for event in events]) == joined(
        [event for events, _, _ in fast for event in events]
    )


@given(_STRINGS, st.integers(1, 9))
def test_the_end_is_what_json_loads_gives(string: str, size: int) -> None:
    """Halves of surrogate pairs included, alone or over the border of two pieces."""
    text = f'["{string}", 1]'
    parser = PartialJSONParser()
    for start in range(0, len(text), size):
        parser.feed(text[start : start + size])

    assert json.loads(text) == parser.value


@pytest.mark.parametrize(
    "string",
    [
        *(r"x\" } abc", r"x\"abc} \n abc", r"x\"y\"] \n", r"\"a\" \"", r"\"a]\n\"}", r"\"\n] abc"),
        *(r"\"\"]\n\"", r"a\"\u005d b", r"\"` \n \"]"),
    ],
)
def test_what_is_after_a_quote_decides_wherever_the_text_is_cut(string: str) -> None:
    """A bracket behind it may have closed the document, so that an end that is missing is not made up."""
    text = f'{{"a": "{string}'
    whole = _told([text], lenient=True)[-1]

    for cuts in combinations(range(6, len(text)), 3):
        bounds = [0, *cuts, len(text)]
        assert whole == _told([text[start:end] for start, end in pairwise(bounds)], lenient=True)[-1]


@pytest.mark.parametrize("string", [r"\U0001f600", r"\u6a21\U0001f600\n", r"\ud83d\U0001f600"])
def test_a_backslash_before_a_capital_u_is_no_escape_wherever_it_is_cut(string: str) -> None:
    """JSON has no such escape, and the decoder of codes has."""
    text = f'["{string}"]'
    expected = f"at character {text.index('U')} the"

    for start, end in combinations(range(1, len(text)), 2):
        assert expected in _told([text[:start], text[start:end], text[end:]])[-1][2][0]
