"""Asking for a stream over real HTTP: what goes out, what comes back, and what is closed."""

from __future__ import annotations

import gzip
import inspect
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import httpx
import httpx2
import pytest
import trustme

from tests.stream.bodies import ANSWER
from tests.support.wire import sse
from tokenstream import AsyncStream, Deadlines, Stream, aconnect, connect
from tokenstream._request.options import OPTIONS
from tokenstream.errors import (
    ConnectError,
    MisuseError,
    NotAStream,
    ProviderError,
    StatusError,
    StreamClosed,
    StreamError,
    StreamInterrupted,
    StreamStalled,
    StreamTruncated,
)
from tokenstream.message import Message
from tokenstream.testing._serve.server import Exchange, ReplayServer, Reply

PATH = "/v1/chat/completions"
WHOLE = Reply(chunks=[(0.0, item) for item in ANSWER])


def reply(body: bytes, content_type: str = "text/event-stream", **more: Any) -> Reply:
    return Reply(chunks=[(0.0, body)], content_type=content_type, **more)


def read(answer: Reply, **options: Any) -> tuple[Message | None, StreamError | None, Exchange]:
    """Ask over both drivers and return what the two agree on."""
    found = []
    for both in (_read_sync, _read_async):
        with ReplayServer({PATH: answer}) as server:
            message, error = both(server.url + PATH, options)
            exchange = server.exchanges[0]
            assert exchange.over.wait(5)
        found.append((message, error, exchange))
    (message, error, exchange), (other, other_error, _) = found
    assert message == other
    assert type(error) is type(other_error)
    return message, error, exchange


def _read_sync(url: str, options: Any) -> tuple[Message | None, StreamError | None]:
    with connect(url, **options) as stream:
        try:
            return stream.final(), None
        except StreamError as error:
            assert stream.closed
            return None, error


def _read_async(url: str, options: Any) -> tuple[Message | None, StreamError | None]:
    async def main() -> tuple[Message | None, StreamError | None]:
        async with aconnect(url, **options) as stream:
            try:
                return await stream.final(), None
            except StreamError as error:
                assert stream.closed
                return None, error

    return anyio.run(main)


def test_an_answer_over_http() -> None:
    """The request carries what was asked for, and asks for an uncompressed event stream."""
    message, error, exchange = read(WHOLE, json={"stream": True}, headers={"X-Key": "k"})

    assert error is None
    assert message is not None
    assert message.text == "Let me see."
    assert json.loads(exchange.request.body) == {"stream": True}
    assert exchange.request.headers["x-key"] == "k"
    assert exchange.request.headers["accept"] == "text/event-stream"
    assert exchange.request.headers["accept-encoding"] == "identity"
    assert exchange.outcome == "answered"


def test_an_option_may_be_none() -> None:
    """It stands for httpx's own default."""
    options = dict.fromkeys(["headers", "params", "cookies", "extensions", "content", "json"])
    message, error, _ = read(WHOLE, **options)

    assert error is None
    assert message is not None
    assert message.text == "Let me see."


def test_the_callers_headers_are_not_written_into() -> None:
    """What was passed in stays as it was."""
    headers = {"X-Key": "k"}
    read(WHOLE, headers=headers)

    assert headers == {"X-Key": "k"}


def test_nothing_is_sent_before_the_first_read() -> None:
    """`connect` is lazy: the request goes out at `with` or the first read."""
    with ReplayServer({PATH: WHOLE}) as server:
        stream = connect(server.url + PATH)
        assert server.exchanges == []
        before = stream.response
        assert before is None
        assert next(stream.text) == "Let "
        head = stream.response
        stream.close()

    assert head is not None
    assert head.status == 200
    assert head.content_type == "text/event-stream; charset=utf-8"
    assert head.request_id


def test_a_stream_that_is_never_opened_needs_no_closing() -> None:
    """There is no source yet."""
    stream = connect("http://127.0.0.1:9/")
    stream.close()

    assert stream.message.ending == "stopped"
    with pytest.raises(MisuseError):
        iter(stream)


