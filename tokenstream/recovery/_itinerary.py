"""The order in which an answer is requested, with the first request, then at the routes; and the request."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tokenstream._basics.request_facts import model_in
from tokenstream._basics.url import server_of
from tokenstream.formats._registry import format_of_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream.errors import StreamError
    from tokenstream.formats._kit.answer import StageFactory
    from tokenstream.recovery._decision import AttemptPlan
    from tokenstream.recovery._open import SourceOpener
    from tokenstream.recovery._retry import Retry
    from tokenstream.stream._attempts import Attempt, RequestKind
    from tokenstream.stream._reading.silence import Silence

_ATTEMPTS, _FIRST_ATTEMPTS = 3, 2
"""Numbers of attempts with the first request, alone and with routes, unless the caller sets them."""
_MOST_DEFERRED = 10
"""Number of requests, for each attempt after the first, from which on every refusal counts."""


class Itinerary:
    """The openers of one stream, in the order in which they are used, with the attempts left for each."""

    def __init__(
        self,
        openers: Sequence[SourceOpener],
        retry: Retry,
        hedge_after: float | None,
        now: float,
        make_stage: StageFactory | None,
    ) -> None:
        ordered = [*openers]
        self.has_routes = len(openers) > 1 or openers[0].route is not None
        self.hedge_after = hedge_after
        """Seconds after which a second attempt starts beside the first; None to start none."""
        # Begin with an opener that is not out for a while: routes that are out go to the end. If all of them
        # are, the order is that from before the loop again.
        for _ in openers if self.has_routes else ():
            route = ordered[0].route
            # This does not only ask, but begins the attempt: of several streams that find a route on trial,
            # only one may use it.
            if route is None or route.health.begin_attempt(now):
                break
            ordered.append(ordered.pop(0))
        default = _FIRST_ATTEMPTS if self.has_routes else _ATTEMPTS
        self._allowed = list[int]()
        for opener in ordered:
            self._allowed.append(opener.join(openers[0], retry, default))
        self.most_attempts = sum(self._allowed)
        self.openers = ordered
        """The openers; elsewhere, an opener is named by its index in this list."""
        self.names: list[str | None] = [None] * len(ordered)
        """The name of each opener for reports and messages; None if there are no routes."""
        if self.has_routes:
            self.names = [each.name for each in ordered]
        self._make_stage = make_stage
        self.used = [0] * len(ordered)
        """Number of attempts made with each opener, which sets the length of the back-off."""
        self.skipped: set[int] = set()
        """Indexes of the openers that make no further attempt: replaced, or skipped by the caller."""

    def stage_of(self, opener: SourceOpener) -> StageFactory | None:
        """Return what creates the stage for an opener's answers; its route may have markup of its own."""
        route = opener.route
        return self._make_stage if route is None or route.tags is None else route.make_stage

    def find_index(self, route: str | None) -> int:
        """Return the index of the opener with the name of a route; 0 if there is none any more."""
        return self.names.index(route) if route in self.names else 0

    def note_attempt(self, index: int, now: float) -> None:
        """Note that an attempt which counts towards the attempts of its opener is made now."""
        self.used[index] += 1
        route = self.openers[index].route
        if route is not None:
            route.health.begin_attempt(now)

    def describe(
        self, attempt: Attempt, index: int, format: str | None, times: tuple[float, float, float | None]
    ) -> dict[str, Any]:
        """Return fields of an `AttemptReport`, for the times of the first request, this one, and its end."""
        opener, (started_at, begun_at, ended_at) = self.openers[index], times
        # Of a request that the library does not make, nothing is known.
        url, payload = opener.asked or ("", None)
        host, port = server_of(url)
        return {
            "number": attempt.number,
            "mode": attempt.mode,
            "wait": attempt.wait,
            "began": max(0.0, begun_at - started_at),
            "seconds": None if ended_at is None else max(0.0, ended_at - begun_at),
            "route": self.names[index],
            "host": host,
            "port": port,
            "requested_model": model_in(payload, url),
            "format": format or format_of_request(url, opener.format),
        }

    def find_rival(self, now: float) -> int | None:
        """Return the index of the opener for a hedge: the next route, else the first again; None for none."""
        return next(filter(self.has_left, [*self.find_next(0, now, stays=False), 0]), None)

    def has_left(self, index: int, *, is_free: bool = False) -> bool:
        """Return True if another attempt may be made with an opener, perhaps free of `Retry.attempts`."""
        if index in self.skipped:
            return False
        return is_free or self.used[index] < self._allowed[index]

    def is_last(self, index: int) -> bool:
        return self.used[index] + 1 == self._allowed[index]

    def allow_leg(self, index: int) -> bool:
        """Return True if a request may go on after a pause; without a number of the caller's, it adds one."""
        if not self.openers[index].counts_legs:
            self.most_attempts += 1
            self._allowed[index] += 1
        return self.has_left(index)

    def find_next(self, current: int, now: float, *, stays: bool) -> list[int]:
        """Return the indexes of the openers that may follow an opener, which perhaps stays; the best first.

        Of the others, those after the current one come first, then those before it, which were passed over or
        have lost a race. Within both groups, routes that are out, because they have failed often, come last:
        to try them is better than to give up.
        """
        others = filter(self.has_left, [*range(current), *range(current + 1, len(self.openers))])

        def rate(index: int) -> tuple[bool, bool]:
            route = self.openers[index].route
            return index < current, route is not None and route.health.is_out(now)

        following = sorted(others, key=rate)
        return [current, *following] if stays else following


