"""What other threads, signals and failing sources may do to a stream."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

from tests.stream.bodies import ANSWER, TOKENS, AsyncSource, Source
from tests.stream.test_ending import Nosy
from tokenstream import AsyncStream, Stream
from tokenstream.errors import MisuseError, StreamInterrupted


class Waiting:
    """A source that gives its first chunks and then waits, until it is told to go on."""

    def __init__(self, first: list[bytes], rest: list[bytes]) -> None:
        self.waits = threading.Event()
        self.go_on = threading.Event()
        self.ended = False
        self._first, self._rest = first, rest

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._first
            self.waits.set()
            self.go_on.wait(4)
            yield from self._rest
        finally:
            self.ended = True


def test_stop_from_another_thread_ends_the_loop_with_the_next_chunk() -> None:
    """A blocked iterable cannot be woken; its loop ends normally, keeps what came, and closes the source."""
    source = Waiting(ANSWER[:4], ANSWER[4:])
    stream = Stream(source)
    texts: list[str] = []
    reader = threading.Thread(target=lambda: texts.extend(stream.text))
    reader.start()
    assert source.waits.wait(4)
    stream.stop("enough")
    message = stream.message
    source.go_on.set()
    reader.join(4)

    assert not reader.is_alive()
    assert texts == ["Let ", "me "]
    assert (message.text, message.ending) == ("Let me ", "stopped")
    assert source.ended
    assert stream.message == message


def test_message_and_metrics_may_be_asked_for_from_another_thread() -> None:
    """While the stream is read."""
    source = Waiting(ANSWER[:5], ANSWER[5:])
    stream = Stream(source)
    reader = threading.Thread(target=stream.final)
    reader.start()
    assert source.waits.wait(4)

    assert stream.message.text == "Let me see."
    assert stream.metrics.chunks == 5
    source.go_on.set()
    reader.join(4)
    assert stream.message.ending == "complete"


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


def test_an_async_close_during_a_read_leaves_closing_to_the_read() -> None:
    """An asynchronous generator cannot be closed while it runs."""

    async def main() -> None:
        gate, ended = anyio.Event(), anyio.Event()

        async def body() -> AsyncIterator[bytes]:
            try:
                yield ANSWER[2]
                await gate.wait()
                yield ANSWER[3]
            finally:
                ended.set()

        stream = AsyncStream(body())
        texts: list[str] = []

        async def read() -> None:
            texts.extend([piece async for piece in stream.text])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            await stream.aclose()
            gate.set()
        assert texts == ["Let "]
        assert ended.is_set()
        assert stream.message.ending == "stopped"

    for backend in ("asyncio", "trio"):
        anyio.run(main, backend=backend)


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


class Stubborn(Source):
    """A source that fails to close."""

    def close(self) -> None:
        super().close()
        raise OSError("cannot close")


class AsyncStubborn(AsyncSource):
    """The same, asynchronous."""

    async def aclose(self) -> None:
        await super().aclose()
        raise OSError("cannot close")


def test_closing_never_raises_over_another_error() -> None:
    """The caller's own error, and the stream's, are what the caller sees."""
    with pytest.raises(KeyError), Stream(Stubborn(ANSWER)) as stream:
        raise KeyError
    with pytest.raises(StreamInterrupted):
        Stream(Stubborn(ANSWER[:3], OSError("reset"))).final()
    with pytest.raises(OSError, match="cannot close"), Stream(Stubborn(ANSWER)):
        pass

    async def main() -> None:
        with pytest.raises(KeyError):
            async with AsyncStream(AsyncStubborn(ANSWER)):
                raise KeyError
        with pytest.raises(OSError, match="cannot close"):
            async with AsyncStream(AsyncStubborn(ANSWER)):
                pass

    anyio.run(main)
    assert stream.closed


def test_none_from_a_source_is_no_end() -> None:
    """A source that gives something else than bytes is the calling code's mistake."""
    items: list[Any] = [ANSWER[2], None]
    with pytest.raises(MisuseError, match="NoneType"), Stream(items) as stream:
        stream.final()
