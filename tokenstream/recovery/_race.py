"""The race of the first two attempts of an answer: `Retry.hedge_after`."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tokenstream.errors import StreamError
from tokenstream.stream._attempts import AttemptReport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tokenstream._pipeline.machine import Machine
    from tokenstream._sources import AsyncSource
    from tokenstream.limits import Deadlines
    from tokenstream.recovery._current import CurrentAttempt
    from tokenstream.recovery._hedge import Contender
    from tokenstream.recovery._itinerary import Itinerary
    from tokenstream.recovery._open import SourceOpener
    from tokenstream.recovery._retry import Retry
    from tokenstream.stream._attempts import Attempt


class Race:
    """Two attempts that run side by side until one brings content; that one is read.

    Args:
        retry: The caller's options.
        itinerary: The openers, in order: the second attempt is made with the next one, if there are routes.
        current: The current attempt, which becomes the winner.
        machine: The machine that reads the winner's source.
        deadlines: The stream's own bounds on silence, for attempts whose routes have none.
    """

    def __init__(
        self,
        retry: Retry,
        itinerary: Itinerary,
        current: CurrentAttempt,
        machine: Machine,
        deadlines: Deadlines,
    ) -> None:
        self._retry, self._itinerary, self._current, self._machine = retry, itinerary, current, machine
        self._deadlines = deadlines
        self.is_decided = False
        """True once one of the attempts is read."""

    async def run(self, open_first: Any, attempt: Attempt, clock: Callable[[], float]) -> AsyncSource:  # noqa: ANN401 - an awaitable's
        """Open a source, and if that brings no content for a while, a second source; return the winner.

        Args:
            attempt: The first attempt.
            clock: Returns the time in seconds.
        """
        from tokenstream.recovery._hedge import race

        openers = self._itinerary.openers
        after, began_at = self._retry.hedge_after or 0.0, clock()
        rival = self._itinerary.find_rival(began_at + after)
        if rival is None:
            # Only one attempt is allowed, so the second one never begins; the first opener stands in for its
            # opener.
            rival, after = 0, math.inf
        opener, other = openers[0], openers[rival]
        if other is not opener:
            other.succeed(opener)
        hedge = replace(attempt, number=2, mode="hedge", route=self._itinerary.name(rival))
        first = self._make_contender(opener, open_first, clock)
        second = self._make_contender(other, other.deferred(hedge).open, clock)
        winner = await race(first, second, after)
        self.is_decided = True
        self._current.content_at = winner.ended_at if winner.has_content else None
        if second.begun:
            loser, second_won = (first, True) if winner is second else (second, False)
            self._itinerary.note_attempt(rival, began_at + after)
            self._note_loser(loser, rival, second_won=second_won, began_at=began_at, now=clock())
            if second_won and other is not opener:
                # Another provider's answer may be in another format.
                self._machine.wanted = other.format
                self._machine.connect(None)
                self._current.begin_route(rival, None)
        return winner.make_source()

    def _make_contender(
        self,
        opener: SourceOpener,
        open_source: Callable[[], Awaitable[AsyncSource]],
        clock: Callable[[], float],
    ) -> Contender:
        """Return one of the two attempts, ready to run, with the format and the deadlines of its opener.

        Args:
            opener: The opener that made `open_source`.
            open_source: Opens the attempt's source, once the attempt runs.
            clock: Returns the time in seconds.
        """
        from tokenstream.recovery._hedge import Contender

        # The total is over all attempts, so the stream keeps it.
        deadlines = replace(opener.deadlines or self._deadlines, total=None)
        return Contender(open_source, opener.format, self._machine.limits, deadlines, clock)

    def _note_loser(
        self, loser: Contender, rival: int, *, second_won: bool, began_at: float, now: float
    ) -> None:
        """Add a report on the losing attempt, and make the winner the current attempt.

        The loser's usage is a minimum, because the provider may have gone on writing.

        Args:
            rival: The index of the second attempt's opener.
            second_won: True if the winner is the second attempt.
            began_at: The clock reading at which the first attempt began.
            now: A clock reading, in seconds.
        """
        # The second attempt began when the first had brought no content for that long.
        wait = self._retry.hedge_after or 0.0
        ended_at = now if loser.ended_at is None else loser.ended_at
        opener_index = 0 if second_won else rival
        report = self._report_loser(loser, opener_index, ended_at)
        if not second_won:
            # The loser is the second attempt, so it gets the number and the times of a second attempt.
            began = max(0.0, began_at + wait - self._machine.meter.started_at)
            seconds = max(0.0, ended_at - began_at - wait)
            report = replace(report, number=2, mode="hedge", wait=wait, began=began, seconds=seconds)
        self._current.note_hedge(report, wait, began_at, second_won=second_won)
        error = report.error
        if error is None:
            # The loser's first content would have taken at least that long.
            self._itinerary.note_content(opener_index, report.seconds or 0.0)
        else:
            self._itinerary.note_end(opener_index, error, ended_at)
            have_same_opener = rival == 0
            if not error.retryable and not have_same_opener:
                # An opener of both attempts is not skipped, because it may have served the winner.
                self._itinerary.skip(opener_index)
        self._machine.accumulator.spend(loser.usage.model_copy(update={"source": "partial"}))

    def _report_loser(self, loser: Contender, opener_index: int, ended_at: float) -> AttemptReport:
        """Return a report on the losing attempt, as if it were the first: with its number and its times."""
        return AttemptReport(
            number=1,
            mode="start",
            # Without an error, the loser was only slower.
            error=loser.error if isinstance(loser.error, StreamError) else None,
            seconds=max(0.0, ended_at - self._machine.meter.started_at),
            usage=loser.usage,
            id=loser.message.id,
            model=loser.message.model,
            **self._itinerary.describe(opener_index, loser.usage, loser.answered_in),
        )
