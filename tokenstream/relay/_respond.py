"""One answer to one reader over ASGI: it is read, encoded, and told where it fails."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from tokenstream.errors import MisuseError, StreamError, StreamInterrupted
from tokenstream.relay._batch import merged
from tokenstream.relay._delivery import Pace
from tokenstream.relay._events_in import EventsIn
from tokenstream.relay._opening import refusal_of
from tokenstream.relay._outlet import Outlet
from tokenstream.relay._response import response
from tokenstream.relay._writing import Body

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Mapping
    from types import TracebackType
    from typing import Self

    from tokenstream.events import Event
    from tokenstream.relay._outlet import Refusal
    from tokenstream.relay._response import Response
    from tokenstream.relay._shape import Shape
    from tokenstream.relay.journal import Journal
    from tokenstream.turns import Drop

__all__ = ["AnswerOutlet", "respond"]

_SLOW = 0.002
"""Seconds that sending may take before what has come meanwhile is taken together."""


class AnswerOutlet(Outlet):
    """Gives an answer in the bytes of a protocol, while it is read.

    Nothing is read while a chunk is being sent. So no queue grows for a slow
    reader: what has come meanwhile is the next chunk, and neighbouring deltas in it
    are one; a provider that sends faster than that has to wait.

    Args:
        source: The events.
        writing: Writes them.
    """

    def __init__(self, source: AsyncIterable[Event], writing: Body) -> None:
        self._events = EventsIn(source)
        self._writing = writing
        self.headers = writing.headers
        self.life = writing.life
        self._chunk = b""
        """What was read while the answer was being opened."""
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
        slow = self._given_at is not None and time.monotonic() - self._given_at > _SLOW
        self._given_at = None
        try:
            event = await self._events.next()
            batch = merged([event, *await self._events.come()]) if slow else (event,)
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

    def parting(self) -> bytes:
        told = self._writing.fail(StreamInterrupted("the server of the relay was ended"))
        return b"".join(told or ()) + self._writing.retry


def respond(
    stream: AsyncIterable[Event],
    *,
    protocol: str = "tokenstream",
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
    """Return the response that sends an answer on while it comes.

    An endpoint of Starlette, FastAPI or Litestar returns it; anywhere else it is an
    ASGI application, for one request. It enters the stream, reads it and closes it.

    Args:
        stream: The answer.
        protocol: The name of the protocol in which it is sent.
        open_within: Seconds that the first event may take before the head is sent all the same. A failure by
            then is a status of its own, with a body of JSON; later it is an event. None to wait without end.
        keep_alive: Seconds of silence between signs of life; None for none.
        grace: Seconds that the answer is read on for after its reader has gone.
        headers: Headers beside those of the protocol, or in their place.
        status: The status of an answer that begins.
        ids: Whether the events are numbered, from 1; in a journal they always are.
        raw: Whether the provider's own ids, payloads, words of errors and fields are sent.
        shape: What is made of the text of each text part: a function that returns the text view it is given,
            shaped, such as `lambda text: text.redact(pattern)`.
        drop: What to leave out that the protocol has no place for: names of kinds, or "all".
        journal: Writes the answer down while it comes: it goes on when its reader has gone, whatever `grace`
            says, and `follow` gives it to who comes back. The header `x-answer-id` has its id, written as in
            an address.
        id: The id of the answer in the journal; None for one that nobody can guess. Where it is taken, the
            answer that has it is sent, and this one is closed.
        owner: Whose the answer is in the journal.

    Raises:
        MisuseError: There is no such protocol; or it is no asynchronous stream; or an id without a journal.

    Example:
        >>> from tokenstream import AsyncStream
        >>> async def endpoint(request: object) -> Response:
        ...     return respond(AsyncStream(["The ", "sky"], format="pieces"), protocol="ui-message")
    """
    pace = Pace(open_within, keep_alive, grace)
    if journal is not None:
        from tokenstream.relay._follow import StartOutlet

        begun = StartOutlet(
            stream, journal, id, protocol=protocol, owner=owner, raw=raw, shape=shape, drop=drop
        )
        # An id may have any characters, and a header may not.
        told = {"x-answer-id": quote(begun.id, safe=""), **(headers or {})}
        return response(begun, pace=pace, status=status, headers=told)
    if id is not None or owner is not None:
        raise MisuseError("an answer has an id and an owner in a journal only: pass journal=…")
    outlet = AnswerOutlet(stream, Body(protocol, ids=ids, raw=raw, shape=shape, drop=drop))
    return response(outlet, pace=pace, status=status, headers=headers)
