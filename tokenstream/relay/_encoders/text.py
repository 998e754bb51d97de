"""Encoder for bare text in `data:` lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from tokenstream.relay._encoders.encoder import Encoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.errors import ErrorKind
    from tokenstream.events import TextDelta
    from tokenstream.message import FinishReason
    from tokenstream.relay._encoders.encoder import Payloads
    from tokenstream.turns import Kind

_END = "[DONE]"
_ERROR = '"error"'
"""Key that a piece starting with "{" must not contain: readers would take it for an error of the server."""
_HALF = re.compile(r"[\ud800-\udfff]")


class TextEncoder(Encoder):
    """Encodes an answer as its text, piece by piece, and `[DONE]`."""

    name: ClassVar[str] = "text"
    # Text is not escaped, and some pieces are split into two events.
    steady: ClassVar[bool] = False
    expresses: ClassVar[frozenset[Kind]] = frozenset({"text"})
    counts: ClassVar[frozenset[str]] = frozenset()
    words: ClassVar[Mapping[FinishReason, str]] = {"stop": ""}

    def encode_text(self, event: TextDelta) -> Payloads:
        """A piece of text; one that readers would take for a sentinel or an error is split in two.

        With `drop="all"` a carriage return becomes a line feed, and an unpaired surrogate a
        replacement character.

        Raises:
            NotExpressible: An SSE line cannot carry the text.
        """
        text = event.text
        if "all" in self.drop:
            text = _HALF.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))
        if "\r" in text:
            raise self.not_expressible("a carriage return in text")
        if _HALF.search(text):
            raise self.not_expressible("half of a surrogate pair")
        border = 1 + text.find("[") if text.strip() == _END else text.startswith("{") and _ERROR in text
        return [("", piece) for piece in (text[:border], text[border:]) if piece]

    def encode_tail(self) -> Payloads:
        """The sentinel."""
        return [("", _END)]

    def encode_error(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        """An event named `error`."""
        return [("error", {"error": {"message": message, "type": kind, "code": code}})]
