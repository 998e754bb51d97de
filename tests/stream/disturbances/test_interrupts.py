"""What signals and cancellations may do to a stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

from tests.stream.async_sources import cancelled_when
from tests.stream.bodies import ANSWER, TOKENS, AsyncSource, Source
from tests.stream.test_ending import Nosy
from tests.support.timing import PATIENCE
from tokenstream import AsyncStream, Stream
from tokenstream.errors import StreamInterrupted


def interrupt() -> None:
    raise KeyboardInterrupt


def test_ctrl_c_while_an_event_is_decoded_never_looks_like_the_end() -> None:
    """It passes; reading on says that the stream was broken off, and the source is closed."""
    source = Source(TOKENS)
    stream = Stream(source, format=Nosy(interrupt))
    with pytest.raises(KeyboardInterrupt):
        stream.final()
    with pytest.raises(StreamInterrupted, match="broken off") as caught:
        list(stream)

    assert caught.value.partial.ending != "streaming"
    assert stream.message.ending == "truncated"
    assert source.closed == 1


def test_the_same_in_an_async_loop() -> None:
    """No RuntimeError of a coroutine."""

    async def main() -> None:
        source = AsyncSource(TOKENS)
        stream = AsyncStream(source, format=Nosy(interrupt))
        with pytest.raises(KeyboardInterrupt):
            await anext(stream)
        with pytest.raises(StreamInterrupted, match="broken off"):
            await stream.final()
        assert source.closed == 1

    anyio.run(main)


def test_a_read_that_is_cancelled_after_the_stream_was_closed_closes_the_source() -> None:
    """Whoever comes last closes, although a cancellation is on its way."""

    async def main() -> None:
        closed = anyio.Event()

        class Slow(AsyncSource):
            async def __anext__(self) -> bytes:
                await anyio.sleep_forever()
                return b""

            async def aclose(self) -> None:
                await anyio.lowlevel.checkpoint()
                closed.set()

        stream = AsyncStream(Slow([]))
        async with anyio.create_task_group() as tasks:
            async with stream:
                tasks.start_soon(stream.final)
                await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert closed.is_set()
        assert stream.closed

    for backend in ("asyncio", "trio"):
        anyio.run(main, backend=backend)


def test_a_read_that_ctrl_c_broke_off_never_looks_like_the_end() -> None:
    """A generator is over then, and ends silently."""

    def body() -> Iterator[str]:
        yield "Hel"
        raise KeyboardInterrupt

    stream = Stream(body(), format="pieces")
    with pytest.raises(KeyboardInterrupt):
        stream.final()
    with pytest.raises(StreamInterrupted, match="broken off"):
        stream.final()
    assert stream.message.text == "Hel"


def test_a_source_that_survives_a_cancelled_read_goes_on() -> None:
    """Only a silent end after it is suspicious."""

    async def main() -> None:
        class Queue:
            def __init__(self) -> None:
                self.items = [*ANSWER]
                self.waits = False

            def __aiter__(self) -> Queue:
                return self

            async def __anext__(self) -> bytes:
                if not self.waits:
                    self.waits = True
                    await anyio.sleep_forever()
                if not self.items:
                    raise StopAsyncIteration
                return self.items.pop(0)

        source = Queue()
        stream = AsyncStream(source)
        await cancelled_when(lambda: source.waits, stream.final)
        assert (await stream.final()).text == "Let me see."

    # Outside a block, where trio has no task to read it.
    anyio.run(main, backend="trio")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("block", [True, False], ids=["in a block", "bare"])
@pytest.mark.parametrize("how", ["fail_after", "task group"])
def test_a_manager_may_hold_a_cancel_scope_while_it_is_entered(how: str, block: bool, backend: str) -> None:
    """Scopes are left in their order, whichever task opens and closes the source."""

    @asynccontextmanager
    async def gateway() -> AsyncGenerator[AsyncSource]:
        if how == "fail_after":
            with anyio.fail_after(PATIENCE):
                yield AsyncSource(ANSWER)
        else:
            async with anyio.create_task_group():
                yield AsyncSource(ANSWER)

    async def main() -> str:
        stream = AsyncStream(gateway())
        if block:
            async with stream:
                return (await stream.final()).text
        return (await stream.final()).text

    assert anyio.run(main, backend=backend) == "Let me see."
