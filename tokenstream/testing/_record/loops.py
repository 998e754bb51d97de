"""Recording of what is iterated: sources, bodies of responses of httpx, and our own streams.

*Noting* the bytes that are read means adding them to the `Notes`, from which the recording is written.
"""

from __future__ import annotations

import weakref
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from tokenstream._basics.elsewhere import is_awaitable
from tokenstream._sources.aiohttp import is_aiohttp
from tokenstream._sources.httpx import from_response
from tokenstream._sources.kinds import AsyncSource, LazySource, SyncSource, class_name_of
from tokenstream._sources.plain import is_file
from tokenstream._sources.requests import boto3_stream_of, is_http_client, is_requests, is_urllib3
from tokenstream.errors import MisuseError
from tokenstream.stream._base import find_driver
from tokenstream.stream._reading.pump import Pump
from tokenstream.stream._tap.items import AsyncWatchedIterator, WatchedIterator, can_watch_body, watch_body
from tokenstream.stream._tap.wrappers import (
    AsyncWatchedStream,
    SyncWatchedStream,
    WatchedStream,
    can_loop,
    can_read,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.stream import AsyncStream, Stream
    from tokenstream.testing._record.notes import Notes


def note_httpx(response: object, notes: Notes) -> None:
    """Record the body of an httpx or httpx2 response: at once if it was read already, else as it is read."""
    notes.note_method(response)
    if can_watch_body(response):
        watch_body(response, notes)
    elif hasattr(response, "_content"):
        notes.note_complete(from_response(response))
    else:
        raise MisuseError(f"{class_name_of(response)} was read or closed before; record it before that")


def note_stream(stream: Stream | AsyncStream, notes: Notes) -> None:
    """Record the bytes that a stream reads."""
    driver: Any = find_driver(stream)
    pump = driver.pump
    source = pump.held
    if source is None or stream.metrics.first_byte is not None:
        raise MisuseError(f"{stream!r} was read or closed before; record it before that")
    # A strong reference would keep a stream alive that is dropped without being closed.
    driver_reference = weakref.ref(driver)

    def format() -> str | None:
        """Return the format's name; None if it is unknown, or the stream is gone."""
        driver_if_alive = driver_reference()
        return None if driver_if_alive is None else driver_if_alive.machine.link.format

    notes.format = format
    if isinstance(source, LazySource):
        _note_lazy(source, notes)
    else:
        _note_source(source, notes)
    if isinstance(source, SyncSource) and isinstance(pump, Pump):
        # The pump may hold the old chunks already.
        pump.replace(source)


def _note_lazy(lazy: LazySource, notes: Notes) -> None:
    """Record the bytes that are read from a source, as soon as the source has been opened."""
    open_source = lazy.open

    def note(source: SyncSource | AsyncSource) -> SyncSource | AsyncSource:
        _note_source(source, notes)
        return source

    async def await_noted(opening: Any) -> SyncSource | AsyncSource:  # noqa: ANN401 - an awaitable
        return note(await opening)

    def open_noted() -> object:
        notes.note_sent()
        source: Any = open_source()
        return await_noted(source) if is_awaitable(source) else note(source)

    lazy.open = open_noted


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
    """Return an object that behaves like an iterable, and adds the bytes that it yields to `notes`."""
    given: Any = source
    name, is_response = class_name_of(source), _is_other_response(source)
    is_complete = is_file(source) or isinstance(given, bytes | bytearray | memoryview | str | PurePath)
    if is_complete and not is_response:
        raise MisuseError(
            f"{name} is complete already: Recording.load(path) reads a file, and "
            "Recording.of([body]).save(path) writes a recording; an answer is recorded from connect(url, …)"
        )
    is_looped = any(can_loop(source)) and not is_response
    wrapper_class = _WRAPPER_CLASSES.get(can_read(source)) if is_looped else None
    if wrapper_class is not None:
        return wrapper_class(source, notes)
    raise MisuseError(
        f"{name} cannot be recorded itself: record the Stream or AsyncStream around it, with "
        "testing.record(Stream(source), path); a response of httpx, an SDK's stream that reads one, a client "
        "of httpx or httpx2, such as one to pass to an SDK, and an iterable of bytes can be passed; was "
        "stream=True forgotten in the request?"
    )


def _is_other_response(source: object) -> bool:
    """Return True for a response of another library than httpx, which a loop may read in several ways."""
    stream = boto3_stream_of(source)
    is_of = (is_requests, is_urllib3, is_http_client, is_aiohttp)
    return hasattr(stream, "_raw_stream") or any(is_response(stream) for is_response in is_of)


class _NotedSource(WatchedStream[Any]):
    """Base class of wrappers that an application reads in place of an iterable, and that record the bytes."""

    __slots__ = ()

    _onlooker: Notes
    """The notes that collect the bytes for the recording."""

    def __getattr__(self, name: str) -> object:
        """Return an attribute of the source; for a missing `close`, a function that ends the recording."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            # A stream that is left early closes what it reads; a list, for example, has no `close`.
            if name != "close":
                raise
            return self._onlooker.stop

    def _wrap_close(self, close: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that calls the source's own method `close`, and then writes the recording."""
        return stop_after_close(close, self._onlooker)


class _NotedIterable(_NotedSource, SyncWatchedStream[Any]):
    """Wrapper that records a source which is iterated with `for`, and may be entered with `with`."""

    __slots__ = ()

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool | None:
        """Leave the source; even if the recording cannot be written, the block's own exception is raised."""
        self._onlooker.block_error = error
        return super().__exit__(kind, error, traceback)


class _NotedAsyncIterable(_NotedSource, AsyncWatchedStream[Any]):
    """Wrapper that records a source which is iterated with `async for`, and may be entered."""

    __slots__ = ()

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> bool | None:
        """Leave the source; even if the recording cannot be written, the block's own exception is raised."""
        self._onlooker.block_error = error
        return await super().__aexit__(kind, error, traceback)


class _NotedEitherIterable(_NotedIterable, _NotedAsyncIterable):
    """Wrapper that records a source which is iterated with `for` or `async for`, and may be entered."""

    __slots__ = ()


_WRAPPER_CLASSES: dict[tuple[bool, bool], type[_NotedSource]] = {
    (True, False): _NotedIterable,
    (False, True): _NotedAsyncIterable,
    (True, True): _NotedEitherIterable,
}
"""Maps whether a source can be read in a sync and in an async loop to its wrapper."""
