"""InvokeModel: how chunks arrive, errors, and ends that a chunk holds."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.formats.bedrock.payloads import read as read_frames
from tests.formats.bedrock_invoke.support import ANTHROPIC, chunk, read
from tests.formats.told import Told
from tests.support.formats import BedrockInvoke
from tests.support.tables import in_one_test
from tokenstream import Limits
from tokenstream.errors import LimitExceeded, ProtocolError, ProviderError
from tokenstream.events import Unknown
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

    assert ["heartbeatEvent", "SDK_UNKNOWN_MEMBER", "chunk", "chunk"] == [
        event.name for event in came.events if isinstance(event, Unknown)
    ]


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

    assert ("Hello", "complete", {}) == (came.message.text, came.message.ending, came.departures)
    assert ("Hello", {"data_after_end": 1}) == (after.message.text, after.departures)


def test_done_without_a_finish_reason_is_the_finish() -> None:
    came, alone = frames(CHAT, b"[DONE]"), frames(b"[DONE]")

    assert ("Hello", "complete", {"finish_missing": 1}) == (
        came.message.text,
        came.message.ending,
        came.departures,
    )
    assert ("truncated", {"finish_missing": 1}) == (alone.message.ending, alone.departures)


def test_a_chunk_of_nothing_is_a_heartbeat() -> None:
    came = frames(b"", {"generation": "Hello", "stop_reason": "stop"}, b" ")

    assert ("Hello", "complete", {"empty_data": 2}) == (
        came.message.text,
        came.message.ending,
        came.departures,
    )


def test_a_whole_answer_in_the_last_payload_of_cohere_has_one_end() -> None:
    whole = {"id": "r", "generations": [{"text": "Hello", "finish_reason": "COMPLETE"}]}
    came = frames({"is_finished": True, "finish_reason": "COMPLETE", "response": whole})

    assert ("Hello", "COMPLETE", {}) == (came.message.text, came.message.raw_finish_reason, came.departures)
