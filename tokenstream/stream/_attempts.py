"""Attempts at one answer: what the next one is told, and how each of them ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from tokenstream.errors import StreamError
    from tokenstream.message import Message, Usage
    from tokenstream.stream._continuation import Continuation

__all__ = ["Attempt", "AttemptMode", "AttemptReport"]

AttemptMode: TypeAlias = Literal["start", "restart", "resume", "continue", "hedge"]
"""How an attempt asks: for the first time, from zero again, for a replay from where the answer broke off,
for a continuation of what there is of it, or beside a first one that has shown nothing yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt that is about to be made: what `open` needs to ask for it.

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
    """Which attempt it is, from 1."""
    mode: AttemptMode
    """How it asks."""
    message: Message = field(repr=False)
    """The answer so far; its `id` names the response that a server replays."""
    last_event_id: str | None = None
    """The id of the last event, for a header or a parameter of that name; None where there is none."""
    sequence: int | None = None
    """The number of the last event that was read; None where the format numbers none."""
    error: StreamError | None = None
    """What ended the attempt before it; None for the first one."""
    wait: float = 0.0
    """Seconds that are waited before it."""
    limit_left: int | None = None
    """Tokens that are left of the output limit of the first request; None where that has none, or the
    limit is not known: `Retry(max_output_tokens=…)` tells it."""
    why: str | None = None
    """Why the answer is restarted and not continued; None unless continuing was asked for."""
    asked: Continuation | None = field(default=None, repr=False, compare=False)
    """What `continuation` is made of."""

    @property
    def prefill(self) -> bool:
        """Whether the request is to end with the beginning of the answer, which the model goes on behind.

        Else it ends with a user's turn that asks to go on.
        """
        return self.asked is not None and self.asked.prefix is not None

    def continuation(self, format: str | None = None) -> list[dict[str, Any]]:
        """Return the turns to put behind those of the first request; none unless `mode` is "continue".

        With `prefill` it is the assistant's turn alone, whose text ends without
        white space; else a user's turn that asks to go on follows it. What was
        open or unsigned is in neither.

        Args:
            format: The format whose requests they are for, or "mistral"; None for the answer's.

        Raises:
            MisuseError: The requests of that format have no place for them.

        Example:
            >>> from tokenstream import Message
            >>> Attempt(number=1, mode="start", message=Message()).continuation("openai-chat")
            []
        """
        return [] if self.asked is None else self.asked.turns(format)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptReport:
    """What became of an attempt at an answer.

    Example:
        >>> AttemptReport(number=1, mode="start").error is None
        True
    """

    number: int
    """Which attempt it was, from 1."""
    mode: AttemptMode
    """How it asked."""
    error: StreamError | None = None
    """What ended it; None where it gave the end of the answer, or goes on."""
    wait: float = 0.0
    """Seconds that were waited before it."""
    seconds: float | None = None
    """How long it took, in seconds, from its request on; None while it goes on."""
    usage: Usage | None = None
    """The token counts that it reported; None where it reported none."""
    id: str | None = None
    """The id that a continuation has at its provider; the message keeps the first one."""
    model: str | None = None
    """The model that continued the answer."""
    confidence: float | None = None
    """How sure it is that a continuation was joined at the right place; None for other attempts."""
