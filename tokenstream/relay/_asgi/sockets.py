"""WebSockets of several frameworks: one interface for all, the messages of an answer, and their delivery."""

from __future__ import annotations

import json
import sys
import time
from abc import abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from anyio import move_on_after, sleep

from tokenstream._basics.error_marks import mark_reported
from tokenstream._basics.json import decode
from tokenstream._basics.untrusted import is_dict
from tokenstream.errors import AnswerFailure, MisuseError, ProtocolError
from tokenstream.relay._asgi.asking import CROSS_SITE, read_header
from tokenstream.relay._asgi.delivery import STOP_SECONDS, Delivery, Timing
from tokenstream.relay._attribution import interrupt_source
from tokenstream.relay._events_in import SLOW_SEND, EventsIn
from tokenstream.relay._sending import AWS_EVENT_STREAM, Sending
from tokenstream.stream._log import INFO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.relay._shape import Shape

SocketMessage: TypeAlias = "str | bytes"
_DISCONNECT_ERRORS = (
    ("starlette.websockets", "WebSocketDisconnect"),
    ("litestar.exceptions", "WebSocketDisconnect"),
    ("websockets.exceptions", "ConnectionClosed"),
)
"""The exceptions that frameworks raise if the client has disconnected: module and name of each."""
_TOO_LARGE, _MALFORMED, _UNKNOWN, _RESTART = 1009, 1007, 1008, 1012
"""The close codes that are sent; see RFC 6455, section 7.4.1, and the registry of IANA."""


class _FrameworkSocket:
    """The server's end of one WebSocket connection, with what is alike in all frameworks."""

    def __init__(self, framework_socket: Any) -> None:  # noqa: ANN401 - one of several frameworks' types
        self._framework_socket = framework_socket
        found = (getattr(sys.modules.get(module), name, None) for module, name in _DISCONNECT_ERRORS)
        self.disconnect_errors: tuple[type[Exception], ...] = (OSError, *filter(None, found))

    @property
    def wrapped(self) -> tuple[object, object]:
        """The framework's own methods that receive and send.

        They lead to the server that runs the connection, so that its shutdown can be detected.
        """
        return self._framework_socket.receive, self._framework_socket.send

    async def close(self, code: int, reason: str) -> None:
        await self._framework_socket.close(code=code, reason=reason)


class _ASGISocket(_FrameworkSocket):
    """A WebSocket of Starlette, FastAPI or Litestar."""

    def read_header(self, name: str) -> str:
        """Return a header, named in lower case, of the connection's request; "" if it is absent."""
        return read_header(self._framework_socket.scope, name)

    async def open(self) -> None:
        state = getattr(self._framework_socket, "application_state", None)
        # None: this is Litestar, where accepting a connection twice has no effect.
        if state is None or state.name == "CONNECTING":
            await self._framework_socket.accept()

    async def receive(self) -> SocketMessage:
        message = await self._framework_socket.receive()
        if message["type"] == "websocket.disconnect":
            raise ConnectionError
        text: str | None = message.get("text")
        return message.get("bytes") or b"" if text is None else text

    async def send(self, message: SocketMessage) -> None:
        kind = "text" if isinstance(message, str) else "bytes"
        await self._framework_socket.send({"type": "websocket.send", kind: message})


class _WebsocketsSocket(_FrameworkSocket):
    @property
    def wrapped(self) -> tuple[object, object]:
        return self._framework_socket.recv, self._framework_socket.send

    def read_header(self, name: str) -> str:
        socket = self._framework_socket
        # The server of `websockets.legacy` keeps the headers without the request.
        request = getattr(socket, "request", None)
        headers = getattr(socket, "request_headers", None) if request is None else request.headers
        return "" if headers is None else ", ".join(headers.get_all(name))

    async def open(self) -> None:
        """Do nothing: the server of `websockets` has accepted the connection already."""

    async def receive(self) -> SocketMessage:
        message: SocketMessage = await self._framework_socket.recv()
        return message

    async def send(self, message: SocketMessage) -> None:
        await self._framework_socket.send(message)


ServerSocket: TypeAlias = _ASGISocket | _WebsocketsSocket
"""The server's end of one WebSocket connection, with the same methods for every framework."""


