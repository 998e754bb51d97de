"""Sources that fail, also when they are closed, what they may give, and streams that nobody holds."""

from __future__ import annotations

import gc
import sys
import traceback
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from tests.stream.bodies import ANSWER, TOKENS, AsyncSource, AsyncStubborn, Source, Stubborn
from tests.support.clocks import on
from tokenstream import AsyncStream, Stream, aconnect, connect
from tokenstream.errors import MisuseError, NotAStream, StreamInterrupted, StreamTruncated


def test_closing_never_raises_over_another_error() -> None:
    with pytest.raises(KeyError), Stream(Stubborn(ANSWER)) as stream:
        raise KeyError
    with pytest.raises(StreamInterrupted):
        Stream(Stubborn(ANSWER[:3], OSError("reset"))).final()
    with pytest.raises(OSError, match="cannot close"), Stream(Stubborn(ANSWER)):
        pass

    assert stream.closed


def test_misuse_closes_the_source() -> None:
    """A source that gives something else than bytes is the calling code's mistake."""
    source = Source([ANSWER[2]])
    items: Any = chain(source, [None])
    stream = Stream(items)
    with pytest.raises(MisuseError, match="NoneType"):
        stream.final()

    assert stream.closed
    assert stream.message.ending == "stopped"


@pytest.mark.anyio
async def test_a_source_that_cannot_be_closed_spoils_no_answer() -> None:
    assert Stream(Stubborn(ANSWER)).final().text == "Let me see."
    stream = Stream(Stubborn(ANSWER))
    stream.stop()
    assert stream.message.ending == "stopped"
    assert (await AsyncStream(AsyncStubborn(ANSWER)).final()).text == "Let me see."


def test_a_stream_that_nobody_holds_is_closed_where_warnings_are_errors() -> None:
    """The warning is raised where nobody can catch it, and the source is closed all the same."""
    source = Source(ANSWER)
    with catch_unraisable() as caught:
        stream = Stream(source)
        next(stream)
        del stream
        gc.collect()

    assert [ResourceWarning] == caught
    assert source.closed == 1


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_same_in_an_event_loop() -> None:
    source = AsyncSource(ANSWER[:2] * 500)
    with catch_unraisable() as caught:
        stream = AsyncStream(source)
        await anext(stream)
        del stream
        gc.collect()
    for _ in range(20):
        await anyio.lowlevel.checkpoint()

    assert [ResourceWarning] == caught
    assert source.closed == 1


@contextmanager
def catch_unraisable() -> Generator[list[type[BaseException] | None]]:
    caught: list[type[BaseException] | None] = []
    before = sys.unraisablehook
    sys.unraisablehook = lambda raised: caught.append(raised.exc_type)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            yield caught
    finally:
        sys.unraisablehook = before


def test_reading_a_failed_view_again_does_not_make_its_error_grow() -> None:
    """The traceback is that of the last read."""
    stream = Stream(ANSWER[:4])
    depths = []
    for _ in range(20):
        with pytest.raises(StreamTruncated) as caught:
            list(stream.text)
        depths.append(len(list(traceback.walk_tb(caught.value.__traceback__))))

    assert max(depths[1:]) == min(depths[1:])


def test_what_a_stream_says_of_itself_holds_no_key() -> None:
    """An address may carry a password or a key; a log that shows the stream must not."""
    request = httpx.Request("POST", "https://user:secret@api.example/v1/models?key=secret")
    stream = Stream(httpx.Response(200, content=b"".join(ANSWER), request=request))

    assert repr(stream) == "<Stream of https://api.example/v1/models: unknown format, streaming>"
    assert stream.response is not None
    assert "secret" not in repr(stream.response)
    stream.close()


@pytest.mark.parametrize("ask", [connect, aconnect])
def test_a_stream_that_nobody_has_read_says_that_nothing_was_sent(ask: Any) -> None:
    stream = ask("https://api.example/v1/models?key=secret", json={})

    assert repr(stream).endswith(" of https://api.example/v1/models: unknown format, nothing was sent yet>")


def lines_of(body: list[bytes]) -> list[bytes]:
    return b"".join(body).splitlines()


@pytest.mark.parametrize("body", [ANSWER, TOKENS], ids=["openai-chat", "text"])
@pytest.mark.parametrize("format", [None, "openai-chat"])
def test_lines_without_their_ends_are_distinguished_from_a_cut_answer(body: list[bytes], format: Any) -> None:
    """`iter_lines` takes off what ends an event; asking again would give the same."""
    with pytest.raises(NotAStream, match="not its lines") as caught:
        Stream(lines_of(body), format=format).final()

    assert not caught.value.retryable


def test_an_answer_in_one_document_has_its_times() -> None:
    body = b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,'
    body += b'"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]}'
    stream = on(iter(range(100)).__next__, Stream, [body])

    assert stream.final().text == "Hello"
    metrics = stream.metrics
    assert metrics.content_chunks == 1
    assert metrics.first_event is not None
    assert metrics.ttft == metrics.first_text == metrics.last_content
    assert metrics.ttft is not None
    assert metrics.ttft > 0


def test_a_document_that_is_no_object_is_no_text() -> None:
    """An array of numbers is no answer in any format."""
    with pytest.raises(NotAStream):
        Stream(["[1,2,3]"]).final()


@pytest.mark.parametrize(
    "options", [{"format": int}, {"format": 3}, {"limits": 3}, {"deadlines": 3}], ids=repr
)
def test_an_option_of_the_wrong_kind_is_refused_where_it_is_given(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(MisuseError, match=f"{name}="):
        Stream(Source(ANSWER), **options)
    with pytest.raises(MisuseError, match=f"{name}="):
        AsyncStream(AsyncSource(ANSWER), **options)


@pytest.mark.parametrize("place", ["answer.sse", "recordings/a.json", "https://api.example/v1"])
def test_a_place_is_not_read_as_a_body(place: str) -> None:
    """A str is a body; who means a file or an address is told how to say so."""
    for kind in (Stream, AsyncStream):
        with pytest.raises(MisuseError, match=r"pathlib\.Path for a file"):
            kind(place)