def test_a_stream_that_was_ended_before_it_began_sends_nothing() -> None:
    """Nobody pays for an answer that nobody wants."""
    with ReplayServer({PATH: WHOLE}) as server:
        stream = connect(server.url + PATH)
        stream.stop()
        with stream:
            assert list(stream.text) == []
        closed = connect(server.url + PATH)
        closed.close()
        with pytest.raises(StreamClosed):
            closed.__enter__()

        assert server.exchanges == []


def test_misuse_is_not_blamed_on_the_network() -> None:
    """A response that was read before, a client that is none, a client of the other colour."""
    response = httpx.Response(200, stream=httpx.ByteStream(b"".join(ANSWER)))
    next(response.iter_raw(5))
    with pytest.raises(MisuseError, match="already read or closed"):
        Stream(response).final()
    with pytest.raises(MisuseError, match="takes an httpx"):
        connect("http://127.0.0.1/", client=object())
    with pytest.raises(MisuseError, match="aconnect"):
        connect("http://127.0.0.1/", client=httpx.AsyncClient())
    with httpx.Client() as client, pytest.raises(MisuseError, match="use connect"):
        aconnect("http://127.0.0.1/", client=client)


class _Wider:
    """A client whose `stream` takes an option more than httpx's."""

    def stream(self, method: str, url: str, *, trace_id: str = "") -> Any:
        raise AssertionError

    def close(self) -> None: ...


def test_an_unknown_option_is_refused_before_anything_is_sent() -> None:
    """With the nearest name; an option that the caller's own client takes is left to it."""
    unknown: dict[str, tuple[Any, str]] = {
        "jsn": ({}, r"connect\(\) has no option jsn=; did you mean json=\?"),
        "payload": ({}, r"did you mean json=\?"),
        "formt": ("text", r"did you mean format=\?"),
        "xyzzy": (1, r"the options are json, content, .*, reasoning_tags"),
    }
    for name, (value, words) in unknown.items():
        options: dict[str, Any] = {name: value}
        with pytest.raises(MisuseError, match=words):
            connect("http://127.0.0.1/", **options)
        with pytest.raises(MisuseError, match=words.replace("connect", "aconnect")):
            aconnect("http://127.0.0.1/", **options)
        with httpx.Client() as client, pytest.raises(MisuseError, match=words):
            connect("http://127.0.0.1/", client=client, **options)
    wider: dict[str, Any] = {"trace_id": "1"}
    connect("http://127.0.0.1/", client=_Wider(), **wider).close()


def test_the_typed_options_are_those_of_httpx() -> None:
    """All of them, but what `connect` takes itself."""
    for client in (httpx.Client, httpx.AsyncClient, httpx2.Client, httpx2.AsyncClient):
        taken = set(inspect.signature(client.stream).parameters)

        assert set(OPTIONS) == taken - {"self", "method", "url"}


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_a_client_of_ones_own_is_used_and_stays_open(library: Any) -> None:
    """Its settings count; it is the caller's to close."""
    with ReplayServer({PATH: WHOLE}) as server, library.Client(headers={"X-Own": "1"}) as client:
        for _ in range(2):
            with connect(server.url + PATH, client=client) as stream:
                assert stream.final().ending == "complete"

        assert not client.is_closed
        assert [exchange.request.headers["x-own"] for exchange in server.exchanges] == ["1", "1"]


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_an_asynchronous_client_of_ones_own(library: Any) -> None:
    """The same for `aconnect`."""

    async def main(url: str) -> None:
        async with library.AsyncClient(headers={"X-Own": "1"}) as client:
            async with aconnect(url, client=client) as stream:
                assert (await stream.final()).ending == "complete"
            assert not client.is_closed

    with ReplayServer({PATH: WHOLE}) as server:
        for backend in ("asyncio", "trio"):
            anyio.run(main, server.url + PATH, backend=backend)


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("already_read", [False, True])
def test_a_response_that_one_already_has(library: Any, already_read: bool) -> None:
    """Streamed, or read by somebody else before."""
    with ReplayServer({PATH: WHOLE}) as server, library.Client() as client:
        with client.stream("POST", server.url + PATH) as response:
            if already_read:
                response.read()
            stream = Stream(response)
            assert stream.final().text == "Let me see."
            assert stream.metrics.started == "wrapped"
        assert response.is_closed


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_an_asynchronous_response_that_one_already_has(library: Any) -> None:
    """The same, asynchronous; the wrong class says which is right."""

    async def main(url: str) -> None:
        async with library.AsyncClient() as client, client.stream("POST", url) as response:
            with pytest.raises(MisuseError, match="AsyncStream"):
                Stream(response)
            assert (await AsyncStream(response).final()).text == "Let me see."
            assert response.is_closed

    with ReplayServer({PATH: WHOLE}) as server:
        anyio.run(main, server.url + PATH)
        with httpx.Client() as client, client.stream("POST", server.url + PATH) as response:
            with pytest.raises(MisuseError, match="with Stream"):
                AsyncStream(response)
            response.read()


