"""Every way out of an asynchronous stream closes its source: the server's side sees it."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, nullcontext
from typing import Any

import anyio
import httpx
import pytest

from tests.stream.async_sources import (
    END,
    HEL,
    HELLO,
    LO,
    Scripted,
    begun,
    every_kind,
    first_text,
    is_closed,
    open_after,
    readers,
    seen_closed,
    serving,
    texts_of,
    until,
)
from tests.support.loopback import (
    LAST_CHUNK,
    OPEN,
    Connection,
    Loopback,
    Script,
    chunked_head,
    http_chunk,
    until_close,
)
from tests.support.raised import misuse
from tests.support.wire import sse
from tokenstream import AsyncStream, aconnect
from tokenstream.errors import ProtocolError, StreamError, StreamTruncated
from tokenstream.events import TextDelta

pytestmark = pytest.mark.anyio


# -- by itself ---------------------------------------------------------------


@every_kind
async def test_the_end_of_the_input_closes(kind: str) -> None:
    async with begun(kind, serving(*HELLO)) as (stream, server):
        assert "".join(await texts_of(stream)) == "Hello"
        assert is_closed(server)
        assert (stream.message.text, stream.message.ending) == ("Hello", "complete")
        assert stream.closed
        assert readers() == []
        await stream.aclose()


@every_kind
@pytest.mark.parametrize(
    "body, error, ending",
    [([HEL, sse("{broken}"), OPEN], ProtocolError, "failed"), ([HEL], StreamTruncated, "truncated")],
)
async def test_an_error_closes(kind: str, body: list[Any], error: type[StreamError], ending: str) -> None:
    async with begun(kind, serving(*body)) as (stream, server):
        with pytest.raises(error) as caught:
            await stream.final()

        assert is_closed(server)
        assert caught.value.partial == stream.message
        assert (stream.message.text, stream.message.ending) == ("Hel", ending)
        assert stream.closed
        assert readers() == []


# -- with a block -------------------------------------------------------------


@every_kind
async def test_the_end_of_the_block_closes(kind: str) -> None:
    async with begun(kind, open_after(HEL)) as (stream, server):
        async with stream:
            assert await first_text(stream) == "Hel"
            assert server.connection().open_after(0.03)
        assert is_closed(server)
        assert (stream.message.text, stream.message.ending) == ("Hel", "stopped")
        with misuse("closed"):
            aiter(stream)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        assert await texts_of(stream) == ["Hel"]
        assert readers() == []


@every_kind
async def test_a_block_that_reads_nothing_closes(kind: str) -> None:
    async with begun(kind, open_after(HEL)) as (stream, server):
        async with stream:
            pass
        assert not server.connections or is_closed(server)
        assert (stream.message.text, stream.message.ending) == ("", "stopped")
        assert stream.closed
        assert readers() == []


@pytest.mark.parametrize("kind", ["aconnect", "httpx", "httpx2"])
async def test_a_body_that_is_held_back_is_closed_whole(kind: str) -> None:
    """More came than is read ahead; no generator of the client's is left half run, which trio would tell."""
    sent = threading.Event()

    def serve(connection: Connection) -> None:
        connection.play([*until_close(), HEL, *[step for _ in range(90) for step in (LO, 0.001)]])
        sent.set()
        connection.end(OPEN)

    async with begun(kind, Loopback(serve)) as (stream, server):
        async with stream:
            assert await first_text(stream) == "Hel"
            await until(sent.is_set)
            await anyio.wait_all_tasks_blocked()
        assert is_closed(server)
        gc.collect()
        assert stream.message.ending == "stopped"


class Own(BaseException): ...


@every_kind
@pytest.mark.parametrize(
    "raised",
    [KeyError("mine"), KeyboardInterrupt(), SystemExit(3), Own(), ExceptionGroup("mine", [KeyError()])],
)
async def test_what_the_block_raises_leaves_it_unchanged(kind: str, raised: BaseException) -> None:
    async with begun(kind, open_after(HEL)) as (stream, server):
        with pytest.raises(type(raised)) as caught:
            async with stream:
                assert await first_text(stream) == "Hel"
                raise raised
        assert caught.value is raised
        assert caught.value.__cause__ is None
        assert is_closed(server)
        assert (stream.message.text, stream.message.ending) == ("Hel", "stopped")
        assert readers() == []


async def test_an_error_of_the_stream_leaves_the_block_as_it_is() -> None:
    """Inside `async with`, on trio too, `except StreamError` around it works."""
    with serving(HEL) as server:
        with pytest.raises(StreamTruncated) as caught:
            async with aconnect(server.url) as stream:
                await stream.final()
        assert caught.value.partial.text == "Hel"
        assert is_closed(server)


async def test_break_alone_leaves_the_stream_open_and_reading_goes_on() -> None:
    gate = threading.Event()
    async with begun("httpx", serving(HEL, gate, LO, END)) as (stream, server):
        async for _ in stream.text:
            break
        assert server.connection().open_after(0.05)
        assert not stream.closed
        gate.set()
        async for event in stream:
            if isinstance(event, TextDelta):
                break
        assert (await stream.final()).text == "Hello"
        assert is_closed(server)


