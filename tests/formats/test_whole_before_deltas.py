"""Whole texts that overtake their last deltas: the events at the end of a text come too early."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import chunkings
from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream import Stream
from tokenstream.errors import ProtocolError

Payload = dict[str, Any]

_PIECES = ["Low ", "water ", "is ", "at six."]
_WHOLE = "".join(_PIECES)


def _numbered(*payloads: Payload) -> list[Payload]:
    return [{**payload, "sequence_number": number} for number, payload in enumerate(payloads)]


def _response(status: str, *output: Payload) -> Payload:
    return {"id": "resp_1", "object": "response", "model": "m", "status": status, "output": list(output)}


def _responses(kind: str, at: int, ends: tuple[str, ...], *, told: bool) -> list[Payload]:
    """Return a Responses answer whose text ends `at` a delta, by these of its three end events.

    Args:
        kind: The type of the text.
        told: True if the end of the response repeats the text.
    """
    field = "refusal" if kind == "refusal" else "text"
    content = {"type": kind, field: _WHOLE}
    is_summary = kind == "summary_text"
    where = {"item_id": "item_1", "output_index": 0, "summary_index" if is_summary else "content_index": 0}
    word = {"output_text": "output_text", "refusal": "refusal", "summary_text": "reasoning_summary_text"}[
        kind
    ]
    item = (
        {"id": "item_1", "type": "reasoning", "summary": [content]}
        if is_summary
        else {
            "id": "item_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [content],
        }
    )
    part = "reasoning_summary_part" if is_summary else "content_part"
    empty = {**item, "summary": []} if is_summary else {**item, "content": [], "status": "in_progress"}
    of_text: dict[str, Payload] = {
        "text": {"type": f"response.{word}.done", **where, field: _WHOLE},
        "part": {"type": f"response.{part}.done", **where, "part": content},
        "item": {"type": "response.output_item.done", "output_index": 0, "item": item},
    }
    deltas = [{"type": f"response.{word}.delta", **where, "delta": piece} for piece in _PIECES]
    return _numbered(
        {"type": "response.created", "response": _response("in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": empty},
        {"type": f"response.{part}.added", **where, "part": {"type": kind, field: ""}},
        *deltas[:at],
        *[of_text[end] for end in ends],
        *deltas[at:],
        *[payload for end, payload in of_text.items() if end not in ends],
        {"type": "response.completed", "response": _response("completed", *([item] if told else []))},
    )


def _realtime(kind: str, at: int, ends: tuple[str, ...], *, told: bool) -> list[Payload]:
    """Return an answer of Realtime like that of `_responses`; its text may be a transcript."""
    is_audio = kind == "output_audio"
    field, word = ("transcript", "output_audio_transcript") if is_audio else ("text", "output_text")
    content = {"type": kind, field: _WHOLE}
    of_response = {"response_id": "resp_1", "output_index": 0}
    where = {**of_response, "item_id": "item_1", "content_index": 0}
    item = {"id": "item_1", "type": "message", "status": "completed", "content": [content]}
    of_text: dict[str, Payload] = {
        "text": {"type": f"response.{word}.done", **where, field: _WHOLE},
        "part": {"type": "response.content_part.done", **where, "part": content},
        "item": {"type": "response.output_item.done", **of_response, "item": item},
    }
    deltas = [{"type": f"response.{word}.delta", **where, "delta": piece} for piece in _PIECES]
    response: Payload = {"id": "resp_1", "object": "realtime.response", "status": "in_progress", "output": []}
    payloads: list[Payload] = [
        {"type": "response.created", "response": response},
        {"type": "response.output_item.added", **of_response, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **where, "part": {"type": kind}},
        *deltas[:at],
        *[of_text[end] for end in ends],
        *deltas[at:],
        *[payload for end, payload in of_text.items() if end not in ends],
        {
            "type": "response.done",
            "response": {**response, "status": "completed", "output": [item] if told else []},
        },
    ]
    return [{**payload, "event_id": f"event_{number}"} for number, payload in enumerate(payloads)]


_ENDS = [("text",), ("text", "part"), ("item",), ("text", "part", "item")]
_KINDS: dict[str, tuple[Any, Any]] = {
    "output_text": ("openai-responses", _responses),
    "refusal": ("openai-responses", _responses),
    "summary_text": ("openai-responses", _responses),
    "text": ("openai-realtime", _realtime),
    "output_audio": ("openai-realtime", _realtime),
}


def _texts(stream: Stream) -> Iterator[str]:
    """Yield every text of the answer, of any kind."""
    for part in stream.message.parts:
        yield getattr(part, "text", None) or getattr(part, "transcript", None) or ""


@in_one_test("at", range(len(_PIECES)))
@in_one_test("ends", _ENDS)
@in_one_test("told", [True, False])
@pytest.mark.parametrize("kind", _KINDS)
def test_deltas_that_a_whole_text_has_reported_before_are_not_added_again(
    kind: str, at: int, ends: tuple[str, ...], told: bool
) -> None:
    """Wherever the end of a text comes among its deltas, the text is complete, and in the message once."""
    name, answer = _KINDS[kind]
    stream = Stream(answer(kind, at, ends, told=told), format=name)
    deltas = "".join(
        getattr(event, "transcript", "") or getattr(event, "text", "")
        for event in stream
        if type(event).__name__.endswith("Delta")
    )

    assert _WHOLE == deltas
    assert _WHOLE == "".join(_texts(stream))
    assert stream.message.complete


@in_one_test("size", [1, 7, 50, 10_000])
@pytest.mark.parametrize("kind", _KINDS)
def test_a_delta_after_the_whole_text_that_repeats_nothing_is_an_error(kind: str, size: int) -> None:
    """The end has told all of the text: another text is not shown, and the answer has failed."""
    name, answer = _KINDS[kind]
    payloads: list[Payload] = answer(kind, 2, ("text",), told=True)
    texts = [json.dumps(payload) for payload in payloads]
    late = [text if _WHOLE in text else text.replace('"is "', '"was "') for text in texts]
    stream = Stream(chunkings.sized(b"".join(map(sse, map(json.loads, late))), size), format=name)
    with pytest.raises(ProtocolError, match="does not repeat it"):
        stream.final()

    assert _WHOLE == "".join(_texts(stream))


@in_one_test("again", [range(4), range(3, 4), range(2, 4)])
@pytest.mark.parametrize("kind", _KINDS)
def test_deltas_that_come_again_after_the_whole_text_are_counted(kind: str, again: range) -> None:
    """All of them, or the last ones: the text is in the message once."""
    name, answer = _KINDS[kind]
    payloads: list[Payload] = answer(kind, len(_PIECES), ("text",), told=True)
    ended = next(place for place, payload in enumerate(payloads) if _WHOLE in json.dumps(payload))
    first = ended - len(_PIECES)
    deltas = [{**payloads[first + place], "event_id": f"again_{place}"} for place in again]
    stream = Stream([*payloads[: ended + 1], *deltas, *payloads[ended + 1 :]], format=name)
    stream.final()

    assert _WHOLE == "".join(_texts(stream))
    assert len(again) == stream.departures.details["content_twice"]


_INPUTS: dict[str, tuple[str, str, Payload]] = {
    "custom_tool_call": ("custom_tool_call_input", "input", {"call_id": "call_1", "name": "sing"}),
    "code_interpreter_call": ("code_interpreter_call_code", "code", {}),
    "mcp_call": ("mcp_call_arguments", "arguments", {"name": "sing", "server_label": "birds"}),
}
"""The types of items with the input of a tool: the word in their events, the input's field, more fields."""


