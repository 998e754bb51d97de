"""Iterators that show a watcher, such as a tap's, each object that passes through them."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from tokenstream._sources.httpx import from_async_response, from_response
from tokenstream._sources.payloads import as_received
from tokenstream.stages._protocols import ItemT

if TYPE_CHECKING:
    from tokenstream._basics.loose import FromHTTPX
    from tokenstream._connection.head import ResponseHead

_SYNC, _ASYNC = "SyncByteStream", "AsyncByteStream"


class BodyWatcher(Protocol):
    """Watcher of a response body: receives the response's head, the bytes and the end."""

    def note_head(self, head: ResponseHead | None, coding: str) -> None:
        """Receive the response's head and content coding."""

    def see(self, chunk: bytes) -> None:
        """Receive a chunk."""

    def end(self) -> None:
        """Record that the source has ended."""

    def note_read_error(self, error: BaseException, *, final: bool) -> None:
        """Record that a read raised an exception; with `final`, nothing more can be read from the source.

        `final` matters only if the read was cancelled or interrupted: any other error ends the message
        anyway.
        """

    def stop(self) -> None:
        """Record that the code that reads the source has closed it."""


def can_watch_body(response: FromHTTPX) -> bool:
    """Return True if a response's body is still unread, and can be replaced by a wrapper."""
    if response.is_stream_consumed is not False or response.is_closed is not False:
        return False
    return bool(_find_bases(response.stream))


def is_asynchronous(response: FromHTTPX) -> bool:
    """Return True if a response's body is read in an `async for` loop."""
    return not isinstance(response.stream, Iterable)


def watch_body(response: FromHTTPX, onlooker: BodyWatcher) -> None:
    """Replace a response's body by a wrapper that shows a watcher every chunk which is read from the body."""
    make_source = from_async_response if is_asynchronous(response) else from_response
    source = make_source(response)
    onlooker.note_head(source.head, source.coding)
    body = response.stream
    response.stream = _make_watched_class(_find_bases(body))(body, onlooker)


class _Nobody:
    """Takes the place of a body's watcher once the body is closed.

    A response of httpx and its body refer to each other, and wait for the garbage collector. Until then, they
    must not keep the answer.
    """

    def see(self, chunk: bytes) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""

    def note_read_error(self, error: BaseException, *, final: bool) -> None:
        """Do nothing."""


_NOBODY = _Nobody()


class _WatchedBody:
    """A wrapper of a response's body that reports to a watcher; has all attributes of that body."""

    def __init__(self, body: FromHTTPX, onlooker: BodyWatcher) -> None:
        self._body = body
        self._onlooker: BodyWatcher | _Nobody = onlooker

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - what the body has
        # A copy is made without `__init__`, and so has no body.
        if name == "_body":
            raise AttributeError(name)
        return getattr(self._body, name)

    def _leave_onlooker(self) -> None:
        onlooker, self._onlooker = self._onlooker, _NOBODY
        onlooker.stop()


class _SyncWatchedBody(_WatchedBody):
    """A wrapper of a body that is read in a `for` loop; shows each chunk to the watcher."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield the body's chunks; show each chunk, and the end or an error, to the watcher."""
        try:
            for chunk in self._body:
                self._onlooker.see(chunk)
                yield chunk
        except GeneratorExit:
            # The reading code left the loop; its call of `close` is reported separately.
            raise
        except BaseException as error:
            # A body cannot be read any further after an exception.
            self._onlooker.note_read_error(error, final=True)
            raise
        self._onlooker.end()

    def close(self) -> None:
        try:
            self._leave_onlooker()
        finally:
            self._body.close()


class _AsyncWatchedBody(_WatchedBody):
    """A wrapper of a body that is read in an `async for` loop; shows each chunk to the watcher."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body's chunks; show each chunk, and the end or an error, to the watcher."""
        chunks = self._body.__aiter__()
        try:
            async for chunk in chunks:
                self._onlooker.see(chunk)
                yield chunk
        except GeneratorExit:
            # The reading code left the loop; its call of `aclose` is reported separately.
            raise
        except BaseException as error:
            # A body cannot be read any further after an exception.
            self._onlooker.note_read_error(error, final=True)
            raise
        finally:
            # Otherwise the event loop would close the generator later, in another task.
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()
        self._onlooker.end()

    async def aclose(self) -> None:
        try:
            self._leave_onlooker()
        finally:
            await self._body.aclose()


def _find_bases(body: object) -> tuple[type, ...]:
    """Return the byte-stream classes of httpx or httpx2 that a body inherits from, without an import."""
    return tuple(base for base in type(body).__mro__ if base.__name__ in (_SYNC, _ASYNC))


