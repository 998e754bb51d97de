"""Turns bursts into an even pace: text is returned in small pieces, with a bounded delay."""

from __future__ import annotations

import math
from collections import deque

from tokenstream.limits import check_seconds
from tokenstream.stages._text import TextStage
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

    __slots__ = (
        "_credit",
        "_held",
        "_last_return",
        "_length",
        "_max_delay",
        "_next_return",
        "_offset",
        "_whole",
    )

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
        pieces = self._take_due(now + _STEP - self._max_delay)
        return pieces if self._whole or len(pieces) < 2 else ["".join(pieces)]

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return all the rest: joined to one piece or, with `whole`, in its own pieces."""
        pieces = self._take_due(_ALL_IS_OVERDUE)
        return pieces if self._whole or not pieces else ["".join(pieces)]

    def _take_due(self, before: float) -> list[str]:
        """Remove and return the text that is due: as much as the pace allows, and all text that is overdue."""
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
                stop = _leave_letter(text, offset + int(self._credit))
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
        return pieces


def _leave_letter(text: str, position: int) -> int:
    """Return the first position at or after `position` that is not inside a letter."""
    while position < len(text) and is_inside_letter(text, position):
        position += 1
    return position
