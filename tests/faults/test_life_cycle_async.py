"""Faults of the client's own making, in an event loop: rows F73 to F86, over real sockets."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Any

import anyio
import pytest

from tests.faults.driver import END, HELLO, MORE
from tests.stream.async_sources import (
    PATIENCE,
    begin,
    cancelled_when,
    first_text,
    is_closed,
    open_after,
    read_in_a_block,
    readers,
    seen_closed,
    serving,
    texts_of,
    until,
    when,
)
from tokenstream import AsyncStream, Deadlines, aconnect
from tokenstream.errors import ConcurrentRead, MisuseError, StreamClosed, StreamInterrupted

pytestmark = pytest.mark.anyio
FIRST = "Hel"


async def test_f73_break_leaves_the_connection_to_the_end_of_the_block() -> None:
    """Not before it, and at once then."""
    with open_after(HELLO) as server:
        async with aconnect(server.url) as stream:
            async for _ in stream.text:
                break
            assert server.connection().open_after(0.05)
            assert not stream.closed
        assert is_closed(server)
        assert (stream.message.text, stream.message.ending) == (FIRST, "stopped")


# On trio, without a block, httpx's own generators are collected, too, and complain in their turn.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
async def test_f74_a_stream_that_is_dropped_after_break_is_aborted_with_a_warning() -> None:
    async with AsyncExitStack() as stack:
        with open_after(HELLO) as server:
            stream = await begin("httpx", server, stack)
            async for _ in stream.text:
                break
            with pytest.warns(ResourceWarning, match="never closed"):
                del stream
                gc.collect()
            assert await seen_closed(server)
            await until(lambda: not readers())


async def test_f75_an_exception_in_the_loop_closes() -> None:
    """It leaves the block unchanged."""
    mine = ZeroDivisionError("mine")
    with open_after(HELLO) as server:
        stream = aconnect(server.url)
        with pytest.raises(ZeroDivisionError) as caught:
            async with stream:
                async for _ in stream.text:
                    raise mine
        assert caught.value is mine
        assert is_closed(server)
        assert (stream.message.text, stream.message.ending) == (FIRST, "stopped")


async def test_f76_reading_after_close_is_refused_and_nothing_is_lost() -> None:
    """StreamClosed at once; the message and the views still give what there is."""
    with open_after(HELLO) as server:
        async with aconnect(server.url) as stream:
            await first_text(stream)
        with pytest.raises(StreamClosed):
            aiter(stream)
        assert await texts_of(stream) == [FIRST]
        assert stream.message.text == FIRST
        assert is_closed(server)


@pytest.mark.parametrize("thread", [False, True])
@pytest.mark.parametrize("block", [False, True])
async def test_f77_stop_ends_a_read_in_progress_normally(thread: bool, block: bool) -> None:
    """From another thread or task; the connection is closed."""
    with open_after(HELLO) as server:
        stream = aconnect(server.url)
        texts: list[str] = []

        async def read() -> None:
            async with AsyncExitStack() as stack:
                if block:
                    await stack.enter_async_context(stream)
                async for piece in stream.text:
                    texts.append(piece)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await until(lambda: len(texts) == 2)
            await anyio.wait_all_tasks_blocked()
            if thread:
                stopper = threading.Thread(target=stream.stop)
                stopper.start()
                stopper.join()
            else:
                stream.stop()
        assert texts == ["Hel", "lo €"]
        assert stream.message.ending == "stopped"
        assert is_closed(server)


async def test_f78_a_second_task_is_refused_at_once() -> None:
    """The first goes on to the end."""
    gate = threading.Event()
    with serving(HELLO, gate, MORE + END) as server:
        async with aconnect(server.url) as stream:
            texts: list[str] = []

            async def read() -> None:
                texts.append((await stream.final()).text)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                await until(lambda: stream.message.text == "Hello €")
                await anyio.wait_all_tasks_blocked()
                with pytest.raises(ConcurrentRead):
                    await anext(stream)
                gate.set()
            assert texts == ["Hello €!"]
            assert stream.message.ending == "complete"
            assert is_closed(server)


async def test_f79_a_cancellation_passes_and_leaves_a_closed_connection() -> None:
    seen: list[BaseException] = []
    with open_after(HELLO) as server:
        stream = aconnect(server.url)

        async def read() -> None:
            try:
                await read_in_a_block(stream)
            except anyio.get_cancelled_exc_class() as error:
                seen.append(error)
                assert is_closed(server)
                raise

        await cancelled_when(lambda: stream.message.text == "Hello €", read)
        assert len(seen) == 1
        assert (stream.message.text, stream.message.ending) == ("Hello €", "stopped")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("how", ["task.cancel", "asyncio.timeout"])
async def test_f79_the_same_with_what_asyncio_has(how: str) -> None:
    """A cancelled task, and a timeout."""
    with open_after(HELLO) as server:
        stream = aconnect(server.url)
        if how == "task.cancel":
            task = asyncio.create_task(read_in_a_block(stream))
            await until(lambda: stream.message.text == "Hello €")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            loop = asyncio.get_running_loop()
            async with anyio.create_task_group() as tasks:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(PATIENCE) as limit:
                        tasks.start_soon(
                            when,
                            lambda: stream.message.text == "Hello €",
                            lambda: limit.reschedule(loop.time()),
                        )
                        await read_in_a_block(stream)
        assert is_closed(server)
        assert (stream.message.text, stream.message.ending) == ("Hello €", "stopped")


async def test_f80_break_without_a_block_and_reading_on() -> None:
    """Nothing is closed, nothing lost."""
    gate = threading.Event()
    async with AsyncExitStack() as stack:
        with serving(HELLO, gate, MORE + END) as server:
            stream = await begin("httpx", server, stack)
            async for _ in stream:
                break
            assert server.connection().open_after(0.03)
            gate.set()
            assert (await stream.final()).text == "Hello €!"
            assert is_closed(server)


async def test_f81_generator_exit_closes() -> None:
    """A generator of the caller's around the stream is closed at its yield."""
    with open_after(HELLO) as server:
        stream = aconnect(server.url)

        async def pieces() -> AsyncGenerator[str, None]:
            async with stream:
                async for piece in stream.text:
                    yield piece

        async with aclosing(pieces()) as around:
            assert await anext(around) == FIRST
        assert is_closed(server)
        assert stream.message.ending == "stopped"


