"""What a script is on the wire of the AI SDK's UI messages and of AG-UI."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest

from tests.support.encoders import create
from tests.support.sent import ANSWER, bare, read, relayed
from tests.support.tables import in_one_test
from tokenstream import relay, testing
from tokenstream.errors import ProviderError, StreamError
from tokenstream.events import (
    Event,
    Finish,
    MediaDelta,
    MessageStart,
    PartDone,
    PartStart,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    UsageUpdate,
)
from tokenstream.message import FinishReason, MediaPart, ReasoningPart, Usage


def test_a_ui_message_has_a_start_and_an_end_for_every_part() -> None:
    """The sequence that the AI SDK sends for one step."""
    assert [
        {"type": "start", "messageId": "a1", "messageMetadata": {"model": "tide-1"}},
        {"type": "start-step"},
        {"type": "reasoning-start", "id": "reasoning-0"},
        {"type": "reasoning-delta", "id": "reasoning-0", "delta": "Hm"},
        {"type": "reasoning-delta", "id": "reasoning-0", "delta": "."},
        {"type": "reasoning-end", "id": "reasoning-0"},
        {"type": "text-start", "id": "txt-1"},
        {"type": "text-delta", "id": "txt-1", "delta": "Let me"},
        {"type": "text-delta", "id": "txt-1", "delta": " look."},
        {"type": "text-end", "id": "txt-1"},
        {"type": "tool-input-start", "toolCallId": "call_1", "toolName": "tide"},
        {"type": "tool-input-delta", "toolCallId": "call_1", "inputTextDelta": '{"port":'},
        {"type": "tool-input-delta", "toolCallId": "call_1", "inputTextDelta": '"Brest"}'},
        {
            "type": "tool-input-available",
            "toolCallId": "call_1",
            "toolName": "tide",
            "input": {"port": "Brest"},
        },
        {"type": "finish-step"},
        {
            "type": "finish",
            "finishReason": "tool-calls",
            "messageMetadata": {"usage": {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13}},
        },
        "[DONE]",
    ] == bare(ANSWER.chunks("ui-message"))


def test_a_ui_message_carries_sources_files_and_signatures() -> None:
    script = (
        testing.script()
        .reasoning("Hm", signature="c2ln")
        .text("See")
        .citation(url="https://example.org", title="Tides")
        .citation(url="https://example.org/2")
        .media(b"\x00\x01", "image/png")
        .finish()
    )
    chunks = {chunk["type"]: chunk for chunk in bare(script.chunks("ui-message"))[:-1]}
    message, _ = read(script.chunks("ui-message"), "ui-message")
    reasoning, _, first, second, media = message.parts

    assert {"anthropic": {"signature": "c2ln"}} == chunks["reasoning-end"]["providerMetadata"]
    assert {"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,AAE="} == chunks["file"]
    assert {"type": "source-url", "sourceId": "src-3", "url": "https://example.org/2"} == chunks["source-url"]
    assert isinstance(reasoning, ReasoningPart)
    assert "c2ln" == reasoning.signature
    assert [("https://example.org", "Tides"), ("https://example.org/2", None)] == [
        (cited.url, cited.title) for cited in message.citations
    ]
    assert ("citation", "citation") == (first.kind, second.kind)
    assert isinstance(media, MediaPart)
    assert (b"\x00\x01", "image/png") == (media.data, media.mime_type)


ADDRESS = "https://example.org/a.png"
PNG = PartStart(MediaPart(mime_type="image/png"))


def whole(**fields: Any) -> list[Event]:
    media = MediaPart(**fields)
    return [PartStart(media), PartDone(media)]


@pytest.mark.parametrize(
    ("events", "url"),
    [
        (whole(url=ADDRESS, mime_type="image/png"), ADDRESS),
        (whole(data=b"\x00", mime_type="image/png"), "data:image/png;base64,AA=="),
        (whole(data=b"\x00"), "data:application/octet-stream;base64,AA=="),
        ([MediaDelta(b"\x00"), MediaDelta(b"\x01"), PartDone()], "data:application/octet-stream;base64,AAE="),
        ([PartStart(MediaPart()), MediaDelta(b"\x00"), PNG, PartDone()], "data:image/png;base64,AA=="),
    ],
    ids=["an address", "whole", "without a type", "without a start", "its type comes late"],
)
def test_a_file_is_a_chunk_however_it_came(events: list[Event], url: str) -> None:
    assert url == bare(relayed("ui-message", *events))[-1]["url"]


def test_a_file_that_was_cut_is_not_sent() -> None:
    assert [] == relayed("ui-message", PNG, MediaDelta(b"\x00"))


def test_a_ui_message_tells_all_counts_that_the_ai_sdk_has() -> None:
    """Tokens that went into a cache stand where the AI SDK has put them since version 6."""
    usage = Usage(
        input_tokens=1,
        output_tokens=2,
        total_tokens=3,
        reasoning_tokens=4,
        cached_tokens=5,
        cache_write_tokens=6,
    )
    chunks = relayed("ui-message", UsageUpdate(usage), Finish("stop"))
    message, _ = read(chunks, "ui-message", "answer_empty")

    assert {
        "inputTokens": 1,
        "outputTokens": 2,
        "totalTokens": 3,
        "reasoningTokens": 4,
        "cachedInputTokens": 5,
        "inputTokenDetails": {"cacheWriteTokens": 6},
    } == bare(chunks)[-2]["messageMetadata"]["usage"]
    assert (5, 6) == (message.usage.cached_tokens, message.usage.cache_write_tokens)


@pytest.mark.parametrize(
    ("counts", "told"), [({}, []), ({"input_tokens": 1}, [{"usage": {"inputTokens": 1}}])]
)
def test_a_cancelled_ui_message_is_aborted(counts: dict[str, int], told: list[Any]) -> None:
    chunks = testing.script().text("Hi").usage(**counts).finish("cancelled").chunks("ui-message")
    message, _ = read(chunks, "ui-message")
    metadata = [{"type": "message-metadata", "messageMetadata": each} for each in told]

    assert [{"type": "text-end", "id": "txt-0"}, *metadata, {"type": "abort"}, "[DONE]"] == bare(chunks)[4:]
    assert "cancelled" == message.finish_reason


def test_a_run_has_a_start_and_an_end_for_every_message() -> None:
    """The sequence of AG-UI 1.0: reasoning stands in a span, and usage is the run's."""
    assert [
        {"type": "RUN_STARTED", "threadId": "thread-1", "runId": "a1", "protocolVersion": "1.0"},
        {"type": "REASONING_START", "messageId": "reasoning-0"},
        {"type": "REASONING_MESSAGE_START", "messageId": "reasoning-0", "role": "reasoning"},
        {"type": "REASONING_MESSAGE_CONTENT", "messageId": "reasoning-0", "delta": "Hm"},
        {"type": "REASONING_MESSAGE_CONTENT", "messageId": "reasoning-0", "delta": "."},
        {"type": "REASONING_MESSAGE_END", "messageId": "reasoning-0"},
        {"type": "REASONING_END", "messageId": "reasoning-0"},
        {"type": "TEXT_MESSAGE_START", "messageId": "msg-1", "role": "assistant"},
        {"type": "TEXT_MESSAGE_CONTENT", "messageId": "msg-1", "delta": "Let me"},
        {"type": "TEXT_MESSAGE_CONTENT", "messageId": "msg-1", "delta": " look."},
        {"type": "TEXT_MESSAGE_END", "messageId": "msg-1"},
        {"type": "TOOL_CALL_START", "toolCallId": "call_1", "toolCallName": "tide"},
        {"type": "TOOL_CALL_ARGS", "toolCallId": "call_1", "delta": '{"port":'},
        {"type": "TOOL_CALL_ARGS", "toolCallId": "call_1", "delta": '"Brest"}'},
        {"type": "TOOL_CALL_END", "toolCallId": "call_1"},
        {
            "type": "RUN_FINISHED",
            "threadId": "thread-1",
            "runId": "a1",
            "outcome": {"type": "success"},
            "usage": [{"model": "tide-1", "inputTokens": 9, "outputTokens": 4, "totalTokens": 13}],
            "metadata": {"tokenstream": {"finishReason": "tool_calls"}},
        },
    ] == bare(ANSWER.chunks("ag-ui"))


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("pause", {"type": "interrupt", "interrupts": [{"id": "interrupt-1", "reason": "pause"}]}),
        ("cancelled", {"type": "cancelled"}),
    ],
)
def test_the_outcome_of_a_run_is_its_finish_reason(reason: Any, outcome: dict[str, Any]) -> None:
    """An interrupted run says what it waits for; counts that nobody told are not there."""
    script = testing.script().text("Hi").finish(reason)

    assert outcome == bare(script.chunks("ag-ui"))[-1]["outcome"]
    assert "usage" not in bare(script.chunks("ag-ui"))[-1]
    assert reason == read(script.chunks("ag-ui"), "ag-ui")[0].finish_reason


