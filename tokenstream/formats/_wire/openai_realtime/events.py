"""Recognise events of the Realtime API, and find the response that an event belongs to."""

from __future__ import annotations

from typing import Any

from tokenstream._basics.untrusted import dict_of, text_of
from tokenstream.formats._kit.sessions import find_session_kind

REMEMBERED_ITEMS = 1_000
"""Number of items of which it is remembered, at least, that pieces of their transcript were reported."""
_SESSION_EVENTS = ("conversation.", "input_audio_buffer.", "output_audio_buffer.", "rate_limits.")


def is_event(payload: dict[str, Any]) -> bool:
    """Return whether a payload is an event of the Realtime API and not of the Responses API.

    Example:
        >>> is_event({"type": "session.created", "session": {}}), is_event({"type": "response.created"})
        (True, False)
    """
    kind = text_of(payload, "type") or ""
    if kind in ("session.created", "session.updated"):
        # Sessions of other APIs, which have no responses, begin with such an event, too.
        return "session" in payload and find_session_kind(payload) is None
    # Events of the Responses API have a sequence number instead of an id.
    has_id = "event_id" in payload and "sequence_number" not in payload
    if kind in ("response.created", "response.done"):
        object_type = text_of(dict_of(payload, "response"), "object")
        # In the Responses API, the object's type is "response".
        is_of_session = object_type == "realtime.response" and "sequence_number" not in payload
        return is_of_session or (has_id and object_type != "response")
    if kind == "error":
        # An error in a session of OpenAI's hosted agents has the id of that session.
        return has_id and "error" in payload and "session_id" not in payload
    if kind.startswith("response."):
        return has_id and "response_id" in payload
    return has_id and kind.startswith(_SESSION_EVENTS)


def response_of(payload: dict[str, Any]) -> tuple[str | None, bool]:
    """Return the id of the event's response, and whether the event ends that response.

    The id is None for an event about the session itself. It is also None for an event about a response that
    does not name the response; such an event belongs to the response that is open.

    Example:
        >>> response_of({"type": "response.done", "response": {"id": "resp_1"}})
        ('resp_1', True)
    """
    kind = text_of(payload, "type") or ""
    if not kind.startswith("response."):
        return None, False
    id = text_of(dict_of(payload, "response"), "id") or text_of(payload, "response_id")
    # If a server sends no ids, "" begins a response; its other events belong to the open response.
    return id or ("" if kind == "response.created" else None), kind == "response.done"
