"""Text or bytes that grow in pieces, which are joined only when they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

PieceT = TypeVar("PieceT", str, bytes)

_BLOCK = 1024
"""The number of pieces that are joined into a block, since many short strings need much more memory."""


def size_of(text: str) -> int:
    """Return the number of bytes that a text takes in UTF-8.

    Example:
        >>> size_of("né")
        3
    """
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def last_of(pieces: Sequence[PieceT], size: int) -> list[PieceT]:
    """Return the last pieces, which have `size` characters or bytes in all; the first one is cut if needed.

    Example:
        >>> last_of(["a", "bcd", "e"], 3)
        ['cd', 'e']
    """
    from_end: list[PieceT] = []
    for piece in reversed(pieces):
        if size <= 0:
            break
        from_end.append(piece if len(piece) <= size else piece[len(piece) - size :])
        size -= len(piece)
    return from_end[::-1]


class PieceLog(Generic[PieceT]):
    """Text or bytes that grow at their end, kept in pieces.

    From time to time, the last pieces are joined into a longer piece, called a block. Only the thread that
    appends joins them; meanwhile, any thread may read.
    """

    __slots__ = ("_blocks", "_measured", "full_at", "length", "pieces")

    _empty: ClassVar[Any]
    """A piece without content."""

    def __init__(self) -> None:
        # Blocks, then the pieces since the last block, in one list, because another
        # thread may join it at any moment and must find each piece exactly once.
        self.pieces: list[PieceT] = []
        """Blocks, then the pieces since the last block; `glance` appends here directly."""
        self.full_at = _BLOCK
        """The length of `pieces` at which `pack` has to be called."""
        self.length = 0
        """Length in characters or bytes."""
        self._blocks = (0, 0)
        """The number of blocks, and their length."""
        self._measured = (0, 0)
        """The number of characters that `TextLog.size` has measured, and the number of their bytes."""

    def append(self, piece: PieceT) -> None:
        pieces = self.pieces
        pieces.append(piece)
        self.length += len(piece)
        if len(pieces) >= self.full_at:
            self.pack()

    def pack(self) -> None:
        """Join the pieces that were added since the last call into one, so that there are never too many."""
        # All pieces before this index are blocks, since `full_at` leaves room for the blocks so far.
        start = self.full_at - _BLOCK
        block: PieceT = self._empty.join(self.pieces[start:])
        self.pieces[start:] = [block]
        self.full_at += 1
        # Set last: until then, a reader finds the new block after the ones that it knows.
        self._blocks = start + 1, self._blocks[1] + len(block)

    def join(self) -> PieceT:
        whole: PieceT = self._empty.join(self.pieces)
        return whole

    def since(self, start: int) -> PieceT:
        """Return what follows position `start`, without copying or measuring the blocks before it."""
        if start <= 0:
            return self.join()
        count, before = self._blocks
        if start < before:
            count = before = 0
        # `length` may lack the last of these pieces, if another thread is appending it now.
        pieces = self.pieces[count:]
        since: PieceT = self._empty.join(last_of(pieces, before + sum(map(len, pieces)) - start))
        return since


class ByteLog(PieceLog[bytes]):
    __slots__ = ()

    _empty = b""


class TextLog(PieceLog[str]):
    """Text that grows in pieces.

    Example:
        >>> log = TextLog()
        >>> log.append("Hel"), log.append("lo")
        (None, None)
        >>> log.join(), log.since(3), log.length
        ('Hello', 'lo', 5)
    """

    __slots__ = ()

    _empty = ""

    @property
    def size(self) -> int:
        """Size of the text in bytes of UTF-8; only the text since the last access is measured."""
        measured, size = self._measured
        text = self.since(measured)
        if text:
            # Both are assigned at once, because another thread may measure, too.
            self._measured = measured + len(text), size + size_of(text)
        return size + size_of(text)

    def cut(self, start: int, end: int) -> str:
        """Return the text between two positions near the end, as `slice` does, but only while nobody appends.

        The pieces before the start are not looked at, so that many calls in a long text are cheap.
        """
        last = self.pieces[-1]
        last_start = self.length - len(last)
        if start >= last_start:
            return last[start - last_start : end - last_start]
        return "".join(last_of(self.pieces, self.length - start))[: end - start]

    def slice(self, start: int, end: int) -> str:
        # Unless it is a small piece far from the end, only the text after the start is joined.
        if self.length - start < 2 * (end - start):
            return self.since(start)[: end - start]
        return self.join()[start:end]
