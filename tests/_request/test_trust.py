"""Certificates that `connect` trusts, and what it says of a request that cannot be made: no key."""

from __future__ import annotations

import ssl
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
import trustme

from tests._request.support import read_async, read_sync
from tests.support.loopback import Loopback, refusing_url, sized
from tests.support.timing import PATIENCE
from tests.support.wire import DONE
from tokenstream import aconnect, connect
from tokenstream.errors import ConnectError, TokenStreamError


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[ssl.SSLContext]:
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
            assert isinstance(read_sync("https://127.0.0.1:9/", {})[1], ConnectError)
            assert isinstance(read_async("https://127.0.0.1:9/", {})[1], ConnectError)

    with ThreadPoolExecutor(1) as threads:
        threads.submit(ask).result(PATIENCE)


def test_what_is_trusted_is_read_once_in_a_thread(made: list[ssl.SSLContext]) -> None:
    _ask_in_a_thread(lambda: None)
    _ask_in_a_thread()

    assert len(made) == 2
    usual = httpx.create_ssl_context()
    for context in made:
        assert context.cert_store_stats() == usual.cert_store_stats()
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize("proxy", ["", "https://127.0.0.1:9"])
@pytest.mark.parametrize("options", [{}, {"follow_redirects": True}, {"auth": httpx.BasicAuth("a", "b")}])
def test_a_plain_request_reads_what_is_trusted_only_if_another_may_follow(
    made: list[ssl.SSLContext], monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], proxy: str
) -> None:
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"http": proxy} if proxy else {})
    with ThreadPoolExecutor(1) as threads:
        threads.submit(read_sync, "http://127.0.0.1:9/", options).result(PATIENCE)
    assert bool(made) == bool(options or proxy)


def test_what_is_trusted_is_read_again_where_it_is_another(
    made: list[ssl.SSLContext], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "trusted.pem"
    one = trustme.CA().cert_pem.bytes()
    file.write_bytes(one)

    _ask_in_a_thread(
        lambda: monkeypatch.setenv("SSL_CERT_FILE", str(file)),
        lambda: file.write_bytes(one + trustme.CA().cert_pem.bytes()),
    )

    assert [context.cert_store_stats()["x509_ca"] for context in made[1:]] == [1, 2]


def test_what_replaces_the_class_of_contexts_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
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


pytestmark = pytest.mark.anyio

KEY = "sk-proj-0123456789abcdef"


OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "a line break behind the key": ({"headers": {"Authorization": f"Bearer {KEY}\n"}}, "'authorization'"),
    "one behind a key of its own": ({"headers": {"x-api-key": f"{KEY}\r\n"}}, "'x-api-key'"),
    "bytes": ({"headers": {"api-key": KEY.encode() + b"\n"}}, "'api-key'"),
    "a key for a name": ({"headers": {f"{KEY} ": "1"}}, "header"),
    "a key for auth": ({"auth": KEY}, '"auth"'),
    "a list for auth": ({"auth": [KEY]}, '"auth"'),
    "an unknown option": ({"api_key": KEY}, "connect() has no option "),
    "a key with a letter beyond ASCII": (
        {"headers": {"x-api-key": f"{KEY}é"}},
        "has a character that is not ASCII",
    ),
    "no number": ({"headers": {"api-key": 5}}, "the request cannot be made: "),
}
URLS: dict[str, Callable[[str], str]] = {
    "a password with a question mark": lambda place: f"http://user:{KEY}?@{place}",
    "one with a hash": lambda place: f"http://user:{KEY}#@{place}",
    "one with a slash": lambda place: f"http://user:{KEY}/@{place}",
    "one that begins like a port": lambda place: f"http://127.0.0.1:1?{KEY}@{place}",
    "a key for a port": lambda place: f"http://localhost:{KEY}/{place}",
    "a key in a host that is none": lambda place: f"http://ü{KEY}..{place}",
    "no scheme": lambda place: f"{place}/?key={KEY}",
    "a line break": lambda place: f"http://{place}/?key={KEY}\n",
}


def _told(error: TokenStreamError) -> str:
    """Return all that is printed of an error that nobody catches, with what is noted to it."""
    return "".join(traceback.format_exception(error))


def _reach(url: str, options: dict[str, Any], client: Any) -> str:
    with pytest.raises(TokenStreamError) as caught, connect(url, client=client, **options) as stream:
        stream.final()
    return _told(caught.value)


async def _areach(url: str, options: dict[str, Any], client: Any) -> str:
    with pytest.raises(TokenStreamError) as caught:
        async with aconnect(url, client=client, **options) as stream:
            await stream.final()
    return _told(caught.value)


@pytest.mark.parametrize("options, words", OPTIONS.values(), ids=OPTIONS)
async def test_an_option_that_cannot_be_sent_is_not_quoted(options: dict[str, Any], words: str) -> None:
    with Loopback(sized(DONE), sized(DONE), sized(DONE), sized(DONE)) as server:
        told = [_reach(server.url, options, None), await _areach(server.url, options, None)]
        with httpx2.Client() as client:
            told.append(_reach(server.url, options, client))
        async with httpx2.AsyncClient() as other:
            told.append(await _areach(server.url, options, other))

    assert [True] * 4 == [words in each for each in told], told
    assert not [each for each in told if KEY in each]


@pytest.mark.parametrize("change", URLS.values(), ids=URLS)
async def test_an_address_that_leads_nowhere_is_not_quoted(change: Callable[[str], str]) -> None:
    url = change(refusing_url().removeprefix("http://"))
    told = [_reach(url, {}, None), await _areach(url, {}, None)]
    with httpx2.Client() as client:
        told.append(_reach(url, {}, client))

    assert not [each for each in told if KEY in each]
