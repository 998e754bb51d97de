"""Iterators that show an onlooker each object that passes through them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from tokenstream.sources._payloads import as_received
from tokenstream.stream._tap_body import BodyWatcher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


__all__ = ["AsyncPassing", "Passing", "Watcher"]

ItemT = TypeVar("ItemT")


class Watcher(BodyWatcher, Protocol):
    """Is told of what is opened, and of each object that passes, too."""

    items: int
    """How many items have passed."""

    def sent(self) -> None:
        """A request goes out now, unless it was said when it does."""
        ...

    def not_opened(self, error: BaseException) -> None:
        """The request was answered by an exception."""
        ...

    def see_item(self, item: object) -> None:
        """Take an object of an SDK, or whatever else passes."""
        ...

    def is_first(self, item: object) -> bool:
        """Tell whether an item is the first one again, as when a loop begins anew."""
        ...


class _Seen:
    """Which items of a loop were seen by an onlooker in an earlier loop over the same.

    Args:
        onlooker: Who sees them.
        again: What is iterated. A list begins anew with each loop, and what was
            seen of it is not to be seen twice. An iterator goes on. Of anything
            else the first item tells.
    """

    __slots__ = ("_left", "_onlooker", "_open")

    def __init__(self, onlooker: Watcher, again: object) -> None:
        self._onlooker = onlooker
        goes_on = again is None or hasattr(again, "__next__") or hasattr(again, "__anext__")
        anew = isinstance(again, Sequence)
        self._left = onlooker.items if anew else 0
        self._open = not goes_on and not anew and onlooker.items > 0

    def see(self, item: object) -> None:
        """Show an item to the onlooker, unless it is one that was seen."""
        if self._open:
            self._open = False
            if self._onlooker.is_first(item):
                self._left = self._onlooker.items
        if self._left:
            self._left -= 1
        else:
            self._onlooker.see_item(item)


class Passing(Generic[ItemT]):
    """Gives the very items of an iterator, and shows each to an onlooker.

    Args:
        items: The iterator.
        onlooker: Who sees them.
        again: What is iterated, where a loop over it begins.
    """

    __slots__ = ("_items", "_onlooker", "_seen")

    def __init__(self, items: Iterator[ItemT], onlooker: Watcher, *, again: object = None) -> None:
        self._items = items
        self._onlooker = onlooker
        self._seen = _Seen(onlooker, again)

    def __iter__(self) -> Iterator[ItemT]:
        return self

    def __next__(self) -> ItemT:
        try:
            item = next(self._items)
        except StopIteration:
            self._onlooker.end()
            raise
        except BaseException as error:
            self._onlooker.broke(error, final=_is_spent(self._items, "gi_frame"))
            raise
        self._seen.see(as_received(self._items, item))
        return item


class AsyncPassing(Generic[ItemT]):
    """The same for an asynchronous iterator."""

    __slots__ = ("_items", "_onlooker", "_seen")

    def __init__(self, items: AsyncIterator[ItemT], onlooker: Watcher, *, again: object = None) -> None:
        self._items = items
        self._onlooker = onlooker
        self._seen = _Seen(onlooker, again)

    def __aiter__(self) -> AsyncIterator[ItemT]:
        return self

    async def __anext__(self) -> ItemT:
        try:
            item = await anext(self._items)
        except StopAsyncIteration:
            self._onlooker.end()
            raise
        except BaseException as error:
            self._onlooker.broke(error, final=_is_spent(self._items, "ag_frame"))
            raise
        self._seen.see(as_received(self._items, item))
        return item


def _is_spent(items: object, frame: str) -> bool:
    """Tell whether an iterator is a generator that is over, as one is after any exception."""
    return getattr(items, frame, items) is None
