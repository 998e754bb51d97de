"""The verdict on an attempt that has ended: the error for which another one may be made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.accumulator import Accumulator
from tokenstream.errors import PositionLost, StatusError, StreamError
from tokenstream.recovery._outcome import find_outcome

if TYPE_CHECKING:
    from tokenstream.message import Message
    from tokenstream.recovery._current import CurrentAttempt

_ANSWER_GONE = frozenset({400, 404, 409, 410, 412, 416, 422})
"""Statuses that mean, after a request to resume an answer, that the server no longer has the answer."""
_NO_CONTENT = 204
"""Status with which a server asks the client of an event stream to stop reconnecting."""


def find_error(current: CurrentAttempt, cause: StreamError | None, now: float) -> StreamError | None:
    """Return the error of the current attempt, whose input has ended or failed; None if it succeeded.

    Args:
        cause: The error that ended the input; None after a clean end, or if the machine has the error.
        now: A clock reading, in seconds.
    """
    machine = current.machine
    if current.resumption.joining.refusal is not None:
        return current.resumption.joining.refusal
    # After a mere sentinel, the end is only assumed, and the end of the format decides.
    has_terminal_event = machine.answered and not machine.end_is_assumed
    has_failed = machine.error is not None or cause is not None
    # Refused: the response is an error, not an answer.
    if has_terminal_event and not machine.refused and not has_failed:
        # The answer may be useless nevertheless, such as an empty one.
        return _find_outcome(current)
    lost = machine.arrivals.lost
    is_lost = machine.error is lost or machine.answer_format.gap == "unsettled"
    if machine.error is not None and is_lost and not machine.answered:
        # Either the connection brought another answer than the resumed one, and nothing of it was read,
        # or the whole answer is still needed. So the open parts stay open for the next attempt.
        return _as_position_lost(current, machine.error)
    if machine.error is None and current.position is not None:
        # The server can replay the answer: the format stays open, because the next attempt may resume it.
        error = current.resumption.cut_short(cause)
        if error is not None:
            return _as_position_lost(current, error)
        # The answer is complete, or only the end of the format shows if it is: `finish` ends the format.
    machine.finish(cause, now)
    # An attempt that ended without an error may still have brought a useless answer.
    return _find_outcome(current) if machine.error is None else _as_position_lost(current, machine.error)


def _as_position_lost(current: CurrentAttempt, error: StreamError) -> StreamError:
    """Return `PositionLost` if the server refused to resume from a position, otherwise the same error."""
    if current.mode != "resume" or current.hold.released:
        # The server was not asked to resume, or it has resumed.
        return error
    if isinstance(error, StatusError):
        answer_gone = not error.retryable and error.status in _ANSWER_GONE
    else:
        answer_gone = current.machine.head is not None and current.machine.head.status == _NO_CONTENT
    if not answer_gone:
        return error
    lost = PositionLost(f"the server cannot resume from the position it was sent ({error.message})")
    lost.__cause__ = error
    return lost


def _find_outcome(current: CurrentAttempt) -> StreamError | None:
    """Return the error for an answer that is finished but useless; None if the answer is acceptable.

    The result is also None if some of the answer was delivered, because it cannot be taken back then.
    """
    if current.hold.released or current.has_content or not current.retry.outcomes:
        return None
    if current.machine.connection.format.parts.withheld is not None:
        # The answer is only paused. If it does not go on, it is judged as it is then.
        return None
    if current.accepted is current.hold:
        # The end of the input follows the end of the answer, which was judged already.
        return None
    error = find_outcome(make_message(current), current.retry.outcomes, current.retry.accept)
    current.note_verdict(accepted=error is None)
    return error


def is_awaited(current: CurrentAttempt) -> bool:
    """Return True while the answer is held back until the option `accept` has accepted it."""
    return current.retry.accept is not None and not (current.hold.released or current.has_content)


def make_message(current: CurrentAttempt) -> Message:
    """Return the answer whose events are all held back."""
    machine, accumulator = current.machine, Accumulator()
    accumulator.format, accumulator.route = machine.format, machine.accumulator.route
    for event in (*current.hold.held, *machine.events_left):
        accumulator.take(event)
    return accumulator.message
