"""Faults of the event layer, F44 to F51 of the fault matrix: payloads, and the provider's errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.faults.events.support import BODIES, Outcome, every_format, outcome
from tests.stream.bodies import call, chunk
from tests.support.wire import sse
from tokenstream.errors import LimitExceeded, ProtocolError, ProviderError, StreamError

CHAT, CLAUDE = BODIES["openai-chat"], BODIES["anthropic"]


def check_failed(found: Outcome, departures: dict[str, int] | None = None) -> StreamError:
    """The answer failed after "Hel": that is in the message and on the error, with these departures alone."""
    error = found.error
    assert error is not None
    assert ("Hel", "failed", None) == (found.message.text, found.message.ending, found.message.finish_reason)
    assert error.partial == found.message
    assert len(found.events) == error.events_seen
    assert (departures or {}) == found.departures
    return error


# -- payloads ----------------------------------------------------------------


@every_format
@pytest.mark.parametrize(
    "payload, offset", [('{"choices": [}', 13), ("garbage", 0), ('{"type": "x"} {', 14), ('{"é": tru}', 7)]
)
def test_f44_a_payload_that_is_no_json_is_a_protocol_error_at_its_place(
    format: str, payload: str, offset: int
) -> None:
    """F44: the error has the event's number and the offset in bytes; what came before it is kept."""
    body = BODIES[format]
    found = outcome(body.around(sse(payload)))
    error = check_failed(found)

    assert type(error) is ProtocolError
    assert (len(body.first) + 1, offset) == (error.event, error.offset)
    assert str(error).startswith(f"frame {error.event}: the payload is not JSON")
    assert "garbage" not in str(error)
    assert ("server", False) == (error.kind, error.retryable)


@every_format
@pytest.mark.parametrize("payload", ['[{"a": 1}]', "[[]]"])
def test_f45_a_list_that_may_hold_a_payload_is_a_protocol_error(format: str, payload: str) -> None:
    """F45: what may be content is not skipped."""
    body = BODIES[format]
    error = check_failed(outcome(body.around(sse(payload))))

    assert type(error) is ProtocolError
    assert (len(body.first) + 1, 0) == (error.event, error.offset)
    assert "a JSON object is expected" in str(error)


@every_format
@pytest.mark.parametrize("opening, closing", [('{"a":', "}"), ("[", "]")])
def test_f47_json_of_any_depth_is_refused_without_a_recursion_error(
    format: str, opening: str, closing: str
) -> None:
    """F47: depth is bounded by `Limits.depth`."""
    body = BODIES[format]
    deep = opening * 100_000 + "1" + closing * 100_000
    error = check_failed(outcome(body.around(sse(f'{{"type": "ping", "a": {deep}}}'))))

    assert isinstance(error, LimitExceeded)
    assert ("depth", 200, len(body.first) + 1) == (error.limit, error.value, error.event)


# -- errors of the provider --------------------------------------------------


@every_format
@pytest.mark.parametrize(
    "details, kind, retryable",
    [
        ({"type": "server_error", "message": "m"}, "server", True),
        ({"type": "overloaded_error", "message": "m"}, "overloaded", True),
        ({"type": "rate_limit_error", "message": "m", "code": "rate_limit"}, "rate_limited", True),
        ({"type": "invalid_request_error", "message": "m"}, "invalid_request", False),
        ({"type": "authentication_error", "message": "m"}, "authentication", False),
    ],
)
def test_f49_an_error_in_the_middle_of_the_stream_is_the_providers(
    format: str, details: dict[str, str], kind: str, retryable: bool
) -> None:
    """F49: its kind tells whether asking again may help."""
    payload = json.dumps({"error": details}).encode()
    error = check_failed(outcome(BODIES[format].around(b"data: " + payload + b"\n\n")))

    assert isinstance(error, ProviderError)
    assert (details["type"], details.get("code")) == (error.type, error.code)
    assert (kind, retryable) == (error.kind, error.retryable)


def test_f49_a_tool_call_that_was_handed_out_before_the_error_is_named() -> None:
    """F49: whoever asks again must know which calls may have been run."""
    chunks = [
        chunk({"role": "assistant", "content": "Hel"}),
        chunk(call(0, "call_a", "get_time", '{"zone": "CET"}')),
        chunk(call(1, "call_b", "get_time", '{"zone": ')),
        sse('{"error": {"message": "m", "type": "server_error"}}'),
    ]
    error = check_failed(outcome(chunks), {"call_open_at_end": 1})

    assert ("call_a",) == error.tool_calls_delivered
    assert [("call_a", True), ("call_b", False)] == [
        (call.id, call.complete) for call in error.partial.tool_calls
    ]


@every_format
@pytest.mark.parametrize(
    "payload",
    [
        {"type": "error", "error": {"type": "api_error", "message": "boom"}},
        {"error": {"message": "boom"}},
        {"error": "boom"},
        {"message": "boom"},
        {"detail": "boom"},
    ],
)
def test_f50_an_event_named_error_is_the_providers_error(format: str, payload: dict[str, Any]) -> None:
    """F50: whatever its payload looks like."""
    block = sse(payload, event="error")
    error = check_failed(outcome(BODIES[format].around(block)))

    assert isinstance(error, ProviderError)
    assert "boom" in str(error)
