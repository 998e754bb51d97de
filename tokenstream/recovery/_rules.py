"""Rules of continuing an answer: whether to, with which turns, how long, and where to join it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tokenstream._basics.joint import AskedJoint, Joint, PrefixJoint
from tokenstream._basics.text_log import size_of
from tokenstream._growing import BYTES_PER_TOKEN
from tokenstream._pipeline.seam import Seam
from tokenstream.recovery._never import reason_against
from tokenstream.stream._continuation import Continuation

if TYPE_CHECKING:
    from tokenstream._pipeline.renewable import RenewableMachine
    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.recovery._open import SourceOpener
    from tokenstream.recovery._retry import Retry

_LEAST_PART, _LEAST_TOKENS = 10, 16
"""Least remaining limit if it is estimated: a tenth of the limit, and this many tokens."""


class ContinuationRules:
    """Decides whether an answer may be continued, with which turns, and where the rest joins it.

    Args:
        retry: The caller's options.
        machine: Holds the answer.
    """

    def __init__(self, retry: Retry, machine: RenewableMachine) -> None:
        self._retry = retry
        self._machine = machine
        self._counted = 0
        """Tokens of the answer that servers counted on earlier connections."""

    def why_not(self, error: StreamError, opener: SourceOpener) -> str | None:
        """Return the reason not to continue the answer; None if it may be continued.

        Args:
            error: The error that broke it off.
            opener: The opener that would ask for the rest.
        """
        accumulator = self._machine.accumulator
        messages = accumulator.messages or [accumulator.message]
        never = reason_against(messages, error, prefill=opener.prefix(messages[0]) is not None)
        return never or opener.why_not(messages[0], self.limit_left(opener))

    def make_turns(self, opener: SourceOpener) -> Continuation:
        """Return the turns that ask for the rest."""
        message = self._machine.accumulator.message
        return Continuation(message, opener.prefix(message), self._retry.ask)

    def make_seam(self, asked: Continuation) -> Seam:
        """Return the seam that joins the rest to the answer."""
        given = asked.message.text
        joint: Joint = AskedJoint(given, patient=self._retry.hold)
        if asked.prefix is not None:
            joint = PrefixJoint(given, echoes=asked.prefix.echoes)
        return Seam(self._machine.accumulator, joint)

    def limit(self, opener: SourceOpener) -> int | None:
        """Return the output limit of the first request, in tokens; None if not known."""
        found = (self._retry.max_output_tokens, opener.limit(self._machine.accumulator.message))
        return min((limit for limit in found if limit is not None), default=None)

    def limit_left(self, opener: SourceOpener) -> int | None:
        """Return the tokens left of the output limit; an estimate alone never uses it up."""
        limit = self.limit(opener)
        if limit is None:
            return None
        counted = self._counted + self._tokens_counted
        if counted >= limit:
            return 0
        message = self._machine.accumulator.message
        said = size_of(message.text + message.reasoning)
        reckoned = limit - max(counted, math.ceil(said / BYTES_PER_TOKEN))
        return min(limit - counted, max(reckoned, limit // _LEAST_PART, _LEAST_TOKENS))

    @property
    def _tokens_counted(self) -> int:
        """Tokens that the server counted on the connection that broke."""
        own = self._machine.accumulator.own_usage
        return (own.output_tokens if own is not None else None) or 0

    def begin_again(self) -> None:
        """Reset the tokens used, because the answer is restarted."""
        self._counted = 0

    def announce(self, seam: Seam, broken_by: StreamError | None) -> list[Event]:
        """Return the events that announce the rest; none if the seam's confidence is too low.

        Args:
            seam: The seam between the answer and the rest.
            broken_by: The error that broke off the answer, and ends it if the seam is refused.
        """
        resumed, least = seam.resumed(), self._retry.least
        if broken_by is None or resumed.confidence >= least:
            self._counted += self._tokens_counted
            return [resumed]
        add_note_once(
            broken_by,
            f"the answer was not continued: the confidence at the seam is {resumed.confidence}, "
            f"and least={least}",
        )
        self._machine.refuse_seam(broken_by)
        return []


def add_note_once(error: StreamError, words: str) -> None:
    """Add a note to an error once, even if the same end of input is examined twice."""
    if words not in getattr(error, "__notes__", ()):
        error.add_note(words)
