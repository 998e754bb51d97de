"""Answers played at routes of respx."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest
import respx

from tokenstream import AsyncStream, connect, testing

if TYPE_CHECKING:
    from respx import MockRouter

HELLO = testing.script().text("Hello").finish("stop")
BYE = testing.script().text("Bye").finish("stop")
URL = "https://api.example.com/v1/chat/completions"


def test_a_route_plays_a_script(respx_mock: MockRouter) -> None:
    """The code under test makes its own client."""
    route = respx_mock.post(URL).mock(side_effect=testing.transport(HELLO))

    assert "Hello" == connect(URL, json={"model": "m"}).final().text
    assert {"model": "m"} == json.loads(route.calls.last.request.content)


@pytest.mark.anyio
async def test_an_async_client_reads_the_same(respx_mock: MockRouter) -> None:
    """One side effect serves both kinds."""
    respx_mock.post(URL).mock(side_effect=testing.transport(HELLO))
    async with httpx.AsyncClient() as client, client.stream("POST", URL) as response:
        assert "Hello" == (await AsyncStream(response).final()).text


def test_each_request_gets_the_next(respx_mock: MockRouter) -> None:
    played = testing.transport([HELLO, BYE])
    respx_mock.post(URL).mock(side_effect=played)

    assert ["Hello", "Bye"] == [connect(URL, json={"turn": turn}).final().text for turn in range(2)]
    assert [{"turn": 0}, {"turn": 1}] == [asked.json for asked in played.requests]
    assert all(exchange.closed for exchange in played.exchanges)


def test_borders_pace_and_breaks_are_played(respx_mock: MockRouter) -> None:
    """As the transport does it: respx alone gives a body whole."""
    stalled = HELLO.recording().replaced(breaks="stall")
    played = testing.transport(stalled, chunking="bytes", pace="recorded")
    respx_mock.post(URL).mock(side_effect=played)
    with httpx.Client() as client, client.stream("POST", URL) as response:
        chunks = response.iter_raw()
        assert stalled.chunks("bytes") == [next(chunks) for _ in stalled.body]
        with pytest.raises(httpx.ReadTimeout):
            next(chunks)


def test_a_router_of_clients_plays_it_too() -> None:
    """This covers the case in which respx replaces httpx's transport instead of httpcore's."""
    with respx.mock(using="httpx") as mocked:
        mocked.post(URL).mock(side_effect=testing.transport(HELLO))

        assert "Hello" == connect(URL, json={}).final().text


@pytest.mark.slow
def test_respx_is_not_loaded() -> None:
    """It is there where somebody uses it."""
    code = (
        "import sys, tokenstream.testing._serve.transport; assert not {'respx', 'httpx2'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], check=True)
