"""State of an output item while its response is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenstream.formats._kit.open import OpenPart


class RealtimeContent:
    """One content part of a message item."""

    __slots__ = ("part", "told")

    def __init__(self, part: OpenPart) -> None:
        self.part = part
        self.told: set[str] = set()
        """Kinds of content (text, transcript, audio) reported so far; the end event repeats them."""


class RealtimeItem:
    """One output item of a response."""

    __slots__ = ("call", "contents", "done", "id", "other", "response", "told", "type")

    def __init__(self, id: str, response: str, type: str) -> None:  # noqa: A002 - the field's name
        self.id = id
        self.response = response
        self.type = type
        self.contents: dict[int, RealtimeContent] = {}
        self.call: OpenPart | None = None
        """The call in this item, of a tool that the application or the server runs."""
        self.other: OpenPart | None = None
        """The opaque part for this item, if its type is unknown."""
        self.told = False
        """True once arguments of a call that the server runs have been reported."""
        self.done = False
