"""The state of one content block."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import text_of
from tokenstream.formats._kit.contents import BLANK_TEXT
from tokenstream.formats._kit.values import failure_text
from tokenstream.formats._wire.bedrock_converse.words import base64_of, bytes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.formats._kit.open import OpenPart
    from tokenstream.message import Part


class ConverseBlock:
    """The state of a content block that has not ended.

    The block's part is opened once its kind is known: at its start, or at its first delta.
    """

    __slots__ = ("_was_reported", "added", "part", "start")

    def __init__(self) -> None:
        self.clear()  # sets the attributes

    def clear(self) -> None:
        """Reset the block, because another kind of content follows under its index."""
        self.part: OpenPart | None = None
        self.start: Part = BLANK_TEXT
        """The block's part as it was opened."""
        self.added: dict[str, Any] = {}
        """Maps the names of fields that deltas have added to the part to lists of their values."""
        self._was_reported = False
        """True once a field in `added` has been reported."""

    def add_field(self, name: str, value: object) -> bool:
        """Add a field of a delta to the block's part; return True if the field must be reported at once.

        The result is True for the first field only. Servers send such data in one piece; if there are
        more pieces, these wait for the end of the block, because a report of each one would repeat all
        pieces before it.
        """
        pieces = self.added.setdefault(name, [])
        pieces.append(value)
        is_first = not self._was_reported
        self._was_reported = True
        return is_first

    @property
    def has_unreported(self) -> bool:
        """True if the block has fields that wait to be reported at the end of the block."""
        # The first piece of all was reported at once.
        return sum(len(pieces) for pieces in self.added.values()) > 1

    def make_part(self) -> Part:
        """Return the part without its text: as it was opened, with the fields that deltas have added."""
        # Deltas add fields only to parts of the kinds in `_COMBINERS`.
        return _COMBINERS[self.start.kind](self.start, self.added)


def _join_base64(pieces: list[str]) -> str:
    """Join pieces of base64, each of which may end with padding."""
    decoded = [bytes_of(piece) for piece in pieces]
    # None stands for a piece that is not base64 by itself: perhaps only the pieces together are.
    if len(pieces) == 1 or None in decoded:
        return "".join(pieces)
    return base64_of(b"".join([piece for piece in decoded if piece])) or ""


def _join_texts(pieces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join adjacent pieces of text in the content of a tool's result."""
    merged: list[dict[str, Any]] = []
    for are_texts, group in groupby(pieces, _is_text):
        adjacent = list(group)
        merged += [{"text": "".join([piece["text"] for piece in adjacent])}] if are_texts else adjacent
    return merged


def _is_text(piece: dict[str, Any]) -> bool:
    """Return True if a piece has a text and no other field."""
    return isinstance(piece.get("text"), str) and len(piece) == 1


def _add_redacted(start: Part, added: dict[str, list[Any]]) -> Part:
    """Return a reasoning part with its encrypted form, which has arrived in pieces of base64."""
    return start.model_copy(update={"redacted": _join_base64(added["redacted"])})


def _add_result_content(start: Part, added: dict[str, list[Any]]) -> Part:
    """Return the result of a server tool with the content that its deltas have added."""
    content = _join_texts(added["content"])
    has_failed = (getattr(start, "provider_data", None) or {}).get("status") == "error"
    failure = {"error": failure_text(content)} if has_failed else {}
    return start.model_copy(update={"content": content, **failure})


def _add_image_data(start: Part, added: dict[str, list[Any]]) -> Part:
    """Return an image with the fields that its deltas have added, and with the URL of its file in S3.

    Args:
        start: The image as it was opened.
        added: Maps each field to its values, of which the last one counts.
    """
    data: dict[str, Any] = {**(getattr(start, "provider_data", None) or {})}
    data |= {name: values[-1] for name, values in added.items()}
    return start.model_copy(update={"provider_data": data, "url": text_of(data.get("s3Location", {}), "uri")})


_COMBINERS: dict[str, Callable[[Part, dict[str, list[Any]]], Part]] = {
    "reasoning": _add_redacted,
    "server_tool_result": _add_result_content,
    "media": _add_image_data,
}
