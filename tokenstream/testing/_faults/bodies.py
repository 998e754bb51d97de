"""Faults in the body of an answer: bytes that are garbled or replaced, events lost, repeated or reordered."""

from __future__ import annotations

import math
import random
import re
from contextlib import suppress

from tokenstream._basics.json import to_json_bytes
from tokenstream.errors import ErrorKind, MisuseError, StreamError
from tokenstream.framing._lines import BOM
from tokenstream.relay._encoders import create
from tokenstream.testing._faults.base import fault
from tokenstream.testing._recordings.frames import FramingName, detect_framing, frames_of, framing_of
from tokenstream.testing._recordings.places import (
    Edit,
    end_at,
    find_event,
    find_events,
    find_offset,
    replace_arrivals,
    splice,
)
from tokenstream.testing._recordings.recording import Arrival, Recording
from tokenstream.testing._script_steps import check_word
from tokenstream.testing._serve.replies import refusal

_LONE_LF = re.compile(rb"(?<!\r)\n")

_PAGE = b"<!DOCTYPE html>\n<html><head><title>%b</title></head><body><h1>%b</h1></body></html>\n"
_TITLES = {200: b"Sign in", 502: b"502 Bad Gateway", 503: b"503 Service Unavailable"}
_HTML_HEADERS = {"content-type": "text/html; charset=utf-8"}
_DELIMITERS: dict[FramingName | None, tuple[bytes, ...]] = {
    "sse": (b"\n\n", b"\r\n\r\n", b"\r\r"),
    "ndjson": (b"\n",),
}
"""Byte sequences that may end an event, for each framing."""
_WRAPPERS: dict[FramingName | None, tuple[bytes, bytes]] = {
    "sse": (b"data: ", b"\n\n"),
    "ndjson": (b"", b"\n"),
    "json": (b",\n", b"]"),
}
"""Bytes to put before and after the JSON of an event that is added as the last one, for each framing."""


@fault
def garble(
    recording: Recording,
    *,
    at: float | None = None,
    event: int | None = None,
    size: int = 4,
    seed: int = 0,
    data: bytes | None = None,
) -> Recording:
    r"""Overwrite some bytes.

    Args:
        at: Offset of the first byte, as for `cut`.
        event: Number of an event; if passed instead of `at`, the overwritten bytes follow that event.
        size: Number of bytes to change; fewer are changed if the body ends before that.
        seed: Seed of the random replacements; the same seed gives the same bytes.
        data: Bytes to write, such as `b"\xff"`, which is invalid UTF-8; `size` and `seed` then do
            nothing. None for random bytes.

    Raises:
        MisuseError: On replay, if no bytes follow the offset or the event.
    """
    if size < 1 or data == b"":
        raise MisuseError("garble() overwrites one byte at least: neither size=0 nor data=b'' does")
    offset = find_offset(recording, at, event)
    old = recording.body[offset : offset + (size if data is None else len(data))]
    if not old:
        raise MisuseError(f"nothing is left to garble after byte {offset:,} of {recording.name!r}")
    generator = random.Random(seed)  # noqa: S311 - no secret
    new = bytes(byte ^ generator.randint(1, 255) for byte in old) if data is None else data
    # One edit for each byte, so that no chunk boundary moves.
    edits = [Edit(offset + index, offset + index + 1, new[index : index + 1]) for index in range(len(old))]
    return splice(recording, edits)


@fault
def bad_json(recording: Recording, *, event: int | None = None) -> Recording:
    """Break the JSON of one event.

    Args:
        event: Number of the event, from 1, or from the end with -1 for the last; by default the
            event in the middle.

    Raises:
        MisuseError: On replay, if there is no event with that number, or it is not a JSON object.
    """
    index, spans = find_event(recording, event)
    begin, end = spans[index]
    brace = recording.body.rfind(b"}", begin, end)
    if brace < 0:
        raise MisuseError(
            f"event {index + 1} of {recording.name!r} holds no JSON object that could be broken"
        )
    return splice(recording, [Edit(brace, brace + 1, b"!")])


@fault
def crlf(recording: Recording) -> Recording:
    """End lines with CR LF instead of LF.

    Raises:
        MisuseError: On replay, if the body is not text in lines.
    """
    _require_text(recording)
    return splice(recording, [Edit(*match.span(), b"\r\n") for match in _LONE_LF.finditer(recording.body)])