def wrap_socket(websocket: object) -> ServerSocket:
    """Return the `ServerSocket` for a framework's WebSocket, which is recognised by its methods."""
    if all(hasattr(websocket, name) for name in ("accept", "receive", "send", "close", "scope")):
        return _ASGISocket(websocket)
    if all(hasattr(websocket, name) for name in ("recv", "send", "close")):
        return _WebsocketsSocket(websocket)
    raise MisuseError(
        f"this is not a WebSocket of Starlette, FastAPI, Litestar or websockets: {type(websocket).__name__}"
    )


# -- delivery ---------------------------------------------------------------------


class MessageWriter(Sending):
    """Encodes an answer as WebSocket messages: JSON text, or binary if the protocol is binary."""

    def __init__(self, protocol: str, *, shape: Shape | None = None) -> None:
        # "tokenstream" is SSE; "ndjson" has the same events as lines, of which each is one message.
        super().__init__("ndjson" if protocol == "tokenstream" else protocol, shape=shape)
        self._is_sse = self.protocol.media_type.startswith("text/event-stream")
        self._is_binary = self.protocol.media_type == AWS_EVENT_STREAM
        # A ping of our own protocol; with another protocol, no heartbeats are sent.
        self.heartbeat = b'{"type":"ping"}' if self.protocol.name == "ndjson" else b""

    def to_messages(self, chunks: Iterable[bytes]) -> list[SocketMessage]:
        """Return chunks as messages, without the framing that events have in a body."""
        if not self._is_sse:
            # Each chunk already is one message. Some binary ones would pass for text, too.
            return [*chunks] if self._is_binary else [chunk.decode().removesuffix("\n") for chunk in chunks]
        # Each SSE event becomes a message, which consists of the event's data.
        events = [event.split(b"\n") for chunk in chunks for event in chunk.split(b"\n\n") if event]
        data = [[line[6:] for line in event if line.startswith(b"data: ")] for event in events]
        return [b"\n".join(lines).decode() for lines in data]


class MessageRefused(Exception):
    """The client has sent a message that is not allowed, so the connection is closed."""

    def __init__(self, reason: str, code: int = _UNKNOWN) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def parse_message(message: SocketMessage, max_size: int) -> JsonObject:
    """Return the JSON object that a client has sent, in at most so many characters or bytes."""
    if len(message) > max_size:
        raise MessageRefused(f"a message must not have more than {max_size} characters", _TOO_LARGE)
    try:
        payload = decode(message)
        # Half a surrogate pair can be read, but neither sent to a provider nor kept.
        json.dumps(payload, ensure_ascii=False).encode()
    except (ProtocolError, UnicodeEncodeError):
        payload = None
    if not is_dict(payload):
        raise MessageRefused("a message must be a JSON object", _MALFORMED)
    return payload


