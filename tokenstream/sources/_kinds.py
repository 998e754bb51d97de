"""What a stream needs of a source: chunks, a way to close, and the head of the response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

    from tokenstream.limits import Deadlines
    from tokenstream.status import ResponseHead

__all__ = ["SKIPPED", "AsyncSource", "Deferred", "SyncSource", "do_nothing", "is_like", "named"]

SKIPPED = object()
"""Stands for an item that adds nothing to those that came."""


def do_nothing() -> None:
    """Close what needs no closing."""


@dataclass(slots=True)
class SyncSource:
    """Chunks of a body, or payloads, from where they come."""

    chunks: Iterator[Any]
    close: Callable[[], object]
    head: ResponseHead | None = None
    coding: str = ""
    """The content coding that is still on the chunks."""
    socket: Callable[[], Any] | None = None
    """Finds the socket that carries this body and no other, or None; shutting it down ends a read."""
    waits: Deadlines | None = None
    """The deadlines that the transport's read timeout stands for, where it is ours."""
    messages: bool = False
    """Whether each chunk is one whole payload: a WebSocket's messages."""
    bound: Callable[[float | None], object] | None = None
    """Says how many seconds the next read may take; then it raises TimeoutError, and nothing is lost."""
    read_ahead: Callable[[], Callable[[float | None], object]] | None = None
    """Has a thread read what others are read from as well, and returns what is `bound` then."""
    lent: bool = False
    """Whether the connection is somebody else's, who closes it: a stream that is dropped leaves it alone."""
    asked: tuple[str, object] | None = None
    """The address and the JSON of the request, where it is one of our own."""
    convert: Callable[[Any], Any] | None = None
    """Makes a payload, or `SKIPPED`, of an item that is not bytes; None where chunks are what they are."""

    def next_chunk(self, chunks: Iterator[Any], end: object) -> Any:  # noqa: ANN401 - bytes, or a payload
        """Return the next chunk or payload.

        Args:
            chunks: The chunks, or what stands around them.
            end: What to return at their end.
        """
        for item in chunks:
            if item.__class__ is bytes or self.convert is None:
                return item
            found = self.convert(item)
            if found is not SKIPPED:
                return found
        return end


@dataclass(slots=True)
class AsyncSource:
    """Chunks of a body, or payloads, from where they come asynchronously."""

    chunks: AsyncIterator[Any]
    close: Callable[[], Awaitable[object]]
    head: ResponseHead | None = None
    coding: str = ""
    """The content coding that is still on the chunks."""
    socket: Callable[[], Any] | None = None
    """Finds the socket that carries this body and no other, or None; shutting it down ends a read."""
    instant: bool = False
    """Whether all chunks are at hand, so that no read waits and none can be cancelled."""
    survives: bool = False
    """Whether a read that is cancelled loses nothing, so that the loop itself may read."""
    entered: bool = False
    """Whether a context manager was entered for it, which may hold a cancel scope until it is left."""
    waits: Deadlines | None = None
    """The deadlines that the transport's read timeout stands for, where it is ours."""
    messages: bool = False
    """Whether each chunk is one whole payload: a WebSocket's messages."""
    bound: Callable[[float | None], object] | None = None
    """Of an instant source: says how many seconds by its own clock the next read may take; then it
    raises TimeoutError, and nothing is lost."""
    lent: bool = False
    """Whether the connection is somebody else's, who closes it: a stream that is dropped leaves it alone."""
    asked: tuple[str, object] | None = None
    """The address and the JSON of the request, where it is one of our own."""
    convert: Callable[[Any], Any] | None = None
    """Makes a payload, or `SKIPPED`, of an item that is not bytes; None where chunks are what they are."""

    async def next_chunk(self) -> Any:  # noqa: ANN401 - bytes, or a payload
        """Return the next chunk or payload."""
        while True:
            item = await self.chunks.__anext__()
            if item.__class__ is bytes or self.convert is None:
                return item
            found = self.convert(item)
            if found is not SKIPPED:
                return found


@dataclass(slots=True)
class Deferred:
    """A source that is opened by the first read, such as a request that has not been sent."""

    open: Callable[[], Any]
    """Returns a `SyncSource`, or an awaitable of an `AsyncSource`."""
    discard: Callable[[], object] = do_nothing
    """Drops what will never be opened, such as a coroutine."""
    enters: bool = False
    """Whether a context manager is entered, which may hold a cancel scope until it is left."""
    socket: Callable[[], Any] | None = None
    """Finds the socket on which an answer is waited for, or None; shutting it down ends the wait."""
    prepare: Callable[[], object] = do_nothing
    """Loads what opening needs, before the clock starts; it never raises."""
    begins: bool = True
    """Whether the clock of the answer starts with it; not where it goes on with one that broke off."""
    wait: float = 0.0
    """How many seconds to wait before it is opened."""
    asked: tuple[str, object] | None = None
    """The address and the JSON of the request, where it is one of our own."""


def is_like(source: object, names: Iterable[str], status: str = "status") -> bool:
    """Tell whether something has what the responses of a library have.

    Args:
        source: Anything.
        names: What they have.
        status: What they call their status.
    """
    # What makes up any attribute that it is asked for, as mocks do, makes up no status.
    return all(hasattr(source, name) for name in names) and isinstance(getattr(source, status, None), int)


def named(source: object) -> str:
    """Return what an error's message calls something that was handed over."""
    kind = type(source)
    return f"{kind.__module__}.{kind.__qualname__}" if kind.__module__ != "builtins" else kind.__qualname__
