"""A reader's position in one aspect of an answer; views and router runs are built on cursors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from tokenstream._basics.loose import AnyEvent

ItemT_co = TypeVar("ItemT_co", covariant=True)

NULL: Any = object()
"""Returned in place of an item that is None, because a cursor returns None if it has no item."""

ITEM_END: Any = object()
"""Returned in place of text where an item ends: what comes later belongs to another word or sentence."""


class Cursor(Protocol[ItemT_co]):
    """A reader's position in one aspect of the answer, such as its text or its tool calls.

    Each method returns one item, or None if there is none at the moment.
    """

    def ready(self) -> ItemT_co | None:
        """Return the next item that has arrived already and that the reader has not seen."""

    def after(self, event: AnyEvent) -> ItemT_co | None:
        """Return the first item that an event adds; None if it adds none. `ready` returns further items."""

    def end(self) -> ItemT_co | None:
        """Return an item that the end of the stream adds, or None; raise the error of an invalid output."""
