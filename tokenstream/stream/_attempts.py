"""Attempts at one answer: what the next one is told, and how each of them ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from tokenstream.errors import StreamError
    from tokenstream.message import Message, Usage

__all__ = ["Attempt", "AttemptMode", "AttemptReport"]

AttemptMode: TypeAlias = Literal["start", "restart", "resume", "hedge"]
"""How an attempt asks: for the first time, from zero again, from where the answer broke off, or
beside a first one that has shown nothing yet."""


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
