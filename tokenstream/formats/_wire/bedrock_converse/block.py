"""The state of one content block."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import text_of
from tokenstream.formats._kit.parts import BLANK_TEXT
from tokenstream.formats._wire.bedrock_converse.words import base64_of, bytes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.formats._kit.open import OpenPart
    from tokenstream.message import Part


class ConverseBlock:
    """A content block that can still grow.

    The block's part is opened once its kind is known: at its start, or at its first delta.
    """

    __slots__ = ("_told", "late", "part", "start")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Reset the block, because another kind of content follows under its index."""
        self.part: OpenPart | None = None
        self.start: Part = BLANK_TEXT
        """The block's part as it was opened."""
        self.late: dict[str, Any] = {}
        """Maps the names of fields that deltas have added to the part to lists of their values."""
        self._told = False

    def add(self, name: str, value: Any) -> bool:  # noqa: ANN401 - any JSON value
        """Add a field that arrived after the start; return True to report it now, False to wait for the end.

        Servers send such data in one piece. If there are more, a report of each would repeat all before it.
        """
        pieces = self.late.setdefault(name, [])
        pieces.append(value)
        first, self._told = not self._told, True
        return first

    @property
    def has_more(self) -> bool:
        """True if the block has fields that wait to be reported at the end."""
        return sum(len(pieces) for pieces in self.late.values()) > 1

    def content(self) -> Part:
        """Return the part with all that deltas have added, except text."""
        return _WITH[self.start.kind](self.start, self.late)


def _join(pieces: list[str]) -> str:
    """Join pieces of base64, each of which may be padded."""
    decoded = [bytes_of(piece) for piece in pieces]
    if len(pieces) == 1 or None in decoded:
        return "".join(pieces)
    return base64_of(b"".join([piece for piece in decoded if piece])) or ""


def _merge(pieces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a result's content with adjacent texts joined."""
    merged: list[dict[str, Any]] = []
    for texts, group in groupby(pieces, _is_text):
        found = list(group)
        merged += [{"text": "".join([piece["text"] for piece in found])}] if texts else found
    return merged


def _is_text(piece: dict[str, Any]) -> bool:
    return isinstance(piece.get("text"), str) and len(piece) == 1


def _with_redacted(start: Part, late: dict[str, list[Any]]) -> Part:
    return start.model_copy(update={"redacted": _join(late["redacted"])})


def _with_content(start: Part, late: dict[str, list[Any]]) -> Part:
    return start.model_copy(update={"content": _merge(late["content"])})


def _with_place(start: Part, late: dict[str, list[Any]]) -> Part:
    """Return media with the URL of the file in S3."""
    data: dict[str, Any] = {**(getattr(start, "provider_data", None) or {})}
    data |= {name: values[-1] for name, values in late.items()}
    return start.model_copy(update={"provider_data": data, "url": text_of(data.get("s3Location", {}), "uri")})


_WITH: dict[str, Callable[[Part, dict[str, list[Any]]], Part]] = {
    "reasoning": _with_redacted,
    "server_tool_result": _with_content,
    "media": _with_place,
}
