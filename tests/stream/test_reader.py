"""The task that reads ahead: bounded, in order, alone, and gone when it should be."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from tests.stream.async_sources import END, HEL, HELLO, LO, Scripted, first_text, readers, texts_of, until
from tests.support import wire
from tests.support.raised import misuse
from tests.support.timing import PATIENCE
from tests.support.wire import sse
from tokenstream import AsyncStream, Deadlines
from tokenstream.errors import ConnectError, ProtocolError, StreamInterrupted
from tokenstream.events import TextDelta
from tokenstream.stream._reading import reader_native as _reader_native

pytestmark = pytest.mark.anyio
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])
AHEAD = 128
"""Chunks that are held for a loop; as many again are in the loop's hands."""


# -- how far ahead -----------------------------------------------------------


class Endless:
    """Could give a million chunks, and never waits."""

    def __init__(self, chunk: bytes | None = None) -> None:
        self.given = 0
        self.closed = False
        self._chunk = chunk

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self.given += 1
        return self._chunk or wire.chat({"content": f"{self.given} "})

    async def aclose(self) -> None:
        self.closed = True


async def test_a_slow_loop_holds_the_source_back() -> None:
    source = Endless()
    async with AsyncStream(source) as stream:
        texts = stream.text
        for number in range(1, 200):
            assert await anext(texts) == f"{number} "
            if number % 20 == 0:
                # In this time no more is to be read than may be.
                await anyio.sleep(0.005)
            assert source.given <= number + 2 * AHEAD
        await anyio.wait_all_tasks_blocked()
        assert source.given <= 200 + 2 * AHEAD
    assert source.closed


async def test_large_chunks_are_held_back_by_their_bytes() -> None:
    """Four of 64 KiB are as many as 64 small ones."""
    chunk = wire.chat({"content": "x" * 65_536})
    source = Endless(chunk)
    async with AsyncStream(source) as stream:
        for taken in range(1, 30):
            await anext(stream)
            # In this time no more is to be read than may be.
            await anyio.sleep(0.002)
            assert source.given <= taken + 2 * 4
    assert source.closed


@on_asyncio
async def test_what_comes_as_an_earlier_wait_runs_out_is_delivered_at_once() -> None:
    """The timer of the wait for the first event rings later, too; a chunk at that moment wakes the loop."""
    loop = asyncio.get_running_loop()
    second: asyncio.Future[None] = loop.create_future()
    texts: list[str] = []

    async def body() -> AsyncIterator[bytes]:
        await anyio.lowlevel.checkpoint()
        yield HEL
        await second
        yield LO
        await anyio.sleep_forever()

    async def read() -> None:
        async with AsyncStream(body(), deadlines=Deadlines(first_event=0.1)) as stream:
            async for text in stream.text:
                texts.append(text)

    reading = asyncio.create_task(read())
    try:
        await until(lambda: texts == ["Hel"])
        await anyio.wait_all_tasks_blocked()
        # While the loop is busy, the chunk arrives, and the timer is due.
        loop.call_soon(second.set_result, None)
        time.sleep(0.1)  # noqa: ASYNC251 - to be busy

        with anyio.fail_after(PATIENCE):
            await until(lambda: texts == ["Hel", "lo"])
    finally:
        reading.cancel()
        await asyncio.wait([reading])


@pytest.mark.parametrize("deaf", [1, 3])
async def test_a_source_that_swallows_a_cancellation_is_ended_all_the_same(
    deaf: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_reader_native, "_AGAIN_SECONDS", 0.01)
    swallowed = 0

    class Deaf:
        closed = False

        def __init__(self) -> None:
            self.given = 0

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        async def __anext__(self) -> bytes:
            nonlocal swallowed
            self.given += 1
            if self.given == 1:
                return HEL
            while True:
                try:
                    await anyio.sleep_forever()
                except anyio.get_cancelled_exc_class():
                    swallowed += 1
                    if swallowed > deaf:
                        raise

        async def aclose(self) -> None:
            self.closed = True

    source = Deaf()
    with anyio.fail_after(PATIENCE):
        async with AsyncStream(source) as stream:
            assert await anext(stream.text) == "Hel"
            stream.stop()

    assert (swallowed, source.closed, stream.message.ending) == (deaf + 1, True, "stopped")
    assert not readers()


