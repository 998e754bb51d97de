"""Bedrock's InvokeModelWithResponseStream: each model's own stream, read by the format that it is in."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.formats.bedrock_payloads import read as read_frames
from tests.formats.told import Told
from tokenstream import Limits
from tokenstream.errors import LimitExceeded, ProtocolError, ProviderError, StreamTruncated
from tokenstream.events import TextDelta, Unknown, UsageUpdate
from tokenstream.formats._wire.bedrock_invoke import BedrockInvoke
from tokenstream.formats._wire.bedrock_invoke.plain import PlainModel
from tokenstream.framing import EventStreamMessage
from tokenstream.message import ReasoningPart, TextPart, ToolCall

COUNTS = {"inputTokenCount": 7, "outputTokenCount": 3, "invocationLatency": 9, "firstByteLatency": 4}
METRICS = {"amazon-bedrock-invocationMetrics": COUNTS}


def chunk(payload: Mapping[str, Any] | bytes, **outer: Any) -> EventStreamMessage:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    fields = {"bytes": base64.b64encode(data).decode(), "p": "abc", **outer}
    return EventStreamMessage(json.dumps(fields, separators=(",", ":")).encode(), "chunk")


def read(*payloads: Mapping[str, Any], limits: Limits | None = None, end: bool = True) -> Told:
    return read_frames(BedrockInvoke(limits=limits), [chunk(payload) for payload in payloads], end=end)


def counts(came: Told) -> tuple[int | None, int | None]:
    usage = came.message.usage
    return (None, None) if usage is None else (usage.input_tokens, usage.output_tokens)


ANTHROPIC: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {"id": "msg_1", "model": "claude", "role": "assistant", "usage": {"input_tokens": 7}},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hel"}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "lo"}},
    {"type": "content_block_stop", "index": 1},
    {
        "type": "content_block_start",
        "index": 2,
        "content_block": {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}},
    },
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
    {"type": "content_block_stop", "index": 2},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}},
    {"type": "message_stop", **METRICS},
]


def test_claude_speaks_the_format_of_anthropic() -> None:
    """Identity, reasoning with its signature, text and calls; its own token counts go before Bedrock's."""
    came = read(*ANTHROPIC)

    assert (
        ReasoningPart(text="Hm", signature="c2ln", complete=True),
        TextPart(text="Hello", complete=True),
        ToolCall(id="toolu_1", name="now", arguments_text="{}", complete=True),
    ) == came.message.parts
    assert ("msg_1", "claude", "tool_use") == (
        came.message.id,
        came.message.model,
        came.message.raw_finish_reason,
    )
    assert (7, 5) == counts(came)
    assert METRICS == came.message.provider_data
    assert ["toolu_1"] == [call.id for call in came.calls]
    assert came.format.ended
    assert {} == came.departures


def test_nova_speaks_the_format_of_converse() -> None:
    """With guardrail keys beside its events, and the text that the guardrail left."""
    trace = {"guardrail": {"modelOutput": ["x"]}}
    came = read(
        {"messageStart": {"role": "assistant"}},
        {
            "contentBlockDelta": {"delta": {"text": "Hel"}, "contentBlockIndex": 0},
            "amazon-bedrock-guardrailAction": "INTERVENED",
        },
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"contentBlockDelta": {"delta": {"text": "lo"}, "contentBlockIndex": 1}},
        {"contentBlockStop": {"contentBlockIndex": 1}},
        {"messageStop": {"stopReason": "end_turn"}},
        {
            "metadata": {"usage": {"inputTokens": 8, "outputTokens": 4}, "metrics": {}, "trace": {}},
            **METRICS,
            "amazon-bedrock-guardrailAction": "INTERVENED",
            "amazon-bedrock-trace": trace,
        },
    )

    assert ("Hello", "stop", "complete") == (
        came.message.text,
        came.message.finish_reason,
        came.message.ending,
    )
    assert (8, 4) == counts(came)
    assert {
        "amazon-bedrock-guardrailAction": "INTERVENED",
        "amazon-bedrock-trace": trace,
        **METRICS,
    } == came.message.provider_data
    assert {} == came.departures


