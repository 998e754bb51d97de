"""Recognise events of this API, and find the response of an event."""

from __future__ import annotations

from typing import Any

from tokenstream._basics.untrusted import dict_of, text_of

_SESSION_EVENTS = ("session.", "conversation.", "input_audio_buffer.", "output_audio_buffer.", "rate_limits.")


def is_event(payload: dict[str, Any]) -> bool:
    """Return whether a payload is an event of the Realtime API and not of the Responses API.

    Example:
        >>> is_event({"type": "session.created", "session": {}}), is_event({"type": "response.created"})
        (True, False)
    """
    kind = text_of(payload, "type") or ""
    if kind.startswith(("session.", "transcription_session.")):
        return "session" in payload
    marked = "event_id" in payload and "sequence_number" not in payload
    response = dict_of(payload, "response")
    if kind in ("response.created", "response.done"):
        of_another = text_of(response, "object") == "response"
        return text_of(response, "object") == "realtime.response" or (marked and not of_another)
    if kind == "error":
        return marked and "error" in payload
    if kind.startswith("response."):
        return marked and "response_id" in payload
    return marked and kind.startswith(_SESSION_EVENTS)


def place_of(payload: dict[str, Any]) -> tuple[str | None, bool]:
    """Return the id of an event's response, or None for the session, and whether the response ends.

    Example:
        >>> place_of({"type": "response.done", "response": {"id": "resp_1"}})
        ('resp_1', True)
    """
    kind = text_of(payload, "type") or ""
    if not kind.startswith("response."):
        return None, False
    id = text_of(dict_of(payload, "response"), "id") or text_of(payload, "response_id")
    # Without any ids, all events belong to the open response.
    return id or ("" if kind == "response.created" else None), kind == "response.done"
