"""An answer in another format than the one that was named: an error that says so, and that is not retried."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.stream.bodies import later
from tests.support import encoders, registry, wire
from tests.support.sent import decoded
from tests.support.tables import in_one_test
from tokenstream import AsyncStream, Retry, Stream, connect, tap, testing
from tokenstream.errors import ProtocolError, StreamTruncated
from tokenstream.formats import custom

SCRIPT = testing.script().text("Hello there").text(" you").finish("stop")
WRITTEN = encoders.names()
READ_BOTH = {("openai-completions", "openai-chat")}
"""Formats sent and named that are alike: the answer is read as it is."""
PAIRS = [
    (sent, named)
    for sent in WRITTEN
    for named in registry.names()
    if named not in ("text", "pieces", sent) and sent != "text" and (sent, named) not in READ_BOTH
]
PING = wire.sse({"type": "ping"}, event="ping")


@pytest.mark.few_rows(4)
@in_one_test(("sent", "named"), PAIRS, by=lambda *pair: pair[0])
def test_another_format_than_the_named_one_is_an_error_that_names_both(sent: Any, named: Any) -> None:
    """Nothing is complete and empty, and to ask again would bring the same."""
    error = decoded(SCRIPT.chunks(sent), named).error

    assert type(error) is ProtocolError
    assert not error.retryable
    assert f"not {named};" in str(error) or f"is {named};" in str(error)
    assert sent in str(error)


@pytest.mark.parametrize("named", ["anthropic", "openai-chat", "ollama", "openai-completions"])
def test_payloads_of_no_known_format_are_reported_as_unknown(named: Any) -> None:
    error = decoded([PING, wire.sse({"foo": 1}), wire.sse({"foo": 2}), wire.DONE], named).error

    assert type(error) is ProtocolError
    assert f"none of the 2 events is {named}; they look like an unknown one" in str(error)


@in_one_test("format", [None, "anthropic", "openai-chat", "openai-responses", "gemini", "cohere"])
@in_one_test(
    "chunks",
    [[], [b": hi\n\n"], [PING], [wire.DONE], [PING, wire.DONE]],
    ids=lambda chunks: len(b"".join(chunks)),
)
def test_an_answer_without_any_payload_may_be_asked_for_again(format: Any, chunks: list[bytes]) -> None:
    """Pings and `[DONE]` are of any format, and are no answer."""
    error = decoded(chunks, format).error

    assert isinstance(error, StreamTruncated)
    assert error.retryable


def test_a_custom_format_knows_a_payload_by_any_of_its_paths() -> None:
    format = custom(text="result.delta", id="request")

    assert decoded([wire.sse({"request": "r1"})], format).error is None
    error = decoded([wire.sse({"result": {"detla": "Hel"}})], format).error
    assert type(error) is ProtocolError
    assert "none of the events (1) fits a path of custom(); they look like an unknown one" in str(error)


def test_content_that_was_read_keeps_its_truncation() -> None:
    assert isinstance(decoded(SCRIPT.chunks("anthropic")[:-2], "anthropic").error, StreamTruncated)


def test_every_way_to_read_says_it() -> None:
    """Streams, taps and payloads that an SDK decoded are read by the same machine."""
    chunks = SCRIPT.chunks("openai-chat")
    message = "none of the 5 events is anthropic; they look like openai-chat"

    with pytest.raises(ProtocolError, match=message):
        Stream(chunks, format="anthropic").final()
    with pytest.raises(ProtocolError, match=message):
        asyncio.run(_read_asynchronously(chunks))
    tapped: Any = tap(iter(chunks), format="anthropic")
    assert chunks == list(tapped)
    assert message in str(tapped.error)
    payloads: Any = [event.raw for event in Stream(chunks) if event.raw is not None]
    with pytest.raises(ProtocolError, match="is anthropic; they look like openai-chat"):
        Stream(payloads, format="anthropic").final()


async def _read_asynchronously(chunks: list[bytes]) -> None:
    await AsyncStream(later(chunks), format="anthropic").final()


def test_a_wrong_format_is_asked_for_once() -> None:
    """A retry would cost another answer, and end the same way."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        body = b"".join(SCRIPT.chunks("openai-chat"))
        return httpx.Response(200, content=body, headers={"content-type": "text/event-stream"})

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        stream = connect(
            "http://model.test/v1", json={}, client=client, format="anthropic", retry=Retry(attempts=3)
        )
        with pytest.raises(ProtocolError, match="they look like openai-chat"):
            stream.final()

    assert 1 == len(asked)


@pytest.mark.parametrize("name", ["ping", "heartbeat", "keepalive", "keep-alive"])
def test_a_chunk_in_an_event_that_is_named_like_a_ping_is_read(name: str) -> None:
    """The format proves it, whether it is named or detected; a payload that says nothing stays a ping."""
    chunk = wire.sse(wire.chat_payload({"content": "Hi"}, "stop"), event=name)
    for format in (None, "openai-chat"):
        decoder = decoded([wire.sse({"at": 1}, event=name), chunk, wire.DONE], format)

        assert (None, "Hi") == (decoder.error, decoder.message.text)


def test_events_of_a_kind_that_the_named_format_does_not_know_are_reported() -> None:
    error = decoded([wire.sse({"type": "response.later"})] * 2, "openai-responses").error

    assert "openai-responses knows none of the events (2), although their types begin like its own" in str(
        error
    )
