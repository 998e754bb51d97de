"""Encoder for bare text in `data:` lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from tokenstream.relay._encoders.encoder import Encoder, Payloads

if TYPE_CHECKING:
    from tokenstream.errors import ErrorKind
    from tokenstream.events import TextDelta
    from tokenstream.relay._encoders.vocabulary import FinishWords

_SENTINEL = "[DONE]"
_ERROR_KEY = '"error"'
"""A key that must not occur in a piece that starts with "{": readers would take the piece for an error."""
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class TextEncoder(Encoder):
    """Encodes an answer as pieces of its text, followed by `[DONE]`."""

    name = "text"
    # No template fits: text is not written as a JSON string, and some pieces are split into two events.
    steady = False
    expresses = frozenset({"text"})
    counts = frozenset()
    words: ClassVar[FinishWords] = {"stop": ""}

    def encode_text(self, event: TextDelta) -> Payloads:
        """Return a piece of text, in two halves if readers would take it for a sentinel or an error.

        If losses are allowed, carriage returns become line feeds, and unpaired surrogates become
        replacement characters.
        """
        text = event.text
        if "\r" in text:
            self.omit("a carriage return in text", "characters")
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if _SURROGATE.search(text):
            self.omit("half of a surrogate pair", "characters")
            text = _SURROGATE.sub("\ufffd", text)
        # The piece is split after its opening bracket or brace.
        split_at = 0
        if text.strip() == _SENTINEL:
            split_at = 1 + text.find("[")
        elif text.startswith("{") and _ERROR_KEY in text:
            split_at = 1
        return [("", piece) for piece in (text[:split_at], text[split_at:]) if piece]

    def encode_tail(self) -> Payloads:
        return [("", _SENTINEL)]

    def encode_error(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        return [("error", {"error": {"message": message, "type": kind, "code": code}})]
