"""Faults of the connection, also of a session's: it may be cut, broken, stalled, slow, or about to end."""

from __future__ import annotations

import math
import re
import zlib
from typing import cast

from tokenstream._basics.json import to_json_bytes
from tokenstream.errors import MisuseError
from tokenstream.testing._faults.base import fault
from tokenstream.testing._recordings.places import (
    Edit,
    chunk_ends,
    divide,
    end_at,
    find_event,
    find_offset,
    replace_arrivals,
    splice,
    with_boundaries,
)
from tokenstream.testing._recordings.recording import Arrival, Recording, refuse_messages
from tokenstream.testing._script_steps import check_number

_SEVERAL_BYTES = re.compile(rb"[\xc2-\xf4][\x80-\xbf]+")
"""A character that takes several bytes in UTF-8."""
_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS
_STANDARD_CODES = frozenset({*range(1000, 1004), *range(1007, 1015)})
"""The codes of RFC 6455, and those registered since, that a closing frame may have."""
_NO_FRAME = 1006
_MAX_REASON = 123
"""Largest reason of a closing frame, in bytes (RFC 6455 §5.5)."""

_SESSION_FORMATS = ("openai-responses", "openai-realtime", "gemini-live")
CONNECTION_LIMITS = {
    "openai-responses": (
        "websocket_connection_limit_reached",
        "The connection has reached its limit of 60 minutes. Open another one to continue.",
    ),
    "openai-realtime": ("session_expired", "Your session hit the maximum duration of 60 minutes."),
}
"""The error with which an API ends a connection that is too old: its code and its message."""
_GOING_AWAY = 1001


@fault
def cut(recording: Recording, *, at: float | None = None, event: int | None = None) -> Recording:
    r"""End the body early, as if it were complete.

    Args:
        at: Offset of the cut. An int is a number of bytes, counted from the end if negative; a float
            is a fraction of the body, from 0.0 to 1.0. By default, the cut is in the middle. The
            messages of a WebSocket are never cut inside.
        event: Number of an event, from 1; -1 is the last. If passed instead of `at`, the body is cut
            after that event.

    Raises:
        MisuseError: On replay, if the body has no such offset or event.

    Example:
        >>> from tokenstream.testing import Recording, faults
        >>> Recording.of([b"data: Hello\n\n"]).with_fault(faults.cut(at=9)).body
        b'data: Hel'
    """
    return end_at(recording, find_offset(recording, at, event), breaks=None)


@fault
def close(
    recording: Recording,
    *,
    at: float | None = None,
    event: int | None = None,
    code: int | None = None,
    reason: str = "",
) -> Recording:
    """Close the connection inside the body, without a proper end.

    Args:
        at: Offset in the body, as for `cut`; 1.0 closes the connection after the last byte.
        event: Number of the event after which the connection is closed, as for `cut`.
        code: Code with which a WebSocket is closed, such as 1011; None to cut the connection without
            a closing frame, which clients report as 1006.
        reason: Reason in the closing frame; at most 123 bytes.

    Raises:
        MisuseError: On replay, if the body has no such offset or event, or the code cannot be sent.
    """
    return end_at(
        recording,
        find_offset(recording, at, event),
        breaks="close",
        close_frame=_make_close_frame(code, reason),
    )


@fault
def reset(recording: Recording, *, at: float | None = None, event: int | None = None) -> Recording:
    """Reset the connection inside the body.

    Args:
        at: Offset in the body, as for `cut`; 1.0 resets the connection after the last byte.
        event: Number of the event after which the connection is reset, as for `cut`.

    Raises:
        MisuseError: On replay, if the body has no such offset or event.
    """
    return end_at(recording, find_offset(recording, at, event), breaks="reset")


@fault
def stall(
    recording: Recording, seconds: float = math.inf, *, at: float | None = None, event: int | None = None
) -> Recording:
    """Send nothing for some seconds, then send the rest of the answer.

    Args:
        seconds: Length of the silence; by default the silence never ends.
        at: Offset of the silence in the body, as for `cut`: a number of bytes, or a fraction.
        event: Number of the event after which the silence begins, as for `cut`.

    Raises:
        MisuseError: On replay, if the body has no such offset or event, or `seconds` is negative.

    Example:
        >>> from tokenstream import testing
        >>> answer = testing.script().text("Hel", "lo").finish()
        >>> stream = answer.stream(fault=testing.faults.stall(90, event=2))
        >>> stream.final().text, stream.metrics.gaps.max
        ('Hello', 90.0)
    """
    before, after = divide(recording, find_offset(recording, at, event))
    if seconds == math.inf:
        return replace_arrivals(recording, before, breaks="stall")
    check_number("seconds", seconds, zero=True)
    return replace_arrivals(recording, [*before, *(Arrival(at + seconds, data) for at, data in after)])