def _tool(kind: str, at: int, ends: tuple[str, ...], lost: int) -> list[Payload]:
    """Return a Responses answer with a tool's input, which ends `at` a delta; the last may be `lost`."""
    word, field, more = _INPUTS[kind]
    where = {"item_id": "item_1", "output_index": 0}
    item = {"id": "item_1", "type": kind, "status": "completed", field: _WHOLE, **more}
    of_item: dict[str, Payload] = {
        "input": {"type": f"response.{word}.done", **where, field: _WHOLE},
        "item": {"type": "response.output_item.done", "output_index": 0, "item": item},
    }
    deltas = [{"type": f"response.{word}.delta", **where, "delta": piece} for piece in _PIECES]
    return _numbered(
        {"type": "response.created", "response": _response("in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, field: ""}},
        *deltas[:at],
        *[of_item[end] for end in ends],
        *deltas[at : len(deltas) - lost],
        *[payload for end, payload in of_item.items() if end not in ends],
        {"type": "response.completed", "response": _response("completed", item)},
    )


@in_one_test("at", range(len(_PIECES) + 1))
@in_one_test("ends", [("input",), ("item",), ("input", "item")])
@in_one_test("lost", [0, 1])
@pytest.mark.parametrize("kind", _INPUTS)
def test_the_input_of_a_tool_is_added_once_and_whole(
    kind: str, at: int, ends: tuple[str, ...], lost: int
) -> None:
    """Whether its last fragments come after the events that tell it whole, or never."""
    stream = Stream(_tool(kind, at, ends, lost), format="openai-responses")
    fragments = "".join(getattr(event, "fragment", "") for event in stream)
    [part] = stream.message.parts

    assert _WHOLE == getattr(part, "arguments_text", None)
    assert _WHOLE == fragments
    assert stream.message.complete


def test_an_mcp_call_of_realtime_is_whole_though_its_fragments_are_late_or_lost() -> None:
    """The events at the end of its item repeat its arguments."""
    of_response = {"response_id": "resp_1", "output_index": 0}
    where = {**of_response, "item_id": "item_1"}
    item = {"id": "item_1", "type": "mcp_call", "name": "sing", "arguments": _WHOLE}
    response: Payload = {"id": "resp_1", "object": "realtime.response", "status": "in_progress", "output": []}
    head: list[Payload] = [
        {"type": "response.created", "response": response},
        {"type": "response.output_item.added", **of_response, "item": {**item, "arguments": ""}},
    ]
    pieces: list[Payload] = [
        {"type": "response.mcp_call_arguments.delta", **where, "delta": piece} for piece in _PIECES
    ]
    told: Payload = {"type": "response.mcp_call_arguments.done", **where, "arguments": _WHOLE}
    end: list[Payload] = [
        {"type": "response.output_item.done", **of_response, "item": item},
        {"type": "response.done", "response": {**response, "status": "completed"}},
    ]
    for events in ([*pieces[:2], told, *pieces[2:]], [told, *pieces], [*pieces[:3], told], pieces[:3]):
        payloads = [{**each, "event_id": f"event_{at}"} for at, each in enumerate([*head, *events, *end])]
        [part, *_] = Stream(payloads, format="openai-realtime").final().parts

        assert _WHOLE == getattr(part, "arguments_text", None)
