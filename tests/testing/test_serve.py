"""The server that tests start: what it plays, over real connections."""

from __future__ import annotations

import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Literal

import anyio
import httpx
import pytest

from tests.support.timing import PATIENCE, wait_for
from tokenstream import aconnect, connect, testing
from tokenstream.errors import MisuseError, StreamInterrupted
from tokenstream.testing import Recording, Request, Server
from tokenstream.testing._serve import serve as _tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokenstream.testing import Script

HELLO = testing.script().text("Hello").finish("stop")
BYE = testing.script().text("Bye").finish("stop")
CHAT = "/v1/chat/completions"


@pytest.fixture
def server() -> Iterator[Server]:
    with testing.serve(HELLO) as running:
        yield running


_READ_SHORTLY = httpx.Timeout(PATIENCE, read=0.1)
"""Gives up an answer soon, and not the connection, which takes its time on a busy machine."""


def _post(server: Server, path: str = CHAT, **options: Any) -> httpx.Response:
    return httpx.post(f"{server.url}{path}", trust_env=False, **options)


def test_a_script_is_sent_as_the_provider_would_send_it(server: Server) -> None:
    response = _post(server)

    assert b"".join(HELLO.chunks("openai-chat")) == response.content
    assert (200, "text/event-stream; charset=utf-8") == (
        response.status_code,
        response.headers["content-type"],
    )


def test_the_addresses_differ_in_their_scheme_alone(server: Server) -> None:
    assert server.url.startswith("http://127.0.0.1:")
    assert server.ws_url == server.url.replace("http://", "ws://")


def test_the_address_may_be_chosen() -> None:
    with testing.serve(HELLO, host="localhost") as first:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"), testing.serve(HELLO, port=port):
            pass


@pytest.mark.parametrize(
    ("played", "path", "says"),
    [
        (HELLO, "/text", "the path /text does not determine"),
        (Recording.of([b"Hello"], headers={"x-name": "a\nb"}), CHAT, "header x-name cannot be sent"),
        (Recording.of([b"{}"], messages=True), "/v1/realtime", "connect to ws://"),
    ],
)
def test_what_cannot_be_sent_is_an_error_of_the_client(played: Any, path: str, says: str) -> None:
    """The server says what is missing, in the place where the test's client shows it."""
    with testing.serve(played) as server:
        response = _post(server, path)

    assert 500 == response.status_code
    assert says in response.json()["error"]["message"]


def test_a_function_that_fails_is_reported_to_the_client_and_to_its_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failed: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: failed.append(args.exc_value))

    def choose(request: Request) -> Script:
        assert "m" == request.json["model"]
        return HELLO

    with testing.serve(choose) as server:
        wrong = _post(server, json={"model": "other"})
        right = _post(server, json={"model": "m"})

    assert (500, 200) == (wrong.status_code, right.status_code)
    assert "failed with AssertionError" in wrong.json()["error"]["message"]
    assert "close" == wrong.headers["connection"]
    assert [AssertionError] == [type(error) for error in failed]


@pytest.mark.parametrize(
    ("breaks", "error"), [("close", httpx.RemoteProtocolError), ("reset", httpx.ReadError)]
)
def test_a_connection_really_breaks(breaks: Literal["close", "reset"], error: type[Exception]) -> None:
    cut = HELLO.recording("openai-chat").replaced(breaks=breaks)
    with testing.serve(cut) as server, pytest.raises(error):
        _post(server)

    [exchange] = server.exchanges
    assert ("cut", len(cut.body)) == (exchange.outcome, exchange.sent)


over_both = pytest.mark.parametrize("tls", [False, True])
STALLED = testing.script().text("Hel").recording("openai-chat").replaced(breaks="stall")


def _trust(server: Server, tls: bool) -> Any:
    return server.client_context if tls else True