@fault
def slow(recording: Recording, seconds: float = 0.0, *, factor: float = 1.0) -> Recording:
    r"""Send the answer more slowly.

    Args:
        seconds: Number of seconds to wait before each chunk, in addition to the recorded time.
        factor: Factor by which all recorded times are multiplied first.

    Raises:
        MisuseError: On replay, if a number is negative or infinite.

    Example:
        >>> from tokenstream.testing import Recording, faults
        >>> dripping = Recording.of([b"data: a", b"b", b"\n\n"]).with_fault(faults.slow(0.5))
        >>> [arrival.at for arrival in dripping.arrivals]
        [0.5, 1.0, 1.5]
    """
    check_number("seconds", seconds, zero=True)
    check_number("factor", factor, zero=True)
    numbered = enumerate(recording.arrivals, 1)
    arrivals = [Arrival(at * factor + seconds * number, data) for number, (at, data) in numbered]
    return recording.replaced(arrivals=tuple(arrivals))


@fault
def exit_code(recording: Recording, code: int = 1) -> Recording:
    r"""End the program that prints the lines with an exit code.

    Args:
        code: The exit code; a negative one is the number of a signal, as for `Popen`.

    Raises:
        MisuseError: On replay, if `code` is not a whole number.

    Example:
        >>> from tokenstream.testing import Recording, faults
        >>> killed = faults.cut(at=5) | faults.exit_code(-9)
        >>> with Recording.of([b"one\ntwo\n"]).process(fault=killed) as process:
        ...     process.stdout.read(), process.wait()
        (b'one\nt', -9)
    """
    # Not isinstance: True is an int, too.
    if type(cast("object", code)) is not int:
        raise MisuseError(f"code={code!r} is invalid: an exit code is a whole number, such as 1")
    return recording.replaced(exit_code=code)


@fault
def split_utf8(recording: Recording) -> Recording:
    r"""Split the bytes of each non-ASCII character between two chunks.

    Raises:
        MisuseError: On replay, if the body has no non-ASCII character, or consists of messages.

    Example:
        >>> from tokenstream.testing import Recording, faults
        >>> Recording.of(["data: é\n\n".encode()]).with_fault(faults.split_utf8()).chunks()
        [b'data: \xc3', b'\xa9\n\n']
    """
    refuse_messages(recording, "they cannot be split")
    boundaries = [(match.start() + match.end()) // 2 for match in _SEVERAL_BYTES.finditer(recording.body)]
    if not boundaries:
        raise MisuseError(
            f"the body of {recording.name!r} has no character of several bytes: nothing can be split"
        )
    return with_boundaries(recording, sorted({*boundaries, *chunk_ends(recording)}))


@fault
def gzipped(recording: Recording) -> Recording:
    """Compress the body with gzip; each chunk can be decompressed when it arrives.

    Faults that are applied later act on the compressed bytes: `gzipped() | cut(at=-10)` cuts
    the compressed body. Apply faults of lines or events before this one: they find none in it.

    Raises:
        MisuseError: On replay, if the body is compressed already or consists of messages.
    """
    refuse_messages(recording, "they cannot be compressed")
    if "content-encoding" in recording.headers:
        raise MisuseError(f"the body of {recording.name!r} is compressed already")
    deflate = zlib.compressobj(wbits=_GZIP_WINDOW_BITS)
    arrivals = [
        Arrival(at, deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH))
        for at, data in recording.arrivals
    ]
    # If the connection breaks, the end of the gzip data never arrives.
    if recording.breaks is None:
        arrivals.append(Arrival(arrivals[-1].at if arrivals else 0.0, deflate.flush()))
    headers = {**recording.headers, "content-encoding": "gzip"}
    headers.pop("content-length", None)
    return recording.replaced(arrivals=tuple(arrivals), headers=headers)