@functools.cache
def _make_watched_class(bases: tuple[type, ...]) -> Any:  # noqa: ANN401 - a class that httpx or httpx2 knows
    """Return a class of wrappers that also inherits from the byte-stream classes of httpx or httpx2."""
    names = {base.__name__ for base in bases}
    ours = [kind for name, kind in ((_SYNC, _SyncWatchedBody), (_ASYNC, _AsyncWatchedBody)) if name in names]
    return type("ShownBody", (*ours, *bases), {})


ItemsT = TypeVar("ItemsT")


class Watcher(BodyWatcher, Protocol):
    """Watcher of a body that also receives each object of the loop, and learns when the request is sent."""

    item_count: int
    """Number of items that have passed so far."""

    def note_sent(self) -> None:
        """Record that the request is sent now, unless the caller has set `started_at`."""

    def note_open_error(self, error: BaseException) -> None:
        """Record that opening the stream raised an exception."""

    def see_item(self, item: object) -> None:
        """Receive an item, such as an object of an SDK."""

    def is_first(self, item: object) -> bool:
        """Return True if an item equals the first item, which shows that a loop has started over."""
        ...


class _WatchedItems(Generic[ItemsT]):
    """Base class of the iterators that show a watcher the items of a loop, unless an earlier loop has.

    Args:
        items: The iterator that yields the items.
        iterable: The object over which the loop iterates; None if an earlier loop goes on. A sequence
            starts over with each loop, so the items that were shown are skipped. An iterator continues.
            Any other object has started over if the first item of its loop equals the first item shown.
    """

    def __init__(self, items: ItemsT, onlooker: Watcher, *, iterable: object = None) -> None:
        self._items = items
        self._onlooker = onlooker
        is_iterator = hasattr(iterable, "__next__") or hasattr(iterable, "__anext__")
        # An iterator goes on where an earlier loop has ended; a sequence starts over; any other object may do
        # either, which its first item shows.
        continues = iterable is None or is_iterator
        starts_over = isinstance(iterable, Sequence)
        self._skip_count = onlooker.item_count if starts_over else 0
        """Number of items still to pass over, because an earlier loop has shown them to the watcher."""
        self._is_undecided = not continues and not starts_over and onlooker.item_count > 0
        """True until the first item shows if the loop has started over."""

    def _show(self, item: object) -> None:
        """Show an item to the watcher, unless an earlier loop has shown it."""
        if self._is_undecided:
            self._is_undecided = False
            if self._onlooker.is_first(item):
                self._skip_count = self._onlooker.item_count
        if self._skip_count:
            self._skip_count -= 1
        else:
            self._onlooker.see_item(item)


class WatchedIterator(_WatchedItems["Iterator[ItemT]"], Generic[ItemT]):
    """Iterator that yields the items of another iterator unchanged, and shows each to a watcher."""

    __slots__ = ()

    def __iter__(self) -> Iterator[ItemT]:
        return self

    def __next__(self) -> ItemT:
        """Return the next item; show the item, or the end or an error, to the watcher."""
        try:
            item = next(self._items)
        except StopIteration:
            self._onlooker.end()
            raise
        except BaseException as error:
            self._onlooker.note_read_error(error, final=_is_spent(self._items, "gi_frame"))
            raise
        # `as_received` takes out a finish reason that litellm has made up.
        self._show(as_received(self._items, item))
        return item


class AsyncWatchedIterator(_WatchedItems["AsyncIterator[ItemT]"], Generic[ItemT]):
    """Asynchronous iterator that yields another iterator's items unchanged, and shows each to a watcher."""

    __slots__ = ()

    def __aiter__(self) -> AsyncIterator[ItemT]:
        return self

    async def __anext__(self) -> ItemT:
        """Return the next item; show the item, or the end or an error, to the watcher."""
        try:
            item = await anext(self._items)
        except StopAsyncIteration:
            self._onlooker.end()
            raise
        except BaseException as error:
            # Only a generator (which has a frame until it ends) is certain to have nothing more to read.
            self._onlooker.note_read_error(error, final=_is_spent(self._items, "ag_frame"))
            raise
        # `as_received` takes out a finish reason that litellm has made up.
        self._show(as_received(self._items, item))
        return item


def _is_spent(items: object, frame_name: str) -> bool:
    """Return True if an iterator is a finished generator; any exception finishes a generator."""
    # Other iterators do not have the attribute; for them, the default is not None.
    return getattr(items, frame_name, items) is None
