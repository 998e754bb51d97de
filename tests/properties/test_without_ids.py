"""Recorded answers whose items and parts are told apart by less than their servers send."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any, NamedTuple, TypeAlias

import pytest

from tests.support.recordings import Recorded, frames_of, ours, shared
from tokenstream import Stream
from tokenstream.errors import TokenStreamError
from tokenstream.events import ToolCallDone
from tokenstream.framing import EventStreamMessage
from tokenstream.message import MediaPart

Payload: TypeAlias = dict[str, Any]
_Change: TypeAlias = Callable[[list[Payload]], list[Payload]]
_LONGEST = 60_000
"""The longest bodies that are read; the longer ones have more deltas, and no more kinds of items."""


class _Wire(NamedTuple):
    """How a format tells items apart, and where it says that one ends."""

    indexes: tuple[str, ...]
    """Paths of the fields with an index: `*` stands for each member of a list."""
    ids: tuple[str, ...] = ()
    """Paths of the fields with an id by which nothing else is known, such as the call to answer."""
    ends: tuple[str, ...] = ()
    """Endings of the names of the events that end an item or one of its parts."""
    closes: tuple[str, ...] = ()
    """Names of the events that come after those ends."""


_ITEM_ENDS = (
    "item.done",
    "part.done",
    "text.done",
    "refusal.done",
    "arguments.done",
    "input.done",
    "audio.done",
)
_WIRES = {
    "anthropic": _Wire(
        ("index",), ("content_block.id",), ("content_block_stop",), ("message_delta", "message_stop")
    ),
    "ag-ui": _Wire(
        (),
        ("messageId",),
        ("MESSAGE_END", "CALL_END", "CONTENT_END", "REASONING_END", "THINKING_END"),
        ("RUN_FINISHED",),
    ),
    "bedrock-converse": _Wire(
        tuple(f"contentBlock{word}.contentBlockIndex" for word in ("Start", "Delta", "Stop")),
        (),
        ("contentBlockStop",),
        ("messageStop",),
    ),
    "cohere": _Wire(("index",), (), ("content-end", "tool-call-end"), ("message-end",)),
    "gemini-interactions": _Wire(("index",), (), ("step.stop", "content.stop"), ("interaction.completed",)),
    "openai-chat": _Wire(
        ("choices.*.delta.tool_calls.*.index", "choices.*.message.tool_calls.*.index"),
        ("choices.*.delta.tool_calls.*.id", "choices.*.message.tool_calls.*.id"),
    ),
    "openai-realtime": _Wire(
        ("output_index", "content_index"),
        ("item_id", "item.id", "response.output.*.id"),
        (*_ITEM_ENDS, "transcript.done"),
        ("response.done",),
    ),
    "openai-responses": _Wire(
        ("output_index", "content_index", "summary_index"),
        ("item_id", "item.id", "response.output.*.id"),
        _ITEM_ENDS,
        ("response.completed", "response.incomplete"),
    ),
}


def _without(value: Any, path: str) -> Any:
    name, _, rest = path.partition(".")
    if name == "*":
        return [_without(each, rest) for each in value] if isinstance(value, list) else value
    if not isinstance(value, dict) or name not in value:
        return value
    if not rest:
        return {key: each for key, each in value.items() if key != name}
    return {**value, name: _without(value[name], rest)}


def _stripped(paths: tuple[str, ...], move: _Change) -> _Change:
    """Return a change that also takes away the fields at some paths."""

    def strip(payloads: list[Payload]) -> list[Payload]:
        stripped: list[Payload] = move(payloads)
        for path in paths:
            stripped = [_without(payload, path) for payload in stripped]
        return stripped

    return strip


def _name_of(payload: Payload) -> str:
    """Return the name of an event: its type, or for Bedrock its only key."""
    return str(payload.get("type") or payload.get("event_type") or next(iter(payload), ""))


def _moved(wire: _Wire, order: _Change) -> _Change:
    """Return a change that lets all items be open until the answer ends, and orders their ends."""

    def move(payloads: list[Payload]) -> list[Payload]:
        moved: list[Payload] = []
        held: list[Payload] = []
        for payload in payloads:
            name = _name_of(payload)
            if name.endswith(wire.ends):
                held.append(payload)
                continue
            if name in wire.closes:
                moved += order(held)
                held = []
            moved.append(payload)
        return moved + order(held)

    return move


def _sorted_by_name(ends: list[Payload]) -> list[Payload]:
    """Return the ends of all texts first, then those of all parts, then those of all items."""
    return sorted(ends, key=lambda payload: len(_name_of(payload)), reverse=True)


def _changes(wire: _Wire) -> dict[str, _Change]:
    """Return what takes away what tells items apart, by name."""
    named = {"with both": (), "no index": wire.indexes, "no id": wire.ids, "neither": wire.indexes + wire.ids}
    orders: dict[str, _Change] = {
        "late": list,
        "reversed": lambda ends: ends[::-1],
        "by name": _sorted_by_name,
    }
    moves = {"in place": list, "left out": _moved(wire, lambda _: [])} if wire.ends else {"in place": list}
    if wire.ends:
        moves |= {name: _moved(wire, order) for name, order in orders.items()}
    return {
        f"{name}, ends {way}": _stripped(paths, move)
        for (name, paths), (way, move) in product(named.items(), moves.items())
    }


@cache
def _recordings() -> dict[str, list[Recorded]]:
    found: dict[str, list[Recorded]] = {}
    for recorded in [*ours(), *shared()]:
        if recorded.format in _WIRES and len(recorded.body) < _LONGEST:
            found.setdefault(recorded.format, []).append(recorded)
    return found


def _payloads_of(recorded: Recorded) -> list[Payload]:
    payloads = []
    for frame in frames_of(recorded.body):
        payload: Any = frame if isinstance(frame, dict | bytes) else frame.payload
        try:
            payload = json.loads(payload) if isinstance(payload, bytes | str) else payload
        except ValueError:
            continue
        if isinstance(frame, EventStreamMessage):
            payload = {frame.event: payload}
        if isinstance(payload, dict):
            payloads.append(payload)
    return payloads


def _read(payloads: list[Payload], format: Any) -> tuple[object, ...]:
    """Return what a user can see of an answer, except for the ids of its calls."""
    stream, error, calls = Stream(iter(payloads), format=format), None, []
    try:
        calls = [
            (event.call.name, event.call.arguments_text)
            for event in stream
            if isinstance(event, ToolCallDone)
        ]
    except TokenStreamError as raised:
        error = raised
    message = stream.message
    spoken = [part.transcript for part in message.parts if isinstance(part, MediaPart)]
    return message.reasoning, message.text, spoken, sorted(calls), message.ending, error


@pytest.mark.slow
@pytest.mark.parametrize("format", [*_WIRES])
def test_an_item_is_found_by_what_is_left_of_its_id_its_index_and_its_order(format: str) -> None:
    tried = 0
    for recorded in _recordings().get(format, []):
        payloads = _payloads_of(recorded)
        told = _read(payloads, format)
        if told[-2:] != ("complete", None):
            continue
        # Of an answer with one item, many changes are the same.
        seen = [payloads]
        for name, change in _changes(_WIRES[format]).items():
            changed = change(payloads)
            if changed not in seen:
                seen.append(changed)
                tried += 1
                assert told == _read(changed, format), (recorded.name, name)
    assert tried