def test_the_raw_payload_of_an_event_is_the_models_with_bedrocks_fields() -> None:
    """It is what stood in the chunk."""
    payload = {"generation": "a", "amazon-bedrock-guardrailAction": "NONE"}
    came = read(payload, end=False)

    assert [payload] * len(came.events) == [event.raw for event in came.events]


@pytest.mark.parametrize("field", ["delta", "message"])
def test_chat_models_speak_the_format_of_openai(field: str) -> None:
    """Mistral's have names of their own for the same fields; no `[DONE]` is missed."""
    end = {"stop_reason": "stop"} if field == "message" else {"finish_reason": "stop"}
    came = read(
        {"choices": [{"index": 0, field: {"role": "assistant", "content": "Hel"}}]},
        {"choices": [{"index": 0, field: {"content": "lo"}, **end}]},
        {"choices": [], **METRICS},
    )

    assert ("Hello", "stop", "complete") == (
        came.message.text,
        came.message.raw_finish_reason,
        came.message.ending,
    )
    assert (7, 3) == counts(came)
    assert {} == came.departures


def test_a_whole_answer_of_openais_is_none_of_mistrals_pieces() -> None:
    """It says what it is."""
    came = read(
        {
            "object": "chat.completion",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
            ],
        }
    )

    assert ("Hi", "complete") == (came.message.text, came.message.ending)


def test_coheres_chat_models_speak_their_own_format() -> None:
    """Its events have a type; the end comes with the whole answer once more."""
    came = read(
        {"is_finished": False, "event_type": "text-generation", "text": "Hel"},
        {"is_finished": False, "event_type": "text-generation", "text": "lo"},
        {
            "is_finished": True,
            "event_type": "stream-end",
            "finish_reason": "COMPLETE",
            "response": {"response_id": "r1", "text": "Hello"},
            **METRICS,
        },
    )

    assert ("Hello", "stop", "complete") == (
        came.message.text,
        came.message.finish_reason,
        came.message.ending,
    )
    assert (7, 3) == counts(came)


