"""Functions that note sources that are iterated, entered or awaited, and this library's own streams.

*Noting* means adding the bytes to the `Notes`, from which the recording is written.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from tokenstream._sources import AsyncSource, Deferred, SyncSource
from tokenstream._sources.awaited import is_awaitable
from tokenstream._sources.kinds import named
from tokenstream._sources.plain import is_file
from tokenstream.errors import MisuseError
from tokenstream.stream._base import find_driver
from tokenstream.stream._reading.pump import Pump
from tokenstream.stream._tap.items import AsyncWatchedIterator, WatchedIterator
from tokenstream.stream._tap.wrappers import (
    AsyncWatchedManager,
    AsyncWatchedStream,
    SyncWatchedManager,
    SyncWatchedStream,
    WatchedStream,
    can_loop,
    can_read,
)
from tokenstream.testing._record.bodies import note_body

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import TracebackType

    from tokenstream.stream import AsyncStream, Stream
    from tokenstream.testing._record.notes import Notes

# -- streams of this library -------------------------------------------------


def note_stream(stream: Stream | AsyncStream, notes: Notes) -> None:
    """Note the bytes that a stream reads.

    Raises:
        MisuseError: The stream has begun to read, or is closed.
    """
    driver: Any = find_driver(stream)
    pump = driver.pump
    source = pump.source
    if source is None or stream.metrics.first_byte is not None:
        raise MisuseError(f"{stream!r} was read or closed before; record it before that")
    known = weakref.ref(driver)

    def format() -> str | None:
        there = known()
        return None if there is None else there.machine.format

    notes.format = format
    if isinstance(source, Deferred):
        _note_deferred(source, notes)
    else:
        _note_source(source, notes)
    if isinstance(source, SyncSource) and isinstance(pump, Pump):
        pump.replace(source)


def _note_deferred(deferred: Deferred, notes: Notes) -> None:
    """Note a source that is not open yet: once it is opened, note the bytes that it reads."""
    own = deferred.open

    def note(found: SyncSource | AsyncSource) -> SyncSource | AsyncSource:
        _note_source(found, notes)
        return found

    async def await_noted(opening: Any) -> SyncSource | AsyncSource:  # noqa: ANN401 - an awaitable
        return note(await opening)

    def open_noted() -> Any:  # noqa: ANN401 - a source, or an awaitable of one
        notes.sent()
        found: Any = own()
        return await_noted(found) if is_awaitable(found) else note(found)

    deferred.open = open_noted


def _note_source(source: SyncSource | AsyncSource, notes: Notes) -> None:
    """Note the bytes of an open source, by wrapping its chunks and its `close`."""
    notes.opened(source.head, source.coding)
    notes.messages = source.messages
    notes.patient = source.bound is not None
    if isinstance(source, SyncSource):
        source.chunks = WatchedIterator(source.chunks, notes)
    else:
        source.chunks = AsyncWatchedIterator(source.chunks, notes)
    source.close = _stop_after_close(source.close, notes)


def _stop_after_close(close: Callable[[], Any], notes: Notes) -> Callable[..., Any]:
    """Return a replacement for a sync or async close method, which also ends the recording."""

    async def then_over(closing: Any) -> Any:  # noqa: ANN401 - an awaitable, and what it gives
        try:
            return await closing
        finally:
            notes.stop()

    def closed(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - what it takes and gives
        waiting = False
        try:
            given = close(*args, **options)
            waiting = is_awaitable(given)
            return then_over(given) if waiting else given
        finally:
            if not waiting:
                notes.stop()

    return closed


# -- loops of others ---------------------------------------------------------


def note_loop(source: Any, notes: Notes) -> Any:  # noqa: ANN401 - told apart by what it can do
    """Return an object that behaves like the source, and notes the bytes that are read through it.

    Args:
        source: An iterable, a context manager or an awaitable.
        notes: Receives the bytes.

    Raises:
        MisuseError: The source is none of these, or it contains the whole body already.
    """
    sync, asynchronous = can_read(source)
    if _is_complete(source):
        raise MisuseError(
            f"{named(source)} is complete already: Recording.load(path) reads a file, and "
            "Recording.of([body]).save(path) writes a recording"
        )
    # If a source can only be entered, the returned object must not be iterable: a `Stream` would
    # iterate over it instead of entering it.
    stands = _Awaited if is_awaitable(source) else _KINDS.get((sync, asynchronous, any(can_loop(source))))
    if stands is not None:
        return stands(source, notes)
    raise MisuseError(
        f"{named(source)} cannot be recorded: pass a response (httpx, httpx2, requests, "
        "urllib3, aiohttp), a stream of an SDK that reads from one, a Stream or AsyncStream, a client of "
        "httpx or httpx2, such as one to pass to an SDK, or an iterable of bytes; was stream=True "
        "forgotten in the request?"
    )


def _is_complete(source: object) -> bool:
    return is_file(source) or isinstance(source, bytes | bytearray | memoryview | str)


class _Noted(WatchedStream[Any]):
    """A noted source.

    If entering or awaiting the source returns another object, the bytes of that object are noted.
    """

    __slots__ = ()

    _made_by = "testing.record(…)"
    _onlooker: Notes

    def _attach(self, target: Any) -> None:  # noqa: ANN401 - told apart by what it can do
        self._target, self._open = target, True
        if target is not self._source and note_body(target, self._onlooker):
            self._shown = target

    def _wrap_close(self, close: Callable[..., Any]) -> Callable[..., Any]:
        return _stop_after_close(close, self._onlooker)

    def _hand_over(self) -> Any:  # noqa: ANN401 - told apart by what it can do
        """Return the object that the application gets when it enters or awaits the source."""
        if self._shown is not None:
            return self._target
        return self if self._target is self._source else note_loop(self._target, self._onlooker)


class _Manager(_Noted, SyncWatchedManager[Any]):
    """A noted source for `with`."""

    __slots__ = ()

    def __enter__(self) -> Any:  # noqa: ANN401 - what the source gives
        super().__enter__()
        return self._hand_over()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._onlooker.leaving = error
        return super().__exit__(kind, error, traceback)


class _AsyncManager(_Noted, AsyncWatchedManager[Any]):
    """A noted source for `async with`."""

    __slots__ = ()

    async def __aenter__(self) -> Any:  # noqa: ANN401 - what the source gives
        await super().__aenter__()
        return self._hand_over()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._onlooker.leaving = error
        return await super().__aexit__(kind, error, traceback)


class _Awaited(_AsyncManager):
    """A noted source for `await`, or for `async with` on an awaitable."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._awaited().__await__()

    async def _awaited(self) -> Any:  # noqa: ANN401 - what the source gives
        """Await the source; return the object that the application gets."""
        self._onlooker.sent()
        try:
            self._attach(await self._source)
        except BaseException as error:
            self._onlooker.not_opened(error)
            raise
        return self._hand_over()


class _EitherManager(_Manager, _AsyncManager):
    """A noted source for `with` and `async with`."""

    __slots__ = ()


class _Loop(_Manager, SyncWatchedStream[Any]):
    """A noted source for `for`."""

    __slots__ = ()


class _AsyncLoop(_AsyncManager, AsyncWatchedStream[Any]):
    """A noted source for `async for`."""

    __slots__ = ()


class _EitherLoop(_Loop, _AsyncLoop):
    """A noted source for `for` and `async for`."""

    __slots__ = ()


_KINDS: dict[tuple[bool, bool, bool], type[_Noted]] = {
    (True, False, False): _Manager,
    (False, True, False): _AsyncManager,
    (True, True, False): _EitherManager,
    (True, False, True): _Loop,
    (False, True, True): _AsyncLoop,
    (True, True, True): _EitherLoop,
}
"""Maps three facts about a source to a class: it is sync, it is async, and it can be iterated itself."""
