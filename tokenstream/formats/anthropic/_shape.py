"""Recognise the next plain delta by its bytes, and decode nothing but its text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from tokenstream.formats._template import is_utf8, string_of

if TYPE_CHECKING:
    from tokenstream.formats._parts import OpenPart

__all__ = ["PlainDelta"]

_PROBE = "?"


class PlainDelta:
    """The bytes before the text of one block's deltas, proved to be what they seem.

    Anthropic pads its payloads with spaces before the last brace, so what stands
    behind the text has no fixed bytes; it is two braces and space all the same.

    Args:
        prefix: All up to the text, without its opening quote.
        part: The part that the text belongs to.
        end: The last brace, and what follows it.
    """

    __slots__ = ("_back", "_end", "_prefix", "_start", "part")

    def __init__(self, prefix: bytes, part: OpenPart, end: bytes = b"}") -> None:
        self.part = part
        self._prefix = prefix
        self._end = end
        self._start = len(prefix)
        self._back = -len(end)

    def match(self, payload: bytes) -> str | None:
        """Return the text of a payload of this shape, or None for any other payload."""
        start, back = self._start, self._back
        # Slices are compared because `startswith` takes half as long again.
        if payload[:start] != self._prefix or payload[back:] != self._end:
            return None
        rest = payload[start:back].rstrip(b" ")
        return string_of(rest[:-1]) if rest[-1:] == b"}" else None

    def framed(self, head: bytes, foot: bytes) -> PlainDelta | None:
        """Return the shape of payloads between two fixed pieces; None where they take several lines."""
        if b"\n" in self._prefix or b"\r" in self._prefix:
            return None
        return PlainDelta(head + self._prefix, self.part, b"}" + foot)

    @classmethod
    def learn(cls, payload: bytes, value: dict[str, Any], key: str, part: OpenPart) -> PlainDelta | None:
        """Return the shape of a payload, or None where its text is not the last thing in it.

        Args:
            payload: The payload's bytes.
            value: The payload, decoded.
            key: The field of its delta that is the text.
            part: The part that the text belongs to.

        Example:
            >>> from tokenstream.formats._parts import OpenPart
            >>> payload = b'{"delta":{"text":"Hel"}}'
            >>> shape = PlainDelta.learn(payload, from_json(payload), "text", OpenPart("text", 0, 0))
            >>> shape.match(b'{"delta":{"text":"lo"}   }'), shape.match(b'{"delta":{"text":"lo"},"n":1}')
            ('lo', None)
        """
        if not is_utf8(payload):
            # What was replaced must be counted each time.
            return None
        mark = b'"%b":' % key.encode()
        start = payload.find(mark) + len(mark)
        prefix = payload[: payload.find(b'"', start)]
        # Another string in that place must change the text and nothing else. Then any
        # string does: JSON does not look back.
        try:
            probed = from_json(prefix + b'"%b"}}' % _PROBE.encode())
        except ValueError:
            return None
        if value["delta"][key] == _PROBE or probed != {
            **value,
            "delta": {**value["delta"], key: _PROBE},
        }:
            return None
        return cls(prefix, part)
