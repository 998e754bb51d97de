"""The parser of partial JSON: what shows, and what is kept."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.partial_json.support import read, same
from tests.support.tables import in_one_test
from tokenstream.errors import InvalidJSON
from tokenstream.partial_json import Allow, PartialJSONParser, StringDelta, ValueDone

_CONTAINERS = Allow.ARR | Allow.OBJ


# -- what may show ---------------------------------------------------------------


@in_one_test(
    "allow, text, shown",
    [
        (_CONTAINERS, '["a", "b', ["a"]),
        (_CONTAINERS | Allow.STR, '["a", "b', ["a", "b"]),
        (_CONTAINERS, "[1, 2", [1]),
        (_CONTAINERS | Allow.NUM, "[1, 2", [1, 2]),
        (_CONTAINERS, "[true, t", [True]),
        (_CONTAINERS | Allow.BOOL, "[true, t", [True, True]),
        (_CONTAINERS | Allow.BOOL, "[fals", [False]),
        (_CONTAINERS | Allow.BOOL, "[nul", []),
        (_CONTAINERS | Allow.NULL, "[nul", [None]),
        (_CONTAINERS | Allow.NULL, "[fals", []),
        (Allow.OBJ, '{"a": [1, 2', {}),
        (Allow.OBJ, '{"a": [1, 2], "b": {"c": [', {"a": [1, 2], "b": {}}),
        (Allow.ARR, '[{"a": 1}, {"b": 2', [{"a": 1}]),
        (Allow.ARR, '[[{"a": [3', [[]]),
        (Allow.ALL, '[{"a": "x", "b": -1', [{"a": "x", "b": -1}]),
    ],
)
@in_one_test("size", [0, 1, 3])
def test_only_what_is_allowed_shows_unfinished(allow: int, text: str, shown: Any, size: int) -> None:
    """Each flag of `Allow` is about one kind of value; finished ones always show."""
    parser = read(text, size, allow=allow)

    assert same(shown, parser.value)
    assert same(shown, parser.snapshot())


@pytest.mark.parametrize(
    "allow, text, more",
    [
        (Allow.OBJ, '[1, "a', '"]'),
        (Allow.ARR, '{"a": [1', "]}"),
        (Allow.NUM, '"abc', '"'),
        (0, '[{"a": "b', '"}]'),
        (Allow.STR, "tru", "e"),
        (None, "nul", "l"),
    ],
)
def test_a_withheld_document_shows_when_it_is_complete(allow: int | None, text: str, more: str) -> None:
    """Until then there is nothing, which is told from a null by `has_value`."""
    parser = read(text, 1, allow=allow)

    assert (False, None, None) == (parser.has_value, parser.value, parser.snapshot())
    parser.feed(more)
    assert (True, True) == (parser.has_value, parser.complete)
    assert same(json.loads(text + more), parser.value)


def test_a_withheld_string_is_told_all_the_same() -> None:
    """`allow` says what `value` shows, not what the events tell."""
    parser = PartialJSONParser(allow=_CONTAINERS)
    told = [event for piece in '["ab\\u00e9"]' for event in parser.feed(piece)]

    assert ["a", "b", "é"] == [event.text for event in told if isinstance(event, StringDelta)]
    assert ["abé"] == parser.value


def test_the_value_of_a_repeated_key_stays_until_the_next_one_begins() -> None:
    """The last one counts, in the place of the first, as in `json.loads`."""
    parser = read('{"a": 1, "b": 2, "a"')

    assert {"a": 1, "b": 2} == parser.value
    parser.feed(": 3")
    assert {"a": 1, "b": 2} == parser.value
    parser.feed(', "a": "x')
    assert ["a", "b"] == list(parser.value)
    assert {"a": "x", "b": 2} == parser.value


@in_one_test(
    "escape",
    [
        *(r"\n", r"\u00e9", r"\ud83d\ude00", r"\ud83d\n", r"\ude00x"),
        *(r"\ud83d\ud83d\ude00", r"\uD83D\uDBFF\uDFFF", r"\uD83D\uD83D\uD83Dx"),
    ],
)
@in_one_test("where", ['["{}"]', '{{"{}": 1}}'])
def test_an_escape_is_read_wherever_it_is_cut(escape: str, where: str) -> None:
    """In strings and keys alike."""
    text = where.format(escape)
    for cut in range(len(text)):
        parser = PartialJSONParser()
        parser.feed(text[:cut])
        parser.feed(text[cut:])

        assert json.loads(text) == parser.value


@in_one_test(
    "text, offset, value",
    [
        (r'["a\x', 4, ["a"]),
        (r'["a\u00g', 7, ["a"]),
        ('["a\n', 3, ["a"]),
        (r'["\ud83d\q', 9, [""]),
        (r'["\ud83d\uzz', 10, [""]),
        (r'["\ud83d\udczz', 12, [""]),
        (r'["\ud83d\u0z', 11, ["\ud83d"]),
        ('["\\ud83d\x1f', 8, [""]),
        ('{"a\t', 3, {}),
        (r'{"\u00x', 6, {}),
        ("[tru ", 4, []),
        ("[nulL", 4, []),
        ("[} ", 1, []),
        ("{,", 1, {}),
        ("{1", 1, {}),
        ('{"a",', 4, {}),
        ('{"a":1]', 6, {"a": 1}),
        ('{"a":1 "', 7, {"a": 1}),
        ("[1 2", 3, [1]),
        ("\ufeff[", 0, None),
        ("[\xa01", 1, []),
        ("[] ]", 3, []),
    ],
)
def test_a_fault_is_at_the_first_character_that_cannot_go_on(text: str, offset: int, value: Any) -> None:
    """Wherever the text is cut; what was read before stays, and half a surrogate pair does not show."""
    for size in range(4):
        parser = read(text, size)

        assert isinstance(parser.error, InvalidJSON)
        assert offset == parser.error.offset
        assert value == parser.value
        assert f"character {offset} " in str(parser.error)


# -- what is kept --------------------------------------------------------------------


def test_the_value_is_live_and_a_snapshot_is_not() -> None:
    """The one for looking, the other to keep; what is finished is shared."""
    parser = read('{"a": [1], "b": ["x')
    live, kept = parser.value, parser.snapshot()
    parser.feed('y"], "c": 2}')

    assert {"a": [1], "b": ["x"]} == kept
    assert parser.value is live
    assert {"a": [1], "b": ["xy"], "c": 2} == live
    assert live["a"] is kept["a"] is parser.snapshot()["a"]


def test_a_finished_object_is_the_one_that_the_value_holds() -> None:
    """So that nobody pays for it twice."""
    parser = PartialJSONParser()
    done = [event for event in parser.feed('{"a": {"b": [1]}}') if isinstance(event, ValueDone)]

    assert done[-1].value is parser.value
    assert done[-2].value is parser.value["a"]


def test_strings_that_somebody_holds_do_not_change() -> None:
    """Each look at a growing string is a string of its own."""
    parser = read('"')
    looks = [(parser.feed(piece), parser.value)[1] for piece in ("a", "b", r"\u00e9", "d")]

    assert ["a", "ab", "abé", "abéd"] == looks


def test_a_parser_goes_on_after_many_pieces_that_nobody_looked_at() -> None:
    """What a string has grown by is joined now and then."""
    letters = "abcdefghijklm" * 1_000
    shown, withheld = read(f'["{letters}', 3), read(f'["{letters}', 3, allow=_CONTAINERS)

    assert ([letters], []) == (shown.value, withheld.value)
    for parser in (shown, withheld):
        parser.feed('!"')

        assert [f"{letters}!"] == parser.value


@pytest.mark.slow
def test_what_was_read_is_freed_without_recursion() -> None:
    """Values, snapshots and parsers of any depth."""
    program = (
        "from tokenstream.partial_json import PartialJSONParser\n"
        "for text in ('{\"a\":' * 100_000, '[' * 100_000 + ']' * 100_000):\n"
        "    parser = PartialJSONParser(max_depth=100_000)\n"
        "    events = parser.feed(text)\n"
        "    kept = [parser.snapshot(), events.pop()]\n"
        "    del events, parser\n"
        "    del kept\n"
        "print('freed')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert ("freed\n", "") == (done.stdout, done.stderr)
