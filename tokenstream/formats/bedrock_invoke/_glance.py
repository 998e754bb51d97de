"""Read a chunk that differs from the last one in its text alone, and decode nothing but that."""

from __future__ import annotations

from binascii import Error as BinasciiError
from binascii import a2b_base64
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from tokenstream.events import ReasoningDelta
from tokenstream.formats._read import is_dict

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import TextDelta
    from tokenstream.formats.base import Format

__all__ = ["CountedGlance", "Glance", "unpacked"]

_new: Callable[[type[Any]], Any] = object.__new__
_START, _BETWEEN, _END = b'{"bytes":"', b'","p":"', b'"}'


class Glance:
    """Reads chunks whose model's payload has the bytes of the last one around its text.

    Args:
        format: The format whose frames are counted.
        match: Returns the text of a model's payload, or None for one of another shape.
        like: An event of the part that the text belongs to.
    """

    __slots__ = ("_choice", "_format", "_kind", "_match", "_part")

    def __init__(
        self, format: Format, match: Callable[[bytes], str | None], like: TextDelta | ReasoningDelta
    ) -> None:
        self._format = format
        self._match = match
        self._kind: type[Any] = type(like)
        self._choice = like.choice
        self._part = like.part

    def read(self, payload: bytes) -> Any:  # noqa: ANN401 - an event of the kind of `like`
        """Return the event of a chunk, or None for any that is not one more piece of that text."""
        # What `unpacked` does stands here once more, because a call would be a tenth of all this.
        if payload[:10] != _START or payload[-2:] != _END:
            return None
        packed, between, padding = payload[10:-2].partition(_BETWEEN)
        if between and not padding.isalnum():
            return None
        try:
            data = a2b_base64(packed, strict_mode=True)
        except BinasciiError:
            return None
        text = self._match(data)
        if text is None:
            return None
        self._format.frames += 1
        kind = self._kind
        # A call with keyword arguments would take three times as long.
        event = _new(kind)
        event.text = text
        event.choice = self._choice
        event.part = self._part
        event._raw = data  # noqa: SLF001 - the slot behind `raw`, as its constructor fills it
        if kind is ReasoningDelta:
            event.signature = None
        return event


class CountedGlance:
    """Reads chunks whose model's payload says nothing but text, and how many tokens there were so far.

    Args:
        format: The format whose frames are counted.
        delta_of: Returns the text of a model's decoded payload, or None for one that says more.
    """

    __slots__ = ("_delta_of", "_format")

    def __init__(self, format: Format, delta_of: Callable[[dict[str, Any]], TextDelta | None]) -> None:
        self._format = format
        self._delta_of = delta_of

    def read(self, payload: bytes) -> TextDelta | None:
        """Return the event of a chunk, or None for any that is not one more piece of that text."""
        try:
            data: object = from_json(unpacked(payload))
        except ValueError:
            return None
        delta = self._delta_of(data) if is_dict(data) else None
        if delta is not None:
            self._format.frames += 1
        return delta


def unpacked(payload: bytes) -> bytes:
    r"""Return what stands in a chunk, or b"" where that needs a closer look.

    Example:
        >>> unpacked(b'{"bytes":"e30=","p":"abc"}'), unpacked(b'{"bytes":"e30="}'), unpacked(b'{"b":1}')
        (b'{}', b'{}', b'')
    """
    if payload[:10] != _START or payload[-2:] != _END:
        return b""
    packed, between, padding = payload[10:-2].partition(_BETWEEN)
    if between and not padding.isalnum():
        return b""
    try:
        return a2b_base64(packed, strict_mode=True)
    except BinasciiError:
        return b""
