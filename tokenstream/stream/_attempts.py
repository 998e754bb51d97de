"""Attempts at one answer: the input of the next one, a decision on it, and a report on each that was made."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tokenstream._answer.usage import BYTES_PER_TOKEN
from tokenstream._basics.elsewhere import explain_names
from tokenstream._basics.text_log import size_of
from tokenstream.message import Message, Usage

if TYPE_CHECKING:
    from tokenstream.errors import StreamError
    from tokenstream.stream._continuation import Continuation
    from tokenstream.stream._pauses import PausedAnswer
    from tokenstream.stream._prices import Tariff

AttemptMode: TypeAlias = Literal["start", "restart", "resume", "continue", "pause", "hedge"]
"""The kind of an attempt.

| mode | the request is for |
|---|---|
| start | the answer, for the first time |
| restart | the answer, once more from its beginning |
| resume | a replay from the point where the answer broke off |
| continue | a continuation of the text received so far |
| pause | the rest of an answer that the provider has paused |
| hedge | the same answer, because the first request has brought nothing so far |
"""

RequestKind: TypeAlias = Literal["attempt", "poll", "document", "hedge", "leg"]
"""The kind of a request.

| kind | the request | counts towards `Retry.attempts` |
|---|---|---|
| attempt | asks a model, or for a replay | unless it follows a 429 that names a wait |
| poll | asks for an answer that had not finished | if it fails |
| document | fetches the finished answer by its id | if it fails |
| hedge | runs beside the first attempt | yes |
| leg | goes on after a pause | yes |
"""
FetchKind: TypeAlias = Literal["poll", "document"]
"""The kind of a request for an answer by its id, which asks no model."""

_MIN_SHARE = 0.1
"""Lower bound for an estimate of the tokens left, as a share of the output limit."""
_MIN_TOKENS = 16
"""Lower bound for an estimate of the tokens left, in tokens."""


def find_tokens_left(limit: int, counted: int, message: Message) -> int:
    """Return the number of tokens left of an output limit, of which servers have counted some.

    It is 0 only if they have counted that many; an estimate always leaves some.
    """
    if counted >= limit:
        return 0
    # The servers may have counted only some of the tokens, so the text's size gives an estimate.
    size = size_of(message.text + message.reasoning)
    estimate = limit - max(counted, math.ceil(size / BYTES_PER_TOKEN))
    # The estimate may be too low, so it never uses up the limit.
    return min(limit - counted, max(estimate, int(limit * _MIN_SHARE), _MIN_TOKENS))


@dataclass(frozen=True, slots=True)
class AttemptDecision:
    """A decision on an attempt, returned by `Retry.on_retry` and made by a method of the `Attempt`."""

    verb: Literal["skip", "send"]
    """"skip" for the next route, "send" for another payload."""
    payload: Any = None
    """The JSON to send; only with "send"."""


@explain_names({"stop": "raise an exception in on_retry, which ends the stream; skip() asks the next route"})
@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt that is about to be made, with all that the caller's `open` needs to write the request.

    Example:
        >>> def ask(attempt: Attempt) -> str:
        ...     if attempt.mode == "resume":
        ...         return f"GET /v1/responses/r1?stream=true&starting_after={attempt.sequence}"
        ...     return "POST /v1/responses"
        >>> from tokenstream import Message
        >>> ask(Attempt(number=2, mode="resume", message=Message(), sequence=41))
        'GET /v1/responses/r1?stream=true&starting_after=41'
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
    """Tokens left of the first request's output limit; None if that request had no limit, or if your own
    `open` makes the requests: see `tokens_left`."""
    why: str | None = None
    """Reason for restarting the answer although a continuation was wanted; otherwise None."""
    route: str | None = None
    """Name of the route that is asked; None without routes."""
    payload: Any = field(default=None, repr=False)
    """The JSON that `with_payload` puts in place of the request's own; None to leave that."""
    counted: int = field(default=0, repr=False)
    """Tokens of the answer so far that servers have counted."""
    asked: Continuation | None = field(default=None, repr=False, compare=False)
    """The broken-off answer, from which `continuation` makes its turns; None if `mode` is not "continue"."""
    paused: PausedAnswer | None = field(default=None, repr=False, compare=False)
    """The paused answer, from which `request` makes the next request; None if `mode` is not "pause"."""

    @property
    def prefill(self) -> bool:
        """True if the request ends with the answer so far, as an assistant's turn for the model to extend.

        Otherwise the request ends with a user's turn that asks the model to go on.
        """
        return self.asked is not None and self.asked.prefix is not None

    def continuation(self, format: str | None = None) -> list[dict[str, Any]]:
        """Return the turns to append to the turns of the first request, to continue an answer that broke off.

        There are none unless `mode` is "continue".

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

    def tokens_left(self, limit: int) -> int:
        """Return the tokens left of an output limit: at least 1, and all of them unless `mode` is "continue".

        Args:
            limit: The output limit of the first request, in tokens.

        Example:
            >>> from tokenstream import Message
            >>> Attempt(number=1, mode="start", message=Message()).tokens_left(1024)
            1024
        """
        goes_on = self.asked is not None and not self.asked.at_limit
        return max(find_tokens_left(limit, self.counted, self.message), 1) if goes_on else limit

    def request(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Return the request of this attempt, made from the first request.

        After a pause, an API wants its answer back as the assistant's turn, or a token, and the container of
        its code; to continue an answer, it gets the turns of `continuation`. All else stays the same, and in
        any other mode, so does the whole request.

        Args:
            payload: The first request: its JSON, or an SDK's arguments of the same names.

        Raises:
            MisuseError: The request has no turns to which a turn can be added.

        Example:
            >>> from tokenstream import Message
            >>> Attempt(number=1, mode="start", message=Message()).request({"messages": []})
            {'messages': []}
        """
        asked = self.paused or self.asked
        return payload if asked is None else asked.write_request(payload)

    def skip(self) -> AttemptDecision:
        """Return the decision to make no further attempt at this route, and to ask the next one instead.

        Without another one, the stream ends with the error. Return the decision from `Retry.on_retry`.

        Example:
            >>> def not_twice_at_night(attempt: Attempt) -> object:
            ...     return attempt.skip() if attempt.route == "local" else None
        """
        return AttemptDecision("skip")

    def with_payload(self, payload: Any) -> AttemptDecision:  # noqa: ANN401 - any JSON value
        """Return the decision to send another payload with this attempt, and only with this one.

        If the attempt continues an answer, the turns for that are added to the payload. Return the
        decision from `Retry.on_retry`.

        Args:
            payload: The JSON of the request; for a request of `connect` or of a `Route`.

        Example:
            >>> def ask_smaller(attempt: Attempt) -> object:
            ...     return attempt.with_payload({"model": "small", "messages": [], "stream": True})
        """
        return AttemptDecision("send", payload)


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
    """The purpose of the request."""
    kind: RequestKind = "attempt"
    """Kind of the request, which decides if it counts towards `Retry.attempts`."""
    error: StreamError | None = None
    """The error that ended the attempt; None if the attempt was successful, or is still running."""
    wait: float = 0.0
    """Seconds from the end of the previous attempt to this request; for a hedge, from the first request."""
    began: float = 0.0
    """Seconds from the first request to this one."""
    seconds: float | None = None
    """Seconds from the attempt's request to its end; None while the attempt is running."""
    usage: Usage = field(default_factory=Usage)
    """The token counts that the server reported for this attempt. Once the attempt has ended, missing counts
    are estimated (`usage.basis` is then "estimated"): four bytes of the answer, or of the request's JSON,
    are a token."""
    id: str | None = None
    """The provider's id of the answer to this attempt, while the message keeps the first part's id; None if
    nothing of an answer came."""
    model: str | None = None
    """The model that answered, by the provider's own word; None if nothing of an answer came."""
    requested_model: str | None = None
    """The model that the request's payload or URL names; None if the library did not make the request."""
    confidence: float | None = None
    """Confidence that a continuation was appended at the right place; None for other attempts."""
    route: str | None = None
    """Name of the route that was asked; None without routes."""
    host: str | None = None
    """Host of the request; None if the library did not make the request."""
    port: int | None = None
    """Port of the request; None if the library did not make the request."""
    format: str | None = None
    """Name of the format in which the server answered or, if it did not answer, in which it would have; None
    if unknown."""
    left_out: tuple[str, ...] = ()
    """Kinds of parts that the answer so far had and the request to continue it had not, such as "reasoning",
    which a model does not accept if another provider has signed it."""
    _bill: float | Tariff | None = field(default=None, repr=False)
    """The cost, or the tariff by which it is computed."""

    @property
    def cost(self) -> float | None:
        """Cost of the token counts; None without a price, or while the attempt runs.

        The price is `Route.price` or, with the extra `prices`, the one of the requested model and the host.
        An attempt that resumes an answer has the cost of what it adds; a refused request costs nothing.
        """
        bill = self._bill
        return bill if bill is None or isinstance(bill, float | int) else bill.find_cost(self.usage)
