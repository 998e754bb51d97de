"""Faults before the body: the connection and the head of the response."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest import mock

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import RequestReceived

from tests.faults.driver import END, HELLO, Outcome
from tests.faults.matrix import (
    Result,
    Row,
    Run,
    World,
    answered,
    answered_in_steps,
    every,
    failed,
    interrupted,
    measured,
    saw,
    truncated,
    whole,
)
from tests.support.loopback import (
    OPEN,
    RST,
    Connection,
    Handler,
    Loopback,
    chunked,
    client_context,
    head,
    refusing_url,
    sized,
)
from tests.support.timing import PATIENCE
from tokenstream import Deadlines
from tokenstream.errors import ConnectError, NotAStream, ProviderError, StatusError, StreamStalled

ANSWER = HELLO + END
HEAD, CONNECT = "`.stage` is `head`", "`.stage` is `connect`"


def refused(*told: str, retryable: bool, closed: bool | None = True) -> Result:
    """Return what it comes to that no response comes."""
    return failed(ConnectError, *told, retryable=retryable, ending="failed", kept="", closed=closed)


def unresolved(code: int) -> Run:
    """Return what asks for a host whose name the name server does not know, or not now."""

    def lookup(*_: object, **__: object) -> Any:
        raise socket.gaierror(code, "no address")

    def run(world: World) -> Result:
        with mock.patch.object(socket, "getaddrinfo", lookup):
            return measured(world, "http://api.example/v1")

    return run


def _plain(connection: Connection) -> None:
    connection.receive()
    connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def tls_to_a_plain_port(world: World) -> Result:
    with Loopback(_plain) as server:
        result = measured(world, server.url.replace("http:", "https:"))
        return replace(result, closed=server.connection().closed_within())


def distrusted(world: World) -> Result:
    with Loopback([OPEN], tls=True) as server:
        return measured(world, server, lambda _: [saw("the request is not sent", not server.requests)])


_PAGE = b"<html><head><title>502 Bad Gateway</title></head>" + b"<p>nginx</p>" * 1000
_LIMITED = json.dumps({"error": {"message": "slow down", "type": "rate_limit_error"}}).encode()
_BUSY = b' {"error": {"message": "busy", "type": "overloaded_error"}}'
_LOGIN = b"<!DOCTYPE html>\n<html><head><title>Please log in</title></head><body></body></html>"
_DATED = [("Retry-After", "Fri, 20 Nov 2026 08:00:30 GMT"), ("Date", "Fri, 20 Nov 2026 08:00:00 GMT")]


def _page_kept(outcome: Outcome) -> Iterator[str]:
    yield saw("the page's title is in the message", "502 Bad Gateway" in str(outcome.error))
    yield saw("`.body` has the first 4 KiB", getattr(outcome.error, "body", "").encode() == _PAGE[:4096])


def _words_told(outcome: Outcome) -> Iterator[str]:
    yield saw("the provider's words are in the message", "slow down" in str(outcome.error))


def _title_told(outcome: Outcome) -> Iterator[str]:
    yield saw("the page's title is in the message", "Please log in" in str(outcome.error))
    yield saw("`.body` has its start", getattr(outcome.error, "body", "").encode() == _LOGIN)


def limited(headers: list[tuple[str, str]]) -> Run:
    return answered(
        sized(_LIMITED, status=429, content_type="application/json", headers=headers), also=_words_told
    )


def moved(target: str, status: int = 307) -> list[bytes]:
    return sized(b"", status=status, headers=[("Location", target)])


def redirected(status: int) -> Run:
    def run(world: World) -> Result:
        with Loopback(sized(ANSWER)) as elsewhere, Loopback(moved(elsewhere.url, status)) as server:
            return measured(
                world,
                server,
                lambda outcome: [
                    saw("the message names the target", elsewhere.url in str(outcome.error)),
                    saw("nothing is sent there", not elsewhere.connections),
                ],
                headers={"Authorization": "Bearer secret"},
            )

    return run


def redirected_as_asked(world: World) -> Result:
    with Loopback(sized(ANSWER)) as elsewhere, Loopback(moved(elsewhere.url)) as server:
        return measured(
            world,
            server,
            lambda _: [
                saw("no credentials are sent there", "secret" not in str(elsewhere.requests[0].headers))
            ],
            headers={"Authorization": "Bearer secret", "x-api-key": "secret", "Cookie": "a=secret"},
            follow_redirects=True,
        )


def _http2(how: str, gate: threading.Event) -> Handler:
    """Return what answers over HTTP/2, and gives the answer up in its middle."""

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
        gate.wait(PATIENCE)
        if how == "RST_STREAM":
            http2.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
        else:
            http2.close_connection(ErrorCodes.ENHANCE_YOUR_CALM, last_stream_id=stream)
        connection.send(http2.data_to_send())
        connection.end(OPEN)

    return serve


def _connection_kept(outcome: Outcome) -> Iterator[str]:
    yield saw("the connection stays open for other requests", not outcome.left)


def given_up(how: str, **options: Any) -> Run:
    return answered_in_steps(
        lambda gate: _http2(how, gate),
        "lo €",
        tls=True,
        alpn=["h2"],
        client={"http2": True, "verify": client_context()},
        **options,
    )


ROWS = [
    Row(
        "F01",
        "The connection is refused.",
        lambda world: measured(world, refusing_url()),
        refused(CONNECT, retryable=True, closed=None),
    ),
    Row(
        "F02",
        "The DNS lookup fails temporarily (EAI_AGAIN).",
        unresolved(socket.EAI_AGAIN),
        refused(CONNECT, retryable=True, closed=None),
    ),
    Row(
        "F02b",
        "The host name has no address (EAI_NONAME).",
        unresolved(socket.EAI_NONAME),
        refused(CONNECT, retryable=False, closed=None),
    ),
    Row(
        "F02c",
        "The certificate is not trusted.",
        distrusted,
        refused(CONNECT, "the request is not sent", retryable=False),
    ),
    Row("F02d", "The port does not speak TLS.", tls_to_a_plain_port, refused(CONNECT, retryable=False)),
    Row(
        "F03",
        "The connection is accepted, then closed or reset without a response.",
        every(answered([]), answered([RST])),
        refused(HEAD, retryable=True),
    ),
    Row(
        "F04",
        "The head breaks off in the middle, or is garbage.",
        every(
            *[
                answered([start])
                for start in (b"HTTP/1.1 200 OK\r\nContent-Ty", b"HTTP/1.1", b"what?\r\n\r\n")
            ]
        ),
        refused(HEAD, retryable=True),
    ),
    Row(
        "F05",
        "The head never comes.",
        answered([OPEN], deadlines=Deadlines(first_event=0.1, idle_bytes=0.1)),
        failed(StreamStalled, "`.limit` is `first_event`", retryable=True, kept=""),
    ),
    Row(
        "F06",
        "A proxy answers with status 502 and a web page.",
        answered(sized(_PAGE, status=502, content_type="text/html"), also=_page_kept),
        failed(
            StatusError,
            "`.status` is `502`",
            "`.kind` is `server`",
            "the page's title is in the message",
            "`.body` has the first 4 KiB",
            retryable=True,
            ending="failed",
            kept="",
        ),
    ),
    Row(
        "F07",
        "Status 429, with `Retry-After` in seconds or as a date.",
        every(limited([("Retry-After", "30")]), limited(_DATED)),
        failed(
            StatusError,
            "`.status` is `429`",
            "`.retry_after` is `30.0`",
            "`.kind` is `rate_limited`",
            "the provider's words are in the message",
            retryable=True,
            ending="failed",
            kept="",
        ),
    ),
    Row(
        "F08",
        "Status 200 with a JSON error as the body.",
        answered(sized(_BUSY, content_type="application/json")),
        failed(ProviderError, "`.kind` is `overloaded`", retryable=True, ending="failed", kept=""),
    ),
    Row(
        "F09",
        "Status 200 labelled `text/event-stream` with a JSON error as the body.",
        answered(sized(_BUSY)),
        failed(ProviderError, "`.kind` is `overloaded`", retryable=True, ending="failed", kept=""),
    ),
    Row(
        "F10",
        "Status 200 with a login page.",
        every(
            *[
                answered(sized(_LOGIN, content_type="text/html"), also=_title_told, format=format)
                for format in (None, "openai-chat", "anthropic")
            ]
        ),
        failed(
            NotAStream,
            "the page's title is in the message",
            "`.body` has its start",
            retryable=False,
            ending="failed",
            kept="",
        ),
    ),
    Row(
        "F11",
        "Status 200 with an empty body, or status 204.",
        every(answered(sized(b"")), answered(chunked([])), answered([head(204, None)])),
        truncated(kept=""),
    ),
    Row(
        "F12",
        "An event stream with the wrong content type.",
        every(
            *[
                answered(sized(ANSWER, content_type=kind))
                for kind in ("text/plain", "image/png", "application/json", "application/octet-stream")
            ]
        ),
        whole("counted as `content_type_wrong`"),
    ),
    Row(
        "F13",
        "An event stream labelled `charset=iso-8859-1`.",
        answered(sized(ANSWER, content_type="text/event-stream; charset=iso-8859-1")),
        whole(),
    ),
    Row(
        "F14",
        "A redirect to another host.",
        every(*[redirected(status) for status in (301, 302, 307, 308)]),
        failed(
            NotAStream,
            "the message names the target",
            "nothing is sent there",
            retryable=False,
            ending="failed",
            kept="",
        ),
    ),
    Row(
        "F14b",
        "A redirect to another host, with `follow_redirects=True`.",
        redirected_as_asked,
        whole("no credentials are sent there"),
    ),
    Row(
        "F15",
        "HTTP/2: the server closes the connection (GOAWAY) in the middle of the answer.",
        given_up("GOAWAY"),
        interrupted(),
    ),
    Row(
        "F15b",
        "HTTP/2: the server resets the answer's stream (RST_STREAM).",
        given_up("RST_STREAM", patience=0.05, also=_connection_kept),
        replace(interrupted("the connection stays open for other requests"), closed=False),
    ),
]
