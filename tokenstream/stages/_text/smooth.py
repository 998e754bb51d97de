"""An even pace out of bursts: text is given in small pieces, never later than a bound."""

from __future__ import annotations

import math
from collections import deque

from tokenstream.limits import check_seconds
from tokenstream.stages._text.base import TextStage
from tokenstream.stages._text.letters import is_joined

_STEP = 1 / 60
"""Seconds between two pieces: what is held is looked at once for each picture of a screen."""
_SHARE = 0.7
"""The part of the time that is left in which to give what is held: the rest is for what comes late."""
_NOTHING_WAITS = math.inf


class Smooth(TextStage):
    """A stage that gives text at an even pace, which follows the pace at which it comes.

    Servers and proxies send text in bursts. What comes is held and given in small
    pieces, 60 times a second at most, as fast as is needed to be done in time:
    nothing is held for longer than `max_delay`. The end gives all that is left.
    Letters that belong together, such as those of an emoji, stay together.

    Args:
        max_delay: The longest that text is held, in seconds.
        whole: Give each piece as it came, such as a word, and never a part of it.

    Raises:
        MisuseError: `max_delay` is no number above 0.

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
        """What waits, each with the clock at its arrival."""
        self._offset = 0
        """How much of the first piece was given."""
        self._length = 0
        """How many characters wait."""
        self._at = 0.0
        """The clock when something was given last."""
        self._next = -math.inf
        """The clock at which to give something again."""
        self._credit = 0.0
        """How many characters may be given; below 0 where more was given than was due."""

    @property
    def deadline(self) -> float | None:
        """The clock at which something is due; None while nothing waits."""
        return self._next if self._held else None

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        if not item:
            return []
        if not self._held:
            # Whoever has waited for it gets its beginning at once.
            self._credit = max(self._credit, 1.0) if now >= self._next else self._credit
            self._at = now
        self._held.append((now, item))
        self._length += len(item)
        return self.tick(now)

    def tick(self, now: float) -> list[str]:
        """Return what is due; nothing before `deadline`.

        Args:
            now: A clock reading, in seconds.
        """
        if not self._held or now < self._next:
            return []
        self._next = now + _STEP
        # The last piece that came has the most time left, which is what all of them are spread over.
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
        """Take what there is credit for, and all that came before a reading of the clock."""
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
                stop = _border(text, self._offset + int(self._credit)) if self._credit >= 1 else self._offset
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


def _border(text: str, at: int) -> int:
    """Return the first place from `at` on at which no letter is torn apart."""
    while at < len(text) and is_joined(text[at - 1], text[at]):
        at += 1
    return at
