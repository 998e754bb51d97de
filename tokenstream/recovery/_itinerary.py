"""The order in which an answer is requested: with the first request, at the routes, with the fallbacks."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, TypedDict

from tokenstream._basics.request_facts import model_in
from tokenstream._basics.url import server_of
from tokenstream.errors import MisuseError
from tokenstream.formats._registry import format_of_request
from tokenstream.recovery._spending import Price
from tokenstream.stream._prices import find_tariff

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokenstream.formats._kit.answer import StageFactory
    from tokenstream.message import Usage
    from tokenstream.recovery._open import SourceOpener
    from tokenstream.recovery._retry import Retry

_FIRST_ATTEMPTS = 2
"""Number of attempts at the first of several routes, unless the caller sets it."""

_FREE = Price(None)
"""The price of what is no route."""


class RouteFacts(TypedDict):
    """The fields of an `AttemptReport` that depend on the opener."""

    route: str | None
    host: str | None
    port: int | None
    requested_model: str | None
    format: str | None


class Itinerary:
    """The openers of one stream, in the order in which they are used, with the attempts left for each.

    An opener opens the source of an attempt: for the first request, for a route, or for a fallback. Without
    routes, all openers share the attempts of `Retry.attempts`, and each failure moves on to the next one.
    With routes, each opener has attempts of its own, and the next opener follows when they are used up.

    Args:
        openers: The first opener, then those of the routes, then those of the fallbacks.
        retry: The caller's options.
        now: A clock reading, in seconds.
        make_stage: Creates the stage that splits the texts of the stream; None for no stage.

    Raises:
        MisuseError: There are too few attempts for the fallbacks.
    """

    def __init__(
        self,
        openers: Sequence[SourceOpener],
        retry: Retry,
        now: float,
        make_stage: StageFactory | None = None,
    ) -> None:
        self.has_routes = bool(retry.routes) or openers[0].route is not None
        ordered, budget = [*openers], retry.budget
        if self.has_routes:
            _set_attempts(ordered, retry)
            ordered = _sort(ordered, retry, now)
        elif budget < len(ordered):
            raise MisuseError(
                f"attempts={budget} never reaches the last of {len(retry.fallback)} fallbacks: "
                "each failed attempt moves on to the next one"
            )
        else:
            for opener in ordered:
                opener.set_attempts(retry.attempts, 1)
        self.openers = ordered
        """The openers; elsewhere, an opener is named by its index in this list."""
        self.names: list[str | None] = [None] * len(ordered)
        """The name of each opener for reports and messages; None if there are no routes."""
        self.prices = [_FREE] * len(ordered)
        """The price of each opener's route; with `Retry.most`, else the one of the table."""
        if self.has_routes:
            self.names = [each.name for each in ordered]
            self.prices = [_FREE if each.route is None else Price(each.route.price) for each in ordered]
        self.most_attempts = sum(each.attempts for each in ordered) if self.has_routes else budget
        """The maximum number of attempts that count."""
        self._make_stage = make_stage
        self._used = [0] * len(ordered)
        """Number of attempts made with each opener."""
        self._skipped: set[int] = set()
        """Indexes of the openers that make no further attempt: they were skipped, or serve only once."""

    def has_price(self, index: int) -> bool:
        """Return True if the caller has given the price of an opener's route."""
        route = self.openers[index].route
        return route is not None and route.price is not None

    def take_prices(self) -> None:
        """Take the prices that the caller does not give from the table, for a bound on them."""
        for index, opener in enumerate(self.openers):
            if not self.has_price(index):
                self.prices[index] = Price(partial(_find_cost, opener))

    def stage_of(self, opener: SourceOpener) -> StageFactory | None:
        """Return what creates the stage for an opener's answers; its route may have markup of its own."""
        route = opener.route
        return self._make_stage if route is None or route.tags is None else route.make_stage

    def note_attempt(self, index: int, now: float) -> None:
        """Note that an attempt which counts towards the attempts of its opener is made now."""
        self._used[index] += 1
        if self.openers[index].serves_once:
            self._skipped.add(index)
        route = self.openers[index].route
        if route is not None:
            route.health.begin_attempt(now)

    def describe(self, index: int, format: str | None) -> RouteFacts:
        """Return the fields of a report that depend on the opener."""
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
        """Return the index of the opener for a hedge, an attempt that runs beside the first attempt.

        It is the next opener if there are routes, and otherwise the first one again. The result is None if no
        second attempt may be made.
        """
        following = self.find_following(0, now) if self.has_routes else []
        return next((index for index in [*following, 0] if self.has_left(index)), None)

    def skip(self, index: int) -> None:
        """Make no further attempt with an opener: another one has replaced it, or the caller skips it."""
        self._skipped.add(index)

    def used(self, index: int) -> int:
        """Return the number of attempts so far with an opener, which sets the length of the back-off.

        Without routes, the attempts of all openers count.
        """
        return self._used[index] if self.has_routes else sum(self._used)

    def has_left(self, index: int, *, is_free: bool = False) -> bool:
        """Return True if another attempt may be made with an opener, perhaps free of `Retry.attempts`."""
        if index in self._skipped:
            return False
        if is_free:
            return True
        if self.has_routes:
            return self._used[index] < self.openers[index].attempts
        return sum(self._used) < self.most_attempts

    def allow_leg(self, index: int) -> bool:
        """Return True if a request may go on after a pause; without a number of the caller's, it adds one."""
        opener = self.openers[index]
        if not opener.counts_legs:
            self.most_attempts += 1
            opener.attempts += 1
        return self.has_left(index)

    def find_following(self, current: int, now: float) -> list[int]:
        """Return the indexes of the openers that may follow an opener, the best first.

        Without routes, that is at most the next one. With routes, the openers behind the current one come
        first, then those before it, which were passed over or have lost a race. Within both groups, routes
        that are out, because they have failed too often, come last: to try them is better than to give up.
        """
        if not self.has_routes:
            return [*filter(self.has_left, range(current + 1, len(self.openers)))][:1]
        following = [index for index in range(len(self.openers)) if index != current and self.has_left(index)]
        return sorted(following, key=lambda index: (index < current, _is_out(self.openers[index], now)))


