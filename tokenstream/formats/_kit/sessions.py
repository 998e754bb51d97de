"""Sessions with several answers: the kinds of OpenAI's and Mistral's, and parts one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tokenstream._basics.untrusted import dict_of, text_of
from tokenstream.events import MessageStart
from tokenstream.formats._kit.open import mend_surrogates
from tokenstream.formats._kit.parts import Parts

if TYPE_CHECKING:
    from tokenstream.message import FinishReason


def find_session_kind(payload: dict[str, Any]) -> Literal["transcription", "live"] | None:
    """Return the kind of a session without responses ("live" if it translates); None for any other.

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


class SessionParts(Parts):
    """Turns the content of a session's answers into events; each answer has a single choice, with index 0.

    Args:
        limits: Bounds on parts and tool calls.
        note: Counts a departure of the server from its documentation.
    """

    __slots__ = ()

    # The fields of `Response` in openai-python, and of `RealtimeResponse`, which repeat the request.
    echoed: ClassVar[frozenset[str]] = frozenset(
        """audio background completed_at conversation conversation_id created_at frequency_penalty
        incomplete_details instructions max_output_tokens max_tool_calls metadata moderation output_modalities
        parallel_tool_calls presence_penalty previous_response_id prompt prompt_cache_key
        prompt_cache_retention reasoning safety_identifier sequence_number service_tier status_details store
        temperature text tool_choice tool_usage tools top_logprobs top_p truncation user""".split()  # noqa: SIM905 - a list would be a page long
    )

    def begin_answer(self, id: str | None = None, model: str | None = None) -> None:
        """Begin an answer; if there was one before, report the start of another answer."""
        state = self.choice(0)
        if state.finish is None:
            # No answer has ended yet.
            self.head(id=id, model=model)
            return
        # The finish reason of the next answer depends only on its own calls.
        state.finish, state.calls_seen, self.has_answer = None, 0, False
        # Each answer has counts of its own: a zero after those of another answer is a count.
        self._known_counts = {}
        # `head` would keep the id of the answer before, so the new head is set here.
        self._head = (mend_surrogates(id), mend_surrogates(model), "assistant")
        self.emit(MessageStart(*self._head, another=True, raw=self.raw))

    def finish(self, choice: int, reason: FinishReason, raw_reason: str | None) -> None:
        """Record the finish reason and close every open part: the answer is over, the session goes on."""
        super().finish(choice, reason, raw_reason)
        self.end_waiting(choice)

    def end_answer(self, reason: FinishReason, word: str | None, *, awaits_results: bool) -> None:
        """End the answer; a "stop" becomes "tool_calls" only if the answer awaits results of its calls."""
        if not awaits_results:
            self.choice(0).calls_seen = 0
        self.finish(0, reason, word)

    @property
    def awaits_results(self) -> bool:
        """True if the last answer has ended with calls of the application's tools."""
        finish = self.choice(0).finish
        return finish is not None and finish.reason == "tool_calls"
