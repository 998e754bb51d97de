"""Recognise the next plain delta of a text by its bytes, and decode nothing but the text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream.events import ReasoningDelta, TextDelta
from tokenstream.formats._template import is_utf8, string_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import Event
    from tokenstream.formats.base import Format
    from tokenstream.formats.openai_responses._items import Items
    from tokenstream.formats.openai_responses._written import Section

__all__ = ["KINDS", "PlainDelta"]

KINDS: dict[str, type[TextDelta | ReasoningDelta]] = {
    "response.output_text.delta": TextDelta,
    "response.reasoning_text.delta": ReasoningDelta,
    "response.reasoning_summary_text.delta": ReasoningDelta,
}
"""Events that most of a stream is made of, and what they become."""
_TEXTS = re.compile(rb'"(delta|obfuscation)"\s*:\s*("[^"\\]*")')
_NUMBER = re.compile(rb'"(sequence_number)"\s*:\s*([0-9]+)')
_MOST_DIGITS = 15


_new: Callable[[type[Any]], Any] = object.__new__


class PlainDelta:
    """The bytes around what changes from one delta of a text to the next: text, number and padding.

    What stands between the fixed pieces is one JSON value of its kind each, or there
    is no match; so whatever matches is read as the decoder reads it.

    Args:
        name: The event's name.
        section: The text that is added to.
        pieces: What stays: before, between and after the values that change.
        order: The fields of these values, in the order in which they come.
    """

    __slots__ = ("_order", "_pieces", "name", "section")

    def __init__(self, name: str, section: Section, pieces: list[bytes], order: list[str]) -> None:
        self.name = name
        self.section = section
        self._pieces = pieces
        self._order = order

    @property
    def head(self) -> bytes:
        """What stands before the payload in a chunk that is one such event."""
        return b"event: %b\ndata: " % self.name.encode()

    def reader(
        self, format: Format, items: Items, *, head: bytes = b"", foot: bytes = b"", most: int | None = None
    ) -> Callable[[bytes], Event | None]:
        """Return a function that gives the event of what is of this shape, and None for anything else.

        Args:
            format: The format whose frames are counted.
            items: Where the number of the last event is kept.
            head: What stands before the payload.
            foot: What stands behind it.
            most: The longest that may be read so, in bytes; None for any length.
        """
        before, second, *rest = self._pieces
        first, last = head + before, rest[-1] + foot
        third = rest[0] if len(rest) > 1 else b""
        start, back = len(first), -len(last)
        text_at, number_at = self._order.index("delta"), self._order.index("sequence_number")
        padding_at = self._order.index("obfuscation") if third else text_at
        longest = most if most is not None else format.limits.event
        payload = slice(len(head), -len(foot) or None)
        section, part, kind = self.section, self.section.part.index, KINDS[self.name]

        # One function without calls or attributes: it runs for nearly every chunk of a stream.
        def read(data: bytes) -> Event | None:
            # Slices are compared because `startswith` takes half as long again.
            if data[:start] != first or data[back:] != last or len(data) > longest:
                return None
            one, found, two = data[start:back].partition(second)
            three = b""
            if third:
                two, found, three = two.partition(third)
            values = (one, two, three)
            number = values[number_at]
            if not found or not number.isdigit() or number[:1] == b"0" or len(number) > _MOST_DIGITS:
                return None
            if third and not values[padding_at].isalnum():
                return None
            text = string_of(values[text_at])
            if text is None:
                return None
            format.frames += 1
            items.digits = number
            section.given += len(text)
            # A call with keyword arguments would take three times as long.
            event = _new(kind)
            event.text = text
            event.choice = 0
            event.part = part
            event._raw = data[payload]  # noqa: SLF001 - the slot behind `raw`, as its constructor fills it
            if kind is ReasoningDelta:
                event.signature = None
            made: Event = event
            return made

        return read

    @classmethod
    def learn(cls, data: bytes, payload: dict[str, Any], section: Section) -> PlainDelta | None:
        """Return the shape of a payload, or None where its bytes alone do not tell enough.

        Args:
            data: The payload's bytes.
            payload: The payload, decoded.
            section: The text that it added to.
        """
        # An index that must be made up is counted each time.
        index = "summary_index" if "summary" in payload["type"] else "content_index"
        if payload.get("output_index").__class__ is not int or payload.get(index).__class__ is not int:
            return None
        # Without escapes each quote begins or ends a string, and without nesting each
        # field is the payload's own.
        if b"\\" in data or b"\n" in data or b"\r" in data or data.count(b"{") != 1 or not is_utf8(data):
            return None
        pieces: list[bytes] = []
        order: list[str] = []
        end = 0
        changing = [*_TEXTS.finditer(data), *_NUMBER.finditer(data)]
        for found in sorted(changing, key=lambda found: found.start()):
            # The quotes belong to the text, where any string may stand, and not to the padding.
            inside = found[1] == b"obfuscation"
            pieces.append(data[end : found.start(2) + inside])
            order.append(str(found[1], "ascii"))
            end = found.end(2) - inside
        if not {"delta", "sequence_number"} <= set(order) or len(order) != len(set(order)):
            return None
        return cls(payload["type"], section, [*pieces, data[end:]], order)
