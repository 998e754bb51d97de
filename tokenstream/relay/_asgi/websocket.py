"""An answer sent over a WebSocket, one message per event; the client may stop it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tokenstream._basics.json import decode
from tokenstream._basics.untrusted import is_dict
from tokenstream.errors import NotExpressible, ProtocolError, StreamError, StreamInterrupted
from tokenstream.relay._asgi.delivery import STOP_SECONDS, Delivery
from tokenstream.relay._asgi.refusals import hide_not_expressible
from tokenstream.relay._asgi.sockets import Disconnected, wrap_socket
from tokenstream.relay._asgi.writing import MessageWriter
from tokenstream.relay._batches import BatchReader
from tokenstream.relay._events_in import EventsIn

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from tokenstream.events import Event
    from tokenstream.relay._asgi.sockets import ServerSocket
    from tokenstream.relay._encoders import ProtocolName
    from tokenstream.relay._shape import Shape
    from tokenstream.turns import Drop

_MAX_MESSAGE = 65_536
"""The maximum size of a client's message, in characters or bytes."""
_TOO_LARGE, _MALFORMED, _UNKNOWN, _RESTART = 1009, 1007, 1008, 1012
"""The close codes that are sent; see RFC 6455, section 7.4.1, and the registry of IANA."""


class _MessageRefused(Exception):
    """The client has sent a message that the protocol does not allow.

    Args:
        reason: A sentence that describes the client's mistake.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class _WebSocketDelivery(Delivery):
    """Sends one answer over a WebSocket, while listening for a message of the client.

    Args:
        keep_alive: Seconds of silence between heartbeats; None for no heartbeats.
        grace: Seconds that the answer is still read after the client has disconnected.
    """

    def __init__(
        self,
        socket: ServerSocket,
        events: EventsIn,
        writer: MessageWriter,
        *,
        keep_alive: float | None,
        grace: float,
    ) -> None:
        super().__init__(grace, *socket.wrapped)
        self._socket = socket
        self._events = events
        self._batches = BatchReader(events, merges=not writer.sends_payloads)
        self._writer = writer
        self._keep_alive = keep_alive
        self._refused: _MessageRefused | None = None
        """The mistake with which the client has ended the answer; None if it made none."""
        self._stopped = False
        """True once the client has stopped the answer."""

    async def converse(self) -> bool:
        """Send the whole answer; return True if the connection is still open."""
        from anyio import CancelScope

        self._listening = CancelScope()
        try:
            await self._socket.open()
        except BaseException as error:
            # Close the source here, since `run`, which enters and leaves it, is not reached.
            await self._events.close()
            if isinstance(error, Disconnected):
                return False
            raise
        self._sent_at = time.monotonic()
        await self.run()
        return not (self._disconnected or self._refused or self._shutting_down)

    # -- sending -------------------------------------------------------------

    async def _deliver(self) -> None:
        """Send the answer and its end; if the answer fails, send the error."""
        try:
            async with self._events:
                await self._send_all()
            # `_conclude` reports the mistake of a client that broke the protocol.
            if self._refused is None:
                await self._send_last(self._writer.end(self._events.ending))
        except StreamError as error:
            chunks = self._writer.fail(error)
            if chunks is None:
                # The protocol has no message for errors.
                raise
            await self._send_last(chunks)
        except NotExpressible as error:
            await self._send_last(self._writer.fail(hide_not_expressible(error)) or [])

    async def _send_all(self) -> None:
        """Send all events of the answer; after a slow send, several events together."""
        while True:
            try:
                batch = await self._batches.next()
            except StopAsyncIteration:
                return
            # If this send is slow, all events that arrive meanwhile form the next batch.
            self._batches.begin_send()
            await self._send_chunks(self._writer.feed(batch))

    async def _send_last(self, chunks: list[bytes]) -> None:
        """Stop listening, and send the end of the answer.

        Messages of the client after the end belong to its next request.
        """
        self._listening.cancel()
        await self._send_chunks(chunks)

    async def _send_chunks(self, chunks: list[bytes]) -> None:
        """Send chunks as messages; the rest is dropped if the client disconnects."""
        self._busy = True
        for message in self._writer.to_messages(chunks):
            if self._disconnected:
                break
            try:
                await self._socket.send(message)
            except Disconnected:
                self._note_disconnect()
        self._busy = False
        self._sent_at = time.monotonic()

    # -- the other tasks -----------------------------------------------------

    async def _listen(self) -> None:
        """Wait for one message of the client, since any message ends the answer.

        Later messages are left for the application to receive.
        """
        with self._listening:
            if self._listening.cancel_called:
                # The answer ended before this task began. A message that is there already would be taken.
                return
            try:
                _check_message(await self._socket.receive())
            except Disconnected:
                self._note_disconnect()
            except _MessageRefused as refused:
                self._refused = refused
                self._tasks.start_soon(self._stop, "the client broke the protocol")
            else:
                self._stopped = True
                self._tasks.start_soon(self._stop, "the client has stopped it")

    async def _stay_alive(self) -> None:
        """Send a heartbeat after each `keep_alive` seconds of silence, if the protocol has heartbeats."""
        from anyio import sleep

        seconds, heartbeat = self._keep_alive, self._writer.heartbeat.encode()
        if seconds is None or not heartbeat:
            return
        while not self._disconnected:
            wait = self._sent_at + seconds - time.monotonic()
            # A message may be on its way, or just sent: then look again, but not in a busy loop.
            await sleep(max(wait, seconds / 10))
            if not self._busy and time.monotonic() - self._sent_at >= seconds:
                await self._send_chunks([heartbeat])

    # -- ending --------------------------------------------------------------

    def _stop_source(self, reason: str) -> bool:
        """Stop the answer's stream; return True if its events will then end by themselves."""
        return self._events.stop(reason)

    async def _conclude(self) -> None:
        """Send the last messages after a stop by the client, a client's mistake, or a shutdown of the server.

        After a mistake or a shutdown, the connection is closed, too.
        """
        from anyio import move_on_after

        if self._disconnected or self._busy:
            # Nobody reads any more, or the message that was being sent is incomplete.
            return
        with move_on_after(STOP_SECONDS):
            try:
                if self._refused is not None:
                    error = ProtocolError(self._refused.reason)
                    await self._send_chunks(self._writer.fail(error) or [])
                    await self._socket.close(self._refused.code, self._refused.reason)
                elif self._shutting_down:
                    interrupted = StreamInterrupted("the relay's server was shut down")
                    await self._send_chunks(self._writer.fail(interrupted) or [])
                    await self._socket.close(_RESTART, "the server is being restarted")
                elif self._stopped and self._sending.cancelled_caught:
                    # The stopped answer was cancelled, because it did not end by itself.
                    await self._send_last(self._writer.end("stopped"))
            except Disconnected:
                self._disconnected = True


