"""Iterators over a stream as the bytes or the payloads of a protocol; sync or async, like the stream."""

from __future__ import annotations

from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypedDict, TypeVar, Unpack, cast, overload

from anyio import CancelScope

from tokenstream._basics.elsewhere import OF_RELAY, explain_options
from tokenstream.errors import AnswerFailure, MisuseError
from tokenstream.relay._asgi.delivery import Timing
from tokenstream.relay._attribution import ending_of
from tokenstream.relay._events_in import events_of, take_kept
from tokenstream.relay._sending import EventChunks, Sending
from tokenstream.stream._async_driver import AsyncDriver
from tokenstream.stream._base import StreamBase, find_driver
from tokenstream.stream._sync_driver import SyncDriver

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

    from tokenstream.events import Event
    from tokenstream.relay._encoders import ProtocolName
    from tokenstream.relay._shape import Shape

    class EitherLoopEvents(Protocol):
        """Events for a loop of either kind, such as those of a run."""

        def __iter__(self) -> Iterator[Event]: ...
        def __aiter__(self) -> AsyncIterator[Event]: ...


PieceT = TypeVar("PieceT")
_SECOND_BEAT = 1.0
"""Seconds after a heartbeat in which another one finds out whether its reader is still there."""


class _Encoding(TypedDict, total=False):
    """The options of `encode` and `payloads`."""

    ids: bool
    raw: bool
    shape: Shape | None


class _EncodingInPieces(_Encoding, total=False):
    """The options of `encode`."""

    keep_alive: float | None


class _Beats:
    """The events of a stream, and None for each silence; and what encodes them, a silence as a heartbeat.

    Args:
        keep_alive: Seconds of silence before a heartbeat.
    """

    def __init__(self, driver: Any, sending: Sending, keep_alive: float) -> None:  # noqa: ANN401 - sync or async
        self._driver, self._sending, self._keep_alive = driver, sending, keep_alive
        self._due = driver.clock() + keep_alive
        self._count = 0

    def __iter__(self) -> Self:
        iter(self._driver)
        return self

    def __aiter__(self) -> Any:  # noqa: ANN401 - of the driver
        events = aiter(self._driver)
        # On trio, a stream may have no task to read in.
        return self if self._driver.waits_in_time else events

    def __next__(self) -> Any:  # noqa: ANN401 - an event, None, or an awaitable of it
        return self._driver.next_event(self._due)

    __anext__ = __next__

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of the `Sending`
        return getattr(self._sending, name)

    def encode_event(self, event: Event | None) -> EventChunks:
        """Return the pieces of an event, or a heartbeat, after which another silence begins."""
        self._count += event is None
        pieces = [self._sending.protocol.heartbeat] if event is None else self._sending.encode_event(event)
        if pieces:
            # Heartbeats come in pairs: a connection whose reader has left may accept the first one.
            seconds = min(_SECOND_BEAT, self._keep_alive) if self._count % 2 else self._keep_alive
            self._due = self._driver.clock() + seconds
            # Also after a restart, what is sent counts as delivered.
            self._driver.readings["everything"] = True
        return pieces


class _EncodedPieces(Generic[PieceT]):
    """Base class of the iterators over an encoded answer, for both kinds of loop."""

    def __init__(self, source: Any, sending: Any, events: Any, *, joins: bool) -> None:  # noqa: ANN401 - sync or async
        self._source = source
        self._input = events
        self._sending = sending
        sending.read_from(source)
        self._joins = joins
        self._events: Any = None
        self._pieces: deque[PieceT] = deque()
        self._ended = False

    def _encode_end(self, error: AnswerFailure | None = None) -> None:
        """Encode the end of the answer, which depends on how the source ended, and queue its pieces."""
        self._ended, sending, ending = True, self._sending, ending_of(self._source)
        self._add_pieces(sending.encode_end(ending) if error is None else sending.fail(error, ending))

    def _add_pieces(self, pieces: EventChunks) -> None:
        """Queue pieces, to be returned by the next iterations; join them into one if `joins` is True."""
        if self._joins and len(pieces) > 1:
            pieces = [b"".join(pieces)]
        self._pieces += pieces


