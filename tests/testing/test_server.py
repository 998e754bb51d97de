"""The replay server, over real sockets."""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.timing import PATIENCE, own_threads
from tokenstream.errors import MisuseError
from tokenstream.testing import Request
from tokenstream.testing._serve.replies import Chunk, Reply, paced, refusal
from tokenstream.testing._serve.server import ReplayServer

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENTS = b"data: one\n\ndata: two\n\ndata: [DONE]\n\n"


def _reply(pause: float = 0.0) -> Reply:
    return Reply(chunks=[(pause, b"data: one\n\n"), (pause, b"data: two\n\n"), (pause, b"data: [DONE]\n\n")])


@pytest.fixture
def server() -> Iterator[ReplayServer]:
    with ReplayServer({"/text": _reply(), "/slow": _reply(30.0)}) as running:
        yield running


def _port(server: ReplayServer) -> int:
    return int(server.url.rpartition(":")[2])


def _exchange(server: ReplayServer, sent: bytes) -> bytes:
    """Send bytes over a connection of their own and return all that comes back."""
    with socket.create_connection(("127.0.0.1", _port(server)), timeout=3) as connection:
        connection.sendall(sent)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
        return received


def test_a_body_arrives_in_chunks_with_its_type_and_a_request_id(server: ReplayServer) -> None:
    """The answer looks like a provider's: HTTP/1.1, chunked, an event stream, an id."""
    response = httpx.post(f"{server.url}/text", json={}, trust_env=False)

    assert (EVENTS, "HTTP/1.1") == (response.content, response.http_version)
    assert "text/event-stream; charset=utf-8" == response.headers["content-type"]
    assert "chunked" == response.headers["transfer-encoding"]
    assert "req_0000000000000001" == response.headers["x-request-id"] == response.headers["request-id"]


def test_a_reply_may_name_its_own_status_and_headers() -> None:
    """A prepared header replaces the server's own of that name, however it is spelt."""
    reply = Reply(chunks=[], status=429, headers={"X-Request-Id": "mine", "Retry-After": "2"})
    with ReplayServer({"/": reply}) as server:
        response = httpx.post(server.url, trust_env=False)

    assert (429, "mine", "2") == (
        response.status_code,
        response.headers["x-request-id"],
        response.headers["retry-after"],
    )


def test_chunks_are_sent_at_their_pace() -> None:
    """A chunk waits for its moment: it comes neither with the one before nor early."""
    begun = time.monotonic()
    with (
        ReplayServer({"/text": _reply(0.05)}) as server,
        httpx.stream("POST", f"{server.url}/text", trust_env=False) as response,
    ):
        moments = [time.monotonic() - begun for _ in response.iter_raw()]

    assert 3 == len(moments)
    assert moments[0] < moments[1] < moments[2]
    assert all(due <= moment for due, moment in zip((0.05, 0.1, 0.15), moments, strict=True))


