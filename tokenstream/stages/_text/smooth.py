"""Turns bursts into an even pace: text is returned in small pieces, with a bounded delay."""

from __future__ import annotations

import math
from collections import deque

from tokenstream.limits import check_seconds
from tokenstream.stages._text.base import TextStage
from tokenstream.stages._text.letters import is_joined

_STEP = 1 / 60
"""Seconds between two pieces: one piece for each frame of a screen."""
_SHARE = 0.7
"""The share of the remaining time in which to return the held text; the rest allows for late ticks."""
_NOTHING_WAITS = math.inf


class Smooth(TextStage):
    """A stage that returns text at an even pace, which follows the pace of its arrival.

    Servers and proxies send text in bursts. This stage holds the text and returns it in
    small pieces, at most 60 times a second, just fast enough that no text is held for
    longer than `max_delay`. At the end of the text, all the rest is returned. The characters
    of one letter, such as those of an emoji, stay together.

    Args:
        max_delay: The longest time that text is held, in seconds.
        whole: Return each piece unchanged, such as a word, and never a part of it.

    Raises:
        MisuseError: `max_delay` is not a number above 0.

    Example:
        >>> smooth = Smooth(max_delay=0.1)
        >>> smooth.feed("A burst of text.", now=0.0)
        ['A']
        >>> [smooth.tick(n / 60)[0] for n in range(1, 6)]
        [' bur', 'st o', 'f t', 'ext', '.']
    """

    __slots__ = ("_at", "_credit", "_held", "_length", "_max_delay", "_next", "_offset", "_whole")

    def __init__(self, max_delay: float = 0.4, *, whole: bool = False) -> None:
        self._max_delay = check_seconds("max_delay", max_delay)
        self._whole = whole
        self._held: deque[tuple[float, str]] = deque()
        """The waiting pieces, each with the clock reading at its arrival."""
        self._offset = 0
        """Number of characters of the first waiting piece that were already returned."""
        self._length = 0
        """Number of waiting characters."""
        self._at = 0.0
        """The clock reading when text was returned last."""
        self._next = -math.inf
        """The clock reading from which text may be returned again."""
        self._credit = 0.0
        """Number of characters that may be returned; negative if more were returned than were due."""

    @property
    def deadline(self) -> float | None:
        """The clock reading at which text is due; None while no text waits."""
        return self._next if self._held else None

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Hold a piece, and return the text that is due.

        Args:
            item: The next piece of the text.
            now: A clock reading, in seconds.
        """
        if not item:
            return []
        if not self._held:
            # After a silence, the first character is returned at once.
            self._credit = max(self._credit, 1.0) if now >= self._next else self._credit
            self._at = now
        self._held.append((now, item))
        self._length += len(item)
        return self.tick(now)

    def tick(self, now: float) -> list[str]:
        """Return the text that is due; none is due before `deadline`.

        Args:
            now: A clock reading, in seconds.
        """
        if not self._held or now < self._next:
            return []
        self._next = now + _STEP
        # The newest piece has the most time left: spread all of the text over that time.
        left = self._held[-1][0] + self._max_delay - now
        rate = self._length / (left * _SHARE) if left > 0 else math.inf
        self._credit = min(self._credit + rate * (now - self._at), float(self._length))
        self._at = now
        pieces = self._take(now + _STEP - self._max_delay)
        return pieces if self._whole or len(pieces) < 2 else ["".join(pieces)]

    def end(self, *, now: float = 0.0) -> list[str]:
        pieces = self._take(_NOTHING_WAITS)
        return pieces if self._whole or not pieces else ["".join(pieces)]

    def _take(self, before: float) -> list[str]:
        """Remove and return the text that the credit covers, and all text that arrived before a time.

        Args:
            before: The clock reading of that time.
        """
        pieces: list[str] = []
        while self._held:
            arrived, text = self._held[0]
            rest = len(text) - self._offset
            if arrived < before or self._whole or self._credit >= rest:
                if arrived >= before and self._credit < 1:
                    break
                pieces.append(text[self._offset :])
                self._held.popleft()
                self._offset = 0
            else:
                stop = _uncut(text, self._offset + int(self._credit)) if self._credit >= 1 else self._offset
                if stop == self._offset:
                    break
                rest = stop - self._offset
                pieces.append(text[self._offset : stop])
                self._offset = stop
                if stop == len(text):
                    self._held.popleft()
                    self._offset = 0
            self._credit -= rest
            self._length -= rest
        self._credit = max(self._credit, 0.0) if not self._held else self._credit
        return pieces


def _uncut(text: str, at: int) -> int:
    """Return the first place at or after `at` that is not inside a letter."""
    while at < len(text) and is_joined(text[at - 1], text[at]):
        at += 1
    return at
