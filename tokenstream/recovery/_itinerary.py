"""The order in which an answer is requested: with the first request, then at the routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.request_facts import model_in
from tokenstream._basics.url import server_of
from tokenstream.formats._registry import format_of_request
from tokenstream.recovery._retry import to_routes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream.formats._kit.answer import StageFactory
    from tokenstream.recovery._open import SourceOpener
    from tokenstream.recovery._retry import Retry

_ATTEMPTS, _FIRST_ATTEMPTS = 3, 2
"""Numbers of attempts with the first request, alone and with routes, unless the caller sets them."""


class Itinerary:
    """The openers of one stream, in the order in which they are used, with the attempts left for each.

    An opener opens the source of an attempt: for the first request, or for a route. Each has attempts of its
    own, and the next one follows when they are used up.
    """

    def __init__(
        self, openers: Sequence[SourceOpener], retry: Retry, now: float, make_stage: StageFactory | None
    ) -> None:
        routes, ordered = to_routes(retry.routes), [*openers]
        self.has_routes = len(openers) > 1 or openers[0].route is not None
        self.hedge_after = routes.hedge_after
        """Seconds after which a second attempt starts beside the first; None to start none."""
        if self.has_routes:
            _put_off(ordered, now)
        default = _FIRST_ATTEMPTS if self.has_routes else _ATTEMPTS
        self._allowed = list[int]()
        """Number of attempts that may be made with each opener."""
        for opener in ordered:
            self._allowed.append(opener.join(openers[0], retry, default))
        self.most_attempts = sum(self._allowed)
        """The maximum number of attempts that count."""
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

    def note_attempt(self, index: int, now: float) -> None:
        """Note that an attempt which counts towards the attempts of its opener is made now."""
        self.used[index] += 1
        route = self.openers[index].route
        if route is not None:
            route.health.begin_attempt(now)

    def describe(self, index: int, format: str | None) -> dict[str, Any]:
        """Return the fields of an `AttemptReport` that depend on the opener."""
        opener = self.openers[index]
        # Of a request that the library does not make, nothing is known.
        url, payload = opener.asked or ("", None)
        host, port = server_of(url)
        return {
            "route": self.names[index],
            "host": host,
            "port": port,
            "requested_model": model_in(payload, url),
            "format": format or format_of_request(url, opener.format),
        }

    def find_rival(self, now: float) -> int | None:
        """Return the index of the opener for a hedge: the next route, else the first again; None for none."""
        return next(filter(self.has_left, [*self.find_following(0, now), 0]), None)

    def has_left(self, index: int, *, is_free: bool = False) -> bool:
        """Return True if another attempt may be made with an opener, perhaps free of `Retry.attempts`."""
        if index in self.skipped:
            return False
        return is_free or self.used[index] < self._allowed[index]

    def allow_leg(self, index: int) -> bool:
        """Return True if a request may go on after a pause; without a number of the caller's, it adds one."""
        if not self.openers[index].counts_legs:
            self.most_attempts += 1
            self._allowed[index] += 1
        return self.has_left(index)

    def find_following(self, current: int, now: float) -> list[int]:
        """Return the indexes of the openers that may follow an opener, the best first.

        The openers after the current one come first, then those before it, which were passed over or have
        lost a race. Within both groups, routes that are out, because they have failed too often, come last:
        to try them is better than to give up.
        """
        others = filter(self.has_left, [*range(current), *range(current + 1, len(self.openers))])
        return sorted(others, key=lambda index: (index < current, _is_out(self.openers[index], now)))


def _put_off(openers: list[SourceOpener], now: float) -> None:
    """Begin with an opener that is not out for a while."""
    # Move routes that are out to the end. If all of them are, the order is that from before the loop again.
    for _ in openers:
        route = openers[0].route
        # This does not only ask, but begins the attempt: of several streams that find a route on trial, only
        # one may use it.
        may_be_used = route is None or route.health.begin_attempt(now)
        if may_be_used:
            break
        openers.append(openers.pop(0))


def _is_out(opener: SourceOpener, now: float) -> bool:
    return opener.route is not None and opener.route.health.is_out(now)
