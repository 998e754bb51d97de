"""Recording of the streams of this library, by wrapping the source that a stream reads.

*Noting* means adding the bytes to the `Notes`, from which the recording is written.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from tokenstream._sources import AsyncSource, Deferred, SyncSource
from tokenstream._sources.awaited import is_awaitable
from tokenstream.errors import MisuseError
from tokenstream.stream._base import find_driver
from tokenstream.stream._reading.pump import Pump
from tokenstream.stream._tap.items import AsyncWatchedIterator, WatchedIterator

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.stream import AsyncStream, Stream
    from tokenstream.testing._record.notes import Notes


def note_stream(stream: Stream | AsyncStream, notes: Notes) -> None:
    """Record the bytes that a stream reads.

    Raises:
        MisuseError: The stream has begun to read, or is closed.
    """
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
