"""Each source, in both colours: read, stopped from elsewhere, cancelled, broken, collected.

The server tells in each case whether its client has closed.
"""

from __future__ import annotations

import gc
import threading
import time
from typing import Any

import anyio
import anyio.to_thread
import pytest

from tests.sources.ways import ASYNC_WAYS, WAYS, AsyncWay, Way
from tests.support.loopback import FIN, LAST_CHUNK, OPEN, Connection, Loopback, chunked_head, http_chunk
from tokenstream import AsyncStream, Stream
from tokenstream.errors import StreamInterrupted

_SOON = 2.0
"""Seconds for what takes milliseconds on a machine that has nothing else to do."""
_ASYNC_ROWS = [
    pytest.param(way, backend, id=f"{way}-{backend}") for way in ASYNC_WAYS for backend in way.backends
]
every_way = pytest.mark.parametrize("way", WAYS, ids=str)
every_async_way = pytest.mark.parametrize("way, backend", _ASYNC_ROWS)


def _whole(way: Way | AsyncWay) -> Loopback:
    return Loopback([chunked_head(), *map(http_chunk, way.body), LAST_CHUNK, OPEN])


def _cut(way: Way | AsyncWay) -> Loopback:
    return Loopback([chunked_head(), *map(http_chunk, way.body[:3]), FIN])


def _silent(way: Way | AsyncWay, gate: threading.Event) -> Loopback:
    """Answer in part, and go on only when the gate is open."""
    first, rest = way.body[:2], way.body[2:3]
    return Loopback([chunked_head(), *map(http_chunk, first), gate, *map(http_chunk, rest), OPEN])


def _needed(way: Way | AsyncWay) -> None:
    for module in way.needs:
        pytest.importorskip(module)


async def _closed(connection: Connection) -> bool:
    return await anyio.to_thread.run_sync(connection.closed_within, _SOON)


# -- sync -------------------------------------------------------------------


@every_way
def test_it_is_read_to_its_end(way: Way) -> None:
    """Text as it arrives, the whole message, and nothing left open."""
    _needed(way)
    with _whole(way) as server, way.open(server.url) as source:
        stream = Stream(source)
        pieces = list(stream.text)

        assert ["Hel", "lo"] == pieces
        assert ("complete", "stop") == (stream.message.ending, stream.message.finish_reason)
        assert stream.closed
        assert {} == dict(stream.departures)
    assert server.connection().closed_within(_SOON)


@every_way
def test_a_stop_from_another_thread_ends_a_read_that_waits(way: Way) -> None:
    """The loop ends as at the end of the answer; what had come is kept; the server sees it."""
    _needed(way)
    gate = threading.Event()
    with _silent(way, gate) as server, way.open(server.url) as source:
        stream = Stream(source)
        pieces: list[str] = []
        reader = threading.Thread(target=lambda: pieces.extend(stream.text), daemon=True)
        reader.start()
        _wait_for(lambda: stream.message.text == "Hel")
        begun = time.monotonic()
        stream.stop("enough")
        assert stream.message.ending == "stopped"
        assert time.monotonic() - begun < 1.0
        if not way.reachable:
            gate.set()
        reader.join(_SOON)

        assert not reader.is_alive()
        assert (["Hel"], "Hel", "stopped") == (pieces, stream.message.text, stream.message.ending)
        assert stream.closed
        assert server.connection().closed_within(_SOON)


@every_way
def test_ctrl_c_within_a_block_closes_it(way: Way) -> None:
    """The interrupt passes unchanged; the partial is whole."""
    _needed(way)
    with _silent(way, threading.Event()) as server, way.open(server.url) as source:
        stream = Stream(source)
        with pytest.raises(KeyboardInterrupt), stream:
            for _ in stream.text:
                raise KeyboardInterrupt

        assert ("Hel", "stopped") == (stream.message.text, stream.message.ending)
        assert server.connection().closed_within(_SOON)


@every_way
def test_a_connection_that_breaks_is_told(way: Way) -> None:
    """After what had come; the partial is on the error."""
    _needed(way)
    with _cut(way) as server, way.open(server.url) as source:
        stream = Stream(source)
        pieces: list[str] = []
        with pytest.raises(StreamInterrupted) as caught:
            for piece in stream.text:
                pieces.append(piece)

        assert ["Hel", "lo"] == pieces
        assert caught.value.partial == stream.message
        assert ("Hello", "truncated") == (stream.message.text, stream.message.ending)
        assert caught.value.retryable
        assert caught.value.__cause__ is not None
        assert server.connection().closed_within(_SOON)


