"""The current attempt at an answer, and reports on the attempts before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.message import Usage
from tokenstream.stream._attempts import AttemptReport

if TYPE_CHECKING:
    from tokenstream._pipeline.hold import Hold
    from tokenstream._pipeline.resumption import Resumption
    from tokenstream.errors import StreamError
    from tokenstream.stream._attempts import Attempt, AttemptMode
    from tokenstream.stream._continuation import Continuation


class CurrentAttempt:
    """State of the attempt that is running, and reports on the finished ones.

    Args:
        resumption: Lets further connections go on with the answer.
        hold: Holds back the first events of the first attempt.
    """

    def __init__(self, resumption: Resumption, hold: Hold) -> None:
        self._machine, self._joining = resumption.machine, resumption.joining
        self.hold = hold
        """Holds back the first events of this attempt."""
        self.mode: AttemptMode = "start"
        self.number = 1
        """The attempt's number in its report."""
        self.counted = 1
        """Number of attempts so far that count towards `Retry.attempts`."""
        self.uncounted = 0
        """Number of attempts so far that do not count: their prefix was refused, or no model was asked."""
        self.opener_index = 0
        """Index of the opener that opened this attempt's source."""
        self.continuation: Continuation | None = None
        """The continuation that this attempt requests; None for other modes."""
        self.has_delivered = False
        """True once this or an earlier attempt has delivered content, so that a restart must be announced."""
        self.ended = False
        """True once the stream has ended, so that the reports are complete."""
        self.reports: list[AttemptReport] = []
        """Reports on the finished attempts."""
        self._wait = 0.0
        """Seconds of the wait before this attempt."""
        self._begun_at = 0.0
        """The clock reading at which this attempt began; 0 for the first attempt."""
        self._was_discarded = False
        """True if this attempt failed without content, after earlier attempts had delivered content."""
        self._discarded_usage = Usage()
        """The token counts of this attempt if it was discarded; otherwise None."""

    @property
    def was_released(self) -> bool:
        """True if this attempt has brought content, so that its events are no longer held back."""
        return self.hold.released

    def begin(self, attempt: Attempt, now: float, *, is_uncounted: bool) -> None:
        """Replace the current attempt with the next one.

        Args:
            attempt: The next attempt.
            now: A clock reading, in seconds.
            is_uncounted: True if this attempt does not count towards `Retry.attempts`.
        """
        self.number, self.mode, self.continuation = attempt.number, attempt.mode, attempt.asked
        if is_uncounted:
            self.uncounted += 1
        else:
            self.counted += 1
        self._wait, self._begun_at = attempt.wait, now + attempt.wait
        self._was_discarded, self._discarded_usage = False, Usage()

    def note_hedge(self, wait: float, first_began_at: float, *, second_won: bool) -> None:
        """Note that a second attempt, a hedge, was made beside the first; the winner becomes the current one.

        Args:
            wait: Seconds from the first attempt's request to the second one's.
            first_began_at: The clock reading at which the first attempt began.
            second_won: True if the second attempt is the winner.
        """
        # Both attempts count.
        self.counted = 2
        if second_won:
            self.number, self.mode = 2, "hedge"
            self._wait, self._begun_at = wait, first_began_at + wait

    def note_discarded(self, *, always: bool = False) -> None:
        """Note that this attempt failed before it brought content; its tokens count as spent.

        Args:
            always: True if the model has written something, even if the server has not counted it yet.
        """
        usage = self.hold.usage
        self._was_discarded, self._discarded_usage = True, usage
        if usage or always:
            self._machine.accumulator.spend(usage)

    def add_report(self, error: StreamError | None, now: float) -> None:
        """Add the report on this attempt, which has ended.

        Args:
            error: The error that ended the attempt; None if it succeeded.
            now: A clock reading, in seconds.
        """
        self.reports.append(self.make_report(error, now))

    def make_report(self, error: StreamError | None, now: float | None) -> AttemptReport:
        """Return a report on this attempt.

        Args:
            error: The error that ended the attempt; None if it succeeded or is running.
            now: A clock reading, in seconds; None while the attempt is running.
        """
        # Only a continuation has a seam, and only its report has the fields that come from the seam.
        seam = self._joining.seam
        # The first attempt began with the request, whose time only the meter knows.
        begun_at = self._begun_at or self._machine.meter.started_at
        return AttemptReport(
            number=self.number,
            mode=self.mode,
            error=error,
            wait=self._wait,
            seconds=None if now is None else max(0.0, now - begun_at),
            usage=self._usage,
            id=None if seam is None else seam.id,
            model=None if seam is None else seam.model,
            confidence=None if seam is None else seam.known_confidence,
        )

    @property
    def _usage(self) -> Usage:
        """The token counts of this attempt; false if the server reported none."""
        if not self.was_released:
            # The message has no events of this attempt yet.
            return self.hold.usage
        if self._was_discarded:
            return self._discarded_usage
        return self._machine.accumulator.own_usage