@fault
def bom(recording: Recording) -> Recording:
    """Begin the body with a byte order mark.

    Raises:
        MisuseError: On replay, if the body is not text.
    """
    _require_text(recording)
    return splice(recording, [Edit(begin=0, end=0, data=BOM)])


def _require_text(recording: Recording) -> None:
    """Raise `MisuseError` if a body is not text in lines."""
    if framing_of(recording) not in {"sse", "ndjson", "json"}:
        raise MisuseError(f"the body of {recording.name!r} is not text in lines")


@fault
def html_instead(recording: Recording, status: int = 502) -> Recording:
    """Replace the answer with a web page: a proxy's error page or a login page.

    Args:
        status: The HTTP status of the page; with 200 it looks like a success.

    Raises:
        MisuseError: On replay, if `status` is not an HTTP status.
    """
    _check_status(status)
    title = _TITLES.get(status, b"%d" % status)
    return _replace_answer(recording, _PAGE % (title, title), status=status, headers=_HTML_HEADERS)


@fault
def status(
    recording: Recording, code: int = 529, *, message: str = "Refused", retry_after: float | None = None
) -> Recording:
    """Replace the answer with a refusal: a status and the JSON body of an error.

    Args:
        code: The HTTP status; with 200 the error looks like a success.
        message: The provider's error message.
        retry_after: Value of the `retry-after` header, in seconds; None for no such header.

    Raises:
        MisuseError: On replay, if `code` is not an HTTP status.

    Example:
        >>> from tokenstream import testing
        >>> from tokenstream.errors import StatusError
        >>> hello = testing.script().text("Hello").finish()
        >>> try:
        ...     hello.stream(fault=testing.faults.status(429, message="Slow down")).final()
        ... except StatusError as error:
        ...     print(error.status, error.kind, error.retry_after)
        429 rate_limited None
    """
    _check_status(code)
    reply = refusal(code, message)
    headers = {"content-type": reply.content_type}
    if retry_after is not None:
        headers["retry-after"] = f"{retry_after:g}"
    # The JSON of a refusal is one chunk.
    return _replace_answer(recording, reply.chunks[0][1], status=code, headers=headers)


@fault
def empty(recording: Recording) -> Recording:
    """Replace the body with an empty one."""
    return recording.replaced(arrivals=(), breaks=None)


@fault
def wrong_content_type(
    recording: Recording, content_type: str | None = "application/octet-stream"
) -> Recording:
    """Give the body another content type.

    Args:
        content_type: The content type to send; None to send none.
    """
    headers = {name: text for name, text in recording.headers.items() if name != "content-type"}
    if content_type is not None:
        headers["content-type"] = content_type
    return recording.replaced(headers=headers)


def _check_status(status: object) -> None:
    """Raise `MisuseError` for a value that cannot be the status of an answer."""
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise MisuseError(f"{status!r} is not the status of an answer: pass one from 200 to 599")


def _replace_answer(recording: Recording, body: bytes, *, status: int, headers: dict[str, str]) -> Recording:
    """Return a recording with another answer, whose whole body arrives at the time of the old first chunk."""
    at = recording.arrivals[0].at if recording.arrivals else 0.0
    return recording.replaced(
        arrivals=(Arrival(at, body),), status=status, headers=headers, messages=False, breaks=None
    )


@fault
def duplicate(recording: Recording, *, event: int | None = None) -> Recording:
    """Send an event twice.

    Args:
        event: Number of the event, as for `bad_json`.

    Raises:
        MisuseError: On replay, if there is no event with that number.
    """
    index, spans = find_event(recording, event)
    begin, end = spans[index]
    copy = recording.body[begin:end]
    framing = framing_of(recording)
    if framing == "json":
        copy = b"," + copy
    if not _has_delimiter(copy, framing):
        # The original is the last event, and its delimiter is missing, too.
        copy = _delimiter_of(framing) + copy
    return splice(recording, [Edit(end, end, copy)])


