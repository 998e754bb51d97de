"""Text that grows by pieces and is joined only when somebody asks."""

from __future__ import annotations

__all__ = ["TextLog", "size_of"]

_BLOCK = 1024
"""Pieces that are joined to one block: a million short strings in a list cost many times their text."""


def size_of(text: str) -> int:
    """Return how many bytes a text is in UTF-8.

    Example:
        >>> size_of("né")
        3
    """
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


class TextLog:
    """Text that grows at its end.

    Example:
        >>> log = TextLog()
        >>> log.append("Hel"), log.append("lo")
        (None, None)
        >>> log.join(), log.since(3), log.length
        ('Hello', 'lo', 5)
    """

    __slots__ = ("_measured", "full_at", "length", "pieces", "void")

    def __init__(self) -> None:
        # Blocks and then the pieces since: one list, because another thread may
        # join it at any moment, and must find each piece in it once.
        self.pieces: list[str] = []
        """Blocks, and the pieces since; `append` adds to it, and whoever does the same in its place."""
        self.full_at = _BLOCK
        """How many of them there are when `pack` is due."""
        self.length = 0
        """How much text there is, in characters."""
        self._measured = (0, 0)
        """How much of it was measured, in characters, and how many bytes these are."""
        self.void = False
        """The answer that it is of was given up, and another one began."""

    def append(self, text: str) -> None:
        """Add a piece."""
        pieces = self.pieces
        pieces.append(text)
        self.length += len(text)
        if len(pieces) >= self.full_at:
            self.pack()

    def pack(self) -> None:
        """Join the last pieces to one block."""
        start = self.full_at - _BLOCK
        self.pieces[start:] = ["".join(self.pieces[start:])]
        self.full_at += 1

    def join(self) -> str:
        """Return all text."""
        return "".join(self.pieces)

    @property
    def size(self) -> int:
        """How much text there is, in bytes of UTF-8; what was measured before is not looked at again."""
        measured, size = self._measured
        text = self.since(measured)
        if text:
            # One value: another thread may measure, too.
            self._measured = measured + len(text), size + size_of(text)
        return size + size_of(text)

    def since(self, start: int) -> str:
        """Return the text from position `start` on; what lies before it is not copied."""
        if start <= 0:
            return self.join()
        pieces = self.pieces[:]
        missing = sum(map(len, pieces)) - start
        found: list[str] = []
        while missing > 0:
            piece = pieces.pop()
            found.append(piece if len(piece) <= missing else piece[len(piece) - missing :])
            missing -= len(piece)
        return "".join(reversed(found))

    def slices(self, bounds: list[int]) -> str:
        """Return the text between pairs of positions; a last end that is missing is the end of the text."""
        # The length first: another thread may be writing, and what it adds after this
        # moment may belong to whoever takes the next turn.
        length, bounds = self.length, bounds[:]
        if len(bounds) == 1:
            return self.since(bounds[0])[: length - bounds[0]]
        if not bounds:
            return ""
        if len(bounds) == 2 and length - bounds[0] < 2 * (bounds[1] - bounds[0]):
            return self.since(bounds[0])[: bounds[1] - bounds[0]]
        text = self.join()
        ends = [*bounds, length] if len(bounds) % 2 else bounds
        return "".join([text[start:end] for start, end in zip(ends[::2], ends[1::2], strict=True)])
