"""Requests that cannot be sent: each error says what is known about its reason, and no more."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
import requests
import trustme
import urllib3

from tests._sources.faults import error_of_opening
from tests.stream.blocked import SILENT
from tests.support.either import connect_in, read_whole
from tests.support.loopback import Loopback
from tests.support.timing import PATIENCE
from tokenstream import connect
from tokenstream.errors import ConnectError, MisuseError, StreamError

LIMIT = "Max outbound streams is 100, 100 open"


def _error_of(url: str, client: httpx.Client | None = None) -> StreamError | MisuseError:
    with pytest.raises((StreamError, MisuseError)) as caught:
        connect(url, client=client).final()
    error = caught.value
    assert isinstance(error, StreamError | MisuseError)
    return error


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_a_full_connection_of_http2_may_take_the_request_later(library: Any) -> None:
    """A server's limit on the answers at a time is no mistake in the request; nothing was sent."""
    error = error_of_opening(library.LocalProtocolError(LIMIT))

    assert isinstance(error, ConnectError)
    assert (error.retryable, error.stage) == (True, "connect")
    assert LIMIT in str(error)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("own_client", [False, True], ids=["no client", "own client"])
def test_a_proxy_that_takes_no_connection_is_named(
    variable: str, own_client: bool, bare: pytest.MonkeyPatch
) -> None:
    """The API's host is not to blame; whether a client of one's own goes through it is not known."""
    bare.setenv(variable, "http://user:sk-secret@127.0.0.1:9")
    client = httpx.Client() if own_client else None
    error = _error_of("http://api.example/v1/chat/completions", client)

    assert isinstance(error, ConnectError)
    assert (f"no connection to api.example through the proxy 127.0.0.1:9 ({variable})" in error.message) == (
        not own_client
    )
    assert "sk-secret" not in str(error)


def test_a_header_that_is_given_as_a_text_is_refused_at_once() -> None:
    with pytest.raises(MisuseError, match="headers= takes a dict") as caught:
        connect("https://api.example/v1/chat/completions", headers="Bearer sk-secret")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]

    assert "sk-secret" not in str(caught.value)


PROTOCOL_FAULTS = {
    "Illegal header value b'sk-secret\\n'": "a header contains a forbidden character",
    "Illegal header name b'x y'": "a header contains a forbidden character",
    "Received header value surrounded by whitespace b' sk-secret'": "one of its headers is not valid",
    "conflicting Content-Length headers": "one of its headers is not valid",
    "Too little data for declared Content-Length": "its body is longer or shorter",
    "Too much data for declared Content-Length": "its body is longer or shorter",
    "Illegal method characters": "its method contains",
    "Illegal target characters": "its address contains",
}


@pytest.mark.parametrize("words, fault", PROTOCOL_FAULTS.items())
def test_a_mistake_in_the_request_is_named_by_the_clients_own_words(words: str, fault: str) -> None:
    """h11 and h2 raise one class for all of them; their words tell them apart."""
    error = error_of_opening(httpx.LocalProtocolError(words))

    assert isinstance(error, MisuseError)
    assert fault in str(error)
    assert "sk-secret" not in str(error)


@pytest.mark.parametrize(
    "words", [LIMIT, "Can't send data when our state is ERROR", "Invalid input ConnectionInputs.SEND_HEADERS"]
)
def test_words_about_the_connection_are_no_mistake_in_the_request(words: str) -> None:
    """The same request may pass on another connection."""
    error = error_of_opening(httpx.LocalProtocolError(words))

    assert isinstance(error, ConnectError)
    assert error.retryable
    assert "header" not in str(error)


MISTAKES: dict[str, tuple[Exception, str]] = {
    "header of requests": (requests.exceptions.InvalidHeader("sk-secret"), "one of its headers is not valid"),
    "scheme of requests": (requests.exceptions.InvalidSchema("ftp://"), "does not begin with http://"),
    "proxy of requests": (requests.exceptions.InvalidProxyURL("sk-secret"), "the address of its proxy"),
    "proxy of urllib3": (urllib3.exceptions.ProxySchemeUnknown("sk-secret"), "the address of its proxy"),
    "address of urllib3": (urllib3.exceptions.LocationParseError("sk-secret"), "is not a valid URL"),
    "payload of requests": (requests.exceptions.InvalidJSONError("sk-secret"), "cannot be encoded as JSON"),
}


