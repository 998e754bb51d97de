"""Events that come twice, one right after the other, and starts that a gateway sends twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.formats.ag_ui.support import END, START
from tests.formats.anthropic.payloads import answer, block, delta, stop
from tests.formats.calls import payloads_in
from tests.formats.cohere import payloads as v2
from tests.formats.gemini_interactions import support as steps
from tests.support.recordings import Recorded, frames_of, ours
from tests.support.tables import in_one_test
from tests.support.wire import sse, sses
from tokenstream import Message, Stream, testing
from tokenstream.formats._detect.payloads import payload_of

_IDS = {"openai-live": "event_id", "openai-realtime": "event_id", "transcription": "event_id", "tgi": "index"}
"""The field with the id of an event, in the formats of this module."""


def _payloads(recorded: Recorded) -> list[dict[str, Any]]:
    payloads = map(payload_of, frames_of(recorded.body))
    return [json.loads(payload) for payload in payloads if isinstance(payload, bytes)]


_ANSWERS = [
    (recorded.format, payloads)
    for recorded in ours()
    if recorded.format in _IDS
    for payloads in [_payloads(recorded)]
    if all(_IDS[recorded.format] in payload for payload in payloads)
]


def _messages(payloads: list[dict[str, Any]]) -> list[Any]:
    """Return the payloads as they come over the wire, of which most are read without being decoded."""
    return [sse(each, event=each["type"] if "sequence_number" in each else "") for each in payloads]


def _decoded(payloads: list[dict[str, Any]]) -> list[Any]:
    """Return the payloads as an SDK hands them out."""
    return [*payloads]


def test_there_are_answers_of_each_format() -> None:
    assert set(_IDS) == {format for format, _ in _ANSWERS}


@in_one_test("format, payloads", _ANSWERS, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("source", [_messages, _decoded])
def test_an_event_with_the_id_and_content_of_the_one_before_it_is_dropped(
    format: Any, payloads: list[dict[str, Any]], source: Any
) -> None:
    once = Stream(source(payloads), format=format).final()
    for place in range(1, len(payloads) - 1):
        stream = Stream(source(payloads[: place + 1] + payloads[place:]), format=format)

        assert once.parts == stream.final().parts
        assert 1 == stream.departures.details["frame_repeated"]


def _scripted(format: Any) -> list[dict[str, Any]]:
    """Return an answer with many equal pieces, whose events have ids or numbers."""
    script = testing.script()
    script = script.reasoning("Hm ", "hm ", "hm ", "hm.") if format == "openai-responses" else script
    script = script.text(*["la "] * 9, "la!").tool_call("sing", {"song": "la la la la la la", "times": 3})
    chunks = script.usage(input_tokens=5, output_tokens=7).finish("tool_calls").chunks(format)
    ids = [{"event_id": f"event_{at}"} if format == "openai-realtime" else {} for at in range(len(chunks))]
    return [payload | more for payload, more in zip(payloads_in(chunks), ids, strict=True)]


NUMBERED, SPOKEN = map(_scripted, ("openai-responses", "openai-realtime"))
each_format = in_one_test(
    "format, payloads, field",
    [("openai-responses", NUMBERED, "sequence_number"), ("openai-realtime", SPOKEN, "event_id")],
    ids=lambda value: value if isinstance(value, str) else "",
)


def _whole(payloads: list[dict[str, Any]]) -> list[Any]:
    return [b"".join(_messages(payloads))]


@in_one_test("at", range(len(NUMBERED) - 1))
@pytest.mark.parametrize("source", [_messages, _whole, _decoded])
def test_a_numbered_event_that_comes_twice_in_a_row_is_dropped(at: int, source: Any) -> None:
    """A number tells an event from an equal piece that is meant, of which the answer has many."""
    once = Stream(NUMBERED, format="openai-responses").final()
    with Stream(source(NUMBERED[: at + 1] + NUMBERED[at:]), format="openai-responses") as stream:
        calls = [call.arguments_text for call in stream.tool_calls]

    assert (once.parts, once.usage) == (stream.message.parts, stream.message.usage)
    assert [once.tool_calls[0].arguments_text] == calls
    assert {"frame_repeated": 1} == stream.departures.details


@each_format
@pytest.mark.parametrize("source", [_messages, _whole, _decoded])
def test_an_answer_whose_events_all_come_twice_is_the_same_answer(
    format: Any, payloads: list[dict[str, Any]], field: str, source: Any
) -> None:
    """However many events come again, the first one of Realtime is not known by its id yet."""
    twice = [payload for payload in payloads[:-1] for _ in range(2)] + payloads[-1:]
    stream = Stream(source(twice), format=format)

    assert Stream(payloads, format=format).final().parts == stream.final().parts
    known = len(payloads) - (1 if field == "sequence_number" else 2)
    assert {"frame_repeated": known} == stream.departures.details


@each_format
@in_one_test("shared", [0, "event_1", None])
@pytest.mark.parametrize("source", [_messages, _whole, _decoded])
def test_ids_that_all_events_share_identify_none(
    format: Any, payloads: list[dict[str, Any]], field: str, shared: object, source: Any
) -> None:
    """Some servers send no ids, or the same one each time: equal pieces are then several pieces."""
    stream = Stream(source([{**payload, field: shared} for payload in payloads]), format=format)

    assert Stream(payloads, format=format).final().parts == stream.final().parts
    assert not stream.departures


@pytest.mark.parametrize("source", [_messages, _decoded])
@pytest.mark.parametrize("index", [0, 1, 7])
def test_indexes_that_all_tokens_share_identify_none(source: Any, index: int) -> None:
    """Some servers number no token, or all alike: equal tokens are then several ones, also the first ones."""
    token = {"id": 1, "text": "la", "logprob": None, "special": False}
    tokens = [{"index": index, "token": token} for _ in range(5)]
    end = {**tokens[-1], "details": {"finish_reason": "eos_token"}}

    assert "la" * 6 == Stream(source([*tokens, end]), format="tgi").final().text


def _other() -> list[dict[str, Any]]:
    """Return the answer of Realtime as another response, with ids of its own."""
    renamed = json.dumps(SPOKEN)
    for name in ("resp_", "item_", "msg_", "call_", "event_"):
        renamed = renamed.replace(f'"{name}', f'"{name}other_')
    payloads: list[dict[str, Any]] = json.loads(renamed)
    return payloads


@in_one_test("at", range(2, len(SPOKEN)))
def test_an_event_of_a_response_that_has_ended_is_not_of_the_next(at: int) -> None:
    """An event may come late, or once more: at the end of its response, or in the middle of the next."""
    other = _other()
    for place in (0, len(other) // 2, len(other)):
        payloads = [*SPOKEN, *other[:place], SPOKEN[at], *other[place:]]
        alone = Stream([*SPOKEN, *other], format="openai-realtime").final()
        message = Stream(payloads, format="openai-realtime").final()

        assert alone.parts == message.parts
        assert alone.finish_reason == message.finish_reason


Payload = dict[str, Any]


def anthropic(type: str, field: str) -> list[Payload]:  # noqa: A002 - the field's name
    begun, piece = block(0, type, **{field: ""}), delta(0, f"{field}_delta", **{field: "Hi"})
    return answer(begun, piece, stop(0))


def cohere(type: str) -> list[Payload]:  # noqa: A002 - the field's name
    return v2.answer(v2.block(0, type), v2.text(0, "Hi", type), v2.stop(0))


def interactions(name: str, start: Payload, delta: Payload) -> list[Payload]:
    begun = steps.event(f"{name}.start", index=0, **{name: start})
    ended = steps.event(f"{name}.stop", index=0)
    told = steps.created(), begun, steps.event(f"{name}.delta", index=0, delta=delta), ended
    return [payload for _, payload in [*told, steps.completed()]]


def ui_message(kind: str) -> list[Payload]:
    return [
        {"type": "start", "messageId": "1"},
        {"type": f"{kind}-start", "id": "0"},
        {"type": f"{kind}-delta", "id": "0", "delta": "Hi"},
        {"type": f"{kind}-end", "id": "0"},
        {"type": "finish", "finishReason": "stop"},
    ]


def ag_ui(kind: str, **id: str) -> list[Payload]:
    return [
        START,
        {"type": f"{kind}_MESSAGE_START", **id},
        {"type": f"{kind}_MESSAGE_CONTENT", **id, "delta": "Hi"},
        {"type": f"{kind}_MESSAGE_END", **id},
        END,
    ]


THOUGHT = {"type": "thought_summary", "content": {"type": "text", "text": "Hi"}}
TEXT = {"type": "text", "text": "Hi"}


@in_one_test(
    "payloads",
    [
        anthropic("text", "text"),
        anthropic("thinking", "thinking"),
        cohere("text"),
        cohere("thinking"),
        interactions("step", {"type": "model_output"}, TEXT),
        interactions("step", {"type": "thought"}, THOUGHT),
        interactions("content", {"type": "text"}, TEXT),
        ui_message("text"),
        ui_message("reasoning"),
        ag_ui("TEXT", messageId="m"),
        ag_ui("REASONING", messageId="m"),
        ag_ui("THINKING_TEXT"),
        ag_ui("TEXT", messageId="m", subagentRunId="s"),
    ],
)
def test_a_start_that_comes_again_begins_another_part(payloads: list[Payload]) -> None:
    once = _read(payloads)
    start = payloads[1]
    twice = _read([payloads[0], start, *payloads[1:]])

    assert (once.message.text, once.message.reasoning) == (twice.message.text, twice.message.reasoning)
    assert "part_unclosed" in twice.departures.details


@in_one_test(
    "payloads", [anthropic("text", "text"), cohere("text"), ui_message("text"), ag_ui("TEXT", messageId="m")]
)
def test_a_start_after_text_begins_a_part(payloads: list[Payload]) -> None:
    """Servers may use an index or an id again for the text behind a tool: it is a part of its own."""
    start, delta = payloads[1:3]

    message = _message([payloads[0], start, delta, *payloads[1:]])
    assert ("HiHi", 2) == (message.text, len(message.parts))


def test_a_whole_answer_after_an_empty_part_is_the_answer() -> None:
    """A proxy begins a stream by itself, and then sends the answer of a server that does not stream."""
    whole = {"type": "message", "content": [TEXT], "stop_reason": "end_turn"}
    assert "Hi" == _message([*anthropic("text", "text")[:2], whole]).text

    told = {"id": "1", "message": {"role": "assistant", "content": [TEXT]}, "finish_reason": "COMPLETE"}
    assert "Hi" == _message([*cohere("text")[:2], told]).text


def _read(payloads: list[Payload]) -> Stream:
    stream = Stream(sses(*payloads))
    stream.final()
    return stream


def _message(payloads: list[Payload]) -> Message:
    return _read(payloads).message
