"""Rules for continuing an answer: if it may be continued, with which turns, and up to which limit.

The *rest* is the text that the model adds. It joins the answer at the *seam*.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tokenstream._basics.joint import UNKNOWN, AskedJoint, Joint, PrefixJoint, is_recognizable
from tokenstream._basics.text_log import size_of
from tokenstream._growing_usage import BYTES_PER_TOKEN
from tokenstream._pipeline.seam import Seam
from tokenstream.errors import AnswerRejected, ProviderError
from tokenstream.recovery._never import MAY_LACK, TOO_SHORT, reason_against
from tokenstream.stream._continuation import Continuation
from tokenstream.stream._log import warn

if TYPE_CHECKING:
    from tokenstream._pipeline.resumption import Resumption
    from tokenstream.errors import StreamError
    from tokenstream.events import Resumed
    from tokenstream.message import Ending, Message
    from tokenstream.recovery._open import SourceOpener
    from tokenstream.recovery._retry import Retry

_MIN_SHARE = 0.1
"""Lower bound for an estimate of the tokens left, as a share of the output limit."""
_NOTABLE = 0.9
"""The confidence at the seam below which a continuation is logged as a warning."""
_MIN_TOKENS = 16
"""Lower bound for an estimate of the tokens left, in tokens."""


class ContinuationRules:
    """Decides if and how an answer is continued, and where the text that the model adds joins the answer.

    Args:
        retry: The caller's options.
        resumption: Lets further connections go on with the answer.
    """

    def __init__(self, retry: Retry, resumption: Resumption) -> None:
        self._retry = retry
        self._machine, self._joining = resumption.machine, resumption.joining
        self._counted_before = 0
        """Number of the answer's tokens, as counted by servers on earlier connections."""

    def why_not(self, error: StreamError | None, opener: SourceOpener) -> str | None:
        """Return the reason not to continue the answer; None if the answer may be continued.

        Args:
            error: The error that broke off the answer; None if it has reached its output limit, which the
                next request has once more.
            opener: The opener that would request the rest.
        """
        if self._machine.answer_format.gap == "possible":
            return MAY_LACK
        accumulator = self._machine.accumulator
        messages = accumulator.messages or [accumulator.message]
        has_prefix = opener.prefix(messages[0]) is not None
        reason = reason_against(messages, error, prefill=has_prefix)
        if reason is not None:
            return reason
        tokens_left = None if error is None else self.tokens_left(opener)
        # With no tokens left, the answer ends at its limit, and no continuation has to be recognized.
        if not has_prefix and self._is_too_short(messages[0]) and tokens_left != 0:
            return TOO_SHORT
        return opener.why_not(messages[0], tokens_left)

    def _is_too_short(self, message: Message) -> bool:
        """Return True if no continuation could reach the confidence that the caller wants."""
        return self._retry.least > UNKNOWN and not is_recognizable(message.text)

    def make_continuation(self, opener: SourceOpener) -> Continuation:
        """Return the answer so far, and the way to ask for the rest; the next request is made from this."""
        message = self._machine.accumulator.message
        return Continuation(message, opener.prefix(message), self._retry.ask)

    def make_seam(self, continuation: Continuation) -> Seam:
        """Return the seam that joins the text of a continuation to the answer."""
        before, prefix = continuation.message.text, continuation.prefix
        if prefix is None:
            # The model is asked in a user's turn, and may repeat some of its last words. If events are held
            # back, it may even write a sentence before them (`patient`).
            joint: Joint = AskedJoint(before, patient=self._retry.hold)
        else:
            joint = PrefixJoint(before, echoes=prefix.echoes, known=prefix.known)
        # Only the default text of the user's turn has markers.
        marked = prefix is None and continuation.ask is None
        return Seam(self._machine.accumulator, joint, marked=marked)

    def limit(self, opener: SourceOpener) -> int | None:
        """Return the output limit, in tokens: the caller's or the request's, whichever is lower, or None."""
        limits = (self._retry.max_output_tokens, opener.limit(self._machine.accumulator.message))
        return min((limit for limit in limits if limit is not None), default=None)

    def tokens_left(self, opener: SourceOpener) -> int | None:
        """Return the number of tokens left until the output limit; None if no limit is known.

        It is 0 only if the server counted that many tokens; an estimate always leaves some.
        """
        limit = self.limit(opener)
        if limit is None:
            return None
        counted = self._counted_before + self._counted_now
        if counted >= limit:
            return 0
        # The server may have counted only some of the tokens, so the text's size gives an estimate.
        message = self._machine.accumulator.message
        size = size_of(message.text + message.reasoning)
        estimate = limit - max(counted, math.ceil(size / BYTES_PER_TOKEN))
        # The estimate may be too low, so it never uses up the limit.
        estimate = max(estimate, int(limit * _MIN_SHARE), _MIN_TOKENS)
        return min(limit - counted, estimate)

    @property
    def _counted_now(self) -> int:
        """Number of output tokens that the server counted on the broken connection; 0 if it sent no count."""
        return self._machine.accumulator.own_usage.output_tokens or 0

    def begin_again(self) -> None:
        """Forget the number of tokens counted so far, because the answer begins again."""
        self._counted_before = 0

    def announce(self, seam: Seam) -> Resumed | None:
        """Return the event that announces a continuation; None if the seam's confidence is too low.

        Args:
            seam: The seam between the answer and the continuation's text.
        """
        resumed, least = seam.make_announcement(), self._retry.least
        confidence = resumed.confidence
        if confidence < least:
            words = f"the confidence at the seam is {confidence}, and least={least}"
            self._joining.refusal = AnswerRejected(
                f"the continuation does not join the answer: {words}", outcome="seam"
            )
            return None
        if confidence < _NOTABLE:
            warn("an answer was continued with confidence %s: words may be missing or doubled", confidence)
        # From now on, the server counts the tokens of the continuation.
        self._counted_before += self._counted_now
        return resumed


def ending_with(error: StreamError) -> Ending:
    """Return the ending of an answer that ends with an error."""
    return "failed" if isinstance(error, ProviderError) else "truncated"
