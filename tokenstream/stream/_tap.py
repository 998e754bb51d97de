"""`tap`: beside a loop over somebody else's stream, the message of what passes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload

from tokenstream.errors import MisuseError
from tokenstream.sources._awaited import is_async_manager, is_awaitable, is_manager
from tokenstream.sources._boto3 import where_in
from tokenstream.sources._httpx import is_response
from tokenstream.sources._kinds import named
from tokenstream.sources._payloads import is_whole
from tokenstream.sources._plain import closed_by
from tokenstream.sources._sdk import response_beneath
from tokenstream.stream._tap_body import can_be_shown, is_asynchronous, show
from tokenstream.stream._tap_items import AsyncPassing, Passing
from tokenstream.stream._tap_onlooker import Onlooker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from types import TracebackType
    from typing import Self

    from tokenstream.departures import Departure
    from tokenstream.errors import StreamError
    from tokenstream.formats.base import Format
    from tokenstream.limits import Limits
    from tokenstream.message import Message
    from tokenstream.stages.metrics import Metrics

__all__ = ["AsyncTap", "Tap", "tap"]

ItemT = TypeVar("ItemT")

_CLOSERS = frozenset({"close", "aclose"})
_WHOLE = (bytes, bytearray, memoryview, str, Mapping)


class _Response(Protocol):
    """A response of httpx or httpx2, which does not tell in which way it is to be read."""

    def iter_raw(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """Read it in `for`."""
        ...

    def aiter_raw(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """Read it in `async for`."""
        ...


class _Beside(Generic[ItemT]):
    """A stream of somebody else's, and beside it the message of what has passed."""

    __slots__ = ("__weakref__", "_entered", "_onlooker", "_open", "_shown", "_source", "_target")

    def __init__(self, source: Any, onlooker: Onlooker) -> None:  # noqa: ANN401 - told apart by what it can do
        self._source = source
        self._target = source
        """What is read: the source, or what it gave when it was entered or awaited."""
        self._entered: Any = None
        """What was entered, and is to be left."""
        self._onlooker = onlooker
        self._open = False
        """Whether there is something that can be read."""
        self._shown: Any = None
        """The response whose body the onlooker sees, and needs no items then."""
        if any(_loops_of(source)) or _response_of(source) is not None:
            self._attach(source)

    @property
    def message(self) -> Message:
        """The answer so far: a value, built when asked, that never changes."""
        return self._onlooker.machine.accumulator.message

    @property
    def messages(self) -> list[Message]:
        """All choices of the answer so far, by index."""
        return self._onlooker.machine.accumulator.messages

    @property
    def metrics(self) -> Metrics:
        """How fast the answer came, as far as it has come."""
        return self._onlooker.machine.metrics

    @property
    def departures(self) -> Mapping[str, Departure]:
        """What the server did that its documents do not say, and the rule that was applied."""
        return self._onlooker.machine.departures

    @property
    def error(self) -> StreamError | None:
        """Why the answer did not end well; it is kept here and never raised. None where nothing is wrong."""
        return self._onlooker.error

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - what the tapped stream has
        if name in _Beside.__slots__:
            raise AttributeError(name)
        found = getattr(self._target, name)
        return self._closing(found) if name in _CLOSERS and self._shown is None else found

    def __repr__(self) -> str:
        what = f"{self._onlooker.machine.format or 'unknown format'}, {self.message.ending}"
        return f"<tap of {named(self._target)}: {what}>"

    # -- within ------------------------------------------------------------

    def _attach(self, target: Any) -> None:  # noqa: ANN401 - told apart by what it can do
        self._target, self._open = target, True
        response = _response_of(target)
        # What a context manager gives may stand on the response that is seen already.
        if response is not None and response is not self._shown and can_be_shown(response):
            self._shown = response
            show(response, self._onlooker)

    def _enter(self, entered: Any, given: Any) -> None:  # noqa: ANN401 - a context manager, and what it gave
        self._entered = entered
        if given is not self._target or not self._open:
            self._attach(given)

    def _closing(self, close: Callable[..., Any]) -> Callable[..., Any]:
        """Return a stream's own way to close it, which the onlooker is told of."""

        def closed(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - what it takes and gives
            self._onlooker.stop()
            return close(*args, **options)

        return closed

    def _opened(self, way: str) -> Any:  # noqa: ANN401 - told apart by what it can do
        """Return what is read, once there is something."""
        if not self._open:
            raise MisuseError(f"{named(self._source)} is not open yet: enter it first, with `{way}`")
        return self._target


class Tap(_Beside[ItemT]):
    """A stream that is read in `for`, and beside it the message of what has passed; made by `tap`.

    Iterating gives the stream's own objects. All its attributes and methods
    are there, and `with` enters and leaves it.
    """

    __slots__ = ()

    def __iter__(self) -> Iterator[ItemT]:
        target: Iterable[ItemT] = self._opened("with tap(…) as stream")
        items = iter(target)
        return Passing(items, self._onlooker, again=target) if self._shown is None else items

    def __next__(self) -> ItemT:
        items: Iterator[ItemT] = self._opened("with tap(…) as stream")
        return next(Passing(items, self._onlooker) if self._shown is None else items)

    def __enter__(self) -> Self:
        enter = _method(self._source, "__enter__")
        if enter is not None:
            if not self._open:
                self._onlooker.sent()
            try:
                given = enter(self._source)
            except BaseException as error:
                self._onlooker.not_opened(error)
                raise
            self._enter(self._source, given)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        left = self._entered
        try:
            if left is None:
                # A generator has no `with` of its own.
                close = getattr(self._target, "close", None)
                if callable(close):
                    close()
                return None
            suppressed: bool | None = _method(left, "__exit__")(left, kind, error, traceback)
            return suppressed
        finally:
            self._onlooker.stop()


class AsyncTap(_Beside[ItemT]):
    """A stream that is read in `async for`, and beside it the message of what has passed; made by `tap`.

    Iterating gives the stream's own objects. All its attributes and methods
    are there, and `async with` enters and leaves it, or awaits it first.
    """

    __slots__ = ()

    def __aiter__(self) -> AsyncIterator[ItemT]:
        target: AsyncIterable[ItemT] = self._opened("async with tap(…) as stream")
        items = aiter(target)
        return AsyncPassing(items, self._onlooker, again=target) if self._shown is None else items

    async def __anext__(self) -> ItemT:
        items: AsyncIterator[ItemT] = self._opened("async with tap(…) as stream")
        return await anext(AsyncPassing(items, self._onlooker) if self._shown is None else items)

    async def __aenter__(self) -> Self:
        if not self._open:
            self._onlooker.sent()
        try:
            source: Any = self._source
            enter = _method(source, "__aenter__")
            if enter is None and is_awaitable(source):
                source = await source
                self._attach(source)
                enter = _method(source, "__aenter__")
            if enter is not None:
                self._enter(source, await enter(source))
        except BaseException as error:
            self._onlooker.not_opened(error)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        left = self._entered
        try:
            if left is None:
                # An asynchronous generator has no `async with` of its own.
                await closed_by(self._target)
                return None
            suppressed: bool | None = await _method(left, "__aexit__")(left, kind, error, traceback)
            return suppressed
        finally:
            self._onlooker.stop()


class _EitherTap(Tap[ItemT], AsyncTap[ItemT]):
    """A stream that can be read in both ways, whichever its request was made for."""

    __slots__ = ()


@overload
def tap(
    source: Iterable[ItemT],
    *,
    format: str | Format | None = ...,
    limits: Limits | None = ...,
    started_at: float | None = ...,
    clock: Callable[[], float] = ...,
) -> Tap[ItemT]: ...
@overload
def tap(
    source: AsyncIterable[ItemT],
    *,
    format: str | Format | None = ...,
    limits: Limits | None = ...,
    started_at: float | None = ...,
    clock: Callable[[], float] = ...,
) -> AsyncTap[ItemT]: ...
@overload
def tap(
    source: AbstractContextManager[Iterable[ItemT], bool | None],
    *,
    format: str | Format | None = ...,
    limits: Limits | None = ...,
    started_at: float | None = ...,
    clock: Callable[[], float] = ...,
) -> Tap[ItemT]: ...
@overload
def tap(
    source: AbstractAsyncContextManager[AsyncIterable[ItemT], bool | None] | Awaitable[AsyncIterable[ItemT]],
    *,
    format: str | Format | None = ...,
    limits: Limits | None = ...,
    started_at: float | None = ...,
    clock: Callable[[], float] = ...,
) -> AsyncTap[ItemT]: ...
@overload
def tap(
    source: _Response,
    *,
    format: str | Format | None = ...,
    limits: Limits | None = ...,
    started_at: float | None = ...,
    clock: Callable[[], float] = ...,
) -> Any: ...  # noqa: ANN401 - a `Tap` or an `AsyncTap`: the response's class does not tell
def tap(
    source: Any,
    *,
    format: str | Format | None = None,
    limits: Limits | None = None,
    started_at: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Tap[Any] | AsyncTap[Any]:
    """Keep the message of a stream that somebody else reads.

    The loop goes on over the stream's own objects, and `with`, attributes and
    helper methods reach the stream; `message`, `metrics`, `departures` and
    `error` stand beside it. Where a response of httpx or httpx2 is beneath, as
    in the SDKs of openai and anthropic, whatever is read of it is seen, by
    whichever method; elsewhere, what passes through the loop is. Nothing is
    read or closed that the loop does not read or close, and no error of this
    side reaches it.

    Args:
        source: A stream of an SDK, a context manager or an awaitable of one, or
            any (async) iterable of an SDK's objects, of dicts or of bytes; or a
            response of httpx or httpx2 whose body the application reads.
        format: The format's name or a format object; None to find it out.
        limits: Bounds on untrusted input.
        started_at: Reading of `clock` when the request went out.
        clock: Where the time comes from, in seconds.

    Raises:
        MisuseError: The source is nothing that can be looped over.

    Example:
        >>> theirs = [{"choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": "stop"}]}]
        >>> for chunk in (tapped := tap(theirs)):
        ...     print(chunk is theirs[0])
        True
        >>> tapped.message.text, tapped.message.ending
        ('Hello', 'complete')
    """
    kind = _kind_of(source)
    return kind(source, Onlooker(format=format, limits=limits, started_at=started_at, clock=clock))


def _kind_of(source: Any) -> type[Tap[Any] | AsyncTap[Any]]:  # noqa: ANN401 - told apart by what it can do
    sync, asynchronous = _colours_of(source)
    if sync and asynchronous:
        return _EitherTap
    if sync:
        return Tap
    if asynchronous:
        return AsyncTap
    where = where_in(source)
    if where is not None:
        raise MisuseError(
            f'a response of boto3 is not what is looped over: tap its stream, response["{where}"], '
            "or read it with Stream"
        )
    raise MisuseError(
        f"{named(source)} is nothing that can be tapped: hand over the stream of an SDK, its context "
        "manager or awaitable, or an iterable of its objects; was stream=True forgotten in the request?"
    )


def _colours_of(source: Any) -> tuple[bool, bool]:  # noqa: ANN401 - told apart by what it can do
    """Return whether something can be read in `for`, and whether in `async for`."""
    if isinstance(source, _WHOLE) or is_whole(source):
        return False, False
    colours = _loops_of(source)
    if any(colours):
        return colours
    response = _response_of(source)
    if response is not None:
        return not is_asynchronous(response), is_asynchronous(response)
    return is_manager(source), is_async_manager(source) or is_awaitable(source)


def _loops_of(source: object) -> tuple[bool, bool]:
    # What is awaited, a future or a request of aiohttp, may be iterable, too, but only by the event loop.
    return not is_awaitable(source) and isinstance(source, Iterable), isinstance(source, AsyncIterable)


def _response_of(source: object) -> Any:  # noqa: ANN401 - httpx's or httpx2's
    return source if is_response(source) else response_beneath(source)


def _method(source: object, name: str) -> Any:  # noqa: ANN401 - a method of any kind
    """Return a method as `with` finds it, which looks at the class; None where there is none."""
    return getattr(type(source), name, None)
