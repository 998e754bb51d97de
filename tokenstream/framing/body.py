"""JSON bodies: one document, or one a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.errors import LimitExceeded
from tokenstream.framing.ndjson import NDJSONParser
from tokenstream.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from tokenstream.errors import StreamError

__all__ = ["JSONBody"]

_SPACE = b" \t\r\n"
_BEFORE = frozenset(b"\xef\xbb\xbf" + _SPACE)
"""What may stand before the first line: white space, and a byte order mark."""


class JSONBody:
    r"""Cut a JSON body into documents: NDJSON, or a single one over any number of lines.

    A server that refuses to stream answers with a single document, often
    indented. The first line tells: in NDJSON it ends with its closing bracket.

    Args:
        limits: `Limits.line` and `Limits.event` bound a document.

    Example:
        >>> body = JSONBody()
        >>> body.feed(b'{\n  "id": 1\n}\n'), body.unfinished
        ([], b'{\n  "id": 1\n}\n')
        >>> JSONBody().feed(b'{"id": 1}\n{"id"')
        [b'{"id": 1}']
    """

    stop: str | None = None
    """A framing never asks to close the source."""

    def __init__(self, *, limits: Limits | None = None) -> None:
        self._limits = limits if limits is not None else DEFAULT_LIMITS
        self._lines = NDJSONParser(limits=self._limits)
        self._first = bytearray()
        self._looked_at = 0
        self._single = False
        self._decided = False
        self._error: LimitExceeded | None = None

    @property
    def error(self) -> StreamError | None:
        """What went wrong after the documents that were returned last."""
        return self._error or self._lines.error

    def check(self) -> None:
        """Raise `error` if there is one."""
        if self.error is not None:
            raise self.error

    @property
    def tail(self) -> bytes:
        """The bytes of the unfinished document, at most `Limits.tail`."""
        return (
            self._lines.tail
            if self._decided and not self._single
            else bytes(self._first[: self._limits.tail])
        )

    @property
    def unfinished(self) -> bytes | None:
        """The last document where no line end followed it, or the single one; None where there is none."""
        if self._decided and not self._single:
            return self._lines.unfinished
        return bytes(self._first) if self._first.strip(_SPACE) else None

    def feed(self, chunk: bytes, *, now: float = 0.0) -> list[bytes]:
        """Return the documents that `chunk` completes."""
        if self._decided and not self._single:
            return self._lines.frames(chunk, now=now)
        if self._error is not None:
            return []
        self._first += chunk
        if len(self._first) > self._limits.event:
            self._error = LimitExceeded(limit="event", value=self._limits.event)
            del self._first[self._limits.tail :]
            return []
        if not self._decided:
            self._decide()
        if not self._decided or self._single:
            return []
        first, self._first = bytes(self._first), bytearray()
        return self._lines.frames(first, now=now)

    def end(self, *, now: float = 0.0) -> list[bytes]:
        """The input is over; what has no line end is in `unfinished`."""
        return self._lines.end(now=now)

    def _decide(self) -> None:
        """Look at the first line once it is whole; what was looked at is not looked at again."""
        first = self._first
        while self._looked_at < len(first) and first[self._looked_at] in _BEFORE:
            self._looked_at += 1
        if self._looked_at == len(first):
            return
        end = first.find(b"\n", self._looked_at)
        self._looked_at = len(first) - 1
        if end >= 0:
            self._decided = True
            self._single = not first[:end].rstrip(_SPACE).endswith((b"}", b"]"))
