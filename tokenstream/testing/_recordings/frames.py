"""The parts of a body: its content type, and its frames: SSE events, JSON lines or AWS messages."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, TypeAlias

from tokenstream._basics.untrusted import is_dict
from tokenstream.framing._sniff import BodyKind, sniff

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.testing._recordings.recording import Recording

FramingName: TypeAlias = Literal["sse", "ndjson", "json", "aws-eventstream"]
"""The framing of a body, which is detected from its content."""

_DELIMITERS = {
    # An event includes the empty lines after it. The group is atomic, so that CRLF is one line ending.
    "sse": re.compile(rb"(?>\r\n|\n|\r){2,}+"),
    "ndjson": re.compile(rb"\n+"),
}
"""Matches the delimiter after each frame of a text body, for each framing."""
_STRINGS_AND_BRACKETS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
"""Matches JSON brackets, and whole strings, so that brackets inside strings do not count."""
_BOM_AND_SPACES = b"\xef\xbb\xbf \t\r\n"
_MIN_MESSAGE = 16
"""Size of the shortest message of an AWS event stream, in bytes."""
_FRAMING_OF_KIND: dict[BodyKind, FramingName] = {"sse": "sse", "aws-eventstream": "aws-eventstream"}

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


def frames_of(recording: Recording) -> list[bytes]:
    r"""Return the frames of a recording's body; joined, they are the whole body.

    A frame is an SSE event with the blank line that ends it, a line of NDJSON, an
    element of a JSON array, or a message of an AWS event stream or of a WebSocket.
    """
    if recording.messages:
        return [data for _, data in recording.arrivals if data]
    return cut_frames(recording.body, framing_of(recording))


def framing_of(recording: Recording) -> FramingName | None:
    """Return the framing of a recording's body; None if no known framing fits.

    The result is None also for a compressed body, even if its content type names a framing, and for a
    WebSocket, whose messages need no framing.
    """
    if recording.messages or is_compressed(recording):
        return None
    return detect_framing(recording.body, recording.content_type)


def is_compressed(recording: Recording) -> bool:
    return recording.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}


def detect_framing(start: bytes, content_type: str | None = None) -> FramingName | None:
    r"""Return the framing of a body; None if no known framing fits."""
    kind = sniff(start, content_type, over=True)
    if kind != "json":
        return _FRAMING_OF_KIND.get(kind)
    # A line that is an object, with another below it, is NDJSON, also in a file without a content type.
    first, _, second = start.lstrip(_BOM_AND_SPACES).partition(b"\n")
    has_lines = first.rstrip().endswith(b"}") and second.lstrip().startswith(b"{")
    return "ndjson" if has_lines or "ndjson" in (content_type or "") else "json"


def cut_frames(body: bytes, framing: FramingName | None) -> list[bytes]:
    """Return the frames of a body; joined, they are the whole body."""
    if framing is None:
        ends = []
    elif framing == "json":
        ends = _find_element_ends(body)
    elif framing == "aws-eventstream":
        ends = _find_message_ends(body)
    else:
        ends = [match.end() for match in _DELIMITERS[framing].finditer(body)]
    return [body[begin:end] for begin, end in pairwise([0, *ends, len(body)]) if begin < end]


def _find_element_ends(body: bytes) -> list[int]:
    """Return the offsets at which the elements of a JSON array end; elements are objects or arrays."""
    ends: list[int] = []
    if not body.lstrip(_BOM_AND_SPACES).startswith(b"["):
        return ends
    depth = 0
    # A string is matched as a whole, so that brackets inside it are not counted.
    for match in _STRINGS_AND_BRACKETS.finditer(body):
        if match[0] in b"[{":
            depth += 1
        elif match[0] in b"]}":
            depth -= 1
            if depth == 1:
                ends.append(match.end())
    return ends


def _find_message_ends(body: bytes) -> list[int]:
    """Return the offsets at which the messages of an AWS event stream end."""
    ends: list[int] = []
    end = 0
    while len(body) - end >= _MIN_MESSAGE:
        # A message begins with its length, in four bytes.
        length = int.from_bytes(body[end : end + 4], "big")
        if not _MIN_MESSAGE <= length <= len(body) - end:
            break
        end += length
        ends.append(end)
    return ends


def content_type_of(extension: str, start: bytes, *, is_whole: bool) -> str:
    r"""Return the content type of a body in a file; `start` has `SNIFFED` bytes, or the whole body."""
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


def object_of(data: bytes) -> JsonObject | None:
    """Return a payload as a JSON object; None if it is anything else."""
    try:
        payload = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return payload if is_dict(payload) else None