def _find_cost(opener: SourceOpener, usage: Usage) -> float | None:
    """Return the cost of token counts by the table; None if it has no price."""
    tariff = find_tariff(opener.asked, opener.format)
    return None if tariff is None else tariff.find_cost(usage)


def _set_attempts(openers: list[SourceOpener], retry: Retry) -> None:
    """Set the number of attempts of each opener; only for an itinerary with routes."""
    own = [None if opener.route is None else opener.route.attempts for opener in openers]
    openers[0].set_attempts(retry.attempts or own[0], _FIRST_ATTEMPTS)
    for opener, attempts in zip(openers[1:], own[1:], strict=True):
        opener.set_attempts(attempts, 1)


def _sort(openers: list[SourceOpener], retry: Retry, now: float) -> list[SourceOpener]:
    """Return the openers in the order that the caller wants, beginning with one that may be used now.

    A route that has failed too often is out for a while, and so may not be used.
    """
    key = _KEYS.get(retry.order)
    # Fallbacks, of which nothing is known, stay at the end.
    count = len(openers) - len(retry.fallback)
    routes, fallbacks = openers[:count], openers[count:]
    if key is not None:
        routes.sort(key=key)
    # Move routes that are out to the end. If all of them are, the order is that from before the loop again.
    for _ in routes:
        route = routes[0].route
        # This does not only ask, but begins the attempt: of several streams that find a route on trial, only
        # one may use it.
        may_be_used = route is None or route.health.begin_attempt(now)
        if may_be_used:
            break
        routes.append(routes.pop(0))
    return [*routes, *fallbacks]


def _is_out(opener: SourceOpener, now: float) -> bool:
    """Return True if an opener's route has failed too often to be used now."""
    return opener.route is not None and opener.route.health.is_out(now)


def _latency_of(opener: SourceOpener) -> float:
    """Return a route's seconds to the first content; 0 if they were never measured, so that it is tried."""
    latency = None if opener.route is None else opener.route.health.latency
    return 0.0 if latency is None else latency


def _last_worked(opener: SourceOpener) -> float:
    """Return the clock reading at which a route worked last, negated so that the latest one sorts first.

    A first request that is not a `Route` stays first, because nothing is remembered of it.
    """
    return -math.inf if opener.route is None else -opener.route.health.worked_at


_KEYS: dict[str, Callable[[SourceOpener], float]] = {"latency": _latency_of, "last": _last_worked}
"""The keys by which `Retry.order` sorts; "given" has none."""
