"""Content types of files that contain only a body, by the extension of the file or by the content."""

from __future__ import annotations

from tokenstream.framing._sniff import sniff
from tokenstream.testing._recordings.frames import detect_framing

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
"""Maps each extension of a body's file to the content type; None if the content decides."""
SNIFFED = 4096
"""Number of bytes from the start of a body that are enough to detect its content type."""

_SNIFFED_TYPES = {"html": "text/html; charset=utf-8", "aws-eventstream": AWS}


def content_type_of(extension: str, start: bytes, *, is_whole: bool) -> str:
    r"""Return the content type of a body in a file.

    Args:
        extension: The file's extension, one of `TYPES`, in upper or lower case.
        start: The first bytes of the body: `SNIFFED` or more, unless the body is shorter.
        is_whole: True if `start` is the whole body.

    Example:
        >>> content_type_of(".sse", b"", is_whole=True), content_type_of(".txt", b'{"a": 1}', is_whole=True)
        ('text/event-stream; charset=utf-8', 'application/json')
    """
    type_by_extension = TYPES[extension.lower()]
    if type_by_extension is not None:
        return type_by_extension
    # The extension leaves it open, such as .txt.
    kind = sniff(start, content_type=None, over=is_whole)
    if kind == "json":
        return NDJSON if detect_framing(start) == "ndjson" else JSON
    if kind == "unknown":
        return "text/plain; charset=utf-8" if extension.lower() == ".txt" else "application/octet-stream"
    # Anything that is neither HTML nor an AWS event stream counts as SSE.
    return _SNIFFED_TYPES.get(kind, SSE)
