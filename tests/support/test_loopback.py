"""The loopback server of these tests, seen through plain sockets and real clients."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager

import pytest

from tests.support.loopback import OPEN, RST, Loopback, client_context

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


@pytest.mark.parametrize("tls", [False, True])
def test_a_reset_reaches_the_client(tls: bool) -> None:
    gate = threading.Event()
    with Loopback([b"x", gate, RST], tls=tls) as server, dialled(server) as sock:
        assert sock.recv(1) == b"x"
        gate.set()
        # Some versions of Python's TLS tell no reset from a bare FIN.
        with pytest.raises((ConnectionResetError, ssl.SSLEOFError) if tls else ConnectionResetError):
            sock.recv(1)


@pytest.mark.parametrize("tls", [False, True])
def test_the_moment_at_which_the_client_closes_is_seen(tls: bool) -> None:
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
