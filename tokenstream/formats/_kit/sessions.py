"""The kinds of sessions over a WebSocket that begin with the same event, `session.created`."""

from __future__ import annotations

from typing import Any

from tokenstream._basics.untrusted import dict_of, text_of


def is_transcription_session(payload: dict[str, Any]) -> bool:
    """Return whether a payload is about a session that only transcribes, of OpenAI or Mistral.

    Example:
        >>> is_transcription_session({"type": "session.created", "session": {"type": "transcription"}})
        True
        >>> is_transcription_session({"type": "session.created", "session": {"type": "realtime"}})
        False
    """
    kind, session = text_of(payload, "type") or "", dict_of(payload, "session")
    if kind in ("transcription_session.created", "transcription_session.updated"):
        # Names in the beta version of OpenAI's API.
        return True
    # Mistral's session has the id of the request; OpenAI's has a type.
    is_session = "request_id" in session or text_of(session, "type") == "transcription"
    return is_session and kind in ("session.created", "session.updated")
