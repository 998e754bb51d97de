"""Responses of http.client and urllib.request, over real connections."""

from __future__ import annotations

import gzip
import http.client
import urllib.request
from collections.abc import Generator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests._sources import scenarios
from tests._sources.scenarios import CHAT, FRAMINGS, client_context
from tests._sources.sdks import AtOnce, Closing, Cut
from tests.support.either import at_once
from tests.support.loopback import Loopback, chunked, head, sized
from tokenstream import AsyncStream, Stream
from tokenstream.errors import MisuseError, StreamInterrupted, StreamStalled


def _connection(url: str, timeout: float | None = None) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme == "https":
        return http.client.HTTPSConnection(parts.netloc, context=client_context(), timeout=timeout)
    return http.client.HTTPConnection(parts.netloc, timeout=timeout)


@contextmanager
def _http_client(url: str) -> Generator[Any]:
    with closing(_connection(url)) as connection:
        connection.request("POST", "/")
        yield connection.getresponse()


@contextmanager
def _urllib(url: str) -> Generator[Any]:
    yield urllib.request.urlopen(url, context=client_context() if url.startswith("https") else None)


class TestResponses(AtOnce, Cut, Closing):
    """What holds for any source."""

    openers = {"http.client": (_http_client, CHAT), "urllib": (_urllib, CHAT)}  # noqa: RUF012
    async_openers = {}  # noqa: RUF012
    framings = FRAMINGS


def test_a_body_that_is_shorter_than_announced_is_interrupted() -> None:
    """http.client itself takes the end of the connection for that of the body."""
    cut = [head(headers=[("Content-Length", "5000")]), CHAT.frames[0]]
    with (
        Loopback(cut) as server,
        _http_client(server.url) as source,
        pytest.raises(StreamInterrupted, match="bytes of the body did not arrive"),
    ):
        Stream(source).final()


def test_a_status_of_400_or_more_is_an_error() -> None:
    at_once(scenarios.raises_what_a_status_means(_http_client))


def test_stop_wakes_a_read_without_a_timeout() -> None:
    scenarios.is_woken_by_stop(_http_client, CHAT)


def test_a_compressed_body_is_read() -> None:
    """http.client leaves the compression on."""
    packed = sized(gzip.compress(b"".join(CHAT.frames)), headers=[("Content-Encoding", "gzip")])
    with Loopback(packed) as server, _http_client(server.url) as source:
        assert CHAT.message == Stream(source).final()


def test_the_timeout_of_a_connection_is_a_stall() -> None:
    """The limit is the client's own."""
    silent: list[Any] = [*chunked(CHAT.frames[:1])[:-1], 3.0]
    with Loopback(silent) as server, closing(_connection(server.url)) as connection:
        connection.request("POST", "/")
        response = connection.getresponse()
        # Only what comes after the head is late here, also on a busy machine.
        connection.sock.settimeout(0.1)
        with pytest.raises(StreamStalled) as caught:
            Stream(response).final()

    assert "transport" == caught.value.limit


@contextmanager
def _two(url: str) -> Generator[Any]:
    def answers() -> Generator[Any]:
        for _ in range(2):
            connection.request("POST", "/")
            yield connection.getresponse()

    with closing(_connection(url)) as connection:
        yield answers()


def test_after_the_end_the_connection_serves_the_next_request() -> None:
    scenarios.leaves_the_connection_to_the_next_request(_two, CHAT)


@pytest.mark.parametrize("script", [chunked(CHAT.frames), sized(b"".join(CHAT.frames))], ids=FRAMINGS[:2])
@pytest.mark.parametrize("size", [5, None], ids=["begun", "read"])
def test_a_response_that_was_begun_is_refused(script: Any, size: int | None) -> None:
    """What somebody else has read of it is lost."""
    with Loopback(script) as server, _http_client(server.url) as source:
        assert source.read(size)
        with pytest.raises(MisuseError, match="pass it unread"):
            Stream(source).final()


@pytest.mark.anyio
async def test_a_response_is_none_for_async_loops() -> None:
    with Loopback(chunked(CHAT.frames)) as server, _http_client(server.url) as source:
        with pytest.raises(MisuseError, match=r"read it with Stream, in `for`"):
            AsyncStream(source)
        source.close()
