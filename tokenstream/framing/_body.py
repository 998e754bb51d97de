"""JSON bodies: one document, one a line, or an array of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tokenstream.errors import LimitExceeded
from tokenstream.framing.json_array import JSONArrayParser
from tokenstream.framing.ndjson import NDJSONParser
from tokenstream.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.errors import StreamError
    from tokenstream.framing.json_array import ElementReader

MadeT = TypeVar("MadeT")

_SPACE = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
_BEFORE = frozenset(_BOM + _SPACE)
"""Bytes that may precede the first line: white space and a byte order mark."""
_OPENING = ord("[")


class JSONBody:
    r"""Cut a JSON body into documents: NDJSON, an array, or a single one over any number of lines.

    A body that begins with an opening square bracket is an array of documents.
    A server that refuses to stream answers with a single document, often
    indented. The first line tells NDJSON from a single document: in NDJSON it
    ends with a closing bracket.

    Args:
        limits: `Limits.line` and `Limits.event` bound a document.

    Example:
        >>> body = JSONBody()
        >>> body.feed(b'{\n  "id": 1\n}\n'), body.unfinished
        ([], b'{\n  "id": 1\n}\n')
        >>> JSONBody().feed(b'{"id": 1}\n{"id"')
        [b'{"id": 1}']
        >>> JSONBody().feed(b'[{"id": 1}\n,\n{"id"')
        [b'{"id": 1}']
    """

    stop: str | None = None
    """A framing never asks to close the source."""

    def __init__(self, *, limits: Limits | None = None) -> None:
        self._limits = limits if limits is not None else DEFAULT_LIMITS
        self._framing: NDJSONParser | JSONArrayParser | None = None
        """The framing of a body of several documents; None until the body proves to be one."""
        self._first = bytearray()
        self._looked_at = 0
        self._single = False
        self._seen = False
        """True once the first byte that is neither white space nor BOM has been looked at."""
        self._error: LimitExceeded | None = None

    @property
    def error(self) -> StreamError | None:
        """The fault after the documents that were returned last, or None."""
        return self._error if self._framing is None else self._framing.error

    def check(self) -> None:
        """Raise `error` if there is one."""
        if self.error is not None:
            raise self.error

    @property
    def tail(self) -> bytes:
        """The bytes of the unfinished document, at most `Limits.tail`."""
        return bytes(self._first[: self._limits.tail]) if self._framing is None else self._framing.tail

    @property
    def unfinished(self) -> bytes | None:
        """The last document if nothing marked its end, or the single document; else None."""
        if self._framing is not None:
            return self._framing.unfinished
        single = bytes(self._first).removeprefix(_BOM)
        return single if single.strip(_SPACE) else None

    @property
    def is_array(self) -> bool:
        """True if the documents are the elements of an array, even of a single one."""
        return isinstance(self._framing, JSONArrayParser)

    @property
    def is_open(self) -> bool:
        """True if the documents are the elements of an array that has not ended."""
        return isinstance(self._framing, JSONArrayParser) and self._framing.is_open

    @property
    def alone(self) -> int:
        """The longest line, in bytes, that may be read on its own; 0 while anything is held."""
        return self._framing.alone if isinstance(self._framing, NDJSONParser) else 0

    def shortcut(self, reader: ElementReader[MadeT]) -> Callable[[bytes], MadeT | None] | None:
        """Return a reader of chunks that are one more array element each; None if no element is due.

        Args:
            reader: As `JSONArrayParser.shortcut` takes it.
        """
        return self._framing.shortcut(reader) if isinstance(self._framing, JSONArrayParser) else None

    def feed(self, chunk: bytes, *, now: float = 0.0) -> list[bytes]:
        """Return the documents that `chunk` completes."""
        framing = self._framing
        if framing is not None:
            return framing.frames(chunk, now=now)
        if self._error is not None:
            return []
        self._first += chunk
        if not self._single:
            self._decide()
        if self._framing is not None:
            first, self._first = bytes(self._first), bytearray()
            return self._framing.frames(first, now=now)
        self._check_size(len(self._first))
        return []

    frames = feed
    """Returns what `feed` returns; every framing has this name for it."""

    def end(self, *, now: float = 0.0) -> list[bytes]:
        """End the input; a document without an end marker is in `unfinished`."""
        return [] if self._framing is None else self._framing.end(now=now)

    def _decide(self) -> None:
        """Choose the framing by the first byte, or by the first line once it is whole; rescan nothing."""
        first = self._first
        if not self._seen:
            while self._looked_at < len(first) and first[self._looked_at] in _BEFORE:
                self._looked_at += 1
            if self._looked_at == len(first):
                return
            if first[self._looked_at] == _OPENING:
                self._framing = JSONArrayParser(limits=self._limits)
                return
            self._seen = True
        end = first.find(b"\n", self._looked_at)
        self._looked_at = len(first)
        if end < 0 or self._check_size(end):
            return
        if first[:end].rstrip(_SPACE).endswith((b"}", b"]")):
            self._framing = NDJSONParser(limits=self._limits)
        else:
            self._single = True

    def _check_size(self, size: int) -> bool:
        """Stop with an error if `size`, the length of what seems to be one document, is too large."""
        if size <= self._limits.event:
            return False
        self._error = LimitExceeded(limit="event", value=self._limits.event)
        del self._first[self._limits.tail :]
        return True
