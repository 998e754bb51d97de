"""The classes of sources, which unify all objects that a stream can read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

    from tokenstream._basics.loose import Action, AnyFunction
    from tokenstream._basics.request_facts import OfferedTools, RequestPair
    from tokenstream._connection.head import ResponseHead
    from tokenstream.formats._kit.answer import StageFactory
    from tokenstream.formats._registry import FormatChoice
    from tokenstream.limits import Deadlines


class ReadOptions(NamedTuple):
    """The format and the stage with which to read one source, unless the stream that reads it has its own."""

    format: FormatChoice
    """The answer's format; None to detect it."""
    make_stage: StageFactory | None
    """Creates the stage that the format's events pass through; None for no stage."""
    offered: OfferedTools | None
    """The tools that the caller of the stream named; None if none were named."""


SecondsLeft: TypeAlias = "Callable[[], float]"
"""Returns the seconds for which a request may still wait for the head of its response."""
LimitRead: TypeAlias = "Callable[[float | None], object]"
"""Limits the next read to a number of seconds; None for no limit."""
MakeAsyncSource: TypeAlias = "Callable[[Any], AsyncSource | LazySource]"
"""Makes a source of an object, such as what an awaitable or a context manager gives."""
SKIPPED = object()
"""Returned by `convert` for an item to leave out, such as a summary that an SDK has added."""


def do_nothing() -> None:
    """Do nothing: the `close` of a source without anything to close."""


def keep(item: Any) -> Any:  # noqa: ANN401 - an item of any kind
    """Return an item that stays as it is: of a buffer, which its owner may fill again, a copy."""
    return bytes(item) if item.__class__ in (bytearray, memoryview) else item


class SupportsReadLimit(Protocol):
    """Limits the seconds for which the reads of a source wait for its connection."""

    def seconds(self, own: float | None) -> float | None:
        """Return the timeout for the next wait, in seconds, at most the client's `own`; None for no limit."""

    def wait(self, stream: object, own: float | None) -> float | None:
        """Wait until a connection that several HTTP/2 answers share has data; TimeoutError if none comes.

        The result is the timeout, in seconds, with which the client then reads the data.
        """


@dataclass(slots=True, repr=False, eq=False)
class _Source:
    """A source of chunks or payloads.

    An adapter makes a source from the object that the caller passes, such as a response. The
    attributes say how the stream reads, interrupts and closes that object.
    """

    chunks: Any
    close: AnyFunction
    head: ResponseHead | None = None
    coding: str = ""
    """The content coding of the chunks, which the stream must decode; "" if there is none."""
    socket: AnyFunction | None = None
    """Returns the socket if it is used only for this body, else None; shutting it down ends a read."""
    read_deadlines: Deadlines | None = None
    """The deadlines from which the read timeout was derived; None if the client is the caller's own."""
    patience: float | None = 0.0
    """The longest silence, in seconds, that the caller's own timeouts allow; None for any, 0 without them."""
    messages: bool = False
    """True if each chunk is one whole payload, like the messages of a WebSocket."""
    limit_read: LimitRead | None = None
    """Limits the seconds of the next read; a longer read raises TimeoutError, but loses nothing.

    For an `AsyncStream`, only a source that is `instant` has it; the seconds are those of its own clock.
    """
    lent: bool = False
    """True if another object closes the connection, so that a dropped stream must leave it open."""
    asked: RequestPair | None = None
    """The address and the JSON of the request, if this library sent it."""
    convert: Callable[[Any], Any] | None = None
    """Converts an item that is not bytes to a payload or `SKIPPED`; None to use chunks unchanged."""
    reading: ReadOptions | None = None
    """The format and the stage for this source, used if the stream was given none; None for no options."""


@dataclass(slots=True, repr=False, eq=False)
class SyncSource(_Source):
    """A source of chunks or payloads for a `Stream`."""

    chunks: Iterator[Any]
    close: Action
    keep_limit: Callable[[SupportsReadLimit], object] | None = None
    """Limits the seconds of all further reads; a longer read raises a timeout, and ends the source.

    None if the reads cannot be limited.
    """
    read_ahead: Callable[[], LimitRead] | None = None
    """Starts a thread that reads a connection which several answers share; returns the new `limit_read`."""

    @property
    def reads_after_error(self) -> bool:
        """True if the rest of the body can be read after an error, without a wait that nothing limits."""
        is_list = hasattr(self.chunks, "__length_hint__")
        # What follows a message on a connection is of other answers.
        return not self.messages and (is_list or self.limit_read is not None or self.keep_limit is not None)

    def next_chunk(self, chunks: Iterator[Any], end: object) -> object:
        """Return the next chunk or payload, or `end`; items that the server has not sent are left out."""
        for item in chunks:
            if item.__class__ is bytes or self.convert is None:
                return item
            converted = self.convert(item)
            if converted is not SKIPPED:
                return converted
        return end