@pytest.mark.slow
def test_a_connection_serves_one_request_after_the_other() -> None:
    """A client may keep its connection, and may send the next request before the answer is over."""
    request = b"POST /text HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n%b\r\n"
    reply = Reply(chunks=[(0.0, b"a"), (0.05, b""), (0.05, b"b")])
    with (
        ReplayServer({"/text": reply}) as server,
        socket.create_connection(("127.0.0.1", _port(server)), timeout=3) as connection,
    ):
        connection.sendall(request % b"")
        received = connection.recv(65_536)
        connection.sendall(request % b"Connection: close\r\n")
        while piece := connection.recv(65_536):
            received += piece

    assert 2 == received.count(b"HTTP/1.1 200 OK")
    assert 2 == received.count(b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n")


@pytest.mark.parametrize("asked", [b"", b"Connection: keep-alive\r\n"])
def test_a_client_of_the_old_protocol_gets_a_body_that_ends_with_the_connection(
    server: ReplayServer, asked: bytes
) -> None:
    """HTTP/1.0 knows no chunks; whether it would keep the connection makes no difference."""
    head, _, body = _exchange(server, b"POST /text HTTP/1.0\r\n%b\r\n" % asked).partition(b"\r\n\r\n")

    assert EVENTS == body
    assert b"transfer-encoding" not in head.lower()
    assert b"connection: close" in head.lower()


def test_a_request_is_recorded(server: ReplayServer) -> None:
    """Tests can ask what their client sent, whether its length was known or not."""
    httpx.post(f"{server.url}/text?x=1", content=b"one", headers={"X-A": "b"}, trust_env=False)
    httpx.post(f"{server.url}/text", content=iter([b"two", b"parts"]), trust_env=False)

    known, unknown = server.exchanges
    assert known.over.wait(PATIENCE)
    assert ("POST", "/text?x=1", "/text") == (known.request.method, known.request.path, known.request.route)
    assert (b"one", "b") == (known.request.body, known.request.headers["x-a"])
    assert b"twoparts" == unknown.request.body
    assert ("answered", len(EVENTS)) == (known.outcome, known.sent)


def test_an_unknown_path_is_refused_in_the_words_of_a_provider(server: ReplayServer) -> None:
    response = httpx.post(f"{server.url}/nothing", trust_env=False)

    assert (404, "application/json") == (response.status_code, response.headers["content-type"])
    assert "nothing is served at /nothing, only at /text, /slow" == response.json()["error"]["message"]


def test_a_known_path_answers_post_alone(server: ReplayServer) -> None:
    response = httpx.get(f"{server.url}/text", trust_env=False)

    assert (405, "POST") == (response.status_code, response.headers["allow"])


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (b"Content-Length: many", b"", b"400"),
        (b"Content-Length: 99999999999", b"", b"413"),
        (b"Content-Length: -1", b"", b"413"),
        (b"Transfer-Encoding: chunked", b"zz\r\n", b"400"),
        (b"Transfer-Encoding: chunked", b"fffffffffff\r\n", b"413"),
    ],
)
def test_a_body_of_no_sensible_length_is_refused(
    server: ReplayServer, headers: bytes, body: bytes, status: bytes
) -> None:
    received = _exchange(server, b"POST /text HTTP/1.1\r\n" + headers + b"\r\n\r\n" + body)

    assert status == received.split(b" ", 2)[1]
    assert b"connection: close" in received.lower()


def test_a_body_in_chunks_may_have_trailers(server: ReplayServer) -> None:
    request = b"POST /text HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    _exchange(server, request + b"2;x=y\r\nok\r\n0\r\nChecksum: 1\r\n\r\n")

    assert b"ok" == server.exchanges[0].request.body


@pytest.mark.parametrize(
    ("how", "raised"), [("close", httpx.RemoteProtocolError), ("reset", httpx.ReadError)]
)
def test_a_cut_breaks_the_body_after_what_was_sent(how: str, raised: type[Exception]) -> None:
    """The client gets every byte before the cut, then its library's error for that kind of break."""
    cut = _reply().cut_after(15, "reset" if how == "reset" else "close")
    received: list[bytes] = []
    with (
        ReplayServer({"/text": cut}) as server,
        httpx.stream("POST", f"{server.url}/text", trust_env=False) as response,
        pytest.raises(raised),
    ):
        received.extend(response.iter_raw())
    exchange = server.exchanges[0]

    assert (EVENTS[:15], "cut", 15) == (b"".join(received), exchange.outcome, exchange.sent)


def test_a_client_that_leaves_while_it_is_sent_to_ends_the_answer() -> None:
    """A connection that the client resets is no error of the server's."""
    endless = Reply(chunks=[(0.0, b"x" * 65_536)] * 5_000)
    with ReplayServer({"/text": endless}) as server:
        with httpx.stream("POST", f"{server.url}/text", trust_env=False) as response:
            next(response.iter_raw())
        (exchange,) = server.exchanges

        assert exchange.over.wait(PATIENCE)
        assert "abandoned" == exchange.outcome


