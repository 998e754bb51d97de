"""Attempts at one answer: the input of the next attempt, and a report on each attempt made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tokenstream._basics.members import show_members
from tokenstream.message import Usage

if TYPE_CHECKING:
    from tokenstream.errors import StreamError
    from tokenstream.message import Message
    from tokenstream.stream._continuation import Continuation

AttemptMode: TypeAlias = Literal["start", "restart", "resume", "continue", "hedge"]
"""The kind of an attempt.

| mode | the request is for |
|---|---|
| start | the answer, for the first time |
| restart | the answer, once more from its beginning |
| resume | a replay from the point where the answer broke off |
| continue | a continuation of the text received so far |
| hedge | the same answer, because the first request has brought nothing so far |
"""


@show_members
@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt that is about to be made, with all that the caller's `open` needs to write the request.

    Example:
        >>> def ask(attempt: Attempt) -> str:
        ...     if attempt.mode == "resume":
        ...         return f"GET /v1/responses/resp_1?stream=true&starting_after={attempt.sequence}"
        ...     return "POST /v1/responses"
        >>> from tokenstream import Message
        >>> ask(Attempt(number=2, mode="resume", message=Message(), sequence=41))
        'GET /v1/responses/resp_1?stream=true&starting_after=41'
    """

    number: int
    """Number of the attempt, from 1."""
    mode: AttemptMode
    """Kind of request to send."""
    message: Message = field(repr=False)
    """The answer so far; its `id` is the id of the response that a server can replay."""
    last_event_id: str | None = None
    """The id of the last SSE event, for the header `Last-Event-ID`; None if the server sent no id."""
    sequence: int | None = None
    """The number of the last event that was read; None if the format does not number its events."""
    answer_id: str | None = None
    """The answer's id in a relay's journal, for the header `X-Answer-Id`; None without one."""
    abandoned: str | None = None
    """The id of a response that may still run in the background: `connect` cancels it before this attempt,
    which replaces it. None if there is none, and for an `open` of your own."""
    error: StreamError | None = None
    """The error that ended the previous attempt; None for the first attempt."""
    is_repetition: bool = False
    """True if the previous attempt has brought no content, so that its idempotency key can be sent again."""
    wait: float = 0.0
    """Seconds to wait before the request is sent."""
    limit_left: int | None = None
    """Tokens left of the first request's output limit; None if that request had no limit, or the limit
    is unknown. Set it with `Retry(max_output_tokens=…)`."""
    why: str | None = None
    """Reason for restarting the answer although a continuation was wanted; otherwise None."""
    asked: Continuation | None = field(default=None, repr=False, compare=False)
    """The broken-off answer, from which `continuation` makes its turns; None if `mode` is not "continue"."""

    @property
    def prefill(self) -> bool:
        """True if the request ends with the answer so far, as an assistant's turn for the model to extend.

        Otherwise the request ends with a user's turn that asks the model to go on.
        """
        return self.asked is not None and self.asked.prefix is not None

    def continuation(self, format: str | None = None) -> list[dict[str, Any]]:
        """Return the turns to append to the turns of the first request; none unless `mode` is "continue".

        The first turn is the assistant's, with the answer so far. With `prefill`, it is the only
        turn, and has no trailing white space; otherwise, a user's turn follows that asks
        the model to go on. Unfinished tool calls and unsigned reasoning are left out.

        Args:
            format: The format in which to write the turns, or "mistral"; None for the answer's format.

        Raises:
            MisuseError: Requests in that format cannot contain an unfinished answer.

        Example:
            >>> from tokenstream import Message
            >>> Attempt(number=1, mode="start", message=Message()).continuation("openai-chat")
            []
        """
        return [] if self.asked is None else self.asked.write_turns(format)


@show_members
@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptReport:
    """A report on one attempt at an answer.

    Example:
        >>> AttemptReport(number=1, mode="start").error is None
        True
    """

    number: int
    """Number of the attempt, from 1."""
    mode: AttemptMode
    """Kind of request that was sent."""
    error: StreamError | None = None
    """The error that ended the attempt; None if the attempt was successful, or is still running."""
    wait: float = 0.0
    """Seconds from the end of the previous attempt to this request; for a hedge, from the first request."""
    seconds: float | None = None
    """Seconds from the attempt's request to its end; None while the attempt is running."""
    usage: Usage = field(default_factory=Usage)
    """The token counts that the server reported for this attempt; false without a report."""
    id: str | None = None
    """The provider's id for a continuation, while the message keeps the first attempt's id; else None."""
    model: str | None = None
    """The model that wrote a continuation; None for other attempts."""
    confidence: float | None = None
    """Confidence that a continuation was appended at the right place; None for other attempts."""
