"""Text that grows by pieces and is joined only when somebody asks."""

from __future__ import annotations

__all__ = ["TextLog"]

_BLOCK = 1024
"""Pieces that are joined to one block: a million short strings in a list cost many times their text."""


class TextLog:
    """Text that grows at its end.

    Example:
        >>> log = TextLog()
        >>> log.append("Hel"), log.append("lo")
        (None, None)
        >>> log.join(), log.since(3), log.length
        ('Hello', 'lo', 5)
    """

    __slots__ = ("_blocks", "_pieces", "length")

    def __init__(self) -> None:
        self._blocks: list[str] = []
        self._pieces: list[str] = []
        self.length = 0
        """How much text there is, in characters."""

    def append(self, text: str) -> None:
        """Add a piece."""
        pieces = self._pieces
        pieces.append(text)
        self.length += len(text)
        if len(pieces) >= _BLOCK:
            self._blocks.append("".join(pieces))
            pieces.clear()

    def join(self) -> str:
        """Return all text."""
        if self._pieces or len(self._blocks) != 1:
            text = "".join([*self._blocks, *self._pieces])
            self._blocks = [text]
            self._pieces.clear()
        return self._blocks[0]

    def since(self, start: int) -> str:
        """Return the text from position `start` on, at a cost that depends on its length alone."""
        if start <= 0:
            return self.join()
        if start >= self.length:
            return ""
        missing = self.length - start
        found: list[str] = []
        for source in (self._pieces, self._blocks):
            for piece in reversed(source):
                if missing <= 0:
                    break
                if len(piece) > missing:
                    piece = piece[len(piece) - missing :]  # noqa: PLW2901 - the part of it that is asked for
                found.append(piece)
                missing -= len(piece)
        return "".join(reversed(found))

    def slices(self, bounds: list[int]) -> str:
        """Return the text between pairs of positions; a last end that is missing is the end of the text."""
        if len(bounds) == 1:
            return self.since(bounds[0])
        if not bounds:
            return ""
        if len(bounds) == 2 and self.length - bounds[0] < 2 * (bounds[1] - bounds[0]):
            return self.since(bounds[0])[: bounds[1] - bounds[0]]
        text = self.join()
        ends = [*bounds, self.length] if len(bounds) % 2 else bounds
        return "".join([text[start:end] for start, end in zip(ends[::2], ends[1::2], strict=True)])