@pytest.mark.parametrize("error, fault", MISTAKES.values(), ids=MISTAKES)
def test_what_requests_and_urllib3_refuse_is_a_mistake_and_not_retried(error: Exception, fault: str) -> None:
    """By their bases, these exceptions are also errors of the transport, which does not count."""
    found = error_of_opening(error)

    assert isinstance(found, MisuseError)
    assert fault in str(found)
    assert "sk-secret" not in str(found)


@pytest.mark.parametrize(
    "error",
    [httpx.PoolTimeout(""), httpx2.PoolTimeout(""), urllib3.exceptions.EmptyPoolError(None, "empty")],  # type: ignore[arg-type] # no pool
)
def test_a_pool_without_a_free_connection_is_named(error: Exception) -> None:
    """Asking again helps as soon as another stream is closed."""
    found = error_of_opening(error)

    assert isinstance(found, ConnectError)
    assert (found.retryable, found.stage) == (True, "connect")
    assert "all connections in the client's pool were in use" in str(found)


def test_a_stream_that_keeps_the_only_connection_leaves_none_for_the_next() -> None:
    """The error points to the pool, not to the server."""
    with (
        Loopback(SILENT["chunked"], SILENT["chunked"]) as server,
        httpx.Client(
            limits=httpx.Limits(max_connections=1), timeout=httpx.Timeout(5, pool=0.02), trust_env=False
        ) as client,
        connect(server.url, client=client) as first,
    ):
        assert next(iter(first.text)) == "Let "
        error = _error_of(server.url, client)

    assert isinstance(error, ConnectError)
    assert "pool were in use" in str(error)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Remove all proxies of the machine itself."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


ENVIRONMENTS = {
    "unknown scheme": ("HTTP_PROXY", "gopher://user:secret@127.0.0.1:1", "HTTP_PROXY, HTTPS_PROXY"),
    "no URL": ("HTTP_PROXY", "http://[::1", "the address of a proxy is not a valid URL"),
    "no certificates": ("SSL_CERT_FILE", "secret.pem", "SSL_CERT_FILE and SSL_CERT_DIR"),
}


@pytest.mark.parametrize("name, value, words", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_wrong_environment_is_a_mistake_and_names_its_variables(
    bare: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str, words: str, colour: str
) -> None:
    """No source has broken, because nothing was sent; a proxy's password is not shown."""
    # Old versions of httpx use the machine's certificates if there is no such file.
    (tmp_path / "secret.pem").write_text("none", encoding="utf-8")
    bare.chdir(tmp_path)
    bare.setenv(name, value)
    with pytest.raises(MisuseError) as caught:
        read_whole(colour, lambda: connect_in(colour)("https://127.0.0.1:9/"))

    assert words in str(caught.value)
    assert "secret" not in f"{caught.value}{caught.value.__cause__}"


# -- certificates of clients ---------------------------------------------------------


@contextmanager
def _server(authority: trustme.CA, trusted: trustme.CA, version: ssl.TLSVersion) -> Generator[str]:
    """Open a server that demands a certificate of the client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusted.configure_trust(context)

    def serve() -> None:
        # A handshake that fails ends the connection; the listener is closed at the end.
        with (
            suppress(OSError),
            listener.accept()[0] as raw,
            context.wrap_socket(raw, server_side=True) as tls,
        ):
            tls.recv(1)

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join(PATIENCE)


@pytest.mark.parametrize("has_certificate", [False, True], ids=["none", "one of a stranger"])
def test_a_server_that_asks_for_a_clients_certificate_is_not_distrusted(has_certificate: bool) -> None:
    """The alert comes from the server, so the server's own certificate was fine."""
    authority, stranger = trustme.CA(), trustme.CA()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    if has_certificate:
        stranger.issue_cert("client.test").configure_cert(trusting)
    with (
        _server(authority, authority, ssl.TLSVersion.TLSv1_3) as url,
        httpx.Client(verify=trusting, trust_env=False) as client,
    ):
        error = _error_of(url, client)

    expected = (
        "does not accept the certificate of the client" if has_certificate else "asks for a certificate"
    )
    assert isinstance(error, ConnectError)
    assert not error.retryable
    assert expected in str(error)
    assert "is not trusted" not in str(error)


def test_a_servers_own_certificate_that_is_not_trusted_is_reported_as_such() -> None:
    """Only the client's own verification says that."""
    authority = trustme.CA()
    with (
        _server(authority, authority, ssl.TLSVersion.TLSv1_3) as url,
        httpx.Client(verify=ssl.create_default_context(), trust_env=False) as client,
    ):
        error = _error_of(url, client)

    assert isinstance(error, ConnectError)
    assert not error.retryable
    assert "the certificate is not trusted" in str(error)
