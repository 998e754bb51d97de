"""Read a payload that is one plain delta of a known shape, and make its event."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from tokenstream.events import ReasoningDelta

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import Event, TextDelta
    from tokenstream.formats._template import TextTemplate
    from tokenstream.formats.base import Format

__all__ = ["PayloadReader", "RestReader", "new_event"]

new_event: Callable[[type[Any]], Any] = object.__new__
"""Makes an event whose fields are filled in then: a call with keywords would take three times as long."""


class _Reader:
    """Makes events of one part.

    Args:
        format: The format whose frames are counted.
        like: An event of the part that the text belongs to.
    """

    __slots__ = ("_choice", "_format", "_kind", "_part")

    def __init__(self, format: Format, like: TextDelta | ReasoningDelta) -> None:
        self._format = format
        self._kind: type[Any] = type(like)
        self._choice = like.choice
        self._part = like.part


class RestReader(_Reader, ABC):
    """Reads payloads that are one plain delta, once their framing has found what they begin with.

    Args:
        format: The format whose frames are counted.
        start: What such a payload begins with.
        like: An event of the part that the text belongs to.
    """

    __slots__ = ("start",)

    def __init__(self, format: Format, start: bytes, like: TextDelta | ReasoningDelta) -> None:
        super().__init__(format, like)
        self.start = start
        """What such a payload begins with."""

    @abstractmethod
    def read(self, rest: bytes) -> Event | None:
        """Return the event of a payload, or None for any that is not one plain delta.

        Args:
            rest: What comes after the payload's start.
        """

    def read_whole(self, payload: bytes) -> Event | None:
        """Return the event of a payload, or None for any that is not one plain delta."""
        return self.read(payload[len(self.start) :]) if payload.startswith(self.start) else None


class PayloadReader(RestReader):
    """Reads payloads of a template's shape.

    Args:
        format: The format whose frames are counted.
        template: What such a payload looks like.
        like: An event of the part that the text belongs to.
    """

    __slots__ = ("_back", "_middle", "_tail")

    def __init__(self, format: Format, template: TextTemplate, like: TextDelta | ReasoningDelta) -> None:
        start, self._middle, self._tail = template.pieces
        super().__init__(format, start, like)
        self._back = -len(self._tail)

    def read(self, rest: bytes) -> Event | None:
        """Return the event of a payload, or None for any that is not one plain delta.

        Args:
            rest: What comes after the payload's start.
        """
        # No text has the middle in it behind its end, and no padding has it at all.
        written, found, padding = rest.rpartition(self._middle)
        tail = self._tail
        if tail:
            back = self._back
            if padding[back:] != tail or not (padding[:back].isalnum() or (found and padding == tail)):
                return None
        elif padding:
            return None
        try:
            text: object = from_json(written)
        except ValueError:
            return None
        if text.__class__ is not str or not text:
            return None
        self._format.frames += 1
        kind = self._kind
        event = new_event(kind)
        event.text = text
        event.choice = self._choice
        event.part = self._part
        event._raw = self.start + rest  # noqa: SLF001 - the slot behind `raw`, as its constructor fills it
        if kind is ReasoningDelta:
            event.signature = None
        made: Event = event
        return made
