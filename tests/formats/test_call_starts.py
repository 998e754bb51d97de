"""Starts of calls that come again, after pieces, or all of them before any arguments, in every format."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from tests.formats.calls import NAMES, WIRES, Payload, Wire, payloads_in, read
from tests.support import chunkings
from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream import Stream, testing
from tokenstream.errors import StreamTruncated
from tokenstream.events import ToolCallDone

_ARGUMENTS = {"bird": "tern", "where": [1, {"at": "sea"}]}
_ANSWER = testing.script().text("Look. ").tool_call("ring", _ARGUMENTS).finish("tool_calls")
_NAMES = (
    "openai-chat",
    "openai-responses",
    "openai-realtime",
    "anthropic",
    "bedrock-converse",
    "cohere",
    "gemini-interactions",
    "ui-message",
    "ag-ui",
)
_ENDS = {
    "anthropic": "content_block_stop",
    "bedrock-converse": "contentBlockStop",
    "cohere": "tool-call-end",
    "gemini-interactions": "step.stop",
}
"""The marks at the ends of calls, in the formats in which calls are blocks with an index."""
_WITH_ITEMS = sorted({*_NAMES} - {*_ENDS})
"""The formats whose calls are known by their ids or items."""


def _payloads(name: str) -> list[dict[str, Any]]:
    if name == "bedrock-converse":
        wire, pieces = WIRES[name], ('{"bird": ', '"tern", "whe', 're": [1, {"at"', ': "sea"}]}')
        deltas = [wire.piece(0, piece) for piece in pieces]
        return [*wire.begins, wire.start(0), *deltas, *wire.stops(0, ""), *wire.reason]
    return payloads_in(_ANSWER.chunks(name))


def _without(payload: dict[str, Any], field: str) -> dict[str, Any]:
    return {key: value for key, value in payload.items() if key != field}


def _place_of_start(payloads: list[dict[str, Any]]) -> int:
    return next(place for place, payload in enumerate(payloads) if '"ring"' in json.dumps(payload))


def _calls(payloads: list[dict[str, Any]], name: Any) -> list[tuple[str, Any, bool]]:
    with Stream(payloads, format=name) as stream:
        handed_out = [call.arguments for call in stream.tool_calls]
        calls = stream.message.tool_calls
    return [(call.name, handed_out, call.complete) for call in calls]


@in_one_test("later", range(1, 5))
@pytest.mark.parametrize("name", _WITH_ITEMS)
def test_a_start_that_comes_again_changes_nothing(name: str, later: int) -> None:
    """With the same id, it is that of the call which is open, wherever its arguments have got to."""
    payloads = _payloads(name)
    start = _place_of_start(payloads)
    again = [*payloads[: start + later], payloads[start], *payloads[start + later :]]

    assert [("ring", [_ARGUMENTS], True)] == _calls(again, name)


@pytest.mark.parametrize("name", _WITH_ITEMS)
def test_a_start_with_each_piece_begins_one_call(name: str) -> None:
    """A gateway may translate each fragment of another format into a start and a piece."""
    payloads = _payloads(name)
    start = _place_of_start(payloads)
    pieces = [part for payload in payloads[start + 1 : start + 5] for part in (payloads[start], payload)]

    assert [("ring", [_ARGUMENTS], True)] == _calls(
        [*payloads[:start], *pieces, *payloads[start + 5 :]], name
    )


@pytest.mark.parametrize("name", _ENDS)
def test_a_start_after_a_whole_call_begins_the_next_call(name: str) -> None:
    """A gateway may use the tool's name as the id, and leave out the ends of calls."""
    payloads = _payloads(name)
    start = _place_of_start(payloads)
    end = next(place for place in range(start, len(payloads)) if _ENDS[name] in json.dumps(payloads[place]))
    other = json.loads(json.dumps(payloads[start:end]).replace("tern", "gull"))
    told = _calls([*payloads[:end], *other, *payloads[end:]], name)

    both = [_ARGUMENTS, {**_ARGUMENTS, "bird": "gull"}]
    assert [("ring", both, True)] * 2 == told


@in_one_test("later", range(1, 5))
@pytest.mark.parametrize("name", _ENDS)
def test_a_call_that_is_begun_anew_is_handed_out(name: str, later: int) -> None:
    """A gateway that tries again sends the start, and the arguments from their beginning."""
    payloads = _payloads(name)
    start = _place_of_start(payloads)
    told = _calls([*payloads[: start + later], *payloads[start:]], name)

    assert [("ring", [_ARGUMENTS], False), ("ring", [_ARGUMENTS], True)] == told


def _read_moved(name: Any, later: int, *, size: int | None) -> tuple[list[Any], Stream]:
    """Read the answer with the start of its call behind pieces of the arguments; return what was handed out.

    Args:
        later: Number of payloads that come before the start.
        size: Length of the chunks; None for decoded payloads.
    """
    payloads = _payloads(name)
    start = _place_of_start(payloads)
    last = start + 1 + later
    moved = [*payloads[:start], *payloads[start + 1 : last], payloads[start], *payloads[last:]]
    source: Any = moved if size is None else chunkings.sized(b"".join(map(sse, moved)), size)
    with Stream(source, format=name) as stream:
        return [call.arguments for call in stream.tool_calls], stream


