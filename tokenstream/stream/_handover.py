"""Hands over the request of an unread stream to a stream that makes several attempts."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeGuard

from tokenstream._sources.kinds import LazySource, ReadOptions, open_up, open_up_async
from tokenstream.errors import MisuseError
from tokenstream.stream._async import AsyncStream
from tokenstream.stream._base import find_driver
from tokenstream.stream._sync import Stream

if TYPE_CHECKING:
    from tokenstream._sources.kinds import AsyncSource, SyncSource
    from tokenstream.stream._async_driver import AsyncDriver
    from tokenstream.stream._sync_driver import SyncDriver


def is_stream(source: object) -> TypeGuard[Stream | AsyncStream]:
    return isinstance(source, Stream | AsyncStream)


def take_request(stream: Stream | AsyncStream, kind: type[Stream | AsyncStream]) -> LazySource:
    """Return the request of an unread stream without guards, for one of class `kind`, and close the first.

    The answer is read with the format and the `tags` of the stream; its other options are those
    of the stream that reads the answer in its place.
    """
    is_async = kind is AsyncStream
    if not isinstance(stream, kind):
        own, other = ("aconnect", "connect") if is_async else ("connect", "aconnect")
        raise MisuseError(
            f"open returned {_article(stream)}, which {'aresilient' if is_async else 'resilient'} and its "
            f"routes cannot read: write {own}(…) in place of {other}(…)"
        )
    found: Any = find_driver(stream)
    driver: SyncDriver | AsyncDriver = found.source_driver
    source = driver.pump.lazy
    if driver.was_opened or driver.has_ended or source is None or driver.is_reading:
        raise MisuseError(
            f"open returned {_article(stream)} that was opened already: return the response itself, or "
            f"{'aconnect' if is_async else 'connect'}(…) without reading it and outside of a `with` block"
        )
    if driver.machine.way.guarding is not None:
        raise MisuseError(
            "open returned a stream with guards, which would not see the answer: add them to the stream of "
            "all attempts"
        )
    # The source that replaces this one is never opened, because the stream is closed.
    driver.pump.replace(LazySource(source.open))
    driver.record_closing()
    driver.error = MisuseError(
        "another stream has taken the request of this one: read that stream", kind="closed"
    )
    driver.end()
    reading = ReadOptions(
        driver.machine.link.wanted, driver.machine.link.make_stage, driver.machine.link.offered
    )
    if reading == (None, None, None):
        return source
    return replace(source, open=partial(_open_async if is_async else _open_sync, source, reading))


def _article(stream: Stream | AsyncStream) -> str:
    return "an AsyncStream" if isinstance(stream, AsyncStream) else "a Stream"


def _open_sync(source: LazySource, reading: ReadOptions) -> SyncSource:
    return replace(open_up(source), reading=reading)


async def _open_async(source: LazySource, reading: ReadOptions) -> AsyncSource:
    return replace(await open_up_async(source), reading=reading)
