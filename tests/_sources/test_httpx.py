"""Responses of httpx and httpx2, streamed and read, and httpx-sse's sources, over real connections."""

from __future__ import annotations

import gzip
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import httpx
import httpx2
import pytest
from httpx_sse import EventSource, aconnect_sse, connect_sse

from tests._sources import scenarios
from tests._sources.scenarios import CHAT, ENDS, FRAMINGS, AnyOpener
from tests._sources.sdks import opening, opening_async
from tests.support.either import at_once, run_in
from tests.support.loopback import Loopback, chunked, refusing_url, sized
from tokenstream import AsyncStream, Stream
from tokenstream.errors import ConnectError, MisuseError

pytestmark = pytest.mark.anyio


def _client(url: str, library: Any = httpx) -> Any:
    return library.Client(timeout=None, base_url=url)


def _async_client(url: str, library: Any = httpx) -> Any:
    return library.AsyncClient(timeout=None, base_url=url)


def _send(client: Any) -> Any:
    return client.send(client.build_request("POST", "/"), stream=True)


def _stream(client: Any) -> Any:
    return client.stream("POST", "/")


_response = opening(_client, _send)
_response2 = opening(lambda url: _client(url, httpx2), _send)
_manager = opening(_client, _stream)
_entered = opening(_client, _stream, is_entered=True)
_event_source = opening(_response, EventSource)
_sse_manager = opening(_client, lambda client: connect_sse(client, "POST", "/"))
OPENERS = {
    "httpx": _response,
    "httpx2": _response2,
    "httpx manager": _manager,
    "httpx entered": _entered,
    "httpx-sse EventSource": _event_source,
    "httpx-sse manager": _sse_manager,
}
_async_response = opening_async(_async_client, _send, is_awaited=True)
_async_response2 = opening_async(lambda url: _async_client(url, httpx2), _send, is_awaited=True)
_async_unawaited = opening_async(_async_client, _send)
_async_manager = opening_async(_async_client, _stream)
_async_event_source = opening_async(_async_response, EventSource)
_async_sse_manager = opening_async(_async_client, lambda client: aconnect_sse(client, "POST", "/"))
ASYNC_OPENERS = {
    "httpx": _async_response,
    "httpx2": _async_response2,
    "httpx not awaited": _async_unawaited,
    "httpx manager": _async_manager,
    "httpx-sse EventSource": _async_event_source,
    "httpx-sse manager": _async_sse_manager,
}

each_opener = pytest.mark.parametrize(
    ("colour", "opener"),
    [
        *(pytest.param("sync", opener, id=name) for name, opener in OPENERS.items()),
        *(
            pytest.param(backend, opener, id=f"{name} {backend}")
            for name, opener in ASYNC_OPENERS.items()
            for backend in ("asyncio", "trio")
        ),
    ],
)


@pytest.mark.parametrize("framing", FRAMINGS)
@each_opener
def test_each_event_is_there_as_soon_as_it_was_sent(colour: str, opener: AnyOpener, framing: str) -> None:
    """No read waits for more bytes than have come, however the body is framed."""
    run_in(colour, scenarios.gives_each_event_at_once, opener, CHAT, framing)


@pytest.mark.parametrize("end", ENDS)
@each_opener
def test_a_cut_connection_is_no_end(colour: str, opener: AnyOpener, end: Any) -> None:
    """A body without its last chunk is an interruption, and the partial is kept."""
    run_in(colour, scenarios.tells_a_cut_from_an_end, opener, CHAT, end)


@each_opener
def test_a_status_of_400_or_more_is_an_error(colour: str, opener: AnyOpener) -> None:
    run_in(colour, scenarios.raises_what_a_status_means, opener)


@each_opener
def test_a_compressed_body_is_read_and_its_cut_noticed(colour: str, opener: AnyOpener) -> None:
    """Half of a gzip body never looks whole."""
    run_in(colour, scenarios.takes_off_the_content_coding, opener, CHAT)


@contextmanager
def _read(url: str) -> Generator[Any]:
    yield httpx.post(url, timeout=3)


def test_a_response_that_was_read_is_a_finished_body() -> None:
    at_once(scenarios.gives_what_plain_bytes_give(_read, CHAT))
    at_once(scenarios.raises_what_a_status_means(_read))
    packed = sized(gzip.compress(b"".join(CHAT.frames)), headers=[("Content-Encoding", "gzip")])
    with Loopback(packed) as server, _read(server.url) as source:
        assert CHAT.message == Stream(source).final()


async def test_a_response_that_was_read_has_both_colours() -> None:
    """Nothing is waited for, so a sync client's response serves an async loop, and the other way round."""
    with Loopback(chunked(CHAT.frames)) as server:
        with _read(server.url) as source:
            assert CHAT.message == await AsyncStream(source).final()
        async with httpx.AsyncClient() as client:
            assert CHAT.message == Stream(await client.post(server.url)).final()


