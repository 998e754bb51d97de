"""A timeout that the caller wrote is never shortened by a default: tried in made-up time."""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

import anyio
import httpx
import pytest
import requests
import trio
import urllib3
from trio.testing import MockClock

from tests.stream.test_read_limit import Body
from tests.support.clocks import on
from tests.support.tables import in_one_test
from tokenstream import AsyncStream, Deadlines, Retry, Route, Routes, Stream, aconnect, testing
from tokenstream.errors import StreamStalled
from tokenstream.limits import Default
from tokenstream.stream._options import enter_clock

URL = "http://api.test/v1/chat/completions"
BODY = testing.script().text("Hel", "lo").finish().chunks("openai-chat")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
HOUR = 3600.0
USUAL = 300.0


# -- a loop that waits in a read ------------------------------------------------


class Socket:
    """A socket in made-up time: it waits for as long as the test says, or as its timeout allows."""

    def __init__(self, seconds: float | None, silence: float) -> None:
        self.now, self.seconds = 0.0, seconds
        self._steps = [(0.0, HEAD), *[(0.0, each) for each in BODY]]
        self._steps[3] = (silence, BODY[2])

    def clock(self) -> float:
        return self.now

    def makefile(self, _mode: str) -> io.BufferedReader:
        raw: Any = socket.SocketIO(self, "r")  # type: ignore[arg-type] # it has what is used of a socket
        return io.BufferedReader(raw)

    def recv_into(self, buffer: memoryview) -> int:
        data = b""
        while self._steps and not data:
            wait, data = self._steps.pop(0)
            if self.seconds is not None and wait > self.seconds:
                self.now += self.seconds
                # Raises a TimeoutError in the standard library, as a socket does; one of ours is foreign.
                Future[None]().result(0)
            self.now += wait
        buffer[: len(data)] = data
        return len(data)

    def settimeout(self, seconds: float | None) -> None:
        self.seconds = seconds

    def gettimeout(self) -> float | None:
        return self.seconds

    def _decref_socketios(self) -> None:
        """Called when the file is closed."""


def of_http_client(connection: Socket) -> http.client.HTTPResponse:
    response = http.client.HTTPResponse(connection)  # type: ignore[arg-type] # as above
    response.begin()
    return response


def of_urllib3(connection: Socket) -> urllib3.HTTPResponse:
    response = of_http_client(connection)
    headers = dict(response.getheaders())
    return urllib3.HTTPResponse(response, headers=headers, status=200, preload_content=False)


def of_requests(connection: Socket) -> requests.Response:
    response = requests.Response()
    response.raw = of_urllib3(connection)
    response.status_code = 200
    response.headers.update(response.raw.headers)
    return response