@fault
def reorder(
    recording: Recording, *, events: tuple[int, int] | None = None, seed: int | None = None
) -> Recording:
    """Send events in another order.

    Args:
        events: Numbers of two events to swap, as for `bad_json`; by default two in the middle.
        seed: If passed instead of `events`, all events are shuffled; the same seed gives the same order.
            None to swap two events.

    Raises:
        MisuseError: On replay, if there are no events with those numbers, or fewer than two events; or if
            both arguments are passed.
    """
    spans = find_events(recording)
    if len(spans) < 2:
        raise MisuseError(f"{recording.name!r} has fewer than two events: there is no other order")
    if seed is None:
        order = _swap(recording, len(spans), events)
    elif events is None:
        order = list(range(len(spans)))
        random.Random(seed).shuffle(order)  # noqa: S311 - no secret
        # The original order would not be a fault.
        order = order if order != sorted(order) else order[::-1]
    else:
        raise MisuseError("pass `events` or `seed`, not both")
    framing = framing_of(recording)
    edits: list[Edit] = []
    for (begin, end), index in zip(spans, order, strict=True):
        data = recording.body[slice(*spans[index])]
        if data != recording.body[begin:end]:
            if not _has_delimiter(data, framing):
                # The event was the last one.
                data += _delimiter_of(framing)
            edits.append(Edit(begin, end, data))
    return splice(recording, edits)


@fault
def error_event(
    recording: Recording,
    kind: ErrorKind = "overloaded",
    *,
    message: str | None = None,
    code: str | None = None,
    at: float | None = None,
    event: int | None = None,
) -> Recording:
    """Send a provider's error event in the middle of the answer, and end the answer after it.

    Args:
        kind: Kind of the error, as far as the format can express it.
        message: The provider's error message; by default a usual message for `kind`.
        code: The provider's error code; by default the code that the provider uses for `kind`.
        at: Offset in the body, as for `cut`; the error follows the event that contains it.
        event: Number of an event; if passed instead of `at`, the error follows that event.

    Raises:
        NotExpressible: On replay, if the format has no error events.
        MisuseError: On replay, if the body has no such offset or event, or its format is unknown.
    """
    check_word("kind of error", kind)
    offset = find_offset(recording, at, event)
    ends = [0, *(span.end for span in find_events(recording))]
    boundary = next((end for end in ends if end >= offset), ends[-1])
    data = _write_error_event(recording, kind, message, code, first=not boundary)
    # The chunks before the error; the connection does not break after it.
    cut_short = end_at(recording, boundary, breaks=None)
    return splice(cut_short, [Edit(boundary, boundary, data)])


@fault
def no_done(recording: Recording) -> Recording:
    """Leave out the last event, such as `[DONE]`; the body still ends properly.

    Raises:
        MisuseError: On replay, if there is no event.
    """
    index, spans = find_event(recording, -1)
    begin, end = spans[-1]
    # In a JSON array, the comma before the last element is removed too.
    begin = spans[index - 1].end if index and framing_of(recording) == "json" else begin
    return splice(recording, [Edit(begin, end, b"")], breaks=None)


@fault
def heartbeat(
    recording: Recording, seconds: float | None = None, *, comment: str = "keep-alive"
) -> Recording:
    """Send comments between the events, as servers do to keep a connection alive.

    Args:
        seconds: During a silence, send a comment each time this many seconds have passed. By default,
            send one comment after each event, without regard to time.
        comment: Text of the comment, on one line.

    Raises:
        MisuseError: On replay, if the body is not SSE, since only SSE has comments; if an argument is
            invalid; or with `seconds`, if the recording stalls for ever.

    Example:
        >>> from tokenstream import testing
        >>> from tokenstream.errors import StreamStalled
        >>> alive = testing.faults.stall(1000, event=1) | testing.faults.heartbeat(15)
        >>> try:
        ...     testing.script().text("Hello").finish().stream(fault=alive).final()
        ... except StreamStalled as error:
        ...     print(error.limit)
        idle_content
    """
    if framing_of(recording) != "sse":
        raise MisuseError(f"{recording.name!r} is not an SSE stream: nothing else has comments")
    if "\n" in comment or "\r" in comment:
        raise MisuseError("comment= is a text of one line: another line of it would be data")
    if seconds is not None and not seconds > 0:
        raise MisuseError(f"seconds={seconds!r} is invalid: a heartbeat comes after more than 0 seconds")
    comment_event = b": %b\n\n" % comment.encode()
    boundaries = _list_comment_places(recording)
    if seconds is None:
        edits = [Edit(boundary, boundary, comment_event) for boundary in boundaries if boundary]
        return splice(recording, edits)
    if recording.breaks == "stall":
        raise MisuseError(
            f"{recording.name!r} stalls for ever, and there would be no end of heartbeats: give the stall "
            "some seconds"
        )
    return replace_arrivals(recording, _add_timed_comments(recording, comment_event, boundaries, seconds))


