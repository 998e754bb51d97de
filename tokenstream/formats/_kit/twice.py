"""Recognise an event that comes again right behind itself, by its id or number and its content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._event_base import are_equal_deltas

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import AnyEvent
    from tokenstream.events import Event


class LastEvent:
    """The last event of a stream whose events have ids: by them, it is known if it comes once more.

    Some servers give all events the same id. So ids identify events once one has been another than the one
    before, and no longer once two different events in a row have had the same one.

    Args:
        id_field: The field with the id; a number may be one, except 0.

    Example:
        >>> last = LastEvent("id")
        >>> [last.is_again({"id": id, "text": "la"}) for id in ("a", "b", "b", "c")]
        [False, False, True, False]
    """

    __slots__ = ("_delta", "_event", "_id_field", "_ids_are_shared", "_ids_change")

    def __init__(self, id_field: str) -> None:
        self._id_field = id_field
        self._event: dict[str, Any] | None = None
        """The last event that was decoded; None before the first."""
        self._delta: AnyEvent | None = None
        """The delta after that event that was read last without decoding; None if there is none."""
        self._ids_change = False
        """True once an event has had another id than the one before it."""
        self._ids_are_shared = False
        """True once two events in a row have had the same id, so that ids identify no event."""

    def is_again(self, payload: dict[str, Any]) -> bool:
        """Return True if a decoded event is the one before it again."""
        decoded, last = self._event, self._event if self._delta is None else self._delta.raw
        self._event, self._delta = payload, None
        if decoded is None or last is None:
            return False
        before, id = last.get(self._id_field), payload.get(self._id_field)
        # Deltas may have come between the two events that were decoded, of which the last one is known.
        self._ids_change = self._ids_change or not decoded.get(self._id_field) == before == id
        if not id or before != id:
            return False
        self._ids_are_shared = self._ids_are_shared or last != payload
        return self._ids_change and not self._ids_are_shared

    def follow(self, field: str) -> Callable[[Event], bool | None]:
        """Return a callback that has a delta decoded if it may be the one before it again."""

        def record_delta(delta: AnyEvent) -> bool | None:
            """Store a delta; return False if it has the text of the one before it, and may be it again."""
            last = self._delta
            may_be_last = delta.raw == self._event if last is None else are_equal_deltas(delta, last, field)
            if may_be_last and not self._ids_are_shared:
                return False
            self._delta = delta
            return None

        return record_delta
