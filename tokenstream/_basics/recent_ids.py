"""The last ids of a stream, with which events that are sent again are found."""

from __future__ import annotations


class RecentIds:
    """Remembers ids, at least the last `size` of them and at most twice as many.

    Args:
        size: The number of ids.

    Example:
        >>> ids = RecentIds(2)
        >>> [ids.add(id) for id in ("a", "b", "a", "c", "d", "e", "a")]
        [True, True, False, True, True, True, True]
    """

    __slots__ = ("_earlier", "_latest", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._latest: set[str] = set()
        self._earlier: set[str] = set()
        """The ids before those in `_latest`, which replaces them once it is full."""

    def __contains__(self, id: str) -> bool:
        return id in self._latest or id in self._earlier

    def add(self, id: str) -> bool:
        """Remember an id; return False if it was known."""
        # A run asks this for each of its lines, so it costs no further call.
        latest = self._latest
        if id in latest or id in self._earlier:
            return False
        if len(latest) >= self._size:
            self._latest, self._earlier = set(), latest
        self._latest.add(id)
        return True

    def copy(self) -> RecentIds:
        copied = RecentIds(self._size)
        copied._latest, copied._earlier = set(self._latest), set(self._earlier)
        return copied
