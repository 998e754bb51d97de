"""`tap`: the message of a stream that other code reads."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from tokenstream.errors import MisuseError
from tokenstream.sources._boto3 import stream_key_of
from tokenstream.sources._kinds import named
from tokenstream.stream._tap.beside import AsyncWatched, SyncWatched, Watched, can_read
from tokenstream.stream._tap.onlooker import Onlooker

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterable,
        AsyncIterator,
        Awaitable,
        Callable,
        Iterable,
        Iterator,
        Mapping,
    )
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from tokenstream.departures import Departure
    from tokenstream.errors import StreamError
    from tokenstream.formats._names import FormatName
    from tokenstream.formats.base import Format
    from tokenstream.limits import Limits
    from tokenstream.message import Message
    from tokenstream.stages._metrics import Metrics

ItemT = TypeVar("ItemT")


class _HttpxResponse(Protocol):
    """A response of httpx or httpx2, whose class does not say whether it is sync or async."""

    def iter_raw(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """Read it in a `for` loop."""
        ...

    def aiter_raw(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """Read it in an `async for` loop."""
        ...


class _Tapped(Watched[ItemT]):
    """A foreign stream with the message of what has passed through it."""

    __slots__ = ()

    _onlooker: Onlooker

    @property
    def message(self) -> Message:
        """The answer so far: an immutable value, built at each access."""
        return self._onlooker.machine.accumulator.message

    @property
    def messages(self) -> list[Message]:
        """All choices of the answer so far, by index."""
        return self._onlooker.machine.accumulator.messages

    @property
    def metrics(self) -> Metrics:
        """Timings of the answer so far."""
        return self._onlooker.machine.metrics

    @property
    def departures(self) -> Mapping[str, Departure]:
        """Departures of the server from its documentation, and the rule applied to each."""
        return self._onlooker.machine.departures

    @property
    def error(self) -> StreamError | None:
        """The error that ended the answer; kept here and never raised. None if there was none."""
        return self._onlooker.error

    def __repr__(self) -> str:
        what = f"{self._onlooker.machine.format or 'unknown format'}, {self.message.ending}"
        return f"<tap of {named(self._target)}: {what}>"


class Tap(_Tapped[ItemT], SyncWatched[ItemT]):
    """A stream read in a `for` loop, with the message of what has passed; made by `tap`.

    Iteration yields the stream's own objects. All its attributes and methods are
    available, and `with` enters and leaves it.
    """

    __slots__ = ()


class AsyncTap(_Tapped[ItemT], AsyncWatched[ItemT]):
    """A stream read in an `async for` loop, with the message of what has passed; made by `tap`.

    Iteration yields the stream's own objects. All its attributes and methods are
    available, and `async with` enters and leaves it, after awaiting it if needed.
    """

    __slots__ = ()


class _EitherTap(Tap[ItemT], AsyncTap[ItemT]):
    """A stream that has both a sync and an async interface."""

    __slots__ = ()


@overload
def tap(
    source: Iterable[ItemT],
    *,
    format: FormatName | type[Format] | Format | None = ...,
    limits: Limits | None = ...,
    started_at: float | None = ...,
    clock: Callable[[], float] = ...,
) -> Tap[ItemT]: ...
@overload
def tap(
    source: AsyncIterable[ItemT],
    *,
    format: FormatName | type[Format] | Format | None = ...,
    limits: Limits | None = ...,
    started_at: float | None = ...,
    clock: Callable[[], float] = ...,
) -> AsyncTap[ItemT]: ...
@overload
def tap(
    source: AbstractContextManager[Iterable[ItemT], bool | None],
    *,
    format: FormatName | type[Format] | Format | None = ...,
    limits: Limits | None = ...,
    started_at: float | None = ...,
    clock: Callable[[], float] = ...,
) -> Tap[ItemT]: ...
@overload
def tap(
    source: AbstractAsyncContextManager[AsyncIterable[ItemT], bool | None] | Awaitable[AsyncIterable[ItemT]],
    *,
    format: FormatName | type[Format] | Format | None = ...,
    limits: Limits | None = ...,
    started_at: float | None = ...,
    clock: Callable[[], float] = ...,
) -> AsyncTap[ItemT]: ...
@overload
def tap(
    source: _HttpxResponse,
    *,
    format: FormatName | type[Format] | Format | None = ...,
    limits: Limits | None = ...,
    started_at: float | None = ...,
    clock: Callable[[], float] = ...,
) -> Any: ...  # noqa: ANN401 - a `Tap` or an `AsyncTap`: the response's class does not tell
def tap(
    source: Any,
    *,
    format: FormatName | type[Format] | Format | None = None,
    limits: Limits | None = None,
    started_at: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Tap[Any] | AsyncTap[Any]:
    """Build the message of a stream that other code reads.

    The loop still gets the stream's own objects, and `with`, attributes and
    helper methods reach the stream; the tap adds `message`, `metrics`,
    `departures` and `error`. If the stream reads a response of httpx or httpx2,
    as in the SDKs of openai and anthropic, the tap sees every byte read from it,
    by whichever method; otherwise it sees the objects that pass through the
    loop. The tap reads and closes nothing itself, and its own errors never
    reach the loop.

    Args:
        source: A stream of an SDK, a context manager or an awaitable of one, or
            any (async) iterable of an SDK's objects, of dicts or of bytes; or a
            response of httpx or httpx2 whose body the application reads.
        format: The format's name, or a format object or class; None to detect it.
        limits: Bounds on untrusted input.
        started_at: Reading of `clock` when the request was sent.
        clock: Returns the time in seconds.

    Raises:
        MisuseError: The source cannot be looped over.

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


def _kind_of(source: Any) -> type[Tap[Any] | AsyncTap[Any]]:  # noqa: ANN401 - distinguished by its methods
    sync, asynchronous = can_read(source)
    if sync and asynchronous:
        return _EitherTap
    if sync:
        return Tap
    if asynchronous:
        return AsyncTap
    where = stream_key_of(source)
    if where is not None:
        raise MisuseError(
            f'a response of boto3 cannot be looped over: tap its stream, response["{where}"], '
            "or read it with Stream"
        )
    raise MisuseError(
        f"{named(source)} cannot be tapped: pass the stream of an SDK, its context manager or "
        "awaitable, or an iterable of its objects; was stream=True forgotten in the request?"
    )
