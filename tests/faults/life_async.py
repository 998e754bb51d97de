"""How a stream in an `async for` loop is left, interrupted and shared, measured over real sockets."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing

import anyio

from tests.faults.driver import END, HELLO, MORE
from tests.faults.matrix import Result, World, dropped, saw, state_of
from tests.stream.async_sources import (
    begin,
    cancelled_when,
    first_text,
    open_after,
    read_in_a_block,
    readers,
    seen_closed,
    serving,
    texts_of,
    until,
)
from tests.support.timing import AT_ONCE
from tokenstream import AsyncStream, aconnect
from tokenstream.errors import MisuseError, StreamInterrupted


async def break_and_drop() -> Result:
    async with AsyncExitStack() as stack:
        with open_after(HELLO) as server, warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            stream = await begin("httpx", server, stack)
            async for _ in stream.text:
                break
            message = stream.message
            del stream
            gc.collect()
            await seen_closed(server)
            await until(lambda: not readers())
            return dropped(message, server, warned)


async def ended_by(end: Callable[[AsyncStream], Awaitable[None]]) -> Result:
    with open_after(HELLO) as server:
        async with aconnect(server.url) as stream:
            begun, ended = [0.0], [0.0]

            async def read() -> None:
                await texts_of(stream)
                ended[0] = time.monotonic()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                await until(lambda: stream.message.text == "Hello €")
                await anyio.wait_all_tasks_blocked()
                begun[0] = time.monotonic()
                await end(stream)
            soon = 0 < ended[0] - begun[0] < AT_ONCE
            return state_of(stream, server, saw("the loop ends at once", soon))


async def stop_in_another_thread() -> Result:
    async def end(stream: AsyncStream) -> None:
        stopper = threading.Thread(target=stream.stop)
        stopper.start()
        stopper.join()

    return await ended_by(end)


async def close_in_another_task() -> Result:
    return await ended_by(AsyncStream.aclose)


async def second_reader() -> Result:
    gate = threading.Event()
    with serving(HELLO, gate, MORE + END) as server:
        async with aconnect(server.url) as stream:
            refused: list[MisuseError] = []
            read: list[str] = []

            async def first() -> None:
                read.append((await stream.final()).text)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(first)
                await until(lambda: stream.message.text == "Hello €")
                await anyio.wait_all_tasks_blocked()
                try:
                    await anext(stream)
                except MisuseError as error:
                    refused.append(error)
                gate.set()
        told = saw("the first reader continues", read == ["Hello €!"])
        return state_of(stream, server, told, error=refused[0])


async def cancelled() -> Result:
    seen: list[BaseException] = []
    closed: list[bool] = []
    with open_after(HELLO) as server:
        stream = aconnect(server.url)

        async def read() -> None:
            try:
                await read_in_a_block(stream)
            except anyio.get_cancelled_exc_class() as error:
                seen.append(error)
                closed.append(server.connection().closed_within())
                raise

        await cancelled_when(lambda: stream.message.text == "Hello €", read)
        return state_of(
            stream,
            server,
            saw("the source is closed before the cancellation leaves the block", closed == [True]),
            error=seen[0],
        )


async def generator_closed() -> Result:
    with open_after(HELLO) as server:
        stream = aconnect(server.url)

        async def pieces() -> AsyncGenerator[str, None]:
            async with stream:
                async for piece in stream.text:
                    yield piece

        async with aclosing(pieces()) as around:
            await anext(around)
        return state_of(stream, server)


async def read_within_a_read() -> Result:
    refused: list[MisuseError] = []

    async def body() -> AsyncGenerator[bytes, None]:
        yield HELLO
        try:
            await anext(stream)
        except MisuseError as error:
            refused.append(error)
        yield END

    async with AsyncStream(body()) as stream:
        text = (await stream.final()).text
    return state_of(stream, None, saw("the first read continues", text == "Hello €"), error=refused[0])


PROGRAM = """
import sys, {world}
from tokenstream import aconnect
kept = []
async def main():
    kept.append(aconnect(sys.argv[1]))
    print(await anext(kept[0].text))
{world}.run(main{call})
"""


# -- several event loops ---------------------------------------------------------------


async def _begun(url: str) -> AsyncStream:
    stream = aconnect(url)
    await first_text(stream)
    return stream


def in_another_loop(world: World) -> Result:
    """Begin to read in a loop of asyncio's, and go on in another one."""
    with open_after(HELLO) as server:
        loop = asyncio.new_event_loop()
        stream = loop.run_until_complete(_begun(server.url))
        try:
            anyio.run(stream.final, backend=world)
        except MisuseError as refused:
            error = refused
        else:
            raise LookupError
        loop.run_until_complete(stream.aclose())
        loop.close()
        named = "asyncio loop 0x" in str(error) and f"{world} loop 0x" in str(error)
        return state_of(stream, server, saw("the message names both loops", named), error=error)


def after_its_loop(world: World) -> Result:
    """Begin to read in a loop that is over when another one goes on."""
    with open_after(HELLO) as server:
        stream = asyncio.run(_begun(server.url))
        try:
            anyio.run(stream.final, backend=world)
        except StreamInterrupted as error:
            return state_of(stream, server, error=error)
        raise LookupError
