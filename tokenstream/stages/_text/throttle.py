"""Limits the rate of items: those between two updates are merged, or the newest or whole one is given."""

from __future__ import annotations

import math
from typing import Any, Generic, TypeVar

from tokenstream.limits import check_seconds
from tokenstream.stages._text import SoundStage, TextStage

ItemT = TypeVar("ItemT")


class _Pace:
    """Base class: releases held items at most `hz` times a second, and all of them at the end.

    Args:
        hz: The highest rate, per second.
        unit: A name for the items, for error messages.
    """

    __slots__ = ("_held", "_next", "_seconds")

    def __init__(self, hz: float, unit: str) -> None:
        self._seconds = 1 / check_seconds("hz", hz, unit=f"{unit} a second")
        self._next = -math.inf
        """The clock reading before which nothing is returned."""
        self._held: list[Any] = []

    @property
    def deadline(self) -> float | None:
        """The clock reading at which the held items are due; None while none are held."""
        return self._next if self._held else None

    def _take_due(self, now: float) -> list[Any]:
        """Remove and return the held items if they are due."""
        return [] if now < self._next else self._take_all(now)

    def _take_all(self, now: float) -> list[Any]:
        """Remove and return the held items; if there are any, the next are due after the usual time."""
        held = self._held
        if held:
            self._next, self._held = now + self._seconds, []
        return held


class Throttle(_Pace, TextStage):
    """A stage that returns at most `hz` pieces a second, and loses none of the text.

    The first piece passes at once, and so does a piece after a silence. A piece that arrives
    too early is held for less than `1 / hz` seconds: until `deadline`, when `tick` returns it.
    At the end of the text, the rest is returned.

    Args:
        hz: The most pieces a second; a screen shows 30 to 60 frames.

    Raises:
        MisuseError: `hz` is not a number above 0.

    Example:
        >>> throttle = Throttle(hz=10)
        >>> throttle.feed("The", now=0.0), throttle.feed(" sky", now=0.02), throttle.feed(" is", now=0.04)
        (['The'], [], [])
        >>> throttle.deadline, throttle.tick(0.1), throttle.feed(" blue.", now=0.15), throttle.end(now=0.16)
        (0.1, [' sky is'], [], [' blue.'])
    """

    __slots__ = ()

    def __init__(self, hz: float) -> None:
        super().__init__(hz, unit="pieces")

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        if item:
            self._held.append(item)
        return _join(self._take_due(now))

    def tick(self, now: float) -> list[str]:
        """Return the text that is due; none is due before `deadline`.

        Args:
            now: A clock reading, in seconds.
        """
        return _join(self._take_due(now))

    def end(self, *, now: float = 0.0) -> list[str]:
        return _join(self._take_all(now))


def _join(held: list[str]) -> list[str]:
    """Return held pieces joined to one, in a list; the list is empty if none are held."""
    return ["".join(held)] if len(held) > 1 else held


class Newest(_Pace, SoundStage, Generic[ItemT]):
    """A stage that returns the newest item at most `hz` times a second, and always the last one.

    As with `Throttle`, the first item passes at once, and an item that arrives too early is held
    until `deadline`; but only the newest is held, and the items that it replaces are dropped.

    Args:
        hz: The most items a second.

    Raises:
        MisuseError: `hz` is not a number above 0.

    Example:
        >>> newest = Newest[int](hz=10)
        >>> newest.feed(1, now=0.0), newest.feed(2, now=0.02), newest.feed(3, now=0.04)
        ([1], [], [])
        >>> newest.tick(0.1), newest.feed(4, now=0.15), newest.end(now=0.16)
        ([3], [], [4])
    """

    __slots__ = ()

    def __init__(self, hz: float) -> None:
        super().__init__(hz, unit="items")

    def feed(self, item: ItemT, /, *, now: float = 0.0) -> list[ItemT]:
        """Return the item if it is due; otherwise hold it instead of an earlier one.

        Args:
            now: A clock reading, in seconds.
        """
        self._held = [item]
        return self._take_due(now)

    def tick(self, now: float) -> list[ItemT]:
        """Return the item that is due; none is due before `deadline`.

        Args:
            now: A clock reading, in seconds.
        """
        return self._take_due(now)

    def end(self, *, now: float = 0.0) -> list[ItemT]:
        """Return the held item.

        Args:
            now: A clock reading, in seconds.
        """
        return self._take_all(now)


class Accumulate(TextStage):
    """A stage that returns the whole text so far whenever the text has grown.

    Each item takes time in proportion to the text, so put a `Throttle` before this stage.

    Example:
        >>> so_far = Accumulate()
        >>> so_far.feed("The"), so_far.feed(" sky")
        (['The'], ['The sky'])
    """

    __slots__ = ("_text",)

    def __init__(self) -> None:
        self._text = ""

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        if not item:
            return []
        self._text += item
        return [self._text]
