"""Fewer pieces in the same time: what comes between two updates is given as one piece."""

from __future__ import annotations

import math

from tokenstream.limits import check_seconds
from tokenstream.stages._text.base import TextStage

__all__ = ["Throttle"]


class Throttle(TextStage):
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

    __slots__ = ("_held", "_next", "_seconds")

    def __init__(self, hz: float) -> None:
        self._seconds = 1 / check_seconds("hz", hz, unit="pieces a second")
        self._next = -math.inf
        """The clock before which nothing is given."""
        self._held: list[str] = []

    @property
    def deadline(self) -> float | None:
        """The clock at which what is held is due; None while nothing is."""
        return self._next if self._held else None

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        if now < self._next:
            if item:
                self._held.append(item)
            return []
        if self._held:
            self._held.append(item)
            return self.end(now=now)
        if not item:
            return []
        self._next = now + self._seconds
        return [item]

    def tick(self, now: float) -> list[str]:
        """Return what is due; nothing before `deadline`.

        Args:
            now: A clock reading, in seconds.
        """
        return [] if now < self._next else self.end(now=now)

    def end(self, *, now: float = 0.0) -> list[str]:
        if not self._held:
            return []
        self._next = now + self._seconds
        held, self._held = self._held, []
        return ["".join(held)]