async def test_f81_aclose_during_anext_ends_it_normally() -> None:
    with open_after(HELLO) as server:
        async with aconnect(server.url) as stream:
            texts: list[str] = []

            async def read() -> None:
                texts.extend(await texts_of(stream))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                await until(lambda: stream.message.text == "Hello €")
                await anyio.wait_all_tasks_blocked()
                await stream.aclose()
                assert is_closed(server)
            assert texts == ["Hel", "lo €"]


async def test_f82_ctrl_c_in_the_block_closes_and_half_an_event_is_never_given_twice() -> None:
    """What was read is there once."""
    with open_after(HELLO, MORE[:40]) as server:
        stream = aconnect(server.url)
        with pytest.raises(KeyboardInterrupt):
            async with stream:
                async for _ in stream.text:
                    if stream.message.text == "Hello €":
                        raise KeyboardInterrupt
        assert is_closed(server)
        assert stream.message.text == "Hello €"
        assert await texts_of(stream) == ["Hello €"]
        assert stream.message.ending == "stopped"


PROGRAM = """
import asyncio, sys
from tokenstream import aconnect
kept = []
async def main():
    kept.append(aconnect(sys.argv[1]))
    print(await anext(kept[0].text))
asyncio.run(main())
"""


@pytest.mark.slow
def test_f83_the_interpreter_ends_with_an_open_stream() -> None:
    """It neither hangs nor complains of a task; the server sees the end."""
    with open_after(HELLO) as server:
        code = [sys.executable, "-c", PROGRAM, server.url]
        done = subprocess.run(code, capture_output=True, text=True, timeout=200, check=True)

        assert (done.stdout.strip(), done.stderr) == (FIRST, "")
        assert is_closed(server)


@pytest.mark.slow
async def test_f84_a_slow_consumer_is_no_stall() -> None:
    """The idle clock runs only while somebody waits for bytes."""
    gate = threading.Event()
    with serving(HELLO, gate, MORE + END) as server:
        async with aconnect(server.url, deadlines=Deadlines(idle_bytes=0.12, idle_content=0.12)) as stream:
            async for _ in stream.text:
                await anyio.sleep(0.15)
                gate.set()
            assert stream.message.ending == "complete"
            assert stream.message.text == "Hello €!"


async def test_f85_a_read_within_a_read_is_refused() -> None:
    """A source that reads its own stream."""
    met: list[ConcurrentRead] = []

    async def body() -> Any:
        yield HELLO
        try:
            await anext(stream)
        except ConcurrentRead as error:
            met.append(error)
        yield END

    async with AsyncStream(body()) as stream:
        assert (await stream.final()).text == "Hello €"
    assert len(met) == 1


async def begun(url: str) -> AsyncStream:
    """Return a stream of which something was read."""
    stream = aconnect(url)
    await first_text(stream)
    return stream


def test_f86_another_event_loop_is_refused_by_name() -> None:
    """Both loops are named, and the answer so far is kept."""
    with open_after(HELLO) as server:
        loop = asyncio.new_event_loop()
        stream = loop.run_until_complete(begun(server.url))
        for backend in ("asyncio", "trio"):
            with pytest.raises(MisuseError, match=rf"asyncio loop 0x.* {backend} loop 0x"):
                anyio.run(stream.final, backend=backend)
        loop.run_until_complete(stream.aclose())
        loop.close()

        assert stream.message.text == "Hello €"
        assert is_closed(server)


def test_f86_an_event_loop_that_is_over_took_the_connection_with_it() -> None:
    """The stream is closed, and a read in another loop says so; the answer so far is kept."""
    with open_after(HELLO) as server:
        stream = asyncio.run(begun(server.url))
        for backend in ("asyncio", "trio"):
            with pytest.raises(StreamInterrupted, match="the event loop that the stream was read in is over"):
                anyio.run(stream.final, backend=backend)

        assert (stream.message.text, stream.message.ending) == ("Hello €", "truncated")
        assert is_closed(server)
        asyncio.run(stream.aclose())


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_f79_on_trio_without_a_block_a_cancelled_read_is_told_of() -> None:
    async with AsyncExitStack() as stack:
        with open_after(HELLO) as server:
            stream = await begin("httpx", server, stack)
            await first_text(stream)
            await cancelled_when(lambda: stream.message.text == "Hello €", stream.final)
            with pytest.raises(StreamInterrupted, match="cancelled") as caught:
                await stream.final()
            assert caught.value.partial.text == "Hello €"
            assert is_closed(server)
