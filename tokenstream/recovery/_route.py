"""The class `Route`: a request at one provider, and what is remembered of the route's failures and speed."""

from __future__ import annotations

import math
from collections import deque
from threading import Lock
from typing import TYPE_CHECKING, Any

from tokenstream._basics.elsewhere import explain_all_options
from tokenstream._basics.url import split_url
from tokenstream._pipeline.factories import make_stage_factory
from tokenstream.errors import AnswerRejected, MisuseError
from tokenstream.limits import Deadlines, check_option, check_wait, check_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tokenstream._basics.loose import Json
    from tokenstream._providers.apis import FormatName
    from tokenstream.errors import StreamError
    from tokenstream.formats._base import Format
    from tokenstream.message import Usage
    from tokenstream.recovery._open import SourceOpener
    from tokenstream.stages._text.tags import Tags
    from tokenstream.stream._attempts import Attempt

_SHARE_OF_LAST = 0.3
"""The share of the last answer in the average of the times to the first content."""
_FAILURES, _WITHIN = 5, 60.0
"""Number of failures that take a route out, and the seconds in which they have to occur."""
_CALLERS_FAULTS = frozenset({"invalid_request", "context_length"})
"""Kinds of errors that the request has caused, and not the server."""


class RouteHealth:
    """Remembers how a route's attempts have ended, for all streams that use the route, in any thread.

    | state | changes |
    |---|---|
    | in | *out* after 5 failures within a minute |
    | out | *on trial* after `rest` seconds: the next stream that needs the route makes one attempt |
    | on trial | *in* if that attempt succeeds, else *out* again; another trial after `rest` seconds |

    Args:
        rest: Seconds for which the route is out; None to keep it in.
    """

    __slots__ = ("_failed_at", "_lock", "_out_until", "_rest", "latency")

    def __init__(self, rest: float | None) -> None:
        self._rest = rest
        self._lock = Lock()
        self._failed_at: deque[float] = deque(maxlen=_FAILURES)
        """Clock readings of the last failures."""
        self._out_until: float | None = None
        """Clock reading from which an attempt may be made; None while the route is in."""
        self.latency: float | None = None
        """Seconds from the request to the first content, averaged over the last answers; infinity if all
        attempts have failed, and None before the first one has ended."""

    def is_out(self, now: float) -> bool:
        """Return True if no attempt may be made now."""
        return self._out_until is not None and now < self._out_until

    def begin_attempt(self, now: float) -> bool:
        """Begin an attempt if one may be made now; return False if none may.

        An attempt on trial keeps other streams out until the route has worked, or `rest` has passed.
        """
        with self._lock:
            is_out = self.is_out(now)
            if self._out_until is not None and not is_out:
                self._out_until = now + (self._rest or 0.0)
            return not is_out

    def note_content(self, seconds: float) -> None:
        """Note how many seconds have passed from a request to its first content."""
        with self._lock:
            before = seconds if self.latency is None or math.isinf(self.latency) else self.latency
            self.latency = before + _SHARE_OF_LAST * (seconds - before)

    def note_success(self) -> None:
        """Note that an attempt has brought an answer to its end."""
        with self._lock:
            self._failed_at.clear()
            self._out_until = None

    def note_failure(self, error: StreamError, now: float) -> None:
        """Note that an attempt has failed; an error that the request has caused does not count."""
        if isinstance(error, AnswerRejected) or error.kind in _CALLERS_FAULTS:
            return
        with self._lock:
            if self.latency is None:
                # It was tried, so the order by latency does not begin with it any more.
                self.latency = math.inf
            self._failed_at.append(now)
            was_out = self._out_until is not None
            is_full = len(self._failed_at) == _FAILURES
            fails_often = is_full and now - self._failed_at[0] <= _WITHIN
            if self._rest is not None and (was_out or fails_often):
                self._out_until = now + self._rest


_HTTP = ("http", "https")


