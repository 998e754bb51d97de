"""The current attempt at an answer, and reports on the attempts before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.message import Usage
from tokenstream.stream._attempts import AttemptReport

if TYPE_CHECKING:
    from tokenstream._pipeline.hold import Hold
    from tokenstream._pipeline.resumption import Resumption
    from tokenstream._pipeline.seam import Seam
    from tokenstream.errors import StreamError
    from tokenstream.events import MessageStart
    from tokenstream.formats._kit.parts import Parts
    from tokenstream.message import Message
    from tokenstream.recovery._itinerary import Itinerary
    from tokenstream.recovery._spending import Spending
    from tokenstream.stream._attempts import Attempt, AttemptMode
    from tokenstream.stream._continuation import Continuation


class CurrentAttempt:
    """State of the attempt that is running, and reports on the finished ones.

    Args:
        resumption: Lets further connections go on with the answer.
        hold: Holds back the first events of the first attempt.
        itinerary: The openers, which open the sources of attempts, and their description for reports.
        spending: The costs of all attempts; None if they are not limited.
    """

    def __init__(
        self, resumption: Resumption, hold: Hold, itinerary: Itinerary, spending: Spending | None
    ) -> None:
        self._machine, self._joining = resumption.machine, resumption.joining
        self._itinerary, self._spending = itinerary, spending
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
        self.polls = False
        """True if this attempt polls for an answer that the server writes in the background."""
        self.settles = False
        """True if this attempt has resumed the answer, and fetches all of it to see if events are missing."""
        self.goes_on = False
        """True if this attempt brings the rest of a paused answer."""
        self.has_content = False
        """True once content of this or an earlier attempt is in the message: a restart is then announced."""
        self.ended = False
        """True once the stream has ended, so that the reports are complete."""
        self.reports: list[AttemptReport] = []
        """Reports on the finished attempts."""
        self.content_at: float | None = None
        """The clock reading at which content came in a race, before the stream reads it; None without one."""
        self._wait = 0.0
        """Seconds of the wait before this attempt."""
        self._begun_at = 0.0
        """The clock reading at which this attempt began; 0 for the first attempt."""
        self._priced_usage = Usage()
        """The token counts for which the cost was computed, so that no report computes it again."""
        self._was_discarded = False
        """True if this attempt failed without content, after earlier attempts had delivered content."""
        self._discarded_usage = Usage()
        """The token counts of this attempt if it was discarded; otherwise empty."""
        self._discarded_start: MessageStart | None = None
        """The head (id and model) of this attempt's answer if it was discarded; otherwise None."""

    @property
    def is_at_limit(self) -> bool:
        """True if this attempt goes on with an answer that has reached its output limit."""
        return self.continuation is not None and self.continuation.at_limit

    @property
    def is_behind_pause(self) -> bool:
        """True if this attempt goes on after a pause, and has brought nothing yet."""
        return (self.goes_on or self.is_at_limit) and not self.was_released

    @property
    def next_number(self) -> int:
        """The number of the next attempt."""
        return self.counted + self.uncounted + 1

    @property
    def was_released(self) -> bool:
        """True if this attempt has brought content, so that its events are no longer held back."""
        return self.hold.released

    def begin(self, attempt: Attempt, now: float, *, is_uncounted: bool) -> None:
        """Replace the current attempt with the next one.

        Args:
            now: A clock reading, in seconds.
            is_uncounted: True if this attempt does not count towards `Retry.attempts`.
        """
        self.number, self.mode, self.continuation = attempt.number, attempt.mode, attempt.asked
        self.goes_on, self.polls = attempt.mode == "pause", False
        if is_uncounted:
            self.uncounted += 1
        else:
            self.counted += 1
        self._wait, self._begun_at = attempt.wait, now + attempt.wait
        self._was_discarded, self._discarded_usage, self._discarded_start = False, Usage(), None
        self._priced_usage, self.content_at = Usage(), None

    def begin_route(self, index: int, now: float | None) -> None:
        """Note which opener opens the source of this attempt; the message gets the name of its route.

        Args:
            index: The index of the opener.
            now: The clock reading at which the attempt begins, in seconds; None if the attempt does not count
                towards the attempts of its route.
        """
        self.opener_index = index
        if now is not None:
            self._itinerary.note_attempt(index, now)
        if not self.has_content:
            # Otherwise, the message has the name of the route whose text it has.
            self._machine.accumulator.route = self._itinerary.name(index)
        if self._spending is not None:
            self._spending.begin(self._itinerary.prices[index], goes_on=self.mode == "resume")

    def find_cost(self) -> float | None:
        """Compute the cost of this attempt, which has ended, from its token counts; None if it is unknown.

        Reports contain the cost from then on.

        Raises:
            Exception: The caller's `price` function has raised it; this happens only once.
        """
        cost = self._itinerary.prices[self.opener_index].of(self._usage)
        self._priced_usage = self._usage
        return cost

    def end(self, error: StreamError | None, now: float) -> None:
        """Add a report on this attempt, which has ended, and let its route remember how it ended.

        Args:
            error: The error that ended the attempt; None if it succeeded.
            now: A clock reading, in seconds.
        """
        cost = self.find_cost()
        if self._spending is not None:
            self._spending.end(cost)
        self.reports.append(self.make_report(error, now))
        if error is not None or self.was_released:
            self._itinerary.note_end(self.opener_index, error, now)

    def note_hedge(
        self, loser: AttemptReport, wait: float, first_began_at: float, *, second_won: bool
    ) -> None:
        """Note that a second attempt, a hedge, was made beside the first; the winner becomes the current one.

        Args:
            loser: The report on the attempt that lost.
            wait: Seconds from the first attempt's request to the second one's.
            first_began_at: The clock reading at which the first attempt began.
            second_won: True if the second attempt is the winner.
        """
        # Both attempts count.
        self.counted = 2
        self.reports.append(loser)
        if self._spending is not None:
            self._spending.spent += loser.cost or 0.0
        if second_won:
            self.number, self.mode = 2, "hedge"
            self._wait, self._begun_at = wait, first_began_at + wait

    def note_discarded(self, *, always: bool = False) -> None:
        """Note that nothing of this attempt becomes part of the answer; the usage still includes its tokens.

        Args:
            always: True if the model has certainly written something, so that the attempt counts as one with
                an unknown usage even if the server has reported no tokens.
        """
        usage = self.hold.usage
        self._was_discarded, self._discarded_usage, self._discarded_start = True, usage, self.hold.start
        if usage or always:
            self._machine.accumulator.spend(usage)

    def find_latency(self, now: float) -> float:
        """Return the seconds from this attempt's request to its first content, which has just been read.

        Args:
            now: A clock reading, in seconds.
        """
        # What came in a race is read once the loser was closed, which may take long.
        arrived_at = now if self.content_at is None else self.content_at
        return max(0.0, arrived_at - self.begun_at)

    @property
    def begun_at(self) -> float:
        """The clock reading at which this attempt began."""
        # The first attempt began with the request, whose time only the meter knows.
        return self._begun_at or self._machine.meter.started_at

    @property
    def has_spent_all(self) -> bool:
        """True if the costs of this and all earlier attempts have reached `Retry.most`."""
        return self._spending is not None and self._spending.is_used_up(self.find_cost())

    def make_report(self, error: StreamError | None, now: float | None) -> AttemptReport:
        """Return a report on this attempt.

        Args:
            error: The error that ended the attempt; None if it succeeded or is running.
            now: A clock reading, in seconds; None while the attempt is running.
        """
        # Only a continuation has a seam, and only its report has a confidence.
        seam = self._joining.seam
        usage, head = self._usage, self._head
        # The report has a cost only once `find_cost` has computed it, for `_priced_usage`.
        return AttemptReport(
            number=self.number,
            mode=self.mode,
            error=error,
            wait=self._wait,
            began=max(0.0, self.begun_at - self._machine.meter.started_at),
            seconds=None if now is None else max(0.0, now - self.begun_at),
            usage=usage,
            id=None if head is None else head.id,
            model=None if head is None else head.model,
            confidence=None if seam is None else seam.known_confidence,
            left_out=() if self.continuation is None else tuple(sorted(self.continuation.left_out)),
            **self._itinerary.describe(self.opener_index, self._priced_usage, self._machine.format),
        )

    @property
    def _head(self) -> Message | MessageStart | Seam | Parts | None:
        """An object with the id and the model of the answer to this attempt; None if there is none."""
        if self._joining.seam is not None:
            return self._joining.seam
        if not self.was_released or self.hold.was_dropped:
            return self.hold.start
        if self._was_discarded:
            return self._discarded_start
        parts = self._machine.answer_format.parts
        # After a pause, the message keeps the head of what was before it.
        return self._machine.accumulator.message if parts.text_before is None else parts

    @property
    def _usage(self) -> Usage:
        """The token counts of this attempt; empty if the server reported none."""
        if not self.was_released or self.hold.was_dropped:
            # The message has no events of this attempt.
            return self.hold.usage
        if self._was_discarded:
            return self._discarded_usage
        return self._machine.accumulator.own_usage
