"""Thousands of streams in one process, broken off, recovered and dropped: nothing is left of them."""

from __future__ import annotations

import asyncio
import gc
import random
import tracemalloc
import warnings
from collections.abc import AsyncIterator

import pytest

from tests.support.effort import trials
from tests.support.timing import own_threads
from tokenstream import Retry, aresilient, resilient, testing
from tokenstream.errors import StreamError

SCRIPT = testing.script().text("Hello wonderful world").tool_call("now", {"zone": "UTC"}).finish("tool_calls")
WHOLE = SCRIPT.chunks("anthropic")
STREAMS = trials(10_000, one_in=4)
GROWTH = 200_000 + 20 * STREAMS
"""Bytes that may be held more after the second half than after the first: less than a stream for each."""


def held() -> int:
    """Return the bytes that are held once all that can be collected is."""
    for _ in range(3):
        gc.collect()
    return tracemalloc.get_traced_memory()[0]


def one(chance: random.Random) -> None:
    """Open a stream, break it somewhere, and leave it in one of the ways that people have."""
    cuts = [WHOLE[: chance.randrange(len(WHOLE))] for _ in range(2)]
    bodies = [*cuts, WHOLE]
    retry = Retry(again=chance.random() < 0.5, wait=0)
    stream = resilient(lambda: bodies.pop(0), retry, format="anthropic")
    leave = chance.choice(["read", "text", "drop", "stop", "close", "open"])
    try:
        if leave == "read":
            for _ in stream:
                pass
        elif leave == "text":
            for _ in stream.text:
                pass
        else:
            stream.wait_open("event" if leave != "open" else "head")
            if leave == "stop":
                stream.stop()
            elif leave == "close":
                stream.close()
    except StreamError:
        pass


async def one_async(chance: random.Random) -> None:
    """The same on asyncio, where tasks read, wait and are cancelled."""
    cuts = [WHOLE[: chance.randrange(len(WHOLE))] for _ in range(2)]
    bodies = [*cuts, WHOLE]

    async def body() -> AsyncIterator[bytes]:
        for chunk in bodies.pop(0):
            await asyncio.sleep(0)
            yield chunk

    wait = chance.choice([0, 0, 0, 30])
    stream = aresilient(body, Retry(again=True, wait=wait), format="anthropic")
    leave = chance.choice(["read", "text", "cancel", "stop", "close"])
    try:
        async with stream, asyncio.timeout(0.01 if wait else None):
            if leave == "read":
                await stream.final()
            elif leave == "text":
                async for _ in stream.text:
                    pass
            elif leave == "cancel":
                task = asyncio.ensure_future(stream.final())
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
            elif leave == "stop":
                await anext(stream)
                stream.stop()
    except (StreamError, TimeoutError, StopAsyncIteration):
        pass


@pytest.mark.slow
def test_memory_does_not_grow_with_streams_that_were_broken_off() -> None:
    chance = random.Random(15)
    threads = own_threads()
    with warnings.catch_warnings():
        # Those that are dropped say so.
        warnings.simplefilter("ignore", ResourceWarning)
        for _ in range(STREAMS // 10):
            one(chance)
        tracemalloc.start()
        before = held()
        for _ in range(STREAMS // 2):
            one(chance)
        after = held()
        tracemalloc.stop()

    assert after - before < GROWTH
    assert own_threads() <= threads


@pytest.mark.slow
def test_memory_and_tasks_do_not_grow_on_an_event_loop() -> None:
    chance = random.Random(16)

    async def main() -> tuple[int, int]:
        for _ in range(STREAMS // 10):
            await one_async(chance)
        tracemalloc.start()
        before = held()
        for _ in range(STREAMS // 2):
            await one_async(chance)
        await asyncio.sleep(0.05)
        after = held()
        tracemalloc.stop()
        return after - before, len(asyncio.all_tasks())

    growth, tasks = asyncio.run(main())

    assert growth < GROWTH
    assert tasks == 1
