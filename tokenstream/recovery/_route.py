"""The class `Route`: a request at one provider, and what is remembered of the route's failures and speed."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import TYPE_CHECKING, Any, SupportsIndex

from tokenstream._basics.elsewhere import UnsupportedUse, explain_all_options
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
    from tokenstream.recovery._retry import Opens
    from tokenstream.stages._text.tags import Tags
    from tokenstream.stream._attempts import Attempt

_FAILURES, _WITHIN = 5, 60.0
"""Number of failures that take a route out, and the seconds in which they have to occur."""
_CALLERS_FAULTS = frozenset({"invalid_request", "context_length"})
"""Kinds of errors that the request has caused, and not the server."""


class RouteHealth:
    """Remembers how a route's attempts have ended, for all streams of this process that use the route.

    In a fleet, each process learns alone; a gateway, which sees all requests, learns for all of them.

    | state | changes |
    |---|---|
    | in | *out* after 5 failures within a minute |
    | out | *on trial* after `rest` seconds: the next stream that needs the route makes one attempt |
    | on trial | *in* if that attempt succeeds, else *out* again; another trial after `rest` seconds |

    Args:
        rest: Seconds for which the route is out; None to keep it in.
    """

    def __init__(self, rest: float | None) -> None:
        self._rest = rest
        self._lock = Lock()
        self._failed_at: deque[float] = deque(maxlen=_FAILURES)
        self._out_until: float | None = None
        """Clock reading from which an attempt may be made; None while the route is in."""

    def __reduce__(self) -> tuple[type[RouteHealth], tuple[float | None]]:
        # Another process has seen nothing of the route yet.
        return RouteHealth, (self._rest,)

    def is_out(self, now: float) -> bool:
        return self._out_until is not None and now < self._out_until

    def begin_attempt(self, now: float) -> bool:
        """Begin an attempt if one may be made now, which keeps others out on trial; else return False."""
        with self._lock:
            is_out = self.is_out(now)
            if self._out_until is not None and not is_out:
                self._out_until = now + (self._rest or 0.0)
            return not is_out

    def note_success(self) -> None:
        with self._lock:
            self._failed_at.clear()
            self._out_until = None

    def note_failure(self, error: StreamError, now: float) -> None:
        """Note that an attempt has failed; an error that the request has caused does not count."""
        if isinstance(error, AnswerRejected) or error.kind in _CALLERS_FAULTS:
            return
        with self._lock:
            self._failed_at.append(now)
            was_out = self._out_until is not None
            is_full = len(self._failed_at) == _FAILURES
            fails_often = is_full and now - self._failed_at[0] <= _WITHIN
            if self._rest is not None and (was_out or fails_often):
                self._out_until = now + self._rest


_HTTP = ("http", "https")


class Route:
    """A request at one provider, for `Retry(routes=…)` or as the first argument of `connect`.

    With an address, the library knows the request: it can send it again, resume its answer, and
    continue another provider's answer with it, in the turns of its own API. With `open`, a function
    makes it, such as the call of an SDK.

    A route can be shared by any number of streams. It remembers its failures in this process, so that a
    provider that is down is left out for a while. It keeps no answers.

    Args:
        url: The endpoint, which may have a query; left out with `open`.
        json: The payload; or a function that gets the `Attempt` and returns the payload, if the provider
            needs another prompt for an answer that it continues. The stream raises its exceptions as they
            are. A payload is never translated from one API to another.
        headers: The request's headers; `Idempotency-Key` gets an ending of its own for each request.
        open: Returns a source, as for `resilient`, in place of a request of the library's.
        client: The client to send the request with, as for `connect`; None for a new one.
        format: The format of the answer: a name, a class or an object; None to detect it.
        attempts: Number of attempts at this route; None for 1, and for 2 if the route is asked first.
        deadlines: Bounds on silence for this route's attempts, in seconds; None for those of the stream.
            `total` is over all attempts, and so belongs to the stream.
        tags: The markup in this route's texts, as for `connect`; None for that of the stream.
        name: Name in reports; None for the host, or the function's name.
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

    @explain_all_options(
        payload="it is called json=",
        timeout="deadlines=Deadlines(first_event=…) bounds the wait for the first event",
        retries="write attempts=, which counts the first request of the route, too",
        cost="it is called price=",
        retry="connect(route, retry=…) takes it",
        params="write the query into the URL",
    )
    def __init__(
        self,
        url: str | None = None,
        *,
        json: Json | Callable[[Attempt], Json] = None,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        open: Opens | None = None,  # noqa: A002 - as for `resilient`
        client: object = None,
        format: FormatName | type[Format] | Format | None = None,
        attempts: int | None = None,
        deadlines: Deadlines | None = None,
        tags: Tags | None = None,
        name: str | None = None,
        price: Callable[[Usage], float] | None = None,
        rest: float | None = 30.0,
    ) -> None:
        self.open = open
        self.url = _check_url(url) if open is None else _check_function(url, open, json, headers, client)
        if open is None and json is None:
            raise MisuseError("a Route to an address takes its payload: Route(url, json=payload)")
        self.json = json
        if isinstance(headers, str | bytes):
            raise MisuseError('headers= takes a dict, as {"authorization": "Bearer …"}, not a text')
        self.headers = headers
        self.client = client
        self.format = format
        self.attempts = None if attempts is None else check_whole("attempts", attempts)
        check_option("deadlines", deadlines, Deadlines)
        if deadlines is not None and deadlines.total is not None:
            raise MisuseError(
                "Deadlines.total is over all attempts: give it to connect or resilient, or use Retry.within"
            )
        self.deadlines = deadlines
        self.tags = tags
        self.make_stage = make_stage_factory(tags)
        """Creates the stage that splits this route's texts; None for that of the stream, or to split none."""
        given: Any = name
        if given is not None and (not isinstance(given, str) or not given):
            raise MisuseError(f"name= is a text, and not {given!r}")
        self.name = name or split_url(self.url).hostname or name_of(open)
        if price is not None and not callable(price):
            raise MisuseError(f"price= is a function that takes a Usage and returns a number, not {price!r}")
        self.price = price
        if rest is not None:
            check_wait("rest", rest)
        self.health = RouteHealth(rest)

    def __repr__(self) -> str:
        return f"<Route {self.name}>"

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> str | tuple[Any, ...]:
        if self.client is not None:
            raise UnsupportedUse(
                f"the Route {self.name} cannot be copied or pickled, because its client= has connections: "
                "leave the client out, or make the route in each process"
            )
        return super().__reduce_ex__(protocol)

    def make_opener(self, deadlines: Deadlines | None, *, is_async: bool) -> SourceOpener:
        """Return an opener for one stream, whose bounds on silence count for a route without its own."""
        if self.open is None:
            from tokenstream._request.again import make_route_opener

            return make_route_opener(self, deadlines, is_async=is_async)
        from tokenstream.recovery._open import AsyncOpener, SyncOpener

        opener = (AsyncOpener if is_async else SyncOpener)(self.open, self.format)
        opener.take_route(self)
        return opener


def name_of(opens: object) -> str:
    return getattr(opens, "__name__", "") or type(opens).__name__


def _check_function(url: object, opens: object, *of_request: object) -> str:
    """Check what is given beside a function that makes the request; return its URL, which is not known."""
    if not callable(opens):
        raise MisuseError(f"open= is a function that opens a source, and not {type(opens).__name__}")
    if url is not None or any(each is not None for each in of_request):
        raise MisuseError(
            "open= makes the request itself: leave out the address, json=, headers= and client="
        )
    return ""


def _check_url(url: object) -> str:
    """Return the URL of an endpoint as text; refuse anything but an http:// or https:// address."""
    if url is None or callable(url):
        raise MisuseError("write Route(url, json=payload), or for a function Route(open=ask)")
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
