"""Responses of aiohttp, over real connections; aiohttp runs on asyncio alone."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import aiohttp
import anyio
import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader

from tests._sources import scenarios
from tests._sources.scenarios import CHAT, FRAMINGS, AsyncOpener
from tests._sources.sdks import AtOnce, Cut, opening_async
from tests.support.loopback import (
    LAST_CHUNK,
    OPEN,
    Loopback,
    chunked,
    chunked_head,
    client_context,
    http_chunk,
    refusing_url,
    sized,
)
from tokenstream import AsyncStream, Stream
from tokenstream._sources.aiohttp import from_aiohttp
from tokenstream.errors import ConnectError, MisuseError, ProtocolError, StatusError, StreamInterrupted

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def _session(url: str, **options: Any) -> Any:
    return aiohttp.ClientSession(url, **options)


def _post(session: Any) -> Any:
    return session.post("/")


_response = opening_async(_session, _post, is_awaited=True)
_unawaited = opening_async(_session, _post)
_entered = opening_async(_session, _post, is_entered=True)
_without_session = opening_async(nullcontext, lambda url: aiohttp.request("POST", url))
_compressed = opening_async(lambda url: _session(url, auto_decompress=False), _post, is_awaited=True)
_over_tls = opening_async(_session, lambda session: session.post("/", ssl=client_context()), is_awaited=True)


@asynccontextmanager
async def _read(url: str) -> AsyncGenerator[Any]:
    async with aiohttp.ClientSession() as session:
        response = await session.post(url)
        await response.read()
        yield response


OPENERS = {
    "response": _response,
    "not awaited": _unawaited,
    "entered": _entered,
    "without a session": _without_session,
    "compressed": _compressed,
}

each_opener = pytest.mark.parametrize("opener", OPENERS.values(), ids=OPENERS)


class TestResponses(AtOnce, Cut):
    """What holds for any source."""

    openers = {}  # noqa: RUF012
    async_openers = {name: (opener, CHAT) for name, opener in OPENERS.items()}  # noqa: RUF012
    framings = FRAMINGS


async def test_what_came_before_a_cut_is_not_lost() -> None:
    """The library's own error overtakes the bytes that came with it; here they are delivered first."""
    script = [chunked_head(), *map(http_chunk, CHAT.frames[:2])]
    with Loopback(script) as server:
        async with _response(server.url) as source:
            await anyio.to_thread.run_sync(server.connection().closed_within, 0.2)
            stream = AsyncStream(source)
            with pytest.raises(StreamInterrupted):
                await stream.final()

    assert "Let me " == stream.message.text


async def test_a_body_shorter_than_its_length_is_no_end() -> None:
    """The head promised more bytes."""
    with Loopback(sized(CHAT.frames[0], length=999)) as server:
        async with _response(server.url) as source:
            with pytest.raises(StreamInterrupted) as caught:
                await AsyncStream(source).final()

    assert CHAT.pieces[0] == caught.value.partial.text


@each_opener
async def test_a_status_of_400_or_more_is_an_error(opener: AsyncOpener) -> None:
    await scenarios.raises_what_a_status_means(opener)


@pytest.mark.parametrize("opener", [_response, _compressed], ids=["by aiohttp", "by us"])
async def test_a_compressed_body_is_read_and_its_cut_noticed(opener: AsyncOpener) -> None:
    """Whoever takes the compression off, half of a body never looks whole."""
    await scenarios.takes_off_the_content_coding(opener, CHAT)


async def test_the_coding_is_taken_off_once() -> None:
    """By default, aiohttp takes the coding off; the session or the request may say otherwise."""
    packed = sized(gzip.compress(b"".join(CHAT.frames)), headers=[("Content-Encoding", "gzip")])
    with Loopback(packed) as server:
        async with aiohttp.ClientSession() as session:
            response = await session.post(server.url, auto_decompress=False)
            assert CHAT.message == await AsyncStream(response).final()
        async with _read(server.url) as source:
            assert CHAT.message == await AsyncStream(source).final()


@pytest.mark.parametrize(
    "session, coding",
    [
        (SimpleNamespace(auto_decompress=False), "gzip"),
        (SimpleNamespace(auto_decompress=True), ""),
        (None, ""),
    ],
    ids=["compressed", "not compressed", "over"],
)
async def test_an_older_aiohttp_is_asked_by_its_session(session: Any, coding: str) -> None:
    """Before 3.13 the body does not say whether it was decompressed; by default it was."""
    body = StreamReader(BaseProtocol(asyncio.get_running_loop()), 9, loop=asyncio.get_running_loop())
    older = SimpleNamespace(iter_any=body.iter_any, is_eof=body.is_eof, exception=body.exception)
    response: Any = SimpleNamespace(
        status=200,
        headers={"content-encoding": "gzip"},
        reason="OK",
        url="http://x.test",
        content=older,
        closed=False,
        _session=session,
    )

    assert coding == from_aiohttp(response).coding


