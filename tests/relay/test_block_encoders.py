"""Answers made of blocks: what their encoders have in common, and that they take any format's events."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.sent import decoded, payloads_of, relayed
from tests.support.tables import in_one_test
from tokenstream.events import (
    CitationAdded,
    Event,
    Finish,
    MessageStart,
    PartDone,
    PartStart,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    UsageUpdate,
)
from tokenstream.message import Citation, ReasoningPart, TextPart, ToolCall, Usage

FORMATS = ("anthropic", "bedrock-converse", "bedrock-invoke", "cohere")
CALL: list[Event] = [ToolCallStart("c1", "rm", part=0), ToolCallDelta("c1", '{"path": "/tmp"}', part=0)]
DONE = ToolCallDone(ToolCall(id="c1", name="rm", arguments_text='{"path": "/tmp"}', complete=True), part=0)


@pytest.mark.parametrize("format", FORMATS)
def test_text_that_goes_on_has_a_new_block(format: str) -> None:
    """Blocks stand one after the other, though a format's parts may be written in turns."""
    events: list[Event] = [
        TextDelta("Hel", part=0),
        ToolCallStart("c1", "rm", part=1),
        ToolCallDelta("c1", "{}", part=1),
        ToolCallDone(ToolCall(id="c1", name="rm", arguments_text="{}", complete=True), part=1),
        TextDelta("lo", part=0),
        Finish("stop"),
    ]
    again = decoded(relayed(format, *events), format)
    assert (["text", "tool_call", "text"], "Hello", {}) == (
        [part.kind for part in again.message.parts],
        again.message.text,
        again.departures.details,
    )


@pytest.mark.parametrize("format", FORMATS)
def test_calls_that_are_written_in_turns_are_whole(format: str) -> None:
    """A call's block is open until the call is done."""
    done = [
        ToolCallDone(
            ToolCall(id=f"c{part}", name="f", arguments_text=f'{{"x": {part}}}', complete=True), part=part
        )
        for part in (0, 1)
    ]
    events: list[Event] = [
        ToolCallStart("c0", "f", part=0),
        ToolCallDelta("c0", '{"x":', part=0),
        ToolCallStart("c1", "f", part=1),
        ToolCallDelta("c1", '{"x":', part=1),
        ToolCallDelta("c0", " 0}", part=0),
        ToolCallDelta("c1", " 1}", part=1),
        *done,
        Finish("tool_calls"),
    ]
    again = decoded(relayed(format, *events), format).message
    assert [("c0", {"x": 0}, True), ("c1", {"x": 1}, True)] == [
        (call.id, call.arguments, call.complete) for call in again.tool_calls
    ]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "done, reason, complete", [([], "length", False), ([], "stop", True), ([DONE], "length", True)]
)
def test_a_call_that_was_cut_is_not_ended(
    format: str, done: list[Event], reason: Any, complete: bool
) -> None:
    """At the token limit a call that nobody called whole is none, however whole its arguments look."""
    again = decoded(relayed(format, *CALL, *done, Finish(reason)), format).message
    assert [complete] == [call.complete for call in again.tool_calls]
    assert reason == again.finish_reason or not done


def test_what_is_known_of_the_request_first_is_in_the_start() -> None:
    """Readers of Anthropic's look for input tokens there."""
    counts = UsageUpdate(Usage(input_tokens=9, cached_tokens=5))
    events: list[Event] = [MessageStart(), counts, PartStart(TextPart(), part=0)]
    start = payloads_of(relayed("anthropic", *events))[0][1]
    assert {"input_tokens": 9, "cache_read_input_tokens": 5, "output_tokens": 0} == start["message"]["usage"]


@pytest.mark.parametrize("format", FORMATS)
def test_a_source_may_be_before_its_text(format: str) -> None:
    events: list[Event] = [
        PartStart(TextPart(), part=0),
        CitationAdded(Citation(title="Laws", cites=0), part=1),
        TextDelta("§ 1", part=0),
        PartDone(part=0),
        Finish("stop"),
    ]
    again = decoded(relayed(format, *events), format)
    said = [part for part in again.message.parts if part.kind == "text"]
    assert (["§ 1"], "Laws") == ([part.text for part in said], again.message.citations[0].title)
    assert {} == again.departures.details


@in_one_test("format", ["anthropic", "bedrock-converse", "bedrock-invoke", "gemini", "ui-message"])
@in_one_test("comes", ["in a start", "in a start and a delta", "with the end"])
def test_a_signature_is_sent_once_wherever_it_comes(format: str, comes: str) -> None:
    signed = ReasoningPart(text="Hm", signature="c2ln")
    delta = [ReasoningDelta("", "c2ln")] if "delta" in comes else []
    start = [PartStart(ReasoningPart(signature="c2ln"))] if "start" in comes else []
    events: list[Event] = [PartStart(ReasoningPart()), ReasoningDelta("Hm"), *delta, *start, PartDone(signed)]
    again = decoded(relayed(format, *events, Finish("stop")), format).message

    assert "Hm" == again.reasoning
    assert ["c2ln"] == [
        part.signature for part in again.parts if isinstance(part, ReasoningPart) and part.signature
    ]


def test_a_start_that_nothing_is_known_of_says_nothing() -> None:
    """A source is named by an event of its own."""
    assert [] == relayed("cohere", PartStart(Citation(), part=0))
