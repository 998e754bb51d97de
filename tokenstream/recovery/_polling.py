"""Polls for an answer that its server writes in the background, or whose events may have a gap."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tokenstream._basics.backoff import wait_before
from tokenstream.errors import StreamStalled
from tokenstream.recovery._planning import AttemptPlan

if TYPE_CHECKING:
    from tokenstream._pipeline.machine import Machine
    from tokenstream.errors import StreamError
    from tokenstream.recovery._current import CurrentAttempt
    from tokenstream.recovery._itinerary import Itinerary
    from tokenstream.recovery._planning import Planner
    from tokenstream.recovery._retry import Retry

_MAX_WAIT = 30.0
"""Longest wait between two polls, in seconds."""
_MAX_SERVER_WAIT = 300.0
"""Longest wait that a server may request, in seconds."""


class Polling:
    """Plans requests for the whole of an answer that has no stream to read on.

    Such an answer runs in the background; or it was resumed by an id without an order, and has ended.

    Args:
        retry: The caller's options; without `pauses`, nothing is polled.
        machine: Reads the answer.
        itinerary: The openers, in order.
        planner: Knows if the server still writes the answer.
    """

    def __init__(
        self,
        retry: Retry,
        machine: Machine,
        current: CurrentAttempt,
        *,
        itinerary: Itinerary,
        planner: Planner,
    ) -> None:
        self._retry, self._machine = retry, machine
        self._current, self._itinerary, self._planner = current, itinerary, planner
        self._frames = 0
        """Number of payloads when the last poll was planned, to see if it has brought the answer."""
        self._polls = 0
        """Number of polls since the last one that failed."""

    def plan(self, error: StreamError, now: float) -> AttemptPlan | None:
        """Return the plan for the next poll; None if the answer is not polled.

        Args:
            error: The error that ended the current attempt; for a poll, that the answer is not complete.
            now: A clock reading, in seconds.
        """
        reader, index = self._machine.answer_format, self._current.opener_index
        # A connection may have brought the same payload as the one before, which is then dropped.
        has_answered = (reader.frames > self._frames or reader.dropped > 0) and not self._machine.refused
        if not self._is_wanted(error, has_answered=has_answered) or self._planner.find_running(error) is None:
            return None
        self._polls = self._polls + 1 if has_answered else 0
        if not has_answered and not (error.retryable and self._itinerary.has_left(index)):
            return None
        if has_answered:
            self._planner.begun_at = now
        self._frames = reader.frames
        if reader.position is None:
            # Each poll brings the whole answer, and not events that could be repeated.
            self._machine.arrivals.log = None
        # The answer is over, so the first request need not wait.
        is_over = has_answered and not reader.unfinished
        wait = 0.0 if is_over else self._find_wait(error)
        # A poll that has failed counts as an attempt, and one that brings an unfinished answer does not.
        return None if wait is None else AttemptPlan("resume", index, wait, fetches=True, polls=has_answered)

    def _is_wanted(self, error: StreamError, *, has_answered: bool) -> bool:
        """Return True if the whole of the answer is needed, and if asking for it may bring it.

        Args:
            error: The error that ended the current attempt.
            has_answered: True if that attempt has brought a payload.
        """
        reader = self._machine.answer_format
        if isinstance(error, StreamStalled) and error.limit == "total":
            return False
        if reader.unfinished:
            return self._retry.pauses > 0
        # A server that was asked for the whole answer, and has sent something else, does not have it.
        return reader.gap == "unsettled" and not (self._current.settles and has_answered)

    def _find_wait(self, error: StreamError) -> float | None:
        """Return the seconds to wait before the next poll; None if the server requests too long a wait."""
        initial = self._retry.wait
        return wait_before(
            1 + max(1, self._polls),
            error=error,
            initial=0.0 if callable(initial) else initial,
            maximum=_MAX_WAIT,
            random=random.random(),  # noqa: S311 - not a secret
            maximum_asked=_MAX_SERVER_WAIT,
        )
