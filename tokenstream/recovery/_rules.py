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
from tokenstream.errors import ProviderError
from tokenstream.recovery._never import MAY_LACK, TOO_SHORT, reason_against
from tokenstream.stream._continuation import Continuation

if TYPE_CHECKING:
    from tokenstream.errors import StreamError
    from tokenstream.message import Ending, Message
    from tokenstream.recovery._current import CurrentAttempt
    from tokenstream.recovery._open import SourceOpener

_MIN_SHARE = 0.1
"""Lower bound for an estimate of the tokens left, as a share of the output limit."""
_MIN_TOKENS = 16
"""Lower bound for an estimate of the tokens left, in tokens."""


def why_not(current: CurrentAttempt, error: StreamError | None, opener: SourceOpener) -> str | None:
    """Return the reason not to continue the answer; None if the answer may be continued.

    Args:
        error: The error that broke off the answer; None if it has reached its output limit, which the
            next request has once more.
        opener: The opener that would request the rest.
    """
    if current.machine.answer_format.gap == "possible":
        return MAY_LACK
    accumulator = current.machine.accumulator
    messages = accumulator.messages or [accumulator.message]
    has_prefix = opener.prefix(messages[0]) is not None
    reason = reason_against(messages, error, prefill=has_prefix)
    if reason is not None:
        return reason
    tokens_left = None if error is None else count_tokens_left(current, opener)
    # With no tokens left, the answer ends at its limit, and no continuation has to be recognized.
    if not has_prefix and _is_too_short(current, messages[0]) and tokens_left != 0:
        return TOO_SHORT
    return opener.why_not(messages[0], tokens_left)


def _is_too_short(current: CurrentAttempt, message: Message) -> bool:
    """Return True if no continuation could reach the confidence that the caller wants."""
    return current.retry.least > UNKNOWN and not is_recognizable(message.text)


def make_continuation(current: CurrentAttempt, opener: SourceOpener) -> Continuation:
    """Return the answer so far, and the way to ask for the rest; the next request is made from this."""
    message = current.machine.accumulator.message
    return Continuation(message, opener.prefix(message), current.retry.ask)


def make_seam(current: CurrentAttempt, continuation: Continuation) -> Seam:
    """Return the seam that joins the text of a continuation to the answer."""
    before, prefix = continuation.message.text, continuation.prefix
    if prefix is None:
        # The model is asked in a user's turn, and may repeat some of its last words. If events are held
        # back, it may even write a sentence before them (`patient`).
        joint: Joint = AskedJoint(before, patient=current.retry.hold)
    else:
        joint = PrefixJoint(before, echoes=prefix.echoes, known=prefix.known)
    # Only the default text of the user's turn has markers.
    marked = prefix is None and continuation.ask is None
    return Seam(current.machine.accumulator, joint, marked=marked)


def find_limit(current: CurrentAttempt, opener: SourceOpener) -> int | None:
    """Return the output limit, in tokens: the caller's or the request's, whichever is lower, or None."""
    limits = (current.retry.max_output_tokens, opener.limit(current.machine.accumulator.message))
    return min((limit for limit in limits if limit is not None), default=None)


def count_tokens_left(current: CurrentAttempt, opener: SourceOpener) -> int | None:
    """Return the number of tokens left until the output limit; None if no limit is known.

    It is 0 only if the server counted that many tokens; an estimate always leaves some.
    """
    limit = find_limit(current, opener)
    if limit is None:
        return None
    counted = current.counted_before + current.counted_now
    if counted >= limit:
        return 0
    # The server may have counted only some of the tokens, so the text's size gives an estimate.
    message = current.machine.accumulator.message
    size = size_of(message.text + message.reasoning)
    estimate = limit - max(counted, math.ceil(size / BYTES_PER_TOKEN))
    # The estimate may be too low, so it never uses up the limit.
    estimate = max(estimate, int(limit * _MIN_SHARE), _MIN_TOKENS)
    return min(limit - counted, estimate)


def ending_with(error: StreamError) -> Ending:
    """Return the ending of an answer that ends with an error."""
    return "failed" if isinstance(error, ProviderError) else "truncated"
