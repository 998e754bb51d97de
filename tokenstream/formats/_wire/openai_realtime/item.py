"""State of an output item while its response is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenstream.formats._kit.open import OpenPart


class RealtimeContent:
    """The state of one content part of a message item: its part, and the kinds of content reported so far."""

    __slots__ = ("part", "reported")

    def __init__(self, part: OpenPart) -> None:
        self.part = part
        self.reported: set[str] = set()
        """Kinds of content (text, transcript, audio) reported so far; the part's end event repeats them."""


class RealtimeItem:
    """The state of one output item of a response: a message, a tool call, or an item of another type."""

    __slots__ = ("arguments_reported", "call", "contents", "done", "id", "other", "response", "type")

    def __init__(self, id: str, response: str, type: str) -> None:  # noqa: A002 - the field's name
        self.id = id
        self.response = response
        """The id of the item's response."""
        self.type = type
        self.contents: dict[int, RealtimeContent] = {}
        """The content parts of a message, by index."""
        self.call: OpenPart | None = None
        """The call in this item, of a tool that the application or the server runs."""
        self.other: OpenPart | None = None
        """The opaque part for this item, if its type is unknown."""
        self.arguments_reported = False
        """True once arguments of a call that the server runs have been reported."""
        self.done = False
        """True once the item has ended."""
