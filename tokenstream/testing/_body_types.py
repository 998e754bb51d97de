"""What a bare body is said to be, by the name of its file or by its content."""

from __future__ import annotations

from tokenstream.framing.sniff import sniff
from tokenstream.testing._frames import sniffed_framing

__all__ = ["AWS", "JSON", "NDJSON", "SNIFFED", "SSE", "TYPES", "content_type_of"]

SSE = "text/event-stream; charset=utf-8"
NDJSON = "application/x-ndjson"
JSON = "application/json"
AWS = "application/vnd.amazon.eventstream"
TYPES: dict[str, str | None] = {
    ".sse": SSE,
    ".ndjson": NDJSON,
    ".jsonl": NDJSON,
    ".json": JSON,
    ".eventstream": AWS,
    ".txt": None,
    ".raw": None,
    ".bin": None,
}
"""The extensions of bare bodies, and what they are said to be; None for what their content says."""
SNIFFED = 4096
"""Bytes of a body that tell what it is."""

_SNIFFED_TYPES = {"html": "text/html; charset=utf-8", "aws-eventstream": AWS}


def content_type_of(extension: str, start: bytes, *, over: bool) -> str:
    r"""Return what a bare body is said to be.

    Args:
        extension: Of the file, one of `TYPES`, in any case.
        start: The first bytes of the body, `SNIFFED` at least where there are so many.
        over: Whether that is all of it.

    Example:
        >>> content_type_of(".sse", b"", over=True), content_type_of(".txt", b'{"a": 1}', over=True)
        ('text/event-stream; charset=utf-8', 'application/json')
    """
    known = TYPES[extension.lower()]
    if known is not None:
        return known
    kind = sniff(start, None, over=over)
    if kind == "json":
        return NDJSON if sniffed_framing(start) == "ndjson" else JSON
    if kind == "unknown":
        return "text/plain; charset=utf-8" if extension.lower() == ".txt" else "application/octet-stream"
    return _SNIFFED_TYPES.get(kind, SSE)
