"""Streams and their event loops: another one, one that ends, one of another make."""

from __future__ import annotations

import asyncio
import gc
import importlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import anyio
import pytest
import trio

from tests.stream.async_sources import HEL, HELLO, first_text, is_closed, open_after, readers, texts_of, until
from tests.support.sampling import sampled
from tokenstream import AsyncStream, aconnect
from tokenstream.errors import MisuseError, StreamInterrupted


@pytest.mark.parametrize("kinds", [("asyncio", "asyncio"), ("trio", "trio"), ("asyncio", "trio")])
def test_another_event_loop_is_refused_by_name(kinds: tuple[str, str]) -> None:
    first, second = kinds
    streams: list[AsyncStream] = []

    async def begin(url: str) -> None:
        streams.append(aconnect(url))
        assert await first_text(streams[0]) == "Hel"

    async def go_on() -> None:
        with pytest.raises(MisuseError, match=f"{first} loop 0x.* {second} loop 0x"):
            await anext(streams[0])

    with open_after(HEL) as server:
        if first == "trio":
            # In a block, since trio itself closes what is left of a generator.
            async def both() -> None:
                streams.append(aconnect(server.url))
                async with streams[0]:
                    assert await first_text(streams[0]) == "Hel"
                    await anyio.to_thread.run_sync(lambda: trio.run(go_on))

            trio.run(both)
        else:
            loop = asyncio.new_event_loop()
            loop.run_until_complete(begin(server.url))
            anyio.run(go_on, backend=second)
            loop.run_until_complete(streams[0].aclose())
            loop.close()
        assert is_closed(server)
        assert streams[0].message.text == "Hel"


def test_closing_in_another_loop_ends_the_task_and_says_so() -> None:
    loop = asyncio.new_event_loop()
    with open_after(HEL) as server:
        stream = aconnect(server.url)
        loop.run_until_complete(first_text(stream))
        with pytest.raises(MisuseError, match=r"asyncio loop 0x.* asyncio loop 0x"):
            asyncio.run(stream.aclose())
        loop.run_until_complete(_until_no_task_is_left())
        assert is_closed(server)
        assert asyncio.all_tasks(loop) == set()
    loop.close()


async def _until_no_task_is_left() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait_for(asyncio.gather(*others, return_exceptions=True), 5)


def _in_a_loop_that_is_over(kind: str, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    if kind == "trio.run":
        trio.run(main)
    elif kind == "asyncio.run":
        asyncio.run(main())
    else:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        loop.close()


LOOPS_THAT_END = [
    "asyncio.run",
    pytest.param(
        "loop.close",
        marks=pytest.mark.leaves_behind(
            "anyio keeps a task, and all that it holds, if its loop is closed first"
        ),
    ),
    "trio.run",
]
every_end = pytest.mark.parametrize("ended", LOOPS_THAT_END)
every_other = pytest.mark.parametrize("other", ["asyncio", "trio"])
# What asyncio and trio say of a task and of httpx's generators that were left unfinished.
quiet = pytest.mark.filterwarnings(
    "ignore:Async generator:ResourceWarning",
    "ignore:.*was never closed:ResourceWarning",
    "ignore:unclosed:ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)


@quiet
@every_end
@every_other
def test_a_stream_whose_loop_is_over_is_over_too(ended: str, other: str) -> None:
    streams: list[AsyncStream] = []

    async def begin() -> None:
        streams.append(aconnect(server.url))
        assert await first_text(streams[0]) == "Hel"

    async def go_on() -> None:
        for _ in range(2):
            with pytest.raises(StreamInterrupted, match=r"event loop .* is over") as caught:
                await texts_of(streams[0])
            assert caught.value.partial.text == "Hel"

    with open_after(HEL) as server:
        _in_a_loop_that_is_over(ended, begin)
        assert streams[0].closed
        anyio.run(go_on, backend=other)

        assert streams[0].message.ending == "truncated"
        assert server.connection(0).closed_within()
        gc.collect()


@quiet
@every_end
@every_other
@pytest.mark.parametrize("end", ["stop", "aclose"])
def test_a_stream_whose_loop_is_over_can_be_ended_elsewhere(ended: str, other: str, end: str) -> None:
    streams: list[AsyncStream] = []

    async def begin() -> None:
        streams.append(aconnect(server.url))
        assert await first_text(streams[0]) == "Hel"

    async def finish() -> None:
        if end == "stop":
            streams[0].stop("enough")
        else:
            await streams[0].aclose()

    with open_after(HEL) as server:
        _in_a_loop_that_is_over(ended, begin)
        anyio.run(finish, backend=other)

        assert streams[0].closed
        assert (streams[0].message.text, streams[0].message.ending) == ("Hel", "stopped")
        gc.collect()


@pytest.mark.parametrize("other", ["asyncio", "trio"])
def test_what_was_read_ahead_is_given_after_the_loop_is_over(other: str) -> None:
    """An answer that came whole while the loop was there is a whole answer."""
    streams: list[AsyncStream] = []

    async def body() -> AsyncIterator[bytes]:
        for chunk in HELLO:
            yield chunk

    async def begin() -> None:
        streams.append(AsyncStream(body()))
        assert await first_text(streams[0]) == "Hel"
        await until(lambda: not readers())

    async def go_on() -> None:
        assert (await streams[0].final()).text == "Hello"

    asyncio.run(begin())
    anyio.run(go_on, backend=other)

    assert streams[0].message.ending == "complete"
    assert streams[0].closed


LEFT_OPEN = """
import asyncio, sys, warnings
from tokenstream import AsyncStream
async def body():
    try:
        yield b"data: Hel\\n\\n"
        await asyncio.sleep(60)
    finally:
        print("closed")
kept = []
async def main():
    kept.append(AsyncStream(body()))
    print(await anext(kept[0].text))
{run}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "run",
    sampled(
        [
            "asyncio.run(main())",
            "loop = asyncio.new_event_loop(); loop.run_until_complete(main()); loop.close(); print('closed')",
            "import trio; asyncio.sleep = trio.sleep; trio.run(main)",
        ],
        one_in=3,
    ),
)
def test_the_interpreter_ends_with_an_open_stream(run: str) -> None:
    code = [sys.executable, "-W", "ignore::ResourceWarning", "-c", LEFT_OPEN.format(run=run)]
    done = subprocess.run(code, capture_output=True, text=True, timeout=200, check=True)

    assert done.stdout.split() == ["Hel", "closed"]
    assert done.stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no uvloop for Windows")
def test_under_uvloop() -> None:
    uvloop: Any = importlib.import_module("uvloop")

    async def main(url: str) -> None:
        async with aconnect(url) as stream:
            assert await first_text(stream) == "Hel"
            for _ in range(3):
                with anyio.move_on_after(0.02):
                    await anext(stream)
            await asyncio.to_thread(stream.stop)
            assert await texts_of(stream) == ["Hel"]
            assert stream.message.ending == "stopped"
        forgotten = aconnect(url)
        await first_text(forgotten)
        with pytest.warns(ResourceWarning, match="never closed"):
            del forgotten
            gc.collect()
        await until(lambda: not readers())

    with open_after(HEL) as server:
        uvloop.run(main(server.url))
        for number in range(2):
            assert server.connection(number).closed_within()
