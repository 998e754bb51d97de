"""Responses: ASGI applications that send one answer over HTTP, as Starlette's if Starlette is imported."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, TypeAlias

from anyio import Event, move_on_after, sleep

from tokenstream._values.error_kinds import ERROR_KINDS
from tokenstream.errors import MisuseError, TokenStreamError
from tokenstream.relay._asgi.asking import read_asked
from tokenstream.relay._asgi.delivery import TIMING, Delivery, Outlet, Timing, check_timing
from tokenstream.relay._asgi.refusals import RawHeaders, WholeResponse, encode_headers, make_refusal, quote_id
from tokenstream.relay._asgi.shutdown import abort_connection, find_drain
from tokenstream.relay._events_in import SLOW_SEND
from tokenstream.relay._incident import Incident

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from tokenstream._basics.waits import HeaderFields
    from tokenstream.relay._asgi.response_type import StarletteResponse

Scope: TypeAlias = "MutableMapping[str, Any]"
ASGIMessage: TypeAlias = "MutableMapping[str, Any]"
Receive: TypeAlias = "Callable[[], Awaitable[ASGIMessage]]"
Send: TypeAlias = "Callable[[ASGIMessage], Awaitable[None]]"
Head: TypeAlias = "tuple[int, RawHeaders]"
MakeHead: TypeAlias = "Callable[[], Head]"

_MIN_PAUSE, _MAX_PAUSE = 0.01, 1.0
"""The shortest and the longest pause, in seconds, between two checks whether a heartbeat is due."""
_LAST_CHUNK_SECONDS = 0.5
"""The seconds allowed for sending the last chunk while the server shuts down."""
_CLIENT_CLOSED_REQUEST = Incident("closed", "reader", 499, "")
"""The record of a client that has disconnected, as in the logs of nginx; only middleware sees its status."""
_SHUT_DOWN = Incident(
    "shutdown", "relay", 503, ERROR_KINDS["shutdown"].refusal, retryable=True, retry_after=1.0
)
"""The failure of an answer that has not begun when the server shuts down."""


class HTTPDelivery(Delivery):
    """Sends the chunks of an outlet as one HTTP response.

    The task that sends the answer and the task that sends heartbeats never interleave: each waits
    until the other has sent its whole message.
    """

    def __init__(
        self, outlet: Outlet, make_head: MakeHead, timing: Timing, receive: Receive, send: Send
    ) -> None:
        super().__init__(timing, receive, send)
        self._outlet, self._make_head = outlet, make_head
        self._head_begun = False
        self._heartbeat_sent: Event | None = None
        """Set when the current heartbeat was sent; None while no heartbeat is being sent."""
        self._end_begun = False
        """True once sending the last message has begun; nothing may follow it."""

    # -- sending -------------------------------------------------------------

    async def _deliver(self) -> None:
        """Send all chunks of the outlet, or the response that replaces an answer that never began."""
        if self._came_late:
            self._outlet.refuse(_SHUT_DOWN)
        try:
            async with self._outlet as outlet:
                refusal = await outlet.open()
                if refusal is None:
                    await self._send_chunks()
                else:
                    await self._send_refusal(refusal)
        except Exception as error:
            incident = self._outlet.served.report_bug(error)
            is_over = self._disconnected or self._end_begun or self._is_sending
            # Before the head, the framework may have a response for an exception of the application's.
            if not is_over and (self._head_begun or isinstance(error, MisuseError)):
                await self._send_failure(incident)
            raise

    async def _send_chunks(self) -> None:
        """Send all chunks of the outlet, and the end of the response."""
        outlet = self._outlet
        if outlet.first_chunk is not None and not self._disconnected:
            await self._send_chunk(outlet.first_chunk)
        while not outlet.has_ended:
            try:
                chunk = outlet.encode(await outlet.next())
            except (StopAsyncIteration, TokenStreamError) as error:
                if self.shutting_down:
                    # The answer was ended before its task was cancelled: `_conclude` sends the last chunk.
                    return
                chunk = outlet.encode_end(error)
            # After a disconnect, the answer is still read for the grace period.
            if chunk is None or self._disconnected:
                continue
            if self._head_begun and self._heartbeat_sent is None:
                # Most chunks: this does what `_send_chunk` does, without the cost of its coroutines.
                began = self._send_began = time.monotonic()
                try:
                    await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
                except OSError:
                    self._note_disconnect()
                self._note_sent(began)
            else:
                await self._send_chunk(chunk)
        if not self._disconnected:
            await self._send_chunk(b"", more=False)

    async def _send_chunk(self, chunk: bytes, *, more: bool = True) -> None:
        """Send a chunk of the answer; first wait for a heartbeat that is being sent."""
        waited = self._heartbeat_sent is not None
        if self._heartbeat_sent is not None:
            await self._heartbeat_sent.wait()
        await self._write(chunk, more=more)
        # More may have arrived while the heartbeat was being sent.
        self._outlet.is_behind |= waited

    async def _write(self, chunk: bytes, *, more: bool = True) -> None:
        if self._head_begun:
            await self._send_part(None, chunk, more=more)
        else:
            # The body begins with a heartbeat, so that its first bytes arrive together with the head.
            head, outlet = self._make_head(), self._outlet
            outlet.served.note_head(head[0], outlet.answer_id)
            await self._send_part(head, outlet.heartbeat + chunk, more=more)

    async def _send_part(self, head: Head | None, body: bytes, *, more: bool) -> None:
        self._end_begun = not more
        began = self._send_began = time.monotonic()
        try:
            if head is not None:
                self._head_begun = True
                status, headers = head
                await self._send({"type": "http.response.start", "status": status, "headers": headers})
            await self._send({"type": "http.response.body", "body": body, "more_body": more})
        except OSError:
            # From ASGI 2.4 on, servers report a client that has disconnected with this exception.
            self._note_disconnect()
        self._note_sent(began)

    def _note_sent(self, began: float) -> None:
        """Note that a part was sent, and if its reader is slow: sending it `began` at that clock reading."""
        self._send_began, self._sent_at = None, time.monotonic()
        self._outlet.is_behind = self._sent_at - began > SLOW_SEND

    async def _send_refusal(self, refusal: Incident) -> None:
        if self._heartbeat_sent is not None:
            await self._heartbeat_sent.wait()
        self._outlet.served.report_incident(refusal, None if self._disconnected else refusal.status)
        if not self._disconnected:
            await self._send_failure(refusal)

    async def _send_failure(self, incident: Incident) -> None:
        """Send a failure as the whole response; after the head, as the protocol's event, which ends it."""
        if self._head_begun:
            await self._send_chunk(self._outlet.encode_refusal(incident), more=False)
        else:
            await self._send_complete(incident)

    async def _send_complete(self, refusal: Incident) -> None:
        status, headers, body = make_refusal(refusal, self._outlet.served, self._outlet.writer.protocol.name)
        await self._send_part((status, headers), body, more=False)

    # -- the other tasks -------------------------------------------------------

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._note_disconnect()

    async def _stay_alive(self) -> None:
        """Send the head if no event arrives in time; later, send a heartbeat after each period of silence."""
        keep_alive, heartbeat = self._timing.keep_alive, self._outlet.heartbeat
        sends_heartbeats = bool(keep_alive and heartbeat)
        open_within = self._timing.open_within
        head_due = None if open_within is None else time.monotonic() + open_within
        while not (self._disconnected or self._end_begun):
            if self._head_begun and not sends_heartbeats:
                # Nothing is left for this task to send.
                break
            # The next thing to send: before the head, the head; after it, a heartbeat.
            due = self._sent_at + (keep_alive or 0.0) if self._head_begun else head_due
            wait = _MAX_PAUSE if due is None else due - time.monotonic()
            # While a part of the answer is being sent, nothing else may be sent: look again later.
            if wait > 0 or self._is_sending:
                # If the head is sent during the pause, the first heartbeat is due `keep_alive` seconds later.
                await sleep(min(max(wait, _MIN_PAUSE), keep_alive or _MAX_PAUSE))
            else:
                await self._send_heartbeat(heartbeat if self._head_begun else b"")

    async def _send_heartbeat(self, heartbeat: bytes) -> None:
        """Send a heartbeat, or only the head if it is empty; the task that sends the answer waits."""
        self._heartbeat_sent = Event()
        try:
            await self._write(heartbeat)
        finally:
            self._heartbeat_sent.set()
            self._heartbeat_sent = None

    # -- ending ----------------------------------------------------------------

    def _stop_source(self, reason: str) -> bool:
        return self._outlet.stop(reason)

    def choose_drain(self) -> float | None:
        return self._timing.drain if self._outlet.ends_by_itself else 0.0

    def _interrupt_source(self) -> bool:
        return not self._end_begun and self._outlet.interrupt()

    async def _conclude(self) -> None:
        """Send the last chunk if the server shuts down.

        A status is sent even if the reader disconnected before the head, because middleware requires one.
        """
        if self.shutting_down:
            await self._send_last_chunk()
        if self._disconnected and not self._head_begun:
            # Middleware requires a head, though nobody reads it.
            with move_on_after(_LAST_CHUNK_SECONDS):
                await self._send_complete(_CLIENT_CLOSED_REQUEST)

    async def _send_last_chunk(self) -> None:
        """Send the last chunk on shutdown; if it cannot be sent in time, abort the connection.

        The last chunk cannot be sent while an earlier chunk is being sent to a reader that does not read.
        Nothing is sent if the answer has ended already.
        """
        # While the last chunk is being sent, `_end_begun` and `_is_sending` are both True.
        already_ended = self._end_begun and not self._is_sending
        if self._disconnected or already_ended:
            return
        # An earlier chunk, or a heartbeat, is still being sent: its reader does not read.
        stuck = self._is_sending
        if not stuck:
            with move_on_after(_LAST_CHUNK_SECONDS) as scope:
                if self._head_begun:
                    await self._write(self._outlet.shutdown_chunk(), more=False)
                else:
                    was_asked = not self._outlet.may_repeat
                    await self._send_complete(_SHUT_DOWN._replace(was_asked=was_asked))
            stuck = scope.cancelled_caught
        if stuck:
            # The server would wait for a reader that does not read.
            abort_connection(self._receive, self._send)