class SocketDelivery(Delivery):
    """Sends answers over a WebSocket, while listening for messages of the client.

    Subclasses say which answers are sent, and what the client's messages do.
    """

    _delivers_first = True

    def __init__(
        self, socket: ServerSocket, make_writer: Callable[[], MessageWriter], timing: Timing
    ) -> None:
        super().__init__(timing, *socket.wrapped)
        self._socket = socket
        self._make_writer = make_writer
        self._writer = make_writer()
        self._source: object = None
        """The source of the answer that was sent last; None before the first one."""
        self._owes_end = False
        """True while an answer is sent whose end the client has not got yet."""
        self._refused: MessageRefused | None = None
        """The mistake with which the client has ended the delivery; None if it made none."""

    async def converse(self) -> bool:
        """Send all answers; return True if the connection is still open."""
        try:
            await self._socket.open()
        except BaseException as error:
            await self._give_up()
            if isinstance(error, self._socket.disconnect_errors):
                return False
            raise
        self._sent_at = time.monotonic()
        await self.run()
        return not (self._disconnected or self._refused or self.shutting_down)

    async def turn_away(self) -> bool:
        """Close the connection of another site's page, or refuse it; return False: it is not open."""
        await self._give_up()
        with suppress(*self._socket.disconnect_errors):
            await self._socket.close(_UNKNOWN, CROSS_SITE)
        return False

    # -- for each kind of delivery ---------------------------------------------

    @abstractmethod
    async def _give_up(self) -> None:
        """Close what was to be sent: the connection could not be opened."""

    async def _send_last(self, chunks: list[bytes]) -> None:
        await self._send_chunks(chunks)
        self._owes_end = False

    # -- receiving and sending -----------------------------------------------

    async def _read_message(self, max_size: int) -> JsonObject | None:
        """Return a message of the client; None, and end the delivery, if it has gone or made a mistake."""
        try:
            return parse_message(await self._socket.receive(), max_size)
        except self._socket.disconnect_errors:
            self._note_disconnect()
        except MessageRefused as refused:
            self._refuse(refused)
        return None

    async def _send_answer(self, events: EventsIn) -> None:
        self._owes_end, self._source = True, events.source
        self._writer.read_from(self._source)
        try:
            async with events:
                await self._send_all(events)
            # `_conclude` reports the mistake of a client that broke the protocol.
            if self._refused is None:
                await self._send_last(self._writer.encode_end(events.ending))
        except AnswerFailure as error:
            await self._send_last(self._writer.fail(error))

    async def _send_all(self, events: EventsIn) -> None:
        """Send all events of an answer; after a slow send, several events together."""
        is_behind = False
        while True:
            try:
                batch = await events.next_batch() if is_behind else [await events.next()]
            except StopAsyncIteration:
                return
            began = time.monotonic()
            await self._send_chunks(self._writer.encode_events(batch))
            is_behind = self._sent_at - began > SLOW_SEND

    async def _send_chunks(self, chunks: list[bytes]) -> None:
        """Send chunks as messages; the rest is dropped if the client disconnects."""
        for message in self._writer.to_messages(chunks):
            if self._disconnected:
                break
            self._send_began = time.monotonic()
            try:
                await self._socket.send(message)
            except self._socket.disconnect_errors:
                self._note_disconnect()
        self._send_began, self._sent_at = None, time.monotonic()

    async def _stay_alive(self) -> None:
        """Send a heartbeat after each `keep_alive` seconds of silence, if the protocol has heartbeats."""
        seconds, heartbeat = self._timing.keep_alive, self._writer.heartbeat
        if seconds is None or not heartbeat:
            return
        while not self._disconnected:
            wait = self._sent_at + seconds - time.monotonic()
            # A message may be on its way, or just sent: then look again, but not in a busy loop.
            await sleep(max(wait, seconds / 10))
            if not self._is_sending and time.monotonic() - self._sent_at >= seconds:
                await self._send_chunks([heartbeat])

    # -- ending --------------------------------------------------------------

    def _refuse(self, refused: MessageRefused) -> None:
        self._refused = refused
        self._tasks.start_soon(self._stop, "the client broke the protocol")

    def _interrupt_source(self) -> bool:
        if self._owes_end:
            interrupt_source(self._source)
        return self._owes_end

    async def _conclude(self) -> None:
        """Send the last messages after a client's mistake, a shutdown of the server, or a stop.

        After a mistake or a shutdown, the connection is closed, too.
        """
        if self._disconnected or self._is_sending:
            # Nobody reads any more, or the message that was being sent is incomplete.
            return
        with move_on_after(STOP_SECONDS):
            try:
                if self._refused is not None:
                    why = "an answer ends because of its reader: %s"
                    self._writer.served.tell(INFO, why, self._refused.reason)
                    error = ProtocolError(self._refused.reason)
                    # It is not logged as one that broke off.
                    mark_reported(error)
                    await self._fail(error)
                    await self._socket.close(self._refused.code, self._refused.reason)
                elif self.shutting_down:
                    await self._fail(interrupt_source(self._source))
                    await self._socket.close(_RESTART, "the server is being restarted")
                elif self._owes_end:
                    # The stopped answer was cancelled, because it did not end by itself.
                    await self._send_last(self._writer.encode_end("stopped"))
            except self._socket.disconnect_errors:
                self._disconnected = True

    async def _fail(self, error: AnswerFailure) -> None:
        if self._owes_end:
            await self._send_chunks(self._writer.fail(error))
