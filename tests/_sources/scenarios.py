"""What every source must do, in a `for` loop and in an `async for` loop.

A source is given by an `Opener`: it takes the address of a server, and gives what
is handed to `Stream` or `AsyncStream` for the time of a `with` block, after which
its client is closed.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import anyio
import anyio.to_thread
import pytest

from tests.support.either import Each, got, inside
from tests.support.loopback import (
    CLOSE,
    LAST_CHUNK,
    OPEN,
    REQUEST,
    RST,
    Loopback,
    chunked,
    chunked_head,
    client_context,
    head,
    http_chunk,
    sized,
)
from tests.support.timing import at_rest, wait_for
from tokenstream import AsyncStream, Decoder, Message, Stream, testing
from tokenstream.errors import StatusError, StreamInterrupted, StreamTruncated
from tokenstream.events import TextDelta

__all__ = ["AsyncOpener", "Body", "Opener", "client_context"]

Opener: TypeAlias = Callable[[str], AbstractContextManager[Any]]
AsyncOpener: TypeAlias = Callable[[str], AbstractAsyncContextManager[Any]]
AnyOpener: TypeAlias = Opener | AsyncOpener

_SOON = 30.0
"""Seconds within which a server sees that its client has closed; much more than it takes."""


@dataclass(frozen=True)
class Body:
    """An answer, cut before each piece of its text and before its end."""

    format: str
    frames: Sequence[bytes]
    pieces: Sequence[str]

    @property
    def message(self) -> Message:
        """The answer, read from plain bytes."""
        return Stream(list(self.frames)).final()


_PIECES = ["Let ", "me ", "see – 🌊."]


def body_of(format: Any, begun: testing.Script | None = None) -> Body:
    said = (begun or testing.script()).text(*_PIECES).tool_call("get_weather", {"city": "Oslo"}, id="call_a")
    chunks = said.usage(input_tokens=7, output_tokens=21).finish("tool_calls").chunks(format)
    decoder = Decoder(format)
    ends = [
        end
        for end, chunk in enumerate(chunks, 1)
        if any(isinstance(event, TextDelta) for event in decoder.feed(chunk))
    ]
    frames = [b"".join(chunks[start:end]) for start, end in pairwise([0, *ends, len(chunks)])]
    return Body(format, frames, _PIECES)


CHAT, CLAUDE = body_of("openai-chat"), body_of("anthropic")
FRAMINGS = ("chunked", "sized", "until the end of the connection")
REFUSAL = b'{"error": {"message": "wrong key", "type": "authentication_error", "code": "invalid_api_key"}}'
WAYS = ("close", "with", "stop")


def _gated(body: Body, framing: str) -> tuple[list[threading.Event], list[Any]]:
    """Return a script that sends each frame when its gate opens."""
    gates = [threading.Event() for _ in body.frames]
    script: list[Any]
    if framing == "chunked":
        script = [chunked_head()]
    elif framing == "sized":
        script = [head(headers=[("Content-Length", str(sum(map(len, body.frames))))])]
    else:
        script = [head(headers=[("Connection", "close")])]
    for gate, frame in zip(gates, body.frames, strict=True):
        script += [gate, http_chunk(frame) if framing == "chunked" else frame]
    return gates, [*script, LAST_CHUNK] if framing == "chunked" else script


def _open_after(body: Body, frames: int) -> list[Any]:
    """Return a script that sends some frames, and then nothing more."""
    return [chunked_head(), *map(http_chunk, body.frames[:frames]), OPEN]


def _refusal() -> list[bytes]:
    return sized(REFUSAL, status=401, content_type="application/json", headers=[("x-request-id", "req_7")])


def _check_refusal(error: StatusError) -> None:
    assert "wrong key" in str(error)
    assert (401, "authentication", "req_7", "invalid_api_key") == (
        error.status,
        error.kind,
        error.request_id,
        error.code,
    )


@asynccontextmanager
async def _reading(opener: AnyOpener, url: str) -> AsyncGenerator[Any]:
    """Open a source, and give the stream of its colour."""
    manager = opener(url)
    colour = AsyncStream if hasattr(manager, "__aenter__") else Stream
    async with inside(manager) as source, inside(colour(source)) as stream:
        yield stream


async def _closed_soon(stream: Stream | AsyncStream, server: Loopback) -> bool:
    if isinstance(stream, Stream):
        return server.connection().closed_within(_SOON)
    return await anyio.to_thread.run_sync(server.connection().closed_within, _SOON)


# -- in loops of either kind: a sync opener's coroutine runs `at_once` ----------


async def gives_what_plain_bytes_give(opener: AnyOpener, body: Body) -> None:
    with Loopback(chunked(body.frames)) as server:
        async with _reading(opener, server.url) as stream:
            pieces = [piece async for piece in Each(stream.text)]

    assert list(body.pieces) == pieces
    assert body.message == stream.message
    assert body.format == stream.format
    assert {} == stream.departures.details


async def gives_each_event_at_once(opener: AnyOpener, body: Body, framing: str) -> None:
    gates, script = _gated(body, framing)
    with Loopback(script) as server:
        async with _reading(opener, server.url) as stream:
            pieces, text = [], Each(stream.text)
            for gate, _ in zip(gates, body.pieces, strict=False):
                gate.set()
                pieces.append(await anext(text))
            gates[-1].set()

            assert (body.message, {}) == (await got(stream.final()), stream.departures.details)
    assert list(body.pieces) == pieces


async def tells_a_cut_from_an_end(opener: AnyOpener, body: Body, end: Any = CLOSE) -> None:
    # A reset takes with it what the client has not read.
    gate = threading.Event()
    script: list[Any] = [chunked_head(), *map(http_chunk, body.frames[:2]), gate, end]
    with Loopback(script) as server:
        async with _reading(opener, server.url) as stream:
            with pytest.raises(StreamInterrupted) as caught:
                async for piece in Each(stream.text):
                    if piece == body.pieces[1]:
                        gate.set()

            assert "".join(body.pieces[:2]) == caught.value.partial.text
            assert caught.value.retryable
            assert stream.closed
            assert await _closed_soon(stream, server)


async def raises_what_a_status_means(opener: AnyOpener) -> None:
    with Loopback(_refusal()) as server:
        async with _reading(opener, server.url) as stream:
            with pytest.raises(StatusError) as caught:
                await got(stream.final())

            _check_refusal(caught.value)


async def closes(opener: AnyOpener, body: Body, way: str) -> None:
    with Loopback(_open_after(body, 1)) as server:
        manager = opener(server.url)
        colour = AsyncStream if hasattr(manager, "__aenter__") else Stream
        async with inside(manager) as source:
            async with inside(colour(source)) as stream:
                await anext(Each(stream.text))
                assert server.connection().open_after(0.01)
                if way == "close":
                    await got((stream.close if colour is Stream else stream.aclose)())
                elif way == "stop":
                    stream.stop()
                    _ = [piece async for piece in Each(stream.text)]
            assert await _closed_soon(stream, server)

    assert "stopped" == stream.message.ending


def leaves_the_connection_to_the_next_request(opener: Opener, body: Body) -> None:
    """Read two answers; an opener that opens twice with one client gives both sources."""
    script: list[Any] = [*chunked(body.frames), REQUEST, *chunked(body.frames)]
    with Loopback(script) as server, opener(server.url) as sources:
        for source in sources:
            with Stream(source) as stream:
                assert body.message.text == stream.final().text

        assert [2] == [len(connection.requests) for connection in server.connections]


def _packed(body: Body) -> tuple[bytes, bytes]:
    """Return a body with gzip's coding, whole, and cut where two pieces of text can be read of it."""
    packer = zlib.compressobj(wbits=31)
    half = b"".join(map(packer.compress, body.frames[:2])) + packer.flush(zlib.Z_SYNC_FLUSH)
    return half + b"".join(map(packer.compress, body.frames[2:])) + packer.flush(), half