class Response:
    """An answer as an ASGI application, for one request.

    `relay.respond` and `relay.follow` return a `Response`. Return it from an endpoint of
    Starlette, FastAPI or Litestar; elsewhere call it.

    Args:
        outlet: Supplies the chunks.
        headers: Headers that extend or replace those of the protocol; None for no others.

    Raises:
        MisuseError: From a call: the response was called before, or for something other than HTTP.
    """

    def __init__(
        self, outlet: Outlet, *, timing: Timing = TIMING, headers: HeaderFields | None = None
    ) -> None:
        all_headers = {**outlet.headers, **(headers or {})}
        self._outlet: Outlet | None = outlet
        self._timing = check_timing(timing)
        outlet.take_drain(self._timing.drain)
        # The public attributes have the names of Starlette's.
        self.status_code = 200
        self.raw_headers = encode_headers({name.lower(): value for name, value in all_headers.items()})
        self.media_type: str | None = None
        # FastAPI stores an endpoint's background tasks here.
        self.background: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - frameworks differ in their types
        """Send the answer.

        Args:
            scope: The request's ASGI scope.
            receive: The ASGI callable `receive`.
            send: The ASGI callable `send`.

        Raises:
            MisuseError: The answer was sent already, or the scope is not an HTTP request's.
        """
        if scope["type"] != "http":
            # The answer was not touched, so a later call may still send it.
            raise MisuseError(
                f"a relay answers requests over HTTP, and this is {scope['type']!r}: call it in an "
                "endpoint, and take relay.websocket() for WebSockets"
            )
        outlet, self._outlet = self._outlet, None
        if outlet is None:
            raise MisuseError("this response was sent already: make one for each request")
        status = self.status_code
        prepared = await outlet.prepare(read_asked(scope))

        def make_head() -> Head:
            id = outlet.answer_id
            named = prepared if id is None else {**prepared, "x-answer-id": quote_id(id)}
            return status, self._with_prepared(outlet, named)

        if scope["method"] == "HEAD":
            # The answer is closed without being read.
            try:
                refusal = await outlet.open_head()
                async with outlet:
                    pass
            except Exception as error:
                outlet.served.report_bug(error)
                raise
            status, headers = make_head()
            if refusal is not None:
                outlet.served.report_incident(refusal, refusal.status)
                status, headers, _ = make_refusal(refusal, outlet.served, outlet.writer.protocol.name)
            await WholeResponse(status, headers)(scope, receive, send)
        else:
            delivery = HTTPDelivery(outlet, make_head, self._timing, receive, send)
            await delivery.run()
            if delivery.shutting_down:
                if self._timing.drain is None:
                    outlet.take_drain(find_drain(receive, send))
                await outlet.run_out()
        if self.background is not None:
            await self.background()

    def _with_prepared(self, outlet: Outlet, prepared: HeaderFields) -> RawHeaders:
        """Return the headers of the response to one request, `prepared` by lower-case names.

        A header for this request replaces the header of that name in the response object, unless the
        application has set the header of the object itself.
        """
        # A header with another value than the outlet's default was set by the application.
        defaults = encode_headers(outlet.headers)
        own = {name for name, value in self.raw_headers if (name, value) not in defaults}
        replaced = dict(each for each in encode_headers(prepared) if each[0] not in own)
        return [*(each for each in self.raw_headers if each[0] not in replaced), *replaced.items()]


def make_response(
    outlet: Outlet, *, timing: Timing = TIMING, headers: HeaderFields | None = None
) -> StarletteResponse:
    """Return the response for an outlet; only if Starlette is imported, it is one of Starlette's, too."""
    response_class: Any = Response
    if "starlette.responses" in sys.modules:
        from tokenstream.relay._asgi.response_type import StarletteResponse

        response_class = StarletteResponse
    response: StarletteResponse = response_class(outlet, timing=timing, headers=headers)
    return response
