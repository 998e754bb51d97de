"""What is at hand already: finished bodies, files, iterables."""

from __future__ import annotations

import os
from contextlib import closing
from io import FileIO
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.sources._frameworks import holds_a_run
from tokenstream.sources._kinds import AsyncSource, SyncSource, do_nothing
from tokenstream.sources._payloads import Converter

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator

__all__ = [
    "at_once",
    "closed_by",
    "from_async_iterable",
    "from_body",
    "from_file",
    "from_iterable",
    "from_path",
    "is_file",
]

_NO_BLOCKING = "the file does not block, so its end cannot be told; hand over a blocking one"
_AT_A_TIME = 65_536
"""Bytes that a read of a file asks for."""


def from_body(body: Any) -> SyncSource:  # noqa: ANN401 - bytes, bytearray, memoryview or str
    """Return a whole body as a source of one chunk."""
    # What can be changed is copied, so that nobody changes it under the reader.
    chunk = body if isinstance(body, bytes | str) else bytes(body)
    return SyncSource(iter([chunk]), do_nothing)


def from_path(path: os.PathLike[Any]) -> SyncSource:
    """Return a file as a source that opens it when it is read, and closes it.

    Raises:
        FileNotFoundError: There is no such file; at once, where the mistake is.
    """
    # What it says may change, and is asked for once.
    named = os.fspath(path)
    # What opening would raise later is said where the stream is made.
    os.stat(named)  # noqa: PTH116 - as bytes, too
    chunks = _of_path(named)
    return SyncSource(chunks, chunks.close)


def _of_path(path: str | bytes) -> Generator[bytes]:
    try:
        file = open(path, "rb")  # noqa: PTH123, SIM115 - as bytes, too; closed below
    except OSError as error:
        raise MisuseError(f"{os.fsdecode(path)} cannot be opened: {error}") from error
    with closing(file):
        while chunk := file.read(_AT_A_TIME):
            yield chunk


def is_file(source: object) -> bool:
    """Tell whether something is read like a file."""
    return (
        callable(getattr(source, "read", None))
        and hasattr(source, "readable")
        and isinstance(getattr(source, "closed", False), bool)
    )


def from_file(file: Any) -> SyncSource:  # noqa: ANN401 - a binary or a text file
    """Return a file as a source; the stream closes it.

    A pipe is read as it comes. Of a text file the bytes beneath are read where
    there are some, so that no wrong encoding of the file object matters.
    """
    if getattr(file, "closed", False) or not file.readable():
        raise MisuseError("the file is closed, or not open for reading; hand it over open, or give its path")
    beneath = getattr(file, "buffer", None)
    if _never_blocks(file if beneath is None else beneath):
        raise MisuseError(_NO_BLOCKING)
    if beneath is None:
        return SyncSource(_of_file(file), file.close)
    if file.seekable():
        # A text file reads ahead: go back to where its user is.
        try:
            file.seek(file.tell())
        except OSError as error:
            raise MisuseError("a loop over the text file has begun; hand it over before that") from error
    return SyncSource(_of_file(beneath), file.close)


def _never_blocks(file: Any) -> bool:  # noqa: ANN401 - a binary or a text file
    """Tell whether "nothing yet" looks like the end of a file."""
    raw = getattr(file, "raw", file)
    # A socket with a timeout never blocks beneath, but its file waits all the same.
    if not isinstance(raw, FileIO) or not hasattr(os, "get_blocking"):
        return False
    return not os.get_blocking(raw.fileno())


def _of_file(file: Any) -> Iterator[Any]:  # noqa: ANN401 - a binary or a text file
    read: Callable[[int], bytes | str | None] = getattr(file, "read1", file.read)
    while chunk := read(_AT_A_TIME):
        yield chunk
    if chunk is None:
        raise MisuseError(_NO_BLOCKING)


def from_iterable(source: Iterable[Any]) -> SyncSource:
    """Return an iterable of chunks or payloads as a source."""
    items = iter(source)
    plain = isinstance(source, list | tuple) and all(type(item) is bytes for item in source)
    return SyncSource(items, _closing(items, source), convert=None if plain else Converter(items))


def _closing(items: object, source: object) -> Callable[[], object]:
    own = [getattr(each, "close", None) for each in ([items] if items is source else [items, source])]
    closers = [close for close in own if callable(close)]
    if not closers:
        return do_nothing

    def close() -> None:
        for each in closers:
            each()

    return close


def from_async_iterable(source: AsyncIterable[Any]) -> AsyncSource:
    """Return an asynchronous iterable of chunks or payloads as a source."""
    items = aiter(source)
    return AsyncSource(
        items, _AsyncClosing(items, source), convert=Converter(items), messages=holds_a_run(items)
    )


class _AsyncClosing:
    """Closes an asynchronous iterator, and what it is of; a function would take three times the room."""

    __slots__ = ("_items", "_source")

    def __init__(self, items: object, source: object) -> None:
        self._items = items
        self._source = source

    async def __call__(self) -> None:
        for each in [self._items] if self._items is self._source else [self._items, self._source]:
            await closed_by(each)


async def closed_by(source: Any) -> None:  # noqa: ANN401 - anything
    """Close something that has `aclose`, or a `close` of either colour."""
    close = getattr(source, "aclose", None) or getattr(source, "close", None)
    if callable(close):
        waiting: Any = close()
        if hasattr(waiting, "__await__"):
            await waiting


class _AtHand:
    """Gives items that are at hand asynchronously, without ever waiting."""

    __slots__ = ("_items",)

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:  # noqa: ANN401 - what the items are
        for item in self._items:
            return item
        raise StopAsyncIteration


def at_once(source: SyncSource) -> AsyncSource:
    """Return a source whose chunks are at hand as an `AsyncStream` reads it."""

    async def close() -> None:
        source.close()

    chunks = _AtHand(source.chunks)
    return AsyncSource(chunks, close, source.head, source.coding, instant=True, convert=source.convert)