@pytest.mark.parametrize(
    "reason", ["length", "content_filter", "refusal", "stop_sequence", "error", "unknown"]
)
def test_a_reason_without_an_outcome_is_in_the_metadata(reason: Any) -> None:
    """Clients fail at an outcome that they do not know; the application finds the reason beside it."""
    chunks = testing.script().text("Hi").finish(reason).chunks("ag-ui")
    last = bare(chunks)[-1]

    assert ({"type": "success"}, {"tokenstream": {"finishReason": reason}}) == (
        last["outcome"],
        last["metadata"],
    )
    assert reason == read(chunks, "ag-ui")[0].finish_reason


def test_counts_that_ag_ui_has_no_field_for_are_in_the_metadata() -> None:
    usage = Usage(output_tokens=4, input_audio_tokens=3, cost=0.25)
    chunks = relayed("ag-ui", TextDelta("Hi"), UsageUpdate(usage), Finish("stop"))
    last, found = bare(chunks)[-1], read(chunks, "ag-ui")[0].usage

    assert [{"outputTokens": 4}] == last["usage"]
    assert {"tokenstream": {"usage": {"input_audio_tokens": 3, "cost": 0.25}}} == last["metadata"]
    assert (4, 3, 0.25) == (found.output_tokens, found.input_audio_tokens, found.cost)


