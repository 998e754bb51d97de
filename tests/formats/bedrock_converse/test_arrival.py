"""Converse: messages, payloads and objects of clients, and errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.formats.bedrock.payloads import START, USAGE, finish, frame, stop, text
from tests.formats.bedrock.payloads import read as read_frames
from tests.formats.bedrock_converse.support import events_of, read
from tests.support.formats import BedrockConverse
from tests.support.tables import in_one_test
from tokenstream import Stream
from tokenstream.errors import ProtocolError, ProviderError
from tokenstream.framing import EventStreamMessage, ServerSentEvent

ANSWER = [START, text(0, "Hel"), text(0, "lo"), stop(0), finish(), USAGE]


@pytest.mark.parametrize(
    "frames",
    [
        [frame(*event) for event in ANSWER],
        [dict([event]) for event in ANSWER],
        [json.dumps(dict([event])).encode() for event in ANSWER],
        [ServerSentEvent(json.dumps(payload).encode(), name) for name, payload in ANSWER],
        [{"event": dict([event])} for event in ANSWER],
        [json.dumps({"event": dict([event])}).encode() for event in ANSWER],
        [{**dict.fromkeys(["metadata", "contentBlockStop"]), **dict([event])} for event in ANSWER],
    ],
    ids=["binary", "objects", "lines", "SSE", "agents' objects", "agents' SSE", "with the others as null"],
)
def test_however_it_comes_it_is_the_same_answer(frames: list[Any]) -> None:
    expected = read(*ANSWER)
    came = read_frames(BedrockConverse(), frames)

    assert expected.message == came.message
    assert expected.events == came.events
    assert {} == came.departures


@in_one_test(
    "payload, event, expected",
    [
        ({"role": "assistant"}, "messageStart", True),
        ({"contentBlockIndex": 0, "delta": {}}, "contentBlockDelta", True),
        ({"stopReason": "end_turn"}, "messageStop", True),
        ({"what": "is this"}, "messageStop", False),
        ({"usage": {"inputTokens": 1}}, "metadata", True),
        ({"run_id": "1"}, "metadata", False),
        ({}, "initial-response", None),
        ({"messageStart": {"role": "assistant"}}, "", True),
        ({"contentBlockDelta": {"contentBlockIndex": 0}, "amazon-bedrock-guardrailAction": "NONE"}, "", True),
        ({"event": {"messageStart": {"role": "assistant"}}}, "", True),
        ({"event": {"what": 1}}, "", False),
        ({"event": "messageStart"}, "", False),
        ({"metadata": {"usage": {"inputTokens": 1}}}, "", True),
        ({"metadata": {"run_id": "1"}}, "", False),
        ({"messageStart": None}, "", False),
        ({"choices": []}, "", False),
        ({"type": "message_start", "message": {"role": "assistant"}}, "message_start", False),
    ],
)
def test_its_first_payload_tells(payload: dict[str, Any], event: str, expected: bool | None) -> None:
    assert expected == BedrockConverse.recognises(payload, event)


def test_an_exception_is_the_providers_error() -> None:
    for sent in (
        EventStreamMessage(b'{"message": "busy"}', "serviceUnavailableException", "exception"),
        {"serviceUnavailableException": {"message": "busy"}},
    ):
        came = read_frames(BedrockConverse(), [frame(*START), frame(*text(0, "a")), sent])

        assert ("serviceUnavailableException", "overloaded", True) == (
            came.failure.code,
            came.failure.kind,
            came.failure.retryable,
        )
        assert "busy" in str(came.failure)


def test_an_exception_after_the_finish_is_counted() -> None:
    """The answer is whole; the token counts are missing."""
    came = read_frames(
        BedrockConverse(),
        [frame(*START), frame(*finish()), EventStreamMessage(b"{}", "internalServerException", "exception")],
    )

    assert (None, "complete") == (came.error, came.ending)
    assert "error_after_finish" in came.departures


def test_a_payload_that_is_no_object_is_an_error() -> None:
    """The format allows nothing else."""
    came = read_frames(BedrockConverse(), [EventStreamMessage(b"[]", "messageStart")])

    assert isinstance(came.error, ProtocolError)


def test_an_exception_under_its_name_is_the_providers_error_from_the_first_payload_on() -> None:
    """A gateway has no other place for what comes as an exception of a binary stream."""
    with pytest.raises(ProviderError) as caught:
        Stream([events_of({"throttlingException": {"message": "slow down"}})]).final()

    error = caught.value
    assert ("throttlingException", "rate_limited", True) == (error.code, error.kind, error.retryable)
