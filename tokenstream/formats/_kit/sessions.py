"""The kinds of OpenAI's and Mistral's sessions, which begin with the same event, `session.created`."""

from __future__ import annotations

from typing import Any, Literal

from tokenstream._basics.untrusted import dict_of, text_of


def find_session_kind(payload: dict[str, Any]) -> Literal["transcription", "live"] | None:
    """Return the kind of a session that has no responses; None for any other session or payload.

    A session that translates has the events of OpenAI's Live API, so its kind is "live".

    Example:
        >>> find_session_kind({"type": "session.created", "session": {"type": "transcription"}})
        'transcription'
        >>> find_session_kind({"type": "session.created", "session": {"type": "realtime"}}) is None
        True
    """
    kind, session = text_of(payload, "type") or "", dict_of(payload, "session")
    if kind in ("transcription_session.created", "transcription_session.updated"):
        # Names in the beta version of OpenAI's API.
        return "transcription"
    if kind not in ("session.created", "session.updated"):
        return None
    type_of_session = text_of(session, "type")
    # Mistral's session has the id of the request; OpenAI's has a type.
    if type_of_session == "transcription" or "request_id" in session:
        return "transcription"
    return "live" if type_of_session in ("translation", "live") else None