def test_a_response_made_by_hand_for_a_test() -> None:
    """It has no request and no connection."""
    response = httpx.Response(200, content=b"".join(ANSWER), headers={"content-type": "text/event-stream"})

    assert Stream(response).final().text == "Let me see."


def test_a_compressed_body_is_decoded() -> None:
    """Where a server compresses although it was not asked to."""
    answer = reply(gzip.compress(b"".join(ANSWER)), headers={"Content-Encoding": "gzip"})
    message, error, _ = read(answer)

    assert error is None
    assert message is not None
    assert message.text == "Let me see."


def test_an_error_status_carries_what_the_provider_says() -> None:
    """Status, words, type, request id, and how long to wait."""
    body = b'{"error": {"message": "slow down", "type": "rate_limit_error", "code": "too_fast"}}'
    answer = reply(body, "application/json", status=429, headers={"Retry-After": "2"})
    _, error, _ = read(answer)

    assert isinstance(error, StatusError)
    assert "429" in str(error)
    assert "slow down" in str(error)
    assert (error.status, error.code, error.type) == (429, "too_fast", "rate_limit_error")
    assert (error.kind, error.retryable, error.retry_after) == ("rate_limited", True, 2.0)
    assert error.body == body.decode()
    assert error.request_id
    assert error.partial.ending != "streaming"
    assert error.partial.ending == "failed"


@pytest.mark.parametrize(
    "status, body, kind, retryable, words",
    [
        (502, b"<html><title>502 Bad Gateway</title></html>", "server", True, "Bad Gateway"),
        (401, b'{"error": {"message": "no key"}}', "authentication", False, "no key"),
        (404, b"", "invalid_request", False, "404"),
        (
            529,
            b'{"type": "error", "error": {"type": "overloaded_error", "message": "O"}}',
            "overloaded",
            True,
            "O",
        ),
        (429, b'{"error": {"code": "insufficient_quota", "message": "pay"}}', "rate_limited", False, "pay"),
        (500, sse('{"error": {"message": "inside"}}'), "server", True, "inside"),
        (500, b'[{"error": {"message": "listed"}}]', "server", True, "listed"),
    ],
)
def test_whose_problem_an_error_status_is(
    status: int, body: bytes, kind: str, retryable: bool, words: str
) -> None:
    """Whatever the form of the body: JSON, a page, nothing, or an event stream."""
    _, error, _ = read(reply(body, "text/plain", status=status))

    assert isinstance(error, StatusError)
    assert words in str(error)
    assert (error.status, error.kind, error.retryable) == (status, kind, retryable)


def test_a_huge_error_body_is_read_within_bounds() -> None:
    """The error keeps its start."""
    _, error, _ = read(Reply(chunks=[(0.0, b"x" * 50_000)] * 4, status=500))

    assert isinstance(error, StatusError)
    assert len(error.body) == 4096


def test_an_error_with_status_200_is_the_providers() -> None:
    """JSON instead of a stream, whatever the content type says."""
    for content_type in ("application/json", "text/event-stream"):
        _, error, _ = read(reply(b'{"error": {"message": "busy", "type": "overloaded_error"}}', content_type))

        assert isinstance(error, ProviderError)
        assert error.kind == "overloaded"


def test_a_web_page_is_no_stream() -> None:
    """The error shows the page's title."""
    _, error, _ = read(reply(b"<!doctype html><title>Please log in</title>", "text/html"))

    assert isinstance(error, NotAStream)
    assert "Please log in" in str(error)