class _Network:
    """A network stream of httpcore, whose `read` a `Stream` replaces."""

    def __init__(self, connection: Socket) -> None:
        self._connection = connection

    def get_extra_info(self, _name: str) -> None:
        """Have no socket that a stream could shut down."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._connection.settimeout(timeout)
        buffer = bytearray(max_bytes)
        try:
            return bytes(buffer[: self._connection.recv_into(memoryview(buffer))])
        except TimeoutError as error:
            msg = "timed out"
            raise httpx.ReadTimeout(msg) from error


def of_httpx(connection: Socket) -> httpx.Response:
    own, network = connection.seconds, _Network(connection)
    network.read(999, own)  # the head
    request = httpx.Request("POST", URL, extensions={"timeout": httpx.Timeout(own).as_dict()})
    extensions = {"network_stream": network, "http_version": b"HTTP/1.1"}
    return httpx.Response(200, stream=Body(network, own), request=request, extensions=extensions)


OPENERS = [of_http_client, of_urllib3, of_requests, of_httpx]


def _read(opener: Callable[[Socket], Any], timeout: float | None, silence: float, **options: Any) -> str:
    connection = Socket(timeout, silence)
    try:
        return on(connection.clock, Stream, opener(connection), **options).final().ending
    except StreamStalled as error:
        return str(error.limit)


@in_one_test("opener", OPENERS)
def test_a_response_may_be_silent_for_as_long_as_its_own_timeout_allows(opener: Any) -> None:
    """None is for ever, and 720 s are 720 s, though the default is less."""
    assert ["complete"] * 2 == [_read(opener, None, HOUR), _read(opener, 720, 700.0)]
    assert "transport" == _read(opener, 720, 721.0)


@in_one_test("opener", OPENERS)
def test_deadlines_that_the_caller_passes_count(opener: Any) -> None:
    assert "idle_bytes" == _read(opener, None, HOUR, deadlines=Deadlines(idle_bytes=USUAL))
    assert "idle_content" == _read(opener, 720, 700.0, deadlines=Deadlines(idle_content=60))
    assert "complete" == _read(opener, None, HOUR, deadlines=Deadlines(total=2 * HOUR))


def test_a_default_is_a_number_like_any_other() -> None:
    assert "idle_bytes=300.0, idle_content=600.0" in repr(Deadlines())
    assert Deadlines() == Deadlines(idle_bytes=300, first_event=600.0)
    assert not isinstance(Deadlines(idle_bytes=300.0).idle_bytes, Default)


# -- an event loop ----------------------------------------------------------------


class Silent(httpx.AsyncBaseTransport):
    """A server that is silent before the head, and within the body.

    Args:
        fails: The number of requests that are refused before.
    """

    def __init__(self, head: float, body: float, *, fails: int = 0) -> None:
        self._head, self._body, self._fails = head, body, fails

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._fails:
            self._fails -= 1
            return httpx.Response(503)
        await anyio.sleep(self._head)

        async def chunks() -> AsyncIterator[bytes]:
            yield BODY[0]
            yield BODY[1]
            await anyio.sleep(self._body)
            for chunk in BODY[2:]:
                yield chunk

        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=chunks())


async def _connected(transport: Silent, timeouts: dict[str, Any], options: dict[str, Any]) -> AsyncStream:
    client = httpx.AsyncClient(transport=transport, **timeouts)
    return aconnect(URL, client=client, json={}, **options)


async def _on_the_call(transport: Silent, timeouts: dict[str, Any], options: dict[str, Any]) -> AsyncStream:
    return aconnect(
        URL, client=httpx.AsyncClient(transport=transport, timeout=9), json={}, **timeouts, **options
    )


async def _on_a_route(transport: Silent, timeouts: dict[str, Any], options: dict[str, Any]) -> AsyncStream:
    route = Route(URL, client=httpx.AsyncClient(transport=transport, **timeouts), json={})
    return aconnect(route, retry=Retry(attempts=2, wait=0), **options)


async def _on_two_routes(transport: Silent, timeouts: dict[str, Any], options: dict[str, Any]) -> AsyncStream:
    client = httpx.AsyncClient(transport=transport, **timeouts)
    routes = [Route(URL, client=client, json={}, name=name) for name in ("a", "b")]
    return aconnect(routes[0], retry=Retry(wait=0, routes=Routes(routes[1], hedge_after=1)), **options)


async def _wrapped(transport: Silent, timeouts: dict[str, Any], options: dict[str, Any]) -> AsyncStream:
    client = httpx.AsyncClient(transport=transport, **timeouts)
    return AsyncStream(client.stream("POST", URL, json={}), **options)


async def _opened(transport: Silent, timeouts: dict[str, Any], options: dict[str, Any]) -> AsyncStream:
    client = httpx.AsyncClient(transport=transport, **timeouts)
    return AsyncStream(await client.send(client.build_request("POST", URL), stream=True), **options)


def _in_trio(make: Any, transport: Silent, timeouts: dict[str, Any], **options: Any) -> str:
    async def read() -> str:
        enter_clock(trio.current_time)
        try:
            async with await make(transport, timeouts, options) as stream:
                return str((await stream.final()).ending)
        except StreamStalled as error:
            return str(error.limit)

    return trio.run(read, clock=MockClock(autojump_threshold=0))


REQUESTS = [_connected, _on_the_call, _on_a_route]
WAYS = [*REQUESTS, _wrapped, _opened]


@pytest.mark.slow
@in_one_test("make", WAYS)
def test_an_answer_may_be_silent_for_as_long_as_the_caller_wrote(make: Any) -> None:
    silent = partial(_in_trio, make, Silent(0, HOUR))

    assert "complete" == silent({"timeout": None})
    assert "complete" == silent({"timeout": 2 * HOUR})
    assert "complete" == silent({"timeout": httpx.Timeout(5, read=None)})
    assert "idle_bytes" == silent({})
    assert "idle_bytes" == silent({"timeout": None}, deadlines=Deadlines(idle_bytes=60))
    assert "complete" == silent({"timeout": None}, deadlines=Deadlines(total=2 * HOUR))


@pytest.mark.slow
@in_one_test("make", REQUESTS)
def test_the_head_may_be_late_as_long_as_the_caller_wrote(make: Any) -> None:
    assert "complete" == _in_trio(make, Silent(HOUR, HOUR), {"timeout": None})
    assert "first_event" == _in_trio(make, Silent(HOUR, 0), {})
    assert "complete" == _in_trio(_on_a_route, Silent(HOUR, 0, fails=1), {"timeout": None})


def test_both_attempts_of_a_race_may_be_silent_as_long_as_the_caller_wrote() -> None:
    """Before the first content, each has deadlines of its own."""
    assert "complete" == _in_trio(_on_two_routes, Silent(HOUR, 0), {"timeout": None})
    assert "first_event" == _in_trio(_on_two_routes, Silent(HOUR, 0), {})


def test_a_source_without_a_timeout_may_be_silent_for_five_minutes() -> None:
    async def make(transport: Silent, _timeouts: object, options: dict[str, Any]) -> AsyncStream:
        response = await transport.handle_async_request(httpx.Request("POST", URL))
        return AsyncStream(response.aiter_raw(), **options)

    assert "complete" == _in_trio(make, Silent(0, USUAL - 1), {})
    assert "idle_bytes" == _in_trio(make, Silent(0, USUAL + 1), {})
