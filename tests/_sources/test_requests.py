"""Responses of requests and urllib3, over real connections."""

from __future__ import annotations

import gzip
import io
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
import urllib3

from tests._sources import scenarios
from tests._sources.scenarios import CHAT, FRAMINGS, Opener
from tests._sources.sdks import AtOnce, Cut
from tests.support.either import at_once
from tests.support.loopback import Loopback, chunked, client_context, sized
from tokenstream import AsyncStream, Stream
from tokenstream._sources.find import sync_source
from tokenstream._sources.kinds import SyncSource
from tokenstream.errors import MisuseError, StatusError, StreamTruncated


@contextmanager
def _requests(url: str) -> Generator[Any]:
    with requests.Session() as session:
        yield session.post(url, stream=True)


@contextmanager
def _urllib3(url: str) -> Generator[Any]:
    with urllib3.PoolManager(ssl_context=client_context()) as pool:
        yield pool.request("POST", url, preload_content=False, timeout=None)


OPENERS = {"requests": _requests, "urllib3": _urllib3}
each_opener = pytest.mark.parametrize("opener", OPENERS.values(), ids=OPENERS)


class TestResponses(AtOnce, Cut):
    """What holds for any source."""

    openers = {name: (opener, CHAT) for name, opener in OPENERS.items()}  # noqa: RUF012
    async_openers = {}  # noqa: RUF012
    framings = FRAMINGS


@each_opener
def test_a_status_of_400_or_more_is_an_error(opener: Opener) -> None:
    at_once(scenarios.raises_what_a_status_means(opener))


def test_an_error_does_not_repeat_the_key_of_its_request() -> None:
    """The server's sentence is there, without the key in it."""
    key = "sk-0123456789abcdef"
    with Loopback(sized(f"the key {key} is wrong".encode(), status=401)) as server:
        response = requests.post(server.url, headers={"x-api-key": key}, stream=True, timeout=5)
        with response, pytest.raises(StatusError, match=r"the key \*\*\* is wrong"):
            Stream(response).final()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_stop_wakes_a_read_of_a_body_that_ends_with_its_connection(tls: bool) -> None:
    """A connection that ends with its body has given its socket away; only the response can shut it down."""
    body: list[Any] = [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + CHAT.frames[0], 4.0]
    with (
        Loopback(body, tls=tls) as server,
        urllib3.PoolManager(ssl_context=client_context()) as pool,
        Stream(pool.request("GET", server.url, preload_content=False, timeout=None)) as stream,
    ):
        text = iter(stream.text)
        first = next(text)
        scenarios.stop_soon(stream)

        assert [first, *text] == [CHAT.pieces[0]]
        assert server.connection().closed_within()


@each_opener
def test_a_compressed_body_is_read_and_its_cut_noticed(opener: Opener) -> None:
    """Half of a gzip body never looks whole."""
    at_once(scenarios.takes_off_the_content_coding(opener, CHAT))


@contextmanager
def _read_by_requests(url: str) -> Generator[Any]:
    yield requests.post(url, timeout=3)


@contextmanager
def _read_by_urllib3(url: str) -> Generator[Any]:
    with urllib3.PoolManager() as pool:
        yield pool.request("POST", url)


@pytest.mark.parametrize("opener", [_read_by_requests, _read_by_urllib3], ids=["requests", "urllib3"])
def test_a_response_that_was_read_is_a_finished_body(opener: Opener) -> None:
    at_once(scenarios.gives_what_plain_bytes_give(opener, CHAT))
    at_once(scenarios.raises_what_a_status_means(opener))
    packed = sized(gzip.compress(b"".join(CHAT.frames)), headers=[("Content-Encoding", "gzip")])
    with Loopback(packed) as server, opener(server.url) as source:
        assert CHAT.message == Stream(source).final()


@pytest.mark.anyio
@pytest.mark.parametrize("opener", [_read_by_requests, _read_by_urllib3], ids=["requests", "urllib3"])
async def test_a_response_that_was_read_is_a_source_for_async_loops_too(opener: Opener) -> None:
    """Nothing is waited for, so its colour does not matter."""
    with Loopback(chunked(CHAT.frames)) as server, opener(server.url) as source:
        assert CHAT.message == await AsyncStream(source).final()


