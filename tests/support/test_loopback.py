"""The loopback server of these tests, seen through plain sockets and real clients."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager

import pytest

from tests.support.loopback import (
    FIN,
    LAST_CHUNK,
    OPEN,
    RST,
    Connection,
    Loopback,
    chunked_head,
    client_context,
    http_chunk,
)

GET = b"GET /path HTTP/1.1\r\nHost: x\r\n\r\n"


@contextmanager
def dialled(server: Loopback) -> Generator[socket.socket]:
    """Ask a server over a plain socket, or one with TLS on top."""
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=2)) as sock:
        if server.url.startswith("https"):
            with client_context().wrap_socket(
                sock, server_hostname="localhost", suppress_ragged_eofs=False
            ) as secure:
                secure.sendall(GET)
                yield secure
        else:
            sock.sendall(GET)
            yield sock


def read_all(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(1000), b""))


def test_a_bare_fin_over_tls_is_a_cut() -> None:
    """No alert came before it."""
    with Loopback([b"x", FIN], tls=True) as server, dialled(server) as sock:
        assert sock.recv(1) == b"x"
        # CPython before 3.11.4 has no class of its own for it.
        with pytest.raises(ssl.SSLError):
            sock.recv(1)


@pytest.mark.parametrize("tls", [False, True])
def test_a_reset_reaches_the_client(tls: bool) -> None:
    """After the gate, so that what was sent before it has been read."""
    gate = threading.Event()
    with Loopback([b"x", gate, RST], tls=tls) as server, dialled(server) as sock:
        assert sock.recv(1) == b"x"
        gate.set()
        # Some versions of Python's TLS tell no reset from a bare FIN.
        with pytest.raises((ConnectionResetError, ssl.SSLEOFError) if tls else ConnectionResetError):
            sock.recv(1)


@pytest.mark.parametrize("tls", [False, True])
def test_the_moment_at_which_the_client_closes_is_seen(tls: bool) -> None:
    """Whatever the script waits for."""
    with Loopback([b"x", OPEN], tls=tls) as server:
        with dialled(server) as sock:
            assert sock.recv(1) == b"x"
            connection = server.connection()
            assert connection.open_after(0.05)
            before = time.monotonic()
        assert connection.closed_within()
        assert connection.closed_by == "FIN"
        assert connection.closed_at is not None
        assert connection.closed_at >= before


def test_a_client_that_leaves_bytes_unread_resets() -> None:
    """That counts as closing, too."""
    with Loopback([b"x" * 5, OPEN]) as server:
        with dialled(server) as sock:
            sock.recv(1)
        connection = server.connection()
        assert connection.closed_within()
        assert connection.closed_by == "RST"


def test_a_shutdown_of_the_socket_is_seen() -> None:
    """That is how a blocked reader is woken."""
    with Loopback([threading.Event()]) as server, dialled(server) as sock:
        sock.shutdown(socket.SHUT_RDWR)

        assert server.connection().closed_within()


def test_a_function_may_do_what_it_likes() -> None:
    """Raw bytes in, raw bytes out; its mistakes fail the test."""

    def echo(connection: Connection) -> None:
        connection.send(connection.receive())

    def fail(connection: Connection) -> None:
        raise LookupError(connection.receive()[:3])

    with Loopback(echo) as server, dialled(server) as sock:
        assert read_all(sock) == GET
    with pytest.raises(LookupError), Loopback(fail) as server, dialled(server) as sock:
        assert read_all(sock) == b""


def test_what_never_ends_does_not_keep_the_server() -> None:
    """A script that waits is over when the test is."""
    begun = time.monotonic()
    with Loopback([chunked_head(), http_chunk(b"x"), threading.Event(), LAST_CHUNK]) as server:
        sock = socket.create_connection(("127.0.0.1", server.port))
        sock.sendall(GET)
        assert server.connection().open_after(0.02)
    sock.close()
    assert time.monotonic() - begun < 4