@pytest.mark.parametrize(
    "payloads, text, reason, raw, tokens",
    [
        (
            [
                {
                    "generation": "\nHel",
                    "prompt_token_count": 6,
                    "generation_token_count": 1,
                    "stop_reason": None,
                },
                {
                    "generation": "lo ",
                    "prompt_token_count": None,
                    "generation_token_count": 2,
                    "stop_reason": None,
                },
                {
                    "generation": "",
                    "prompt_token_count": None,
                    "generation_token_count": 2,
                    "stop_reason": "length",
                },
            ],
            "\nHello ",
            "length",
            "length",
            (6, 2),
        ),
        (
            [
                {"outputText": "Hel", "index": 0.0, "inputTextTokenCount": 6.0},
                {
                    "outputText": "lo",
                    "index": 0.0,
                    "totalOutputTextTokenCount": 2.0,
                    "completionReason": "FINISH",
                },
            ],
            "Hello",
            "stop",
            "FINISH",
            (6, 2),
        ),
        (
            [
                {"type": "completion", "completion": " Hel"},
                {"completion": "lo", "stop_reason": "stop_sequence"},
            ],
            " Hello",
            "stop_sequence",
            "stop_sequence",
            (None, None),
        ),
        (
            [
                {"outputs": [{"text": "Hel", "stop_reason": None}]},
                {"outputs": [{"text": "lo", "stop_reason": "stop"}]},
            ],
            "Hello",
            "stop",
            "stop",
            (None, None),
        ),
        (
            [{"text": "Hello", "is_finished": False}, {"is_finished": True, "finish_reason": "MAX_TOKENS"}],
            "Hello",
            "length",
            "MAX_TOKENS",
            (None, None),
        ),
        (
            [
                {
                    "is_finished": True,
                    "finish_reason": "COMPLETE",
                    "response": {"generations": [{"text": "Hello"}]},
                }
            ],
            "Hello",
            "stop",
            "COMPLETE",
            (None, None),
        ),
        (
            [{"prompt": "a", "generations": [{"id": "g", "text": "Hello", "finish_reason": "ERROR_TOXIC"}]}],
            "Hello",
            "content_filter",
            "ERROR_TOXIC",
            (None, None),
        ),
        (
            [
                {
                    "id": 1,
                    "completions": [{"data": {"text": "Hello"}, "finishReason": {"reason": "endoftext"}}],
                }
            ],
            "Hello",
            "stop",
            "endoftext",
            (None, None),
        ),
        (
            [
                {"choices": [{"text": "Hel", "stop_reason": None}]},
                {
                    "choices": [{"text": "lo", "finish_reason": "length"}],
                    "usage": {"prompt_tokens": 6, "completion_tokens": 2},
                },
            ],
            "Hello",
            "length",
            "length",
            (6, 2),
        ),
        (
            [{"message": "Hel"}, {"message": "lo", "finishReason": "strange"}],
            "Hello",
            "unknown",
            "strange",
            (None, None),
        ),
    ],
    ids=[
        "Llama",
        "Titan",
        "old Claude",
        "Mistral",
        "Cohere",
        "Cohere at once",
        "Cohere whole",
        "Jurassic",
        "DeepSeek",
        "Pegasus",
    ],
)
@pytest.mark.parametrize("counted", [False, True], ids=["without metrics", "with metrics"])
def test_models_with_plain_payloads_are_read_by_a_table(
    payloads: list[dict[str, Any]],
    text: str,
    reason: str,
    raw: str,
    tokens: tuple[int | None, int | None],
    counted: bool,
) -> None:
    """Text is never stripped; Bedrock's own counts stand in where the model has none."""
    if counted:
        payloads = [*payloads[:-1], payloads[-1] | METRICS]
        tokens = tokens if tokens[0] is not None else (7, 3)
    came = read(*payloads)

    assert (text, reason, raw, "complete") == (
        came.message.text,
        came.message.finish_reason,
        came.message.raw_finish_reason,
        came.message.ending,
    )
    assert tokens == counts(came)
    assert {} == came.departures


def test_counts_that_grow_are_told_once() -> None:
    """With the finish reason, or where the answer breaks off; each chunk has its own."""
    deltas = [{"generation": "a", "prompt_token_count": 6, "generation_token_count": n} for n in range(1, 4)]
    whole = read(*deltas, {"generation": "", "stop_reason": "stop"})
    cut = read(*deltas)

    assert 1 == len([event for event in whole.events if isinstance(event, UsageUpdate)])
    assert isinstance(cut.error, StreamTruncated)
    assert (6, 3) == counts(cut)


def test_two_generations_are_two_choices() -> None:
    """An end without an index is that of both."""
    came = read(
        {"index": 0, "is_finished": False, "text": " In"},
        {"index": 1, "is_finished": False, "text": " A"},
        {"index": 0, "is_finished": False, "text": " a"},
        {"finish_reason": "MAX_TOKENS", "is_finished": True, **METRICS},
    )

    assert [(0, " In a", "length"), (1, " A", "length")] == [
        (message.choice, message.text, message.finish_reason) for message in came.accumulator.messages
    ]


def test_items_are_choices_by_their_place_where_they_have_no_index() -> None:
    """And each has its own end."""
    came = read(
        {"outputs": [{"text": "a", "stop_reason": "stop"}, {"text": "b", "stop_reason": "length", "n": 1}]}
    )

    assert [(0, "a", "stop", {}), (1, "b", "length", {"n": 1})] == [
        (each.choice, each.text, each.finish_reason, each.provider_data) for each in came.accumulator.messages
    ]


