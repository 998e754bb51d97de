"""Sessions that the test server holds over a WebSocket: a provider's protocol, with one answer per turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.errors import MisuseError
from tokenstream.testing._serve.sessions.openai_responses import ResponsesSession
from tokenstream.testing._serve.sessions.realtime import GeminiLiveSession, RealtimeSession

if TYPE_CHECKING:
    from tokenstream.testing._serve.replies import Request
    from tokenstream.testing._serve.sessions.session import AnswerChooser, ServedSession, SessionStore

__all__ = ["make_session"]

_SESSIONS: dict[str, type[ServedSession]] = {
    each.format: each for each in (ResponsesSession, RealtimeSession, GeminiLiveSession)
}


def make_session(
    format: str | None, handshake: Request, choose_answer: AnswerChooser, store: SessionStore
) -> ServedSession:
    session = _SESSIONS.get(format or "")
    if session is None:
        what = f"the path {handshake.route}" if format is None else format
        raise MisuseError(
            f"{what} has no sessions: connect to the path of an API that has them, such as /v1/realtime, "
            f"or pass format=, one of {', '.join(_SESSIONS)}"
        )
    return session(handshake, choose_answer, store)
