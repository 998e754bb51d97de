"""The parser of partial JSON: what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.partial_json.support import joined, read, same
from tests.support.raised import is_same_error
from tests.support.tables import in_one_test
from tests.support.texts import pieces_of
from tokenstream.errors import InvalidJSON, LimitExceeded, MisuseError
from tokenstream.partial_json import PartialJSONParser, StringDelta, ValueDone, ValueStart


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
    """As `Limits` refuses a bound."""
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


@pytest.mark.parametrize("size", [0, 1])
def test_what_stands_before_a_fault_is_told_and_shown(size: int) -> None:
    """Also where both come in one piece: the fault swallows nothing that it follows."""
    parser = PartialJSONParser()
    told = [event for piece in pieces_of('["ab", 12, "c\x01d", 3]', size) for event in parser.feed(piece)]

    assert [
        ValueStart((), "array", 0),
        ValueStart((0,), "string", 1),
        StringDelta((0,), "ab"),
        ValueDone((0,), "ab", 5),
        ValueStart((1,), "number", 7),
        ValueDone((1,), 12, 9),
        ValueStart((2,), "string", 11),
        StringDelta((2,), "c"),
    ] == joined(told)
    assert ["ab", 12, "c"] == parser.value
    assert isinstance(parser.error, InvalidJSON)
    assert 13 == parser.error.offset


@pytest.mark.parametrize("begun", ["", '["', '["ab', '["a\\', '{"k', "[1", "[tr", "[1]"])
def test_an_empty_piece_tells_nothing(begun: str) -> None:
    """Wherever it comes; some servers send many."""
    parser = read(begun)

    assert [] == parser.feed("")
    assert same(read(begun).value, parser.value)


def test_after_an_error_nothing_is_read() -> None:
    """The error and the value stay what they are; `check` raises it each time."""
    parser = read('{"a": 1, ]')
    error = parser.error

    assert [] == [*parser.feed('"b": 2}'), *parser.end(), *parser.feed("]")]
    assert parser.error is error
    assert {"a": 1} == parser.value
    for _ in range(2):
        with pytest.raises(InvalidJSON) as raised:
            parser.check()
        assert is_same_error(raised.value, error)


def test_only_white_space_may_follow_a_document() -> None:
    """Anything else is a fault, and the document stays what it is."""
    parser = read("[1] \r\n\t ")

    assert (True, None) == (parser.complete, parser.error)
    parser.check()
    assert [] == parser.feed("  x")
    assert isinstance(parser.error, InvalidJSON)
    assert 10 == parser.error.offset
    assert [1] == parser.value


@in_one_test("text", ["", "  ", "[", '"a', '{"a"', '{"a":', "[1,", "tru", r'"\ud83d', '"\\'])
def test_a_text_that_ends_too_soon_is_an_error_at_its_end(text: str) -> None:
    """The offset is its length."""
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
