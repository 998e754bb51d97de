"""Responses that read, encode and send one answer for one reader, including the answer's errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote

from tokenstream._basics.elsewhere import OF_RELAY, explain_options
from tokenstream.errors import AnswerFailure, MisuseError
from tokenstream.relay._asgi.asking import AnswerSource, AskedPosition, make_source, refuse
from tokenstream.relay._asgi.delivery import TIMING, Outlet, Timing
from tokenstream.relay._asgi.follow import parse_position
from tokenstream.relay._asgi.response import make_response
from tokenstream.relay._asgi.start import StartOutlet
from tokenstream.relay._attribution import interrupt_source
from tokenstream.relay._events_in import EventsIn, close_stream
from tokenstream.relay._incident import Incident, judge_error
from tokenstream.relay._sending import Sending
from tokenstream.relay.journal._errors import JournalError, judge_failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from tokenstream._basics.waits import HeaderFields
    from tokenstream.events import Event
    from tokenstream.relay._asgi.response_type import StarletteResponse
    from tokenstream.relay._encoders import ProtocolName
    from tokenstream.relay._shape import Shape
    from tokenstream.relay.journal import Journal
    from tokenstream.stream import AsyncTextView


class _Nothing:
    """A source without events, which an outlet has until the function that makes its answer is called."""

    async def __aiter__(self) -> AsyncIterator[Event]:
        return
        yield


_NOTHING = _Nothing()


class AnswerOutlet(Outlet):
    """Supplies the chunks of an answer, which is encoded while it is read.

    Nothing is read while a chunk is being sent, so no queue grows for a slow reader:
    the events that arrived meanwhile form the next chunk, with neighbouring deltas
    merged, and a faster provider is slowed down by backpressure.
    """

    ends_by_itself, may_repeat = True, False

    def __init__(self, source: AnswerSource | AsyncTextView, writer: Sending) -> None:
        self._function = None if hasattr(source, "__aiter__") or not callable(source) else source
        """Makes the source when it is needed; None once it was called, or if the source was passed itself."""
        self._read_from(_NOTHING if self._function is not None else source, writer)
        super().__init__(writer, writer.served, writer.served.id)
        self._entry_error: AnswerFailure | None = None
        """The error with which the source could not be entered; None if it was entered."""
        self._interruption: AnswerFailure | None = None
        """The error of the server's shutdown, which has ended the answer; None if it has not."""

    def _read_from(self, source: Any, writer: Sending) -> None:  # noqa: ANN401 - refused here if it is no source
        self._events = EventsIn(source, as_text=writer.protocol.name == "text")
        writer.read_from(self._events.source)

    async def prepare(self, asked: AskedPosition) -> HeaderFields:
        """Prepare a refusal if the request wants to continue an answer, since nothing of it was kept.

        A GET that names only a position is not refused, because an application may make the same events for
        it each time.
        """
        if asked.id is not None or (asked.continues and asked.method not in ("GET", "HEAD")):
            try:
                parse_position(asked.position)
                self._refusal = refuse("not_kept")
            except JournalError as error:
                self._refusal = judge_failure(error)
        return {}

    async def __aenter__(self) -> Self:
        if self._refusal is not None:
            return self
        try:
            if self._function is not None:
                function, self._function = self._function, None
                self.served.given = function
                self._read_from(await make_source(function), self.writer)
            await self._events.__aenter__()
        except AnswerFailure as error:
            # `open` makes a refusal of it.
            self._entry_error = error
        return self

    async def __aexit__(self, *error: object) -> None:
        # With a refusal, the source was not entered, and is only closed. If entering failed, nothing is open.
        if self._refusal is not None:
            await close_stream(self._events.source)
        elif self._entry_error is None:
            await self._events.__aexit__(*error)

    async def open(self) -> Incident | None:
        """Wait for the first event of the answer; return a refusal if the answer failed before it."""
        if self._refusal is not None:
            return self._refusal
        try:
            if self._entry_error is not None:
                raise self._entry_error
            event = await self._events.next()
            self.served.begin()
            self.first_chunk = self.encode(event)
        except StopAsyncIteration as error:
            # The answer has no events.
            self.first_chunk = self.encode_end(error)
        except AnswerFailure as error:
            self.has_ended = True
            return judge_error(error)
        return None

    async def open_head(self) -> Incident | None:
        """Prepare for a HEAD request, for which the answer is not made, or is closed unread.

        The result is the refusal whose head is sent in place of the answer's.
        """
        # So it is not called: only the head was asked for.
        self._function = None
        return await super().open_head()

    def next(self) -> Awaitable[Any]:
        """Return an awaitable for the next event; after a slow send, for a list of all that have arrived."""
        return self._events.next_batch() if self.is_behind else self._events.next()

    def encode(self, arrived: Any) -> bytes | None:  # noqa: ANN401 - an event, or a list of events
        """Return the chunk for an event or for several; None for those that have no bytes in the protocol."""
        writer = self.writer
        return (
            b"".join(writer.encode_events(arrived))
            if arrived.__class__ is list
            else writer.join_event(arrived)
        ) or None

    def encode_end(self, error: Exception) -> bytes | None:
        self.has_ended = True
        if isinstance(error, StopAsyncIteration):
            return b"".join(self.writer.encode_end(self._events.ending)) or None
        if isinstance(error, AnswerFailure):
            return b"".join(self.writer.fail(error))
        # A mistake of the application's.
        raise error

    def stop(self, reason: str) -> bool:
        return self._events.stop(reason)

    def refuse(self, refusal: Incident) -> None:
        """Send a refusal; the answer's source is closed unread."""
        self._refusal, self.may_repeat = self._refusal or refusal, True

    def interrupt(self) -> bool:
        if not self.has_ended:
            self._interruption = interrupt_source(self._events.source)
        return not self.has_ended

    def shutdown_chunk(self) -> bytes:
        """Return the chunk for a server's shutdown: an error, and an instruction to reconnect."""
        if self._interruption is None or self.has_ended:
            return b""
        return b"".join(self.writer.fail(self._interruption)) + self.writer.protocol.retry


