"""Faults before the body: rows F01 to F15 of the fault matrix, over real sockets."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import Any

import httpx
import httpx2
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import RequestReceived

from tests.faults.driver import END, HELLO, TEXT, both_colours, failed, read
from tests.support.loopback import (
    OPEN,
    REQUEST,
    RST,
    Connection,
    Loopback,
    Script,
    chunked,
    client_context,
    head,
    refusing_url,
    sized,
)
from tests.support.timing import PATIENCE
from tokenstream import Deadlines, connect
from tokenstream.errors import (
    ConnectError,
    NotAStream,
    ProviderError,
    StatusError,
    StreamInterrupted,
    StreamStalled,
    StreamTruncated,
)

ANSWER = HELLO + END


@both_colours
def test_f01_a_refused_connection_may_be_asked_again(colour: str) -> None:
    """Nobody listens; the transport's own error is the cause."""
    error = failed(colour, refusing_url(), ConnectError)

    assert (error.stage, error.kind, error.retryable) == ("connect", "network", True)
    assert isinstance(error.__cause__, httpx.ConnectError)


@both_colours
def test_f02_a_name_that_is_not_found_may_be_asked_again(
    colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Name servers fail for a moment."""

    def lookup(*_: object, **__: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    error = failed(colour, "http://api.example/v1", ConnectError)

    assert (error.stage, error.retryable) == ("connect", True)
    assert "api.example" in str(error)


@both_colours
def test_f02_a_certificate_that_is_not_trusted_stays_so(colour: str) -> None:
    """Asking again does not help, and nothing was sent."""
    with Loopback([OPEN], tls=True) as server:
        error = failed(colour, server, ConnectError)

        assert (error.stage, error.retryable) == ("connect", False)
        assert "certificate" in str(error)
        assert server.requests == []


@both_colours
@pytest.mark.parametrize("script", [[], [RST]], ids=["closed", "reset"])
def test_f03_a_connection_without_a_response_may_be_asked_again(colour: str, script: Script) -> None:
    """The request was out: it may have been taken."""
    with Loopback(script) as server:
        error = failed(colour, server, ConnectError)

        assert (error.stage, error.kind, error.retryable) == ("head", "network", True)


@both_colours
@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nContent-Ty", b"HTTP/1.1", b"what?\r\n\r\n"])
def test_f04_a_head_that_is_cut_or_garbage_may_be_asked_again(colour: str, start: bytes) -> None:
    """The server was reached, so the stage is the head."""
    with Loopback([start]) as server:
        error = failed(colour, server, ConnectError)

        assert (error.stage, error.retryable) == ("head", True)


@both_colours
def test_f05_a_head_that_never_comes_is_a_stall(colour: str) -> None:
    """The deadline for the first event counts from the request."""
    with Loopback([OPEN]) as server:
        error = failed(colour, server, StreamStalled, deadlines=Deadlines(first_event=0.1, idle_bytes=0.1))

        assert (error.limit, error.retryable) == ("first_event", True)


@both_colours
def test_f06_a_proxys_error_page_is_a_status_with_the_page_kept(colour: str) -> None:
    """The message has the status and the title, the error the first 4 KiB."""
    page = b"<html><head><title>502 Bad Gateway</title></head>" + b"<p>nginx</p>" * 1000
    with Loopback(sized(page, status=502, content_type="text/html")) as server:
        error = failed(colour, server, StatusError)

        assert (error.status, error.kind, error.retryable) == (502, "server", True)
        assert "502" in str(error)
        assert "'502 Bad Gateway'" in str(error)
        assert error.body == page[:4096].decode()


LIMITED = {"message": "slow down", "type": "rate_limit_error", "code": "too_fast"}


@both_colours
@pytest.mark.parametrize(
    "headers, seconds",
    [
        ([("Retry-After", "3")], 3.0),
        ([("retry-after-ms", "250"), ("Retry-After", "9")], 0.25),
        (
            [("Retry-After", "Fri, 20 Nov 2026 08:00:30 GMT"), ("Date", "Fri, 20 Nov 2026 08:00:00 GMT")],
            30.0,
        ),
        ([], None),
    ],
)
def test_f07_too_many_requests_tell_how_long_to_wait(
    colour: str, headers: list[tuple[str, str]], seconds: float | None
) -> None:
    """In seconds, milliseconds or as a date; with the provider's words and its name for the request."""
    answer = sized(
        json.dumps({"error": LIMITED}).encode(),
        status=429,
        content_type="application/json",
        headers=[*headers, ("x-request-id", "req_7")],
    )
    with Loopback(answer) as server:
        error = failed(colour, server, StatusError)

        assert (error.kind, error.retryable, error.retry_after) == ("rate_limited", True, seconds)
        assert (error.code, error.type, error.request_id) == ("too_fast", "rate_limit_error", "req_7")
        assert "slow down" in str(error)
        assert "ask again" in str(error)


@both_colours
def test_f07_a_date_to_wait_for_needs_no_clock_of_the_servers(
    colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours counts where it tells no time."""
    monkeypatch.setattr(time, "time", lambda: 1_795_161_600.0)
    headers = [("Retry-After", "Fri, 20 Nov 2026 08:00:30 GMT")]
    with Loopback(sized(b"", status=429, headers=headers)) as server:
        error = failed(colour, server, StatusError)

        assert error.retry_after == 30.0


@pytest.mark.slow
@both_colours
def test_f07_an_error_is_told_although_its_connection_stays_open(
    colour: str,
) -> None:
    """Its JSON document is whole; the rest of the body is waited for only shortly."""
    body = json.dumps({"error": LIMITED}).encode()
    with Loopback([head(429, "application/json"), body[:20], 0.02, body[20:], OPEN]) as server:
        begun = time.monotonic()
        error = failed(colour, server, StatusError, deadlines=Deadlines(first_event=30, idle_bytes=30))

        assert time.monotonic() - begun < 4
        assert (error.code, error.body) == ("too_fast", body.decode())
        assert error.partial.ending == "failed"


def test_f07_a_stop_while_the_rest_of_an_error_is_waited_for_is_a_stop() -> None:
    """A whole error is no whole answer."""
    with (
        Loopback([head(429, "application/json"), b"{}", OPEN]) as server,
        connect(server.url) as stream,
    ):
        threading.Timer(0.05, stream.stop).start()

        assert stream.final().ending == "stopped"


@both_colours
@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream", None])
def test_f08_f09_a_json_error_in_a_good_response_is_the_providers(
    colour: str, content_type: str | None
) -> None:
    """Whatever the label says: the first byte that is no space tells."""
    body = b' \n{"error": {"message": "busy", "type": "overloaded_error", "code": "c"}}'
    with Loopback(sized(body, content_type=content_type)) as server:
        error = failed(colour, server, ProviderError)

        assert (error.kind, error.retryable) == ("overloaded", True)
        assert (error.type, error.code) == ("overloaded_error", "c")
        assert "busy" in str(error)


@both_colours
@pytest.mark.parametrize("format", [None, "openai-chat", "anthropic"])
def test_f10_a_login_page_is_no_stream(colour: str, format: str | None) -> None:
    """The error has the page's title and its first bytes."""
    page = b"<!DOCTYPE html>\n<html><head><title>Please log in</title></head><body></body></html>"
    with Loopback(sized(page, content_type="text/html; charset=utf-8")) as server:
        error = failed(colour, server, NotAStream, format=format)

        assert "'Please log in'" in str(error)
        assert error.body == page.decode()
        assert not error.retryable


@both_colours
@pytest.mark.parametrize("script", [sized(b""), chunked([]), [head(204, None)]], ids=["0", "chunked", "204"])
def test_f11_an_empty_body_is_a_cut_answer(colour: str, script: Script) -> None:
    """No event came; asking again may help."""
    with Loopback(script) as server:
        error = failed(colour, server, StreamTruncated)

        assert (error.events_seen, error.bytes_seen, error.retryable) == (0, 0, True)


@both_colours
@pytest.mark.parametrize("content_type", ["application/octet-stream", "text/plain", "application/json"])
def test_f12_a_stream_with_a_wrong_label_is_read_with_a_departure(colour: str, content_type: str) -> None:
    with Loopback(sized(ANSWER, content_type=content_type)) as server:
        outcome = read(colour, server)

        assert outcome.error is None
        assert outcome.message.text == TEXT
        assert outcome.departures["content_type_wrong"].count == 1


@both_colours
def test_f13_a_charset_label_is_ignored(colour: str) -> None:
    """An event stream is UTF-8."""
    with Loopback(sized(ANSWER, content_type="text/event-stream; charset=iso-8859-1")) as server:
        outcome = read(colour, server)

        assert outcome.message.text == TEXT
        assert "content_type_wrong" not in outcome.departures


SECRETS = {
    "Authorization": "Bearer secret",
    "x-api-key": "secret",
    "api-key": "secret",
    "x-goog-api-key": "secret",
    "Cookie": "session=secret",
    "X-Our-Own-Gateway": "secret",
}


def moved(target: str, status: int = 307) -> list[bytes]:
    return sized(b"", status=status, headers=[("Location", target)])


@both_colours
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_f14_a_redirect_is_not_followed_unasked(colour: str, status: int) -> None:
    """The error names the target, and nothing reaches it."""
    with Loopback(sized(ANSWER)) as elsewhere, Loopback(moved(elsewhere.url, status)) as server:
        error = failed(colour, server, NotAStream, headers=SECRETS)

        assert elsewhere.url in str(error)
        assert str(status) in str(error)
        assert elsewhere.connections == []


@both_colours
@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("by_client", [False, True])
def test_f14_a_redirect_to_another_origin_never_carries_credentials(
    colour: str, by_client: bool, library: Any
) -> None:
    """Followed where that was asked for, without keys under any name, cookies, or `auth`."""
    options: dict[str, Any] = {"headers": SECRETS}
    settings: dict[str, Any] = {"auth": ("user", "secret"), "cookies": {"c": "secret"}}
    if by_client:
        settings["follow_redirects"] = True
        settings["headers"] = {"X-Default-Key": "secret"}
    else:
        options["follow_redirects"] = True
    with Loopback(sized(ANSWER)) as elsewhere, Loopback(moved(elsewhere.url + "/v2")) as server:
        outcome = read(colour, server, client=settings, library=library, **options)

        assert outcome.error is None
        assert outcome.message.text == TEXT
        first, second = server.requests[0], elsewhere.requests[0]
        assert "secret" in str(first.headers)
        assert "secret" not in str(second.headers)
        assert "authorization" not in second.headers
        assert (second.method, second.path, second.body) == ("POST", "/v2", first.body)
        assert second.headers["host"] == elsewhere.url.removeprefix("http://")
        assert second.headers["accept"] == "text/event-stream"
        assert second.headers["accept-encoding"] == "identity"
        assert server.connection().closed_within()


@pytest.mark.slow
@both_colours
def test_f14_what_was_taken_away_does_not_come_back(colour: str) -> None:
    """An origin that leads back is not given the credentials."""
    back: list[bytes] = []
    with Loopback(back) as elsewhere, Loopback(moved(elsewhere.url), sized(ANSWER)) as server:
        back += moved(f"{server.url}/back")
        settings = {"follow_redirects": True, "auth": ("user", "secret")}
        read(colour, server, headers=SECRETS, client=settings)

        first, second = server.requests
        assert "secret" in str(first.headers)
        assert second.path == "/back"
        assert "secret" not in str(second.headers)
        assert "authorization" not in second.headers


@both_colours
def test_f14_a_redirect_within_an_origin_keeps_them(colour: str) -> None:
    """It is the same server."""
    with Loopback([*moved("/v2"), REQUEST, *sized(ANSWER)], sized(ANSWER)) as server:
        outcome = read(colour, server, headers=SECRETS, follow_redirects=True)

        assert outcome.message.text == TEXT
        first, second = server.requests
        assert second.path == "/v2"
        assert {name: first.headers[name.lower()] for name in SECRETS if name != "Cookie"} == {
            name: second.headers[name.lower()] for name in SECRETS if name != "Cookie"
        }


@both_colours
def test_f14_redirects_without_end_are_given_up(colour: str) -> None:
    """As many are followed as the client allows."""
    with Loopback(moved("/round")) as server:
        error = failed(colour, server, ConnectError, client={"follow_redirects": True, "max_redirects": 3})

        assert (error.stage, error.retryable) == ("head", False)
        assert "redirects endlessly" in str(error)
        assert len(server.requests) == 4


@both_colours
def test_f14_a_redirect_to_what_is_no_web_address_is_not_followed(colour: str) -> None:
    """The server is to blame, not the calling code."""
    with Loopback(moved("ftp://elsewhere.example/")) as server:
        error = failed(colour, server, NotAStream, follow_redirects=True)

        assert "ftp://elsewhere.example/" in str(error)


@both_colours
@pytest.mark.parametrize("how", ["goaway", "reset"])
def test_f15_an_http2_stream_that_is_given_up_is_interrupted(colour: str, how: str) -> None:
    """A GOAWAY or an RST_STREAM in the middle of the answer: asking again may help."""
    gate = threading.Event()

    def serve(connection: Connection) -> None:
        http2 = H2Connection(H2Configuration(client_side=False))
        http2.initiate_connection()
        stream = 0
        while not stream:
            connection.send(http2.data_to_send())
            for event in http2.receive_data(connection.receive()):
                if isinstance(event, RequestReceived):
                    stream = event.stream_id or 0
        http2.send_headers(stream, [(":status", "200"), ("content-type", "text/event-stream")])
        http2.send_data(stream, HELLO)
        connection.send(http2.data_to_send())
        assert gate.wait(PATIENCE)
        if how == "reset":
            http2.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
        else:
            http2.close_connection(ErrorCodes.ENHANCE_YOUR_CALM, last_stream_id=stream)
        connection.send(http2.data_to_send())
        connection.end(OPEN)

    with Loopback(serve, tls=True, alpn=["h2"]) as server:
        outcome = read(
            colour,
            server,
            client={"http2": True, "verify": client_context()},
            on_text=lambda text: gate.set() if text == "lo €" else None,
            # A connection of HTTP/2 goes on without the stream that was reset.
            patience=1 if how == "goaway" else 0,
        )

        assert isinstance(outcome.error, StreamInterrupted)
        assert (outcome.error.kind, outcome.error.retryable) == ("network", True)
        assert outcome.error.partial.text == TEXT
