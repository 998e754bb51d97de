"""Detect the format of a stream by its first frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.json import decode
from tokenstream._basics.untrusted import is_dict, is_list
from tokenstream.errors import ProtocolError
from tokenstream.formats import _registry as registry
from tokenstream.formats._detect.payloads import payload_of
from tokenstream.formats._kit.errors import exception_error, provider_error, text_error
from tokenstream.formats._kit.event_names import PING_NAMES, name_of
from tokenstream.framing import ServerSentEvent
from tokenstream.framing._aws_eventstream import EventStreamMessage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream.errors import StreamError
    from tokenstream.formats._base import Format, Frame
    from tokenstream.limits import Limits

PING = "a ping"
"""Result of `recognise` for a ping, which any format may have."""
WAIT = "another frame may tell"
"""Result of `recognise` for a frame that fits several formats, so that a later frame must decide."""


def recognise(frame: Frame, limits: Limits, *, document: bool) -> str | StreamError | None:
    """Find the format of a frame.

    Args:
        document: True if the frame is from a JSON body and so cannot be bare text.

    Returns:
        The name of the format; `PING` for a ping, which any format may have; `WAIT` if several formats
        fit, and a later frame must decide; the error that the frame reports; or None if no format fits.

    Raises:
        ProtocolError: The frame begins like a JSON object but is not JSON.
    """
    event = ""
    if isinstance(frame, EventStreamMessage) and frame.kind != "event":
        return exception_error(frame.event, frame.payload, frame.headers)
    if isinstance(frame, ServerSentEvent | EventStreamMessage):
        event, frame = name_of(frame), frame.payload
    payload: object = frame
    if isinstance(frame, bytes):
        by_start = _classify_start(frame.strip(), event)
        if by_start != "json":
            return None if document and by_start == "text" else by_start
        payload = _decode_loosely(frame.strip(), limits)
    if not is_dict(payload):
        # A JSON document other than an object is not a token of bare text.
        return None if document else "text"
    if payload.get("type") == "ping":
        return PING
    name, wait = registry.detect(payload, event)
    # A format reads its errors itself, so they are looked for only in a payload of no known format.
    if name is None:
        return provider_error(payload, event) or (WAIT if wait else None)
    return name


def find_likeliest(frames: Iterable[Frame], limits: Limits) -> str | None:
    """Return the one format that fits all frames of a body; None if no format fits, or several do.

    It is called for a body that has ended before any frame decided the format. A body that
    consists of `[DONE]` alone is an empty chat completion.

    Args:
        frames: The frames, none of which decided the format.
    """
    candidates: set[str] | None = None
    for frame in frames:
        event = name_of(frame) if isinstance(frame, ServerSentEvent | EventStreamMessage) else ""
        payload: object = payload_of(frame)
        if isinstance(payload, bytes):
            if payload.strip() == b"[DONE]" and not event:
                # Servers of several formats send it, so after other frames it decides nothing.
                candidates = {"openai-chat"} if candidates is None else candidates
                continue
            payload = _decode_loosely(payload, limits) if payload.lstrip()[:1] == b"{" else None
        fitting = registry.possible_formats(payload, event) if is_dict(payload) else set[str]()
        candidates = fitting if candidates is None else candidates & fitting
    return candidates.pop() if candidates is not None and len(candidates) == 1 else None


def _classify_start(payload: bytes, event: str) -> str | StreamError | None:
    """Classify a payload by its first bytes.

    Returns:
        "json" if the payload must be decoded to find its format. Otherwise the result that `recognise`
        returns for the payload: `PING`, `WAIT`, the format "text", or the error that the payload reports.
    """
    if not payload or event in PING_NAMES:
        return PING
    # The data of a named event may be anything.
    if payload == b"[DONE]" or (event not in ("", "error") and payload[:1] != b"{"):
        return WAIT
    if event == "error" and payload[:1] != b"{":
        return text_error(payload)
    return "json" if payload[:1] in (b"{", b"[") else "text"


def _decode_loosely(payload: bytes, limits: Limits) -> object:
    """Decode a payload that begins with a brace or a bracket.

    Returns:
        The value. Of an array whose first item is an object, only this object. None if the payload
        begins with a bracket but is not JSON: it is text then.

    Raises:
        ProtocolError: The payload begins with a brace but is not JSON.
    """
    try:
        data: object = decode(payload, limits)
    except ProtocolError:
        # A token that begins with a bracket is text; a malformed object is an error.
        if payload[:1] == b"[":
            return None
        raise
    # Some servers send an error as an array of one object.
    return data[0] if is_list(data) and data and is_dict(data[0]) else data


def is_websocket_message(chunk: bytes, format: Format, limits: Limits) -> bool:
    """Return whether a first chunk is a WebSocket message: one whole payload of a format used on WebSockets.

    Args:
        format: The connection's format; as long as it is not detected, its `framing` is empty.
    """
    if format.framing not in ("", "messages"):
        return False
    if chunk[:1] != b"{" or chunk[-1:] != b"}":
        return False
    try:
        payload: object = decode(chunk, limits)
    except ProtocolError:
        return False
    if format.framing:
        # The caller has named the format, so it need not be detected.
        return True
    name = registry.detect(payload, event="")[0] if is_dict(payload) else None
    return name is not None and registry.load(name).framing == "messages"
