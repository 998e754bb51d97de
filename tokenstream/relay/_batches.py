"""Batches of events for slow readers, in which neighbouring deltas are merged into one."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from tokenstream.events import PartDelta, ReasoningDelta, RefusalDelta, StepDelta, TextDelta, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tokenstream.events import Event
    from tokenstream.relay._events_in import EventsIn

SLOW_SEND = 0.002
"""If a send takes longer than this many seconds, all events that have arrived meanwhile form one batch."""


class BatchReader:
    """Reads the events of an answer for a relay: one by one, or several at once for a slow reader.

    After a slow send, all events that have arrived meanwhile are returned together.

    Args:
        merges: False to keep all deltas as they are, for their raw payloads.
    """

    def __init__(self, events: EventsIn, *, merges: bool = True) -> None:
        self._events = events
        self._merges = merges
        self._is_behind = False
        """True if the last send was slow, so that events may have arrived meanwhile."""

    async def next(self) -> Iterable[Event]:
        """Wait for the next event, and return it; after a slow send, with all events that have arrived.

        Raises:
            StopAsyncIteration: The events have ended.
            StreamError: The answer failed.
        """
        event = await self._events.next()
        return await self.catch_up(event) if self._is_behind else (event,)

    async def catch_up(self, event: Event) -> Iterable[Event]:
        """Return an event together with all that have arrived: one batch lets a slow reader catch up."""
        self._is_behind = False
        events = [event, *await self._events.take_arrived()]
        return merge_deltas(events) if self._merges else events

    def note_send(self, seconds: float) -> None:
        """Record how long the last batch was being sent."""
        self._is_behind = seconds > SLOW_SEND


def merge_deltas(events: Iterable[Event]) -> Iterator[Event]:
    """Yield the same events, except that neighbouring deltas of one part are merged into one delta.

    Example:
        >>> [delta.text for delta in merge_deltas([TextDelta("Hel"), TextDelta("lo")])]
        ['Hello']
    """
    for key, group in groupby(events, _merge_key):
        if key is None:
            yield from group
        else:
            yield _merge_group(list(group))


def _merge_key(event: Event) -> tuple[Any, ...] | None:
    """Return the key that is equal for deltas that may be merged; None for events that are never merged."""
    cls = event.__class__
    if cls not in _TEXT_FIELDS or (isinstance(event, ReasoningDelta) and event.signature is not None):
        return None
    # The id of a tool call follows from its part, but the output of a step belongs to no part.
    return cls, event.choice, event.part, event.step, event.id if isinstance(event, StepDelta) else None


def _merge_group(deltas: list[Any]) -> Event:
    """Return one delta with the text of several deltas of the same part."""
    first: Any = deltas[0]
    if len(deltas) == 1:
        only: Event = first
        return only
    cls = first.__class__
    text = "".join([getattr(delta, _TEXT_FIELDS[cls]) for delta in deltas])
    indexes = {"choice": first.choice, "part": first.part}
    merged: Event = cls(first.id, text, **indexes) if cls in _WITH_ID else cls(text, **indexes)
    if first.step is not None:
        merged.step = first.step
    return merged


_TEXT_FIELDS: dict[type, str] = {
    TextDelta: "text",
    ReasoningDelta: "text",
    RefusalDelta: "text",
    ToolCallDelta: "fragment",
    PartDelta: "fragment",
    StepDelta: "text",
}
"""Maps each class of delta that may be merged to its field for the text."""
_WITH_ID = frozenset({ToolCallDelta, StepDelta})
"""Classes of deltas that have an id besides their text."""
