"""The way round framing and decoding: whole chunks that differ from the last ones in their text alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tokenstream.formats._readers import ChunkReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import Event, ReasoningDelta, TextDelta
    from tokenstream.formats._readers import Shape
    from tokenstream.formats.base import Format

__all__ = ["Framable", "Shortcut"]


class Framable(Protocol):
    """The shape of payloads, of which that of whole chunks can be made."""

    def framed(self, head: bytes, foot: bytes) -> Shape | None:
        """Return the shape of payloads between two fixed pieces; None where they take several lines."""


class Shortcut:
    """Reads chunks that hold one payload of a known shape, and is made anew where that is another one.

    Args:
        format: The format whose frames are counted.
    """

    __slots__ = ("_format", "_made", "_of")

    def __init__(self, format: Format) -> None:
        self._format = format
        self._of: tuple[object, ...] = ()
        self._made: Callable[[bytes], Event | None] | None = None

    def of(
        self,
        shape: Framable,
        kind: type[TextDelta | ReasoningDelta],
        most: int,
        *,
        part: int,
        choice: int = 0,
        before: bytes = b"data: ",
        after: bytes = b"\n\n",
    ) -> Callable[[bytes], Event | None] | None:
        """Return a function that reads such a chunk, or None where a payload takes several lines.

        Args:
            shape: The shape of the payloads.
            kind: The event that each makes.
            most: The longest chunk that may be read so, in bytes.
            part: Index of the part that the text belongs to.
            choice: Index of its choice.
            before: What stands before the payload in a chunk.
            after: What stands after it.
        """
        wanted = (shape, kind, most, part, choice, before, after)
        if wanted != self._of:
            framed = shape.framed(before, after)
            like = kind("", choice=choice, part=part)
            payload = slice(len(before), -len(after))
            self._of = wanted
            self._made = (
                None if framed is None else ChunkReader(self._format, framed, payload, like, most).read
            )
        return self._made
