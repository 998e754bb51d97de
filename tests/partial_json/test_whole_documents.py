"""A document that arrives whole, or in long pieces, is read as in short ones."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from tests.partial_json.support import documents, same
from tokenstream.errors import InvalidJSON, LimitExceeded
from tokenstream.partial_json import PartialJSONParser

_PIECE = 600


def _long(document: str) -> str:
    return document + " " * _PIECE


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