@over_both
def test_a_stall_lasts_until_the_client_leaves(tls: bool) -> None:
    """For ever is until somebody gives up; the server notices."""
    with testing.serve(STALLED, tls=tls) as server:
        with pytest.raises(httpx.ReadTimeout):
            _post(server, timeout=_READ_SHORTLY, verify=_trust(server, tls))
        wait_for(lambda: bool(server.exchanges))
        [exchange] = server.exchanges

        assert exchange.over.wait(PATIENCE)
        assert "abandoned" == exchange.outcome


@over_both
def test_a_stall_ends_with_the_server(tls: bool) -> None:
    """Leaving the block takes no longer than it must, and is no client's doing; also beneath TLS."""
    with testing.serve(STALLED, tls=tls) as server:
        client = httpx.Client(verify=_trust(server, tls), trust_env=False)
        stream = connect(f"{server.url}{CHAT}", client=client)
        assert "Hel" == next(iter(stream.text))
        began = time.monotonic()

    assert time.monotonic() - began < 3
    assert not server.exchanges[0].closed
    with pytest.raises(StreamInterrupted):
        stream.final()
    client.close()


def test_a_connection_that_the_client_closes_is_noted() -> None:
    """A test can ask whether its code let go of the answer."""
    with testing.serve(HELLO) as server:
        client = httpx.Client(trust_env=False)
        client.post(f"{server.url}{CHAT}", json={})
        [exchange] = server.exchanges
        assert not exchange.closed
        client.close()
        wait_for(lambda: exchange.closed)

        assert "answered" == exchange.outcome


@pytest.mark.anyio
async def test_it_runs_on_any_event_loop() -> None:
    """`async with` is the same server."""
    async with testing.serve(HELLO) as server, aconnect(f"{server.url}{CHAT}", json={}) as stream:
        message = await stream.final()

    assert ("Hello", 1) == (message.text, len(server.requests))
    with pytest.raises(MisuseError, match="is not running"):
        _ = server.url


@pytest.mark.anyio
async def test_neither_start_nor_stop_blocks_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []

    def noted(real: Callable[[Server], None]) -> Callable[[Server], None]:
        def call(server: Server) -> None:
            threads.append(threading.current_thread())
            real(server)

        return call

    for name in ("start", "stop"):
        monkeypatch.setattr(Server, name, noted(getattr(Server, name)))
    with anyio.CancelScope() as scope:
        async with testing.serve(HELLO):
            scope.cancel()
            await anyio.sleep(10)

    assert 2 == len(threads)
    assert threading.current_thread() not in threads


def test_it_may_speak_tls() -> None:
    with testing.serve(HELLO, tls=True) as server:
        assert server.url.startswith("https://127.0.0.1:")
        assert server.ws_url.startswith("wss://127.0.0.1:")
        with httpx.Client(verify=server.client_context, trust_env=False) as client:
            assert "Hello" == connect(f"{server.url}{CHAT}", client=client).final().text


def test_a_client_that_does_not_trust_it_goes_away() -> None:
    with testing.serve(HELLO, tls=True) as server:
        with pytest.raises(httpx.ConnectError, match="certificate"):
            _post(server)

        assert 200 == _post(server, verify=server.client_context).status_code


def test_over_tls_nothing_comes_that_was_not_asked_for() -> None:
    """A client that reads in one thread and writes in another would lose what it writes meanwhile."""
    with testing.serve(HELLO, tls=True) as server:
        port = int(server.url.rpartition(":")[2])
        with (
            socket.create_connection(("127.0.0.1", port), timeout=3) as plain,
            server.client_context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
        ):
            secured.settimeout(0.1)
            with pytest.raises(TimeoutError):
                # Beneath TLS, whose own messages are no data.
                socket.socket.recv(secured, 1, socket.MSG_PEEK)


def test_only_tls_needs_trust() -> None:
    with testing.serve(HELLO) as server, pytest.raises(MisuseError, match="start it with tls=True"):
        _ = server.client_context


def test_without_trustme_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)
    monkeypatch.setattr(_tls, "_authority", _tls._authority.__wrapped__)  # noqa: SLF001 - past its cache

    with pytest.raises(MisuseError, match="pip install trustme"):
        testing.serve(HELLO, tls=True, host="127.0.0.2")
