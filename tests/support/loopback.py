"""A server on the loopback address whose every byte a test decides: content, time, and ending.

A script is played on each connection, after its request was read: bytes are sent,
a number is a pause in seconds, a `threading.Event` is a gate that the test opens,
and an `Act` ends the connection or reads its next request. A script without an
ending closes the connection cleanly. A function covers everything else.
"""

from __future__ import annotations

import enum
import functools
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Literal, Self, TypeAlias

import trustme

from tests.support.timing import PATIENCE

_NO_LINGER = struct.pack("ii", 1, 0)


class Act(enum.Enum):
    """A script's actions besides sending and waiting."""

    CLOSE = "send a FIN, over TLS after the alert that says so"
    FIN = "send a FIN and nothing else: over TLS that is a cut"
    RST = "reset the connection"
    OPEN = "say nothing more and stay open until the client closes"
    REQUEST = "read the next request on this connection"


CLOSE, FIN, RST, OPEN, REQUEST = Act
Script: TypeAlias = Sequence[bytes | float | threading.Event | Act]
EVENT_STREAM = "text/event-stream; charset=utf-8"


def head(
    status: int = 200, content_type: str | None = EVENT_STREAM, headers: Iterable[tuple[str, str]] = ()
) -> bytes:
    """Return the head of a response; the headers alone decide on its framing."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunked_head(headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """Return a head after which each `http_chunk` counts, and `LAST_CHUNK` ends the body."""
    return head(headers=[("Transfer-Encoding", "chunked"), *headers])


def http_chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


LAST_CHUNK = b"0\r\n\r\n"


def chunked(pieces: Iterable[bytes]) -> list[bytes]:
    """Return a whole chunked answer, one send for each piece."""
    return [chunked_head(), *map(http_chunk, pieces), LAST_CHUNK]


def sized(
    body: bytes,
    *,
    length: int | None = None,
    status: int = 200,
    content_type: str | None = EVENT_STREAM,
    headers: Iterable[tuple[str, str]] = (),
) -> list[bytes]:
    """Return an answer with a `Content-Length`, which may be wrong."""
    told = ("Content-Length", str(len(body) if length is None else length))
    return [head(status, content_type, [told, *headers]), body]


def until_close(*pieces: bytes, headers: Iterable[tuple[str, str]] = ()) -> list[bytes]:
    """Return an answer that ends with its connection."""
    return [head(headers=[("Connection", "close"), *headers]), *pieces]


def refusing_url() -> str:
    """Return an address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return f"http://127.0.0.1:{port}"


@functools.cache
def _authority() -> trustme.CA:
    return trustme.CA()


def authority_pem() -> bytes:
    """Return the certificate that a client has to trust for `tls=True`."""
    return _authority().cert_pem.bytes()


@functools.cache
def client_context() -> ssl.SSLContext:
    """Return the TLS context with which a client trusts a server with `tls=True`."""
    context = ssl.create_default_context()
    # CPython before 3.11.4 sets it, and takes a connection that is cut for one that ended.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    _authority().configure_trust(context)
    return context


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    """Headers by lower-case name."""
    body: bytes


