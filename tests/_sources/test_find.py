"""What is no source, and what is one of the other colour."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock, MagicMock, Mock

import httpx
import pytest
from urllib3 import HTTPHeaderDict
from urllib3.http2.connection import HTTP2Response

from tests.stream.bodies import ANSWER, AsyncSource, Source
from tests.support import wire
from tokenstream import AsyncStream, Decoder, Message, Stream
from tokenstream._sources.find import sync_source
from tokenstream._sources.kinds import SyncSource
from tokenstream.errors import MisuseError, StreamTruncated

pytestmark = pytest.mark.anyio

NONE: dict[str, Any] = {
    "None": None,
    "a number": 7,
    "a class": Source,
    "a function": print,
    "an object": object(),
    "a decoder": Decoder(),
}


SDKS = (
    "openai",
    "anthropic",
    "google-genai",
    "mistralai",
    "cohere",
    "ollama",
    "huggingface_hub",
    "boto3",
    "litellm",
)
"""Whose streams are taken."""


@pytest.mark.parametrize("kind", [Stream, AsyncStream])
@pytest.mark.parametrize("thing", NONE.values(), ids=NONE)
async def test_what_cannot_be_read_is_answered_with_what_can(thing: Any, kind: Any) -> None:
    """The error names its type, and lists what there is."""
    with pytest.raises(MisuseError, match=f"{type(thing).__qualname__} cannot be read") as caught:
        kind(thing)

    for known in (
        "httpx",
        "aiohttp",
        *SDKS,
        "websockets",
        "EventSource",
        "bytes",
        "Path",
        "iterable",
        "context manager",
    ):
        assert known in str(caught.value)


@pytest.mark.parametrize("kind", [Stream, AsyncStream])
async def test_a_dict_is_one_payload_and_no_iterable_of_payloads(kind: Any) -> None:
    with pytest.raises(MisuseError, match="dict is one payload, or a whole answer: put it into a list"):
        kind({"choices": []})


@pytest.mark.parametrize("kind", [Stream, AsyncStream])
async def test_a_whole_answer_is_asked_whether_stream_was_forgotten(kind: Any) -> None:
    with pytest.raises(MisuseError, match="Message is a whole answer, not a stream: pass stream=True"):
        kind(Message())


@pytest.mark.parametrize("kind", [Stream, AsyncStream])
@pytest.mark.parametrize("name", ["answer.sse", "answer.eventstream", "answer.ndjson", "https://example.com"])
async def test_the_name_of_a_recording_is_no_body(kind: Any, name: str) -> None:
    """Files of all framings are known by their extensions; the error says what to hand over."""
    with pytest.raises(MisuseError, match=r"pass a pathlib\.Path for a file, use connect"):
        kind(name)


def _chunks() -> Iterator[bytes]:
    yield b"".join(ANSWER)


async def _async_chunks() -> AsyncIterator[bytes]:
    yield b"".join(ANSWER)


@pytest.mark.parametrize("source", [_chunks(), Source([]), {b""}], ids=lambda it: type(it).__name__)
async def test_a_sync_iterable_names_stream_to_an_async_loop(source: Any) -> None:
    """Reads of a sync iterable would block the event loop."""
    with pytest.raises(MisuseError, match=r"read it with Stream, in `for`"):
        AsyncStream(source)


@pytest.mark.parametrize("source", [_async_chunks(), AsyncSource([])], ids=lambda it: type(it).__name__)
async def test_an_async_iterable_names_async_stream_in_an_event_loop(source: Any) -> None:
    with pytest.raises(MisuseError, match=r"read it with AsyncStream, in `async for`"):
        Stream(source)


async def test_a_coroutine_names_async_stream_to_a_sync_loop() -> None:
    async def created() -> bytes:
        return b""

    asked: Any = created()
    with pytest.raises(MisuseError, match=r"coroutine is asynchronous: read it with AsyncStream"):
        Stream(asked)

    assert b"" == await asked


class Both:
    """An iterable of both colours, as clients that serve either make them."""

    def __iter__(self) -> Iterator[bytes]:
        return _chunks()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _async_chunks()


async def test_an_iterable_of_both_colours_serves_both() -> None:
    """Each loop takes what it can wait for."""
    assert "Let me see." == Stream(Both()).final().text
    assert "Let me see." == (await AsyncStream(Both()).final()).text


async def test_a_stream_is_no_source_of_another_one() -> None:
    with Stream(ANSWER) as stream, pytest.raises(MisuseError, match="Stream is already a stream: read it"):
        Stream(stream)


async def test_the_socket_of_http2_is_never_found() -> None:
    """A connection of HTTP/2 carries other answers, too."""
    for version, found in ((b"HTTP/2", None), (b"HTTP/1.1", "the socket")):
        network = SimpleNamespace(get_extra_info=lambda _: "the socket")
        extensions: dict[str, Any] = {"http_version": version, "network_stream": network}
        source = sync_source(httpx.Response(200, content=iter([b""]), extensions=extensions))
        assert isinstance(source, SyncSource)

        assert found == (source.socket and source.socket())


async def test_a_response_of_http2_by_urllib3_is_a_finished_body() -> None:
    """urllib3 reads it whole; there is no socket that carries it alone."""
    headers = HTTPHeaderDict({"content-type": "text/event-stream"})
    response: Any = HTTP2Response(200, headers, "http://x.test", b"".join(ANSWER))
    found = sync_source(response)

    assert getattr(found, "socket", None) is None
    assert "Let me see." == Stream(response).final().text
    assert "Let me see." == (await AsyncStream(response).final()).text


async def test_a_mock_gives_what_it_was_told_to_give() -> None:
    """A mock has every attribute, and is a path, a file and a number, too; a unit test means its iterator."""
    mock = MagicMock()
    mock.__iter__.return_value = iter(ANSWER)
    mock.__aiter__.return_value = ANSWER
    client = MagicMock(create=AsyncMock(return_value=mock))

    assert "Let me see." == Stream(mock).final().text
    assert "Let me see." == (await AsyncStream(mock).final()).text
    assert "Let me see." == (await AsyncStream(client.create(stream=True)).final()).text
    mock.close.assert_called_once_with()
    assert 2 == mock.aclose.call_count


async def _settled(function: Callable[[], Any]) -> Any:
    result = function()
    return await result if isinstance(result, Awaitable) else result


@pytest.mark.parametrize("kind", [Stream, AsyncStream])
async def test_a_mock_that_was_told_nothing_ends_at_once(kind: Any) -> None:
    with pytest.raises(StreamTruncated):
        await _settled(kind(MagicMock()).final)
    with pytest.raises(MisuseError, match="Mock is a mock"):
        kind(Mock())


async def _awaited(source: Any) -> Any:
    return source


@pytest.mark.parametrize("kind", [list, tuple])
async def test_a_list_is_a_body_at_hand_for_an_async_loop_too(kind: Callable[[Any], Any]) -> None:
    """Nothing waits for it, so it needs neither a task nor `async with`; it may be awaited for."""
    body, text = kind(ANSWER), kind([chunk.decode() for chunk in ANSWER])
    payloads = kind([json.loads(event[6:]) for event in ANSWER[:-1]])
    for source in (body, text, payloads):
        assert Stream(source).final() == await AsyncStream(source).final()

    assert Stream(body).final() == await AsyncStream(_awaited(body)).final()
    assert "ab" == (await AsyncStream(kind(["a", "b"]), format="pieces").final()).text
    with pytest.raises(MisuseError, match="is not a piece of a body"):
        await AsyncStream(kind([7])).final()


async def test_a_request_that_is_handed_over_with_a_mistake_is_dropped() -> None:
    """Nobody else can await it any more; warnings are errors here."""
    asked: Any = _awaited(b"")
    with pytest.raises(MisuseError, match="typo"):
        AsyncStream(asked, format=cast("Any", "typo"))

    assert asked.cr_frame is None


class Made:
    """A stream that was made of a whole answer, on a response that holds nothing, as litellm makes them."""

    def __init__(self) -> None:
        self.response = httpx.Response(200)
        self._payloads = [json.loads(event[6:]) for event in ANSWER[:-1]]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._payloads)

    async def __aiter__(self) -> AsyncIterator[Any]:
        for payload in self._payloads:
            yield payload


async def test_an_empty_response_beneath_a_loop_is_not_what_is_read() -> None:
    expected = Stream(list(ANSWER)).final()

    assert expected == Stream(Made()).final()
    async with AsyncStream(Made()) as stream:
        assert expected == await stream.final()


@pytest.mark.parametrize("format", [None, "openai-chat"])
def test_an_iterator_that_was_read_before_is_named_as_a_cause_of_no_answer(format: Any) -> None:
    """To ask again helps with a server; an iterator that is used up stays empty."""
    chunks = iter([wire.DONE])
    list(chunks)

    with pytest.raises(StreamTruncated, match="a new iterator if the one that you passed was read"):
        Stream(chunks, format=format).final()
