"""Recognition of the format of frames: the format that they prove, or the error if another one was named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._basics.json import decode
from tokenstream._basics.untrusted import is_dict, is_list, text_of
from tokenstream.errors import NotAStream, ProtocolError, StreamError
from tokenstream.formats import _registry as registry
from tokenstream.formats._detect.payloads import (
    PING_NAMES,
    event_in,
    find_wrapping,
    is_empty_value,
    is_nothing,
    name_of,
    object_of,
    payload_of,
)
from tokenstream.formats._kit.errors import (
    PIECE,
    exception_error,
    first_object,
    is_aside,
    provider_error,
    text_error,
)
from tokenstream.framing._frames import INITIAL_RESPONSE, EventStreamMessage, ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._base import Format, Frame
    from tokenstream.limits import Limits

PING = "a ping"
"""Result of `recognise` for a ping, which any format may have."""
WAIT = "another frame may tell"
"""Result of `recognise` for a frame that several formats may have, so that a later frame must decide."""
UNCLAIMED = "an object of no format"
"""Result of `recognise` for an object that no format claims, so that a later frame must decide."""
END = "the sentinel"
"""Result of `recognise` for `[DONE]`, which ends answers of several formats."""
BARE = "bare data that say nothing"
"""Result of `recognise` for data that are text only if no other frame proves another format."""

Mismatch: TypeAlias = ProtocolError | NotAStream
"""The error for frames of another format than the one that was named."""
Recognition: TypeAlias = str | StreamError | None
"""The result of `recognise`."""


def recognise(
    frame: Frame, limits: Limits, *, document: bool, decoded: dict[bytes, Any] | None = None
) -> Recognition:
    """Return the name of the format that a frame proves or, if it proves none, what else the frame is.

    - `PING` for a ping, and `END` for the sentinel, which several formats have;
    - `BARE` for bare data that say nothing;
    - `UNCLAIMED` for an object that no format claims, and `WAIT` for anything else;
    - the error that the frame reports, or that names what the frame is if it is known not to be read;
    - None for text in a JSON body (`document`).

    A broken object is a `ProtocolError`. `decoded` gets the object by its payload, unless it may hold half a
    surrogate pair.
    """
    event = ""
    if isinstance(frame, EventStreamMessage) and (frame.kind != "event" or frame.event == PIECE):
        return exception_error(frame.event, frame.payload, frame.headers)
    if isinstance(frame, ServerSentEvent | EventStreamMessage):
        event, frame = name_of(frame), frame.payload
    payload: object = frame
    if isinstance(frame, bytes):
        by_start = _classify_start(frame.strip(), event)
        if by_start not in ("json", "bare"):
            return by_start
        payload = _decode_loosely(frame.strip(), limits) if by_start == "json" else None
        if decoded is not None and frame[:1] == b"{" and frame.isascii() and b"\\u" not in frame:
            decoded[frame] = payload
    if not is_dict(payload):
        # A JSON document other than an object is not a token of bare text.
        return None if document else _classify_bare(frame, payload)
    if text_of(payload, "type") in PING_NAMES:
        return PING
    name, may_be_known = registry.detect(payload, event)
    return name if name is not None else _classify_unproven(payload, event, may_be_known=may_be_known)


def _classify_unproven(payload: JsonObject, event: str, *, may_be_known: bool) -> str | StreamError:
    """Classify an object that proves no format: it may report an error, as a format would read itself."""
    error = provider_error(payload, event)
    if error is None and event in PING_NAMES:
        return PING
    if error is None and not may_be_known:
        from tokenstream.formats._detect.unknown import find_refused

        return find_refused(payload, event) or UNCLAIMED
    return WAIT if error is None or is_aside(payload, event) else error


def _classify_bare(frame: Frame, value: object) -> Recognition:
    """Classify data that are no object (None: no JSON): as text, as `BARE`, or as an error."""
    payload = frame.strip() if isinstance(frame, bytes) else b""
    wrapping = find_wrapping(payload)
    if wrapping is not None:
        return wrapping
    has_text = is_list(value) and any(isinstance(item, str) for item in value)
    says_nothing = is_nothing(payload) or (is_list(value) and is_empty_value(value) and not has_text)
    return BARE if says_nothing else "text"


def find_likeliest(frames: Iterable[Frame], limits: Limits) -> tuple[str | None, bool]:
    """Return the one format that fits all frames of a body, and whether that is as good as proven.

    The format is None if no format fits, or several do. It is as good as proven if frames of several kinds
    fit it. The function is called for a body that has ended before any frame proved a format. A body that
    consists of `[DONE]` alone may be a chat completion.
    """
    candidates: set[str] | None = None
    kinds: set[object] = set()
    for frame in frames:
        event = event_in(frame)
        payload: object = payload_of(frame)
        if isinstance(payload, bytes):
            if payload.strip() == b"[DONE]" and not event:
                # Servers of several formats send it, so after other frames it decides nothing.
                candidates = {"openai-chat"} if candidates is None else candidates
                continue
            if not event and is_nothing(payload.strip()):
                continue
            payload = _decode_loosely(payload, limits) if payload.lstrip()[:1] == b"{" else None
        fitting = registry.possible_formats(payload, event) if is_dict(payload) else set[str]()
        candidates = fitting if candidates is None else candidates & fitting
        kinds.add((text_of(payload, "type"), *payload) if is_dict(payload) else None)
    only = candidates.pop() if candidates is not None and len(candidates) == 1 else None
    return only, len(kinds) > 1


def _classify_start(payload: bytes, event: str) -> Recognition:
    """Classify a payload by its first bytes: "json" to decode it, "bare", or a result of `recognise`."""
    start = payload[:1]
    if not payload or event == INITIAL_RESPONSE or (event in PING_NAMES and start != b"{"):
        return PING
    if payload == b"[DONE]" and not event:
        return END
    if event and start != b"{":
        # The data of a named event may be anything.
        return text_error(payload) if event == "error" else WAIT
    return "json" if start in (b"{", b"[") else "bare"


def _decode_loosely(payload: bytes, limits: Limits) -> object:
    """Return a decoded object, or the first one of an array; None for a bracket that begins plain text."""
    try:
        data: object = decode(payload, limits)
    except ProtocolError:
        # A token that begins with a bracket is text; a malformed object is an error.
        if payload[:1] == b"[":
            return None
        raise
    first = first_object(data) if payload[:1] == b"[" else None
    return data if first is None else first


def whole_object(chunk: bytes, limits: Limits) -> JsonObject | None:
    """Return the JSON object that a chunk is from its first byte to its last; None if it is anything else."""
    if chunk[:1] != b"{" or chunk[-1:] != b"}":
        return None
    try:
        payload: object = decode(chunk, limits)
    except ProtocolError:
        return None
    return payload if is_dict(payload) else None


def is_websocket_message(payload: JsonObject, format: Format) -> bool:
    """Return whether an object, which is the whole first chunk, is of a format used on WebSockets."""
    if format.framing:
        # The caller has named the format, so it need not be detected.
        return format.framing == "messages"
    name = registry.detect(payload, event="")[0]
    return name is not None and registry.load(name).framing == "messages"


_WITHOUT_PAYLOAD = (PING, BARE, END)
"""Results of `recognise` for frames of any format."""
_UNDECIDED = (WAIT, UNCLAIMED)
"""Results of `recognise` for frames that prove no format."""
_ANY_TEXT = ("text",)
"""Formats that nearly any data look like, so that it is never certain that the data are of them."""


def find_mismatch(
    format: Format, frames: Sequence[Frame], later: int, *, certain: bool = False
) -> Mismatch | None:
    """Return the error for an answer whose first frames are in another format than the caller named.

    The result is None if a frame is in the named format, or may be and was not unknown to it. Frames without
    a payload, such as pings and `[DONE]`, are of any format.
    """
    is_own = False
    """True if at least one payload is certainly of the named format."""
    may_be_own = False
    """True if at least one payload may be of the named format, but not for certain."""
    certain_names: set[str] = set()
    """The formats that single payloads have for certain."""
    payloads: list[Frame] = []
    for frame in frames:
        result = _try_to_recognise(frame, format.limits)
        if isinstance(result, NotAStream):
            return result
        if result in _WITHOUT_PAYLOAD or isinstance(result, StreamError):
            continue
        payloads.append(frame)
        result_of_own = _is_of(format, frame)
        is_own = is_own or result_of_own is True
        if result_of_own is None and not may_be_own:
            # A frame that was unknown to the format may be of it only if it has a position in an answer.
            position = format.position_of(object_of(frame, format.limits))
            may_be_own = not format.first_frames.are_unknown or position is not None
        if isinstance(result, str) and result not in _UNDECIDED:
            certain_names.add(result)
    if not payloads or is_own or format.name in certain_names:
        return None
    # If the payloads are of several formats, it is not known which one was meant.
    likely = None
    if len(certain_names) < 2:
        likely = certain_names.pop() if certain_names else _try_to_find_likeliest(payloads, format.limits)
    is_guess = likely in (None, format.name, *_ANY_TEXT)
    if is_guess and (certain or may_be_own):
        # No other format is certain, and the payloads may be of this one, whose content was still to come.
        return None
    if format.first_frames.is_detected:
        from tokenstream.formats._detect.unknown import describe_unknown_format

        return describe_unknown_format(payloads, format.limits)
    return _mismatch_error(format.name, len(payloads) + later, likely)


def find_nothing_read(format: Format, frames: Sequence[Frame], later: int) -> Mismatch | None:
    """Return the error for an answer that seems whole, but of which the format has read nothing.

    The result is None if a frame proves the format, or if no frame has a payload: the answer has no content.
    """
    if any(_is_of(format, frame) for frame in frames):
        return None
    if format.first_frames.is_detected:
        from tokenstream.formats._detect.unknown import describe_unknown_format

        return describe_unknown_format(frames, format.limits)
    count = sum(_try_to_recognise(frame, format.limits) not in _WITHOUT_PAYLOAD for frame in frames) + later
    if not count:
        return None
    return ProtocolError(f"{format.name} reads nothing of the answer; all its payloads ({count}) are unknown")


def find_proof(payload: bytes, limits: Limits) -> str | None:
    """Return the format that a payload proves; None if it proves none, or is not JSON."""
    result = _try_to_recognise(payload, limits)
    return (
        result
        if isinstance(result, str) and result not in (*_WITHOUT_PAYLOAD, *_UNDECIDED, *_ANY_TEXT)
        else None
    )


def _try_to_recognise(frame: Frame, limits: Limits) -> Recognition:
    """Return the name of the format that a frame is certainly in, or another result of `recognise`.

    That may be `PING`, `WAIT`, or an error that the frame reports. It is None if no format fits, or if the
    frame is not valid JSON.
    """
    try:
        return recognise(frame, limits, document=False)
    except ProtocolError:
        return None


def _try_to_find_likeliest(frames: Sequence[Frame], limits: Limits) -> str | None:
    """Return the one format that fits all frames; None if there is none, or if a frame is not valid JSON."""
    try:
        return find_likeliest(frames, limits)[0]
    except ProtocolError:
        return None


def _is_of(format: Format, frame: Frame) -> bool | None:
    event = event_in(frame)
    payload = object_of(frame, format.limits)
    return type(format).recognises(payload, event) if payload else False


def _mismatch_error(name: str, count: int, likely: str | None) -> ProtocolError:
    from tokenstream._basics.error_marks import add_code_hint

    other = likely or "an unknown one"
    if name == "custom":
        error = ProtocolError(f"none of the events ({count}) fits a path of custom(); they look like {other}")
        return add_code_hint(
            error, ": compare the paths with the payloads, which Unknown events have in .raw"
        )
    if likely == name:
        return ProtocolError(
            f"{name} knows none of the events ({count}), although their types begin like its own: the server "
            "may send a newer version of the API, or another one"
        )
    if count == 1:
        error = ProtocolError(f"the only event is not {name}; it looks like {other}")
    else:
        error = ProtocolError(f"none of the {count} events is {name}; they look like {other}")
    advice = f"pass format={likely!r}, or leave" if likely else "leave"
    return add_code_hint(error, f": {advice} format= out to have it detected")