def _check_message(message: str | bytes) -> None:
    """Check that a client's message is `{"type":"stop"}`, the only message that is allowed.

    Raises:
        _MessageRefused: The message is anything else.
    """
    if len(message) > _MAX_MESSAGE:
        raise _MessageRefused(_TOO_LARGE, f"a message must not have more than {_MAX_MESSAGE} bytes")
    try:
        payload = decode(message)
    except ProtocolError:
        raise _MessageRefused(_MALFORMED, "a message must be a JSON object") from None
    if not is_dict(payload):
        raise _MessageRefused(_MALFORMED, "a message must be a JSON object")
    if payload != {"type": "stop"}:
        raise _MessageRefused(_UNKNOWN, 'while an answer is sent, only {"type":"stop"} may be sent')


async def websocket(
    ws: object,
    stream: AsyncIterable[Event],
    *,
    protocol: ProtocolName = "tokenstream",
    keep_alive: float | None = 10.0,
    grace: float = 0.0,
    ids: bool = False,
    raw: bool = False,
    shape: Shape | None = None,
    drop: Drop = "all",
) -> bool:
    """Send an answer over a WebSocket, one message per event; the client may stop it.

    The function accepts the connection, unless the application has accepted it already; it
    enters the stream, reads it and closes it. The connection stays open for the next request.

    While the answer is being sent, the client may send `{"type":"stop"}`; any other message
    ends the answer and closes the connection with code 1007, 1008 or 1009. Messages after the
    end are left for the application to receive; one of them may be a stop that was sent too late.

    Args:
        ws: A WebSocket of Starlette, FastAPI or Litestar, or a server's connection of `websockets`.
        stream: The answer.
        protocol: The name of the protocol in which to send the answer.
        keep_alive: Seconds of silence between heartbeats, if the protocol has them; None for no heartbeats.
        grace: Seconds that the answer is still read after the client has disconnected.
        ids: True to number the events, from 1; for "tokenstream" and "ndjson" only.
        raw: True to send the provider's own ids, payloads, error messages and fields.
        shape: Transforms the text of each text part: a function that takes a text view and returns a
            transformed view, such as `lambda text: text.redact(pattern)`.
        drop: Names of the kinds of content to leave out if the protocol cannot express them, or "all".

    Returns:
        True if the connection is still open.

    Raises:
        MisuseError: The protocol is unknown, or its messages have no ids; `ws` is not a supported
            WebSocket; or `stream` is not asynchronous.
        StreamError: The answer failed, and the protocol has no message for errors (gemini-live).

    Example:
        >>> from tokenstream import aconnect
        >>> async def endpoint(ws: object, payloads: AsyncIterable[object]) -> None:
        ...     async for payload in payloads:
        ...         await websocket(ws, aconnect("https://api.example/v1/chat/completions", json=payload))
    """
    socket, events = wrap_socket(ws), EventsIn(stream)
    writer = MessageWriter(protocol, ids=ids, raw=raw, shape=shape, drop=drop)
    delivery = _WebSocketDelivery(socket, events, writer, keep_alive=keep_alive, grace=grace)
    return await delivery.converse()