def test_fields_without_a_word_are_kept() -> None:
    """Of the payload and of the chunk; padding says nothing."""
    frames = [
        chunk({"completion": "a", "stop_reason": "stop_sequence", "stop": "\n\nHuman:"}, region="x"),
        chunk({"outputs": [{"text": "b"}], "took": 3}),
    ]
    came = read_frames(BedrockInvoke(), frames)

    assert {"stop": "\n\nHuman:", "region": "x", "took": 3} == came.message.provider_data


@pytest.mark.parametrize("last", [METRICS, {"amazon-bedrock-trace": {"guardrail": {}}}])
def test_an_answer_that_a_guardrail_blocked_has_an_end_without_a_reason(last: dict[str, Any]) -> None:
    """Bedrock's counts or its guardrail's trace are its last word; no reason is made up."""
    blocked = {"outputText": "Input blocked", "index": 0, "amazon-bedrock-guardrailAction": "INTERVENED"}
    for payloads in ([blocked | last], [blocked, last]):
        came = read(*payloads)

        assert ("Input blocked", "complete", None) == (
            came.message.text,
            came.message.ending,
            came.message.finish_reason,
        )
        assert {"finish_missing": 1} == came.departures
        assert came.format.finished


def test_without_an_end_an_answer_is_truncated() -> None:
    """Whatever model it is of, and where none was recognised."""
    for payloads in (ANTHROPIC[:-2], [{"generation": "a"}], [{"what": "is this"}], []):
        came = read(*payloads)

        assert isinstance(came.error, StreamTruncated)
        assert came.error is came.format.error


def test_a_call_that_was_open_at_the_end_is_not_handed_out() -> None:
    """The model's format decides, as it does alone."""
    came = read(*ANTHROPIC[:11])

    assert isinstance(came.error, StreamTruncated)
    assert "2 frames" not in str(came.error)
    assert "11 frames, inside 1 tool call" in str(came.error)
    assert [] == came.calls


def test_what_no_model_says_is_carried() -> None:
    """Until a payload is recognised, and after it."""
    came = read(
        {"what": "is this"}, {"generation": "a"}, {"what": "now"}, {"generation": "", "stop_reason": "stop"}
    )

    assert ["what", "what"] == [event.name for event in came.events if isinstance(event, Unknown)]
    assert ("a", "complete") == (came.message.text, came.message.ending)


def test_text_of_another_type_is_carried() -> None:
    """And counted."""
    came = read({"generation": "a"}, {"generation": 7})

    assert {"generation": [{"generation": 7}]} == came.message.provider_data
    assert {"delta_misfits": 1} == came.departures


def test_counts_that_bedrock_alone_has_are_added() -> None:
    """The model's own stay as they are."""
    metrics = {"amazon-bedrock-invocationMetrics": {**COUNTS, "cacheReadInputTokenCount": 2}}
    came = read({"outputText": "a", "totalOutputTextTokenCount": 9, "completionReason": "FINISH", **metrics})
    usage = came.message.usage

    assert usage is not None
    assert (7, 9, 2) == (usage.input_tokens, usage.output_tokens, usage.cached_tokens)


# -- how it comes ------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrap",
    [
        lambda data: {"chunk": {"bytes": data}},
        lambda data: {"chunk": {"bytes": base64.b64encode(data).decode(), "p": "ab"}},
        lambda data: {"bytes": base64.b64encode(data).decode()},
        lambda data: json.dumps({"chunk": {"bytes": base64.b64encode(data).decode()}}).encode(),
        lambda data: json.dumps({"bytes": base64.encodebytes(data).decode(), "p": "ab"}).encode(),
    ],
    ids=["boto3", "boto3 on the wire", "bare", "line", "line with line breaks"],
)
def test_however_it_comes_it_is_the_same_answer(wrap: Any) -> None:
    """Out of the binary framing, as boto3 gives it, and as gateways pass it on."""
    expected = read(*ANTHROPIC)
    came = read_frames(BedrockInvoke(), [wrap(json.dumps(payload).encode()) for payload in ANTHROPIC])

    assert expected.message == came.message
    assert expected.events == came.events
    assert {} == came.departures


