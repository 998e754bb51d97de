"""Detection of a body's kind by its first bytes, because the Content-Type is often wrong."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias
from zlib import crc32

BodyKind: TypeAlias = Literal["sse", "json", "aws-eventstream", "html", "unknown", "undecided"]
"""The kind of a body; "undecided" means that more bytes are needed."""

_SKIPPED = b"\xef\xbb\xbf \t\r\n"
_SSE_FIELDS = (b"data", b"event", b"id", b"retry")
_ERROR_FIELDS = (b"error: {", b"error:{")
"""The beginnings of an error in a field that the standard does not know."""
_MOST_UNDECIDED = 4096
_PRELUDE_BYTES = 12
_find_name_end = re.compile(rb"[:\r\n]").search
_TITLE = re.compile(r"<title[^<>]*+>([^<]{1,200})", re.IGNORECASE)


def sniff(start: bytes, content_type: str | None, *, over: bool) -> BodyKind:
    """Return a body's kind by its first bytes or, if these do not decide, by its Content-Type.

    Example:
        >>> sniff(b"data: Hel", None, over=False), sniff(b"{", "text/event-stream", over=False)
        ('sse', 'json')
        >>> sniff(b"dat", None, over=False)
        'undecided'
    """
    binary = _sniff_binary(start, content_type, over=over)
    if binary is not None:
        return binary
    if start[:5] == b"data:" or start[:6] == b"event:":
        # A short way to the result of the checks below: nearly all bodies begin so.
        return "sse"
    first = start.lstrip(_SKIPPED)
    if not first:
        # A body of nothing but white space is an event stream without events.
        return "undecided" if len(start) < _MOST_UNDECIDED and not over else "sse"
    if first[:1] in b"{[":
        return "json"
    if first[:1] == b"<":
        return "html"
    if first[:1] == b":":
        # A comment.
        return "sse"
    by_field = _sniff_field(first, over=over)
    if by_field is not None:
        return by_field
    return "sse" if content_type is not None and "event-stream" in content_type.lower() else "unknown"


def _sniff_field(first: bytes, *, over: bool) -> BodyKind | None:
    """Return "sse" if a body begins with a field of SSE, "undecided" if it may; None for another body."""
    name_end = _find_name_end(first)
    if name_end is not None and first[: name_end.start()] in _SSE_FIELDS:
        return "sse"
    # A text may begin like the field `error`, but has no JSON after the colon.
    if first.startswith(_ERROR_FIELDS):
        return "sse"
    if name_end is None and any(field.startswith(first) for field in _SSE_FIELDS):
        # If no more bytes arrive, it is an event stream that was cut in its first line.
        return "sse" if over else "undecided"
    may_be_error = any(field.startswith(first) for field in _ERROR_FIELDS)
    return "undecided" if may_be_error and not over else None


def _sniff_binary(start: bytes, content_type: str | None, *, over: bool) -> BodyKind | None:
    """Return "aws-eventstream" for a binary event stream of AWS, or None for any other body.

    If too few bytes have arrived to tell, the result is "undecided". The first bytes of a message, its
    prelude, contain their own checksum.
    """
    # Nothing has arrived; or the first byte begins text, or a length that no message has.
    if not start or start[0] in b"\xef{[<:\t\r\n " or start[0] > 127:
        return None
    if content_type is not None and "vnd.amazon.eventstream" in content_type.lower():
        return "aws-eventstream"
    # A message is hardly longer than 16 MiB, so its length begins with a byte of 0 or 1; no text does.
    if start[0] > 1:
        return None
    if len(start) < _PRELUDE_BYTES:
        if not over:
            return "undecided"
        # The headers are shorter than 16 MiB, too, so this is an event stream cut in its first bytes.
        return "aws-eventstream" if start[4:5] in (b"", b"\x00") else None
    return "aws-eventstream" if crc32(start[:8]) == int.from_bytes(start[8:_PRELUDE_BYTES], "big") else None


def title_of(page: str) -> str:
    match = _TITLE.search(page)
    return " ".join(match.group(1).split()) if match else ""
