"""The error for an answer in another format than the one that was named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.error_marks import add_code_hint
from tokenstream.errors import NotAStream, ProtocolError, StreamError
from tokenstream.formats._detect.payloads import name_of
from tokenstream.formats._detect.recognise import BARE, END, PING, UNCLAIMED, WAIT, find_likeliest, recognise
from tokenstream.formats._detect.unknown import describe_unknown_format, object_of
from tokenstream.framing import ServerSentEvent
from tokenstream.framing._aws_eventstream import EventStreamMessage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tokenstream.formats._base import Format, Frame
    from tokenstream.limits import Limits

_WITHOUT_PAYLOAD = (PING, BARE, END)
"""Results of `recognise` for frames of any format."""
_UNDECIDED = (WAIT, UNCLAIMED)
"""Results of `recognise` for frames that prove no format."""
_ANY_TEXT = ("text",)
"""Formats that nearly any data look like, so that it is never certain that the data are of them."""


def find_mismatch(
    format: Format, frames: Sequence[Frame], later: int, *, certain: bool = False
) -> ProtocolError | NotAStream | None:
    """Return the error for an answer whose first frames are in another format than the caller named.

    The result is None if a frame is in the named format, or may be and was not unknown to it. Frames without
    a payload, such as pings and `[DONE]`, are of any format.

    Args:
        format: The format that was named; it has read no content.
        frames: The first frames of the connection.
        later: Number of frames after these.
        certain: True if the other format has to be known for certain.

    Example:
        >>> from tokenstream.formats._wire.anthropic import Anthropic
        >>> chat = b'{"choices": [{"index": 0, "delta": {"content": "Hi"}}]}'
        >>> str(find_mismatch(Anthropic(), [chat, b"[DONE]"], 0)).partition(":")[0]
        'the only event is not anthropic; it looks like openai-chat'
        >>> find_mismatch(Anthropic(), [b'{"type": "ping"}', b"[DONE]"], 0) is None
        True
    """
    is_own = False
    """True if at least one payload is certainly of the named format."""
    may_be_own = False
    """True if at least one payload may be of the named format, but not for certain."""
    certain_names: set[str] = set()
    """The formats that single payloads have for certain."""
    payloads: list[Frame] = []
    for frame in frames:
        result = _recognise(frame, format.limits)
        if isinstance(result, NotAStream):
            return result
        if result in _WITHOUT_PAYLOAD or isinstance(result, StreamError):
            continue
        payloads.append(frame)
        result_of_own = _is_of(format, frame)
        is_own = is_own or result_of_own is True
        may_be_own = may_be_own or (result_of_own is None and not _is_unknown(format, frame))
        if isinstance(result, str) and result not in _UNDECIDED:
            certain_names.add(result)
    if not payloads or is_own or format.name in certain_names:
        return None
    # If the payloads are of several formats, it is not known which one was meant.
    likely = None
    if len(certain_names) < 2:
        likely = certain_names.pop() if certain_names else _find_likeliest(payloads, format.limits)
    is_guess = likely in (None, format.name, *_ANY_TEXT)
    if is_guess and (certain or may_be_own):
        # No other format is certain, and the payloads may be of this one, whose content was still to come.
        return None
    if format.first_frames.is_detected:
        return describe_unknown_format(payloads, format.limits)
    return _mismatch_error(format.name, len(payloads) + later, likely)


def find_nothing_read(
    format: Format, frames: Sequence[Frame], later: int
) -> ProtocolError | NotAStream | None:
    """Return the error for an answer that seems whole, but of which the format has read nothing.

    The result is None if a frame proves the format: it is an answer without content.

    Args:
        format: The format that has read the frames.
        frames: The first frames of the connection.
        later: Number of frames after these.
    """
    if any(_is_of(format, frame) for frame in frames):
        return None
    if format.first_frames.is_detected:
        return describe_unknown_format(frames, format.limits)
    count = sum(_recognise(frame, format.limits) not in _WITHOUT_PAYLOAD for frame in frames) + later
    return ProtocolError(f"{format.name} reads nothing of the answer; all its payloads ({count}) are unknown")


def find_proof(payload: bytes, limits: Limits) -> str | None:
    """Return the format that a payload proves; None if it proves none, or is not JSON."""
    result = _recognise(payload, limits)
    return (
        result
        if isinstance(result, str) and result not in (*_WITHOUT_PAYLOAD, *_UNDECIDED, *_ANY_TEXT)
        else None
    )


def _recognise(frame: Frame, limits: Limits) -> str | StreamError | None:
    """Return the name of the format that a frame is certainly in, or another result of `recognise`.

    That may be `PING`, `WAIT`, or an error that the frame reports. It is None if no format fits, or if the
    frame is not valid JSON.
    """
    try:
        return recognise(frame, limits, document=False)
    except ProtocolError:
        return None


def _find_likeliest(frames: Sequence[Frame], limits: Limits) -> str | None:
    """Return the one format that fits all frames; None if there is none, or if a frame is not valid JSON."""
    try:
        return find_likeliest(frames, limits)[0]
    except ProtocolError:
        return None


def has_payload(frames: Iterable[Frame], limits: Limits) -> bool:
    """Return True if at least one frame has a payload; pings and `[DONE]` have none."""
    return any(_recognise(frame, limits) not in _WITHOUT_PAYLOAD for frame in frames)


def _is_of(format: Format, frame: Frame) -> bool | None:
    """Return whether a frame's payload is of a format; None if that is uncertain."""
    event = name_of(frame) if isinstance(frame, ServerSentEvent | EventStreamMessage) else ""
    payload = object_of(frame, format.limits)
    return type(format).recognises(payload, event) if payload else False


def _is_unknown(format: Format, frame: Frame) -> bool:
    """Return whether a frame that may be of a format was unknown to it, and has no position in an answer."""
    return format.first_frames.are_unknown and format.position_of(object_of(frame, format.limits)) is None


def _mismatch_error(name: str, count: int, likely: str | None) -> ProtocolError:
    """Return the error for `count` payloads of another format than the one that was named.

    Args:
        name: The format that was named.
        likely: The format that they look like; None if that is unknown.
    """
    other = likely or "an unknown one"
    if name == "custom":
        error = ProtocolError(f"none of the events ({count}) fits a path of custom(); they look like {other}")
        return add_code_hint(
            error, ": compare the paths with the payloads, which Unknown events have in .raw"
        )
    if count == 1:
        error = ProtocolError(f"the only event is not {name}; it looks like {other}")
    else:
        error = ProtocolError(f"none of the {count} events is {name}; they look like {other}")
    advice = f"pass format={likely!r}, or leave" if likely else "leave"
    return add_code_hint(error, f": {advice} format= out to have it detected")
