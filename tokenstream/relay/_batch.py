"""Events that came while a slow reader was being sent to: deltas that follow each other are one."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from tokenstream.events import PartDelta, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tokenstream.events import Event

__all__ = ["merged"]


def merged(events: Iterable[Event]) -> Iterator[Event]:
    """Give the same events, of which neighbouring deltas of one part are one delta.

    Args:
        events: Events in their order.

    Example:
        >>> [delta.text for delta in merged([TextDelta("Hel"), TextDelta("lo")])]
        ['Hello']
    """
    for key, group in groupby(events, _lane):
        if key is None:
            yield from group
        else:
            yield _one(list(group))


def _lane(event: Event) -> tuple[Any, ...] | None:
    """Return what deltas have in common that may be one; None for all that stays by itself."""
    kind = event.__class__
    if kind not in _PIECES or (isinstance(event, ReasoningDelta) and event.signature is not None):
        return None
    return kind, event.choice, event.part, event.step


def _one(deltas: list[Any]) -> Event:
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
"""The field that holds the piece, by the class of a delta."""
