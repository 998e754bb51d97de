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
