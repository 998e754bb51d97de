"""What comes back instead of a stream of events: errors, pages, redirects, silence, broken connections."""

from __future__ import annotations

import gzip
import json
from typing import Any, Literal

import httpx
import pytest

from tests._request.support import PATH, read, read_async, read_sync
from tests.stream.bodies import ANSWER
from tests.support.loopback import OPEN, Loopback, Script, refusing_url, until_close
from tests.support.replies import reply
from tests.support.timing import PATIENCE
from tests.support.wire import sse
from tokenstream.errors import (
    ConnectError,
    NotAStream,
    ProviderError,
    StatusError,
    StreamError,
    StreamInterrupted,
    StreamStalled,
    StreamTruncated,
)
from tokenstream.limits import Limits
from tokenstream.testing import Recording


def whole(body: bytes, content_type: str = "text/event-stream", **more: Any) -> Recording:
    return reply([(0.0, body)], content_type=content_type, **more)


def _moved(to: str) -> Recording:
    return whole(b"", status=307, headers={"Location": to})


def test_a_compressed_body_is_decoded() -> None:
    answer = whole(gzip.compress(b"".join(ANSWER)), headers={"Content-Encoding": "gzip"})
    message, error, _ = read(answer)

    assert error is None
    assert message is not None
    assert message.text == "Let me see."


def test_an_error_status_carries_what_the_provider_says() -> None:
    body = b'{"error": {"message": "slow down", "type": "rate_limit_error", "code": "too_fast"}}'
    answer = whole(body, "application/json", status=429, headers={"Retry-After": "2"})
    _, error, _ = read(answer)

    assert isinstance(error, StatusError)
    assert "429" in str(error)
    assert "slow down" in str(error)
    assert (error.status, error.code, error.type) == (429, "too_fast", "rate_limit_error")
    assert (error.kind, error.retryable, error.retry_after) == ("rate_limited", True, 2.0)
    assert error.body == body.decode()
    assert error.request_id
    assert error.partial.ending == "failed"


OVERLOADED = b'{"type": "error", "error": {"type": "overloaded_error", "message": "O"}}'


@pytest.mark.few_rows(3)
@pytest.mark.parametrize(
    "status, body, kind, retryable, words",
    [
        (502, b"<html><title>502 Bad Gateway</title></html>", "server", True, "Bad Gateway"),
        (401, b'{"error": {"message": "no key"}}', "authentication", False, "no key"),
        (404, b"", "invalid_request", False, "404"),
        (529, OVERLOADED, "overloaded", True, "O"),
        (429, b'{"error": {"code": "insufficient_quota", "message": "pay"}}', "quota", False, "pay"),
        (500, sse('{"error": {"message": "inside"}}'), "server", True, "inside"),
        (500, b'[{"error": {"message": "listed"}}]', "server", True, "listed"),
    ],
)
def test_whose_problem_an_error_status_is(
    status: int, body: bytes, kind: str, retryable: bool, words: str
) -> None:
    _, error, _ = read(whole(body, "text/plain", status=status))

    assert isinstance(error, StatusError)
    assert words in str(error)
    assert (error.status, error.kind, error.retryable) == (status, kind, retryable)


@pytest.mark.parametrize(
    ("times", "body", "limits", "expected"),
    [
        (4, b"x" * 50_000, Limits(), "x" * 4096),
        (1, b'{"error": {"message": "busy"}}', Limits(body=9), '{"error":'),
    ],
)
def test_an_error_body_is_read_within_bounds(times: int, body: bytes, limits: Limits, expected: str) -> None:
    """Whoever bounds the answer still learns what the server said, as far as it was read."""
    _, error, _ = read(reply([(0.0, body)] * times, status=503), limits=limits)

    assert isinstance(error, StatusError)
    assert (error.status, error.body, error.retryable) == (503, expected, True)


BUSY = b'{"error": {"message": "busy", "type": "overloaded_error"}}'
PAGE = b"<!doctype html><title>Please log in</title>"
NO_STREAMS: list[tuple[Recording, type[StreamError], dict[str, Any], list[str]]] = [
    (whole(BUSY, "application/json"), ProviderError, {"kind": "overloaded"}, []),
    (whole(BUSY), ProviderError, {"kind": "overloaded"}, []),
    (whole(PAGE, "text/html"), NotAStream, {}, ["Please log in"]),
    (whole(b""), StreamTruncated, {"retryable": True, "events_seen": 0}, []),
    # Credentials never reach another host; the error names the target.
    (_moved("https://elsewhere.example/v1"), NotAStream, {}, ["https://elsewhere.example/v1"]),
    # A lacking slash is the usual reason; the key in the query is not told.
    (_moved(PATH + "/?key=secret"), NotAStream, {}, [f"{PATH}/ (status 307", "follow_redirects=True"]),
]


@pytest.mark.parametrize(("answer", "kind", "facts", "words"), NO_STREAMS)
def test_what_is_no_stream_is_an_error_that_tells_what_it_is(
    answer: Recording, kind: type[StreamError], facts: dict[str, Any], words: list[str]
) -> None:
    _, error, _ = read(answer)

    assert isinstance(error, kind)
    assert facts == {name: getattr(error, name) for name in facts}
    assert [] == [each for each in words if each not in str(error)]
    assert "secret" not in str(error)


def test_a_whole_answer_instead_of_a_stream_is_read_as_one() -> None:
    """Some servers refuse to stream and answer at once."""
    body = {
        "id": "c1",
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
    for indent in (None, 2):
        message, error, _ = read(whole(json.dumps(body, indent=indent).encode(), "application/json"))

        assert error is None
        assert message is not None
        assert (message.text, message.ending) == ("Hi", "complete")


def test_a_connection_that_is_refused() -> None:
    for message, error in (read_sync(refusing_url(), {}), read_async(refusing_url(), {})):
        assert message is None
        assert isinstance(error, ConnectError)
        assert (error.stage, error.kind, error.retryable) == ("connect", "network", True)
        assert isinstance(error.__cause__, httpx.ConnectError)
        assert error.partial.ending != "streaming"


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-", b"what?\r\n\r\n"])
def test_a_head_that_never_comes_whole(answer: bytes) -> None:
    """The server was reached, so the request may have been taken."""
    with Loopback([answer]) as server:
        _, error = read_sync(server.url, {})

    assert isinstance(error, ConnectError)
    assert error.stage == "head"


@pytest.mark.parametrize("first", [b"", ANSWER[2]])
@pytest.mark.parametrize(
    "options",
    [
        {"timeout": (PATIENCE, 0.05, PATIENCE, PATIENCE)},
        {"extensions": {"timeout": {"connect": PATIENCE, "read": 0.05}}},
    ],
    ids=["timeout", "extension"],
)
def test_a_timeout_of_the_callers_is_not_called_a_deadline(first: bytes, options: dict[str, Any]) -> None:
    answer: Script = [*until_close(first), OPEN] if first else [OPEN]
    for both in (read_sync, read_async):
        with Loopback(answer) as server:
            _, error = both(server.url, options)

        assert isinstance(error, StreamStalled)
        assert error.limit == "transport"


@pytest.mark.slow
def test_a_connection_that_breaks_in_the_body() -> None:
    cuts: list[Literal["close", "reset"]] = ["close", "reset"]
    for how in cuts:
        _, error, _ = read(reply([(0.0, ANSWER[2]), (0.05, ANSWER[3])], cut=how))

        assert isinstance(error, StreamInterrupted)
        assert error.partial.ending != "streaming"
        assert error.partial.text in ("Let ", "Let me ")
        assert isinstance(error.__cause__, httpx.TransportError)