@each_opener
def test_a_response_that_is_yet_to_be_read_is_none_for_async_loops(opener: Opener) -> None:
    """Reading would block the event loop; the error names the right class."""
    with Loopback(chunked(CHAT.frames)) as server, opener(server.url) as source:
        with pytest.raises(MisuseError, match=r"read it with Stream, in `for`"):
            AsyncStream(source)
        source.close()


@pytest.mark.parametrize("framing", FRAMINGS)
@each_opener
def test_a_response_that_was_begun_is_refused(opener: Opener, framing: str) -> None:
    """What somebody else has read of it is lost, and an answer without its beginning is none."""
    script = scenarios.all_at_once(CHAT, framing)
    with Loopback(script) as server, opener(server.url) as source:
        raw: Any = getattr(source, "raw", source)
        begun = raw.stream(8)
        next(begun)
        with pytest.raises(MisuseError, match="pass it unread"):
            Stream(source).final()


@each_opener
def test_a_response_that_was_closed_is_refused(opener: Opener) -> None:
    with Loopback(chunked(CHAT.frames)) as server, opener(server.url) as source:
        source.close()
        with pytest.raises(MisuseError, match="already read or closed"):
            Stream(source).final()


@pytest.mark.parametrize("opener", [*OPENERS.values(), _read_by_requests, _read_by_urllib3])
@pytest.mark.parametrize("body", [[], [b""]], ids=["chunked", "sized"])
def test_an_empty_body_is_a_truncated_answer(opener: Opener, body: list[bytes]) -> None:
    """Nobody read it before: the server sent none."""
    script = sized(b"") if body else chunked([])
    with Loopback(script) as server, opener(server.url) as source, pytest.raises(StreamTruncated):
        Stream(source).final()


def test_the_content_that_was_streamed_away_is_missed() -> None:
    """A response whose body somebody has iterated over has nothing left to read."""
    with Loopback(chunked(CHAT.frames)) as server, _requests(server.url) as source:
        assert list(source.iter_content(100))
        with pytest.raises(MisuseError, match="pass it unread"):
            Stream(source).final()
    with Loopback(chunked(CHAT.frames)) as server, _urllib3(server.url) as source:
        source.read()
        with pytest.raises(MisuseError, match="pass it unread"):
            Stream(source).final()


def test_a_response_that_was_made_by_hand_is_read() -> None:
    """Tests of applications make them; there is no connection, and no socket."""
    body = b"".join(CHAT.frames)
    low = urllib3.HTTPResponse(body=io.BytesIO(body), status=200, preload_content=False)

    assert CHAT.message == Stream(low).final()

    high = requests.Response()
    high.status_code = 200
    high.raw = urllib3.HTTPResponse(body=io.BytesIO(body), preload_content=False)

    assert CHAT.message == Stream(high).final()

    high = requests.Response()
    high.status_code, high.raw = 200, io.BytesIO(body)

    assert CHAT.message == Stream(high).final()


def test_the_socket_of_a_response_is_found_while_it_carries_it() -> None:
    """A connection that is back in its pool may carry another answer, and is never shut down then."""
    for framing in FRAMINGS:
        script = scenarios.all_at_once(CHAT, framing)
        with Loopback(script) as server, _urllib3(server.url) as response:
            found = sync_source(response)
            assert isinstance(found, SyncSource)
            assert found.socket is not None
            socket = found.socket()
            assert socket is not None
            assert list(found.chunks)
            assert found.socket() is None
            if framing not in ("chunked", "sized"):
                with pytest.raises(OSError, match="the connection is closed"):
                    socket.shutdown(2)
            found.close()


def test_a_response_of_an_older_urllib3_is_read_by_single_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 2.2 nothing else gives what has come of a body that is not chunked."""
    monkeypatch.delattr(urllib3.HTTPResponse, "read1")
    monkeypatch.delattr(urllib3.BaseHTTPResponse, "read1")
    for framing in FRAMINGS:
        at_once(scenarios.gives_each_event_at_once(_urllib3, CHAT, framing))
