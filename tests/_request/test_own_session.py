"""Requests with the aiohttp sessions that the library makes itself."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from tests._request.support import PATH
from tests.stream.bodies import ANSWER
from tests.support.loopback import OPEN, REQUEST, Loopback, authority_pem, chunked, sized
from tokenstream import Retry, aconnect, connect
from tokenstream.errors import ConnectError, MisuseError, StatusError

TEXT = "Let me see."


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Remove what the machine itself says of clients, proxies and certificates."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("TOKENSTREAM_CLIENT", raising=False)
    return monkeypatch


async def ask(url: str, **options: Any) -> str:
    async with aconnect(url, **options) as stream:
        return (await stream.final()).text


def test_requests_of_one_loop_share_connections_which_close_with_the_loop() -> None:
    answer = sized(b"".join(ANSWER), headers=[("Set-Cookie", "c=1")])

    async def main(url: str) -> None:
        for _ in range(2):
            assert await ask(url, client="aiohttp", json={}) == TEXT
        assert len(server.connections) == 1
        assert server.connections[0].open_after(0.05)

    with Loopback([*answer, REQUEST, *answer, OPEN]) as server:
        asyncio.run(main(server.url))
        assert server.connections[0].closed_within(5)
        assert [request.headers.get("cookie") for request in server.requests] == [None, None]


@pytest.fixture
def collected() -> Iterator[None]:
    """Have all that a test leaves to the garbage collector warn in that test, and in no later one."""
    yield
    # A warning that is raised while the test runs keeps what it is about alive until the test has ended.
    gc.collect()


@pytest.mark.usefixtures("collected")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_each_event_loop_has_a_session_of_its_own() -> None:
    """The package aiohttp warns of a loop that was closed without a shutdown of its generators."""
    with Loopback(*[sized(b"".join(ANSWER))] * 3) as server:
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(ask(server.url, client="aiohttp")) == TEXT
        loop.close()
        for _ in range(2):
            assert asyncio.run(ask(server.url, client="aiohttp")) == TEXT
    gc.collect()


@pytest.mark.slow
def test_many_requests_at_once() -> None:
    bodies = [b"".join(ANSWER).replace(b"see.", b"see %d." % number) for number in range(120)]

    async def main(url: str) -> list[str]:
        return await asyncio.gather(*(ask(url, client="aiohttp") for _ in bodies))

    with Loopback(*map(sized, bodies)) as server:
        texts = asyncio.run(main(server.url))
    assert sorted(texts) == sorted(f"Let me see {number}." for number in range(120))


def test_the_environment_sets_the_client_of_a_process(bare: pytest.MonkeyPatch) -> None:
    """A client that is passed comes first; `connect` has no event loop, so it stays with httpx."""

    async def main(url: str) -> None:
        await ask(url)
        await ask(url, client="httpx")
        await ask(url, retry=Retry(attempts=2))
        async with aiohttp.ClientSession(headers={"User-Agent": "mine"}) as session:
            await ask(url, client=session)

    with Loopback(*[sized(b"".join(ANSWER))] * 6) as server:
        asyncio.run(ask(server.url))
        bare.setenv("TOKENSTREAM_CLIENT", "aiohttp")
        asyncio.run(main(server.url))
        connect(server.url).final()
        agents = [request.headers["user-agent"] for request in server.requests]
    names = [
        next((name for name in ("httpx", "aiohttp", "mine") if name in agent), agent) for agent in agents
    ]
    assert names == ["httpx", "aiohttp", "httpx", "aiohttp", "mine", "httpx"]


def test_a_name_that_is_none_is_refused(bare: pytest.MonkeyPatch) -> None:
    with pytest.raises(MisuseError, match='"httpx", "aiohttp" or a client, not \'curl\''):
        aconnect("http://localhost:9/", client="curl")
    with pytest.raises(MisuseError, match="asynchronous: use aconnect"):
        connect("http://localhost:9/", client="aiohttp")
    bare.setenv("TOKENSTREAM_CLIENT", "curl")
    with pytest.raises(MisuseError, match="TOKENSTREAM_CLIENT must be httpx or aiohttp, not 'curl'"):
        aconnect("http://localhost:9/")


def test_aiohttp_needs_asyncio() -> None:
    with pytest.raises(MisuseError, match="aiohttp needs asyncio: on trio"):
        anyio.run(lambda: aconnect("http://localhost:9/", client="aiohttp").final(), backend="trio")


def test_without_the_package_the_error_says_what_to_install(bare: pytest.MonkeyPatch) -> None:
    for name in ("aiohttp_client",):
        bare.delitem(sys.modules, f"tokenstream._request.{name}", raising=False)
        bare.delattr(f"tokenstream._request.{name}", raising=False)
    bare.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(MisuseError, match=r'pip install "aiohttp>=\d'):
        asyncio.run(ask("http://localhost:9/", client="aiohttp"))


@pytest.mark.parametrize("client", ["httpx", "aiohttp"])
class TestEnvironment:
    """Both clients follow the same variables."""

    def test_a_proxy(self, bare: pytest.MonkeyPatch, client: str) -> None:
        with Loopback(sized(b"".join(ANSWER)), sized(b"".join(ANSWER))) as proxy:
            for variable in ("http_proxy", "all_proxy"):
                bare.setenv(variable, proxy.url.replace("//", "//user:pass@"))
                assert asyncio.run(ask(f"http://example.test{PATH}", client=client)) == TEXT
                bare.delenv(variable)
            asked = [(each.path, each.headers["proxy-authorization"]) for each in proxy.requests]
        assert asked == [(f"http://example.test{PATH}", "Basic dXNlcjpwYXNz")] * 2

    def test_no_proxy(self, bare: pytest.MonkeyPatch, client: str) -> None:
        bare.setenv("http_proxy", "http://127.0.0.1:1")
        with Loopback(*[sized(b"".join(ANSWER))] * 2) as server:
            for excepted in ("127.0.0.1", "*"):
                bare.setenv("no_proxy", excepted)
                assert asyncio.run(ask(server.url, client=client)) == TEXT
            bare.setenv("no_proxy", "example.test")
            with pytest.raises(ConnectError):
                asyncio.run(ask(server.url, client=client))

    @pytest.mark.parametrize("address", ["gopher://user:secret@127.0.0.1:1", "http://[::1"])
    def test_a_proxy_that_cannot_be_used(self, bare: pytest.MonkeyPatch, client: str, address: str) -> None:
        bare.setenv("http_proxy", address)
        with pytest.raises(MisuseError, match="HTTP_PROXY, HTTPS_PROXY") as caught:
            asyncio.run(ask("http://example.test/", client=client))
        assert "secret" not in f"{caught.value}{caught.value.__cause__}"

    def test_certificates(self, bare: pytest.MonkeyPatch, tmp_path: Path, client: str) -> None:
        """SSL_CERT_FILE says which authority is trusted; without it, the server is not."""
        file = tmp_path / "authority.pem"
        file.write_bytes(authority_pem())
        with Loopback(*[chunked(ANSWER)] * 2, tls=True) as server:
            with pytest.raises(ConnectError, match="certificate"):
                asyncio.run(ask(server.url, client=client))
            bare.setenv("SSL_CERT_FILE", str(file))
            assert asyncio.run(ask(server.url, client=client)) == TEXT

    def test_certificates_that_cannot_be_read(
        self, bare: pytest.MonkeyPatch, tmp_path: Path, client: str
    ) -> None:
        (tmp_path / "secret.pem").write_text("none", encoding="utf-8")
        bare.setenv("SSL_CERT_FILE", str(tmp_path / "secret.pem"))
        with pytest.raises(MisuseError, match="SSL_CERT_FILE") as caught:
            asyncio.run(ask("https://127.0.0.1:9/", client=client))
        assert "secret" not in str(caught.value)

    def test_a_password_of_netrc_is_not_sent(
        self, bare: pytest.MonkeyPatch, tmp_path: Path, client: str
    ) -> None:
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password pass", encoding="utf-8")
        bare.setenv("NETRC", str(tmp_path / "netrc"))
        with Loopback(sized(b"".join(ANSWER))) as server:
            assert asyncio.run(ask(server.url, client=client)) == TEXT
            assert "authorization" not in server.requests[0].headers

    def test_a_refusal_is_reported_in_our_words(self, client: str) -> None:
        refusal = sized(b'{"error": {"message": "no"}}', status=401)
        with Loopback(refusal) as server, pytest.raises(StatusError) as caught:
            asyncio.run(ask(server.url, client=client))
        assert (caught.value.status, caught.value.kind) == (401, "authentication")
