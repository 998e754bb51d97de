"""Whole texts that overtake their last deltas: the events at the end of a text come too early."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.formats.openai_realtime import payloads as realtime
from tests.formats.openai_responses import payloads as openai
from tests.formats.openai_responses.payloads import Payload
from tests.support import chunkings
from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream import Stream
from tokenstream.errors import ProtocolError

_PIECES = ["Low ", "water ", "is ", "at six."]
_WHOLE = "".join(_PIECES)


def _mixed(deltas: list[Payload], ends: dict[str, Payload], early: tuple[str, ...], at: int) -> list[Payload]:
    """Return the events of a text of which `early` ones of its ends come `at` a delta."""
    late = [payload for end, payload in ends.items() if end not in early]
    return [*deltas[:at], *[ends[end] for end in early], *deltas[at:], *late]


def _responses(kind: str, at: int, early: tuple[str, ...], *, told: bool) -> list[Payload]:
    """Return a Responses answer whose text ends `at` a delta, by these of its three end events."""
    field = "refusal" if kind == "refusal" else "text"
    content: Payload = {"type": kind, field: _WHOLE}
    is_summary = kind == "summary_text"
    place: Payload = {"summary_index" if is_summary else "content_index": 0}
    word, part = (
        ("reasoning_summary_text", "reasoning_summary_part") if is_summary else (kind, "content_part")
    )
    item = openai.reasoning(_WHOLE) if is_summary else openai.message(content, status="completed")
    ends = {
        "text": openai.event(f"{word}.done", **{**place, field: _WHOLE}),
        "part": openai.event(f"{part}.done", **place, part=content),
        "item": openai.done(item),
    }
    deltas = [openai.event(f"{word}.delta", **place, delta=piece) for piece in _PIECES]
    return openai.numbered(
        openai.created(),
        openai.added(openai.reasoning() if is_summary else openai.message()),
        openai.event(f"{part}.added", **place, part={"type": kind, field: ""}),
        *_mixed(deltas, ends, early, at),
        openai.ended(output=[item] if told else []),
    )


def _apart(*payloads: Payload) -> list[Payload]:
    """Return events of Realtime, each with an id of its own."""
    return [{**payload, "event_id": f"event_{number}"} for number, payload in enumerate(payloads)]


def _realtime(kind: str, at: int, early: tuple[str, ...], *, told: bool) -> list[Payload]:
    """Return an answer of Realtime like that of `_responses`; its text may be a transcript."""
    spoken = ("transcript", "response.output_audio_transcript")
    field, word = spoken if kind == "output_audio" else ("text", "response.output_text")
    content = {"type": kind, field: _WHOLE}
    ends = {
        "text": realtime.event(f"{word}.done", **{field: _WHOLE}, **realtime.where()),
        "part": realtime.part_done(kind, None, **{field: _WHOLE}),
        "item": realtime.finished(content=[content]),
    }
    deltas = [realtime.event(f"{word}.delta", delta=piece, **realtime.where()) for piece in _PIECES]
    begun = realtime.created(), realtime.added(), realtime.part(kind)
    output = [ends["item"]["item"]] if told else []
    return _apart(*begun, *_mixed(deltas, ends, early, at), realtime.done(output=output))


_ENDS = [("text",), ("text", "part"), ("item",), ("text", "part", "item")]
_KINDS: dict[str, tuple[Any, Any]] = {
    "output_text": ("openai-responses", _responses),
    "refusal": ("openai-responses", _responses),
    "summary_text": ("openai-responses", _responses),
    "text": ("openai-realtime", _realtime),
    "output_audio": ("openai-realtime", _realtime),
}


def _texts(stream: Stream) -> Iterator[str]:
    for part in stream.message.parts:
        yield getattr(part, "text", None) or getattr(part, "transcript", None) or ""


@in_one_test("at", range(len(_PIECES)))
@in_one_test("ends", _ENDS)
@in_one_test("told", [True, False])
@pytest.mark.parametrize("kind", _KINDS)
def test_deltas_that_a_whole_text_has_had_before_are_not_added_again(
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


def _tool(kind: str, at: int, early: tuple[str, ...], lost: int) -> list[Payload]:
    """Return a Responses answer with a tool's input, which ends `at` a delta; the last may be `lost`."""
    word, field, more = _INPUTS[kind]
    whole: Payload = {field: _WHOLE}
    item = {"id": "item_0", "type": kind, "status": "completed", **whole, **more}
    ends = {"input": openai.event(f"{word}.done", **whole), "item": openai.done(item)}
    deltas = [openai.event(f"{word}.delta", delta=piece) for piece in _PIECES[: len(_PIECES) - lost]]
    return openai.numbered(
        openai.created(),
        openai.added({**item, field: ""}),
        *_mixed(deltas, ends, early, at),
        openai.ended(output=[item]),
    )


@in_one_test("at", range(len(_PIECES) + 1))
@in_one_test("ends", [("input",), ("item",), ("input", "item")])
@in_one_test("lost", [0, 1])
@pytest.mark.parametrize("kind", _INPUTS)
def test_the_input_of_a_tool_is_added_once_and_whole(
    kind: str, at: int, ends: tuple[str, ...], lost: int
) -> None:
    stream = Stream(_tool(kind, at, ends, lost), format="openai-responses")
    fragments = "".join(getattr(event, "fragment", "") for event in stream)
    [part] = stream.message.parts

    assert _WHOLE == getattr(part, "arguments_text", None)
    assert _WHOLE == fragments
    assert stream.message.complete


def test_an_mcp_call_of_realtime_is_whole_though_its_fragments_are_late_or_lost() -> None:
    """The events at the end of its item repeat its arguments."""
    word, place = "response.mcp_call_arguments", realtime.where()
    pieces = [realtime.event(f"{word}.delta", delta=piece, **place) for piece in _PIECES]
    told = realtime.event(f"{word}.done", arguments=_WHOLE, **place)
    head = realtime.created(), realtime.added("mcp_call", name="sing", arguments="")
    end = realtime.finished("mcp_call", name="sing", arguments=_WHOLE), realtime.done()
    for events in ([*pieces[:2], told, *pieces[2:]], [told, *pieces], [*pieces[:3], told], pieces[:3]):
        [part, *_] = Stream(_apart(*head, *events, *end), format="openai-realtime").final().parts

        assert _WHOLE == getattr(part, "arguments_text", None)