@in_one_test("later", range(1, 5))
@pytest.mark.parametrize("name", ["openai-chat", "openai-responses", "openai-realtime", "ui-message"])
def test_a_start_after_the_pieces_of_its_call_loses_none_of_them(name: str, later: int) -> None:
    told, stream = _read_moved(name, later, size=None)

    assert ([_ARGUMENTS], [True]) == (told, [call.complete for call in stream.message.tool_calls])


@in_one_test("size", [None, 1, 7, 50, 10_000])
@in_one_test("later", range(2, 6))
@pytest.mark.parametrize("name", [*_ENDS, "ag-ui"])
def test_a_start_after_pieces_of_its_call_is_not_handed_out(name: str, later: int, size: int | None) -> None:
    """A call is not run with a part of its arguments, or none; it is told that some belong to no call."""
    told, stream = _read_moved(name, later, size=None if name == "bedrock-converse" else size)

    assert ([], [False]) == (told, [call.complete for call in stream.message.tool_calls])
    assert {"part_unopened", "call_invalid"} <= stream.departures.details.keys()


@in_one_test("name", sorted(_ENDS))
def test_pieces_of_a_call_that_never_began_are_not_those_of_the_next(name: str) -> None:
    """The start of a call was lost, and another one follows under the same index."""
    payloads = _payloads(name)
    start = _place_of_start(payloads)
    end = next(place for place in range(start, len(payloads)) if _ENDS[name] in json.dumps(payloads[place]))
    other = json.loads(json.dumps(payloads[start : end + 1]).replace("tern", "gull"))
    told = _calls([*payloads[:start], *payloads[start + 1 : end + 1], *other, *payloads[end + 1 :]], name)

    assert [("ring", [{**_ARGUMENTS, "bird": "gull"}], True)] == told


@in_one_test("later", [0, 1])
@pytest.mark.parametrize("name", _ENDS)
def test_a_start_that_comes_again_at_the_end_of_its_call_is_no_second_call(name: str, later: int) -> None:
    payloads = [
        {**payload, "event_id": ""} if "event_id" in payload else payload for payload in _payloads(name)
    ]
    start = _place_of_start(payloads)
    end = next(place for place in range(start, len(payloads)) if _ENDS[name] in json.dumps(payloads[place]))
    for again in ([payloads[start]], [payloads[start], payloads[end]]):
        told = _calls([*payloads[: end + later], *again, *payloads[end + later :]], name)

        assert [("ring", [_ARGUMENTS], True)] == told


def _with_fragment(value: Any, fragment: Any) -> Any:
    """Return a payload with a piece of arguments in place of the first one."""
    if isinstance(value, dict):
        return {key: _with_fragment(inner, fragment) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_fragment(inner, fragment) for inner in value]
    return fragment if isinstance(value, str) and value.startswith("{") else value


@in_one_test("placeholder", ["{}", "{ }"])
@pytest.mark.parametrize("name", _NAMES)
def test_an_empty_object_before_or_after_the_arguments_says_nothing(name: str, placeholder: str) -> None:
    """Gateways send it where others send an empty text; no tool is called with it, or once more."""
    payloads = _payloads(name)
    texts = [json.dumps(payload) for payload in payloads]
    first = next(place for place, text in enumerate(texts) if r'"{\"bird' in text)
    last = next(place for place in range(first, len(texts)) if '}]}"' in texts[place])
    empty = _with_fragment(payloads[first], placeholder)
    for place in (first, last + 1):
        told = _calls([*payloads[:place], empty, *payloads[place:]], name)

        assert [("ring", [_ARGUMENTS], True)] == told, place


@in_one_test("name", _NAMES)
def test_arguments_may_come_as_a_value_in_place_of_text(name: str) -> None:
    """A gateway has decoded them; the tool is not called without them."""
    payloads = [_without(payload, "event_id") for payload in _payloads(name)]
    texts = [json.dumps(payload) for payload in payloads]
    first = next(place for place, text in enumerate(texts) if r'"{\"bird' in text)
    last = next(place for place in range(first, len(texts)) if '}]}"' in texts[place])
    value = _with_fragment(payloads[first], _ARGUMENTS)

    assert [("ring", [_ARGUMENTS], True)] == _calls([*payloads[:first], value, *payloads[last + 1 :]], name)


FORMATS = [
    *("anthropic", "bedrock-converse", "cohere", "gemini-interactions"),
    *("openai-chat", "openai-chat, all at index 0", "openai-responses"),
]
ARGUMENTS = ['{"bird":"tern"}', '{"at":["sea"]}', '{"n":{"is":"{"}}']
_PLACES = {"index", "contentBlockIndex", "output_index", "item_id"}


def _changed(value: Any, change: Callable[[str, Any], Any]) -> Any:
    """Return a payload with other values of its fields, and without those of which `change` makes `...`."""
    if isinstance(value, dict):
        fields = {key: change(key, _changed(inner, change)) for key, inner in value.items()}
        return {key: inner for key, inner in fields.items() if inner is not ...}
    return [_changed(inner, change) for inner in value] if isinstance(value, list) else value