class Route:
    """A request at one provider, for `Retry(routes=…)` or as the first argument of `connect`.

    Unlike that of a function, the library knows the request: it can send it again, resume its answer, and
    continue another provider's answer with it, in the turns of its own API.

    A route can be shared by any number of streams. It remembers its failures, so that a provider that is
    down is left out for a while, and what `Routes.order` needs. It keeps no answers.

    Args:
        url: The endpoint.
        json: The payload; or a function that gets the `Attempt` and returns the payload, if the provider
            needs another prompt for an answer that it continues. The stream raises its exceptions as they
            are. A payload is never translated from one API to another.
        headers: The request's headers; `Idempotency-Key` gets an ending of its own for each request.
        params: The query of the URL.
        client: The client to send the request with, as for `connect`; None for a new one.
        format: The format of the answer: a name, a class or an object; None to detect it.
        attempts: Number of attempts at this route; None for 1, and for 2 if the route is asked first.
        deadlines: Bounds on silence for this route's attempts, in seconds; None for those of the stream.
            `total` is over all attempts, and so belongs to the stream.
        tags: The markup in this route's texts, as for `connect`; None for that of the stream.
        name: Name in reports; None for the host.
        price: Returns the cost of the given token counts; None for the price of `Retry.most`, or of the model
            at this address in the table of the extra `prices`.
        rest: Seconds for which the route is left out after 5 failures within a minute; then one attempt
            decides if it comes back. None to never leave it out. If all routes are out, they are asked
            nevertheless.

    Raises:
        MisuseError: An argument is not of its type.

    Example:
        >>> payload = {"model": "qwen3", "messages": [], "stream": True}
        >>> Route("http://localhost:8000/v1/chat/completions", json=payload).name
        'localhost'
    """

    __slots__ = (
        "attempts",
        "client",
        "deadlines",
        "format",
        "headers",
        "health",
        "json",
        "make_stage",
        "name",
        "params",
        "price",
        "tags",
        "url",
    )

    @explain_all_options(
        payload="it is called json=",
        timeout="deadlines=Deadlines(first_event=…) bounds the wait for the first event",
        retries="write attempts=, which counts the first request of the route, too",
        cost="it is called price=",
        retry="connect(route, retry=…) takes it",
    )
    def __init__(
        self,
        url: str,
        *,
        json: Json | Callable[[Attempt], Json],
        headers: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        params: Mapping[str, Any] | Sequence[tuple[str, Any]] | None = None,
        client: object = None,
        format: FormatName | type[Format] | Format | None = None,
        attempts: int | None = None,
        deadlines: Deadlines | None = None,
        tags: Tags | None = None,
        name: str | None = None,
        price: Callable[[Usage], float] | None = None,
        rest: float | None = 30.0,
    ) -> None:
        self.url = _check_url(url)
        self.json = json
        """The payload, or the function that returns it."""
        if isinstance(headers, str | bytes):
            raise MisuseError('headers= takes a dict, as {"authorization": "Bearer …"}, not a text')
        self.headers = headers
        self.params = params
        self.client = client
        self.format = format
        self.attempts = None if attempts is None else check_whole("attempts", attempts)
        """Number of attempts at this route; None for the default."""
        self.deadlines = _check_deadlines(deadlines)
        self.tags = tags
        """The markup in this route's texts; None for that of the stream."""
        self.make_stage = make_stage_factory(tags)
        """Creates the stage that splits this route's texts; None for that of the stream, or to split none."""
        self.name = _check_route_name(name) or str(split_url(self.url).hostname)
        """Name in reports and in `message.route`."""
        if price is not None and not callable(price):
            raise MisuseError(f"price= is a function that takes a Usage and returns a number, not {price!r}")
        self.price = price
        if rest is not None:
            check_wait("rest", rest)
        self.health = RouteHealth(rest)
        """The memory of this route's attempts: failures and speed."""

    def __repr__(self) -> str:
        return f"<Route {self.name}>"

    def make_opener(self, deadlines: Deadlines | None, *, is_async: bool) -> SourceOpener:
        """Return an opener for one stream, which sends this route's requests.

        Args:
            deadlines: The stream's bounds on silence, for a route without its own; None for the defaults.
            is_async: True for an `AsyncStream`.

        Raises:
            MisuseError: The client is of the other kind, or the format is unknown.
        """
        from tokenstream._request.again import make_route_opener

        return make_route_opener(self, deadlines, is_async=is_async)


def _check_url(url: object) -> str:
    """Return the URL of an endpoint as text; refuse anything but an http:// or https:// address."""
    text = str(url)
    parts = split_url(text)
    if parts.scheme not in _HTTP or not parts.hostname:
        # Only the scheme is quoted: any other piece may be a password, or half of one.
        scheme, has_scheme, _ = text.partition("://")
        found = f"one of {scheme}://" if has_scheme and scheme.isalnum() else "one without a scheme"
        raise MisuseError(
            "a Route takes the http:// or https:// address of its endpoint, "
            f"not {'one whose host cannot be read' if scheme in _HTTP else found}"
        )
    return text


def _check_route_name(name: object) -> str | None:
    if name is not None and (not isinstance(name, str) or not name):
        raise MisuseError(f"name= is a text, and not {name!r}")
    return name


def _check_deadlines(deadlines: Deadlines | None) -> Deadlines | None:
    """Check a route's deadlines, and return them; refuse `total`, which is a bound over all attempts."""
    check_option("deadlines", deadlines, Deadlines)
    if deadlines is not None and deadlines.total is not None:
        raise MisuseError(
            "Deadlines.total is over all attempts: give it to connect or resilient, or use Retry.within"
        )
    return deadlines