# -- aclose --------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("block", [False, True])
async def test_aclose_closes_and_closing_twice_is_fine(kind: str, block: bool) -> None:
    async with begun(kind, open_after(HEL)) as (stream, server), stream if block else nullcontext():
        assert await first_text(stream) == "Hel"
        await stream.aclose()
        assert is_closed(server)
        await stream.aclose()
        assert stream.closed
        assert readers() == []
        assert stream.message.ending == "stopped"


@every_kind
@pytest.mark.parametrize("block", [False, True])
async def test_aclose_by_another_task_ends_a_read_in_progress_normally(kind: str, block: bool) -> None:
    async with begun(kind, open_after(HEL)) as (stream, server):
        read: list[str] = []

        async def reading() -> None:
            async for piece in stream.text:
                read.append(piece)

        async with stream if block else nullcontext(), anyio.create_task_group() as tasks:
            tasks.start_soon(reading)
            await until(lambda: read)
            await anyio.wait_all_tasks_blocked()
            await stream.aclose()
        assert read == ["Hel"]
        assert is_closed(server)
        assert (stream.message.text, stream.message.ending) == ("Hel", "stopped")


async def test_two_tasks_that_close_both_wait_until_it_is_closed() -> None:
    gate = anyio.Event()
    done: list[int] = []

    class Slow(Scripted):
        async def aclose(self) -> None:
            await gate.wait()
            await super().aclose()

    source = Slow(HEL, 9.0)
    async with AsyncStream(source) as stream:
        await first_text(stream)

        async def close() -> None:
            await stream.aclose()
            done.append(source.closed)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(close)
            tasks.start_soon(close)
            await anyio.wait_all_tasks_blocked()
            assert done == []
            gate.set()
    assert done == [1, 1]


# -- generators around a stream ----------------------------------------------------


def around(stream: AsyncStream) -> Callable[[], AsyncGenerator[str, None]]:
    async def pieces() -> AsyncGenerator[str, None]:
        async with stream:
            async for piece in stream.text:
                yield piece

    return pieces


async def test_closing_a_generator_around_a_stream_closes_the_stream() -> None:
    with open_after(HEL) as server:
        stream = aconnect(server.url)
        async with aclosing(around(stream)()) as pieces:
            assert await anext(pieces) == "Hel"
        assert is_closed(server)
        assert stream.message.ending == "stopped"
        assert readers() == []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_generator_around_a_stream_that_is_dropped_is_closed_by_the_loop() -> None:
    """The loop's own task cannot close it under trio, with a block that holds a nursery."""
    with open_after(HEL) as server:
        stream = aconnect(server.url)
        pieces = around(stream)()
        assert await anext(pieces) == "Hel"
        del pieces
        gc.collect()
        assert await seen_closed(server)
        await until(lambda: stream.closed)
        assert stream.message.ending == "stopped"


# -- collected -----------------------------------------------------------------------


# On trio, outside a block, what lies beneath is collected, too, and complains in its turn.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning", "ignore:unclosed:ResourceWarning")
@every_kind
async def test_a_stream_that_is_collected_half_read_is_aborted(kind: str) -> None:
    async with begun(kind, open_after(HEL)) as (stream, server):
        assert await first_text(stream) == "Hel"
        with pytest.warns(ResourceWarning, match="never closed"):
            del stream
            gc.collect()
        assert await seen_closed(server)
        await until(lambda: not readers())


@pytest.mark.parametrize("kind", ["httpx", "httpx2"])
async def test_a_stream_that_is_collected_unread_is_aborted(kind: str) -> None:
    async with begun(kind, open_after(HEL)) as (stream, server):
        with pytest.warns(ResourceWarning, match="never closed"):
            del stream
            gc.collect()
        assert await seen_closed(server)


async def test_a_request_that_was_never_sent_is_dropped_in_silence() -> None:
    with open_after(HEL) as server:
        stream = aconnect(server.url)
        del stream
        gc.collect()
        assert server.connections == []


# -- outside of pytest's loop ------------------------------------------------------------


def test_the_end_of_the_loop_closes_what_is_open(caplog: pytest.LogCaptureFixture) -> None:
    async def main(server: Loopback) -> AsyncStream:
        stream = aconnect(server.url)
        assert await first_text(stream) == "Hel"
        return stream

    with open_after(HEL) as server:
        stream = asyncio.run(main(server))
        assert is_closed(server)
        assert stream.message.text == "Hel"
        with pytest.warns(ResourceWarning, match="never closed"):
            del stream
            gc.collect()
    assert caplog.records == []


def test_a_stream_that_is_collected_after_its_loop_is_gone_is_aborted() -> None:
    """Nobody cancelled its tasks; the socket is shut down all the same."""
    loop = asyncio.new_event_loop()
    with open_after(HEL) as server:
        stream = aconnect(server.url)
        assert loop.run_until_complete(first_text(stream)) == "Hel"
        with pytest.warns(ResourceWarning, match="never closed"):
            del stream
            gc.collect()
        assert is_closed(server)
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks))
    loop.close()


async def test_a_chunked_answer_leaves_the_connection_to_its_client() -> None:
    """A stream that was read to its end closes the answer, not the caller's connection."""
    script: Script = [chunked_head(), *map(http_chunk, HELLO), LAST_CHUNK, OPEN]
    with Loopback(script) as server:
        async with httpx.AsyncClient() as client:
            assert (await aconnect(server.url, client=client).final()).text == "Hello"
            assert server.connection().open_after(0.05)
        assert is_closed(server)
