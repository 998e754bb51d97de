"""Faults of sessions over a WebSocket: half frames, late messages, and notices that the connection ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tokenstream._basics.json import to_json_bytes
from tokenstream.errors import MisuseError
from tokenstream.testing._faults.base import fault
from tokenstream.testing._recordings.places import (
    Edit,
    divide,
    find_event,
    find_offset,
    replace_arrivals,
    splice,
)
from tokenstream.testing._recordings.recording import Arrival

if TYPE_CHECKING:
    from tokenstream.testing._recordings.recording import Recording

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
def half_frame(recording: Recording, *, event: int | None = None) -> Recording:
    """Break the connection inside a WebSocket message, of which only the first half of its frame is sent.

    Args:
        event: Number of the message, from 1; -1 is the last. By default, it is the one in the middle.

    Raises:
        MisuseError: On replay, if the recording lacks that message, or its API has no WebSocket.
    """
    _require_format(recording, _SESSION_FORMATS)
    index, spans = find_event(recording, event)
    before, _ = divide(recording, spans[index].end)
    return replace_arrivals(recording, before, breaks="half")


@fault
def late(recording: Recording, messages: int = 2) -> Recording:
    """Send some more messages of the answer after the client has cancelled it, and only then its end.

    The fault shows in sessions of `testing.serve`, if the answer has a pause in which the client
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
    offset = find_offset(recording, event=event)
    message = to_json_bytes({"goAway": {"timeLeft": f"{seconds:g}s"}}) + b"\n"
    return splice(recording, [Edit(offset, offset, message)])


@fault
def connection_limit(recording: Recording, *, event: int = 0) -> Recording:
    """Refuse to go on, since the connection has reached the age of 60 minutes.

    OpenAI's Responses API sends the error `websocket_connection_limit_reached`, and then creates
    no more responses on this connection. Its Realtime API sends the error `session_expired`, and
    closes the connection with code 1001.

    Args:
        event: Number of the message after which the error comes; by default, 0, it comes in place
            of the answer.

    Raises:
        MisuseError: On replay, if the recording lacks that message, or is of neither openai-responses nor
            openai-realtime.
    """
    _require_format(recording, tuple(CONNECTION_LIMITS))
    code, message = CONNECTION_LIMITS[str(recording.format)]
    before, _ = divide(recording, find_offset(recording, event=event))
    error = {"type": "invalid_request_error", "code": code, "message": message}
    data = to_json_bytes({"type": "error", "status": 400, "error": error})
    at = before[-1].at if before else 0.0
    framed = data + b"\n" if recording.messages else b"event: error\ndata: %b\n\n" % data
    changed = replace_arrivals(recording, [*before, Arrival(at, framed)], breaks=None)
    if recording.format == "openai-realtime":
        return changed.replaced(breaks="close", close_frame=(_GOING_AWAY, message))
    return changed


def _require_format(recording: Recording, formats: tuple[str, ...]) -> None:
    """Raise `MisuseError` if a recording is in none of some formats."""
    if recording.format not in formats:
        raise MisuseError(
            f"{recording.name!r} is in the format {recording.format}: this fault exists only in "
            f"{', '.join(formats)}"
        )
