"""Excerpts of a document: the text of a value that is validated as a whole, collected as it arrives."""

from __future__ import annotations

import json

from tokenstream._basics.text_log import TextLog


class Excerpt:
    """Collects the text of one value at a time, between the offsets of its events.

    `feed` receives each piece of the document. `open` and `close` are called for the events of a
    value in that piece, and `store_piece` after them, before the next piece.

    Example:
        >>> excerpt = Excerpt()
        >>> excerpt.feed('{"a": [1')
        >>> excerpt.open(6)
        >>> excerpt.store_piece()
        >>> excerpt.feed(", 2]}")
        >>> excerpt.close(12, [1, 2])
        '[1, 2]'
    """

    __slots__ = ("_base", "_earlier_text", "_start", "_text")

    def __init__(self) -> None:
        self._base = 0
        """Offset of the current piece in the document."""
        self._text = ""
        self._start: int | None = None
        """Start of the open value in the current piece; None if no value is being collected."""
        self._earlier_text: TextLog | None = None
        """Text of the open value in earlier pieces; None if the value began in the current piece."""

    @property
    def is_open(self) -> bool:
        """True while the text of a value is being collected."""
        return self._start is not None

    def feed(self, text: str) -> None:
        """Make the next piece of the document the current one, to which `open` and `close` then refer."""
        self._base += len(self._text)
        self._text = text

    def open(self, offset: int) -> None:
        """Begin a value: collect the text from an offset on."""
        self._start = offset - self._base

    def store_piece(self) -> None:
        """Store the part of the open value that is in the current piece."""
        if self._start is None:
            return
        if self._earlier_text is None:
            self._earlier_text = TextLog()
        self._earlier_text.append(self._text[self._start :])
        # The value goes on at the start of the next piece.
        self._start = 0

    def close(self, offset: int, value: object) -> str:
        """End the open value, and return its text.

        Args:
            offset: The offset after the value.
            value: The value, which only `WrittenExcerpt` needs.
        """
        start, self._start = self._start, None
        text = self._text[start : offset - self._base]
        if self._earlier_text is not None:
            self._earlier_text.append(text)
            text = self._earlier_text.join()
            self._earlier_text = None
        return text


class WrittenExcerpt(Excerpt):
    """Excerpts for lenient reading, where the text may not be JSON: each value is written as JSON instead."""

    __slots__ = ()

    def store_piece(self) -> None:
        """Do nothing: no text is collected."""

    def close(self, offset: int, value: object) -> str:
        """Return the value as JSON; NaN and the infinities are written as Python writes them."""
        self._start = None
        return json.dumps(value)