def _make_close_frame(code: int | None, reason: str) -> tuple[int, str] | None:
    if code is None:
        if reason:
            raise MisuseError("a reason is sent with a code: pass code=, too")
        return None
    if code == _NO_FRAME:
        raise MisuseError("code 1006 means that no closing frame came: leave code= out")
    if type(cast("object", code)) is not int or not (code in _STANDARD_CODES or 3000 <= code < 5000):
        raise MisuseError(
            f"code={code!r} cannot be sent: a closing frame has 1000 to 1003, 1007 to 1014 or 3000 to 4999"
        )
    if len(reason.encode()) > _MAX_REASON:
        raise MisuseError(f"the reason has more than {_MAX_REASON} bytes, which a closing frame cannot hold")
    return code, reason


@fault
def half_frame(recording: Recording, *, event: int | None = None) -> Recording:
    """Break the connection inside a WebSocket message: only the first half of its frame is sent.

    Args:
        event: Number of the message, from 1; -1 is the last. By default, it is the one in the middle.

    Raises:
        MisuseError: On replay, if the recording lacks that message, or its API has no WebSocket.
    """
    _require_format(recording, _SESSION_FORMATS)
    index, spans = find_event(recording, event)
    return end_at(recording, spans[index].end, breaks="half")


@fault
def late(recording: Recording, messages: int = 2) -> Recording:
    """Send some more messages of the answer after the client has cancelled it, and only then its end.

    The fault shows in sessions of `testing.serve`, if the answer has a silence in which the client
    can cancel it.

    Args:
        messages: Number of late messages.

    Raises:
        MisuseError: On replay, if the number is not a whole number from 0.

    Example:
        >>> from tokenstream.testing import faults
        >>> faults.stall(60, event=3) | faults.late(2)
        stall(seconds=60, event=3) | late(messages=2)
    """
    # Not isinstance: True is an int, too.
    if type(cast("object", messages)) is not int or messages < 0:
        raise MisuseError(f"messages={messages!r} is invalid: pass a whole number from 0")
    return recording.replaced(late=messages)


@fault
def go_away(recording: Recording, seconds: float = 10.0, *, event: int = 1) -> Recording:
    """Announce that the connection will end soon, as Gemini Live does with `goAway`; the answer goes on.

    Args:
        seconds: The time that is announced. To end the connection, too, add `close`.
        event: Number of the message after which the announcement comes; 0 for the beginning.

    Raises:
        MisuseError: On replay, if the recording lacks that message, or is not of gemini-live.
    """
    _require_format(recording, ("gemini-live",))
    offset = find_offset(recording, None, event)
    message = to_json_bytes({"goAway": {"timeLeft": f"{seconds:g}s"}}) + b"\n"
    return splice(recording, [Edit(offset, offset, message)])


@fault
def connection_limit(recording: Recording, *, event: int = 0) -> Recording:
    """Refuse to go on, since the connection has reached the age of 60 minutes.

    OpenAI's Responses API sends the error `websocket_connection_limit_reached`, and then creates
    no more responses on this connection. Its Realtime API sends the error `session_expired`, and
    closes the connection with code 1001.

    Args:
        event: Number of the message after which the error comes; 0 puts it in place of the answer.

    Raises:
        MisuseError: On replay, if the recording lacks that message, or is of neither openai-responses nor
            openai-realtime.
    """
    _require_format(recording, tuple(CONNECTION_LIMITS))
    code, message = CONNECTION_LIMITS[str(recording.format)]
    before, _ = divide(recording, find_offset(recording, None, event))
    error = {"type": "invalid_request_error", "code": code, "message": message}
    data = to_json_bytes({"type": "error", "status": 400, "error": error})
    at = before[-1].at if before else 0.0
    framed = data + b"\n" if recording.messages else b"event: error\ndata: %b\n\n" % data
    changed = replace_arrivals(recording, [*before, Arrival(at, framed)], breaks=None)
    if recording.format == "openai-realtime":
        return changed.replaced(breaks="close", close_frame=(_GOING_AWAY, message))
    return changed


def _require_format(recording: Recording, formats: tuple[str, ...]) -> None:
    if recording.format not in formats:
        raise MisuseError(
            f"{recording.name!r} is in the format {recording.format}: this fault exists only in "
            f"{', '.join(formats)}"
        )
