"""Recording of what is iterated, entered or awaited: sources, bodies of responses, and our own streams.

*Noting* the bytes that are read means adding them to the `Notes`, from which the recording is written.
"""

from __future__ import annotations

import weakref
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from tokenstream._sources import AsyncSource, Deferred, SyncSource, from_response
from tokenstream._sources.aiohttp import is_aiohttp
from tokenstream._sources.awaited import is_awaitable
from tokenstream._sources.kinds import class_name_of
from tokenstream._sources.plain import is_file
from tokenstream._sources.requests import (
    boto3_stream_of,
    is_event_stream,
    is_http_client,
    is_requests,
    is_urllib3,
)
from tokenstream.errors import MisuseError
from tokenstream.stream._base import find_driver
from tokenstream.stream._reading.pump import Pump
from tokenstream.stream._tap.items import AsyncWatchedIterator, WatchedIterator, can_watch_body, watch_body
from tokenstream.stream._tap.wrappers import (
    AsyncWatchedManager,
    AsyncWatchedStream,
    SyncWatchedManager,
    SyncWatchedStream,
    WatchedStream,
    can_loop,
    can_read,
    response_of,
)
from tokenstream.testing._record.replaced_reads import (
    note_aiohttp,
    note_event_stream,
    note_http_client,
    note_requests,
    note_urllib3,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import TracebackType

    from tokenstream.stream import AsyncStream, Stream
    from tokenstream.testing._record.notes import Notes


def note_body(source: object, notes: Notes) -> bool:
    """Start noting the body of a response, or of a stream's response; return False if the source has none."""
    source = boto3_stream_of(source)
    response = response_of(source)
    if response is not None:
        note_httpx(response, notes)
        return True
    for is_of_kind, note in _NOTE_FUNCTIONS:
        if is_of_kind(source):
            note(source, notes)
            return True
    return False


def note_httpx(response: object, notes: Notes) -> None:
    """Record the body of an httpx or httpx2 response: at once if it was read already, else as it is read."""
    notes.note_method(response)
    if can_watch_body(response):
        watch_body(response, notes)
    elif hasattr(response, "_content"):
        notes.note_complete(from_response(response))
    else:
        raise _already_read(response)


def _already_read(response: object) -> MisuseError:
    return MisuseError(f"{class_name_of(response)} was read or closed before; record it before that")


_NOTE_FUNCTIONS: list[tuple[Callable[[Any], bool], Callable[[Any, Notes], None]]] = [
    (is_requests, note_requests),
    (is_urllib3, note_urllib3),
    (is_event_stream, note_event_stream),
    (is_http_client, note_http_client),
    (is_aiohttp, note_aiohttp),
]
"""Pairs of functions: the first recognises a kind of response, the second records its body."""


def note_stream(stream: Stream | AsyncStream, notes: Notes) -> None:
    """Record the bytes that a stream reads."""
    driver: Any = find_driver(stream)
    pump = driver.pump
    source = pump.source
    if source is None or stream.metrics.first_byte is not None:
        raise MisuseError(f"{stream!r} was read or closed before; record it before that")
    # A strong reference would keep a stream alive that is dropped without being closed.
    driver_reference = weakref.ref(driver)

    def format() -> str | None:
        """Return the format's name; None if it is unknown, or the stream is gone."""
        driver_if_alive = driver_reference()
        return None if driver_if_alive is None else driver_if_alive.machine.format

    notes.format = format
    if isinstance(source, Deferred):
        _note_deferred(source, notes)
    else:
        _note_source(source, notes)
    if isinstance(source, SyncSource) and isinstance(pump, Pump):
        # The pump may hold the old chunks already.
        pump.replace(source)


def _note_deferred(deferred: Deferred, notes: Notes) -> None:
    """Record the bytes that are read from a source, as soon as the source has been opened."""
    open_source = deferred.open

    def note(source: SyncSource | AsyncSource) -> SyncSource | AsyncSource:
        """Record the bytes of a source that is now open, and return the source."""
        _note_source(source, notes)
        return source

    async def await_noted(opening: Any) -> SyncSource | AsyncSource:  # noqa: ANN401 - an awaitable
        """Wait for the source, and return it; record the bytes read from it."""
        return note(await opening)

    def open_noted() -> object:
        """Send the request, and begin to record the source of its answer."""
        notes.note_sent()
        source: Any = open_source()
        return await_noted(source) if is_awaitable(source) else note(source)

    deferred.open = open_noted


def _note_source(source: SyncSource | AsyncSource, notes: Notes) -> None:
    """Record the bytes of an open source, by wrapping its chunks and its `close`."""
    notes.note_head(source.head, source.coding)
    notes.messages = source.messages
    # A source that can limit a single read can be read on after such a limit has passed.
    notes.survives_timeout = source.limit_read is not None
    if isinstance(source, SyncSource):
        source.chunks = WatchedIterator(source.chunks, notes)
    else:
        source.chunks = AsyncWatchedIterator(source.chunks, notes)
    source.close = stop_after_close(source.close, notes)


def stop_after_close(close: Callable[[], Any], notes: Notes) -> Callable[..., Any]:
    """Return a replacement for a sync or async close method, which also ends the recording."""

    async def await_close(closing: Any) -> object:  # noqa: ANN401 - an awaitable, and what it gives
        """Wait until the source is closed, then end the recording; return the result of closing."""
        try:
            return await closing
        finally:
            notes.stop()

    def close_and_stop(*args: object, **options: object) -> object:
        """Close the source and end the recording: at once, or once the returned awaitable is awaited."""
        is_async = False
        try:
            result = close(*args, **options)
            is_async = is_awaitable(result)
            return await_close(result) if is_async else result
        finally:
            if not is_async:
                notes.stop()

    return close_and_stop


def note_loop(source: object, notes: Notes) -> object:
    """Return an object that behaves like the source, and adds the bytes read through it to `notes`."""
    sync, asynchronous = can_read(source)
    if _is_complete(source):
        raise MisuseError(
            f"{class_name_of(source)} is complete already: Recording.load(path) reads a file, and "
            "Recording.of([body]).save(path) writes a recording"
        )
    # If a source can only be entered, the returned object must not be iterable: a `Stream` would
    # iterate over it instead of entering it.
    kind = (sync, asynchronous, any(can_loop(source)))
    wrapper_class = _NotedAwaitable if is_awaitable(source) else _WRAPPER_CLASSES.get(kind)
    if wrapper_class is not None:
        return wrapper_class(source, notes)
    raise MisuseError(
        f"{class_name_of(source)} cannot be recorded: pass a response (httpx, httpx2, requests, "
        "urllib3, aiohttp), a stream of an SDK that reads from one, a Stream or AsyncStream, a client of "
        "httpx or httpx2, such as one to pass to an SDK, or an iterable of bytes; was stream=True "
        "forgotten in the request?"
    )


def _is_complete(source: object) -> bool:
    """Return True if a source is the whole body itself, or a file."""
    return is_file(source) or isinstance(source, bytes | bytearray | memoryview | str | PurePath)


class _NotedSource(WatchedStream[Any]):
    """Base class of wrappers that an application reads in place of a source, and that record the bytes.

    If entering or awaiting the source returns another object, the bytes of that object are recorded.
    """

    __slots__ = ()

    _made_by = "testing.record(…)"
    """The call that made this object, for error messages."""
    _onlooker: Notes
    """The notes that collect the bytes for the recording."""

    def __getattr__(self, name: str) -> object:
        """Return an attribute of the source; for a missing `close`, a function that ends the recording."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            # A stream that is left early closes what it reads; a list, for example, has no `close`.
            if name != "close" or not self._is_open:
                raise
            return self._onlooker.stop

    def _attach(self, target: object) -> None:
        """Record from now on the bytes that are read from `target`."""
        self._target, self._is_open = target, True
        if target is not self._source and note_body(target, self._onlooker):
            self._watched_response = target

    def _wrap_close(self, close: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that calls the source's own method `close`, and then writes the recording."""
        return stop_after_close(close, self._onlooker)

    def _choose_returned_object(self) -> object:
        """Return the object that the application gets when it enters or awaits the source."""
        # The body of a response is noted by a wrapper in it, so the response itself can be returned.
        if self._watched_response is not None:
            return self._target
        return self if self._target is self._source else note_loop(self._target, self._onlooker)


class _NotedManager(_NotedSource, SyncWatchedManager[Any]):
    """Wrapper that records a source which is only a context manager for `with`, not iterable itself."""

    __slots__ = ()

    def __enter__(self) -> Any:  # noqa: ANN401 - what the source gives
        super().__enter__()
        return self._choose_returned_object()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """Leave the source; even if the recording cannot be written, the block's own exception is raised."""
        self._onlooker.block_error = error
        return super().__exit__(kind, error, traceback)


class _NotedAsyncManager(_NotedSource, AsyncWatchedManager[Any]):
    """Wrapper that records a source which is only a context manager for `async with`, not iterable itself."""

    __slots__ = ()

    async def __aenter__(self) -> Any:  # noqa: ANN401 - what the source gives
        await super().__aenter__()
        return self._choose_returned_object()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """Leave the source; even if the recording cannot be written, the block's own exception is raised."""
        self._onlooker.block_error = error
        return await super().__aexit__(kind, error, traceback)


class _NotedAwaitable(_NotedAsyncManager):
    """Wrapper that records a source which the application awaits, or enters with `async with`."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._await_source().__await__()

    async def _await_source(self) -> object:
        """Await the source; return the object that the application gets."""
        self._onlooker.note_sent()
        try:
            self._attach(await self._source)
        except BaseException as error:
            self._onlooker.note_open_error(error)
            raise
        return self._choose_returned_object()


class _NotedEitherManager(_NotedManager, _NotedAsyncManager):
    """Wrapper that records a source which the application enters with `with` or with `async with`."""

    __slots__ = ()


class _NotedIterable(_NotedManager, SyncWatchedStream[Any]):
    """Wrapper that records a source which is iterated with `for`, and may be entered with `with`."""

    __slots__ = ()


class _NotedAsyncIterable(_NotedAsyncManager, AsyncWatchedStream[Any]):
    """Wrapper that records a source which is iterated with `async for`, and may be entered."""

    __slots__ = ()


class _NotedEitherIterable(_NotedIterable, _NotedAsyncIterable):
    """Wrapper that records a source which is iterated with `for` or `async for`, and may be entered."""

    __slots__ = ()


_WRAPPER_CLASSES: dict[tuple[bool, bool, bool], type[_NotedSource]] = {
    (True, False, False): _NotedManager,
    (False, True, False): _NotedAsyncManager,
    (True, True, False): _NotedEitherManager,
    (True, False, True): _NotedIterable,
    (False, True, True): _NotedAsyncIterable,
    (True, True, True): _NotedEitherIterable,
}
"""Maps three facts about a source (is it sync, is it async, can it be iterated itself?) to its wrapper."""