def _add_timed_comments(
    recording: Recording, comment_event: bytes, boundaries: list[int], seconds: float
) -> list[Arrival]:
    """Return the recording's chunks, with a comment after every `seconds` of a silence between two events."""
    arrivals: list[Arrival] = []
    between_events = set(boundaries)
    offset, last_time = 0, 0.0
    for at, data in recording.arrivals:
        # A silence inside an event stays a silence.
        if offset in between_events:
            # One comment for each interval that ends within the silence, and none together with the event.
            beats = math.ceil((at - last_time) / seconds) - 1
            arrivals += [
                Arrival(last_time + number * seconds, comment_event) for number in range(1, beats + 1)
            ]
        arrivals.append(Arrival(at, data))
        offset, last_time = offset + len(data), at
    return arrivals


def _list_comment_places(recording: Recording) -> list[int]:
    """Return the offsets at which a comment may be inserted: 0, and the end of each complete event."""
    boundaries = [0]
    for frame in frames_of(recording):
        boundaries.append(boundaries[-1] + len(frame))
    last_frame = recording.body[boundaries[-2] :] if len(boundaries) > 1 else b""
    # After an event without its blank line, a comment would become a part of that event.
    return boundaries if _has_delimiter(last_frame, "sse") else boundaries[:-1]


def _has_delimiter(event: bytes, framing: FramingName | None) -> bool:
    """Return True if another event may follow, since this one ends with its delimiter or needs none."""
    delimiters = _DELIMITERS.get(framing)
    return delimiters is None or event.endswith(delimiters)


def _delimiter_of(framing: FramingName | None) -> bytes:
    """Return the most common delimiter that ends an event; empty for a framing without delimiters."""
    return _DELIMITERS[framing][0] if framing in _DELIMITERS else b""


def _write_error_event(
    recording: Recording, kind: ErrorKind, message: str | None, code: str | None, *, first: bool
) -> bytes:
    format = _detect_format(recording)
    framing = framing_of(recording)
    error_bytes = b"".join(create(format).failure(kind, message, code=code))
    # The encoder's bytes fit, unless the recording has another framing, or is an array that needs a comma.
    fits = detect_framing(error_bytes) == framing and framing != "json"
    if recording.messages or fits:
        return error_bytes
    if framing not in _WRAPPERS:
        raise MisuseError(f"{recording.name!r} has no events, and an error has no place among them")
    before, after = _WRAPPERS[framing]
    events = b"".join(
        before + to_json_bytes(payload) + after
        for _, payload in create(format).encode_failure(kind, message, code)
    )
    # The bracket that opens the array comes with its first element.
    return b"[" + events.removeprefix(before) if framing == "json" and first else events


def _detect_format(recording: Recording) -> str:
    """Return the format of a recording; if the recording does not name one, play it to find out."""
    if recording.format is not None:
        return recording.format
    # A recording that ends with a stall would never end.
    with recording.replaced(breaks=None).stream() as stream, suppress(StreamError):
        stream.final()
    if stream.format is None:
        raise MisuseError(
            f"the format of {recording.name!r} cannot be detected from its bytes: name it, as in "
            'recording.replaced(format="anthropic")'
        )
    return stream.format


def _swap(recording: Recording, size: int, events: tuple[int, int] | None) -> list[int]:
    """Return the order of a recording's events in which two of them are swapped."""
    middle = size // 2
    indexes = [find_event(recording, number)[0] for number in (events or (middle, middle + 1))]
    are_two_events = len(indexes) == 2 and indexes[0] != indexes[1]
    if not are_two_events:
        raise MisuseError(f"events={events!r} is invalid: name two different events to swap")
    first, second = indexes
    order = list(range(size))
    order[first], order[second] = order[second], order[first]
    return order
