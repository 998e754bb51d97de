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
        """Kinds of content (text, transcript, audio) that came in pieces, which the whole repeats."""


class RealtimeItem:
    """One output item of a response."""

    __slots__ = ("call", "contents", "done", "id", "other", "response", "told", "type")

    def __init__(self, id: str, response: str, type: str) -> None:  # noqa: A002 - the field's name
        self.id = id
        self.response = response
        self.type = type
        self.contents: dict[int, RealtimeContent] = {}
        self.call: OpenPart | None = None
        """Its call, of the application's tools or the server's."""
        self.other: OpenPart | None = None
        """Its part, if its type is outside our vocabulary."""
        self.told = False
        """True once arguments of the server's call have come in pieces."""
        self.done = False
