"""The last items of a sequence, by their numbers: one queue for any number of readers."""

from __future__ import annotations

from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


class Ring(Generic[ItemT]):
    """The last items of a sequence, each accessible by its number.

    Any number of readers share a ring: a reader's state is the number of its next item.

    Args:
        size: The largest number of items that are held.
        begin: The number of the first item.

    Example:
        >>> ring = Ring[str](2)
        >>> for letter in "abc":
        ...     ring.append(letter)
        >>> ring.begin, ring.end, ring[1], ring[2]
        (1, 3, 'b', 'c')
    """

    __slots__ = ("_first", "_items", "end", "size")

    def __init__(self, size: int, *, begin: int = 0) -> None:
        self.size = size
        """The largest number of items that are held."""
        self.end = begin
        """The number that the next item will get."""
        self._first = begin
        """The number of the first item of all, which is stored at index 0 of `_items`."""
        self._items: list[ItemT] = []

    @property
    def begin(self) -> int:
        """The number of the oldest item that is held."""
        return self.end - len(self._items)

    def append(self, item: ItemT) -> None:
        """Add an item; it replaces the oldest one if the ring is full."""
        items = self._items
        if len(items) < self.size:
            items.append(item)
        else:
            # The place of the oldest item; item number `_first`, the ring's first one, had index 0.
            items[(self.end - self._first) % self.size] = item
        self.end += 1

    def __getitem__(self, number: int) -> ItemT:
        if not self.begin <= number < self.end:
            raise IndexError(number)
        return self._items[(number - self._first) % self.size]
