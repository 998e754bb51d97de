"""What is opened by the first read: awaitables, and context managers of either colour."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from typing import Any

import pytest

from tests.stream.bodies import ANSWER, AsyncSource, Source
from tests.support.raised import misuse
from tokenstream import AsyncStream, Stream
from tokenstream.errors import ConnectError, MisuseError, StreamInterrupted

pytestmark = pytest.mark.anyio


class Log:
    """Managers that tell what was done to them."""

    def __init__(self) -> None:
        self.said: list[str] = []

    @contextmanager
    def manager(self, source: Any) -> Generator[Any]:
        self.said.append("entered")
        try:
            yield source
        finally:
            self.said.append("left")

    @asynccontextmanager
    async def async_manager(self, source: Any) -> AsyncGenerator[Any]:
        self.said.append("entered")
        try:
            yield source
        finally:
            self.said.append("left")

    async def coroutine(self, source: Any) -> Any:
        self.said.append("awaited")
        return source


def test_a_manager_is_entered_by_the_first_read_and_left_at_the_end() -> None:
    """Making the stream does nothing yet."""
    log = Log()
    stream = Stream(log.manager(Source(ANSWER)))

    assert [] == log.said
    assert "Let me see." == stream.final().text
    assert ["entered", "left"] == log.said


async def test_a_manager_is_entered_by_with_and_left_by_it() -> None:
    """What opens in `with` closes in `with`, and the source that it gave is closed before."""
    log, source = Log(), Source(ANSWER)
    with Stream(log.manager(source)):
        assert ["entered"] == log.said

    assert (1, ["entered", "left"]) == (source.closed, log.said)

    # More than is read ahead, so that its end does not come first.
    log, waiting = Log(), AsyncSource(ANSWER[:1] * 999)
    async with AsyncStream(log.async_manager(waiting)):
        assert ["entered"] == log.said

    assert (1, ["entered", "left"]) == (waiting.closed, log.said)


async def test_an_awaitable_is_awaited_by_the_first_read() -> None:
    log = Log()
    stream = AsyncStream(log.coroutine(log.async_manager(log.coroutine(AsyncSource(ANSWER)))))

    assert [] == log.said
    assert "Let me see." == (await stream.final()).text
    assert ["awaited", "entered", "awaited", "left"] == log.said


def test_a_manager_may_give_a_manager() -> None:
    outer, inner = Log(), Log()

    assert "Let me see." == Stream(outer.manager(inner.manager(ANSWER))).final().text
    assert ["entered", "left"] == outer.said == inner.said


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_and_a_future_are_awaitables_too() -> None:
    task = asyncio.create_task(Log().coroutine(b"".join(ANSWER)))

    assert "Let me see." == (await AsyncStream(task).final()).text

    future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    await AsyncStream(future).aclose()

    assert future.cancelled()


async def test_a_coroutine_that_is_never_awaited_is_dropped_without_a_warning() -> None:
    log = Log()
    await AsyncStream(log.coroutine(b"")).aclose()
    AsyncStream(log.coroutine(b"")).stop()
    AsyncStream(log.coroutine(b""))
    Stream(log.manager(b"")).close()

    assert [] == log.said


async def test_a_closed_stream_opens_nothing() -> None:
    """`with` after `close` is refused, and no request goes out."""
    log = Log()
    stream = AsyncStream(log.coroutine(b""))
    await stream.aclose()
    with misuse("closed"):
        async with stream:
            pass
    sync = Stream(log.manager(b""))
    sync.close()
    with misuse("closed"):
        list(sync)

    assert [] == log.said


async def test_a_manager_that_gives_no_source_is_left_again() -> None:
    """The error names what it gave."""
    log = Log()
    with pytest.raises(MisuseError, match="int cannot be read"):
        Stream(log.manager(7)).final()

    assert ["entered", "left"] == log.said

    log = Log()
    async with AsyncStream(log.async_manager(AsyncSource(ANSWER))) as stream:
        pass
    stream = AsyncStream(log.async_manager(Source(ANSWER)))
    with pytest.raises(MisuseError, match=r"read it with Stream, in `for`"):
        await stream.final()
    await stream.aclose()

    assert ["entered", "left", "entered", "left"] == log.said


class Broken:
    """A manager that cannot be entered, for it has nothing to enter."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __enter__(self) -> Any:
        raise self._error

    def __exit__(self, *args: object) -> None:
        raise AssertionError


