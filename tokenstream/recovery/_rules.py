"""The rules by which an answer is continued: whether, with which turns, how long, and where it is joined."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tokenstream._growing import BYTES_PER_TOKEN
from tokenstream._joint import AskedJoint, Joint, PrefixJoint
from tokenstream._log import size_of
from tokenstream._seam import Seam
from tokenstream.recovery._never import why_never
from tokenstream.stream._continuation import Continuation

if TYPE_CHECKING:
    from tokenstream._renewable import RenewableMachine
    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.recovery._open import Opener
    from tokenstream.recovery._retry import Retry

__all__ = ["ContinuationRules", "note"]

_LEAST_PART, _LEAST_TOKENS = 10, 16
"""What is left at least where that is reckoned: a tenth of the limit, and so many tokens."""


class ContinuationRules:
    """Says whether an answer may be continued, with which turns, and where the rest joins it.

    Args:
        retry: How the caller wants it.
        machine: Holds the answer.
    """

    def __init__(self, retry: Retry, machine: RenewableMachine) -> None:
        self._retry = retry
        self._machine = machine
        self._counted = 0
        """Tokens of the answer that were counted on connections before the last one."""

    def why_not(self, error: StreamError, opener: Opener) -> str | None:
        """Return why the answer may not be continued; None where it may.

        Args:
            error: What broke it off.
            opener: Would ask for the rest.
        """
        accumulator = self._machine.accumulator
        messages = accumulator.messages or [accumulator.message]
        never = why_never(messages, error, prefill=opener.prefix(messages[0]) is not None)
        return never or opener.why_not(messages[0], self.limit_left(opener))

    def turns(self, opener: Opener) -> Continuation:
        """Return the turns that ask for the rest."""
        message = self._machine.accumulator.message
        return Continuation(message, opener.prefix(message), self._retry.ask)

    def seam(self, asked: Continuation) -> Seam:
        """Return what joins the rest to the answer."""
        given = asked.message.text
        joint: Joint = AskedJoint(given, patient=self._retry.hold)
        if asked.prefix is not None:
            joint = PrefixJoint(given, echoes=asked.prefix.echoes)
        return Seam(self._machine.accumulator, joint)

    def limit(self, opener: Opener) -> int | None:
        """Return the output limit of the first request, in tokens; None where it is not known."""
        found = (self._retry.max_output_tokens, opener.limit(self._machine.accumulator.message))
        return min((limit for limit in found if limit is not None), default=None)

    def limit_left(self, opener: Opener) -> int | None:
        """Return the tokens that are left of it; only what was counted can use it up."""
        limit = self.limit(opener)
        if limit is None:
            return None
        counted = self._counted + self._told
        if counted >= limit:
            return 0
        message = self._machine.accumulator.message
        said = size_of(message.text + message.reasoning)
        reckoned = limit - max(counted, math.ceil(said / BYTES_PER_TOKEN))
        return min(limit - counted, max(reckoned, limit // _LEAST_PART, _LEAST_TOKENS))

    @property
    def _told(self) -> int:
        """The tokens that were counted of the connection that broke."""
        own = self._machine.accumulator.own_usage
        return (own.output_tokens if own is not None else None) or 0

    def begin_again(self) -> None:
        """Forget what the answer has used of its limit: it is restarted."""
        self._counted = 0

    def announced(self, seam: Seam, broken_by: StreamError | None) -> list[Event]:
        """Return what announces the rest, unless its place in the answer is too doubtful.

        Args:
            seam: Joins it to the answer.
            broken_by: What broke off the answer, and ends it then.
        """
        resumed, least = seam.resumed(), self._retry.least
        if broken_by is None or resumed.confidence >= least:
            self._counted += self._told
            return [resumed]
        note(
            broken_by,
            f"the answer was not continued: the confidence at the seam is {resumed.confidence}, "
            f"and least={least}",
        )
        self._machine.refuse_seam(broken_by)
        return []


def note(error: StreamError, words: str) -> None:
    """Note something on an error, once: the end of one input may be looked at twice."""
    if words not in getattr(error, "__notes__", ()):
        error.add_note(words)
