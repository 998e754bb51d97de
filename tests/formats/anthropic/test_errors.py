"""Anthropic: names of server-sent events, errors, and how the format is recognised."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.anthropic.payloads import (
    PING,
    STOP,
    Payload,
    answer,
    arguments,
    finish,
    read,
    start,
    stop,
    text,
    tool,
)
from tests.formats.anthropic.support import HELLO, OPEN
from tests.support.formats import Anthropic
from tests.support.tables import in_one_test
from tokenstream.errors import ProviderError
from tokenstream.framing import ServerSentEvent

# -- names of SSE events -------------------------------------------------------


def test_done_ends_the_answer_and_is_no_news_after_it() -> None:
    """Proxies that speak OpenAI's language add it."""
    ended = read(*answer(*HELLO)[:-1], b"[DONE]")
    twice = read(*answer(*HELLO), b"[DONE]")

    assert (ended.error, ended.departures, ended.format.ended) == (None, {}, True)
    assert (twice.error, twice.departures) == (None, {"end_repeated": 1})


# -- errors ----------------------------------------------------------------------


@in_one_test(
    "payload, kind, retryable",
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, "overloaded", True),
        ({"type": "api_error", "message": "m"}, "server", True),
        ({"type": "timeout_error", "message": "m"}, "server", True),
        ({"type": "rate_limit_error", "message": "m"}, "rate_limited", True),
        (
            {
                "type": "rate_limit_error",
                "message": "m",
                "details": {"error_code": "enforced_spend_limit_reached"},
            },
            "quota",
            False,
        ),
        ({"type": "billing_error", "message": "m"}, "quota", False),
        ({"type": "authentication_error", "message": "m"}, "authentication", False),
        ({"type": "permission_error", "message": "m"}, "authentication", False),
        ({"type": "invalid_request_error", "message": "m"}, "invalid_request", False),
        ({"type": "not_found_error", "message": "m"}, "invalid_request", False),
        ({"type": "request_too_large", "message": "m"}, "invalid_request", False),
    ],
)
def test_an_error_says_whose_it_is_and_what_arrived_before_stays(
    payload: dict[str, Any], kind: str, retryable: bool
) -> None:
    """Error events come at any time, with status 200; their type decides."""
    came = read(start(), *HELLO, {"type": "error", "error": payload, "request_id": "req_1"}, text(0, "late"))

    error = came.error
    assert isinstance(error, ProviderError)
    assert (error.type, error.kind, error.retryable) == (payload["type"], kind, retryable)
    assert error.request_id == "req_1"
    assert came.text == "Hello"


@pytest.mark.parametrize(
    "frame",
    [
        ServerSentEvent(b"upstream timeout", "error"),
        ServerSentEvent(b"", "error"),
        ServerSentEvent(b'{"message": "upstream timeout"}', "error"),
        ServerSentEvent(b'{"code": 502, "details": "upstream timeout"}', "error"),
        b'{"error": "upstream timeout"}',
        b'{"type": "error", "message": "upstream timeout"}',
        {"type": "content_block_delta", "error": {"message": "upstream timeout"}},
    ],
)
def test_errors_come_in_every_shape(frame: Any) -> None:
    came = read(start(), *HELLO, tool(1), arguments(1, '{"a": 1}'), frame)

    assert isinstance(came.error, ProviderError)
    assert (came.text, came.calls) == ("Hello", [])
    assert len(came.message.tool_calls) == 1


# -- detection ---------------------------------------------------------------------


@in_one_test(
    "payload, event, expected",
    [
        (start(), "", True),
        (start(), "message_start", True),
        (OPEN, "", True),
        (text(0, "Hi"), "", True),
        (stop(0), "", True),
        (finish(), "", True),
        (STOP, "", None),
        ({"type": "content_block_delta", "text": "Hi"}, "content_block_delta", None),
        ({"message": {}}, "message_start", True),
        (PING, "", None),
        ({}, "ping", None),
        (start()["message"], "", True),
        ({"type": "message", "role": "assistant", "content": "Hi"}, "", False),
        (
            {"type": "error", "error": {"type": "overloaded_error", "message": "m"}, "request_id": "r"},
            "",
            True,
        ),
        ({"type": "error", "error": {"type": "t", "code": "c", "message": "m"}}, "", False),
        ({"type": "error", "code": "c", "message": "m"}, "error", False),
        ({"type": ["message_start"]}, "", False),
        ({"object": "chat.completion.chunk", "choices": []}, "", False),
        ({"type": "response.created"}, "response.created", False),
    ],
)
def test_the_first_payload_tells_the_format(payload: Payload, event: str, expected: bool | None) -> None:
    """A ping, or a type without its field, may be anybody's: the next payload must decide."""
    assert Anthropic.recognises(payload, event) is expected


def test_a_payload_without_a_type_and_a_name_is_an_unknown_event() -> None:
    assert ["event"] == read(*answer(*HELLO)[:-1], {"lone": 1}, STOP).unknown