async def test_the_message_never_runs_ahead_of_the_loop() -> None:
    pieces = [f"{number} " for number in range(300)]
    source = Scripted(*[wire.chat({"content": piece}) for piece in pieces], END)
    text = ""
    async with AsyncStream(source) as stream:
        async for event in stream:
            if isinstance(event, TextDelta):
                text += event.text
            assert stream.message.text == text
            await anyio.lowlevel.checkpoint()
    assert text == "".join(pieces)
    assert stream.message.ending == "complete"


async def test_errors_keep_their_place_in_line() -> None:
    body = [wire.chat({"content": "a"}) for _ in range(10)]
    for fault, kind in ((OSError("reset"), StreamInterrupted), (sse("{broken}"), ProtocolError)):
        texts: list[str] = []
        async with AsyncStream(Scripted(*body, fault, LO)) as stream:
            await first_text(stream)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(kind) as caught:
                async for piece in stream.text:
                    texts.append(piece)
        assert texts == ["a"] * 10
        assert caught.value.partial.text == "a" * 10
        assert caught.value.partial == stream.message


# -- one at a time -------------------------------------------------------------


@pytest.mark.parametrize("block", [False, True])
@pytest.mark.parametrize("view", [False, True])
async def test_a_second_task_is_refused_at_once_and_the_first_goes_on(block: bool, view: bool) -> None:
    gate = anyio.Event()
    stream = AsyncStream(Scripted(HEL, gate, LO, END))
    texts: list[str] = []

    async def read() -> None:
        texts.extend(await texts_of(stream))

    async with stream if block else nullcontext(), anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await until(lambda: stream.message.text)
        await anyio.wait_all_tasks_blocked()
        for _ in range(3):
            with misuse("concurrent", match="only one may"):
                await anext(stream if not view else stream.reasoning)
        gate.set()
    assert texts == ["Hel", "lo"]
    assert stream.message.ending == "complete"


# -- what sources do -------------------------------------------------------------


@on_asyncio
async def test_a_source_that_raises_a_cancellation_of_its_own_is_an_interruption() -> None:
    stream = AsyncStream(Scripted(HEL, asyncio.CancelledError("theirs"), LO))
    with pytest.raises(StreamInterrupted) as caught:
        await stream.final()
    assert caught.value.partial.text == "Hel"
    assert stream.message.ending == "truncated"
    assert readers() == []


async def test_a_source_that_fails_to_close_is_reported_once() -> None:
    class Stubborn(Scripted):
        async def aclose(self) -> None:
            await super().aclose()
            raise OSError("cannot close")

    source = Stubborn(HEL, 9.0)
    stream = AsyncStream(source)
    with pytest.raises(OSError, match="cannot close"):
        async with stream:
            await first_text(stream)
    await stream.aclose()
    assert (source.closed, stream.closed, stream.message.ending) == (1, True, "stopped")

    mine = KeyError("mine")
    with pytest.raises(KeyError) as caught:
        async with AsyncStream(Stubborn(HEL, 9.0)) as stream:
            await first_text(stream)
            raise mine
    assert caught.value is mine
    assert caught.value.__context__ is None


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_what_is_no_exception_leaves_the_block_as_it_is() -> None:
    """Ctrl-C may meet the task that reads; asyncio lets it leave the event loop at once."""
    interrupt = KeyboardInterrupt()
    stream = AsyncStream(Scripted(HEL, 0.02, interrupt))
    with pytest.raises(KeyboardInterrupt) as caught:
        async with stream:
            await stream.final()
    assert caught.value is interrupt
    assert stream.message.text == "Hel"


