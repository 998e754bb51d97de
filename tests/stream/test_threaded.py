"""A `Stream` over an asynchronous object, which a thread with an event loop of its own reads."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from tests.stream.bodies import ANSWER
from tests.support.timing import own_threads
from tokenstream import AsyncStream, Deadlines, Stream
from tokenstream.errors import MisuseError, StreamInterrupted, StreamStalled

_WHO: ContextVar[str] = ContextVar("_WHO", default="nobody")


class Answer:
    """An asynchronous answer that tells what was done to it.

    Args:
        chunks: The number of chunks after which it waits for ever.
        failure: Raised after the chunks.
    """

    def __init__(self, chunks: int = len(ANSWER), failure: Exception | None = None) -> None:
        self.said: list[str] = []
        self.waits = threading.Event()
        self._chunks, self._failure = chunks, failure

    async def read(self) -> AsyncGenerator[bytes]:
        task = asyncio.current_task()
        try:
            for number, chunk in enumerate(ANSWER[: self._chunks]):
                self.said.append(f"chunk {number}")
                yield chunk
            if self._failure is not None:
                raise self._failure
            if self._chunks < len(ANSWER):
                self.waits.set()
                await asyncio.Event().wait()
        finally:
            self.said.append("closed" if asyncio.current_task() is task else "closed in another task")

    @asynccontextmanager
    async def manager(self) -> AsyncGenerator[AsyncIterator[bytes]]:
        task = asyncio.current_task()
        yield self.read()
        self.said.append("left" if asyncio.current_task() is task else "left in another task")

    async def opened(self) -> AsyncIterator[bytes]:
        return self.read()

    async def never_opened(self) -> AsyncIterator[bytes]:
        self.waits.set()
        await asyncio.Event().wait()
        return self.read()


@pytest.mark.parametrize("way", ["read", "manager", "opened"])
def test_an_asynchronous_answer_is_read_in_a_for_loop(way: str) -> None:
    """What an `AsyncStream` gives; the task that has opened the answer closes it, too."""
    answer = Answer()

    async def read_there() -> Any:
        return await AsyncStream(getattr(Answer(), way)()).final()

    with Stream(getattr(answer, way)()) as stream:
        pieces = list(stream.text)

    assert ["Let ", "me ", "see."] == pieces
    assert stream.message == asyncio.run(read_there())
    assert answer.said[-1] == ("left" if way == "manager" else "closed")


def test_a_chunk_is_read_when_the_loop_wants_one() -> None:
    answer = Answer()
    with Stream(answer.read()) as stream:
        first = next(stream.text)

        assert "Let " == first
        assert f"chunk {len(ANSWER) - 1}" not in answer.said
    assert "closed" == answer.said[-1]
    assert "stopped" == stream.message.ending


@pytest.mark.parametrize("way", ["read", "never_opened"])
def test_another_thread_stops_an_answer_that_waits(way: str) -> None:
    answer = Answer(chunks=2)
    stream = Stream(getattr(answer, way)())

    def stop() -> None:
        answer.waits.wait()
        stream.stop()

    stopper = threading.Thread(target=stop)
    stopper.start()
    list(stream)
    stopper.join()

    assert ("stopped", True) == (stream.message.ending, stream.closed)
    assert answer.said[-1:] == (["closed"] if way == "read" else [])


@pytest.mark.parametrize(("way", "limit"), [("read", "idle_bytes"), ("never_opened", "first_event")])
def test_deadlines_hold(way: str, limit: str) -> None:
    answer = Answer(chunks=2)
    stream = Stream(getattr(answer, way)(), deadlines=Deadlines(**{limit: 0.05}))
    with pytest.raises(StreamStalled) as caught:
        stream.final()

    assert (limit, stream.closed) == (caught.value.limit, True)
    assert stream.message == caught.value.partial


def test_a_read_that_was_too_short_loses_nothing() -> None:
    seen = threading.Event()

    async def slow() -> AsyncGenerator[bytes]:
        yield b"".join(ANSWER[:4])
        await asyncio.to_thread(seen.wait)
        yield b"".join(ANSWER[4:])

    pieces = []
    with Stream(slow()) as stream:
        for piece in stream.text.throttle(hz=100, timer=True):
            pieces.append(piece)
            seen.set()

    assert "Let me see." == "".join(pieces)


def test_a_failure_of_the_answer_keeps_what_had_come() -> None:
    failure = ConnectionResetError("reset")
    answer = Answer(chunks=len(ANSWER) - 3, failure=failure)
    with pytest.raises(StreamInterrupted) as caught, Stream(answer.read()) as stream:
        stream.final()

    assert caught.value.__cause__ is failure
    assert caught.value.partial.text
    assert "closed" == answer.said[-1]


def test_a_failure_of_opening_is_reported() -> None:
    async def opened() -> AsyncIterator[bytes]:
        message = "no such model"
        raise ValueError(message)

    asked: Any = opened()
    with pytest.raises(ValueError, match="no such model"):
        Stream(asked).final()


def test_a_failure_of_closing_is_raised_by_close() -> None:
    """A complete answer stays complete."""

    @asynccontextmanager
    async def manager() -> AsyncGenerator[AsyncIterator[bytes]]:
        yield Answer().read()
        message = "cannot be closed"
        raise OSError(message)

    opened: Any = manager()
    stream = Stream(opened)
    next(stream.text)
    with pytest.raises(OSError, match="cannot be closed"):
        stream.close()
    assert stream.closed


@pytest.mark.parametrize("way", ["read", "opened", "manager"])
def test_an_answer_that_nobody_reads_is_never_begun(way: str) -> None:
    answer = Answer()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = own_threads()
        Stream(getattr(answer, way)()).close()
        stream = Stream(getattr(answer, way)())
        del stream
        gc.collect()

    assert answer.said == []
    assert own_threads() <= before


def test_a_dropped_answer_is_closed() -> None:
    answer = Answer()
    stream = Stream(answer.read())
    next(stream.text)
    with pytest.warns(ResourceWarning, match="was never closed"):
        del stream
        gc.collect()

    assert "closed" == answer.said[-1]


def test_the_answer_sees_the_context_variables_of_its_reader() -> None:
    _WHO.set("me")

    async def chunks() -> AsyncGenerator[str]:
        yield f"data: {_WHO.get()}\n\ndata: [DONE]\n\n"

    assert "me" == Stream(chunks(), format="text").final().text


async def _refused_by(source: Any) -> str:
    with pytest.raises(MisuseError) as caught:
        Stream(source)
    return caught.value.message


def test_an_event_loop_is_not_blocked() -> None:
    """In asynchronous code, an asynchronous answer needs an `AsyncStream`."""
    answer = Answer()

    assert "async_generator is asynchronous: read it with AsyncStream, in `async for`" == asyncio.run(
        _refused_by(answer.read())
    )


def test_what_belongs_to_an_event_loop_stays_there() -> None:
    """A task of one loop cannot be awaited in another."""
    with asyncio.Runner() as runner:
        task = runner.get_loop().create_future()
        with pytest.raises(MisuseError, match=r"Future is asynchronous: read it with AsyncStream"):
            Stream(task)
