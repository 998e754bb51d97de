"""InvokeModel: how chunks arrive, errors, ends, and choices, counts and fields of plain payloads."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.formats.bedrock.payloads import read as read_frames
from tests.formats.bedrock_invoke.support import ANTHROPIC, COUNTS, METRICS, chunk, counts, read
from tests.formats.told import Told
from tests.support.formats import BedrockInvoke
from tests.support.tables import in_one_test
from tokenstream import Limits
from tokenstream.errors import LimitExceeded, ProtocolError, StreamTruncated
from tokenstream.events import UsageUpdate
from tokenstream.framing import EventStreamMessage


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
    expected = read(*ANTHROPIC)
    came = read_frames(BedrockInvoke(), [wrap(json.dumps(payload).encode()) for payload in ANTHROPIC])

    assert expected.message == came.message
    assert expected.events == came.events
    assert {} == came.departures


@in_one_test(
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
    said = {"message": "busy"}
    for sent in (
        EventStreamMessage(json.dumps(said).encode(), "modelTimeoutException", "exception"),
        {"modelTimeoutException": said},
    ):
        came = read_frames(BedrockInvoke(), [chunk({"generation": "a"}), sent])

        assert ("modelTimeoutException", "server", True) == (
            came.failure.code,
            came.failure.kind,
            came.failure.retryable,
        )
        assert "a" == came.message.text
    inner = read(*ANTHROPIC[:2], {"type": "error", "error": {"type": "overloaded_error", "message": "m"}})
    assert "overloaded" == inner.failure.kind


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
    came = read_frames(BedrockInvoke(), [chunk({"generation": "a"}), frame, chunk({"generation": "b"})])

    assert isinstance(came.error, ProtocolError)
    assert what in str(came.error)
    assert "a" == came.message.text


def test_events_of_a_new_kind_are_carried() -> None:
    frames = [
        EventStreamMessage(b'{"at": 1}', "heartbeatEvent"),
        {"SDK_UNKNOWN_MEMBER": {"name": "x"}},
        {},
        EventStreamMessage(b'{"p": "a"}', "chunk"),
        EventStreamMessage(b"{}", "initial-response"),
    ]
    came = read_frames(BedrockInvoke(), frames, end=False)

    assert ["heartbeatEvent", "SDK_UNKNOWN_MEMBER", "chunk", "chunk"] == came.unknown


def test_bounds_are_those_of_the_stream() -> None:
    came = read(*[{"outputs": [{"text": "a"}, {"text": "b"}]}] * 2, limits=Limits(choices=1))

    assert isinstance(came.error, LimitExceeded)
    assert "choices" == came.error.limit


CHAT = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hello"}}]}
STOP = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def frames(*chunks: Mapping[str, Any] | bytes) -> Told:
    return read_frames(BedrockInvoke(), [chunk(each) for each in chunks], end=True)


def test_done_in_a_chunk_ends_the_answer() -> None:
    """Models with OpenAI's chunks may end as theirs do; what follows is counted."""
    came = frames(CHAT, STOP, b"[DONE]")
    after = frames(CHAT, STOP, b" [DONE]", CHAT)

    assert ("Hello", "complete", {}) == (came.message.text, came.ending, came.departures)
    assert ("Hello", {"data_after_end": 1}) == (after.message.text, after.departures)


def test_done_without_a_finish_reason_is_the_finish() -> None:
    came, alone = frames(CHAT, b"[DONE]"), frames(b"[DONE]")

    assert ("Hello", "complete", {"finish_missing": 1}) == (came.message.text, came.ending, came.departures)
    assert ("truncated", {"finish_missing": 1}) == (alone.ending, alone.departures)


def test_a_chunk_of_nothing_is_a_heartbeat() -> None:
    came = frames(b"", {"generation": "Hello", "stop_reason": "stop"}, b" ")

    assert ("Hello", "complete", {"empty_data": 2}) == (came.message.text, came.ending, came.departures)


def test_a_whole_answer_in_the_last_payload_of_cohere_has_one_end() -> None:
    whole = {"id": "r", "generations": [{"text": "Hello", "finish_reason": "COMPLETE"}]}
    came = frames({"is_finished": True, "finish_reason": "COMPLETE", "response": whole})

    assert ("Hello", "COMPLETE", {}) == (came.message.text, came.raw_reason, came.departures)


def test_counts_that_grow_are_reported_once() -> None:
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
        (message.choice, message.text, message.finish_reason) for message in came.messages
    ]


def test_items_are_choices_by_their_place_where_they_have_no_index() -> None:
    came = read(
        {"outputs": [{"text": "a", "stop_reason": "stop"}, {"text": "b", "stop_reason": "length", "n": 1}]}
    )

    assert [(0, "a", "stop", {}), (1, "b", "length", {"n": 1})] == [
        (each.choice, each.text, each.finish_reason, each.provider_data) for each in came.messages
    ]


def test_fields_without_a_word_are_kept() -> None:
    frames = [
        chunk({"completion": "a", "stop_reason": "stop_sequence", "stop": "\n\nHuman:"}, region="x"),
        chunk({"outputs": [{"text": "b"}], "took": 3}),
    ]
    came = read_frames(BedrockInvoke(), frames)

    assert {"stop": "\n\nHuman:", "region": "x", "took": 3} == came.data


@pytest.mark.parametrize("last", [METRICS, {"amazon-bedrock-trace": {"guardrail": {}}}])
def test_an_answer_that_a_guardrail_blocked_has_an_end_without_a_reason(last: dict[str, Any]) -> None:
    """Bedrock's counts or its guardrail's trace are its last word; no reason is made up."""
    blocked = {"outputText": "Input blocked", "index": 0, "amazon-bedrock-guardrailAction": "INTERVENED"}
    for payloads in ([blocked | last], [blocked, last]):
        came = read(*payloads)

        assert ("Input blocked", "complete", None) == (came.message.text, came.ending, came.reason)
        assert {"finish_missing": 1} == came.departures
        assert came.format.finished


def test_what_no_model_says_is_carried() -> None:
    came = read(
        {"what": "is this"}, {"generation": "a"}, {"what": "now"}, {"generation": "", "stop_reason": "stop"}
    )

    assert ["what", "what"] == came.unknown
    assert ("a", "complete") == (came.message.text, came.ending)


def test_text_of_another_type_is_carried() -> None:
    came = read({"generation": "a"}, {"generation": 7})

    assert {"generation": [{"generation": 7}]} == came.data
    assert {"delta_misfits": 1} == came.departures


def test_counts_that_bedrock_alone_has_are_added() -> None:
    """The model's own stay as they are."""
    metrics = {"amazon-bedrock-invocationMetrics": {**COUNTS, "cacheReadInputTokenCount": 2}}
    came = read({"outputText": "a", "totalOutputTextTokenCount": 9, "completionReason": "FINISH", **metrics})
    usage = came.message.usage

    assert (7, 9, 2) == (usage.input_tokens, usage.output_tokens, usage.cached_tokens)
