"""WebSockets of the server that tests start."""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

import httpx
import pytest

from tests._sources.sockets import answer, event
from tests.support.packages import needed
from tests.support.timing import PATIENCE, wait_for
from tests.support.wire import sse
from tokenstream import Stream, testing
from tokenstream.errors import StreamInterrupted
from tokenstream.testing import Arrival, Recording, Server

if TYPE_CHECKING:
    from collections.abc import Iterator


client: Any = needed("websockets.sync.client")
exceptions: Any = needed("websockets.exceptions")
# It imports websockets itself.
conversations: Any = import_module("tokenstream.testing._serve.websocket")

SAID = [event("session.created", session={"model": "gpt-realtime"}), *answer("resp_1", "Hel", "lo")]
HEARD = Recording.of([each.encode() for each in SAID], messages=True, format="openai-realtime")
REQUEST = json.dumps({"type": "response.create"})


@pytest.fixture(autouse=True)
def brief_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the server end a connection soon after the client's last words."""
    monkeypatch.setattr(conversations, "_QUIET_SECONDS", 0.05)


@pytest.fixture
def server() -> Iterator[Server]:
    with testing.serve(HEARD) as running:
        yield running


def _open(server: Server, path: str = "/v1/realtime?model=m", **options: Any) -> Any:
    return client.connect(f"{server.ws_url}{path}", proxy=None, **options)


def test_each_chunk_is_one_message(server: Server) -> None:
    with _open(server) as socket:
        socket.send(REQUEST)
        messages = list(socket)

    assert messages == SAID
    assert 1000 == socket.close_code
    [exchange] = server.exchanges
    assert exchange.over.wait(PATIENCE)
    assert ("answered", len(HEARD.body)) == (exchange.outcome, exchange.sent)


def test_a_stream_reads_it(server: Server) -> None:
    with _open(server) as socket:
        socket.send(REQUEST)
        with Stream(socket) as stream:
            message = stream.final()

    assert ("Hello", "complete") == (message.text, message.ending)


def test_what_the_client_sends_is_noted(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text as text, bytes as bytes, a message in pieces as one; pings are answered and are none."""
    monkeypatch.setattr(conversations, "_QUIET_SECONDS", 0.2)
    with _open(server) as socket:
        socket.send(REQUEST)
        socket.send(b"\xff\x00")
        socket.send(["in ", "pieces"])
        assert socket.ping().wait(PATIENCE)

    [exchange] = server.exchanges
    assert exchange.over.wait(PATIENCE)
    assert [REQUEST, b"\xff\x00", "in pieces"] == exchange.received
    assert ("/v1/realtime", "GET") == (exchange.request.route, exchange.request.method)


@pytest.mark.slow
def test_the_connection_stays_open_while_the_client_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that is sent late finds it open, and the end does not wait for ever."""
    monkeypatch.setattr(conversations, "_QUIET_SECONDS", 0.6)
    with testing.serve(HEARD.replaced(arrivals=())) as server, _open(server) as socket:
        for _ in range(3):
            # In less than the time of quiet; three of them are more.
            time.sleep(0.25)
            socket.send(REQUEST)
        with pytest.raises(exceptions.ConnectionClosedOK):
            socket.recv(timeout=PATIENCE)

        assert [REQUEST] * 3 == server.exchanges[0].received


def test_a_client_that_says_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "_FIRST_SECONDS", 0.1)
    with testing.serve(HEARD) as server, _open(server) as socket:
        assert list(socket) == SAID


def test_a_client_may_leave_at_any_time(server: Server) -> None:
    with _open(server) as socket:
        pass
    [late] = server.exchanges
    assert late.over.wait(PATIENCE)

    assert ("answered", 1000) == (late.outcome, socket.close_code)

    slow = HEARD.replaced(arrivals=(Arrival(30.0, b"{}"),))
    with testing.serve(slow, pace="recorded") as other:
        with _open(other):
            pass
        [early] = other.exchanges

        assert early.over.wait(PATIENCE)
        assert ("abandoned", 0) == (early.outcome, early.sent)
        wait_for(lambda: early.closed)


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("breaks", ["close", "reset"])
def test_a_connection_breaks_without_a_closing_frame(breaks: Literal["close", "reset"], tls: bool) -> None:
    broken = HEARD.replaced(arrivals=HEARD.arrivals[:-2], breaks=breaks)
    with testing.serve(broken, tls=tls) as server, ExitStack() as stack:
        options: dict[str, Any] = {"ssl": server.client_context} if tls else {}
        socket = stack.enter_context(_open(server, **options))
        socket.send(REQUEST)
        stream = Stream(socket)
        with pytest.raises(StreamInterrupted, match="without a closing frame") as caught:
            for _ in stream:
                pass
        assert server.exchanges[0].over.wait(PATIENCE)

    assert "cut" == server.exchanges[0].outcome
    assert "Hello" == caught.value.partial.text


