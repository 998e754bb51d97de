"""`stop()` from the loop's own task, another task, another thread: the loop ends normally, at once."""

from __future__ import annotations

import gc
import threading
from collections.abc import AsyncGenerator
from contextlib import nullcontext

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx
import pytest

from tests.stream.async_sources import (
    END,
    HEL,
    LO,
    begun,
    every_kind,
    first_text,
    is_closed,
    open_after,
    readers,
    seen_closed,
    texts_of,
    until,
)
from tests.stream.bodies import later
from tests.support.loopback import (
    LAST_CHUNK,
    OPEN,
    REQUEST,
    Loopback,
    Script,
    chunked_head,
    client_context,
    http_chunk,
)
from tests.support.raised import misuse
from tests.support.timing import PATIENCE
from tokenstream import AsyncStream, aconnect

pytestmark = pytest.mark.anyio


@every_kind
@pytest.mark.parametrize("block", [False, True])
async def test_stop_between_reads_ends_the_loop(kind: str, block: bool) -> None:
    async with begun(kind, open_after(HEL + LO)) as (stream, server), stream if block else nullcontext():
        texts = []
        async for piece in stream.text:
            texts.append(piece)
            stream.stop("enough")
        assert texts == ["Hel"]
        assert is_closed(server)
        assert (stream.message.text, stream.message.ending) == ("Hel", "stopped")
        with misuse("consumed") as caught:
            aiter(stream)
        assert str(caught.value).startswith("the stream was stopped; ")
        assert readers() == []


@every_kind
@pytest.mark.parametrize("block", [False, True])
@pytest.mark.parametrize("thread", [False, True])
async def test_stop_from_elsewhere_ends_a_read_in_progress(kind: str, block: bool, thread: bool) -> None:
    async with begun(kind, open_after(HEL)) as (stream, server):
        read: list[str] = []

        async def stopping() -> None:
            await until(lambda: read)
            await anyio.wait_all_tasks_blocked()
            if thread:
                stopper = threading.Thread(target=stream.stop)
                stopper.start()
                await until(lambda: not stopper.is_alive())
            else:
                stream.stop()
            assert stream.message.ending == "stopped"

        async with stream if block else nullcontext():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(stopping)
                with anyio.fail_after(PATIENCE):
                    async for piece in stream.text:
                        read.append(piece)
                assert is_closed(server)
            assert (read, stream.message.ending) == (["Hel"], "stopped")
            assert readers() == []


@pytest.mark.parametrize("thread", [False, True])
async def test_stop_over_tls(thread: bool) -> None:
    script: Script = [chunked_head(), http_chunk(HEL), OPEN]
    with Loopback(script, tls=True) as server:
        async with httpx.AsyncClient(verify=client_context(), timeout=None) as client:
            async with aconnect(server.url, client=client) as stream, anyio.create_task_group() as tasks:
                assert await first_text(stream) == "Hel"

                async def later() -> None:
                    await anyio.wait_all_tasks_blocked()
                    if thread:
                        await anyio.to_thread.run_sync(stream.stop)
                    else:
                        stream.stop()

                tasks.start_soon(later)
                with anyio.fail_after(PATIENCE):
                    assert await texts_of(stream) == ["Hel"]
                assert is_closed(server)
            assert stream.message.ending == "stopped"


async def test_stop_closes_without_anybody_waiting_for_it() -> None:
    with open_after(HEL) as server:
        async with aconnect(server.url) as stream:
            await first_text(stream)
            stream.stop()

            assert await seen_closed(server)
            await until(lambda: stream.closed)
            assert readers() == []


@pytest.mark.parametrize("way", ["break", "stop"])
async def test_the_connection_of_a_short_answer_carries_the_next_request(way: str) -> None:
    """The end of the body has come, too, when the stream is stopped: a client's pool never runs dry."""
    answer = chunked_head() + http_chunk(HEL + LO + END) + LAST_CHUNK
    with Loopback([answer, REQUEST, answer, REQUEST, answer, OPEN]) as server:
        async with httpx.AsyncClient() as client:
            for _ in range(3):
                async with aconnect(server.url, client=client) as stream:
                    async for piece in stream.text:
                        assert "Hel" == piece
                        if way == "break":
                            break
                        stream.stop()

                assert ("Hel", "stopped") == (stream.message.text, stream.message.ending)

        assert [3] == [len(connection.requests) for connection in server.connections]


async def test_a_second_stop_does_not_break_off_the_closing() -> None:
    """The source protects its own end with a shielded scope, as httpx does."""
    closed: list[str] = []

    async def chunks() -> AsyncGenerator[bytes]:
        try:
            yield HEL
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.05)
                closed.append("by itself")

    async with AsyncStream(chunks()) as stream:
        async for _ in stream.text:
            for _ in range(3):
                stream.stop()

    assert ["by itself"] == closed
    assert ("Hel", "stopped") == (stream.message.text, stream.message.ending)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_stopped_stream_needs_no_closing() -> None:
    """On asyncio there is a task that has closed it, so nothing warns."""
    with open_after(HEL) as server:
        stream = aconnect(server.url)
        await first_text(stream)
        stream.stop()
        del stream
        gc.collect()
        assert await seen_closed(server)
        await until(lambda: not readers())


async def test_stop_before_anything_was_read_sends_nothing() -> None:
    with open_after(HEL) as server:
        stream = aconnect(server.url)
        stream.stop()

        assert await stream.final() == stream.message
        assert (stream.message.text, stream.message.ending, stream.closed) == ("", "stopped", True)
        assert server.connections == []


async def test_stop_before_the_head_has_come() -> None:
    with Loopback([OPEN]) as server:
        stream = aconnect(server.url)

        async def later() -> None:
            await until(lambda: server.requests)
            stream.stop()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(later)
            with anyio.fail_after(PATIENCE):
                assert (await stream.final()).ending == "stopped"
        assert is_closed(server)


async def test_stop_from_a_thread_reaches_a_loop_that_never_waits() -> None:
    """All of the body is at hand, so the event loop itself gets no turn."""
    body = [HEL, *[LO] * 50_000, END]
    stream = AsyncStream(later(body))
    pieces = 0
    stopper = threading.Thread(target=stream.stop)
    async for _ in stream.text:
        pieces += 1
        if pieces == 10:
            stopper.start()
            stopper.join()
    assert pieces < 1_000
    assert stream.message.ending == "stopped"