GZIP = [("Content-Encoding", "gzip")]


async def takes_off_the_content_coding(opener: AnyOpener, body: Body) -> None:
    whole, half = _packed(body)
    with Loopback(sized(whole, headers=GZIP)) as server:
        async with _reading(opener, server.url) as stream:
            assert body.message == await got(stream.final())
    # HTTP ends well, only the compression does not.
    with Loopback(sized(half, headers=GZIP)) as server:
        async with _reading(opener, server.url) as stream:
            with pytest.raises(StreamTruncated) as caught:
                await got(stream.final())

            assert "".join(body.pieces[:2]) == caught.value.partial.text


def _stop_once_it_waits(stream: Stream, text: str, reader: threading.Thread) -> None:
    wait_for(lambda: stream.message.text == text)
    at_rest(reader)
    stream.stop()


def is_woken_by_stop(opener: Opener, body: Body) -> None:
    with Loopback(_open_after(body, 1)) as server, opener(server.url) as source:
        stream = Stream(source)
        stopper = threading.Thread(
            target=_stop_once_it_waits, args=(stream, body.pieces[0], threading.current_thread())
        )
        stopper.start()
        pieces = list(stream.text)
        stopper.join()

        assert list(body.pieces[:1]) == pieces
        assert "stopped" == stream.message.ending
        assert server.connection().closed_within(_SOON)


ENDS = [pytest.param(CLOSE, id="FIN"), pytest.param(RST, id="RST")]


def stop_soon(stream: Stream | AsyncStream) -> None:
    """Stop a stream from another thread, in a moment."""
    timer = threading.Timer(0.05, stream.stop)
    timer.daemon = True
    timer.start()


def all_at_once(body: Body, framing: str) -> list[Any]:
    """Return a script that sends the whole body without a pause."""
    gates, script = _gated(body, framing)
    for gate in gates:
        gate.set()
    return script
