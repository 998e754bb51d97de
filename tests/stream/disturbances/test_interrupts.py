"""What signals, cancellations, other threads and other tasks may do to a stream."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext

import anyio
import anyio.lowlevel
import pytest

from tests.stream.async_sources import cancelled_when
from tests.stream.bodies import ANSWER, TOKENS, AsyncSource, source_in
from tests.stream.test_ending import Nosy
from tests.support.either import Each, got, in_each_loop, stream_in
from tests.support.loopback import Loopback, until_close
from tests.support.timing import PATIENCE
from tokenstream import AsyncStream, Stream, aconnect
from tokenstream.errors import MisuseError, StreamError, StreamInterrupted, StreamTruncated


def interrupt() -> None:
    raise KeyboardInterrupt


@in_each_loop
async def test_ctrl_c_while_an_event_is_decoded_never_looks_like_the_end(colour: str) -> None:
    """In an event loop, no RuntimeError of a coroutine comes of it."""
    source = source_in(colour)(TOKENS)
    stream = stream_in(colour)(source, format=Nosy(interrupt))
    with pytest.raises(KeyboardInterrupt):
        await anext(Each(stream))
    with pytest.raises(StreamInterrupted, match="broken off") as caught:
        _ = [event async for event in Each(stream)]
    with pytest.raises(StreamInterrupted, match="broken off"):
        await got(stream.final())

    assert caught.value.partial.ending != "streaming"
    assert stream.message.ending == "truncated"
    assert source.closed == 1


@pytest.mark.anyio
async def test_a_read_that_is_cancelled_after_the_stream_was_closed_closes_the_source() -> None:
    """Whoever comes last closes, although a cancellation is on its way."""
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


@pytest.mark.anyio
@pytest.mark.parametrize("block", [True, False], ids=["in a block", "bare"])
@pytest.mark.parametrize("how", ["fail_after", "task group"])
async def test_a_manager_may_hold_a_cancel_scope_while_it_is_entered(how: str, block: bool) -> None:
    """Scopes are left in their order, whichever task opens and closes the source."""

    @asynccontextmanager
    async def gateway() -> AsyncGenerator[AsyncSource]:
        if how == "fail_after":
            with anyio.fail_after(PATIENCE):
                yield AsyncSource(ANSWER)
        else:
            async with anyio.create_task_group():
                yield AsyncSource(ANSWER)

    stream = AsyncStream(gateway())
    async with stream if block else nullcontext():
        assert (await stream.final()).text == "Let me see."


def test_a_stop_within_the_source_closes_it_when_it_comes_back() -> None:
    """The read in progress is the one to close."""
    ended: list[bool] = []

    def body() -> Iterator[bytes]:
        try:
            yield ANSWER[2]
            stream.stop()
            yield ANSWER[3]
        finally:
            ended.append(True)

    stream = Stream(body())

    assert list(stream.text) == ["Let "]
    assert ended == [True]


def test_a_request_is_sent_once_however_its_answer_is_waited_for() -> None:
    gate = threading.Event()

    async def main(server: Loopback, error: type[StreamError], words: str) -> None:
        gate.clear()
        before = len(server.requests)
        async with AsyncExitStack() as stack:
            stream = aconnect(server.url)
            stack.push_async_callback(stream.aclose)
            await cancelled_when(lambda: len(server.requests) > before, stream.__anext__)
            gate.set()
            with pytest.raises(error, match=words):
                await stream.final()

        gate.clear()
        both = aconnect(server.url)
        refused: list[BaseException] = []

        async def read() -> None:
            try:
                await anext(both)
            except MisuseError as caught:
                refused.append(caught)
                gate.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            tasks.start_soon(read)
        await both.aclose()
        assert len(refused) == 1

    with Loopback([gate, *until_close(ANSWER[0])]) as server:
        # On asyncio the wait goes on in a task; on trio, outside a block, it cannot.
        anyio.run(main, server, StreamTruncated, "ended after 1 frame,")
        anyio.run(main, server, StreamInterrupted, "broken off", backend="trio")
        assert len(server.requests) == 4
