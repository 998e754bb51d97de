"""Responses that read, encode and send one answer for one reader, including the answer's errors."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from tokenstream.errors import MisuseError, StreamError, StreamInterrupted
from tokenstream.relay._asgi.delivery import ResponseTiming
from tokenstream.relay._asgi.opening import refusal_of
from tokenstream.relay._asgi.outlet import Outlet
from tokenstream.relay._asgi.response import response
from tokenstream.relay._asgi.writing import BodyWriter
from tokenstream.relay._batch import merge_deltas
from tokenstream.relay._events_in import EventsIn

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Mapping
    from types import TracebackType
    from typing import Self

    from tokenstream.events import Event
    from tokenstream.relay._asgi.outlet import Refusal
    from tokenstream.relay._asgi.response import Response
    from tokenstream.relay._encoders import ProtocolName
    from tokenstream.relay._shape import Shape
    from tokenstream.relay.journal import Journal
    from tokenstream.turns import Drop

_SLOW = 0.002
"""If a send takes longer than this many seconds, all events that have arrived meanwhile are batched."""


class AnswerOutlet(Outlet):
    """Supplies the chunks of an answer, which is encoded while it is read.

    Nothing is read while a chunk is being sent, so no queue grows for a slow reader:
    the events that arrived meanwhile form the next chunk, with neighbouring deltas
    merged, and a faster provider is slowed down by backpressure.

    Args:
        source: The stream or other async iterable that yields the events.
        writing: Encodes the events.
    """

    def __init__(self, source: AsyncIterable[Event], writing: BodyWriter) -> None:
        self._events = EventsIn(source)
        self._writing = writing
        self.headers = writing.headers
        self.life = writing.life
        self._chunk = b""
        """The chunk of the first event, which `open` has read."""
        self._failure: StreamError | None = None
        self._over = False
        self._given_at: float | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._events.__aenter__()
        except StreamError as error:
            self._failure = error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._failure is None:
            await self._events.__aexit__(kind, error, traceback)

    async def open(self) -> Refusal | None:
        """Wait for the first event; if the answer fails before it, return the response to send instead."""
        try:
            if self._failure is not None:
                raise self._failure
            self._chunk = b"".join(self._writing.feed([await self._events.next()]))
        except StopAsyncIteration:
            self._chunk, self._over = self._end(), True
        except StreamError as error:
            self._over = True
            late = self._writing.fail(error)
            return refusal_of(error, None if late is None else b"".join(late))
        return None

    async def __anext__(self) -> bytes:
        chunk, self._chunk = self._chunk, b""
        while not chunk and not self._over:
            chunk = await self._next_chunk()
        if not chunk:
            raise StopAsyncIteration
        self._given_at = time.monotonic()
        return chunk

    async def _next_chunk(self) -> bytes:
        """Return the chunk for the next event; after a slow send, for all events that have arrived."""
        slow = self._given_at is not None and time.monotonic() - self._given_at > _SLOW
        self._given_at = None
        try:
            event = await self._events.next()
            batch = merge_deltas([event, *await self._events.take_arrived()]) if slow else (event,)
            return b"".join(self._writing.feed(batch))
        except StopAsyncIteration:
            self._over = True
            return self._end()
        except StreamError as error:
            self._over = True
            told = self._writing.fail(error)
            if told is None:
                raise
            return b"".join(told)

    def _end(self) -> bytes:
        return b"".join(self._writing.end(self._events.ending))

    def stop(self, reason: str) -> bool:
        return self._events.stop(reason)

    def parting_chunk(self) -> bytes:
        told = self._writing.fail(StreamInterrupted("the relay's server was shut down"))
        return b"".join(told or ()) + self._writing.retry


def respond(
    stream: AsyncIterable[Event],
    *,
    protocol: ProtocolName = "tokenstream",
    open_within: float | None = 10.0,
    keep_alive: float | None = 10.0,
    grace: float = 0.0,
    headers: Mapping[str, str] | None = None,
    status: int = 200,
    ids: bool = False,
    raw: bool = False,
    shape: Shape | None = None,
    drop: Drop = "all",
    journal: Journal | None = None,
    id: str | None = None,
    owner: str | None = None,
) -> Response:
    """Return the response that sends an answer while it arrives.

    Return the response from an endpoint of Starlette, FastAPI or Litestar; elsewhere, it is an
    ASGI application for one request. It enters the stream, reads it and closes it.

    Args:
        stream: The answer.
        protocol: The name of the protocol in which to send the answer.
        open_within: Seconds to wait for the first event before the head is sent anyway; None to wait without
            limit. An answer that fails before the head gets a status for the error and a JSON body; a later
            error is sent as an event.
        keep_alive: Seconds of silence between heartbeats; None for no heartbeats.
        grace: Seconds that the answer is still read after its reader has disconnected.
        headers: Headers that extend or replace the headers of the protocol.
        status: The status if the answer begins.
        ids: Whether to number the events, from 1; in a journal they are always numbered.
        raw: Whether to send the provider's own ids, payloads, error messages and fields.
        shape: Transforms the text of each text part: a function that takes a text view and returns a
            transformed view, such as `lambda text: text.redact(pattern)`; None to send it unchanged.
        drop: Names of the kinds of content to leave out if the protocol cannot express them, or "all".
        journal: Records the answer while it streams. The answer then goes on even if its reader disconnects,
            independently of `grace`, and `follow` serves readers that reconnect. The header `x-answer-id`
            contains the answer's id, percent-encoded.
        id: The answer's id in the journal; None for a random id that cannot be guessed. If an answer with
            this id exists, it is sent, and `stream` is closed.
        owner: The answer's owner in the journal.

    Raises:
        MisuseError: The protocol is unknown; `stream` is not asynchronous; or `id` or `owner` is passed
            without a journal.

    Example:
        >>> from tokenstream import AsyncStream
        >>> async def endpoint(request: object) -> Response:
        ...     return respond(AsyncStream(["The ", "sky"], format="pieces"), protocol="ui-message")
    """
    pace = ResponseTiming(open_within, keep_alive, grace)
    if journal is not None:
        from tokenstream.relay._asgi.follow import StartOutlet

        begun = StartOutlet(
            stream, journal, id, protocol=protocol, owner=owner, raw=raw, shape=shape, drop=drop
        )
        # An id may contain any characters, but a header only some of them.
        told = {"x-answer-id": quote(begun.id, safe=""), **(headers or {})}
        return response(begun, pace=pace, status=status, headers=told)
    if id is not None or owner is not None:
        raise MisuseError("an answer has an id and an owner only in a journal: pass journal=…")
    outlet = AnswerOutlet(stream, BodyWriter(protocol, ids=ids, raw=raw, shape=shape, drop=drop))
    return response(outlet, pace=pace, status=status, headers=headers)
