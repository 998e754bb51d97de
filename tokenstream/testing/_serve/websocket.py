"""The server's side of a WebSocket, on the connection on which the client requested it.

One thread does everything: while it waits to send the next message of the answer, it
reads the client's messages. The package websockets must be installed.
"""

from __future__ import annotations

import math
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.protocol import CLOSED, OPEN
from websockets.server import ServerProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokenstream.testing._recordings.recording import Breaks
    from tokenstream.testing._serve.replies import Chunk, Exchange, Reply, Request
    from tokenstream.testing._serve.sessions.session import ServedSession

_FIRST_SECONDS = 2.0
"""Seconds to wait for a client's first message before the connection ends."""
_QUIET_SECONDS = 0.2
"""Seconds without a message of the client after which the connection ends, once the answer was sent."""
_FAREWELL_SECONDS = 1.0
"""Seconds to wait for the client's closing frame."""
_MAX_MESSAGE = 64 * 1024 * 1024
"""Largest message of a client, in bytes."""
_READ_SIZE = 65_536
_NORMAL_CLOSURE = 1000
_DATA_OPCODES = {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}


class WebSocketExchange:
    """Sends an answer over a WebSocket, and records the client's messages.

    Args:
        connection: The connection on which the client requested the WebSocket.
        exchange: The record of the answer's progress and of the client's messages.
    """

    def __init__(self, connection: socket.socket, exchange: Exchange) -> None:
        self._connection = connection
        self._exchange = exchange
        self._session: ServedSession | None = None
        """The session that answers the client's messages; None to record them only."""
        self._protocol = ServerProtocol(max_size=_MAX_MESSAGE)
        self._message_frames: list[Frame] = []
        """The frames so far of the client's current message."""
        self._quiet_until = 0.0
        """Time from which the client counts as silent; each of its messages postpones it."""

    def hold(self, request: Request, reply: Reply) -> Breaks | None:
        """Send the whole answer, or hold a session, and end or keep the connection as that asks for.

        After an answer, the connection stays open until the client has been silent for a moment,
        so that a late message of the client does not meet a closed connection.
        """
        if not self._open_socket(request):
            return None
        if reply.session is not None:
            return self._hold_session(reply.session)
        whole, half = reply.chunks, b""
        if reply.cut == "half" and whole:
            *whole, (_, half) = whole
        if not self._send_all(whole):
            # The client has left.
            return None
        if reply.cut == "stall":
            # Say nothing more until the client leaves.
            self._listen(_return_fixed(math.inf))
            return None
        self._exchange.outcome = "answered"
        if not self._listen(lambda: self._quiet_until):
            # A connection that the client has left cannot be broken any more.
            return None
        if reply.cut is None:
            self._say_farewell(_NORMAL_CLOSURE, "")
            return None
        return self._break(reply.cut, reply.close_frame, half)

    def _hold_session(self, session: ServedSession) -> Breaks | None:
        """Let a session answer messages until one side ends it; return how to cut the connection, or None."""
        self._session = session
        session.start(time.monotonic())
        client_stays = True
        while client_stays:
            for data in session.take(time.monotonic()):
                self._prepare_message(data)
                self._write()
                self._exchange.sent += len(data)
            if session.ending is not None:
                ending = session.ending
                return self._break(ending.kind, ending.close_frame, ending.half)
            client_stays = self._listen(lambda: session.deadline)
        if not session.turns:
            self._exchange.outcome = "answered"
        return None

    def _break(self, kind: Breaks, close_frame: tuple[int, str] | None, half: bytes) -> Breaks | None:
        """End the connection early, perhaps inside a message; return how the caller must cut it, or None."""
        if kind == "close" and close_frame is not None:
            self._exchange.outcome = "cut"
            self._say_farewell(*close_frame)
            return None
        if half:
            self._prepare_message(half)
            frame = b"".join(self._protocol.data_to_send())
            self._connection.sendall(frame[: len(frame) // 2])
        if kind != "reset":
            # If data of the client's remained unread, the system would send RST, which drops data that
            # the client has not read.
            with suppress(OSError):
                socket.socket.shutdown(self._connection, socket.SHUT_WR)
            self._drain()
        return "reset" if kind == "reset" else "close"

    def _drain(self) -> None:
        """Read what the client has sent until it leaves, for a moment at most."""
        end = time.monotonic() + _FAREWELL_SECONDS
        with suppress(OSError):
            while (remaining := end - time.monotonic()) > 0:
                self._connection.settimeout(remaining)
                if not self._connection.recv(_READ_SIZE):
                    break

    def _say_farewell(self, code: int, reason: str) -> None:
        """Send a closing frame, and wait a moment for that of the client."""
        self._protocol.send_close(code, reason)
        self._write()
        self._listen(_return_fixed(time.monotonic() + _FAREWELL_SECONDS))

    def _open_socket(self, request: Request) -> bool:
        """Answer the handshake; return True if it succeeded."""
        # http.server has read the request; the protocol wants its bytes.
        headers = [f"{name}: {value}" for name, value in request.headers.items()]
        head = "\r\n".join([f"GET {request.path} HTTP/1.1", *headers, "", ""])
        self._protocol.receive_data(head.encode("latin-1"))
        for event in self._protocol.events_received():
            if isinstance(event, Handshake):
                self._protocol.send_response(self._protocol.accept(event))
        self._write()
        self._quiet_until = time.monotonic() + _FIRST_SECONDS
        return self._protocol.state is OPEN

    def _send_all(self, chunks: Sequence[Chunk]) -> bool:
        """Send each chunk at its time; return False if the client leaves before the end."""
        due = time.monotonic()
        for delay, data in chunks:
            due += delay
            # Until then, read the client's messages.
            if not self._listen(_return_fixed(due)):
                return False
            self._prepare_message(data)
            self._write()
            self._exchange.sent += len(data)
        return True

    def _prepare_message(self, data: bytes) -> None:
        """Pass a message to the protocol, as text if it is UTF-8, to prepare its bytes for `_write`."""
        try:
            data.decode()
        except UnicodeDecodeError:
            self._protocol.send_binary(data)
        else:
            # A script writes each message as a line; the end of the line is not sent.
            self._protocol.send_text(data.rstrip(b"\r\n"))

    def _listen(self, end_at: Callable[[], float]) -> bool:
        """Record the client's messages up to a moment that each may postpone; return False if it has left."""
        while self._protocol.state is not CLOSED and (remaining := end_at() - time.monotonic()) > 0:
            self._connection.settimeout(None if remaining == math.inf else remaining)
            with suppress(TimeoutError):
                self._receive(self._connection.recv(_READ_SIZE))
        return self._protocol.state is OPEN

    def _receive(self, data: bytes) -> None:
        """Pass bytes of the client to the protocol; b"" means that the client has left."""
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        # The protocol answers pings and closing frames itself; send its answers.
        self._write()
        for frame in self._protocol.events_received():
            if isinstance(frame, Frame) and frame.opcode in _DATA_OPCODES:
                self._note_frame(frame)

    def _note_frame(self, frame: Frame) -> None:
        """Collect the frames of a message, and record the message when it is complete."""
        # The client counts as silent only some time after its last frame.
        self._quiet_until = time.monotonic() + _QUIET_SECONDS
        self._message_frames.append(frame)
        if frame.fin:
            message = b"".join([bytes(part.data) for part in self._message_frames])
            is_text = self._message_frames[0].opcode is Opcode.TEXT
            self._exchange.received.append(message.decode(errors="replace") if is_text else message)
            self._message_frames = []
            if self._session is not None:
                self._session.receive(message, time.monotonic())

    def _write(self) -> None:
        # The timeout that `_listen` has set is only for reads.
        self._connection.settimeout(None)
        for data in self._protocol.data_to_send():
            if data:
                self._connection.sendall(data)
            else:
                # An empty piece means the end of all sending. The client may have left already.
                with suppress(OSError):
                    socket.socket.shutdown(self._connection, socket.SHUT_WR)


def _return_fixed(moment: float) -> Callable[[], float]:
    """Return a function without arguments that always returns `moment`, as `_listen` needs one."""
    return lambda: moment