@pytest.mark.slow
def test_a_stall_lasts_until_the_client_leaves() -> None:
    """Nothing more comes; what the client sends is still noted."""
    stalled = HEARD.replaced(arrivals=HEARD.arrivals[:4], breaks="stall")
    with testing.serve(stalled) as server:
        with _open(server) as socket:
            socket.send(REQUEST)
            assert SAID[:4] == [socket.recv() for _ in range(4)]
            with pytest.raises(TimeoutError):
                socket.recv(timeout=0.3)
            socket.send("late")
        [exchange] = server.exchanges

        assert exchange.over.wait(PATIENCE)
        assert ("abandoned", [REQUEST, "late"]) == (exchange.outcome, exchange.received)


def test_a_stall_ends_with_the_server() -> None:
    """Leaving the block takes no longer than it must."""
    with ExitStack() as stack:
        with testing.serve(HEARD.replaced(breaks="stall")) as server:
            socket = stack.enter_context(_open(server))
            began = time.monotonic()

        assert time.monotonic() - began < 3
        with pytest.raises(exceptions.ConnectionClosedError):
            list(socket)


def test_bytes_that_are_no_text_are_a_binary_message() -> None:
    recording = Recording.of([b"\xff\x00\n", b"{}\r\n"], messages=True)
    with testing.serve(recording) as server, _open(server) as socket:
        socket.send("go")

        assert [b"\xff\x00\n", "{}"] == list(socket)


@pytest.mark.slow
def test_moments_are_real() -> None:
    recording = HEARD.replaced(arrivals=(Arrival(0.0, b"1"), Arrival(0.3, b"2")))
    began = time.monotonic()
    with testing.serve(recording, pace="recorded") as server, _open(server) as socket:
        assert "1" == socket.recv()
        socket.send(REQUEST)
        assert "2" == socket.recv()

        assert time.monotonic() - began >= 0.3
        assert [REQUEST] == server.exchanges[0].received


def test_a_handshake_is_refused_with_a_status() -> None:
    refused = Recording.of([b'{"error": {}}'], status=401, messages=True)
    with testing.serve(refused) as server, pytest.raises(exceptions.InvalidStatus) as caught:
        _open(server)

    assert (401, b'{"error": {}}') == (caught.value.response.status_code, caught.value.response.body)


def test_a_damaged_handshake_is_refused(server: Server) -> None:
    asked = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "no key"}
    response = httpx.get(f"{server.url}/v1/realtime", headers=asked, trust_env=False)

    assert (400, True) == (response.status_code, "Sec-WebSocket" in response.text)


def test_a_handshake_that_cannot_be_read_ends_the_connection(server: Server) -> None:
    """A line as long as this one is taken for an attack."""
    asked = {"Upgrade": "websocket", "Connection": "Upgrade", "X-Long": "x" * 20_000}

    # Whether it says so first depends on the version of websockets.
    with suppress(httpx.RemoteProtocolError):
        httpx.get(f"{server.url}/v1/realtime", headers=asked, trust_env=False)
    [exchange] = server.exchanges

    assert exchange.over.wait(PATIENCE)
    assert ("abandoned", 0) == (exchange.outcome, exchange.sent)


def test_without_the_package_it_is_told_what_to_install(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "tokenstream.testing._serve.websocket", raising=False)
    monkeypatch.setitem(sys.modules, "websockets.server", None)
    with pytest.raises(exceptions.InvalidStatus) as caught:
        _open(server)

    assert 500 == caught.value.response.status_code
    assert b"pip install websockets" in caught.value.response.body


@pytest.mark.slow
def test_what_is_no_websocket_is_not_played_as_one() -> None:
    with (
        testing.serve(Recording.of([sse("Hello")])) as server,
        pytest.raises(exceptions.InvalidStatus) as caught,
    ):
        _open(server)

    assert b"an HTTP answer is played" in caught.value.response.body


def test_a_client_that_floods_is_cut_off(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message has a largest size; a larger one ends the connection with code 1009."""
    monkeypatch.setattr(conversations, "_MAX_MESSAGE", 1000)
    with _open(server) as socket:
        socket.send("x" * 2000)
        with pytest.raises(exceptions.ConnectionClosedError):
            while True:
                socket.recv(timeout=PATIENCE)

    assert 1009 == socket.close_code


def test_a_websocket_may_speak_tls() -> None:
    with testing.serve(HEARD, tls=True) as server, _open(server, ssl=server.client_context) as socket:
        socket.send(REQUEST)

        assert list(socket) == SAID
        assert 1000 == socket.close_code
