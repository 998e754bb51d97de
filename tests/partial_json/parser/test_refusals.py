"""The parser of partial JSON: what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.partial_json.support import read
from tests.support.tables import in_one_test
from tokenstream.errors import InvalidJSON, LimitExceeded, MisuseError
from tokenstream.partial_json import PartialJSONParser, StringDelta


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
