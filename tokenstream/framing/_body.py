"""Framing of JSON bodies: a single document, one document per line, or an array of documents."""

from __future__ import annotations

import re
from functools import partial
from typing import TypeVar

from tokenstream._basics.kept_errors import ErrorKeeper
from tokenstream.errors import LimitExceeded, StreamError
from tokenstream.framing._framing import Decoding, Framing, Shortcut
from tokenstream.framing._json_array import JSONArrayParser
from tokenstream.framing._json_frames import SPACE
from tokenstream.framing._lines import BOM
from tokenstream.framing._ndjson import NDJSONParser
from tokenstream.limits import DEFAULT_LIMITS, Limits

MadeT = TypeVar("MadeT")

_BEFORE_CONTENT = frozenset(BOM + SPACE)
"""Bytes that may precede the first line: white space and a byte order mark."""
_OPENING = ord("[")
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:(")|\\?\Z)', re.DOTALL)
"""Matches a JSON string, or the rest of the text after a quote that is never closed (without the group)."""


class JSONBody(ErrorKeeper, Framing):
    r"""Cut a JSON body into documents: NDJSON, an array, or a single document over any number of lines.

    A body that begins with an opening square bracket is an array of documents.
    A server that refuses to stream answers with a single document, often
    indented. NDJSON and a single document differ in the first line: in NDJSON,
    that line ends with a closing bracket, and leaves no bracket open.

    Args:
        limits: `Limits.line` and `Limits.event` limit the size of a document.

    Example:
        >>> body = JSONBody()
        >>> body.feed(b'{\n  "id": 1\n}\n'), body.unfinished
        ([], b'{\n  "id": 1\n}\n')
        >>> JSONBody().feed(b'{"id": 1}\n{"id"')
        [b'{"id": 1}']
        >>> JSONBody().feed(b'[{"id": 1}\n,\n{"id"')
        [b'{"id": 1}']
    """

    is_json = True

    def __init__(self, *, limits: Limits | None = None) -> None:
        self._limits = limits if limits is not None else DEFAULT_LIMITS
        self._framing: NDJSONParser | JSONArrayParser | None = None
        """The framing of a body of several documents; None until the body is known to be one."""
        self._bytes_so_far = bytearray()
        """The bytes so far, until the body is known to be several documents."""
        self._searched_to = 0
        """The position up to which `_bytes_so_far` was searched for the end of the first line."""
        self._is_single = False
        self._has_content = False
        """True once a byte that is neither white space nor a byte order mark has been read."""
        self._error: LimitExceeded | None = None

    @property
    def error(self) -> StreamError | None:  # type: ignore[override] # that of the framing inside
        return self._error if self._framing is None else self._framing.error

    @property
    def tail(self) -> bytes:
        """The bytes of the unfinished document, at most `Limits.tail`."""
        return bytes(self._bytes_so_far[: self._limits.tail]) if self._framing is None else self._framing.tail

    @property
    def unfinished(self) -> bytes | None:
        """The document that lacks only its end marker (a line end or a separator); None if there is none.

        A single document has no end marker, so it is never returned by `feed`, but is the value here.
        """
        if self._framing is not None:
            # The body is an array or NDJSON.
            return self._framing.unfinished
        single = bytes(self._bytes_so_far).removeprefix(BOM)
        return single if single.strip(SPACE) else None

    @property
    def is_document(self) -> bool:
        """True unless the documents are the elements of an array, even of a single one."""
        return not isinstance(self._framing, JSONArrayParser)

    @property
    def is_open(self) -> bool:
        """True if the documents are the elements of an array that has not ended."""
        return isinstance(self._framing, JSONArrayParser) and self._framing.is_open

    def make_shortcut(self, format: Decoding) -> Shortcut | None:
        framing = self._framing
        if isinstance(framing, JSONArrayParser):
            return framing.shortcut(partial(format.shortcut, "element"))
        # Most servers send one line per chunk; 0 while part of a line is held.
        longest = 0 if framing is None else framing.longest_alone
        # A chunk contains no bytes before the payload, and a line end after it.
        return format.shortcut("line", longest, b"", b"\n") if longest else None

    def feed(self, chunk: bytes, *, now: float = 0.0) -> list[bytes]:
        """Return the documents that `chunk` completes; a single document is in `unfinished` instead."""
        framing = self._framing
        if framing is not None:
            return framing.frames(chunk, now=now)
        if self._error is not None:
            return []
        self._bytes_so_far += chunk
        if not self._is_single:
            self._decide()
        if self._framing is not None:
            so_far, self._bytes_so_far = bytes(self._bytes_so_far), bytearray()
            return self._framing.frames(so_far, now=now)
        self._refuse_if_too_large(len(self._bytes_so_far))
        return []

    frames = feed

    def end(self, *, now: float = 0.0) -> list[bytes]:
        """End the input, and return the documents that its end completes.

        A last document without an end marker is then in `unfinished`.
        """
        return [] if self._framing is None else self._framing.end(now=now)

    def _decide(self) -> None:
        """Choose the framing by the first byte, or by the first line once it is complete.

        `_searched_to` is the position where the last search for the end of the line ended, so that no byte
        is searched twice.
        """
        so_far = self._bytes_so_far
        if not self._has_content:
            while self._searched_to < len(so_far) and so_far[self._searched_to] in _BEFORE_CONTENT:
                self._searched_to += 1
            if self._searched_to == len(so_far):
                return
            if so_far[self._searched_to] == _OPENING:
                self._framing = JSONArrayParser(limits=self._limits)
                return
            self._has_content = True
        end = so_far.find(b"\n", self._searched_to)
        self._searched_to = len(so_far)
        if end < 0 or self._refuse_if_too_large(end):
            return
        # In NDJSON, the first line is a whole document; the first line of an indented one is not.
        if _is_closed(so_far[:end].rstrip(SPACE)):
            self._framing = NDJSONParser(limits=self._limits)
        else:
            self._is_single = True

    def _refuse_if_too_large(self, size: int) -> bool:
        if size <= self._limits.event:
            return False
        self._error = LimitExceeded(limit="event", value=self._limits.event)
        # Of the refused body, only the bytes that the property `tail` returns are still needed.
        del self._bytes_so_far[self._limits.tail :]
        return True


def _is_closed(line: bytearray) -> bool:
    r"""Return True if a line ends with a closing bracket, and leaves no bracket open."""
    if not line.endswith((b"}", b"]")):
        return False
    marks = _STRING.sub(lambda string: b"" if string[1] else string[0], line)
    return marks.count(b"{") + marks.count(b"[") <= marks.count(b"}") + marks.count(b"]")
