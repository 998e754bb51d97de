"""Recognise the next plain delta where its text stands in the payload twice, without decoding it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tokenstream._json import decode
from tokenstream.errors import ProtocolError
from tokenstream.formats._read import is_dict
from tokenstream.formats._template import string_of

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["TwiceTemplate"]

_PROBE = "tokenstream probe"


class TwiceTemplate:
    """The bytes around both places of the text: servers send along the event that they made theirs from.

    Args:
        prefix: All up to the text's first place, without its opening quote.
        middle: All between the two places, without their quotes.
        tail: All after the second place, without its closing quote.

    Example:
        >>> payload = b'{"delta":"Hel","rawEvent":{"text":"Hel"}}'
        >>> template = TwiceTemplate.learn(payload, decode(payload), "delta", {"rawEvent"})
        >>> template.match(b'{"delta":"lo","rawEvent":{"text":"lo"}}')
        'lo'
        >>> template.match(b'{"delta":"lo","rawEvent":{"text":"la"}}') is None
        True
    """

    __slots__ = ("_back", "_middle", "_prefix", "_size", "_start", "_tail")

    def __init__(self, prefix: bytes, middle: bytes, tail: bytes) -> None:
        self._prefix = prefix
        self._middle = middle
        self._tail = tail
        self._start = len(prefix)
        self._size = len(middle)
        self._back = -len(tail)

    def match(self, payload: bytes) -> str | None:
        """Return the text of a payload of this shape, or None for any other payload."""
        start, back = self._start, self._back
        if payload[:start] != self._prefix or payload[back:] != self._tail:
            return None
        inner = payload[start:back]
        size = (len(inner) - self._size) // 2
        # What is as long as the middle and two equal pieces is made of these, or of anything else.
        if size <= 0 or inner[size:-size] != self._middle or inner[:size] != inner[-size:]:
            return None
        return string_of(inner[:size])

    def framed(self, head: bytes, foot: bytes) -> TwiceTemplate | None:
        """Return the template of payloads between two fixed pieces; None where they take several lines."""
        pieces = b"".join([self._prefix, self._middle, self._tail])
        if b"\n" in pieces or b"\r" in pieces:
            return None
        return TwiceTemplate(head + self._prefix, self._middle, self._tail + foot)

    @classmethod
    def learn(
        cls, payload: bytes, value: dict[str, Any], field: str, asides: Collection[str]
    ) -> TwiceTemplate | None:
        """Return the template of a payload, or None where it has none.

        Args:
            payload: The payload's bytes, in whole characters.
            value: The payload, decoded.
            field: The field that is the text.
            asides: Fields that say nothing of the answer, so that they may hold it again.
        """
        text = value[field]
        pieces = payload.split(json.dumps(text, ensure_ascii=False).encode("utf-8", "replace"))
        if len(pieces) != 3:
            return None
        # Another text in both places must change the text and nothing else that counts.
        probe = b'"%b"' % _PROBE.encode()
        try:
            probed = decode(probe.join(pieces))
        except ProtocolError:
            return None
        if not is_dict(probed) or probed.get(field) != _PROBE or probed.keys() != value.keys():
            return None
        if any(probed[name] != value[name] for name in value.keys() - {field, *asides}):
            return None
        return cls(*pieces)