class RunningRequest:
    """The request of the current attempt: which one it is, which opener makes it, and how it ends."""

    def __init__(self, retry: Retry, itinerary: Itinerary, silence: Silence, attempt: Attempt) -> None:
        self.retry, self.itinerary, self._silence = retry, itinerary, silence
        self.again = retry.again
        """True if the answer is asked for again where it cannot go on."""
        self.attempt = attempt
        self.kind: RequestKind = "attempt"
        self.polls = 0
        """Number of polls one after the other, the last of which is this attempt; 0 for another kind."""
        self.counted, self.uncounted = 1, 0
        """Numbers of requests so far that count towards `Retry.attempts`, and of those that do not: the one
        before was refused for its prefix or for a time, or no model was asked."""
        self.opener_index, self.opener = 0, itinerary.openers[0]
        self.route = attempt.route
        self.sent = self.opener.sent
        self.is_at_limit = False
        """True if this attempt goes on with an answer that has reached its output limit."""
        self.goes_on = False
        self.begun_at = 0.0
        """The clock reading at which this attempt began; 0 for the first attempt."""
        self.error: StreamError | None = None
        self.ended_at: float | None = None

    @property
    def next_number(self) -> int:
        return self.counted + self.uncounted + 1

    def inherit(self, route: str | None, *, again: bool) -> None:
        """Stand for the attempt of an earlier process, with the number 0, at a route if that is there."""
        self.counted, self.again = 0, self.again or again
        self.go_to(self.itinerary.find_index(route), None)
        self.attempt = replace(self.attempt, number=0, route=self.route)

    def begin(self, plan: AttemptPlan, attempt: Attempt, now: float) -> float | None:
        """Make a planned attempt; return when it begins, or None if it does not count."""
        self.attempt, self.kind = attempt, plan.kind
        self.polls = self.polls + 1 if plan.kind == "poll" else 0
        self.is_at_limit = attempt.asked is not None and attempt.asked.at_limit
        self.goes_on = attempt.mode == "pause"
        self.begun_at, self.error, self.ended_at = now + attempt.wait, None, None
        if plan.is_free or plan.kind in ("poll", "document"):
            self.uncounted += 1
            return None
        self.counted += 1
        return self.begun_at

    def go_to(self, index: int, now: float | None) -> None:
        """Go to an opener, whose bounds on silence apply from now on; without a time, it counts nothing."""
        self.opener_index, self.opener = index, self.itinerary.openers[index]
        self.route = self.itinerary.names[index]
        self._silence.apply(self.opener.deadlines)
        if now is not None:
            self.itinerary.note_attempt(index, now)

    def is_deferred(self, error: StreamError, now: float) -> bool:
        """Return True if a refused request is no attempt: it may come later, and no other route is left."""
        return (
            bool(error.retry_after)
            and getattr(error, "status", 0) == 429
            and self.attempt.number < _MOST_DEFERRED * (self.itinerary.most_attempts - 1)
            and not self.itinerary.find_next(self.opener_index, now, stays=False)
        )

    def count_failed_fetch(self, error: StreamError, now: float) -> None:
        if self.itinerary.has_left(self.opener_index) and not self.is_deferred(error, now):
            self.counted, self.uncounted = self.counted + 1, self.uncounted - 1
            self.itinerary.note_attempt(self.opener_index, now)

    def begin_race(self) -> None:
        self._silence.apply(replace(self._silence.deadlines, first_event=None))

    def end_race(self, hedge: Attempt | None, began_at: float) -> None:
        self.counted = 2
        if hedge is not None:
            self.attempt, self.kind, self.begun_at = hedge, "hedge", began_at + hedge.wait

    def end(self, error: StreamError | None, now: float, *, has_answer: bool) -> None:
        self.error, self.ended_at, route = error, now, self.opener.route
        if route is not None and error is not None:
            route.health.note_failure(error, now)
        elif route is not None and has_answer:
            route.health.note_success()
