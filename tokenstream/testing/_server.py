"""A server of one's own: real HTTP/1.1 on loopback, recorded answers at the pace of a model.

Each connection has a thread. It waits in reads of its socket: for the next
request, and, between two chunks, for the client to leave. So shutting the sockets
down wakes them all at once, and `stop` leaves neither thread nor socket.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import socketserver
import struct
import threading
import time
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from email.message import Message as Headers
    from types import TracebackType
    from typing import Self

__all__ = ["Chunk", "Exchange", "ReplayServer", "Reply", "Request", "paced", "refusal"]

Chunk: TypeAlias = tuple[float, bytes]
"""Seconds to wait, then bytes to send."""

_EVENT_STREAM = "text/event-stream; charset=utf-8"
_MOST_BODY = 64 * 1024 * 1024
"""Bytes of a request's body that are read; a larger one is refused."""
_MOST_LINE = 65_536
_ACCEPT_SECONDS = 0.05
"""How often the server looks whether it is to stop."""
_IRREGULAR = (0.6, 1.5, 0.8, 1.2, 1.0, 0.9)
"""Pauses as they come from a model, in units of their mean; their mean is 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client asked for."""

    method: str
    path: str
    """The path with its query, as it was sent."""
    headers: Headers
    body: bytes

    @property
    def route(self) -> str:
        """The path without its query."""
        return self.path.partition("?")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the server answers.

    Args:
        chunks: The body, piece by piece, each with the seconds to wait before it.
        content_type: What the body is said to be.
        status: The HTTP status.
        headers: Further headers; the request id and the framing are the server's.
        cut: How the connection breaks once the chunks are sent: "close" ends it
            in the middle of the body, "reset" also tells the client so (RST), and
            some systems then drop what it had not read; None to end the body
            properly.
    """

    chunks: Sequence[Chunk]
    content_type: str = _EVENT_STREAM
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    cut: Literal["close", "reset"] | None = None

    def cut_after(self, size: int, how: Literal["close", "reset"] = "close") -> Reply:
        """Return a reply whose connection breaks after `size` bytes of the body.

        Example:
            >>> Reply(chunks=[(0, b"data: a"), (1, b"data: b")]).cut_after(9).chunks
            [(0, b'data: a'), (1, b'da')]
        """
        kept: list[Chunk] = []
        for delay, data in self.chunks:
            kept.append((delay, data[:size]))
            size -= len(data)
            if size <= 0:
                break
        return replace(self, chunks=kept, cut=how)


@dataclass(slots=True)
class Exchange:
    """A request, and how far its answer came."""

    request: Request
    outcome: Literal["answering", "answered", "cut", "abandoned"] = "answering"
    """Abandoned is an answer that the client, or `stop`, did not let end."""
    sent: int = 0
    """Bytes of the body that were sent."""
    over: threading.Event = field(default_factory=threading.Event, repr=False)
    """Set once the outcome is known."""


def paced(body: bytes, *, rate: float | None, first: float = 0.0) -> list[Chunk]:
    r"""Cut a body of server-sent events into its events, at the pace of a model.

    Args:
        body: The events, each ended by an empty line of LF.
        rate: Events per second in the mean, in an uneven rhythm; None for no pauses.
        first: Seconds until the first event.

    Example:
        >>> paced(b"data: a\n\ndata: b\n\n", rate=None)
        [(0.0, b'data: a\n\n'), (0.0, b'data: b\n\n')]
    """
    events = [event + b"\n\n" for event in body.split(b"\n\n") if event]
    if rate is None:
        return [(0.0, event) for event in events]
    waits = (first, *(_IRREGULAR[number % len(_IRREGULAR)] / rate for number in range(1, len(events))))
    return list(zip(waits, events, strict=False))


def refusal(status: int, message: str) -> Reply:
    """Return a reply that refuses a request, in the words in which providers do.

    Args:
        status: The HTTP status, 400 or more.
        message: What is wrong with the request.
    """
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    body = json.dumps({"type": "error", "error": error}).encode()
    return Reply(chunks=[(0.0, body)], content_type="application/json", status=status)


class ReplayServer:
    r"""Answers requests on loopback with prepared replies, each at its pace.

    Args:
        answer: Replies by path, given to POST requests; or a function that
            decides, called in the thread of its connection.
        host: Where to listen.
        port: The port; 0 for any that is free.

    Example:
        >>> from tokenstream import connect
        >>> reply = Reply(chunks=[(0.0, b"data: Hello\n\n"), (0.0, b"data: [DONE]\n\n")])
        >>> with ReplayServer({"/text": reply}) as server, connect(f"{server.url}/text") as stream:
        ...     print(stream.final().text)
        Hello
    """

    def __init__(
        self,
        answer: Mapping[str, Reply] | Callable[[Request], Reply],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._answer = answer if callable(answer) else _by_path(answer)
        self._address = (host, port)
        self._listener: _Listener | None = None
        self._thread: threading.Thread | None = None
        self.exchanges: list[Exchange] = []
        """What was asked, in the order in which it came."""

    @property
    def url(self) -> str:
        """The server's address while it runs, without a path."""
        if self._listener is None:
            raise MisuseError("the server does not run: use `with`, or call start()")
        host, port = self._listener.server_address[:2]
        return f"http://{host!s}:{port}"

    def start(self) -> None:
        """Listen, and answer in threads until `stop`.

        Raises:
            OSError: The address cannot be used.
        """
        if self._listener is not None:
            raise MisuseError("the server runs already; stop it first, or make another one")
        self._listener = listener = _Listener(self._address, self._answer, self.exchanges)
        self._thread = threading.Thread(
            target=listener.serve_forever, args=(_ACCEPT_SECONDS,), name="replay-server", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Close every connection and wait for the threads; stopping twice is fine."""
        listener, self._listener = self._listener, None
        if listener is None or self._thread is None:
            return
        listener.shutdown()
        self._thread.join()
        listener.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def _by_path(replies: Mapping[str, Reply]) -> Callable[[Request], Reply]:
    def answer(request: Request) -> Reply:
        reply = replies.get(request.route)
        if reply is None:
            known = ", ".join(replies)
            return refusal(404, f"there is nothing at {request.route}; there is {known}")
        if request.method != "POST":
            refused = refusal(405, f"{request.route} answers POST, not {request.method}")
            return replace(refused, headers={"Allow": "POST"})
        return reply

    return answer


class _Listener(socketserver.TCPServer):
    """Accepts connections, and knows the open ones with their threads."""

    # On Windows this would let two servers share a port.
    allow_reuse_address = os.name == "posix"
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], answer: Callable[[Request], Reply], exchanges: list[Exchange]
    ) -> None:
        self.answer = answer
        self.exchanges = exchanges
        self.stopping = threading.Event()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        super().__init__(address, _Connection)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base's own
        """Start a thread for a connection."""
        thread = threading.Thread(
            target=self._serve, args=(request, client_address), name="replay-connection", daemon=True
        )
        with self._lock:
            self._open[request] = thread
        thread.start()

    def _serve(self, connection: socket.socket, client_address: tuple[str, int]) -> None:
        try:
            # A client that resets its connection is an everyday thing here.
            with contextlib.suppress(ConnectionError):
                _Connection(connection, client_address, self)
        finally:
            with self._lock:
                del self._open[connection]
                connection.close()

    def note(self, request: Request) -> tuple[Exchange, int]:
        """Record a request; return it with its number, from 1."""
        exchange = Exchange(request)
        with self._lock:
            self.exchanges.append(exchange)
            return exchange, len(self.exchanges)

    def server_close(self) -> None:
        """Stop listening, close what is open and wait for its threads."""
        super().server_close()
        self.stopping.set()
        with self._lock:
            threads = list(self._open.values())
            for connection in self._open:
                # Shutting down wakes the thread's read; closing would not.
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


class _Connection(BaseHTTPRequestHandler):
    """Answers the requests of one connection, one after the other."""

    protocol_version = "HTTP/1.1"
    server_version = "tokenstream-replay"
    sys_version = ""
    disable_nagle_algorithm = True
    connection: socket.socket

    def __init__(
        self, connection: socket.socket, client_address: tuple[str, int], listener: _Listener
    ) -> None:
        self._listener = listener
        # The base serves the connection before its constructor returns.
        super().__init__(connection, client_address, listener)

    def _respond(self) -> None:
        body = self._read_body()
        refused = body if isinstance(body, Reply) else None
        request = Request(
            method=self.command,
            path=self.path,
            headers=self.headers,
            body=body if isinstance(body, bytes) else b"",
        )
        exchange, number = self._listener.note(request)
        try:
            self._send(refused or self._listener.answer(request), exchange, number)
        except ConnectionError:
            self.close_connection = True
        finally:
            if exchange.outcome == "answering":
                exchange.outcome = "abandoned"
            exchange.over.set()

    do_GET = do_POST = do_PUT = do_DELETE = _respond  # noqa: N815 - http.server finds them by name

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: `ReplayServer.exchanges` has it all."""

    # -- in ----------------------------------------------------------------

    def _read_body(self) -> bytes | Reply:
        """Return the request's body, or the reply that refuses it."""
        try:
            if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
                return self._read_chunks()
            length = int(self.headers.get("Content-Length", 0))
            if 0 <= length <= _MOST_BODY:
                return self.rfile.read(length)
        except ValueError:
            self.close_connection = True
            return refusal(HTTPStatus.BAD_REQUEST, "the body's length cannot be read")
        return self._too_large()

    def _read_chunks(self) -> bytes | Reply:
        pieces: list[bytes] = []
        left = _MOST_BODY
        while length := int(self.rfile.readline(_MOST_LINE).partition(b";")[0], 16):
            left -= length
            if length < 0 or left < 0:
                return self._too_large()
            pieces.append(self.rfile.read(length))
            self.rfile.readline(_MOST_LINE)
        while self.rfile.readline(_MOST_LINE).strip():
            pass
        return b"".join(pieces)

    def _too_large(self) -> Reply:
        # What is not read of the body would be taken for the next request.
        self.close_connection = True
        return refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {_MOST_BODY:,} bytes")

    # -- out ---------------------------------------------------------------

    def _send(self, reply: Reply, exchange: Exchange, number: int) -> None:
        chunked = self.request_version != "HTTP/1.0"
        self._send_head(reply, number, chunked=chunked)
        # Each chunk has its moment, so that what sending takes adds up to no delay.
        due = time.monotonic()
        for delay, data in reply.chunks:
            due += delay
            if not self._wait(due - time.monotonic()):
                self.close_connection = True
                return
            if data:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
                exchange.sent += len(data)
        if reply.cut is not None:
            exchange.outcome = "cut"
            self._cut(reset=reply.cut == "reset")
            return
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
        exchange.outcome = "answered"

    def _send_head(self, reply: Reply, number: int, *, chunked: bool) -> None:
        headers = {"content-type": reply.content_type, "cache-control": "no-cache"}
        # Anthropic's name for it, and everybody else's.
        headers["request-id"] = headers["x-request-id"] = f"req_{number:016d}"
        headers |= {name.lower(): value for name, value in reply.headers.items()}
        if chunked:
            headers["transfer-encoding"] = "chunked"
        if self.close_connection:
            headers["connection"] = "close"
        self.send_response(reply.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _wait(self, seconds: float) -> bool:
        """Wait, and tell whether the client is still there."""
        if seconds <= 0:
            return True
        due = time.monotonic() + seconds
        try:
            self.connection.settimeout(seconds)
            if not self.connection.recv(1, socket.MSG_PEEK):
                return False
        except TimeoutError:
            return True
        finally:
            self.connection.settimeout(None)
        # The client sends its next request already, so it is there.
        return not self._listener.stopping.wait(max(0.0, due - time.monotonic()))

    def _cut(self, *, reset: bool) -> None:
        self.close_connection = True
        if reset:
            # A socket that is closed without lingering sends RST.
            linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