class EncodedAnswer(_EncodedPieces[PieceT]):
    """An iterator over the pieces of an answer; `close` closes the source of the events."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> PieceT:
        while not self._pieces:
            if self._ended:
                raise StopIteration
            try:
                self._encode_next()
            except BaseException:
                # No further piece can follow.
                self.close()
                raise
        return self._pieces.popleft()

    def close(self) -> None:
        """Close the source; pieces of events already read are still returned."""
        self._ended = True
        close = getattr(self._source, "close", None)
        if close is not None:
            close()

    def _encode_next(self) -> None:
        """Read one event, the end or an error from the source, and queue the encoded pieces of it."""
        if self._events is None:
            self._events = chain(take_kept(self._source), self._input)
        try:
            event = next(self._events)
        except StopIteration:
            self._encode_end()
        except AnswerFailure as error:
            self._encode_end(error)
        else:
            self._add_pieces(self._sending.encode_event(event))


class AsyncEncodedAnswer(_EncodedPieces[PieceT]):
    """An async iterator over the pieces of an answer; `aclose` closes the source of the events."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> PieceT:
        while not self._pieces:
            if self._ended:
                raise StopAsyncIteration
            try:
                await self._aencode_next()
            except BaseException:
                # The caller, if cancelled, has no occasion to close the source itself.
                with CancelScope(shield=True):
                    await self.aclose()
                raise
        return self._pieces.popleft()

    async def aclose(self) -> None:
        """Close the source; pieces of events already read are still returned."""
        self._ended = True
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()

    async def _aencode_next(self) -> None:
        """Read one event, the end or an error from the source, and queue the encoded pieces of it."""
        if self._events is None:
            self._events = events_of(self._source, self._input)
        try:
            event = await anext(self._events)
        except StopAsyncIteration:
            self._encode_end()
        except AnswerFailure as error:
            self._encode_end(error)
        else:
            self._add_pieces(self._sending.encode_event(event))


class EncodedRun(EncodedAnswer[PieceT], AsyncEncodedAnswer[PieceT]):
    """An iterator over the encoded events of a run, for a `for` or an `async for` loop."""


@overload
def encode(
    stream: EitherLoopEvents, protocol: ProtocolName = "tokenstream", **options: Unpack[_EncodingInPieces]
) -> EncodedRun[bytes]: ...
@overload
def encode(
    stream: AsyncIterable[Event], protocol: ProtocolName = "tokenstream", **options: Unpack[_EncodingInPieces]
) -> AsyncIterator[bytes]: ...
@overload
def encode(
    stream: Iterable[Event], protocol: ProtocolName = "tokenstream", **options: Unpack[_EncodingInPieces]
) -> Iterator[bytes]: ...
@explain_options(**OF_RELAY)
def encode(
    stream: Any,
    protocol: ProtocolName = "tokenstream",
    *,
    ids: bool = False,
    raw: bool = False,
    shape: Shape | None = None,
    keep_alive: float | None = 10.0,
) -> Any:
    r"""Return an iterator over an answer in the bytes of a protocol, one piece for each event.

    If the stream fails, the last piece is the protocol's own error event. What the protocol
    cannot express is left out, and logged. Closing the iterator, or cancelling its reader,
    closes the stream.

    Args:
        stream: A stream, a reader of a stream, the events of a run, or any iterable of events. If it is
            asynchronous, so is the result.
        protocol: "tokenstream" for this library's own events, "ndjson" for the same events as JSON lines, or
            another of `ProtocolName`, such as "ui-message" or "openai-chat".
        ids: True to number the events, from 1, so that a reader knows its position.
        raw: True to send the provider's own ids, payloads, error messages and fields; by default they are
            left out.
        shape: Transforms the text of each text part before it is sent: a function that takes a text view
            and returns a transformed view. None for no change.
        keep_alive: Seconds of silence before a heartbeat, if the protocol has them; None for none. In a `for`
            loop, a thread then reads the connection; a generator can't be interrupted there, and has none,
            nor has a stream on trio outside of `async with`.

    Raises:
        MisuseError: The protocol is unknown or has no ids, `keep_alive` is not positive, or `stream` is not
            iterable.

    Example:
        >>> from tokenstream import Stream
        >>> for chunk in encode(Stream(["Hel", "lo"], format="pieces"), "text"):
        ...     print(chunk)
        b'data: Hel\n\n'
        b'data: lo\n\n'
        b'data: [DONE]\n\n'
    """
    timing = Timing(keep_alive=keep_alive)
    sending = Sending(protocol, ids=ids, raw=raw, shape=shape)
    return _make_iterator(stream, sending, timing.keep_alive, joins=True)


