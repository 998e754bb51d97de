"""Errors that say nothing about themselves, and those that follow them in the same body."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.chunkings import several
from tests.support.playing import read as play
from tests.support.playing import silent_after, three_worlds
from tests.support.reading import read
from tests.support.wire import DONE, chat, sse
from tokenstream import Deadlines, Decoder, Stream
from tokenstream.errors import ProviderError


def _event(type: str, **fields: Any) -> bytes:  # noqa: A002 - the format's word
    return sse({"type": type, **fields}, event=type)


HEAD: dict[str, Any] = {"id": "r", "object": "response", "model": "m", "output": [], "error": None}
BEGUN = _event("response.created", response={**HEAD, "status": "in_progress"})
FAILED = _event("response.failed", response={**HEAD, "status": "failed"})
LIMITED = _event("error", error={"code": "rate_limit_exceeded", "message": "Slow down."}, sequence_number=3)
BODIES = {
    "responses, unsaid first": BEGUN + FAILED + LIMITED,
    "responses, unsaid last": BEGUN + LIMITED + FAILED,
    "responses, unsaid twice": BEGUN + FAILED + FAILED + LIMITED,
    "chat": chat({"content": "Hi"})
    + sse({"error": {"message": None}}, event="error")
    + sse({"error": {"code": "rate_limit_exceeded", "message": "Slow down."}}),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_the_error_that_says_most_is_the_error_of_its_body(body: bytes) -> None:
    for end in (b"", DONE):
        for chunks in several(body + end, "unsaid").values():
            error = read(chunks).error

            assert isinstance(error, ProviderError)
            assert ("rate_limit_exceeded", "rate_limited", True) == (error.code, error.kind, error.retryable)


@pytest.mark.parametrize("breaks_with", [None, ConnectionResetError("reset")])
def test_an_error_that_says_nothing_fails_the_answer_alone(breaks_with: Exception | None) -> None:
    got = read([BEGUN + FAILED], breaks_with=breaks_with)

    assert "it does not say which" in str(got.error)
    assert "failed" == got.message.ending
    assert got.closed


def test_a_stop_after_an_error_that_says_nothing_is_after_the_failure() -> None:
    def body() -> Iterator[bytes]:
        yield BEGUN + FAILED
        stream.stop()
        yield LIMITED

    stream = Stream(body())
    for _ in stream:
        pass

    assert "failed" == stream.message.ending


def test_an_error_that_says_nothing_waits_as_an_end_mark_does() -> None:
    """The body stays open: `Deadlines.after_finish` bounds the wait, and no comment shortens it."""
    for deadlines, ends in (
        ({}, 1.0),
        ({"after_finish": 2.0}, 2.0),
        ({"after_finish": 0.1}, 0.1),
        ({"after_finish": 3.0, "total": 1.5}, 1.5),
        ({"after_finish": None, "idle_content": 5.0}, 5.0),
    ):
        playback = silent_after(BEGUN, FAILED, 0.05, b": alive\n\n")
        with pytest.raises(ProviderError, match="does not say which"):
            playback.stream(deadlines=Deadlines(**deadlines)).final()

        assert pytest.approx(ends, abs=1e-5) == playback.clock()


@three_worlds
def test_an_error_within_the_wait_is_the_error_of_its_body(world: str) -> None:
    """What comes later is not waited for, nor what may follow an error that says something."""
    for wait, code, ends in ((0.9, "rate_limit_exceeded", 1.4), (1.1, None, 1.0)):
        playback = silent_after(BEGUN, FAILED, 0.4, b": alive\n\n", wait - 0.4, LIMITED)
        error: Any = play(world, playback).error

        assert (ProviderError, code) == (type(error), error.code)
        assert pytest.approx(ends, abs=1e-5) == playback.clock()


def test_a_decoder_holds_an_error_that_says_nothing_until_its_end() -> None:
    for chunks in several(BEGUN + FAILED + LIMITED, "unsaid").values():
        decoder = Decoder()
        for chunk in chunks:
            assert decoder.error is None
            decoder.feed(chunk)

        assert isinstance(decoder.error, ProviderError)
        assert ("rate_limit_exceeded", "error") == (decoder.error.code, decoder.stop)

    decoder = Decoder()
    decoder.feed(BEGUN + FAILED)

    assert (None, None, "streaming") == (decoder.error, decoder.stop, decoder.message.ending)
    decoder.end()
    with pytest.raises(ProviderError, match="does not say which"):
        decoder.check()
    assert "failed" == decoder.message.ending


@pytest.mark.parametrize("error", [{"message": "Slow down."}, {"code": "rate_limit_exceeded"}])
def test_a_wait_in_the_head_of_the_answer_is_the_wait_of_its_error(error: dict[str, str]) -> None:
    """Gateways put it there even with the status 200."""
    headers = {"content-type": "text/event-stream", "retry-after": "7"}
    response = httpx.Response(200, headers=headers, content=BEGUN + _event("error", error=error))
    with Stream(response) as stream, pytest.raises(ProviderError) as caught:
        stream.final()

    assert 7.0 == caught.value.retry_after


SAID = {"type": "error", "error": {"code": "rate_limit_exceeded", "message": "Slow down."}}
NULL = {"type": "error", "error": {"message": None}}
OPENED = {"type": "response.created", "response": {"id": "r", "object": "realtime.response"}}
DONE_FAILED = {"type": "response.done", "response": {"id": "r", "status": "failed", "output": []}}


@pytest.mark.parametrize(
    "format, payloads",
    [
        ("openai-realtime", [OPENED, SAID, NULL]),
        ("openai-realtime", [OPENED, NULL, SAID]),
        ("openai-realtime", [OPENED, SAID, DONE_FAILED]),
        ("openai-realtime", [OPENED, DONE_FAILED, SAID]),
        (
            "ui-message",
            [{"type": "start"}, *({"type": "error", "errorText": text} for text in ("", "Slow down."))],
        ),
    ],
)
def test_an_error_that_waits_for_the_end_gives_way_to_one_that_says_more(
    format: Any, payloads: list[dict[str, Any]]
) -> None:
    """Sessions and pages may go on behind an error, so that several may come."""
    with pytest.raises(ProviderError) as caught:
        Stream(payloads, format=format).final()

    assert "Slow down." == caught.value.provider_message
