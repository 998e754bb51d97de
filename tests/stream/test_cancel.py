"""Cancelling what reads a stream: what passes, what is closed, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, nullcontext
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio

from tests.stream.async_sources import (
    END,
    HEL,
    HELLO,
    LO,
    PATIENCE,
    Scripted,
    begun,
    cancelled_when,
    every_kind,
    first_text,
    is_closed,
    open_after,
    read_in_a_block,
    readers,
    serving,
    until,
    when,
)
from tests.support.loopback import Loopback
from tokenstream import AsyncStream, aconnect
from tokenstream.errors import StreamTruncated
from tokenstream.stream._reading import direct_reader as _direct
from tokenstream.stream._reading import reader as _reader

pytestmark = pytest.mark.anyio
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])
on_trio = pytest.mark.parametrize("anyio_backend", ["trio"])


def has_begun(stream: AsyncStream) -> Callable[[], object]:
    return lambda: stream.message.text


def expire(scope: anyio.CancelScope) -> None:
    scope.deadline = anyio.current_time()


# -- what passes ---------------------------------------------------------------


@on_asyncio
@every_kind
@pytest.mark.parametrize("block", [False, True])
async def test_a_cancelled_task_passes_its_cancellation_unchanged(kind: str, block: bool) -> None:
    closed: list[bool] = []
    met: list[BaseException] = []
    async with begun(kind, open_after(HEL)) as (stream, server):

        async def read() -> None:
            try:
                async with stream if block else nullcontext():
                    await stream.final()
            except asyncio.CancelledError as cancellation:
                met.append(cancellation)
                if block:
                    closed.append(is_closed(server))
                raise

        task = asyncio.create_task(read())
        await until(lambda: stream.message.text)
        task.cancel("mine")
        await asyncio.wait([task])

        assert task.cancelled()
        assert [cancellation.args for cancellation in met] == [("mine",)]
        assert closed == [True] * block
        assert stream.message.text == "Hel"
        assert stream.message.ending == ("stopped" if block else "streaming")
        await stream.aclose()
        assert readers() == []


@on_asyncio
@every_kind
async def test_asyncio_timeout_around_a_block(kind: str) -> None:
    async with begun(kind, open_after(HEL)) as (stream, server):
        loop = asyncio.get_running_loop()
        async with anyio.create_task_group() as tasks:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(PATIENCE) as limit, stream:
                    tasks.start_soon(when, has_begun(stream), lambda: limit.reschedule(loop.time()))
                    await stream.final()
        assert is_closed(server)
        assert (stream.message.text, stream.message.ending) == ("Hel", "stopped")
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0


@every_kind
async def test_anyio_move_on_after_around_a_block(kind: str) -> None:
    async with begun(kind, open_after(HEL)) as (stream, server):
        async with anyio.create_task_group() as tasks:
            with anyio.move_on_after(PATIENCE) as scope:
                async with stream:
                    tasks.start_soon(when, has_begun(stream), lambda: expire(scope))
                    await stream.final()
            assert scope.cancelled_caught
            await anyio.lowlevel.checkpoint()
        assert is_closed(server)
        assert (stream.message.text, stream.message.ending) == ("Hel", "stopped")


async def test_a_cancelled_scope_cancels_each_wait_until_it_is_left() -> None:
    """Level cancellation: a loop that swallows one meets the next."""
    met = 0
    with open_after(HEL) as server:
        async with aconnect(server.url) as stream:
            await first_text(stream)
            with anyio.move_on_after(0.02):
                for _ in range(3):
                    try:
                        await anext(stream)
                    except anyio.get_cancelled_exc_class():
                        met += 1
                await anyio.sleep(9)
            assert met == 3
            assert not stream.closed
            assert server.connection().open_after(0.02)


async def test_scopes_around_and_inside_a_block_keep_apart() -> None:
    seen: list[str] = []
    with open_after(HEL) as server:
        with anyio.move_on_after(PATIENCE) as outer:
            async with aconnect(server.url) as stream:
                await first_text(stream)
                for number in range(3):
                    with anyio.move_on_after(0.02) as inner:
                        await anext(stream)
                    assert inner.cancelled_caught
                    assert not outer.cancel_called
                    seen.append(str(number))
                outer.deadline = anyio.current_time() + 0.02
                await anext(stream)
        assert outer.cancelled_caught
        assert seen == ["0", "1", "2"]
        assert is_closed(server)


async def test_a_group_of_tasks_inside_a_block_is_the_callers() -> None:
    async def fail() -> None:
        await until(has_begun(stream))
        raise KeyError("mine")

    with open_after(HEL) as server:
        stream = aconnect(server.url)
        with pytest.raises(ExceptionGroup) as caught:
            async with stream, anyio.create_task_group() as tasks:
                tasks.start_soon(fail)
                await stream.final()
        assert [type(error) for error in caught.value.exceptions] == [KeyError]
        assert is_closed(server)
        assert (stream.message.text, stream.message.ending) == ("Hel", "stopped")


async def test_what_a_block_raises_while_it_is_cancelled_leaves_it() -> None:
    """The cancellation of the task that reads does not take its place."""
    mine = KeyError("mine")
    with open_after(HEL) as server:
        with pytest.raises(KeyError) as caught:
            with anyio.CancelScope() as scope:
                async with aconnect(server.url) as stream:
                    await first_text(stream)
                    scope.cancel()
                    raise mine
        assert caught.value is mine
        assert is_closed(server)


async def test_a_shielded_read_goes_on_while_the_scope_around_its_block_is_cancelled() -> None:
    """The task that reads belongs to the block, and ends with it."""
    with serving(HEL, 0.1, LO + END) as server:
        stream = aconnect(server.url)
        with anyio.CancelScope() as scope:
            async with stream:
                await first_text(stream)
                scope.cancel()
                with anyio.CancelScope(shield=True):
                    assert (await stream.final()).text == "Hello"
    assert stream.message.ending == "complete"


@on_trio
async def test_trio_nurseries_around_streams() -> None:
    endings: list[str] = []

    async def read(server: Loopback) -> None:
        stream = aconnect(server.url)
        try:
            async with stream:
                await stream.final()
        finally:
            endings.append(stream.message.ending)

    with open_after(HEL) as silent, serving(HEL) as cut:
        with pytest.raises(ExceptionGroup) as caught:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read, silent)
                nursery.start_soon(read, silent)
                await until(lambda: len(silent.requests) == 2)
                nursery.start_soon(read, cut)
        assert [type(error) for error in caught.value.exceptions] == [StreamTruncated]
        assert sorted(endings) == ["stopped", "stopped", "truncated"]
        for number in range(2):
            assert silent.connection(number).closed_within()


@pytest.mark.parametrize("kind", ["aconnect", "aconnect with a client"])
async def test_a_cancellation_while_a_block_is_entered_closes_too(kind: str) -> None:
    async with begun(kind, Loopback([9.0])) as (stream, server):
        await cancelled_when(lambda: server.requests, lambda: read_in_a_block(stream))
        assert is_closed(server)
        assert stream.message.ending == "stopped"
        assert stream.closed
        assert readers() == []


# -- closing under cancellation -----------------------------------------------------------


class SlowToClose(Scripted):
    """A source whose closing takes a while, and that tells when it has begun."""

    is_closing = False
    goes_on: Callable[[], object] = staticmethod(lambda: False)
    """Returns what is true as long as the closing goes on."""

    async def aclose(self) -> None:
        self.is_closing = True
        while self.goes_on():  # noqa: ASYNC110 - nothing tells
            await anyio.sleep(0.002)
        await anyio.sleep(0.1)
        await super().aclose()


async def test_a_source_that_closes_slowly_is_waited_for_although_the_block_is_cancelled() -> None:
    source = SlowToClose(*HELLO[:1], 9.0)
    stream = AsyncStream(source)
    await cancelled_when(has_begun(stream), lambda: read_in_a_block(stream))
    assert source.closed == 1
    assert stream.message.ending == "stopped"


@pytest.mark.parametrize("reads", [True, False])
async def test_a_closing_that_is_cancelled_closes_its_source_all_the_same(*, reads: bool) -> None:
    source = SlowToClose(*HELLO[:1], 9.0)
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            source.goes_on = lambda: not scope.cancel_called
            tasks.start_soon(when, lambda: source.is_closing, scope.cancel)
            async with AsyncStream(source) as stream:
                if reads:
                    await first_text(stream)
        assert scope.cancelled_caught
    assert source.closed == 1


@on_asyncio
async def test_a_task_that_is_cancelled_while_it_closes_a_source_closes_it() -> None:
    """A cancellation of asyncio goes through every shield."""
    source = SlowToClose(*HELLO[:1], 9.0)

    async def leave_unread() -> None:
        async with AsyncStream(source):
            pass

    task = asyncio.create_task(leave_unread())
    source.goes_on = lambda: not task.cancelling()
    await until(lambda: source.is_closing)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.closed == 1


async def test_a_generator_cleans_up_although_the_block_is_cancelled() -> None:
    cleaned: list[str] = []

    async def body() -> AsyncIterator[bytes]:
        try:
            yield HEL
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.05)
                cleaned.append("yes")

    stream = AsyncStream(body())
    await cancelled_when(has_begun(stream), lambda: read_in_a_block(stream))
    assert cleaned == ["yes"]
    assert stream.message.text == "Hel"


class Stuck(Scripted):
    async def aclose(self) -> None:
        await anyio.sleep_forever()


@pytest.mark.slow
async def test_a_source_that_never_closes_does_not_hold_a_cancelled_block_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_reader, "CLOSING_SECONDS", 0.1)
    monkeypatch.setattr(_direct, "CLOSING_SECONDS", 0.1)
    for entered in (True, False):
        stream = AsyncStream(Stuck(HEL, 9.0))
        around: Any = stream if entered else aclosing(stream)
        async with anyio.create_task_group() as tasks:
            with anyio.CancelScope() as scope:
                async with around:
                    tasks.start_soon(when, has_begun(stream), scope.cancel)
                    await stream.final()
            assert scope.cancelled_caught
        assert stream.message.text == "Hel"
        await until(lambda: not readers())


async def test_a_source_that_never_closes_can_be_left_by_a_cancellation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever waits in `aclose` decides how long."""
    monkeypatch.setattr(_reader, "CLOSING_SECONDS", 0.05)
    async with AsyncStream(Stuck(HEL, 9.0)) as stream:
        await first_text(stream)
        with anyio.move_on_after(0.05) as scope:
            await stream.aclose()
        assert scope.cancelled_caught
    assert stream.closed


