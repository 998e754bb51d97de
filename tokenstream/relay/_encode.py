"""A stream as the bytes of a protocol, or as its payloads: an iterator of the colour that the stream has."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from anyio import CancelScope

from tokenstream.errors import MisuseError, StreamError
from tokenstream.relay._sending import Sending
from tokenstream.steps._events import RunEvents

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
    from typing import Self

    from tokenstream.events import Event
    from tokenstream.message import Ending
    from tokenstream.relay._shape import Shape
    from tokenstream.turns import Drop

__all__ = ["AsyncEncoded", "Encoded", "EncodedRun", "encode", "payloads"]

PieceT = TypeVar("PieceT")


class _Pieces(Generic[PieceT]):
    """What is to be given of an answer, whichever loop reads it.

    Args:
        source: Gives the events.
        sending: Writes them.
        joins: Whether what is written for one event is one piece.
    """

    def __init__(self, source: Any, sending: Sending, *, joins: bool) -> None:  # noqa: ANN401 - of either colour
        self._source = source
        self._sending = sending
        self._joins = joins
        self._events: Any = None
        self._found: deque[PieceT] = deque()
        self._over = False

    def _take(self, event: Event) -> None:
        self._add(self._sending.take(event))

    def _end(self) -> None:
        self._over = True
        self._add(self._sending.conclude(self._ending))

    def _fail(self, error: StreamError) -> None:
        """Take the error that ends the answer.

        Raises:
            StreamError: It is that, where the protocol has no words for it.
        """
        self._over = True
        if not self._sending.protocol.has_errors:
            raise error
        self._add(self._sending.failed(error, self._ending))

    def _add(self, pieces: list[Any]) -> None:
        if self._joins and len(pieces) > 1:
            pieces = [b"".join(pieces)]
        self._found += pieces

    @property
    def _ending(self) -> Ending | None:
        """The verdict of what the events come from; None where it gives none."""
        message = getattr(self._source, "message", None)
        return getattr(message, "ending", None)


class Encoded(_Pieces[PieceT]):
    """The pieces of an answer, in a `for` loop; `close` closes what they come from."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> PieceT:
        while not self._found:
            if self._over:
                raise StopIteration
            try:
                self._read()
            except BaseException:
                self.close()
                raise
        return self._found.popleft()

    def close(self) -> None:
        """Close what the events come from; what was read of it is given still."""
        self._over = True
        close = getattr(self._source, "close", None)
        if close is not None:
            close()

    def _read(self) -> None:
        if self._events is None:
            self._events = iter(self._source)
        try:
            event = next(self._events)
        except StopIteration:
            self._end()
        except StreamError as error:
            self._fail(error)
        else:
            self._take(event)


class AsyncEncoded(_Pieces[PieceT]):
    """The pieces of an answer, in an `async for` loop; `aclose` closes what they come from."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> PieceT:
        while not self._found:
            if self._over:
                raise StopAsyncIteration
            try:
                await self._aread()
            except BaseException:
                # Whoever is cancelled does not come back to close it.
                with CancelScope(shield=True):
                    await self.aclose()
                raise
        return self._found.popleft()

    async def aclose(self) -> None:
        """Close what the events come from; what was read of it is given still."""
        self._over = True
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()

    async def _aread(self) -> None:
        if self._events is None:
            self._events = aiter(self._source)
        try:
            event = await anext(self._events)
        except StopAsyncIteration:
            self._end()
        except StreamError as error:
            self._fail(error)
        else:
            self._take(event)


class EncodedRun(Encoded[PieceT], AsyncEncoded[PieceT]):
    """The pieces of a run's events, in a loop of either colour."""


