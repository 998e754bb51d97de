"""Iterators that show an onlooker each object that passes through them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tokenstream.stream._tap_onlooker import Onlooker

__all__ = ["AsyncPassing", "Passing"]

ItemT = TypeVar("ItemT")


class Passing(Generic[ItemT]):
    """Gives the very items of an iterator, and shows each to an onlooker.

    Args:
        items: The iterator.
        onlooker: Who sees them.
        again: What is iterated: a list begins anew with each loop, and what
            was seen of it is not to be seen twice.
    """

    __slots__ = ("_items", "_onlooker", "_seen")

    def __init__(self, items: Iterator[ItemT], onlooker: Onlooker, *, again: object = None) -> None:
        self._items = items
        self._onlooker = onlooker
        self._seen = onlooker.items if isinstance(again, Sequence) else 0

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
        if self._seen:
            self._seen -= 1
        else:
            self._onlooker.see_item(item)
        return item


class AsyncPassing(Generic[ItemT]):
    """The same for an asynchronous iterator."""

    __slots__ = ("_items", "_onlooker")

    def __init__(self, items: AsyncIterator[ItemT], onlooker: Onlooker) -> None:
        self._items = items
        self._onlooker = onlooker

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
        self._onlooker.see_item(item)
        return item


def _is_spent(items: object, frame: str) -> bool:
    """Tell whether an iterator is a generator that is over, as one is after any exception."""
    return getattr(items, frame, items) is None