@pytest.mark.slow
def test_stopping_ends_answers_and_idle_connections_at_once() -> None:
    before = own_threads()
    server = ReplayServer({"/text": _reply(), "/slow": _reply(30.0)})
    server.start()
    with (
        httpx.Client(trust_env=False) as idle,
        httpx.stream("POST", f"{server.url}/slow", trust_env=False) as response,
    ):
        idle.post(f"{server.url}/text")
        begun = time.monotonic()
        server.stop()

        assert time.monotonic() - begun < 4
        assert own_threads() <= before
        with pytest.raises(httpx.RemoteProtocolError):
            response.read()


@pytest.mark.slow
def test_a_server_is_stopped_twice_and_started_again() -> None:
    server = ReplayServer({"/text": _reply()})
    with server, pytest.raises(MisuseError, match="is running already"):
        server.start()
    server.stop()
    with pytest.raises(MisuseError, match="is not running"):
        _ = server.url

    with server:
        assert 200 == httpx.post(f"{server.url}/text", trust_env=False).status_code


@given(st.lists(st.binary(max_size=9), max_size=6), st.integers(min_value=1, max_value=60))
def test_a_reply_that_is_cut_holds_exactly_the_bytes_before(pieces: list[bytes], size: int) -> None:
    chunks: list[Chunk] = [(float(number), piece) for number, piece in enumerate(pieces)]
    cut = Reply(chunks=chunks).cut_after(size)

    assert b"".join(pieces)[:size] == b"".join(piece for _, piece in cut.chunks)
    assert [delay for delay, _ in chunks][: len(cut.chunks)] == [delay for delay, _ in cut.chunks]


@given(st.integers(min_value=1, max_value=50), st.floats(min_value=1, max_value=100))
def test_a_paced_body_is_the_same_body_at_the_rate_that_was_asked_for(count: int, rate: float) -> None:
    body = b"".join(b"data: %d\n\n" % number for number in range(count))
    chunks = paced(body, rate=rate, first=0.5)
    pauses = [delay for delay, _ in chunks]

    assert body == b"".join(data for _, data in chunks)
    assert (count, 0.5) == (len(chunks), pauses[0])
    assert abs(sum(pauses[1:]) - (count - 1) / rate) <= 1.5 / rate


def test_a_reply_to_head_and_one_without_content_have_no_body() -> None:
    """No byte of a body comes, which would be taken for the next answer on the connection."""
    reply = Reply(chunks=[(0.0, b"body")])

    def answer(request: Request) -> Reply:
        return replace(reply, status=204) if request.method == "OPTIONS" else reply

    with ReplayServer(answer) as server, httpx.Client(trust_env=False) as client:
        replies = [client.request(method, server.url) for method in ("HEAD", "OPTIONS", "GET")]

    assert [(200, b""), (204, b""), (200, b"body")] == [
        (reply.status_code, reply.content) for reply in replies
    ]
    assert ["answered"] * 3 == [exchange.outcome for exchange in server.exchanges]


@pytest.mark.parametrize(("keep", "kept"), [(None, 4), (2, 2), (0, 0)])
def test_a_server_that_runs_for_long_may_forget(keep: int | None, kept: int) -> None:
    """Only the latest exchanges are kept; the request ids go on counting."""
    with ReplayServer({"/text": _reply()}, keep=keep) as server:
        ids = [
            httpx.post(f"{server.url}/text?{number}", trust_env=False).headers["x-request-id"]
            for number in range(4)
        ]

    assert kept == len(server.exchanges)
    assert ["/text?3"] * bool(kept) == [exchange.request.path for exchange in server.exchanges][-1:]
    assert "req_0000000000000004" == ids[-1]


def test_a_server_may_listen_on_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with ReplayServer({"/text": _reply()}, host="::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert EVENTS == httpx.post(f"{server.url}/text", trust_env=False).content


def test_a_refusal_reads_as_both_providers_word_it() -> None:
    """OpenAI's shape is `error` alone, Anthropic's has a type beside it; one body is both."""
    (_, body), *_ = refusal(400, "no").chunks

    assert b'{"type": "error", "error": {"message": "no", "type": "invalid_request_error"' == body[:76]
