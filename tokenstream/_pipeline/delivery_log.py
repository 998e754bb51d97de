"""Records what of an answer was delivered to its readers, on which it depends what may be taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream._answer.accumulator import Accumulator
    from tokenstream.message import Message, Part

Reading: TypeAlias = Literal["content", "reasoning", "everything"]
"""The part of an answer that a reader reads.

"content": text and complete tool calls. "reasoning": the reasoning alone. "everything": all that arrives, as
a loop over events does.
"""
Extent: TypeAlias = Literal["nothing", "reasoning", "content"]
"""The extent to which an answer was delivered, to all readers together.

| extent      | delivered so far                               | another answer may replace it |
|-------------|------------------------------------------------|-------------------------------|
| "nothing"   | nothing visible                                | yes                           |
| "reasoning" | nothing but reasoning, and unfinished calls    | yes, after a `Restarted`      |
| "content"   | more than that                                 | only if the caller wants it   |
"""
_EXTENTS: dict[str, Extent] = {"reasoning": "reasoning", "tool_call": "reasoning", "opaque": "nothing"}
"""The extent of a part by its kind, of a call that is not complete; any other part is content."""
_WRITTEN = frozenset({"text", "reasoning"})
"""Kinds of parts that show nothing while their text is blank."""


class DeliveryLog:
    """Records what the readers of an answer were given: views, loops over events, and looks at the message.

    A reader that returns only the finished answer, such as `final()`, records nothing: before it returns, it
    has given nothing to anybody.
    """

    def __init__(self, accumulator: Accumulator) -> None:
        self._accumulator = accumulator
        self.readings: dict[Reading, bool] = {}
        """The readings of which a reader has been given something. It is a plain dict, because readers write
        into it with each item that they return."""

    @property
    def extent(self) -> Extent:
        readings = self.readings
        if "content" in readings:
            return "content"
        seen = find_extent(self._accumulator.messages) if "everything" in readings else "nothing"
        return "reasoning" if seen == "nothing" and "reasoning" in readings else seen

    def note_look(self) -> None:
        """Note that somebody looks at the whole answer so far, and perhaps at no more of it."""
        extent = find_extent(self._accumulator.messages)
        if extent != "nothing":
            self.readings[extent] = True

    def end_loop(self) -> None:
        """Note that the loop over events, if there is one, gets no more of the answer as it arrives."""
        if self.readings.pop("everything", False):
            self.note_look()


def find_extent(messages: Iterable[Message]) -> Extent:
    """Return the extent of what a reader has seen who has seen these messages."""
    extents = {_extent_of(part) for message in messages for part in message.parts}
    return "content" if "content" in extents else "reasoning" if "reasoning" in extents else "nothing"


def _extent_of(part: Part) -> Extent:
    if part.kind in _WRITTEN and not getattr(part, "text", "").strip():
        return "nothing"
    if part.kind == "tool_call" and part.complete:
        return "content"
    return _EXTENTS.get(part.kind, "content")
