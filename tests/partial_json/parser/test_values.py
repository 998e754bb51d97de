"""The parser of partial JSON: what shows, what is kept, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given

from tests.partial_json.support import documents, read, same
from tests.support.tables import in_one_test
from tokenstream.errors import InvalidJSON, LimitExceeded, MisuseError
from tokenstream.partial_json import Allow, PartialJSONParser, StringDelta

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


def test_a_withheld_string_is_reported_all_the_same() -> None:
    """`allow` says what `value` shows, not what the events tell."""
    parser = PartialJSONParser(allow=_CONTAINERS)
    told = [event for piece in '["ab\\u00e9"]' for event in parser.feed(piece)]

    assert ["a", "b", "é"] == [event.text for event in told if isinstance(event, StringDelta)]
    assert ["abé"] == parser.value


# -- what is kept --------------------------------------------------------------------


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


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_a_document_may_be_as_deep_as_asked_for_and_no_deeper(depth: int) -> None:
    """The bound is exact, and the error says where it was passed."""
    deep = "[" * depth + "1" + "]" * depth + " "

    assert read(deep, max_depth=depth).error is None
    error = read(f" {'[' * (depth + 1)}", 1, max_depth=depth).error
    assert isinstance(error, LimitExceeded)
    assert ("max_depth", depth) == (error.limit, error.value)
    assert f"character {depth + 1};" in str(error)


@pytest.mark.parametrize("depth", [-1, 1.5, True, None])
def test_a_depth_that_is_none_is_refused(depth: Any) -> None:
    with pytest.raises(ValueError, match="max_depth takes a whole number of at least 0"):
        PartialJSONParser(max_depth=depth)


@pytest.mark.parametrize("allow", ["STR", True, -1, 1.0])
def test_flags_that_are_none_are_refused(allow: Any) -> None:
    """The message says whose flags they are."""
    with pytest.raises(ValueError, match="Allow"):
        PartialJSONParser(allow=allow)


def test_a_parser_of_ones_own_reads_strictly_or_leniently() -> None:
    """A class derived from it takes the same options and reads the same."""

    class Mine(PartialJSONParser):
        __slots__ = ()

    strict, lenient = Mine(), Mine(lenient=True)

    assert PartialJSONParser().feed("[1") == strict.feed("[1")
    assert PartialJSONParser(lenient=True).feed("[1,]") == lenient.feed("[1,]")
    assert [repair.name for repair in lenient.repairs] == ["trailing_comma"]


@in_one_test("begun", ["", '"abc', "[1"])
@in_one_test("piece", [b"text", None, 5, bytearray(b"text")])
def test_what_is_no_text_is_refused(begun: str, piece: Any) -> None:
    """Half a UTF-8 sequence could not be read."""
    parser = read(begun)

    with pytest.raises(MisuseError, match="takes str, not"):
        parser.feed(piece)


def test_a_text_of_another_class_is_read_as_what_it_is() -> None:
    """What shows is no instance of it."""

    class Text(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "something else"

    parser = PartialJSONParser()
    parser.feed(Text('["ab'))
    (delta,) = parser.feed(Text("cd"))

    assert isinstance(delta, StringDelta)
    assert [str, str] == [type(delta.text), type(parser.value[0])]
    assert ["abcd"] == parser.value


@in_one_test("text", ["", "  ", "[", '"a', '{"a"', '{"a":', "[1,", "tru", r'"\ud83d', '"\\'])
def test_a_text_that_ends_too_soon_is_an_error_at_its_end(text: str) -> None:
    parser = read(text)
    parser.check()

    assert [] == parser.end()
    assert isinstance(parser.error, InvalidJSON)
    assert len(text) == parser.error.offset
    assert not parser.complete


def test_a_text_may_end_twice_but_not_go_on() -> None:
    """What comes after the end belongs to another document."""
    parser = read("[1]")

    assert [] == [*parser.end(), *parser.end()]
    assert (True, [1], None) == (parser.complete, parser.value, parser.error)
    assert [] == parser.feed("")
    with pytest.raises(MisuseError, match="a new document needs a new parser"):
        parser.feed(" ")


def _long(document: str) -> str:
    return document + " " * 600


@given(documents(repeat=True))
def test_a_whole_document_is_what_json_loads_gives(text: str) -> None:
    parser = PartialJSONParser()
    parser.feed(_long(text))
    parser.end()

    assert (None, True) == (parser.error, parser.complete)
    assert same(json.loads(text), parser.value)


@pytest.mark.parametrize(("fault", "offset"), [("\\x", 609), ("\n", 608)])
def test_a_fault_in_a_string_that_ends_with_its_piece_is_reported(fault: str, offset: int) -> None:
    """What came before the fault shows."""
    parser = PartialJSONParser()
    parser.feed('{"a": "b')
    parser.feed("c" * 600 + fault + 'd"}')

    assert isinstance(parser.error, InvalidJSON)
    assert (offset, {"a": "b" + "c" * 600}) == (parser.error.offset, parser.value)


def _deep(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        (_long(f'{{"a": {_deep(512)}}}'), "max_depth"),
        (_long("[" + "[]," * 10_000 + _deep(512) + "]"), "max_depth"),
        (_deep(200_000), "max_depth"),
        (_long("[0." + "1" * 4_300 + "]"), "digits"),
        (_long("[" + "1" * 4_301 + "]"), "digits"),
        (_long('["' + " " * 511 + '", 1e' + "0" * 4_300 + "]"), "digits"),
    ],
    ids=["deep", "deep and long", "very deep", "fraction", "integer", "exponent"],
)
def test_bounds_hold_in_a_whole_document(text: str, limit: str) -> None:
    parser = PartialJSONParser()
    parser.feed(text)

    assert isinstance(parser.error, LimitExceeded)
    assert limit == parser.error.limit


def test_what_is_just_within_the_bounds_is_read() -> None:
    text = _long(f'["{"1" * 9_000}", {_deep(511)}, {"1" * 4_300}, {"[]," * 9_000} 1.5]')
    parser = PartialJSONParser()
    parser.feed(text)

    assert parser.error is None
    assert json.loads(text) == parser.value