class LateToClose:
    """A source that ends after its chunks, and whose closing waits until it may end."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = iter(chunks)
        self.is_closing, self.may_close = asyncio.Event(), asyncio.Event()

    def __aiter__(self) -> LateToClose:
        return self

    async def __anext__(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        for chunk in self._chunks:
            return chunk
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.is_closing.set()
        await self.may_close.wait()


@on_asyncio
@pytest.mark.parametrize("begins_anew", [False, True], ids=["the same loop", "a new loop"])
async def test_the_error_of_an_answer_is_raised_although_its_closing_was_cancelled(begins_anew: bool) -> None:
    """A timeout around `anext` loses nothing, not even the error of an answer that was cut off."""
    source = LateToClose(HEL)
    async with AsyncStream(source, format="openai-chat") as stream:
        reading = asyncio.ensure_future(read_all(stream))
        await source.is_closing.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        source.may_close.set()
        with pytest.raises(StreamTruncated):
            await (read_all(stream) if begins_anew else anext(stream))
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def read_all(stream: AsyncStream) -> None:
    async for _ in stream:
        pass


@on_asyncio
async def test_a_cancellation_while_a_guard_ends_leaves_no_source_open() -> None:
    """The guard cleans up when the block is left, and the task is cancelled meanwhile."""
    guard_ends = asyncio.Event()

    async def clean_up_late(_message: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            guard_ends.set()
            await anyio.lowlevel.checkpoint()

    async def leave() -> None:
        async with aconnect(server.url) as stream:
            streams.append(stream)
            stream.guard(clean_up_late, first_tokens=1)
            await first_text(stream)
            await anyio.wait_all_tasks_blocked()

    streams: list[AsyncStream] = []
    with open_after(HEL) as server:
        leaving = asyncio.ensure_future(leave())
        await guard_ends.wait()
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert streams[0].closed
        assert is_closed(server)
