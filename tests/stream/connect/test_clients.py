"""Clients and responses that the caller already has."""

from __future__ import annotations

from typing import Any

import anyio
import httpx
import httpx2
import pytest

from tests.stream.bodies import ANSWER
from tests.stream.connect.support import PATH, WHOLE
from tests.support.replies import reply, serve_in_time
from tokenstream import AsyncStream, Stream, aconnect, connect
from tokenstream.errors import MisuseError


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_a_client_of_ones_own_is_used_and_stays_open(library: Any) -> None:
    """Its settings count; it is the caller's to close."""
    with serve_in_time({PATH: WHOLE}) as server, library.Client(headers={"X-Own": "1"}) as client:
        for _ in range(2):
            with connect(server.url + PATH, client=client) as stream:
                assert stream.final().ending == "complete"

        assert not client.is_closed
        assert [exchange.request.headers["x-own"] for exchange in server.exchanges] == ["1", "1"]


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_an_asynchronous_client_of_ones_own(library: Any) -> None:
    async def main(url: str) -> None:
        async with library.AsyncClient(headers={"X-Own": "1"}) as client:
            async with aconnect(url, client=client) as stream:
                assert (await stream.final()).ending == "complete"
            assert not client.is_closed

    with serve_in_time({PATH: WHOLE}) as server:
        for backend in ("asyncio", "trio"):
            anyio.run(main, server.url + PATH, backend=backend)


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("already_read", [False, True])
def test_a_response_that_one_already_has(library: Any, already_read: bool) -> None:
    """Streamed, or read by somebody else before."""
    with serve_in_time({PATH: WHOLE}) as server, library.Client() as client:
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

    with serve_in_time({PATH: WHOLE}) as server:
        anyio.run(main, server.url + PATH)
        with httpx.Client() as client, client.stream("POST", server.url + PATH) as response:
            with pytest.raises(MisuseError, match="with Stream"):
                AsyncStream(response)
            response.read()


def test_a_response_made_by_hand_for_a_test() -> None:
    """It has no request and no connection."""
    response = httpx.Response(200, content=b"".join(ANSWER), headers={"content-type": "text/event-stream"})

    assert Stream(response).final().text == "Let me see."


def test_metrics_count_from_the_request() -> None:
    """The time to the first token contains the time to the response."""
    with (
        serve_in_time({PATH: reply([(0.05, ANSWER[2]), (0.0, ANSWER[8]), (0.0, ANSWER[-1])])}) as server,
        connect(server.url + PATH) as stream,
    ):
        stream.final()

    assert stream.metrics.started == "request"
    assert stream.metrics.ttft is not None
    assert stream.metrics.ttft >= 0.05
