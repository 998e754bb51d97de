"""The events of partial JSON: places, equality, pickles, patterns."""

from __future__ import annotations

import copy
import pickle
from typing import Any, assert_never

import pytest

from tests.partial_json.support import read
from tokenstream.errors import TokenStreamError
from tokenstream.partial_json import PartialJSONParser, StringDelta, ValueDone, ValueStart
from tokenstream.partial_json._events import JSONEvent

_EVENTS: list[JSONEvent] = [
    ValueStart(("steps", 0), "object", 3),
    StringDelta(("title",), "Pan"),
    ValueDone((), {"a": [1, None]}, 12),
]


def test_the_events_of_a_document_say_where_and_what() -> None:
    parser = PartialJSONParser()

    assert [
        ValueStart((), "object", 0),
        ValueStart(("steps",), "array", 10),
        ValueStart(("steps", 0), "string", 11),
        StringDelta(("steps", 0), "st"),
    ] == parser.feed('{"steps": ["st')
    assert [
        StringDelta(("steps", 0), "ir\n"),
        ValueDone(("steps", 0), "stir\n", 19),
        ValueStart(("steps", 1), "number", 21),
    ] == parser.feed('ir\\n", 2')
    assert [
        ValueDone(("steps", 1), 20, 23),
        ValueStart(("steps", 2), "literal", 24),
        ValueDone(("steps", 2), None, 28),
        ValueDone(("steps",), ["stir\n", 20, None], 29),
        ValueDone((), {"steps": ["stir\n", 20, None]}, 30),
    ] == parser.feed("0,null]}")


@pytest.mark.parametrize("event", _EVENTS, ids=repr)
def test_an_event_equals_its_like_alone(event: JSONEvent) -> None:
    twin = copy.copy(event)

    assert event == twin
    assert hash(event) == hash(twin)
    assert event not in [other for other in _EVENTS if other is not event]
    assert event != event.path


@pytest.mark.parametrize("event", _EVENTS, ids=repr)
def test_an_event_can_be_kept_and_sent(event: JSONEvent) -> None:
    assert event == pickle.loads(pickle.dumps(event)) == copy.deepcopy(event) == eval(repr(event))


def test_an_event_of_the_parser_is_sent_without_the_document() -> None:
    start, title, _ = PartialJSONParser().feed('{"title": "Pancakes"')[:3]

    assert b"Pancakes" not in pickle.dumps(title)
    assert [ValueStart((), "object", 0), ValueStart(("title",), "string", 10)] == pickle.loads(
        pickle.dumps([start, title])
    )


def _told(event: JSONEvent) -> tuple[Any, ...]:
    match event:
        case ValueStart(path, kind, offset):
            return path, kind, offset
        case StringDelta(path, text):
            return path, text
        case ValueDone(path, value, offset):
            return path, value, offset
        case _:
            assert_never(event)


def test_an_event_is_matched_by_its_fields() -> None:
    assert [(("steps", 0), "object", 3), (("title",), "Pan"), ((), {"a": [1, None]}, 12)] == [
        _told(event) for event in _EVENTS
    ]


def test_the_last_key_is_known_without_the_path() -> None:
    read_ones = PartialJSONParser().feed('{"a": [1')

    assert [0, "title", None] == [event.key for event in _EVENTS]
    assert [None, "a", 0] == [event.key for event in read_ones]
    assert [(), ("a",), ("a", 0)] == [event.path for event in read_ones]
    assert [None, "a", 0] == [event.key for event in read_ones]


def test_a_path_is_the_same_whenever_somebody_asks() -> None:
    parser = PartialJSONParser()
    begun = parser.feed('{"a": [{"b": "x')
    later = parser.feed('y"}, 5], "c": 1}')
    del parser

    assert ("a", 0, "b") == begun[-1].path
    assert [("a", 0, "b"), ("a", 0, "b"), ("a", 0), ("a", 1), ("a", 1), ("a",), ("c",), ("c",), ()] == [
        event.path for event in later
    ]


def test_an_event_from_far_below_costs_no_recursion() -> None:
    parser = PartialJSONParser(max_depth=20_000)
    last = parser.feed("[" * 20_000)[-1]
    del parser

    assert (0,) * 19_999 == last.path
    del last


def test_an_error_can_be_sent() -> None:
    invalid, deep = read("[1,]").error, read("[[", max_depth=1).error

    assert isinstance(invalid, TokenStreamError)
    assert isinstance(deep, TokenStreamError)
    for error in (invalid, deep):
        twin = pickle.loads(pickle.dumps(error))
        assert (type(error), str(error)) == (type(twin), str(twin))
        assert error.__dict__.items() >= {"offset": getattr(twin, "offset", None)}.items()
