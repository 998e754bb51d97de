"""What is known of an output item while its response is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenstream.formats._open import OpenPart

__all__ = ["Content", "Item"]


class Content:
    """One content part of a message item."""

    __slots__ = ("part", "told")

    def __init__(self, part: OpenPart) -> None:
        self.part = part
        self.told: set[str] = set()
        """What of it has come in pieces, so that its whole says nothing new: text, transcript, audio."""


class Item:
    """One output item of a response."""

    __slots__ = ("call", "contents", "done", "id", "other", "response", "told", "type")

    def __init__(self, id: str, response: str, type: str) -> None:  # noqa: A002 - the field's name
        self.id = id
        self.response = response
        self.type = type
        self.contents: dict[int, Content] = {}
        self.call: OpenPart | None = None
        """The call that it is, of the application's tools or of the server's."""
        self.other: OpenPart | None = None
        """The part that it is where we have no word for it."""
        self.told = False
        """Whether arguments of the server's call have come in pieces."""
        self.done = False
