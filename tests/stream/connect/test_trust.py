"""Certificates: what is trusted, and how often it is read."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from tests.stream.connect.support import read_async, read_sync
from tests.support.timing import PATIENCE
from tokenstream import connect
from tokenstream.errors import ConnectError


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[ssl.SSLContext]:
    """Return the contexts that httpx has made."""
    contexts: list[ssl.SSLContext] = []
    make = httpx.create_ssl_context

    def counted(*args: Any, **options: Any) -> ssl.SSLContext:
        contexts.append(make(*args, **options))
        return contexts[-1]

    monkeypatch.setattr(httpx, "create_ssl_context", counted)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"):
        monkeypatch.delenv(name, raising=False)
    return contexts


def _ask_in_a_thread(*between: Callable[[], object]) -> None:
    """Ask over both drivers, and again after each step, in a thread that has not asked before."""

    def ask() -> None:
        for step in (lambda: None, *between):
            step()
            assert isinstance(read_sync("http://127.0.0.1:9/", {})[1], ConnectError)
            assert isinstance(read_async("http://127.0.0.1:9/", {})[1], ConnectError)

    with ThreadPoolExecutor(1) as threads:
        threads.submit(ask).result(PATIENCE)


def test_what_is_trusted_is_read_once_in_a_thread(made: list[ssl.SSLContext]) -> None:
    """Reading it takes long, in the event loop too; it is what httpx itself trusts."""
    _ask_in_a_thread(lambda: None)
    _ask_in_a_thread()

    assert len(made) == 2
    usual = httpx.create_ssl_context()
    for context in made:
        assert context.cert_store_stats() == usual.cert_store_stats()
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_what_is_trusted_is_read_again_where_it_is_another(
    made: list[ssl.SSLContext], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another file, or another content of it."""
    file = tmp_path / "trusted.pem"
    one = trustme.CA().cert_pem.bytes()
    file.write_bytes(one)

    _ask_in_a_thread(
        lambda: monkeypatch.setenv("SSL_CERT_FILE", str(file)),
        lambda: file.write_bytes(one + trustme.CA().cert_pem.bytes()),
    )

    assert [context.cert_store_stats()["x509_ca"] for context in made[1:]] == [1, 2]


def test_what_replaces_the_class_of_contexts_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package does so to trust what the system trusts."""
    made: list[type] = []

    def make() -> ssl.SSLContext:
        made.append(ssl.SSLContext)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    monkeypatch.setattr(httpx, "create_ssl_context", make)
    usual, other = ssl.SSLContext, type("Other", (ssl.SSLContext,), {})
    _ask_in_a_thread(lambda: monkeypatch.setattr(ssl, "SSLContext", other))

    assert made == [usual, other]


def test_a_folder_of_what_is_trusted_is_read_each_time(
    made: list[ssl.SSLContext], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files may come and go."""
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    _ask_in_a_thread()

    assert len(made) == 2


def test_a_certificate_that_does_not_hold_is_not_worth_a_retry() -> None:
    """A plain server on a TLS address is no certificate problem; both are connect errors."""

    class Refusing(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("certificate verify failed") from ssl.SSLError()

    with httpx.Client(transport=Refusing()) as client, pytest.raises(ConnectError) as caught:
        connect("https://example.org/", client=client).final()

    assert caught.value.stage == "connect"
    assert not caught.value.retryable