@pytest.mark.parametrize(
    "payload, event, expected",
    [
        ({"bytes": "e30="}, "chunk", True),
        ({"p": "ab"}, "chunk", False),
        ({"chunk": {"bytes": b"{}"}}, "", True),
        ({"chunk": {"bytes": "e30="}}, "", True),
        ({"chunk": {"bytes": 7}}, "", False),
        ({"chunk": "text"}, "", False),
        ({"chunk": {"bytes": "e30="}, "id": 1}, "", False),
        ({"bytes": "e30=", "p": "ab"}, "", True),
        ({"bytes": "e30=", "name": "file"}, "", False),
        ({}, "initial-response", None),
        ({"choices": []}, "", False),
    ],
)
def test_its_first_payload_tells(payload: dict[str, Any], event: str, expected: bool | None) -> None:
    """A chunk has bytes, and at most padding beside them."""
    assert expected == BedrockInvoke.recognises(payload, event)


def test_an_exception_is_the_providers_error() -> None:
    """As the framing tells it, and as SDKs of other languages pass it on; so is an error of the model's."""
    said = {"message": "busy"}
    for sent in (
        EventStreamMessage(json.dumps(said).encode(), "modelTimeoutException", "exception"),
        {"modelTimeoutException": said},
    ):
        came = read_frames(BedrockInvoke(), [chunk({"generation": "a"}), sent])

        assert isinstance(came.error, ProviderError)
        assert ("modelTimeoutException", "server", True) == (
            came.error.code,
            came.error.kind,
            came.error.retryable,
        )
        assert "a" == came.message.text
    inner = read(*ANTHROPIC[:2], {"type": "error", "error": {"type": "overloaded_error", "message": "m"}})
    assert isinstance(inner.error, ProviderError)
    assert "overloaded" == inner.error.kind


@pytest.mark.parametrize(
    "frame, what",
    [
        ({"chunk": {"bytes": "?"}}, "not base64"),
        ({"chunk": {"bytes": "é"}}, "not base64"),
        ({"chunk": {"bytes": 7}}, "no bytes"),
        ({"chunk": {"bytes": b"[]"}}, "not a JSON object"),
        ({"chunk": {"bytes": b"{"}}, "not JSON"),
        (EventStreamMessage(b"[]", "chunk"), "JSON object is expected"),
    ],
)
def test_a_chunk_that_is_none_is_an_error(frame: Any, what: str) -> None:
    """What came before is kept."""
    came = read_frames(BedrockInvoke(), [chunk({"generation": "a"}), frame, chunk({"generation": "b"})])

    assert isinstance(came.error, ProtocolError)
    assert what in str(came.error)
    assert "a" == came.message.text


def test_events_of_a_new_kind_are_carried() -> None:
    """A name of its own, or nothing in it."""
    frames = [
        EventStreamMessage(b'{"at": 1}', "heartbeatEvent"),
        {"SDK_UNKNOWN_MEMBER": {"name": "x"}},
        {},
        EventStreamMessage(b'{"p": "a"}', "chunk"),
        EventStreamMessage(b"{}", "initial-response"),
    ]
    came = read_frames(BedrockInvoke(), frames, end=False)

    assert ["heartbeatEvent", "SDK_UNKNOWN_MEMBER", "chunk", "chunk"] == [
        event.name for event in came.events if isinstance(event, Unknown)
    ]


def test_what_comes_after_the_models_end_is_ignored() -> None:
    """And counted."""
    came = read(*ANTHROPIC, {"generation": "a"})

    assert "Hello" == came.message.text
    assert {"data_after_end": 1} == came.departures


def test_bounds_are_those_of_the_stream() -> None:
    """They hold within the model's format."""
    came = read(*[{"outputs": [{"text": "a"}, {"text": "b"}]}] * 2, limits=Limits(choices=1))

    assert isinstance(came.error, LimitExceeded)
    assert "choices" == came.error.limit


