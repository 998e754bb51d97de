"""Calls that all begin before any of their arguments, whose pieces name no call."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pytest

from tests.formats.calls import NAMES, WIRES, Payload
from tests.support.tables import in_one_test
from tokenstream import Stream
from tokenstream.events import ToolCallDone

FORMATS = [
    *("anthropic", "bedrock-converse", "cohere", "gemini-interactions"),
    *("openai-chat", "openai-chat, all at index 0", "openai-responses"),
]
ARGUMENTS = ['{"bird":"tern"}', '{"at":["sea"]}', '{"n":{"is":"{"}}']
_PLACES = {"index", "contentBlockIndex", "output_index", "item_id"}


def _placed(value: Any, without: Collection[str]) -> Any:
    """Return a payload without the fields that tell whose it is, and with any other index 0."""
    if isinstance(value, dict):
        fields = {key: _placed(inner, without) for key, inner in value.items() if key not in without}
        return fields | {"index": 0} if "index" in fields else fields
    return [_placed(inner, without) for inner in value] if isinstance(value, list) else value


def _written(name: str, calls: Sequence[int], pieces: list[str]) -> list[Payload]:
    """Return an answer with calls, whose pieces come behind all of their starts."""
    wire = WIRES[name.partition(",")[0]]
    # Items tell their arguments again at their ends.
    stops = [] if name == "openai-responses" else [stop for index in calls for stop in wire.stops(index, "")]
    answer = [*wire.begins, *map(wire.start, calls), *[wire.piece(0, piece) for piece in pieces]]
    without = () if name.endswith("index 0") else _PLACES
    return [_placed(payload, without) for payload in [*answer, *stops, *wire.reason, *wire.ends]]


def _read(wire: str, calls: int, pieces: list[str]) -> tuple[list[tuple[str, str]], str]:
    """Return the calls that are handed out, by name, and the ending of the answer."""
    format: Any = wire.partition(",")[0]
    stream = Stream(_written(wire, range(calls), pieces), format=format)
    done = [
        (event.call.name, event.call.arguments_text) for event in stream if isinstance(event, ToolCallDone)
    ]
    return sorted(done), stream.message.ending


@pytest.mark.parametrize("wire", FORMATS)
@pytest.mark.parametrize("size", [2, 5, 99])
@pytest.mark.parametrize("count", [2, 3])
def test_pieces_that_name_no_call_come_in_the_order_of_the_calls(wire: str, size: int, count: int) -> None:
    """The end of a value is the end of its call; also where pieces would be read at a glance."""
    whole = ARGUMENTS[:count]
    pieces = [text[at : at + size] for text in whole for at in range(0, len(text), size)]
    expected = sorted(zip(NAMES, whole, strict=False))

    assert (expected, "complete") == _read(wire, count, pieces)


@in_one_test("wire", FORMATS)
@in_one_test(
    "pieces",
    [
        pytest.param(ARGUMENTS[:1], id="too few"),
        pytest.param(['{"a":', '{"b":', "1}", "2}"], id="in turns"),
        pytest.param(['{"a":[', '{"b":1}', "]}"], id="one inside the other"),
        pytest.param(ARGUMENTS, id="too many"),
        pytest.param(["{}", *ARGUMENTS[:2]], id="an empty object first"),
        pytest.param([ARGUMENTS[0], '{"at":'], id="one cut"),
    ],
)
def test_calls_that_cannot_be_told_apart_are_not_handed_out(wire: str, pieces: list[str]) -> None:
    handed_out, _ = _read(wire, 2, pieces)

    assert [] == handed_out


@in_one_test("wire", FORMATS)
def test_an_empty_object_is_the_arguments_of_one_call(wire: str) -> None:
    assert [("find", ARGUMENTS[0]), ("ring", "{}")] == _read(wire, 2, ["{}", ARGUMENTS[0]])[0]


@in_one_test("wire", FORMATS)
def test_calls_whose_pieces_follow_each_start_are_as_ever(wire: str) -> None:
    """A call that begins behind pieces of another one ends that, also where it has no end of its own."""
    first, second = (_written(wire, [at], [ARGUMENTS[at]]) for at in range(2))
    is_own = [payload not in second or payload == first[0] for payload in first]
    joined = [payload for payload, own in zip(first, is_own, strict=True) if own]
    joined += [payload for payload in second if payload not in first[:1]]
    format: Any = wire.partition(",")[0]
    stream = Stream(joined, format=format)
    done = {event.call.name: event.call.arguments_text for event in stream if isinstance(event, ToolCallDone)}

    assert dict(zip(NAMES, ARGUMENTS[:2], strict=False)) == done


def test_a_tool_that_takes_nothing_gets_no_piece() -> None:
    """What the request has offered tells whose the only arguments are."""
    tools = [
        {"name": "ring", "input_schema": {"type": "object", "properties": {}}},
        {"name": "find", "input_schema": {"type": "object", "properties": {"bird": {"type": "string"}}}},
    ]
    stream = Stream(_written("anthropic", range(2), ARGUMENTS[:1]), format="anthropic", tools=tools)
    done = {event.call.name: event.call.arguments_text for event in stream if isinstance(event, ToolCallDone)}

    assert {"ring": "", "find": ARGUMENTS[0]} == done
