"""Openers, which open the source of an attempt with the caller's function or a request of the library."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tokenstream._basics.url import server_of
from tokenstream._sources.awaited import from_awaitable
from tokenstream._sources.causes import raise_converted
from tokenstream._sources.failures import opening_error
from tokenstream._sources.find import async_source, sync_source
from tokenstream._sources.kinds import AsyncSource, LazySource, SyncSource, do_nothing
from tokenstream.errors import MisuseError, PositionLost
from tokenstream.recovery._purse import Purse
from tokenstream.recovery._route import Route, name_of
from tokenstream.stream import AsyncStream, Stream
from tokenstream.stream._continuation import Prefix
from tokenstream.stream._handover import is_stream, take_request
from tokenstream.stream._prices import NO_PRICE, Price, price_in_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import Action
    from tokenstream._basics.overlap import Prefill
    from tokenstream._basics.request_facts import RequestPair
    from tokenstream._connection.head import ResponseHead
    from tokenstream.formats._registry import FormatChoice
    from tokenstream.limits import Deadlines
    from tokenstream.message import Message
    from tokenstream.recovery._retry import Opens, Retry
    from tokenstream.recovery._spending import Spending
    from tokenstream.stream._attempts import Attempt
    from tokenstream.stream._options import Options
    from tokenstream.stream._pauses import PausedAnswer

_POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)
_OTHER_ANSWER = "the server sends another answer than the one it was to go on with"
_REREADABLE = frozenset({bytes, str, list, tuple, dict})


class SourceOpener(ABC):
    """Opens the source of each attempt at a server, by the caller's function or by a request."""

    is_async = False
    replays = False
    """True if the request is a GET, so that a server that numbers its events may replay the answer."""
    prefills: Prefill | None = None
    """The caller's `prefill` option, which says that the server continues a prefix; None if not set."""
    makes_request = False
    """True if the library makes the request, and so follows the mode of each attempt."""
    enters = True
    """True if the source may be a context manager, which must be entered."""
    prepare: Action = staticmethod(do_nothing)
    """Imports the modules that opening needs, before the timing starts."""
    asked: RequestPair | None = None
    """The URL and the JSON of the last request; None if the library does not make the request."""
    sent_request: RequestPair | None = None
    """The same with what a continuation has added to the JSON; None before there is another request."""
    route: Route | None = None
    """The caller's route whose sources this opener opens; None for the first request if that is no route."""
    counts_legs = False
    """True if the caller has set the number of attempts, so that requests after pauses count, too."""
    deadlines: Deadlines | None = None
    """Bounds on silence for this opener's attempts; None for those of the stream."""
    patience: float | None = 0.0
    """The longest silence that the timeouts of its request allow; None for any, 0 if they are not known."""
    price = NO_PRICE
    """The price of its requests: of the route, else of the purse; with `Retry.most`, else of the table."""
    reserve: Callable[[SourceOpener, Attempt], Any] | None = None
    """Reserves what an attempt may cost before its request is sent, and returns 0, or the seconds to wait for
    room; an awaitable for an `AsyncStream`. None without `Retry.most`."""

    def __init__(self, opens: Opens, format: FormatChoice) -> None:
        self._opens: Callable[..., Any] = opens
        self.format = format
        self.sent: set[int] = set()
        """The numbers of the attempts whose requests were sent, by any opener: their reports have begun."""
        self.takes_attempt = self.makes_request or takes_attempt(opens, is_async=self.is_async)
        """True if the function takes the attempt, which has the position from which to resume."""
        self._prefix_refused = False
        self._last_source: object = SourceOpener
        """The source of the previous attempt; before the first attempt, this class, which is no source."""

    def take_route(self, route: Route) -> None:
        """Use `route` from now on: report its name, and apply its deadlines to each attempt."""
        self.route, self.deadlines = route, route.deadlines

    def join(self, first: SourceOpener, retry: Retry, default: int) -> int:
        """Open sources of the stream that begins with `first`; return the number of attempts to be made."""
        given, route = retry.attempts if first is self else None, self.route
        price = retry.most.price if isinstance(retry.most, Purse) else None
        if route is not None:
            given, price = given or route.attempts, route.price or price
        if price is not None:
            self.price = Price(price)
        self.prefills, self.sent, self.counts_legs = retry.seam.prefill, first.sent, given is not None
        return given or (default if first is self else 1)

    def bound_costs(self, spending: Spending) -> None:
        """Reserve what each attempt may cost from now on; refuse a request without a price."""
        spending.check(self)
        if spending.most is not None and not self.price.is_given:
            self.price = price_in_table(self)
        self.reserve = spending.reserve_async if self.is_async else spending.reserve

    @property
    def name(self) -> str:
        """The name in reports: that of the route, else the host of the request or the function's name."""
        if self.route is not None:
            return self.route.name
        host = None if self.asked is None else server_of(self.asked[0])[0]
        return host or name_of(self._opens)

    def look_ahead(self, attempt: Attempt, *, is_other: bool) -> None:  # noqa: B027 - nothing, by default
        """Prepare to be asked about an attempt that may be made; an opener of requests reads its payload."""

    def succeed(self, previous: SourceOpener) -> None:  # noqa: B027 - nothing, by default
        """Take over what the next request needs from the opener of the attempt before, perhaps this one."""

    def why_not(self, message: Message, limit_left: int | None) -> str | None:
        """Return the reason why no request can continue an answer; None if a request can."""
        only_whole = (
            "its open takes no attempt, and so can only ask for all of it: Retry(again=True) does that"
        )
        return None if self.takes_attempt else only_whole

    def why_paused(self, paused: PausedAnswer) -> str | None:
        """Return the reason why no request goes on with a paused answer; None if one does."""
        if not self.takes_attempt:
            return "open takes no attempt, and so cannot make the request that goes on"
        return paused.why_not(None)

    def can_fetch(self, message: Message) -> bool:
        return False

    def cancel(self, answer_id: str) -> LazySource | None:
        """Return a source that cancels an answer when it is opened; None if the library makes no requests."""
        return None

    def prefix(self, message: Message) -> Prefix | None:
        """Return the fields that send the answer so far as a prefix; None if a user's turn asks on."""
        # `prefills` is the caller's `prefill` option, which says that the server continues a prefix.
        return None if self._prefix_refused or not self.prefills else prefix_from_caller(self.prefills)

    def stop_prefixes(self, *, known: bool) -> None:
        """Stop sending prefixes, also in other streams if the refusal is `known` to be permanent."""
        self._prefix_refused = True

    def limit(self, format: str | None) -> int | None:
        """Return the output limit of the first request, in tokens; None if no limit is known."""
        # The limit is in the request, which only an opener that makes the requests itself knows.
        return None

    @abstractmethod
    def lazy(self, attempt: Attempt) -> LazySource:
        """Return the source of an attempt, which the first read opens after the wait."""

    def _call_open(self, attempt: Attempt) -> Any:  # noqa: ANN401 - any source
        """Call the caller's function, and return its source; one that was read already is a mistake."""
        source: Any = self._opens(attempt) if self.takes_attempt else self._opens()
        if source is self._last_source and type(source) not in _REREADABLE:
            raise MisuseError(
                f"open returned the same {type(source).__name__} as for the attempt before, "
                "which has been read: open a new one each time"
            )
        self._last_source = source
        return source