@overload
def encode(
    stream: RunEvents,
    protocol: str = "tokenstream",
    *,
    ids: bool = False,
    raw: bool = False,
    shape: Shape | None = None,
    drop: Drop = "all",
) -> EncodedRun[bytes]: ...
@overload
def encode(
    stream: AsyncIterable[Event],
    protocol: str = "tokenstream",
    *,
    ids: bool = False,
    raw: bool = False,
    shape: Shape | None = None,
    drop: Drop = "all",
) -> AsyncIterator[bytes]: ...
@overload
def encode(
    stream: Iterable[Event],
    protocol: str = "tokenstream",
    *,
    ids: bool = False,
    raw: bool = False,
    shape: Shape | None = None,
    drop: Drop = "all",
) -> Iterator[bytes]: ...
def encode(
    stream: AsyncIterable[Event] | Iterable[Event],
    protocol: str = "tokenstream",
    *,
    ids: bool = False,
    raw: bool = False,
    shape: Shape | None = None,
    drop: Drop = "all",
) -> Any:
    r"""Return an answer in the bytes of a protocol, one piece for each event, as it comes.

    An error of the stream becomes the protocol's own, and the bytes end. Closing
    the iterator, or cancelling its reader, closes the stream.

    Args:
        stream: A stream, a reader of one, the events of a run, or any iterable of events; an async one gives
            an async iterator.
        protocol: How it is written: "tokenstream" for our own events, "ndjson" for the same as JSON lines,
            or the name of a provider's format, such as "ui-message" or "openai-chat".
        ids: Whether the events are numbered, from 1, so that a reader can tell what it has.
        raw: Whether the provider's own ids, payloads, words of errors and fields are sent; they stay in
            otherwise.
        shape: What is made of the text of each text part before it is sent: a function that returns the
            text view it is given, shaped.
        drop: What to leave out that the protocol has no place for: names of kinds, or "all".

    Raises:
        MisuseError: There is no such protocol, or it has no ids; or there are no events in it.
        StreamError: From the iterator: the answer failed, and the protocol has no words for it.
        NotExpressible: From the iterator: the protocol has no place for what comes, and it is not to be left
            out.

    Example:
        >>> from tokenstream import Stream
        >>> for chunk in encode(Stream(["Hel", "lo"], format="pieces"), "text"):
        ...     print(chunk)
        b'data: Hel\n\n'
        b'data: lo\n\n'
        b'data: [DONE]\n\n'
    """
    sending = Sending(protocol, ids=ids, raw=raw, shape=shape, drop=drop)
    return _pieces(stream, sending, joins=True)


@overload
def payloads(
    stream: RunEvents,
    protocol: str = "tokenstream",
    *,
    ids: bool = False,
    raw: bool = False,
    shape: Shape | None = None,
    drop: Drop = "all",
) -> EncodedRun[dict[str, Any]]: ...
@overload
def payloads(
    stream: AsyncIterable[Event],
    protocol: str = "tokenstream",
    *,
    ids: bool = False,
    raw: bool = False,
    shape: Shape | None = None,
    drop: Drop = "all",
) -> AsyncIterator[dict[str, Any]]: ...
@overload
def payloads(
    stream: Iterable[Event],
    protocol: str = "tokenstream",
    *,
    ids: bool = False,
    raw: bool = False,
    shape: Shape | None = None,
    drop: Drop = "all",
) -> Iterator[dict[str, Any]]: ...
def payloads(
    stream: AsyncIterable[Event] | Iterable[Event],
    protocol: str = "tokenstream",
    *,
    ids: bool = False,
    raw: bool = False,
    shape: Shape | None = None,
    drop: Drop = "all",
) -> Any:
    """Return an answer as the payloads of a protocol, for whoever frames them: dicts that JSON can hold.

    It is `encode` without the borders of events: for `EventSourceResponse`, a
    message queue, or a WebSocket. A sentinel such as `[DONE]` is left out. Where an
    event has a name that its data do not say, the dict has `event` and `data`; those
    of Bedrock's are `{name: data}`, as boto3 gives them.

    Args:
        stream: As for `encode`.
        protocol: As for `encode`.
        ids: Whether they are numbered under the key `at`; for "tokenstream" alone.
        raw: As for `encode`.
        shape: As for `encode`.
        drop: As for `encode`.

    Raises:
        MisuseError: There is no such protocol, it has no ids, or no objects; or there are no events in it.

    Example:
        >>> from tokenstream import Stream
        >>> [each["type"] for each in payloads(Stream(["Hello"], format="pieces"), "ui-message")]
        ['start', 'start-step', 'text-start', 'text-delta', 'text-end', 'finish-step', 'finish']
    """
    sending = Sending(protocol, ids=ids, raw=raw, shape=shape, drop=drop, as_payloads=True)
    return _pieces(stream, sending, joins=False)


def _pieces(source: Any, sending: Sending, *, joins: bool) -> Any:  # noqa: ANN401 - of either colour
    """Return the iterator of a source, in its colour.

    Raises:
        MisuseError: Nothing can be read from it in a loop.
    """
    if isinstance(source, RunEvents):
        return EncodedRun[Any](source, sending, joins=joins)
    if hasattr(source, "__aiter__"):
        return AsyncEncoded[Any](source, sending, joins=joins)
    if hasattr(source, "__iter__"):
        return Encoded[Any](source, sending, joins=joins)
    raise MisuseError(
        f"{type(source).__qualname__} holds no events: hand over a stream, or an iterable of events"
    )
