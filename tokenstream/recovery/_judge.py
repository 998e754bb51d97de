"""The verdict on an attempt that has ended: the error for which another one may be made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.accumulator import Accumulator
from tokenstream.errors import PositionLost, StatusError, StreamError
from tokenstream.recovery._outcome import find_outcome

if TYPE_CHECKING:
    from tokenstream._pipeline.hold import Hold
    from tokenstream._pipeline.resumption import Resumption
    from tokenstream.message import Message
    from tokenstream.recovery._current import CurrentAttempt
    from tokenstream.recovery._retry import Retry

_ANSWER_GONE = frozenset({400, 404, 409, 410, 412, 416, 422})
"""Statuses that mean, after a request to resume an answer, that the server no longer has the answer."""
_NO_CONTENT = 204
"""Status with which a server asks the client of an event stream to stop reconnecting."""


class Judge:
    """Finds the error of an attempt that has ended; a useless answer, such as an empty one, is an error, too.

    Args:
        retry: The caller's options.
        resumption: Lets further connections go on with the answer.
    """

    def __init__(self, retry: Retry, resumption: Resumption, current: CurrentAttempt) -> None:
        self._retry = retry
        self._resumption, self._joining = resumption, resumption.joining
        self._machine = resumption.machine
        self._current = current
        self._accepted: Hold | None = None
        """The hold of the answer that was found acceptable; None before that."""

    def find_error(self, cause: StreamError | None, now: float) -> StreamError | None:
        """Return the error of the current attempt, whose input has ended or failed; None if it succeeded.

        Args:
            cause: The error that ended the input; None after a clean end, or if the machine has the error.
            now: A clock reading, in seconds.
        """
        machine = self._machine
        if self._joining.refusal is not None:
            return self._joining.refusal
        # After a mere sentinel, the end is only assumed, and the end of the format decides.
        has_terminal_event = machine.answered and not machine.end_is_assumed
        has_failed = machine.error is not None or cause is not None
        # Refused: the response is an error, not an answer.
        if has_terminal_event and not machine.refused and not has_failed:
            # The answer may be useless nevertheless, such as an empty one.
            return self._find_outcome()
        lost = machine.arrivals.lost
        is_lost = machine.error is lost or machine.answer_format.gap == "unsettled"
        if machine.error is not None and is_lost and not machine.answered:
            # Either the connection brought another answer than the resumed one, and nothing of it was read,
            # or the whole answer is still needed. So the open parts stay open for the next attempt.
            return self._as_position_lost(machine.error)
        if machine.error is None and self._current.position is not None:
            # The server can replay the answer: the format stays open, because the next attempt may resume it.
            error = self._resumption.cut_short(cause)
            if error is not None:
                return self._as_position_lost(error)
            # The answer is complete, or only the end of the format shows if it is: `finish` ends the format.
        machine.finish(cause, now)
        # An attempt that ended without an error may still have brought a useless answer.
        return self._find_outcome() if machine.error is None else self._as_position_lost(machine.error)

    def _as_position_lost(self, error: StreamError) -> StreamError:
        """Return `PositionLost` if the server refused to resume from a position, otherwise the same error."""
        if self._current.mode != "resume" or self._current.was_released:
            # The server was not asked to resume, or it has resumed.
            return error
        if isinstance(error, StatusError):
            answer_gone = not error.retryable and error.status in _ANSWER_GONE
        else:
            answer_gone = self._machine.head is not None and self._machine.head.status == _NO_CONTENT
        if not answer_gone:
            return error
        lost = PositionLost(f"the server cannot resume from the position it was sent ({error})")
        lost.__cause__ = error
        return lost

    def _find_outcome(self) -> StreamError | None:
        """Return the error for an answer that is finished but useless; None if the answer is acceptable.

        The result is also None if some of the answer was delivered, because it cannot be taken back then.
        """
        current = self._current
        if not self._retry.outcomes or current.was_released or current.has_content:
            return None
        if self._machine.connection.format.parts.withheld is not None:
            # The answer is only paused. If it does not go on, it is judged as it is then.
            return None
        if self._accepted is current.hold:
            # The end of the input follows the end of the answer, which was judged already.
            return None
        error = find_outcome(self.make_message(), self._retry.outcomes, self._retry.accept)
        self._accepted = current.hold if error is None else None
        return error

    @property
    def is_awaited(self) -> bool:
        """True while the answer is held back until the option `accept` has accepted it."""
        return self._retry.accept is not None and not (
            self._current.was_released or self._current.has_content
        )

    def make_message(self) -> Message:
        """Return the answer whose events are all held back."""
        machine, accumulator = self._machine, Accumulator()
        accumulator.format, accumulator.route = machine.format, machine.accumulator.route
        for event in (*self._current.hold.held, *machine.events_left):
            accumulator.take(event)
        return accumulator.message
