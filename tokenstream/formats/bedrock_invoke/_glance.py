"""Read a chunk that differs from the last one in its text alone, and decode nothing but that."""

from __future__ import annotations

from binascii import Error as BinasciiError
from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING

from tokenstream.events import ReasoningDelta
from tokenstream.formats._readers import RestReader, new_event

if TYPE_CHECKING:
    from tokenstream.events import Event, TextDelta
    from tokenstream.formats._holes import HoleTemplate
    from tokenstream.formats._template import TextTemplate
    from tokenstream.formats.base import Format

__all__ = ["Glance", "LastRead"]

_START, _BETWEEN, _END = b'{"bytes":"', b'","p":"', b'"}'


class LastRead:
    """Holds the model's payload that was read last at a glance; None once it was looked into."""

    __slots__ = ("payload",)

    def __init__(self) -> None:
        self.payload: bytes | None = None


class Glance(RestReader):
    """Reads chunks whose model's payload has the bytes of the last one around its text.

    Args:
        format: The format whose frames are counted.
        template: The bytes around the text of a model's payload.
        like: An event of the part that the text belongs to.
        last: Where the payload is left that was read.
    """

    __slots__ = ("_head", "_last", "_match")

    def __init__(
        self,
        format: Format,
        template: TextTemplate | HoleTemplate,
        like: TextDelta | ReasoningDelta,
        last: LastRead,
    ) -> None:
        # Three bytes are four characters of base64, so what is always the same need not be unpacked.
        self._head, rest = template.halved()
        super().__init__(format, _START + b2a_base64(self._head, newline=False), like)
        self._match = rest.match
        self._last = last

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
        event = new_event(kind)
        event.text = text
        event.choice = self._choice
        event.part = self._part
        event._raw = self._last.payload = self._head + data  # noqa: SLF001 - as its constructor fills it
        if kind is ReasoningDelta:
            event.signature = None
        made: Event = event
        return made
