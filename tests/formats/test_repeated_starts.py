"""Starts of texts and reasoning that a gateway sends twice, in the formats that have such starts."""

from __future__ import annotations

from typing import Any

from tests.formats.ag_ui.support import END, START
from tests.formats.anthropic.payloads import answer, block, delta, stop
from tests.formats.cohere import payloads as v2
from tests.formats.gemini_interactions import support as steps
from tests.support.tables import in_one_test
from tests.support.wire import sses
from tokenstream import Message, Stream

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
