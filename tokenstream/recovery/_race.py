"""The race of the first two attempts of an answer: `Retry.hedge_after`."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from tokenstream.errors import StreamError
from tokenstream.recovery._log_lines import log_hedge
from tokenstream.stream._attempts import AttemptReport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tokenstream._sources import AsyncSource
    from tokenstream.limits import Deadlines
    from tokenstream.recovery._current import CurrentAttempt
    from tokenstream.recovery._hedge import Contender
    from tokenstream.recovery._open import SourceOpener
    from tokenstream.stream._attempts import Attempt


async def run_race(
    current: CurrentAttempt,
    deadlines: Deadlines,
    open_first: Any,  # noqa: ANN401 - an awaitable's
    attempt: Attempt,
    clock: Callable[[], float],
) -> AsyncSource:
    """Open a source, and if that brings no content for a while, a second source; return the winner.

    Two attempts run side by side until one brings content. The second one is made with the next opener, if
    there are routes.

    Args:
        current: The current attempt, which becomes the winner.
        deadlines: The stream's own bounds on silence, for attempts whose routes have none.
        open_first: Opens the first attempt's source.
        attempt: The first attempt.
        clock: Returns the time in seconds.
    """
    from tokenstream.recovery._hedge import race

    openers = current.itinerary.openers
    after, began_at = current.retry.hedge_after or 0.0, clock()
    rival = current.itinerary.find_rival(began_at + after)
    if rival is None:
        # Only one attempt is allowed, so the second one never begins; the first opener stands in for its
        # opener.
        rival, after = 0, math.inf
    opener, other = openers[0], openers[rival]
    if other is not opener:
        other.succeed(opener)
    hedge = replace(attempt, number=2, mode="hedge", route=current.itinerary.names[rival])
    first = _make_contender(current, deadlines, opener, open_first, clock)
    open_second = partial(log_hedge, current.machine, other.name, after, other.deferred(hedge).open)
    second = _make_contender(current, deadlines, other, open_second, clock)
    winner = await race(first, second, after)
    current.end_race(winner.ended_at if winner.has_content else None)
    if second.begun:
        loser, second_won = (first, True) if winner is second else (second, False)
        current.itinerary.note_attempt(rival, began_at + after)
        _note_loser(current, loser, rival, second_won=second_won, began_at=began_at, now=clock())
        if second_won and other is not opener:
            # Another provider's answer may be in another format.
            current.machine.expect_format(other.format, current.itinerary.stage_of(other))
            current.machine.connect(None)
            current.begin_route(rival, None)
    return winner.make_source()


def _make_contender(
    current: CurrentAttempt,
    deadlines: Deadlines,
    opener: SourceOpener,
    open_source: Callable[[], Awaitable[AsyncSource]],
    clock: Callable[[], float],
) -> Contender:
    """Return one of the two attempts, ready to run, with the format and the deadlines of its opener.

    Args:
        deadlines: The stream's own bounds on silence, for an opener that has none.
        opener: The opener that made `open_source`.
        open_source: Opens the attempt's source, once the attempt runs.
        clock: Returns the time in seconds.
    """
    from tokenstream.recovery._hedge import Contender

    # The total is over all attempts, so the stream keeps it.
    own = replace(opener.deadlines or deadlines, total=None)
    return Contender(open_source, opener.format, current.machine.limits, own, clock)


def _note_loser(
    current: CurrentAttempt, loser: Contender, rival: int, *, second_won: bool, began_at: float, now: float
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
    wait = current.retry.hedge_after or 0.0
    ended_at = now if loser.ended_at is None else loser.ended_at
    opener_index = 0 if second_won else rival
    report = _report_loser(current, loser, opener_index, ended_at)
    if not second_won:
        # The loser is the second attempt, so it gets the number and the times of a second attempt.
        began = max(0.0, began_at + wait - current.machine.meter.started_at)
        seconds = max(0.0, ended_at - began_at - wait)
        report = replace(report, number=2, mode="hedge", wait=wait, began=began, seconds=seconds)
    current.note_hedge(report, wait, began_at, second_won=second_won)
    error = report.error
    if error is None:
        # The loser's first content would have taken at least that long.
        current.itinerary.note_content(opener_index, report.seconds or 0.0)
    else:
        current.itinerary.note_end(opener_index, error, ended_at)
        have_same_opener = rival == 0
        if not error.retryable and not have_same_opener:
            # An opener of both attempts is not skipped, because it may have served the winner.
            current.itinerary.skip(opener_index)
    current.machine.accumulator.spend(loser.usage.model_copy(update={"source": "partial"}))


def _report_loser(
    current: CurrentAttempt, loser: Contender, opener_index: int, ended_at: float
) -> AttemptReport:
    """Return a report on the losing attempt, as if it were the first: with its number and its times."""
    return AttemptReport(
        number=1,
        mode="start",
        # Without an error, the loser was only slower.
        error=loser.error if isinstance(loser.error, StreamError) else None,
        seconds=max(0.0, ended_at - current.machine.meter.started_at),
        usage=loser.usage,
        id=loser.message.id,
        model=loser.message.model,
        cost=current.itinerary.prices[opener_index].of(loser.usage),
        **current.itinerary.describe(opener_index, loser.answered_in),
    )
