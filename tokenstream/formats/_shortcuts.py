"""The way round framing and decoding: whole chunks of an event stream that differ in their text alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.formats._template import ChunkReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import Event, ReasoningDelta, TextDelta
    from tokenstream.formats._template import TextTemplate
    from tokenstream.formats._twice import TwiceTemplate
    from tokenstream.formats.base import Format

__all__ = ["Shortcut"]

_HEAD = b"data: "
_PAYLOAD = slice(len(_HEAD), -2)


class Shortcut:
    """Reads chunks that hold one payload of a template's shape, in an event without a name.

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
        template: TextTemplate | TwiceTemplate,
        kind: type[TextDelta | ReasoningDelta],
        index: int,
        most: int,
    ) -> Callable[[bytes], Event | None] | None:
        """Return a function that reads such a chunk, or None where a payload takes several lines.

        Args:
            template: The shape of the payloads.
            kind: The event that each makes.
            index: Of the part that the text belongs to.
            most: The longest chunk that may be read so, in bytes.
        """
        wanted = (template, kind, index, most)
        if wanted != self._of:
            framed = template.framed(_HEAD, b"\n\n")
            like = kind("", part=index)
            self._of = wanted
            self._made = (
                None if framed is None else ChunkReader(self._format, framed, _PAYLOAD, like, most).read
            )
        return self._made