class SyncOpener(SourceOpener):
    def lazy(
        self,
        attempt: Attempt,
        wait: float | None = None,
        request: Any = None,  # noqa: ANN401 - the library's own, which waits for room in a purse
    ) -> LazySource:
        # The caller's function may itself return sources that are still to be opened.
        inner_sources: list[LazySource] = []
        limits: list[Callable[[], float]] = []

        def open_source() -> SyncSource | LazySource:
            """Open the attempt's source; one that is to be opened later has no room in a purse yet."""
            nonlocal request
            try:
                # A function may send its request at once; the library's own is sent below.
                if self.makes_request and request is None:
                    request = self._call_open(attempt)
                if self.reserve is not None and (seconds := self.reserve(self, attempt)) > 0:
                    # Not this source again: it would refer to itself.
                    return self.lazy(attempt, seconds, request)
                self.sent.add(attempt.number)
                source = request if self.makes_request else self._call_open(attempt)
                while not isinstance(source, SyncSource):
                    if not isinstance(source, LazySource):
                        source = find_sync_source(source)
                        continue
                    # Kept for `find_socket`, with which another thread can end the wait for the response.
                    inner_sources.append(source)
                    if limits and source.limit_open is not None:
                        source.limit_open(limits[-1])
                    source = source.open()
                if attempt.mode == "resume" and sends_other_answer(source.head, attempt):
                    source.close()
                    raise PositionLost(_OTHER_ANSWER)
            except Exception as error:  # noqa: BLE001 - raised as one of our errors
                raise_converted(opening_error(error))
            return source

        def find_socket() -> Any:  # noqa: ANN401 - a socket of any kind
            find = inner_sources[-1].socket if inner_sources else None
            return None if find is None else find()

        return LazySource(
            open_source,
            socket=find_socket,
            limit_open=limits.append,
            prepare=self.prepare,
            begins=attempt.mode == "start" and wait is None,
            wait=attempt.wait if wait is None else wait,
            asked=self.asked,
            patience=self.patience,
        )


