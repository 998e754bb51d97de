"""The replay server: it sends prepared answers over real HTTP/1.1, each chunk at its time.

Each connection has a thread. Whenever the thread waits, for the next request or
between two chunks, it waits in a read of the connection's socket. Therefore shutting
down the sockets wakes all threads at once, and no thread or socket is left over when
the server stops.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import socketserver
import struct
import threading
import time
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from ssl import SSLContext, SSLError, SSLSocket
from typing import TYPE_CHECKING, Any, Self

from tokenstream.errors import MisuseError
from tokenstream.testing._serve.replies import Exchange, Reply, Request, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream.testing._recordings.recording import Breaks

_ACCEPT_SECONDS = 0.05
"""Interval at which the server checks for `stop`, in seconds."""

_MAX_BODY = 64 * 1024 * 1024
"""Largest body of a request, in bytes; a larger one is refused."""
_MAX_LINE = 65_536
_STATUSES_WITHOUT_BODY = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}


class ReplayServer:
    r"""A server that answers requests with prepared replies, each chunk at its time.

    Args:
        answer: A mapping from paths to the replies to POST requests; or a function that returns
            the reply to a request, and is called in the thread of the connection.
        host: Address to listen on; by default only this machine can connect.
        port: The port; 0 for any free port.
        keep: Number of latest exchanges to keep in `exchanges`; None for all.
        tls: TLS context; None for plain HTTP.

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
        keep: int | None = None,
        tls: SSLContext | None = None,
    ) -> None:
        self._answer = answer if callable(answer) else _answer_by_path(answer)
        self._address = (host, port)
        self._keep = keep
        self._tls = tls
        self._listener: Listener | None = None
        self._thread: threading.Thread | None = None
        self.exchanges: list[Exchange] = []
        """The requests received, in order, with the progress of their answers."""

    @property
    def url(self) -> str:
        """The server's address while it runs, without a path."""
        if self._listener is None:
            raise MisuseError("the server is not running: use `with`, or call start()")
        # An IPv6 address has two more items.
        host, port = self._listener.server_address[:2]
        # An IPv6 address needs brackets, since its colons would hide the port.
        address = f"[{host!s}]:{port}" if ":" in str(host) else f"{host!s}:{port}"
        return f"http://{address}" if self._tls is None else f"https://{address}"

    def start(self) -> None:
        """Start to listen, and to answer requests in threads, until `stop` is called.

        Raises:
            OSError: The address cannot be used.
        """
        if self._listener is not None:
            raise MisuseError("the server is running already; stop it first, or make another one")
        self._listener = listener = Listener(
            self._address, self._answer, self.exchanges, keep=self._keep, tls=self._tls
        )
        self._thread = threading.Thread(
            target=listener.serve_forever, args=(_ACCEPT_SECONDS,), name="replay-server", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Close every connection and wait for the threads to end; a second call does nothing."""
        listener, self._listener = self._listener, None
        if listener is None or self._thread is None:
            return
        listener.shutdown()
        self._thread.join()
        listener.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def _answer_by_path(replies: Mapping[str, Reply]) -> Callable[[Request], Reply]:
    """Return a function that chooses the reply to a POST request by its path, and refuses other requests."""

    def answer(request: Request) -> Reply:
        reply = replies.get(request.route)
        if reply is None:
            served_paths = ", ".join(replies)
            return refusal(404, f"nothing is served at {request.route}, only at {served_paths}")
        if request.method != "POST":
            refused_reply = refusal(405, f"{request.route} answers POST, not {request.method}")
            return replace(refused_reply, headers={"Allow": "POST"})
        return reply

    return answer


class Listener(socketserver.TCPServer):
    """Accepts connections, and keeps track of the open ones and their threads.

    Args:
        address: Host and port to listen on.
        exchanges: The list to which each request is added.
        keep: Number of latest requests that stay in the list; None for all.
        tls: TLS context; None for plain HTTP.
    """

    # On Windows, reusing addresses would let two servers share a port.
    allow_reuse_address = os.name == "posix"
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        answer: Callable[[Request], Reply],
        exchanges: list[Exchange],
        *,
        keep: int | None,
        tls: SSLContext | None,
    ) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.answer = answer
        self._exchanges = exchanges
        self._keep_last = keep
        self._tls = tls
        self._request_count = len(exchanges)
        """Number of requests; those that the list had before count, too."""
        self.stopping = threading.Event()
        """Set when the server stops, to end the waits of its threads."""
        self._open_connections: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        super().__init__(address, _ServedConnection)

    def process_request(self, request: Any, client_address: object) -> None:  # noqa: ANN401 - the base's own
        """Start a thread for a connection."""
        thread = threading.Thread(
            target=self._serve_connection,
            args=(request, client_address),
            name="replay-connection",
            daemon=True,
        )
        with self._lock:
            self._open_connections[request] = thread
        thread.start()

    def _serve_connection(self, connection: socket.socket, client_address: tuple[str, int]) -> None:
        if self._tls is not None:
            with self._lock:
                thread = self._open_connections.pop(connection)
                secured = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                self._open_connections[secured] = thread
            connection = secured
        try:
            # Clients may reset a connection or distrust a certificate at any time; this is no error here.
            with contextlib.suppress(ConnectionError, SSLError):
                # The constructor answers all requests of the connection.
                _ServedConnection(connection, client_address, self)
        finally:
            with self._lock:
                del self._open_connections[connection]
                connection.close()

    def add_exchange(self, request: Request) -> tuple[Exchange, int]:
        """Add a request to the list `exchanges`; return its `Exchange`, and its number, from 1."""
        exchange = Exchange(request)
        with self._lock:
            self._request_count += 1
            self._exchanges.append(exchange)
            if self._keep_last is not None:
                del self._exchanges[: max(0, len(self._exchanges) - self._keep_last)]
            return exchange, self._request_count

    def server_close(self) -> None:
        """Stop listening, close the open connections and wait for their threads."""
        super().server_close()
        self.stopping.set()
        with self._lock:
            threads = list(self._open_connections.values())
            for connection in self._open_connections:
                # Shutting down a socket wakes the read of its thread; closing it would not. The method of
                # TLS sockets is bypassed: it would drop the keys while the thread uses them.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


class _ServedConnection(BaseHTTPRequestHandler):
    """Answers the requests of one connection, one after the other."""

    protocol_version = "HTTP/1.1"
    server_version = "tokenstream-replay"
    sys_version = ""
    disable_nagle_algorithm = True
    connection: socket.socket

    def __init__(
        self, connection: socket.socket, client_address: tuple[str, int], listener: Listener
    ) -> None:
        self._listener = listener
        self._exchanges: list[Exchange] = []
        # The base class serves the connection inside its constructor.
        super().__init__(connection, client_address, listener)

    def _answer_request(self) -> None:
        """Answer one request, and store the outcome in its `Exchange`, which tests inspect."""
        body = self._read_body()
        refused_reply, data = (body, b"") if isinstance(body, Reply) else (None, body)
        request = Request(method=self.command, path=self.path, headers=self.headers, body=data)
        exchange, number = self._listener.add_exchange(request)
        self._exchanges.append(exchange)
        try:
            reply = refused_reply or self._choose_reply(request, exchange, number)
            if reply.messages:
                from tokenstream.testing._serve.websocket import WebSocketExchange

                # No HTTP request can follow on the connection.
                self.close_connection = True
                cut = WebSocketExchange(self.connection, exchange).hold(request, reply)
                if cut is not None:
                    self._cut_body(cut, exchange)
            else:
                self._send(reply, exchange, number)
        except ConnectionError:
            # The client has left.
            self.close_connection = True
        finally:
            if exchange.outcome == "answering":
                exchange.outcome = "abandoned"
            exchange.over.set()

    def _choose_reply(self, request: Request, exchange: Exchange, number: int) -> Reply:
        """Return the reply to a request; if choosing it fails, answer with status 500 and raise the error."""
        try:
            return self._listener.answer(request)
        except Exception as error:
            self.close_connection = True
            message = f"choosing the reply failed with {type(error).__name__}; its thread shows where"
            self._send(refusal(HTTPStatus.INTERNAL_SERVER_ERROR, message), exchange, number)
            raise

    def finish(self) -> None:
        """Record that the client has closed the connection, unless the server is stopping."""
        if not self._listener.stopping.is_set():
            for exchange in self._exchanges:
                exchange.closed = True
        super().finish()

    # http.server finds these methods by name.
    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer_request  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing, since `Server.exchanges` contains all requests."""

    # -- in ----------------------------------------------------------------

    def _read_body(self) -> bytes | Reply:
        try:
            if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
                return self._read_chunks()
            length = int(self.headers.get("Content-Length", 0))
            if 0 <= length <= _MAX_BODY:
                return self.rfile.read(length)
        except ValueError:
            self.close_connection = True
            return refusal(HTTPStatus.BAD_REQUEST, "the body's length cannot be read")
        return self._refuse_size()

    def _read_chunks(self) -> bytes | Reply:
        """Return a body in the chunked transfer coding, or the reply that refuses it."""
        pieces: list[bytes] = []
        remaining = _MAX_BODY
        while length := int(self.rfile.readline(_MAX_LINE).partition(b";")[0], 16):
            remaining -= length
            if length < 0 or remaining < 0:
                return self._refuse_size()
            pieces.append(self.rfile.read(length))
            # Skip the line end after the chunk.
            self.rfile.readline(_MAX_LINE)
        # Skip the trailers, up to the empty line.
        while self.rfile.readline(_MAX_LINE).strip():
            pass
        return b"".join(pieces)

    def _refuse_size(self) -> Reply:
        # On an open connection, the unread bytes of the body would be read as the next request.
        self.close_connection = True
        return refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {_MAX_BODY:,} bytes")

    # -- out ---------------------------------------------------------------

    def _send(self, reply: Reply, exchange: Exchange, number: int) -> None:
        has_no_body = self.command == "HEAD" or reply.status in _STATUSES_WITHOUT_BODY
        chunked = not has_no_body and self.request_version != "HTTP/1.0"
        if not has_no_body and not chunked:
            # Only the end of the connection ends such a body, even if the client asked to keep it open.
            self.close_connection = True
        self._send_head(reply, number, chunked=chunked)
        if not has_no_body and not self._send_body(reply, exchange, chunked=chunked):
            # The body is cut, or the client has left.
            return
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
        exchange.outcome = "answered"

    def _send_body(self, reply: Reply, exchange: Exchange, *, chunked: bool) -> bool:
        """Send the body's chunks, each at its time; return True if the body ends properly."""
        # The times are absolute, so that the time needed for sending does not add up to a delay.
        due = time.monotonic()
        for delay, data in reply.chunks:
            due += delay
            if not self._wait(due - time.monotonic()):  # the client has left, or the server is stopping
                self.close_connection = True
                return False
            # In the chunked transfer coding, an empty chunk would end the body.
            if data:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
                exchange.sent += len(data)
        if reply.cut is None:
            return True
        self._cut_body(reply.cut, exchange)
        return False

    def _send_head(self, reply: Reply, number: int, *, chunked: bool) -> None:
        headers = {"content-type": reply.content_type, "cache-control": "no-cache"}
        # Anthropic calls this header request-id; all other providers call it x-request-id.
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
        """Wait some seconds; return False at once if the client leaves or the server is stopped."""
        if seconds <= 0:
            return True
        due = time.monotonic() + seconds
        try:
            self.connection.settimeout(None if seconds == math.inf else seconds)
            # MSG_PEEK sees only the encrypted bytes of TLS; any byte means that the client is closing.
            received = socket.socket.recv(self.connection, 1, socket.MSG_PEEK)
            client_has_left = not received or isinstance(self.connection, SSLSocket)
            if client_has_left:
                return False
        except TimeoutError:
            return True
        finally:
            self.connection.settimeout(None)
        # A byte of the client's next request: it is still connected.
        remaining = None if due == math.inf else max(0.0, due - time.monotonic())
        return not self._listener.stopping.wait(remaining)

    def _cut_body(self, kind: Breaks, exchange: Exchange) -> None:
        """Cut the body: break the connection inside it; for "stall", only wait until the client leaves."""
        self.close_connection = True
        if kind == "stall":
            self._wait(math.inf)
            return
        exchange.outcome = "cut"
        if kind == "reset":
            # A socket closed with a linger time of 0 sends RST.
            linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