def _written(name: str, calls: Sequence[int], pieces: list[str]) -> list[Payload]:
    """Return an answer with calls, whose pieces come behind all of their starts."""
    wire = WIRES[name.partition(",")[0]]
    # Items tell their arguments again at their ends.
    stops = [] if name == "openai-responses" else [stop for index in calls for stop in wire.stops(index, "")]
    answer = [*wire.begins, *map(wire.start, calls), *[wire.piece(0, piece) for piece in pieces]]
    without = () if name.endswith("index 0") else _PLACES

    def placed(key: str, value: Any) -> Any:
        return ... if key in without else 0 if key == "index" else value

    return [_changed(payload, placed) for payload in [*answer, *stops, *wire.reason, *wire.ends]]


def _read(wire: str, calls: int, pieces: list[str]) -> tuple[list[tuple[str, str]], str]:
    """Return the calls that are handed out, by name, and the ending of the answer."""
    format: Any = wire.partition(",")[0]
    stream = Stream(_written(wire, range(calls), pieces), format=format)
    done: list[tuple[str, str]] = []
    with suppress(StreamTruncated):
        for event in stream:
            if isinstance(event, ToolCallDone):
                done.append((event.call.name, event.call.arguments_text))
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


ORDERS: dict[str, list[tuple[str, int]]] = {
    "one by one": [("start", 0), ("piece", 0), ("end", 0), ("start", 1), ("piece", 1), ("end", 1)],
    "ends late": [("start", 0), ("piece", 0), ("start", 1), ("piece", 1), ("end", 0), ("end", 1)],
    "ends in turns": [("start", 0), ("piece", 0), ("start", 1), ("piece", 1), ("end", 1), ("end", 0)],
    "starts first": [("start", 0), ("start", 1), ("piece", 0), ("piece", 1), ("end", 0), ("end", 1)],
    "without ends": [("start", 0), ("piece", 0), ("start", 1), ("piece", 1)],
    "interleaved": [("start", 0), ("start", 1), ("half", 0), ("half", 1), ("rest", 0), ("rest", 1)],
}
_INDEXES = {"index", "contentBlockIndex", "output_index"}


def _in_order(wire: Wire, order: str) -> list[Payload]:
    payloads = [*wire.begins]
    for step, index in ORDERS[order]:
        told = ARGUMENTS[index]
        if step == "start":
            payloads.append(wire.start(index))
        elif step == "end":
            payloads += wire.stops(index, told)
        else:
            part = {"piece": told, "half": told[:5], "rest": told[5:]}[step]
            payloads.append(wire.piece(index, part))
    return [*payloads, *wire.reason, *wire.ends]


def _sent(number: int, index: Any, ids: str, key: str, value: Any) -> Any:
    """Return a field of a payload with another index or id, as a server may send it; "right" is its own."""
    if key in _INDEXES:
        return {"right": value, None: ...}.get(index, index)
    if not (isinstance(value, str) and re.fullmatch(r"[ci]\d", value)):
        return value
    late = value if number > 4 else ...
    return {"right": value, "shared": value[0], "changing": f"{value}-{number}", "late": late}.get(ids, ...)


@pytest.mark.parametrize("ids", ["right", "shared", "changing", "late", "none"])
@pytest.mark.parametrize("index", ["right", 0, None])
@in_one_test("order", ORDERS)
@in_one_test("name", WIRES)
def test_each_piece_is_of_the_call_that_its_event_names(name: Any, order: str, index: Any, ids: str) -> None:
    """By its id, else by an index that one call has, else by the order; a guess is told, and never wrong."""
    wire = WIRES[name]
    payloads = _in_order(wire, order)
    payloads = [_changed(each, partial(_sent, number, index, ids)) for number, each in enumerate(payloads)]
    stream, done, error = read(name, payloads)
    has_ids = ids == "right" and any(f'"{id}1"' in json.dumps(wire.piece(1, "")) for id in "ci")
    in_turn = order not in ("starts first", "interleaved")
    can_be_known = has_ids or (ids == "right" and (index == "right" or in_turn))

    assert {*done} <= {*ARGUMENTS[:2]}
    assert len(done) == len({*done})
    if can_be_known:
        assert (sorted(ARGUMENTS[:2]), None, "complete") == (sorted(done), error, stream.message.ending)
    elif len(done) < 2:
        assert error or any(rule.affects != "form" for rule in stream.departures.values())


def test_a_tool_that_takes_nothing_gets_no_piece() -> None:
    """What the request has offered tells whose the only arguments are."""
    tools = [
        {"name": "ring", "input_schema": {"type": "object", "properties": {}}},
        {"name": "find", "input_schema": {"type": "object", "properties": {"bird": {"type": "string"}}}},
    ]
    stream = Stream(_written("anthropic", range(2), ARGUMENTS[:1]), format="anthropic", tools=tools)
    done = {event.call.name: event.call.arguments_text for event in stream if isinstance(event, ToolCallDone)}

    assert {"ring": "", "find": ARGUMENTS[0]} == done
