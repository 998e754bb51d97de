"""Adapter for plain objects: whole bodies, files and iterables."""

from __future__ import annotations

import os
from contextlib import closing
from io import FileIO
from typing import TYPE_CHECKING, Any

from tokenstream._sources.kinds import AsyncSource, SyncSource, do_nothing
from tokenstream._sources.payloads import Converter, is_graph_run, is_paced, is_run_iterator
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator

    from tokenstream._basics.loose import Action

_NO_BLOCKING = "the file is non-blocking, so its end cannot be detected; pass a blocking one"
CHUNK_SIZE = 65_536


def from_body(body: Any) -> SyncSource:  # noqa: ANN401 - bytes, bytearray, memoryview or str
    # Mutable objects are copied, so that a later change does not change the answer.
    chunk = body if isinstance(body, bytes | str) else bytes(body)
    return SyncSource(iter([chunk]), do_nothing)


def from_path(path: os.PathLike[Any]) -> SyncSource:
    """Return a source that opens a file at the first read, and closes it; a missing file is refused now."""
    # `fspath` is called only once, since its result may change.
    name = os.fspath(path)
    # If there is no such file, this raises in the line that creates the stream, not at the first read.
    os.stat(name)  # noqa: PTH116 - as bytes, too
    chunks = _read_path(name)
    return SyncSource(chunks, chunks.close)


def _read_path(path: str | bytes) -> Generator[bytes]:
    """Yield the bytes of a file, which is open only during the iteration."""
    try:
        file = open(path, "rb")  # noqa: PTH123, SIM115 - as bytes, too; closed below
    except OSError as error:
        raise MisuseError(f"the file {os.fsdecode(path)} cannot be opened: {error}") from error
    with closing(file):
        while chunk := file.read(CHUNK_SIZE):
            yield chunk


def is_file(source: object) -> bool:
    return (
        callable(getattr(source, "read", None))
        and hasattr(source, "readable")
        # A mock has any attribute, but not of this type.
        and isinstance(getattr(source, "closed", False), bool)
    )


def from_file(file: Any) -> SyncSource:  # noqa: ANN401 - a binary or a text file
    """Return a source that reads an open file; the stream closes the file.

    A pipe is read as its data arrive. If a text file has an underlying binary file, that file
    is read, so that the encoding of the text file does not matter.
    """
    if getattr(file, "closed", False) or not file.readable():
        raise MisuseError("the file is closed, or not open for reading; pass it open, or pass its path")
    binary_file = getattr(file, "buffer", None)
    if _is_non_blocking(file if binary_file is None else binary_file):
        raise MisuseError(_NO_BLOCKING)
    if binary_file is None:
        return SyncSource(_read_file(file), file.close)
    if file.seekable():
        # A text file reads ahead, so move the underlying file back to the position of the text file.
        try:
            file.seek(file.tell())
        except OSError as error:
            raise MisuseError("a loop over the text file has already begun; pass it before that") from error
    return SyncSource(_read_file(binary_file), file.close)


def _is_non_blocking(file: object) -> bool:
    """Return True for a non-blocking file, where a moment without data looks like the end of the file."""
    raw = getattr(file, "raw", file)
    # Only FileIO counts: a socket with a timeout is non-blocking, but its file object waits all the same.
    if not isinstance(raw, FileIO) or not hasattr(os, "get_blocking"):
        return False
    return not os.get_blocking(raw.fileno())


def _read_file(file: Any) -> Iterator[Any]:  # noqa: ANN401 - a binary or a text file
    """Yield the content of a file as its data arrive."""
    read: Callable[[int], bytes | str | None] = getattr(file, "read1", file.read)
    while chunk := read(CHUNK_SIZE):
        yield chunk
    # A non-blocking file returns None while it has no data.
    if chunk is None:
        raise MisuseError(_NO_BLOCKING)


def from_iterable(source: Iterable[Any]) -> SyncSource:
    items = iter(source)
    if source.__class__ is list or source.__class__ is tuple:
        # Bytes need no conversion, and there is nothing to close.
        is_bytes = {bytes}.issuperset(map(type, source))
        return SyncSource(items, do_nothing, convert=None if is_bytes else Converter(items))
    return SyncSource(items, _make_closer(items, source), convert=Converter(items))


def _make_closer(items: object, source: object) -> Action:
    """Return a function that closes an iterator and its iterable, as far as they can be closed."""
    objects = [items] if items is source else [items, source]
    methods = [getattr(each, _closing_name(each), None) for each in objects]
    closers = [close for close in methods if callable(close)]
    if not closers:
        return do_nothing

    def close() -> None:
        for each in closers:
            each()

    return close


def from_async_iterable(source: AsyncIterable[Any]) -> AsyncSource:
    items = aiter(source)
    # The events of an agent's run are whole messages, and may belong to several answers.
    messages, paced = is_run_iterator(items), is_paced(source)
    close = _AsyncCloser(items, source)
    return AsyncSource(items, close, convert=Converter(items), messages=messages, paced=paced)


class _AsyncCloser:
    """Closes an asynchronous iterator and its iterable, as far as they can be closed.

    A closure instead of this class would take three times the memory.
    """

    def __init__(self, items: object, source: object) -> None:
        self._items = items
        self._source = source

    @property
    def is_over(self) -> bool:
        """True if there is nothing to close but a generator that has ended."""
        return self._items is self._source and getattr(self._items, "ag_frame", self) is None

    async def __call__(self) -> None:
        # An iterator may be its own iterable, and is then closed only once.
        for each in [self._items] if self._items is self._source else [self._items, self._source]:
            await close_object(each)


def _closing_name(source: object) -> str:
    """Return the name of the method that closes a source; only `abort` ends a run of LangGraph."""
    return "abort" if is_graph_run(source) else "close"


async def close_object(source: object) -> None:
    """Close an object if it has `aclose`, or a sync or async `close`; abort a run of LangGraph."""
    close = getattr(source, "aclose", None) or getattr(source, _closing_name(source), None)
    if callable(close):
        result: Any = close()
        if hasattr(result, "__await__"):
            await result


class _AvailableItems:
    """Iterates asynchronously over items that are all available, so that it never waits."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> object:
        for item in self._items:
            return item
        raise StopAsyncIteration


def read_at_once(source: SyncSource) -> AsyncSource:
    """Return an asynchronous source for a source whose chunks are all available."""

    async def close() -> None:
        source.close()

    chunks = _AvailableItems(source.chunks)
    return AsyncSource(chunks, close, source.head, source.coding, instant=True, convert=source.convert)