@dataclass(slots=True, repr=False, eq=False)
class AsyncSource(_Source):
    """A source of chunks or payloads for an `AsyncStream`."""

    chunks: AsyncIterator[Any]
    close: Callable[[], Awaitable[object]]
    instant: bool = False
    """True if all chunks are available, so that no read waits, and no read can be cancelled."""
    survives: bool = False
    """True if a cancelled read loses nothing, so that no separate task has to read."""
    enters: bool = False
    """True if a context manager was entered, which may have a cancel scope open until it is left."""
    paced: bool = False
    """True if what makes the items goes on only when one is asked for, so that none is read ahead."""

    @property
    def reads_after_error(self) -> bool:
        """True if the rest of the body can be read after an error: that of a response, or of a list."""
        return not self.messages and (self.instant or self.head is not None)

    @property
    def closes_at_once(self) -> bool:
        """True if it is certain that nothing is left to be closed; False if that is not known.

        A `close` for which it is certain has an attribute `is_over`, which is True.
        """
        return getattr(self.close, "is_over", False) is True

    async def next_chunk(self) -> object:
        """Return the next chunk or payload; raise StopAsyncIteration at the end.

        Items that the server has not sent (`SKIPPED`) are left out.
        """
        while True:
            item = await self.chunks.__anext__()
            if item.__class__ is bytes or self.convert is None:
                return item
            converted = self.convert(item)
            if converted is not SKIPPED:
                return converted


@dataclass(slots=True, repr=False, eq=False)
class LazySource:
    """A source that is opened by the first read, such as a request that has not been sent."""

    open: AnyFunction
    """Opens the source; returns a `SyncSource`, or an awaitable of an `AsyncSource`."""
    discard: Action = do_nothing
    """Discards a source that will never be opened; closes a coroutine, for example."""
    enters: bool = False
    """True if opening enters a context manager, which may have a cancel scope open until it is left."""
    socket: AnyFunction | None = None
    """Returns the socket on which opening waits for the response, or None; shutting it down ends the wait."""
    limit_open: Callable[[SecondsLeft], object] | None = None
    """Limits the waits of opening to the seconds that a function returns; a longer one raises a timeout.

    None if the waits cannot be limited, or `socket` ends them.
    """
    prepare: Action = do_nothing
    """Imports modules that opening needs, before the clock of the answer starts; never raises."""
    begins: bool = True
    """True if the answer's clock starts with this source; False if the source resumes a broken answer."""
    wait: float = 0.0
    """Seconds to wait before opening."""
    asked: RequestPair | None = None
    """The address and the JSON of the request, if this library sends it."""
    patience: float | None = 0.0
    """The longest silence that the caller's own timeouts allow, as for the source that it opens."""


OpenT = TypeVar("OpenT", SyncSource, AsyncSource)
"""An open source of either colour."""


class SourceHolder(Generic[OpenT]):
    """Holds a source in one of three states: to be opened (`lazy`), open (`source`), or closed (neither)."""

    __slots__ = ("lazy", "source")

    def set_source(self, source: OpenT | LazySource | None) -> None:
        """Hold another source, or the same one once it is open; None once it is closed."""
        self.lazy: LazySource | None = None
        self.source: OpenT | None = None
        if isinstance(source, LazySource):
            self.lazy = source
        else:
            self.source = source

    @property
    def held(self) -> OpenT | LazySource | None:
        """The source, open or not; None once it is closed."""
        return self.source or self.lazy


def open_up(source: SyncSource | LazySource) -> SyncSource:
    while isinstance(source, LazySource):
        source = source.open()
    return source


async def open_up_async(source: AsyncSource | LazySource) -> AsyncSource:
    """Open a source, and any further source that opening returns, such as a context manager's."""
    while isinstance(source, LazySource):
        source = await source.open()
    return source


def is_response_like(source: object, names: Iterable[str], status: str = "status") -> bool:
    """Return True if an object has the attributes of a library's responses, and a status that is an int."""
    # A loop, since each source is asked this a few times.
    for name in names:
        if not hasattr(source, name):
            return False
    # A mock has any attribute, but its status is not an int.
    return isinstance(getattr(source, status, None), int)


def class_name_of(source: object) -> str:
    """Return an object's class name for an error message, and for another library's class its module."""
    kind = type(source)
    is_known = kind.__module__.partition(".")[0] in ("builtins", "tokenstream")
    return kind.__qualname__ if is_known else f"{kind.__module__}.{kind.__qualname__}"
