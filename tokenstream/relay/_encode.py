"""Iterators over a stream as the bytes or the payloads of a protocol; sync or async, like the stream."""

from __future__ import annotations

from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypedDict, TypeVar, Unpack, overload

from anyio import CancelScope

from tokenstream._basics.elsewhere import OF_RELAY, explain_options
from tokenstream.errors import AnswerFailure, MisuseError
from tokenstream.relay._attribution import ending_of
from tokenstream.relay._events_in import events_of, take_kept
from tokenstream.relay._sending import EventChunks, Sending

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


class _Encoding(TypedDict, total=False):
    """The options of `encode` and `payloads`."""

    ids: bool
    raw: bool
    shape: Shape | None


class _EncodedPieces(Generic[PieceT]):
    """Base class of the iterators over an encoded answer, for both kinds of loop."""

    def __init__(self, source: Any, sending: Sending, *, joins: bool) -> None:  # noqa: ANN401 - sync or async
        self._source = source
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
            self._events = chain(take_kept(self._source), self._source)
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
            self._events = events_of(self._source)
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
    stream: EitherLoopEvents, protocol: ProtocolName = "tokenstream", **options: Unpack[_Encoding]
) -> EncodedRun[bytes]: ...
@overload
def encode(
    stream: AsyncIterable[Event], protocol: ProtocolName = "tokenstream", **options: Unpack[_Encoding]
) -> AsyncIterator[bytes]: ...
@overload
def encode(
    stream: Iterable[Event], protocol: ProtocolName = "tokenstream", **options: Unpack[_Encoding]
) -> Iterator[bytes]: ...
@explain_options(**OF_RELAY)
def encode(
    stream: Any,
    protocol: ProtocolName = "tokenstream",
    *,
    ids: bool = False,
    raw: bool = False,
    shape: Shape | None = None,
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

    Raises:
        MisuseError: The protocol is unknown or has no ids, or `stream` is not iterable.

    Example:
        >>> from tokenstream import Stream
        >>> for chunk in encode(Stream(["Hel", "lo"], format="pieces"), "text"):
        ...     print(chunk)
        b'data: Hel\n\n'
        b'data: lo\n\n'
        b'data: [DONE]\n\n'
    """
    return _make_iterator(stream, Sending(protocol, ids=ids, raw=raw, shape=shape), joins=True)


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
    return _make_iterator(stream, sending, joins=False)


def _make_iterator(source: object, sending: Sending, *, joins: bool) -> object:
    """Return the iterator, sync or async like the source, over encoded events; `joins` joins each one's."""
    is_sync, is_async = hasattr(source, "__iter__"), hasattr(source, "__aiter__")
    if is_sync or is_async:
        # The events of a run can be read in a loop of either kind.
        kind: Any = AsyncEncodedAnswer if not is_sync else EncodedRun if is_async else EncodedAnswer
        return kind(source, sending, joins=joins)
    raise MisuseError(f"{type(source).__qualname__} is not iterable: pass a stream, or an iterable of events")
