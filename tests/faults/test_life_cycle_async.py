"""How a stream in an event loop is stopped and cancelled: what rows F77 and F79 do not say."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import anyio
import pytest

from tests.faults.driver import HELLO
from tests.stream.async_sources import (
    PATIENCE,
    begin,
    cancelled_when,
    first_text,
    is_closed,
    open_after,
    read_in_a_block,
    until,
    when,
)
from tokenstream import aconnect
from tokenstream.errors import StreamInterrupted

pytestmark = [pytest.mark.not_quick, pytest.mark.anyio]


async def test_f77_stop_in_another_task_ends_a_read_without_a_block() -> None:
    with open_after(HELLO) as server:
        stream = aconnect(server.url)
        texts: list[str] = []

        async def read() -> None:
            async for piece in stream.text:
                texts.append(piece)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await until(lambda: len(texts) == 2)
            await anyio.wait_all_tasks_blocked()
            stream.stop()
        assert texts == ["Hel", "lo €"]
        assert stream.message.ending == "stopped"
        assert is_closed(server)


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


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_f79_on_trio_without_a_block_a_cancelled_read_is_reported() -> None:
    async with AsyncExitStack() as stack:
        with open_after(HELLO) as server:
            stream = await begin("httpx", server, stack)
            await first_text(stream)
            await cancelled_when(lambda: stream.message.text == "Hello €", stream.final)
            with pytest.raises(StreamInterrupted, match="cancelled") as caught:
                await stream.final()
            assert caught.value.partial.text == "Hello €"
            assert is_closed(server)