async def test_a_response_of_the_wrong_colour_names_the_right_class() -> None:
    """A sync response would block an event loop, and an async one has no loop to wait in."""
    with Loopback(chunked(CHAT.frames)) as server:
        async with _async_response(server.url) as source:
            with pytest.raises(MisuseError, match=r"read it with AsyncStream, in `async for`"):
                Stream(source)
            with pytest.raises(MisuseError, match=r"read it with AsyncStream, in `async for`"):
                Stream(EventSource(source))
            await source.aclose()
        with _response(server.url) as source:
            with pytest.raises(MisuseError, match=r"read it with Stream, in `for`"):
                AsyncStream(source)
            with pytest.raises(MisuseError, match=r"read it with Stream, in `for`"):
                AsyncStream(EventSource(source))
            source.close()


async def test_a_manager_of_the_wrong_colour_names_the_right_class() -> None:
    with (
        _manager("http://nowhere.test") as source,
        pytest.raises(MisuseError, match=r"read it with Stream, in `for`"),
    ):
        AsyncStream(source)
    async with httpx.AsyncClient() as aclient:
        asked: Any = aclient.stream("GET", "http://nowhere.test")
        with pytest.raises(MisuseError, match=r"read it with AsyncStream, in `async for`"):
            Stream(asked)


async def test_a_server_that_is_not_there_is_a_connect_error() -> None:
    """The request goes out at the first read, and fails there."""
    with _manager(refusing_url()) as source, pytest.raises(ConnectError) as caught:
        Stream(source).final()

    assert ("connect", True) == (caught.value.stage, caught.value.retryable)

    async with httpx.AsyncClient() as aclient:
        for awaited in (
            aclient.stream("POST", refusing_url()),
            aclient.send(aclient.build_request("POST", refusing_url()), stream=True),
        ):
            with pytest.raises(ConnectError) as caught:
                await AsyncStream(awaited).final()

            assert ("connect", True) == (caught.value.stage, caught.value.retryable)


def test_a_response_that_was_begun_is_refused() -> None:
    """What somebody else has read of it is lost."""
    with Loopback(chunked(CHAT.frames)) as server, _response(server.url) as source:
        pieces = source.iter_raw()
        next(pieces)
        with pytest.raises(MisuseError, match="pass it unread"):
            Stream(source).final()
        pieces.close()


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_a_response_that_was_made_by_hand_is_read(library: Any) -> None:
    """Tests of applications make them; there is no request and no connection."""
    body = b"".join(CHAT.frames)

    assert CHAT.message == Stream(library.Response(200, content=body)).final()
    assert CHAT.message == Stream(library.Response(200, content=iter([body]))).final()
    assert CHAT.message == await AsyncStream(library.Response(200, content=body)).final()
    assert "" == _head_url(Stream(library.Response(200, content=body)))


def _head_url(stream: Stream) -> str:
    head = stream.response
    stream.close()
    return "no head" if head is None else head.url


class Holder:
    """A stream object of somebody's SDK: it stands on a response, and notices its own closing."""

    def __init__(self, response: Any, error: Exception | None = None) -> None:
        self.http_response = response
        self.closed = 0
        self._error = error

    def close(self) -> None:
        self.closed += 1
        if self._error is not None:
            raise self._error


class AsyncHolder(Holder):
    """The same, asynchronous."""

    async def aclose(self) -> None:
        super().close()


async def test_what_hangs_on_the_closing_of_an_object_happens() -> None:
    """The object is closed as well as the response beneath it."""
    with Loopback([*chunked(CHAT.frames)[:2], 4.0]) as server:
        with _response(server.url) as response:
            holder = Holder(response)
            with Stream(holder) as stream:
                next(iter(stream.text))

            assert 1 == holder.closed
            assert response.is_closed
        async with _async_response(server.url) as response:
            waiting = AsyncHolder(response)
            async with AsyncStream(waiting) as asynchronous:
                await anext(aiter(asynchronous.text))

            assert 1 == waiting.closed
            assert response.is_closed


def test_an_object_that_fails_to_close_leaves_no_connection_open() -> None:
    with Loopback([*chunked(CHAT.frames)[:2], 4.0]) as server, _response(server.url) as response:
        stream = Stream(Holder(response, KeyError("hook")))
        next(iter(stream.text))
        with pytest.raises(KeyError, match="hook"):
            stream.close()

        assert response.is_closed


async def test_the_object_of_a_response_that_was_read_is_read() -> None:
    with Loopback(chunked(CHAT.frames)) as server, _read(server.url) as response:
        holder = Holder(response)

        assert CHAT.message == Stream(holder).final()
        assert CHAT.message == await AsyncStream(holder).final()
        assert 0 == holder.closed