@pytest.mark.parametrize("opener", [_response, _compressed], ids=["by aiohttp", "by us"])
async def test_a_broken_compression_is_a_protocol_error(opener: AsyncOpener) -> None:
    """No part of the transport broke: the server sent what is no gzip."""
    packed = gzip.compress(b"".join(CHAT.frames))
    broken = sized(packed[:40] + b"\xff" * 40, headers=[("Content-Encoding", "gzip")])
    with Loopback(broken) as server:
        async with opener(server.url) as source:
            with pytest.raises(ProtocolError, match="compression is broken"):
                await AsyncStream(source).final()


async def test_a_response_that_was_read_is_a_finished_body() -> None:
    await scenarios.gives_what_plain_bytes_give(_read, CHAT)
    await scenarios.raises_what_a_status_means(_read)


async def test_a_response_that_was_closed_is_refused() -> None:
    with Loopback(chunked(CHAT.frames)) as server:
        async with _response(server.url) as source:
            source.close()
            with pytest.raises(MisuseError, match="already read or closed"):
                await AsyncStream(source).final()


async def test_a_response_that_was_begun_is_refused() -> None:
    """What somebody else has read of it is lost."""
    with Loopback(chunked(CHAT.frames)) as server:
        async with _response(server.url) as source:
            await source.content.readline()
            with pytest.raises(MisuseError, match="already read or closed"):
                await AsyncStream(source).final()


async def test_a_response_is_none_for_a_sync_loop() -> None:
    with Loopback(chunked(CHAT.frames)) as server:
        async with _response(server.url) as source:
            with pytest.raises(MisuseError, match=r"read it with AsyncStream, in `async for`"):
                Stream(source)
            source.close()
        async with aiohttp.ClientSession() as session:
            asked = session.post(server.url)
            with pytest.raises(MisuseError, match=r"read it with AsyncStream, in `async for`"):
                Stream(asked)
            asked.close()


async def test_the_socket_is_found_while_it_carries_the_body() -> None:
    """A connection that is back in its pool may carry another answer, and is never shut down then."""
    gate = threading.Event()
    with Loopback([*chunked(CHAT.frames)[:-1], gate, LAST_CHUNK, OPEN]) as server:
        async with _response(server.url) as response:
            source = from_aiohttp(response)
            assert source.socket is not None
            assert server.port == source.socket().getpeername()[1]
            gate.set()
            assert b"".join(CHAT.frames) == b"".join([piece async for piece in source.chunks])
            assert source.socket() is None


async def test_a_session_is_no_source() -> None:
    """Entering a session would not send a request, and leaving it would close it."""
    async with aiohttp.ClientSession() as session:
        source: Any = session
        with pytest.raises(MisuseError, match="ClientSession cannot be read"):
            AsyncStream(source)

        assert not session.closed


async def test_a_server_that_is_not_there_is_a_connect_error() -> None:
    """The request goes out at the first read, and fails there."""
    async with _unawaited(refusing_url()) as source:
        with pytest.raises(ConnectError) as caught:
            await AsyncStream(source).final()

    assert ("connect", True) == (caught.value.stage, caught.value.retryable)


async def test_a_session_that_raises_for_a_status_is_a_status_error() -> None:
    """Of the body aiohttp keeps nothing, but the status tells enough."""
    refusal = sized(b"no", status=429, headers=[("Retry-After", "3")])
    with Loopback(refusal) as server:
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            with pytest.raises(StatusError) as caught:
                await AsyncStream(session.post(server.url)).final()

    assert (429, "rate_limited", 3.0) == (caught.value.status, caught.value.kind, caught.value.retry_after)


async def test_an_error_does_not_repeat_the_key_of_its_request() -> None:
    """The server's sentence is there, without the key in it."""
    key = "sk-0123456789abcdef"
    with Loopback(sized(f"the key {key} is wrong".encode(), status=401)) as server:
        async with (
            aiohttp.ClientSession() as session,
            session.post(server.url, headers={"Authorization": f"Bearer {key}"}) as response,
        ):
            with pytest.raises(StatusError, match=r"the key \*\*\* is wrong"):
                await AsyncStream(response).final()


async def test_an_answer_that_is_no_http_is_a_connect_error() -> None:
    """The package aiohttp calls such an answer a 400, which no server has said."""
    with Loopback([b"SSH-2.0-OpenSSH_9.6\r\n"]) as server:
        async with _unawaited(server.url) as source:
            with pytest.raises(ConnectError) as caught:
                await AsyncStream(source).final()

    assert "head" == caught.value.stage


async def test_a_connection_over_tls_is_closed_at_once_too() -> None:
    script: list[Any] = [*chunked(CHAT.frames)[:2], 4.0]
    with Loopback(script, tls=True) as server:
        async with _over_tls(server.url) as source:
            async with AsyncStream(source) as stream:
                assert CHAT.pieces[0] == await anext(aiter(stream.text))
            assert await anyio.to_thread.run_sync(server.connection().closed_within, 1.0)


async def test_a_request_that_is_never_sent_leaves_no_warning() -> None:
    """A stream that is closed unread drops the request; warnings are errors here."""
    async with aiohttp.ClientSession() as session:
        stream = AsyncStream(session.post("http://nowhere.test"))
        await stream.aclose()
