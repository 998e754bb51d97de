"""An answer as it may arrive, and all that must not depend on how it did."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from tests.support import chunkings
from tests.support.aws_eventstream import exception
from tests.support.either import got, inside
from tests.support.error_frames import shapes_of
from tests.support.wire import bytes_of, sse
from tokenstream.errors import StreamError
from tokenstream.framing._sniff import sniff

if TYPE_CHECKING:
    from tests.support.recordings import Recorded
    from tokenstream import AsyncStream, Stream

_TYPES = {"sse": "text/event-stream", "aws-eventstream": "application/vnd.amazon.eventstream"}
_ONE_READ = 60_000
"""Number of bytes that a file surely gives in one piece."""


def content_type_of(body: bytes) -> str:
    return _TYPES.get(str(sniff(body, None, over=True)), "application/stream+json")


def _frames(body: bytes, framing: str | None) -> list[bytes]:
    if framing == "sse":
        return chunkings.per_event(body)
    if framing != "aws-eventstream":
        return body.splitlines(keepends=True)
    frames = list[bytes]()
    while body:
        length = int.from_bytes(body[:4], "big")
        frames.append(body[:length])
        body = body[length:]
    return frames


def _error_of(format: str, framing: str | None) -> bytes | None:
    """Return an error of the provider as a frame, where the table of errors has one that is sent so."""
    if framing == "aws-eventstream":
        return exception("throttlingException", {"message": "m"})
    payload: Any = next(iter(shapes_of(format)), None)
    if not isinstance(payload, dict):
        return None
    return sse(payload, event=payload.get("type", "")) if framing == "sse" else bytes_of(payload) + b"\n"


def arrivals_of(recorded: Recorded, *, error_is_last: bool = False) -> dict[str, list[bytes]]:
    """Return the pieces of an answer that is whole, cut, joined late or broken by an error.

    The place is drawn for the answer's name.
    """
    framing = sniff(recorded.body, None, over=True)
    frames = _frames(recorded.body, framing)
    arrivals = {"whole": frames}
    if len(frames) < 3:
        return arrivals
    at = random.Random(recorded.name).randrange(1, len(frames) - 1)
    arrivals["cut"] = frames[:at]
    # An array is read from its first line on, and nothing else can stand between its lines.
    error = None if is_array(recorded) else _error_of(recorded.format, framing)
    if not is_array(recorded):
        arrivals["joined late"] = frames[at:]
    if error is not None and len(recorded.body) < _ONE_READ:
        # In one piece with what stands behind it: a later piece is not read.
        arrivals["error"] = [b"".join([*frames[:at], error, *([] if error_is_last else frames[at:])])]
    return arrivals


def is_array(recorded: Recorded) -> bool:
    return recorded.body.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def drawn(arrivals: dict[str, list[bytes]], recorded: Recorded) -> dict[str, list[bytes]]:
    """Return one of the arrivals, always the same one for an answer."""
    name = random.Random(recorded.name).choice([*arrivals])
    return {name: arrivals[name]}


async def read(stream: Stream | AsyncStream) -> dict[str, Any]:
    """Read a stream of either kind to its end."""
    async with inside(stream):
        try:
            await got(stream.final())
        except StreamError as error:
            return _seen(stream, error)
    return _seen(stream, None)


def _seen(stream: Stream | AsyncStream, error: StreamError | None) -> dict[str, Any]:
    return {
        "messages": stream.messages,
        "ending": stream.message.ending,
        "departures": stream.departures.details,
        "error": error and (type(error), error.kind, error.retryable),
    }