def test_a_run_that_fails_tells_its_token_counts() -> None:
    encoder = create("ag-ui")
    events = (MessageStart(model="m"), TextDelta("Hi"), UsageUpdate(Usage(output_tokens=4, cost=0.25)))
    chunks = [chunk for event in events for chunk in encoder.feed(event)]
    chunks += encoder.failure("overloaded", "Busy")
    message, error = read(chunks, "ag-ui")

    assert [{"model": "m", "outputTokens": 4}] == bare(chunks)[-1]["usage"]
    assert (4, 0.25) == (message.usage.output_tokens, message.usage.cost)
    assert "Busy" in str(error)


def test_a_run_ends_its_cut_calls_before_it_ends() -> None:
    """AG-UI forbids to end a run with a call open; nobody can run one whose arguments are no JSON."""
    script = testing.script().tool_call("rm", '{"path": "/tm').finish()
    message, _ = read(script.chunks("ag-ui"), "ag-ui", "call_invalid")

    assert ["TOOL_CALL_END", "RUN_FINISHED"] == [event["type"] for event in bare(script.chunks("ag-ui"))[-2:]]
    assert [("rm", False)] == [(call.name, call.complete) for call in message.tool_calls]


def test_a_run_never_ends_a_call_that_was_not_handed_out() -> None:
    """Arguments that happen to be JSON where a call was cut are not said to be whole."""
    chunks = relayed(
        "ag-ui", ToolCallStart("c", "rm"), ToolCallDelta("c", '{"path": "/tmp"}'), Finish("tool_calls")
    )

    assert "TOOL_CALL_END" not in [event["type"] for event in bare(chunks)]


def test_nothing_follows_the_error_of_a_run() -> None:
    """AG-UI forbids it: what the script still says at its end is not sent."""
    script = testing.script().text("Hi").error("Busy").finish("stop")

    assert {"type": "RUN_ERROR", "message": "Busy", "code": "overloaded"} == bare(script.chunks("ag-ui"))[-2]
    assert "TEXT_MESSAGE_END" == bare(script.chunks("ag-ui"))[-1]["type"]


@in_one_test("reason", get_args(FinishReason))
def test_the_error_of_a_run_tells_its_finish_reason(reason: FinishReason) -> None:
    """A reason that has arrived before the failure is in the metadata, and our reader has it."""

    def events() -> Iterator[Event]:
        yield from (TextDelta("Hi"), Finish(reason))
        raise StreamError("broken")

    *_, last = relay.payloads(events(), "ag-ui")
    message, error = read([b"".join(relay.encode(events(), "ag-ui"))], "ag-ui", "part_unclosed")

    assert "RUN_ERROR" == last["type"]
    assert (reason, True) == (message.finish_reason, error is not None)


@pytest.mark.parametrize("format", ["ui-message", "ag-ui"])
def test_an_error_before_all_else_has_a_head(format: str) -> None:
    """The documents say what comes first."""
    _, error = read(testing.script().error("Busy").chunks(format), format)

    assert isinstance(error, ProviderError)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("format", ["ui-message", "ag-ui"])
def test_encrypted_reasoning_is_carried(format: str, late: bool) -> None:
    """The provider wants it back in the next request; it may be told after the reasoning has ended."""
    redacted = ReasoningPart(redacted="ZW5j")
    before: list[Event] = [ReasoningDelta("Hm"), PartDone()] if late else []
    chunks = relayed(format, *before, PartStart(redacted), PartDone(redacted), Finish("stop"))
    # Nobody can read it: alone, it is no answer.
    message, _ = read(chunks, format, *([] if late else ["answer_empty"]))

    assert [*([None] if late else []), "ZW5j"] == [
        part.redacted for part in message.parts if isinstance(part, ReasoningPart)
    ]


def test_a_signature_in_pieces_is_one_proof() -> None:
    """The AI SDK keeps the last metadata of a part: they have to hold all of it."""
    whole = ReasoningPart(text="Hm", signature="c2ln", complete=True)
    events = [ReasoningDelta("Hm"), ReasoningDelta("", "c2"), ReasoningDelta("", "ln")]
    told = [
        bare(relayed("ui-message", *events, done, Finish("stop")))[4]
        for done in (PartDone(), PartDone(whole))
    ]

    assert [{"anthropic": {"signature": "c2ln"}}] * 2 == [end["providerMetadata"] for end in told]