def test_ctrl_c_in_the_task_that_reads_leaves_asyncio_run(caplog: pytest.LogCaptureFixture) -> None:
    interrupt = KeyboardInterrupt()
    source = Scripted(HEL, 0.02, interrupt)

    async def main() -> None:
        async with AsyncStream(source) as stream:
            await stream.final()

    with pytest.raises(KeyboardInterrupt) as caught:
        asyncio.run(main())
    assert caught.value is interrupt
    gc.collect()
    assert source.closed == 1
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


# -- what is opened by the first read ---------------------------------------------


async def test_a_source_that_cannot_be_opened_leaves_nothing() -> None:
    async def opening() -> Any:
        await anyio.sleep(0.01)
        raise ConnectionRefusedError("nobody there")

    for block in (False, True):
        stream = AsyncStream(opening())
        async with stream if block else nullcontext():
            with pytest.raises(ConnectError):
                await stream.final()
            assert stream.message.ending == "failed"
            assert stream.closed
            assert readers() == []


@pytest.mark.parametrize("block", [False, True])
async def test_closing_while_a_source_is_opened_leaves_nothing_open(
    anyio_backend_name: str, block: bool
) -> None:
    """An asynchronous context manager that was half entered is left again."""
    if anyio_backend_name == "trio" and not block:
        # There it may hold a scope of its own, so none of ours can end it: it is left once it is entered.
        await _closed_while_it_is_entered()
        return
    left: list[str] = []
    entered = anyio.Event()

    class Slow:
        async def __aenter__(self) -> AsyncGenerator[bytes, None]:
            entered.set()
            try:
                await anyio.sleep(9)
            finally:
                left.append("in time")
            pytest.fail("it was not cancelled")

        async def __aexit__(self, *_: object) -> None:
            left.append("exit")

    stream = AsyncStream(Slow())

    async def read() -> None:
        if block:
            async with stream:
                await stream.final()
        else:
            await stream.final()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await entered.wait()
        if block:
            tasks.cancel_scope.cancel()
        else:
            await stream.aclose()
    assert left == ["in time"]
    assert stream.message.ending == "stopped"
    assert readers() == []


async def _closed_while_it_is_entered() -> None:
    done: list[str] = []
    gate = anyio.Event()

    @asynccontextmanager
    async def slow() -> AsyncGenerator[Scripted]:
        await gate.wait()
        done.append("entered")
        yield Scripted(HELLO, END)
        done.append("left")

    stream = AsyncStream(slow())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream.final)
        await anyio.wait_all_tasks_blocked()
        await stream.aclose()
        gate.set()
    assert (done, stream.message.ending) == (["entered", "left"], "stopped")


async def test_a_coroutine_that_is_never_awaited_is_dropped() -> None:
    async def opening() -> bytes:
        return b""

    async with AsyncStream(opening()) as stream:
        stream.stop()
    AsyncStream(opening()).stop()
    await AsyncStream(opening()).aclose()
    AsyncStream(opening())
    gc.collect()


# -- tasks --------------------------------------------------------------------------


async def test_no_task_is_started_before_the_first_read() -> None:
    body = b"".join(HELLO)
    async with AsyncStream(body) as stream:
        await first_text(stream)
        assert readers() == []
    stream = AsyncStream(Scripted(HEL, 9.0))
    assert readers() == []
    await stream.aclose()


def test_what_is_at_hand_needs_no_event_loop() -> None:
    reading = AsyncStream(b"".join(HELLO)).final()
    with pytest.raises(StopIteration) as caught:
        reading.send(None)
    assert caught.value.value.text == "Hello"


async def test_one_task_reads_each_stream() -> None:
    async with AsyncStream(Scripted(HEL, 9.0)) as stream:
        await first_text(stream)
        assert len(readers()) == 1
        async with AsyncStream(Scripted(HEL, 9.0)) as other:
            await first_text(other)
            await stream.aclose()
            await other.aclose()
            assert readers() == []
