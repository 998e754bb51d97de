"""Fewer items in the same time: what comes between two updates is given as one."""

from __future__ import annotations

import math
from typing import Any, Generic, TypeVar

from tokenstream.limits import check_seconds
from tokenstream.stages._text.base import SoundStage, TextStage

ItemT = TypeVar("ItemT")


class _Pace:
    """When what is held is given: at most so many times a second, and at the end.

    Args:
        hz: Most times a second.
        unit: What is given.
    """

    __slots__ = ("_held", "_next", "_seconds")

    def __init__(self, hz: float, unit: str) -> None:
        self._seconds = 1 / check_seconds("hz", hz, unit=f"{unit} a second")
        self._next = -math.inf
        """The clock before which nothing is given."""
        self._held: list[Any] = []

    @property
    def deadline(self) -> float | None:
        """The clock at which what is held is due; None while nothing is."""
        return self._next if self._held else None

    def _due(self, now: float) -> list[Any]:
        """Return what is held, once its time has come."""
        return [] if now < self._next else self._all(now)

    def _all(self, now: float) -> list[Any]:
        """Return what is held."""
        held = self._held
        if held:
            self._next, self._held = now + self._seconds, []
        return held


class Throttle(_Pace, TextStage):
    """A stage that gives at most so many pieces a second, and loses none of the text.

    The first piece comes at once, and so does one that comes after a silence. What
    comes too early is held for less than `1 / hz` seconds: `deadline` says until when,
    and `tick` gives it then. The end gives what is left.

    Args:
        hz: Most pieces a second; a screen shows 30 to 60 different pictures.

    Raises:
        MisuseError: `hz` is no number above 0.

    Example:
        >>> throttle = Throttle(hz=10)
        >>> throttle.feed("The", now=0.0), throttle.feed(" sky", now=0.02), throttle.feed(" is", now=0.04)
        (['The'], [], [])
        >>> throttle.deadline, throttle.tick(0.1), throttle.feed(" blue.", now=0.15), throttle.end(now=0.16)
        (0.1, [' sky is'], [], [' blue.'])
    """

    __slots__ = ()

    def __init__(self, hz: float) -> None:
        super().__init__(hz, "pieces")

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        if item:
            self._held.append(item)
        return _joined(self._due(now))

    def tick(self, now: float) -> list[str]:
        """Return what is due; nothing before `deadline`.

        Args:
            now: A clock reading, in seconds.
        """
        return _joined(self._due(now))

    def end(self, *, now: float = 0.0) -> list[str]:
        return _joined(self._all(now))


def _joined(held: list[str]) -> list[str]:
    return ["".join(held)] if len(held) > 1 else held


class Newest(_Pace, SoundStage, Generic[ItemT]):
    """A stage that gives the newest item, at most so many times a second, and the last one always.

    As with `Throttle`, the first item comes at once, and what comes too early is held
    until `deadline`: but only the newest, so that what it replaces is never given.

    Args:
        hz: Most items a second.

    Raises:
        MisuseError: `hz` is no number above 0.

    Example:
        >>> newest = Newest[int](hz=10)
        >>> newest.feed(1, now=0.0), newest.feed(2, now=0.02), newest.feed(3, now=0.04)
        ([1], [], [])
        >>> newest.tick(0.1), newest.feed(4, now=0.15), newest.end(now=0.16)
        ([3], [], [4])
    """

    __slots__ = ()

    def __init__(self, hz: float) -> None:
        super().__init__(hz, "items")

    def feed(self, item: ItemT, /, *, now: float = 0.0) -> list[ItemT]:
        """Return the item if it is due, which is else held in the place of one before it.

        Args:
            item: The item.
            now: A clock reading, in seconds.
        """
        self._held = [item]
        return self._due(now)

    def tick(self, now: float) -> list[ItemT]:
        """Return what is due; nothing before `deadline`.

        Args:
            now: A clock reading, in seconds.
        """
        return self._due(now)

    def end(self, *, now: float = 0.0) -> list[ItemT]:
        """Return the item that is held.

        Args:
            now: A clock reading, in seconds.
        """
        return self._all(now)