@every_way
def test_a_stream_that_nobody_holds_is_closed(way: Way) -> None:
    """With a warning that says how to do better."""
    _needed(way)
    with _silent(way, threading.Event()) as server, way.open(server.url) as source:
        stream = Stream(source)
        assert next(stream.text) == "Hel"
        del source
        with pytest.warns(ResourceWarning, match="never closed: use `with`"):
            del stream
            gc.collect()

        assert server.connection().closed_within(_SOON)


# -- async ------------------------------------------------------------------


# openai leaves generators of its own at `[DONE]`, and trio says so.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
@every_async_way
def test_it_is_read_to_its_end_async(way: AsyncWay, backend: str) -> None:
    """Text as it arrives, the whole message, and nothing left open."""
    _needed(way)

    async def main(server: Loopback) -> None:
        async with way.open(server.url) as source, AsyncStream(source) as stream:
            pieces = [piece async for piece in stream.text]

            assert ["Hel", "lo"] == pieces
            assert ("complete", "stop") == (stream.message.ending, stream.message.finish_reason)
            assert stream.closed
            assert {} == dict(stream.departures)

    with _whole(way) as server:
        anyio.run(main, server, backend=backend)
        assert server.connection().closed_within(_SOON)


@every_async_way
@pytest.mark.parametrize("where", ["task", "thread"])
def test_a_stop_from_elsewhere_ends_a_read_that_waits_async(way: AsyncWay, backend: str, where: str) -> None:
    """From another task or another thread: the loop ends as at the end of the answer."""
    _needed(way)

    async def main(server: Loopback) -> None:
        async with way.open(server.url) as source, AsyncStream(source) as stream:

            async def stop() -> None:
                while stream.message.text != "Hel":  # noqa: ASYNC110 - nobody tells when a message has grown
                    await anyio.sleep(0.005)
                await anyio.sleep(0.01)
                if where == "task":
                    stream.stop("enough")
                else:
                    await anyio.to_thread.run_sync(stream.stop)

            pieces: list[str] = []
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(stop)
                with anyio.fail_after(_SOON):
                    async for piece in stream.text:
                        pieces.append(piece)

            assert (["Hel"], "stopped") == (pieces, stream.message.ending)
            assert await _closed(server.connection())

    with _silent(way, threading.Event()) as server:
        anyio.run(main, server, backend=backend)


@every_async_way
def test_a_cancelled_loop_closes_it(way: AsyncWay, backend: str) -> None:
    """The cancellation passes unchanged, the source is closed before it leaves, the partial is whole."""
    _needed(way)

    async def main(server: Loopback) -> None:
        async with way.open(server.url) as source:
            stream = AsyncStream(source)
            with anyio.move_on_after(0.3) as scope:
                async with stream:
                    async for _ in stream:
                        pass

            assert scope.cancelled_caught
            assert ("Hel", "stopped") == (stream.message.text, stream.message.ending)
            assert stream.closed
            assert await _closed(server.connection())

    with _silent(way, threading.Event()) as server:
        anyio.run(main, server, backend=backend)


@every_async_way
def test_a_connection_that_breaks_is_told_async(way: AsyncWay, backend: str) -> None:
    """After what had come; the partial is on the error."""
    _needed(way)

    async def main(server: Loopback) -> None:
        async with way.open(server.url) as source, AsyncStream(source) as stream:
            pieces: list[str] = []
            with pytest.raises(StreamInterrupted) as caught:
                async for piece in stream.text:
                    pieces.append(piece)

            assert ["Hel", "lo"] == pieces
            assert caught.value.partial == stream.message
            assert ("Hello", "truncated") == (stream.message.text, stream.message.ending)
            assert caught.value.retryable
            assert caught.value.__cause__ is not None
            assert await _closed(server.connection())

    with _cut(way) as server:
        anyio.run(main, server, backend=backend)


# trio says the same of each generator within the libraries.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
@every_async_way
def test_a_stream_that_nobody_holds_is_closed_async(way: AsyncWay, backend: str) -> None:
    """With a warning that says how to do better."""
    _needed(way)

    async def main(server: Loopback) -> None:
        async with way.open(server.url) as source:
            stream = AsyncStream(source)
            assert await anext(stream.text) == "Hel"
            del source
            with pytest.warns(ResourceWarning, match="never closed: use `async with`"):
                del stream
                gc.collect()

            assert await _closed(server.connection())

    with _silent(way, threading.Event()) as server:
        anyio.run(main, server, backend=backend)


def _wait_for(condition: Any) -> None:
    until = time.monotonic() + _SOON
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.002)