class AsyncOpener(SourceOpener):
    """Opens the sources of an `AsyncStream`; the wait before an attempt is part of the opening."""

    is_async = True

    def lazy(self, attempt: Attempt) -> LazySource:
        async def open_source() -> AsyncSource:
            if attempt.wait > 0:
                from anyio import sleep

                await sleep(attempt.wait)
            try:
                # A function may send its request at once; the library's own is sent below.
                source: Any = self._call_open(attempt) if self.makes_request else None
                while self.reserve is not None and (wait := await self.reserve(self, attempt)) > 0:
                    from anyio import sleep

                    await sleep(wait)
                self.sent.add(attempt.number)
                source = source if self.makes_request else self._call_open(attempt)
                while not isinstance(source, AsyncSource):
                    # The caller's function may have returned a source that is still to be opened.
                    is_lazy = isinstance(source, LazySource)
                    source = await source.open() if is_lazy else find_async_source(source)
                if attempt.mode == "resume" and sends_other_answer(source.head, attempt):
                    await source.close()
                    raise PositionLost(_OTHER_ANSWER)
            except Exception as error:  # noqa: BLE001 - raised as one of our errors
                raise_converted(opening_error(error))
            return source

        return LazySource(
            open_source,
            enters=self.enters,
            prepare=self.prepare,
            begins=attempt.mode == "start",
            wait=attempt.wait,
            asked=self.asked,
            patience=self.patience,
        )


def find_sync_source(opened: object) -> SyncSource | LazySource:
    """Return the source for what the caller's function returned, which may be an unread `connect(…)`."""
    return take_request(opened, Stream) if is_stream(opened) else sync_source(opened)


def find_async_source(opened: object) -> AsyncSource | LazySource:
    if is_stream(opened):
        return take_request(opened, AsyncStream)
    if inspect.iscoroutine(opened):
        # An `async def` may return an unread `aconnect(…)` as well.
        return from_awaitable(opened, find_async_source)
    return async_source(opened)


def sends_other_answer(head: ResponseHead | None, attempt: Attempt) -> bool:
    """Return True if a relay was asked to resume an answer, and responds with another one."""
    if attempt.answer_id is None or head is None or head.refuses:
        return False
    named = head.headers.get("x-answer-id")
    if named is None:
        # In our own protocol, the first event names the answer, even where a proxy removes the header.
        return attempt.message.format != "tokenstream"
    return unquote(named) != attempt.answer_id


def prefix_from_caller(prefill: Prefill) -> Prefix:
    """Return the prefix to send to a server about which only the caller's `prefill` option is known."""
    return Prefix(echoes=True if prefill == "echo" else None, known=False)


def takes_attempt(opens: Opens, *, is_async: bool) -> bool:
    function: Any = opens
    if not callable(function):
        raise MisuseError(
            f"open= is a function that opens a source, and not {type(function).__name__}: pass lambda: … or "
            "def open(attempt)"
        )
    if not is_async and inspect.iscoroutinefunction(function):
        raise MisuseError(
            "open is an async def, whose result a Stream cannot await: use aresilient or aconnect, "
            "or a plain def"
        )
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        # A function written in C may have no signature.
        return False
    # A function that needs one argument gets the attempt.
    if not _accepts(signature):
        # None stands for the attempt here.
        if _accepts(signature, None):
            return True
        raise MisuseError("open= takes the attempt as its one argument, or none at all")
    # The function needs no argument. A parameter with a default, such as `client=client`, is not meant
    # for the attempt, unless the parameter's name says so.
    positional = [each for each in signature.parameters.values() if each.kind in _POSITIONAL]
    first = positional[0] if positional else None
    return first is not None and (first.name == "attempt" or first.kind is first.VAR_POSITIONAL)


def _accepts(signature: inspect.Signature, *arguments: object) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def make_opener(kind: type[SourceOpener], opens: Opens | Route, options: Options) -> SourceOpener:
    if not isinstance(opens, Route):
        return kind(opens, options.format)
    if options.format is not None:
        raise MisuseError("a Route has the format of its answers: give format= to Route(…) instead")
    return opens.make_opener(options.deadlines, is_async=kind.is_async)
