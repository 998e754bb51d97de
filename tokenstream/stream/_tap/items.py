"""Iterators that show a watcher, such as a tap's, each object that passes through them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from tokenstream._sources.payloads import as_received
from tokenstream.stream._tap.body import BodyWatcher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


ItemT = TypeVar("ItemT")


class Watcher(BodyWatcher, Protocol):
    """Watcher of a body that also receives each object of the loop, and learns when the request is sent."""

    item_count: int
    """Number of items that have passed so far."""

    def note_sent(self) -> None:
        """Record that the request is sent now, unless the caller has set `started_at`."""
        ...

    def note_open_error(self, error: BaseException) -> None:
        """Record that opening the stream raised an exception."""
        ...

    def see_item(self, item: object) -> None:
        """Receive an item, such as an object of an SDK."""
        ...

    def is_first(self, item: object) -> bool:
        """Return True if an item equals the first item, which shows that a loop has started over."""
        ...


class _ItemFilter:
    """Shows a watcher the items of a loop, except for the items that an earlier loop has shown.

    Args:
        iterable: The object over which the loop iterates; None if an earlier loop goes on. A sequence
            starts over with each loop, so the items that were shown are skipped. An iterator continues.
            Any other object has started over if the first item of its loop equals the first item shown.
    """

    __slots__ = ("_is_undecided", "_onlooker", "_skip_count")

    def __init__(self, onlooker: Watcher, iterable: object) -> None:
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

    def see(self, item: object) -> None:
        """Show an item to the watcher, unless an earlier loop has shown it."""
        if self._is_undecided:
            self._is_undecided = False
            if self._onlooker.is_first(item):
                self._skip_count = self._onlooker.item_count
        if self._skip_count:
            self._skip_count -= 1
        else:
            self._onlooker.see_item(item)


class WatchedIterator(Generic[ItemT]):
    """Iterator that yields the items of another iterator unchanged, and shows each to a watcher.

    Args:
        iterable: The object over which a new loop begins; None if an earlier loop goes on. See `_ItemFilter`.
    """

    __slots__ = ("_filter", "_items", "_onlooker")

    def __init__(self, items: Iterator[ItemT], onlooker: Watcher, *, iterable: object = None) -> None:
        self._items = items
        self._onlooker = onlooker
        self._filter = _ItemFilter(onlooker, iterable)

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
        self._filter.see(as_received(self._items, item))
        return item


class AsyncWatchedIterator(Generic[ItemT]):
    """Asynchronous iterator that yields another iterator's items unchanged, and shows each to a watcher."""

    __slots__ = ("_filter", "_items", "_onlooker")

    def __init__(self, items: AsyncIterator[ItemT], onlooker: Watcher, *, iterable: object = None) -> None:
        self._items = items
        self._onlooker = onlooker
        self._filter = _ItemFilter(onlooker, iterable)

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
        self._filter.see(as_received(self._items, item))
        return item


def _is_spent(items: object, frame_name: str) -> bool:
    """Return True if an iterator is a finished generator; any exception finishes a generator.

    Args:
        frame_name: The attribute with the frame of an unfinished generator, such as "gi_frame".
    """
    # Other iterators do not have the attribute; for them, the default is not None.
    return getattr(items, frame_name, items) is None