@overload
def payloads(
    stream: EitherLoopEvents, protocol: ProtocolName = "tokenstream", **options: Unpack[_Encoding]
) -> EncodedRun[dict[str, Any]]: ...
@overload
def payloads(
    stream: AsyncIterable[Event], protocol: ProtocolName = "tokenstream", **options: Unpack[_Encoding]
) -> AsyncIterator[dict[str, Any]]: ...
@overload
def payloads(
    stream: Iterable[Event], protocol: ProtocolName = "tokenstream", **options: Unpack[_Encoding]
) -> Iterator[dict[str, Any]]: ...
@explain_options(**OF_RELAY)
def payloads(
    stream: Any,
    protocol: ProtocolName = "tokenstream",
    *,
    ids: bool = False,
    raw: bool = False,
    shape: Shape | None = None,
) -> Any:
    """Return an iterator over an answer as a protocol's payloads: dicts that can be serialized as JSON.

    This is `encode` without the framing: for `EventSourceResponse`, a message queue, or a
    WebSocket. A sentinel such as `[DONE]` is left out. If an event has a name that its
    data does not repeat, the dict has the keys `event` and `data`. Bedrock's events are
    `{name: data}`, as boto3 returns them.

    With `ids`, which "tokenstream" and "ndjson" alone have, a payload has its number under the key `at`. The
    other arguments are those of `encode`.

    Raises:
        MisuseError: The protocol is unknown, has no ids, or does not send JSON objects; or `stream` is not
            iterable.

    Example:
        >>> from tokenstream import Stream
        >>> [each["type"] for each in payloads(Stream(["Hi"], format="pieces"), "ui-message")]
        ['start', 'start-step', 'text-start', 'text-delta', 'text-end', 'finish-step', 'finish']
    """
    sending = Sending(protocol, ids=ids, raw=raw, shape=shape, as_payloads=True)
    return _make_iterator(stream, sending, None, joins=False)


def _make_iterator(source: object, sending: Sending, keep_alive: float | None, *, joins: bool) -> object:
    """Return the iterator, sync or async like the source, over encoded events; `joins` joins each one's."""
    is_sync, is_async = hasattr(source, "__iter__"), hasattr(source, "__aiter__")
    if is_sync or is_async:
        # The events of a run can be read in a loop of either kind.
        kind: Any = AsyncEncodedAnswer if not is_sync else EncodedRun if is_async else EncodedAnswer
        driver = find_driver(cast("object", source)) if isinstance(source, StreamBase) else None
        is_timed = isinstance(driver, AsyncDriver) or (
            isinstance(driver, SyncDriver) and driver.can_wait_in_time
        )
        if keep_alive and is_timed and sending.protocol.heartbeat:
            beats = _Beats(driver, sending, keep_alive)
            return kind(source, beats, beats, joins=joins)
        return kind(source, sending, source, joins=joins)
    raise MisuseError(f"{type(source).__qualname__} is not iterable: pass a stream, or an iterable of events")