def test_an_empty_body_is_truncated() -> None:
    """No event at all; asking again may help."""
    _, error, _ = read(reply(b""))

    assert isinstance(error, StreamTruncated)
    assert error.retryable
    assert error.events_seen == 0


def test_a_whole_answer_instead_of_a_stream_is_read_as_one() -> None:
    """Some servers refuse to stream and answer at once."""
    body = {
        "id": "c1",
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
    for indent in (None, 2):
        message, error, _ = read(reply(json.dumps(body, indent=indent).encode(), "application/json"))

        assert error is None
        assert message is not None
        assert (message.text, message.ending) == ("Hi", "complete")


def test_a_redirect_is_not_followed() -> None:
    """Credentials never reach another host; the error names the target."""
    _, error, _ = read(reply(b"", status=307, headers={"Location": "https://elsewhere.example/v1"}))

    assert isinstance(error, NotAStream)
    assert "https://elsewhere.example/v1" in str(error)


def test_a_redirect_within_an_origin_says_how_to_follow_it() -> None:
    """A lacking slash is the usual reason; the key in the query is not told."""
    _, error, _ = read(reply(b"", status=307, headers={"Location": PATH + "/?key=secret"}))

    assert isinstance(error, NotAStream)
    assert f"{PATH}/ (status 307" in str(error)
    assert "follow_redirects=True" in str(error)
    assert "secret" not in str(error)


def test_a_connection_that_is_refused() -> None:
    """Nobody listens: asking again may help."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    for message, error in (
        _read_sync(f"http://127.0.0.1:{port}/", {}),
        _read_async(f"http://127.0.0.1:{port}/", {}),
    ):
        assert message is None
        assert isinstance(error, ConnectError)
        assert (error.stage, error.kind, error.retryable) == ("connect", "network", True)
        assert isinstance(error.__cause__, httpx.ConnectError)
        assert error.partial.ending != "streaming"


@contextmanager
def raw_server(answer: bytes, *, hang: bool = False) -> Generator[str]:
    """Answer one request with exact bytes; then close, or hang until the client leaves."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)
            if hang:
                connection.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        thread.join(5)
        listener.close()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-", b"what?\r\n\r\n"])
def test_a_head_that_never_comes_whole(answer: bytes) -> None:
    """The server was reached, so the request may have been taken."""
    with raw_server(answer) as url:
        _, error = _read_sync(url, {})

    assert isinstance(error, ConnectError)
    assert error.stage == "head"


def test_a_head_that_never_comes_is_a_stall() -> None:
    """Our own client waits as long as the deadlines say."""
    with raw_server(b"", hang=True) as url:
        _, error = _read_sync(url, {"deadlines": Deadlines(first_event=0.05, idle_bytes=0.05)})

    assert isinstance(error, StreamStalled)
    assert error.limit == "first_event"


@pytest.mark.parametrize("first, limit", [(b"", "first_event"), (ANSWER[2], "idle_bytes")])
def test_a_silent_body_is_a_stall_with_the_partial_kept(first: bytes, limit: str) -> None:
    """The limit is named after what was waited for."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    with raw_server(head + first, hang=True) as url:
        _, error = _read_sync(url, {"deadlines": Deadlines(first_event=0.05, idle_bytes=0.05)})

    assert isinstance(error, StreamStalled)
    assert error.limit == limit
    assert error.partial.ending != "streaming"
    assert error.partial.text == ("Let " if first else "")


@pytest.mark.parametrize("first", [b"", ANSWER[2]])
@pytest.mark.parametrize(
    "options", [{"timeout": 0.05}, {"extensions": {"timeout": {"connect": 5.0, "read": 0.05}}}]
)
def test_a_timeout_of_the_callers_is_not_called_a_deadline(first: bytes, options: dict[str, Any]) -> None:
    """It is the transport's; before the head, and in the body."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" if first else b""
    for both in (_read_sync, _read_async):
        with raw_server(head + first, hang=True) as url:
            _, error = both(url, options)

        assert isinstance(error, StreamStalled)
        assert error.limit == "transport"


def test_a_connection_that_breaks_in_the_body() -> None:
    """Everything before the break is kept."""
    cuts: list[Literal["close", "reset"]] = ["close", "reset"]
    for how in cuts:
        _, error, _ = read(Reply(chunks=[(0.0, ANSWER[2]), (0.05, ANSWER[3])], cut=how))

        assert isinstance(error, StreamInterrupted)
        assert error.partial.ending != "streaming"
        assert error.partial.text in ("Let ", "Let me ")
        assert isinstance(error.__cause__, httpx.TransportError)


def test_a_body_without_framing_that_ends_early_is_truncated() -> None:
    """With `Connection: close` the end looks like any end; the answer tells."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    with raw_server(head + b"".join(ANSWER[:4])) as url:
        _, error = _read_sync(url, {})

    assert isinstance(error, StreamTruncated)
    assert error.partial.ending != "streaming"
    assert error.partial.text == "Let me "


def test_leaving_the_block_early_closes_the_connection() -> None:
    """The server sees it at once, and stops paying for tokens."""
    slow = Reply(chunks=[(0.0, ANSWER[2]), (60.0, ANSWER[3])])
    with ReplayServer({PATH: slow}) as server:
        with connect(server.url + PATH) as stream:
            assert next(stream.text) == "Let "
        assert server.exchanges[0].over.wait(2)
        assert server.exchanges[0].outcome == "abandoned"

    async def main(url: str) -> None:
        async with aconnect(url) as stream:
            assert await anext(stream.text) == "Let "

    with ReplayServer({PATH: slow}) as server:
        anyio.run(main, server.url + PATH)
        assert server.exchanges[0].over.wait(2)
        assert server.exchanges[0].outcome == "abandoned"


def test_a_trace_of_the_callers_is_told_each_step() -> None:
    """Ours listens too; what the caller's own raises passes as it does with httpx."""
    steps: list[str] = []
    with raw_server(b"", hang=True) as url:
        begun = time.monotonic()
        stream = connect(url, extensions={"trace": lambda step, _: steps.append(step)}, timeout=2)
        threading.Timer(0.05, stream.stop).start()
        assert list(stream.text) == []
        assert time.monotonic() - begun < 1
    assert steps[0] == "connection.connect_tcp.started"
    assert "http11.receive_response_headers.started" in steps

    def refusing(step: str, _: object) -> None:
        raise LookupError(step)

    with pytest.raises(MisuseError) as caught:
        connect("http://127.0.0.1:9/", extensions={"trace": refusing}).final()
    assert isinstance(caught.value.__cause__, LookupError)


def test_extensions_that_are_no_dict_are_misuse() -> None:
    """At once, before anything is sent."""
    extensions: Any = [1]
    with pytest.raises(MisuseError, match="extensions"):
        connect("http://127.0.0.1:9/", extensions=extensions)


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
            assert isinstance(_read_sync("http://127.0.0.1:9/", {})[1], ConnectError)
            assert isinstance(_read_async("http://127.0.0.1:9/", {})[1], ConnectError)

    with ThreadPoolExecutor(1) as threads:
        threads.submit(ask).result(4)


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


def test_an_address_that_cannot_be_asked_is_misuse() -> None:
    """The calling code is wrong, not the world."""
    for url in ("ftp://example.org/", "example.org/no-scheme"):
        with pytest.raises(MisuseError, match="request"):
            connect(url).final()


def test_a_certificate_that_does_not_hold_is_not_worth_a_retry() -> None:
    """A plain server on a TLS address is no certificate problem; both are connect errors."""

    class Refusing(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("certificate verify failed") from ssl.SSLError()

    with httpx.Client(transport=Refusing()) as client, pytest.raises(ConnectError) as caught:
        connect("https://example.org/", client=client).final()

    assert caught.value.stage == "connect"
    assert not caught.value.retryable


def test_metrics_count_from_the_request() -> None:
    """The time to the first token contains the time to the response."""
    with (
        ReplayServer(
            {PATH: Reply(chunks=[(0.05, ANSWER[2]), (0.0, ANSWER[8]), (0.0, ANSWER[-1])])}
        ) as server,
        connect(server.url + PATH) as stream,
    ):
        stream.final()

    assert stream.metrics.started == "request"
    assert stream.metrics.ttft is not None
    assert stream.metrics.ttft >= 0.05