def test_signs_of_life_of_the_models_format_are_told_where_they_are_asked_for() -> None:
    """As everywhere."""
    frames = [chunk(ANTHROPIC[0]), chunk({"type": "ping"})]
    came = read_frames(BedrockInvoke(pings=True), frames, end=False)

    assert "Ping" == type(came.events[-1]).__name__


def test_a_text_in_pieces_needs_no_second_look() -> None:
    """One event for each piece, of the same part."""
    came = read(*[{"generation": piece, "generation_token_count": 1} for piece in "abc"], end=False)

    assert [("a", 0), ("b", 0), ("c", 0)] == [
        (event.text, event.part) for event in came.events if isinstance(event, TextDelta)
    ]


def test_a_chunk_that_says_more_than_the_last_one_is_read_as_a_whole() -> None:
    """Other fields, other types, no text, broken base64: the short way ends there."""
    plain = {"generation": "a", "generation_token_count": 1, "stop_reason": None}
    for more in (
        {"generation_token_count": 1, "generation": "b", "stop_reason": None},
        {**plain, "generation": "b", "stop_reason": "stop"},
        {**plain, "generation": ""},
        {**plain, "generation": 7},
        {**plain, "generation_token_count": "1"},
        {**plain, "more": 1},
    ):
        short = read(plain, plain, more)
        objects = [{"chunk": {"bytes": json.dumps(each).encode()}} for each in (plain, plain, more)]
        long = read_frames(BedrockInvoke(), objects)

        assert long.message == short.message
        assert long.departures == short.departures
    for payloads in ([plain] * 2, [{"outputs": [{"text": "a"}]}] * 2):
        broken = EventStreamMessage(b'{"bytes":"???"}', "chunk")
        came = read_frames(BedrockInvoke(), [*map(chunk, payloads), broken])

        assert isinstance(came.error, ProtocolError)
        assert "aa" == came.message.text


def test_the_plain_reader_says_what_is_not_its_own() -> None:
    """It is asked before it is used."""
    assert PlainModel.recognises({"generation": "a"}, "")
    assert not PlainModel.recognises({"choices": []}, "")
    assert not PlainModel.recognises({"message": {"content": "a"}}, "")


CHAT = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hello"}}]}
STOP = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def frames(*chunks: Mapping[str, Any] | bytes) -> Told:
    return read_frames(BedrockInvoke(), [chunk(each) for each in chunks], end=True)


def test_done_in_a_chunk_ends_the_answer() -> None:
    """Models with OpenAI's chunks may end as theirs do; what follows is counted."""
    came = frames(CHAT, STOP, b"[DONE]")
    after = frames(CHAT, STOP, b" [DONE]", CHAT)

    assert ("Hello", "complete", {}) == (came.message.text, came.message.ending, came.departures)
    assert ("Hello", {"data_after_end": 1}) == (after.message.text, after.departures)


def test_done_without_a_finish_reason_is_the_finish() -> None:
    """As it is in the model's own format, and also where nothing else came."""
    came, alone = frames(CHAT, b"[DONE]"), frames(b"[DONE]")

    assert ("Hello", "complete", {"finish_missing": 1}) == (
        came.message.text,
        came.message.ending,
        came.departures,
    )
    assert ("complete", {"finish_missing": 1, "answer_empty": 1}) == (alone.message.ending, alone.departures)


def test_a_chunk_of_nothing_is_a_sign_of_life() -> None:
    """It is counted, and the answer goes on."""
    came = frames(b"", {"generation": "Hello", "stop_reason": "stop"}, b" ")

    assert ("Hello", "complete", {"empty_data": 2}) == (
        came.message.text,
        came.message.ending,
        came.departures,
    )


def test_a_whole_answer_in_the_last_payload_of_cohere_has_one_end() -> None:
    """Where nothing came before it, its text and its end are taken, once."""
    whole = {"id": "r", "generations": [{"text": "Hello", "finish_reason": "COMPLETE"}]}
    came = frames({"is_finished": True, "finish_reason": "COMPLETE", "response": whole})

    assert ("Hello", "COMPLETE", {}) == (came.message.text, came.message.raw_finish_reason, came.departures)