class Connection:
    """One connection: the bytes received, and the time at which the client's side closed it."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        self.requests: list[Request] = []
        self.closed = threading.Event()
        """Set once the client's side has closed, or once our RST has made that invisible."""
        self.closed_at: float | None = None
        """`time.monotonic()` when the client's side closed."""
        self.closed_by: Literal["FIN", "RST"] | None = None
        self._socket = sock
        self._received = b""
        self._news = threading.Condition()
        self._ended = False
        self._abandoned = False
        """True once this side gave up reading, so that an end that is read is its own."""
        # One TLS object must not be used by two threads at a time, and the raw
        # socket tells what a TLS socket hides: when the FIN came.
        self._tls_lock = threading.Lock()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True) if context else None
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read_all, daemon=True)
        self._reader.start()

    # -- for tests ---------------------------------------------------------

    def closed_within(self, seconds: float = PATIENCE) -> bool:
        """Wait up to so long for the client's side to close; return True if it did."""
        return self.closed.wait(seconds)

    def open_after(self, seconds: float = 0.05) -> bool:
        """Wait, and return True if the client's side is still open."""
        return not self.closed.wait(seconds)

    # -- for handlers ------------------------------------------------------

    def request(self) -> Request:
        """Read the next request.

        Raises:
            ConnectionError: The client closed instead.
        """
        start = self._take_through(b"\r\n\r\n").decode("latin-1").split("\r\n")
        method, path, _ = start[0].split(" ")
        fields = (line.partition(":") for line in start[1:] if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            while size := int(self._take_through(b"\r\n"), 16):
                body += self._take(size + 2)[:-2]
            self._take(2)
        else:
            body = self._take(int(headers.get("content-length", 0)))
        self.requests.append(Request(method, path, headers, body))
        return self.requests[-1]

    def receive(self) -> bytes:
        """Return bytes as they arrive, b"" once the client has closed: for protocols other than HTTP/1.1."""
        with self._news:
            self._news.wait_for(lambda: self._received or self.closed.is_set(), PATIENCE)
            received, self._received = self._received, b""
        return received

    def send(self, data: bytes) -> None:
        if self._tls is None:
            self._socket.sendall(data)
            return
        if not self._ready.wait(PATIENCE):
            raise ConnectionError("there was no TLS handshake")
        with self._tls_lock:
            self._tls.write(data)
            self._socket.sendall(self._outgoing.read())

    def end(self, act: Act) -> None:
        if self._ended:
            return
        self._ended = True
        if act is RST:
            # The reset is sent once no thread reads the socket any more.
            self._abandoned = True
            self._socket.shutdown(socket.SHUT_RD)
            self._reader.join(PATIENCE)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self._socket.close()
            return
        if act is CLOSE and self._tls is not None and self._ready.is_set():
            with self._tls_lock, suppress(ssl.SSLError):
                self._tls.unwrap()
            self._socket.sendall(self._outgoing.read())
        if act is not OPEN:
            self._socket.shutdown(socket.SHUT_WR)

    def play(self, script: Script) -> None:
        self.request()
        for step in script:
            if isinstance(step, bytes):
                self.send(step)
            elif isinstance(step, threading.Event):
                while not step.wait(0.005) and not self.closed.is_set():
                    pass
            elif step is REQUEST:
                self.request()
            elif isinstance(step, Act):
                self.end(step)
            else:
                self.closed.wait(step)

    # -- within ------------------------------------------------------------

    def shut(self) -> None:
        """Close the connection, whatever its state."""
        self._abandoned = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join(PATIENCE)
        self._socket.close()

    def _take_through(self, mark: bytes) -> bytes:
        with self._news:
            self._await(lambda: mark in self._received)
            found, _, self._received = self._received.partition(mark)
        return found

    def _take(self, size: int) -> bytes:
        with self._news:
            self._await(lambda: len(self._received) >= size)
            found, self._received = self._received[:size], self._received[size:]
        return found

    def _await(self, arrived: Callable[[], bool]) -> None:
        self._news.wait_for(lambda: arrived() or self.closed.is_set(), PATIENCE)
        if not arrived():
            raise ConnectionError("the client sent no whole request")

    def _read_all(self) -> None:
        """Read until the client's side closes, so that its FIN is seen in any script."""
        how: Literal["FIN", "RST"] = "FIN"
        try:
            while data := self._socket.recv(65536):
                plain = self._decrypted(data)
                with self._news:
                    self._received += plain
                    self._news.notify_all()
        except OSError:
            how = "RST"
        with self._news:
            if not self._abandoned:
                self.closed_at, self.closed_by = time.monotonic(), how
            self.closed.set()
            self._news.notify_all()

    def _decrypted(self, data: bytes) -> bytes:
        if self._tls is None:
            return data
        plain = b""
        # An alert or a refused certificate is not the end: the FIN follows.
        with self._tls_lock, suppress(ssl.SSLError):
            self._incoming.write(data)
            try:
                if not self._ready.is_set():
                    self._tls.do_handshake()
                    self._ready.set()
                while piece := self._tls.read(65536):
                    plain += piece
            finally:
                self._socket.sendall(self._outgoing.read())
        return plain


Handler: TypeAlias = Callable[[Connection], None]


class Loopback:
    """A server that plays a test's scripts, on its own port.

    Args:
        scripts: One for each connection, in order; the last one is also used for
            all later ones.
        tls: True to speak TLS, with a certificate that `client_context` trusts.
        alpn: The protocols that TLS offers.
    """

    def __init__(
        self, *scripts: Script | Handler, tls: bool = False, alpn: Sequence[str] = ("http/1.1",)
    ) -> None:
        self._scripts = scripts
        self._context: ssl.SSLContext | None = None
        if tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.set_alpn_protocols(list(alpn))
            _authority().issue_cert("127.0.0.1", "localhost").configure_cert(self._context)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self.connections: list[Connection] = []
        self._came = threading.Condition()
        self._threads = [threading.Thread(target=self._accept_all, daemon=True)]
        self._failures: list[Exception] = []

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Closing alone does not wake the thread that waits for a connection.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(PATIENCE)
        self._listener.close()
        for connection in self.connections:
            connection.shut()
        for thread in self._threads:
            thread.join(PATIENCE)
        if error is None and self._failures:
            raise self._failures[0]

    @property
    def requests(self) -> list[Request]:
        return [request for connection in self.connections for request in connection.requests]

    def connection(self, number: int = 0) -> Connection:
        with self._came:
            assert self._came.wait_for(lambda: len(self.connections) > number, PATIENCE)
        return self.connections[number]

    def _accept_all(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(sock, self._context)
            script = self._scripts[min(len(self.connections), len(self._scripts) - 1)]
            thread = threading.Thread(target=self._serve, args=(connection, script), daemon=True)
            self._threads.append(thread)
            with self._came:
                self.connections.append(connection)
                self._came.notify_all()
            thread.start()

    def _serve(self, connection: Connection, script: Script | Handler) -> None:
        try:
            # A client that closes is not the script's fault.
            with suppress(OSError):
                if callable(script):
                    script(connection)
                else:
                    connection.play(script)
        except Exception as error:  # noqa: BLE001 - the test's own thread raises it
            self._failures.append(error)
        with suppress(OSError):
            connection.end(CLOSE)
