"""Read a chunk that differs from the last one in its text alone, and decode nothing but that."""

from __future__ import annotations

from binascii import Error as BinasciiError
from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING, Any

from tokenstream.events import ReasoningDelta

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import Event, TextDelta
    from tokenstream.formats._holes import HoleTemplate
    from tokenstream.formats._template import TextTemplate
    from tokenstream.formats.base import Format

__all__ = ["Glance", "LastRead"]

_new: Callable[[type[Any]], Any] = object.__new__
_START, _BETWEEN, _END = b'{"bytes":"', b'","p":"', b'"}'


class LastRead:
    """Holds the model's payload that was read last at a glance; None once it was looked into."""

    __slots__ = ("payload",)

    def __init__(self) -> None:
        self.payload: bytes | None = None


class Glance:
    """Reads chunks whose model's payload has the bytes of the last one around its text.

    Args:
        format: The format whose frames are counted.
        template: The bytes around the text of a model's payload.
        like: An event of the part that the text belongs to.
        last: Where the payload is left that was read.
    """

    __slots__ = ("_choice", "_format", "_head", "_kind", "_last", "_match", "_part", "start")

    def __init__(
        self,
        format: Format,
        template: TextTemplate | HoleTemplate,
        like: TextDelta | ReasoningDelta,
        last: LastRead,
    ) -> None:
        # Three bytes are four characters of base64, so what is always the same need not be unpacked.
        self._head, rest = template.halved()
        self.start = _START + b2a_base64(self._head, newline=False)
        """What such a chunk begins with."""
        self._match = rest.match
        self._format = format
        self._last = last
        self._kind: type[Any] = type(like)
        self._choice = like.choice
        self._part = like.part

    def read(self, rest: bytes) -> Event | None:
        """Return the event of a chunk, or None for any that is not one more piece of that text.

        Args:
            rest: What comes after the chunk's start.
        """
        if rest[-2:] != _END:
            return None
        packed, between, padding = rest[:-2].partition(_BETWEEN)
        if between and not padding.isalnum():
            return None
        try:
            data = a2b_base64(packed, strict_mode=True)
        except BinasciiError:
            return None
        text = self._match(data)
        if text is None:
            return None
        self._format.frames += 1
        kind = self._kind
        # A call with keyword arguments would take three times as long.
        event = _new(kind)
        event.text = text
        event.choice = self._choice
        event.part = self._part
        event._raw = self._last.payload = self._head + data  # noqa: SLF001 - as its constructor fills it
        if kind is ReasoningDelta:
            event.signature = None
        made: Event = event
        return made

    def read_whole(self, chunk: bytes) -> Event | None:
        """Return the event of a chunk, or None for any that is not one more piece of that text."""
        return self.read(chunk[len(self.start) :]) if chunk.startswith(self.start) else None
