"""Recognise the next plain delta of a part by its bytes, and decode nothing but the text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream.events import PartDelta, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta
from tokenstream.formats._open import OpenCall, OpenPart
from tokenstream.formats._template import is_utf8, string_of
from tokenstream.formats.openai_responses._written import Section

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import Event
    from tokenstream.formats.base import Format
    from tokenstream.formats.openai_responses._items import Items

__all__ = ["KINDS", "NAMELESS", "Grown", "PlainDelta", "is_told", "part_of"]

NAMELESS = "message"
"""What the SSE standard calls events that have no name."""

Grown: TypeAlias = Section | OpenPart
"""What deltas add to: a text, a call, or what else has arguments."""
KINDS = frozenset(
    {
        "response.output_text.delta",
        "response.refusal.delta",
        "response.reasoning_text.delta",
        "response.reasoning_summary_text.delta",
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
        "response.mcp_call_arguments.delta",
        "response.code_interpreter_call_code.delta",
    }
)
"""Events that most of a stream is made of."""
_MADE: dict[str, type[TextDelta | ReasoningDelta | RefusalDelta | ToolCallDelta]] = {
    "text": TextDelta,
    "refusal": RefusalDelta,
    "reasoning": ReasoningDelta,
    "tool_call": ToolCallDelta,
}
"""What they become, by the kind of part that they add to; a `PartDelta` for any other."""
_DELTA = re.compile(rb'"delta"\s*+:\s*+"([^"\\]*+(?:\\.[^"\\]*+)*+)"')
_TEXTS = re.compile(rb'"(delta|obfuscation)"\s*:\s*("[^"\\]*")')
_NUMBER = re.compile(rb'"(sequence_number)"\s*:\s*([0-9]+)')
_MOST_DIGITS = 15


def part_of(grown: Grown) -> OpenPart:
    """Return the part that deltas add to."""
    return grown.part if isinstance(grown, Section) else grown


def is_told(grown: Grown) -> bool:
    """Tell whether all that has come of a part was given, so that the next piece can be given as it comes."""
    part = part_of(grown)
    return not part.held and not (isinstance(part, OpenCall) and part.earlier)


_new: Callable[[type[Any]], Any] = object.__new__


class PlainDelta:
    """The bytes around what changes from one delta of a part to the next: text, number and padding.

    What stands between the fixed pieces is one JSON value of its kind each, or there
    is no match; so whatever matches is read as the decoder reads it.

    Args:
        name: The SSE event's name.
        grown: What is added to.
        pieces: What stays: before, between and after the values that change.
        order: The fields of these values, in the order in which they come.
    """

    __slots__ = ("_grown", "_pieces", "_places", "name")

    def __init__(self, name: str, grown: Grown, pieces: list[bytes], order: list[str]) -> None:
        self.name = name
        self._grown = grown
        self._pieces = pieces if "obfuscation" in order else [*pieces[:2], b"", pieces[2]]
        text_at, number_at = order.index("delta"), order.index("sequence_number")
        self._places = text_at, number_at, 3 - text_at - number_at

    @property
    def nameless(self) -> bool:
        """Whether the SSE event has no name."""
        return self.name == NAMELESS

    @property
    def head(self) -> bytes:
        """What stands before the payload in a chunk that is one such event."""
        return b"data: " if self.nameless else b"event: %b\ndata: " % self.name.encode()

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
        before, second, third, after = self._pieces
        first, last = head + before, after + foot
        start, back = len(first), -len(last)
        text_at, number_at, padding_at = self._places
        longest = most if most is not None else format.limits.event
        payload = slice(len(head), -len(foot) or None)
        grown, nameless = self._grown, self.nameless
        section = grown if isinstance(grown, Section) else None
        call = grown if isinstance(grown, OpenCall) else None
        added_to = part_of(grown)
        # Not by the payload's type: servers write to a part with deltas of another kind.
        part, kind = added_to.index, _MADE.get(added_to.kind, PartDelta)

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
            if (
                not found
                or not number.isdigit()
                or number[:1] == b"0"
                or len(number) > _MOST_DIGITS
                or (third and not values[padding_at].isalnum())
            ):
                return None
            text = string_of(values[text_at])
            if text is None:
                return None
            format.frames += 1
            if nameless:
                format.departures.note("event_name_missing", event=format.frames)
            items.digits = number
            # A call with keyword arguments would take three times as long.
            event = _new(kind)
            event.choice = 0
            event.part = part
            event._raw = data[payload]  # noqa: SLF001 - the slot behind `raw`, as its constructor fills it
            if section is not None:
                section.given += len(text)
                event.text = text
                if kind is ReasoningDelta:
                    event.signature = None
            else:
                event.fragment = text
                if call is not None:
                    call.arguments.append(text)
                    event.id = call.id
            made: Event = event
            return made

        return read

    @classmethod
    def learn(cls, data: bytes, payload: dict[str, Any], name: str, grown: Grown) -> PlainDelta | None:
        """Return the shape of a payload, or None where its bytes alone do not tell enough.

        Args:
            data: The payload's bytes.
            payload: The payload, decoded.
            name: The SSE event's name.
            grown: What it added to.
        """
        indexes = ["output_index"]
        if isinstance(grown, Section):
            indexes.append("summary_index" if "summary" in payload["type"] else "content_index")
        # An index that must be made up is counted each time.
        if any(payload.get(index).__class__ is not int for index in indexes):
            return None
        text = _DELTA.search(data)
        if text is None or not is_utf8(data):
            return None
        start, stop = text.span(1)
        around = data[:start] + b"x" * (stop - start) + data[stop:]
        # Without escapes each quote begins or ends a string, and without nesting each
        # field is the payload's own.
        if b"\\" in around or b"\n" in around or b"\r" in around or around.count(b"{") != 1:
            return None
        pieces: list[bytes] = []
        order: list[str] = []
        end = 0
        changing = [*_TEXTS.finditer(around), *_NUMBER.finditer(around)]
        for found in sorted(changing, key=lambda found: found.start()):
            # The quotes belong to the text, where any string may stand, and not to the padding.
            inside = found[1] == b"obfuscation"
            pieces.append(data[end : found.start(2) + inside])
            order.append(str(found[1], "ascii"))
            end = found.end(2) - inside
        if not {"delta", "sequence_number"} <= set(order) or len(order) != len(set(order)):
            return None
        return cls(name, grown, [*pieces, data[end:]], order)
