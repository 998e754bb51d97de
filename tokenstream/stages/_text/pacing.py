"""Stages that change when text arrives: at an even pace, at most so often, or all of it at once."""

from __future__ import annotations

import math
from collections import deque
from typing import Any, ClassVar, Generic

from tokenstream.limits import check_seconds
from tokenstream.stages._protocols import ItemT
from tokenstream.stages._text import SoundStage, TextStage
from tokenstream.stages._text.units import is_inside_letter

_STEP = 1 / 60
"""Seconds between two pieces: one piece for each frame of a screen."""
_SHARE = 0.7
"""The share of the remaining time in which to return the held text; the rest allows for late ticks."""
_ALL_IS_OVERDUE = math.inf
"""A clock reading after the arrival of any text, so that all held text counts as overdue."""


class Smooth(TextStage):
    """A stage that returns text at an even pace, which follows the pace of its arrival.

    Servers and proxies send text in bursts. This stage holds the text and returns it in
    small pieces, at most 60 times a second, just fast enough that no text is held for
    longer than `max_delay`. At the end of the text, all the rest is returned. The characters
    of one letter, such as those of an emoji, stay together.

    Args:
        max_delay: The longest time that text is held, in seconds.
        whole: True to return each piece unchanged, such as a word, and never a part of it.

    Raises:
        MisuseError: `max_delay` is not a number above 0.

    Example:
        >>> smooth = Smooth(max_delay=0.1)
        >>> smooth.feed("A burst of text.", now=0.0)
        ['A']
        >>> [smooth.tick(n / 60)[0] for n in range(1, 6)]
        [' bur', 'st o', 'f t', 'ext', '.']
    """

    def __init__(self, max_delay: float = 0.4, *, whole: bool = False) -> None:
        self._max_delay = check_seconds("max_delay", max_delay)
        self._whole = whole
        self._held: deque[tuple[float, str]] = deque()
        """The waiting pieces, each with the clock reading at its arrival."""
        self._offset = 0
        """Number of characters of the first waiting piece that were already returned."""
        self._length = 0
        """Number of waiting characters."""
        self._last_return = 0.0
        """The clock reading when text was returned last, or when the text after a silence arrived."""
        self._next_return = -math.inf
        """The clock reading from which text may be returned again."""
        self._credit = 0.0
        """Number of characters that may be returned; negative if more were returned than were due."""

    @property
    def deadline(self) -> float | None:
        """The clock reading at which text is due; None while no text waits."""
        return self._next_return if self._held else None

    @property
    def holds_pace(self) -> bool:
        """True while text waits."""
        return bool(self._held)

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Hold a piece, and return the text that is due.

        Args:
            item: The next piece of the text.
            now: A clock reading, in seconds.
        """
        if not item:
            return []
        if not self._held:
            if now >= self._next_return:
                # After a silence, the first character is returned at once.
                self._credit = max(self._credit, 1.0)
            self._last_return = now
        self._held.append((now, item))
        self._length += len(item)
        return self.tick(now)

    def tick(self, now: float) -> list[str]:
        """Return the text that is due; none is due before `deadline`.

        Args:
            now: A clock reading, in seconds.
        """
        if not self._held or now < self._next_return:
            return []
        self._next_return = now + _STEP
        # The newest piece has the most time left: spread all of the text over that time.
        newest_arrived_at = self._held[-1][0]
        seconds_left = newest_arrived_at + self._max_delay - now
        # A share of that time, because a tick may come late.
        rate = self._length / (seconds_left * _SHARE) if seconds_left > 0 else math.inf
        self._credit = min(self._credit + rate * (now - self._last_return), float(self._length))
        self._last_return = now
        # Text that would be held too long at the next step is returned now.
        return self._take_due(now + _STEP - self._max_delay)

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return all the rest: joined to one piece or, with `whole`, in its own pieces."""
        return self._take_due(_ALL_IS_OVERDUE)

    def _take_due(self, before: float) -> list[str]:
        """Remove and return the text that is due: what the pace allows, and all older than `before`."""
        pieces: list[str] = []
        held, whole, offset = self._held, self._whole, self._offset
        while held:
            arrived_at, text = held[0]
            is_overdue = arrived_at < before
            # The credit is the number of characters that the pace allows; overdue text makes it negative.
            if not is_overdue and self._credit < 1:
                break
            stop = length = len(text)
            if not (is_overdue or whole or self._credit >= length - offset):
                stop = offset + int(self._credit)
                while stop < length and is_inside_letter(text, stop):
                    stop += 1
            pieces.append(text[offset:stop])
            self._credit -= stop - offset
            self._length -= stop - offset
            if stop == length:
                held.popleft()
                stop = 0
            offset = stop
        self._offset = offset
        if not held:
            # Nothing is held any more, so text that was returned early must not delay later text.
            self._credit = max(self._credit, 0.0)
        return pieces if whole else _join(pieces)


class _Rate:
    """Base class: releases held items at most `hz` times a second, and all of them at the end."""

    _unit: ClassVar = "items"

    def __init__(self, hz: float) -> None:
        self._seconds = 1 / check_seconds("hz", hz, unit=f"{self._unit} a second")
        self._next = -math.inf
        """The clock reading before which nothing is returned."""
        self._held: list[Any] = []

    @property
    def deadline(self) -> float | None:
        """The clock reading at which the held items are due; None while none are held."""
        return self._next if self._held else None

    def tick(self, now: float) -> list[Any]:
        """Return what is held if it is due; nothing is due before `deadline`."""
        return [] if now < self._next else self.end(now=now)

    def end(self, *, now: float = 0.0) -> list[Any]:
        """Return what is held; after that, nothing more is due for the usual time."""
        held = self._held
        if held:
            self._next, self._held = now + self._seconds, []
        return _join(held)


def _join(held: list[str]) -> list[str]:
    """Return held pieces joined to one, in a list; the list is empty if none are held."""
    return ["".join(held)] if len(held) > 1 else held


class Throttle(_Rate, TextStage):
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
        >>> throttle.feed("The"), throttle.feed(" sky", now=0.02), throttle.feed(" is", now=0.04)
        (['The'], [], [])
        >>> throttle.deadline, throttle.tick(0.1), throttle.feed(" blue", now=0.15), throttle.end()
        (0.1, [' sky is'], [], [' blue'])
    """

    __slots__ = ()

    _unit = "pieces"

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        if item:
            self._held.append(item)
        return self.tick(now)


class Newest(_Rate, SoundStage, Generic[ItemT]):
    """A stage that returns the newest item at most `hz` times a second, and always the last one.

    As with `Throttle`, the first item passes at once, and an item that arrives too early is held
    until `deadline`; but only the newest is held, and the items that it replaces are dropped.

    Raises:
        MisuseError: `hz` is not a number above 0.
    """

    __slots__ = ()

    def feed(self, item: ItemT, /, *, now: float = 0.0) -> list[ItemT]:
        """Return the item if it is due; otherwise hold it instead of an earlier one."""
        self._held = [item]
        return self.tick(now)


class Accumulate(TextStage):
    """A stage that returns the whole text so far whenever the text has grown.

    Each item takes time in proportion to the text, so put a `Throttle` before this stage.
    """

    def __init__(self) -> None:
        self._text = ""

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        if not item:
            return []
        self._text += item
        return [self._text]
