"""Batches of events for slow readers: neighbouring deltas are merged into one."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from tokenstream.events import PartDelta, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tokenstream.events import Event


def merge_deltas(events: Iterable[Event]) -> Iterator[Event]:
    """Yield the same events, except that neighbouring deltas of one part are merged into one delta.

    Args:
        events: The events, in their order.

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
    kind = event.__class__
    if kind not in _PIECES or (isinstance(event, ReasoningDelta) and event.signature is not None):
        return None
    return kind, event.choice, event.part, event.step


def _merge_group(deltas: list[Any]) -> Event:
    """Return one delta with the text of several deltas of the same part."""
    first: Any = deltas[0]
    if len(deltas) == 1:
        only: Event = first
        return only
    kind = first.__class__
    text = "".join([getattr(delta, _PIECES[kind]) for delta in deltas])
    place = {"choice": first.choice, "part": first.part}
    joined: Any = kind(first.id, text, **place) if kind is ToolCallDelta else kind(text, **place)
    if first.step is not None:
        joined.step = first.step
    event: Event = joined
    return event


_PIECES: dict[type, str] = {
    TextDelta: "text",
    ReasoningDelta: "text",
    RefusalDelta: "text",
    ToolCallDelta: "fragment",
    PartDelta: "fragment",
}
"""Maps each class of delta that may be merged to its field for the text."""
