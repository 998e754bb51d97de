"""The transport that plays to clients of httpx and httpx2, also at routes of respx."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Literal

import anyio
import httpx
import pytest
import respx

from tests.support.packages import needed
from tokenstream import AsyncStream, Stream, aconnect, connect, testing
from tokenstream.errors import MisuseError, StreamInterrupted, StreamStalled
from tokenstream.testing import Arrival, Recording

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import ModuleType

    from respx import MockRouter


HELLO = testing.script().text("Hello").finish("stop")
URL = "https://api.example.com/v1/chat/completions"
ENDLESS = testing.script().text("Hel").recording("openai-chat").replaced(breaks="stall")

both = pytest.mark.parametrize("library", [httpx, needed("httpx2")])


@both
def test_a_client_reads_what_is_played(library: ModuleType) -> None:
    played = testing.transport(HELLO)
    with (
        library.Client(transport=played) as client,
        client.stream("POST", URL, json={"model": "m"}) as response,
    ):
        assert (200, "HTTP/1.1", URL) == (response.status_code, response.http_version, str(response.url))
        assert "text/event-stream; charset=utf-8" == response.headers["content-type"]
        assert HELLO.chunks("openai-chat") == list(response.iter_raw())


@both
def test_what_was_asked_is_noted(library: ModuleType) -> None:
    played = testing.transport(HELLO)
    with library.Client(transport=played) as client:
        client.post(f"{URL}?a=b", json={"model": "m"}, headers={"X-Name": "value"})

    [asked] = played.requests
    assert ("POST", "/v1/chat/completions?a=b", "/v1/chat/completions") == (
        asked.method,
        asked.path,
        asked.route,
    )
    assert ({"model": "m"}, "value") == (asked.json, asked.headers["x-name"])
    assert ("answered", len(b"".join(HELLO.chunks("openai-chat"))), True) == (
        played.exchanges[0].outcome,
        played.exchanges[0].sent,
        played.exchanges[0].closed,
    )


@pytest.mark.anyio
async def test_an_async_request_is_noted_with_its_body() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b'{"model": '
        yield b'"m"}'

    played = testing.transport(HELLO)
    async with httpx.AsyncClient(transport=played) as client:
        await client.post(URL, content=body())

    assert {"model": "m"} == played.requests[0].json


@both
@pytest.mark.parametrize(
    ("breaks", "error"), [("close", "RemoteProtocolError"), ("reset", "ReadError"), ("stall", "ReadTimeout")]
)
def test_a_break_raises_the_clients_own_error(
    library: ModuleType, breaks: Literal["close", "reset", "stall"], error: str
) -> None:
    played = testing.transport(HELLO.recording().replaced(breaks=breaks))
    got: list[bytes] = []
    with library.Client(transport=played) as client, client.stream("POST", URL) as response:
        with pytest.raises(getattr(library, error)) as caught:
            got.extend(response.iter_raw())

        assert "cut" == played.exchanges[0].outcome
    assert HELLO.chunks("openai-chat") == got
    assert URL == str(caught.value.request.url)
    assert played.exchanges[0].closed


@both
@pytest.mark.anyio
async def test_a_break_raises_the_async_clients_own_error(library: ModuleType) -> None:
    played = testing.transport(HELLO.recording().replaced(breaks="reset"))
    async with library.AsyncClient(transport=played) as client:
        with pytest.raises(library.ReadError):
            await client.post(URL)

    assert ("cut", True) == (played.exchanges[0].outcome, played.exchanges[0].closed)


def test_a_stall_takes_no_time() -> None:
    """The client's read timeout has passed at once, by the transport's clock."""
    played = testing.transport(testing.script().text("Hel").silence(90).text("lo").finish(), pace="recorded")
    began = time.monotonic()
    with httpx.Client(transport=played, timeout=60) as client, pytest.raises(httpx.ReadTimeout):
        client.post(URL)

    assert time.monotonic() - began < 30
    assert 60 == pytest.approx(played.clock(), abs=0.01)


def test_a_stall_that_nothing_ends_is_an_error_of_the_test() -> None:
    with (
        httpx.Client(transport=testing.transport(ENDLESS), timeout=None) as client,
        pytest.raises(MisuseError, match=r"stalls for ever, and nothing ends the wait: .* a read timeout"),
    ):
        client.post(URL)


@pytest.mark.slow
def test_a_real_clock_waits_in_earnest() -> None:
    recording = Recording((Arrival(0.0, b"a"), Arrival(0.2, b"b")))
    played = testing.transport(recording, pace="recorded", clock=time.monotonic)
    began = time.monotonic()
    with httpx.Client(transport=played) as client:
        assert b"ab" == client.post(URL).content

    assert time.monotonic() - began > 0.15


@pytest.mark.anyio
async def test_a_stall_in_earnest_lasts_until_it_is_cancelled() -> None:
    """Without a read timeout, too: by a real clock the test's own can end it."""
    played = testing.transport(ENDLESS, clock=time.monotonic)
    async with httpx.AsyncClient(transport=played, timeout=None) as client:
        with anyio.move_on_after(0.1) as scope:
            await client.post(URL)

    assert scope.cancelled_caught
    assert ("abandoned", True) == (played.exchanges[0].outcome, played.exchanges[0].closed)