@explain_options(**OF_RELAY)
def respond(
    stream: AnswerSource | AsyncTextView,
    *,
    protocol: ProtocolName = "tokenstream",
    journal: Journal | None = None,
    id: str | None = None,
    owner: str | None = None,
    body: object = None,
    location: str | None = None,
    headers: HeaderFields | None = None,
    shape: Shape | None = None,
    timing: Timing = TIMING,
) -> StarletteResponse:
    """Return the response that sends an answer while it arrives.

    Return the response from an endpoint of Starlette, FastAPI or Litestar; elsewhere, it is an
    ASGI application for one request. It enters the stream, reads it and closes it.

    What the protocol cannot express is left out, and logged. The provider's own ids, payloads and
    error messages are never sent. The header `x-answer-id` has an id of ours, which the log has, too.

    Args:
        stream: The answer, or a function, sync or async, that makes it; for "text", also one text of a
            stream, such as `stream.answer`. If the request continues an answer, an unread stream is closed
            without being opened, and a function is not called.
        protocol: The name of the protocol in which to send the answer.
        journal: Records the answer while it streams. The answer then goes on even if its reader disconnects,
            whatever `timing.grace` is, and `follow` serves readers that reconnect. The header `location` has
            the answer's address. A request with the `x-answer-id` of an answer, percent-encoded, or with a
            position in `last-event-id`, continues that answer or is refused; with `owner` or `body`, one with
            an `idempotency-key` that was sent before gets the same answer.
        id: The answer's id in the journal; None for a random id that cannot be guessed. If an answer with
            this id exists, it is sent, and `stream` is closed. If the id is empty or longer than 256
            characters, as a client may have chosen it, the response is a 400.
        owner: The answer's owner in the journal; None for no owner.
        body: The request's body, as bytes or a JSON value: with another one, a known key is refused (422).
        location: The address at which `follow` sends the answer, in which `{id}` stands for the id; None for
            the request's own address, a slash and the id.
        headers: Headers that extend or replace the headers of the protocol; None for no others.
        shape: Transforms the text of each text part: a function that takes a text view and returns a
            transformed view, such as `lambda text: text.redact(pattern)`; None to send it unchanged.
        timing: The times for the head, for heartbeats, and for a reader that is slow or has gone.

    Raises:
        MisuseError: The protocol is unknown; `stream` is not asynchronous; `body` is no JSON value; `journal`
            is no journal; `owner` is no text; or `id`, `owner`, `body` or `location` is passed without a
            journal.

    Example:
        >>> from tokenstream import AsyncStream
        >>> async def endpoint(request: object) -> object:
        ...     return respond(AsyncStream(["The sky"], format="pieces"), protocol="ui-message")
    """
    if journal is not None:
        events: Any = stream
        recorded = StartOutlet(
            events, journal, id, protocol=protocol, owner=owner, shape=shape, body=body, location=location
        )
        return make_response(recorded, timing=timing, headers=headers)
    if id is not None or owner is not None:
        raise MisuseError("an answer has an id and an owner only in a journal: pass journal=…")
    if body is not None or location is not None:
        raise MisuseError("an answer is kept, and has an address, only in a journal: pass journal=…")
    named = (unquote(value) for name, value in (headers or {}).items() if name.lower() == "x-answer-id")
    outlet = AnswerOutlet(stream, Sending(protocol, shape=shape, id=next(named, None), names=True))
    return make_response(outlet, timing=timing, headers=headers)