def test_an_error_of_a_managers_own_goes_out_as_it_came() -> None:
    """What is no failure of a transport is the calling code's."""
    own = KeyError("model")
    with pytest.raises(KeyError) as caught:
        Stream(Broken(own)).final()

    assert own is caught.value


def test_an_error_of_ours_passes_through_a_manager() -> None:
    """A source that says itself what went wrong is believed."""
    cause = StreamInterrupted("the connection broke")
    with pytest.raises(StreamInterrupted) as caught:
        Stream(Broken(cause)).final()

    assert cause is caught.value


async def test_a_manager_that_yields_what_is_at_hand_is_read() -> None:
    """A nullcontext is one of both colours, and serves both."""
    assert "Let me see." == Stream(nullcontext(b"".join(ANSWER))).final().text
    assert "Let me see." == (await AsyncStream(nullcontext(b"".join(ANSWER))).final()).text


def _with_a_name() -> AbstractContextManager[Any]:
    return threading.Lock()


@pytest.mark.parametrize(
    "made", [_with_a_name, threading.RLock, threading.Condition], ids=lambda made: made.__name__
)
def test_what_lives_longer_than_an_answer_is_not_entered(made: Callable[[], Any]) -> None:
    """A lock, a client: entering it would not send a request, and leaving it would end it."""
    with pytest.raises(MisuseError, match="cannot be read"):
        Stream(made())


async def test_a_read_that_waits_for_the_opening_is_one_read() -> None:
    log = Log()
    asked: Awaitable[Any] = log.coroutine(AsyncSource(ANSWER))
    async with AsyncStream(asked) as stream:
        assert ["awaited"] == log.said
        assert "Let me see." == (await stream.final()).text

    assert ["awaited"] == log.said


class Swallowing:
    """A manager of both colours that swallows whatever is raised in its block."""

    def __init__(self, given: Any) -> None:
        self._given = given
        self.left = 0

    def __enter__(self) -> Any:
        return self._given

    def __exit__(self, *raised: object) -> bool:
        self.left += 1
        return True

    async def __aenter__(self) -> Any:
        return self._given

    async def __aexit__(self, *raised: object) -> bool:
        self.left += 1
        return True


async def test_a_manager_that_swallows_exceptions_does_not_hide_that_it_gave_no_source() -> None:
    manager = Swallowing(7)
    with pytest.raises(MisuseError, match="int cannot be read"):
        Stream(manager).final()
    with pytest.raises(MisuseError, match="int cannot be read"):
        await AsyncStream(manager).final()

    assert 2 == manager.left

    # One that swallows serves all the same.
    assert "Let me see." == Stream(Swallowing(ANSWER)).final().text


async def _soon(source: Any) -> Any:
    return source


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_a_finished_task_holds_is_closed_unread() -> None:
    """The request has been sent, and its answer would stay open."""
    source = AsyncSource(ANSWER)
    task = asyncio.create_task(_soon(source))
    await asyncio.wait([task])
    stream = AsyncStream(task)
    await stream.aclose()

    assert (1, "stopped") == (source.closed, stream.message.ending)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("way", ["aclose", "stop", "dropped"])
async def test_what_a_task_holds_that_finished_meanwhile_is_closed_unread(way: str) -> None:
    """The stream was made before, and never read; the event loop closes what came."""
    source = AsyncSource(ANSWER)
    task = asyncio.create_task(_soon(source))
    stream = AsyncStream(task)
    await asyncio.wait([task])
    if way == "aclose":
        await stream.aclose()
    elif way == "stop":
        stream.stop()
    del stream
    for _ in range(20):
        await asyncio.sleep(0)

    assert 1 == source.closed


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_a_task_holds_that_is_not_open_is_dropped() -> None:
    """A coroutine is closed, what is no source is left alone; warnings are errors here."""
    log = Log()
    for given in (log.coroutine(b""), 7):
        task = asyncio.create_task(_soon(given))
        stream = AsyncStream(task)
        await asyncio.wait([task])
        await stream.aclose()

    assert [] == log.said


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_finished_task_that_failed_is_an_error_in_the_loop() -> None:
    cause = ConnectionResetError("reset")
    task = asyncio.create_task(_failing(cause))
    await asyncio.wait([task])
    with pytest.raises(ConnectError) as caught:
        await AsyncStream(task).final()

    assert cause is caught.value.__cause__


async def _failing(error: Exception) -> Any:
    raise error
