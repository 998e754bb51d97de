"""The text of values that are validated whole: cut out as it arrives."""

from __future__ import annotations

import json
from typing import Any

from tokenstream._log import TextLog

__all__ = ["Excerpt", "WrittenExcerpt"]


class Excerpt:
    """The text of one value at a time, by the offsets of its events.

    Example:
        >>> excerpt = Excerpt()
        >>> excerpt.feed('{"a": [1')
        >>> excerpt.open(6)
        >>> excerpt.settle()
        >>> excerpt.feed(", 2]}")
        >>> excerpt.close(12, [1, 2])
        '[1, 2]'
    """

    __slots__ = ("_base", "_from", "_held", "_text")

    def __init__(self) -> None:
        self._base = 0
        """How many characters came before the piece that is being read."""
        self._text = ""
        self._from: int | None = None
        """Where the open value's text begins in the piece; None where no value is open."""
        self._held: TextLog | None = None
        """What earlier pieces held of it."""

    @property
    def is_open(self) -> bool:
        """Whether a value's text is being kept."""
        return self._from is not None

    def feed(self, text: str) -> None:
        """Turn to the next piece."""
        self._base += len(self._text)
        self._text = text

    def open(self, offset: int) -> None:
        """Keep the text from `offset` on."""
        self._from = offset - self._base

    def settle(self) -> None:
        """Keep the open value's part of the piece, which has been read."""
        if self._from is None:
            return
        if self._held is None:
            self._held = TextLog()
        self._held.append(self._text[self._from :])
        self._from = 0

    def close(self, offset: int, value: Any) -> str:  # noqa: ANN401 - any JSON value
        """Return the text of the value that was open; it ends before `offset`."""
        start, self._from = self._from, None
        text = self._text[start : offset - self._base]
        if self._held is not None:
            self._held.append(text)
            text = self._held.join()
            self._held = None
        return text


class WrittenExcerpt(Excerpt):
    """The text of values whose own text is no JSON: it is written anew."""

    __slots__ = ()

    def settle(self) -> None:
        """Keep nothing."""

    def close(self, offset: int, value: Any) -> str:  # noqa: ANN401 - any JSON value
        """Return the value as JSON; what JSON has no word for is written as Python does."""
        self._from = None
        return json.dumps(value)