def test_a_stream_on_the_transports_clock_sees_its_time() -> None:
    played = testing.transport(
        testing.script().silence(3).text("Hel").silence(90).text("lo").finish(), pace="recorded"
    )
    with httpx.Client(transport=played, timeout=100) as client, client.stream("POST", URL) as response:
        with played.clock:
            stream = Stream(response)
        assert "Hello" == stream.final().text

    assert 93 == stream.metrics.duration


def test_connect_tells_a_stall_from_a_break() -> None:
    """Our own errors come of the client's."""
    with httpx.Client(transport=testing.transport([ENDLESS, ENDLESS.replaced(breaks="reset")])) as client:
        with pytest.raises(StreamStalled) as stalled:
            connect(URL, client=client).final()
        with pytest.raises(StreamInterrupted) as interrupted:
            connect(URL, client=client).final()

    assert ["Hel", "Hel"] == [stalled.value.partial.text, interrupted.value.partial.text]


@pytest.mark.anyio
async def test_aconnect_reads_it_too() -> None:
    played = testing.transport(HELLO)
    async with httpx.AsyncClient(transport=played) as client, aconnect(URL, client=client) as stream:
        assert "Hello" == (await stream.final()).text

    assert played.exchanges[0].closed


def test_a_stream_that_is_left_closes_its_source() -> None:
    """A test asks the exchange whether the code under test let go."""
    played = testing.transport(HELLO)
    with httpx.Client(transport=played) as client:
        stream = connect(URL, client=client)
        next(iter(stream.text))
        assert not played.exchanges[0].closed
        stream.close()

        assert ("abandoned", True) == (played.exchanges[0].outcome, played.exchanges[0].closed)


@pytest.mark.anyio
async def test_two_streams_take_turns() -> None:
    """Each chunk lets other tasks go on, as a network does."""
    seen: list[str] = []
    played = testing.transport(testing.script().text("a", "b", "c").finish())

    async def read(client: httpx.AsyncClient, name: str) -> None:
        async with client.stream("POST", URL) as response:
            async for _ in AsyncStream(response).text:
                seen.append(name)

    async with httpx.AsyncClient(transport=played) as client, anyio.create_task_group() as group:
        group.start_soon(read, client, "first")
        group.start_soon(read, client, "second")

    assert sorted(seen) != seen
    assert sorted(seen, reverse=True) != seen


def test_it_may_be_closed_like_any() -> None:
    """A client that is given it closes it, and it plays on."""
    played = testing.transport([HELLO, HELLO])
    for _ in range(2):
        with httpx.Client(transport=played) as client:
            client.post(URL)
    played.close()

    assert 2 == len(played.requests)


def test_it_answers_a_request_as_a_mock_does() -> None:
    with httpx.Client(transport=httpx.MockTransport(testing.transport(HELLO))) as client:
        assert "Hello" == connect(URL, client=client).final().text


def test_a_subclass_of_a_request_is_one() -> None:
    class Mine(httpx.Request):
        pass

    response = testing.transport(HELLO)(Mine("POST", URL))

    assert b"".join(HELLO.chunks("openai-chat")) == response.read()


def test_a_route_plays_a_script(respx_mock: MockRouter) -> None:
    """The code under test makes its own client."""
    route = respx_mock.post(URL).mock(side_effect=testing.transport(HELLO))

    assert "Hello" == connect(URL, json={"model": "m"}).final().text
    assert {"model": "m"} == json.loads(route.calls.last.request.content)


def test_a_router_of_clients_plays_it_too() -> None:
    with respx.mock(using="httpx") as mocked:
        mocked.post(URL).mock(side_effect=testing.transport(HELLO))

        assert "Hello" == connect(URL, json={}).final().text


@pytest.mark.slow
def test_respx_is_not_loaded() -> None:
    code = (
        "import sys, tokenstream.testing._serve.transport; assert not {'respx', 'httpx2'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], check=True)
