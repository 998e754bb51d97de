"""Handshakes that fail, and connections that are read in the wrong way."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
import websockets.asyncio.client as asyncio_client
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response
from websockets.sync.server import ServerConnection, serve

from tests._sources.faults import error_of_opening, error_of_reading
from tests._sources.sockets import open_socket, talk
from tests._sources.websockets.support import on_asyncio, opened
from tokenstream import AsyncStream, Stream, aconnect, connect
from tokenstream.errors import ConnectError, MisuseError, StatusError, StreamError


def test_the_wrong_colour_is_answered_with_the_right_one() -> None:
    with opened() as connection, pytest.raises(MisuseError, match="is not asynchronous: read it with Stream"):
        AsyncStream(connection)


@pytest.mark.anyio
@on_asyncio
async def test_the_wrong_colour_is_recognised_in_an_asynchronous_one() -> None:
    """A connection, and what connect returns."""
    with open_socket(talk) as url:
        async with asyncio_client.connect(url) as connection:
            things: list[Any] = [connection, asyncio_client.connect(url)]
            for thing in things:
                with pytest.raises(MisuseError, match="is asynchronous: read it with AsyncStream"):
                    Stream(thing)


@pytest.mark.parametrize("url", ["ws://localhost:1/v1", "wss://localhost:1/v1"])
def test_connect_refuses_the_address_of_a_websocket(url: str) -> None:
    with pytest.raises(MisuseError, match=r"write Session\(lambda: websockets\.sync\.client\.connect\("):
        connect(url)
    with pytest.raises(
        MisuseError, match=r"write AsyncSession\(lambda: websockets\.asyncio\.client\.connect\("
    ):
        aconnect(url)
    with pytest.raises(MisuseError, match="looks like an address"):
        Stream(url)


@pytest.mark.anyio
@on_asyncio
async def test_a_handshake_that_is_refused_is_a_status_error() -> None:
    def refuse(connection: ServerConnection, request: object) -> Any:
        assert request is not None
        return connection.respond(
            401, json.dumps({"error": {"message": "no key", "code": "invalid_api_key"}})
        )

    with serve(talk, "127.0.0.1", 0, process_request=refuse) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        with pytest.raises(StatusError, match="no key") as caught:
            await AsyncStream(asyncio_client.connect(url)).final()
        server.shutdown()
        thread.join()

    assert (caught.value.status, caught.value.kind) == (401, "authentication")


@pytest.mark.anyio
@on_asyncio
async def test_a_handshake_that_is_none_is_a_failure_to_connect() -> None:
    """Nobody listens, or whoever answers speaks no HTTP."""
    with pytest.raises(StreamError) as caught:
        await AsyncStream(asyncio_client.connect("ws://127.0.0.1:9/")).final()

    assert caught.value.kind == "network"


def test_a_switch_of_protocols_that_failed_says_nothing_of_a_status() -> None:
    """A status below 400 is no error of the provider's."""
    found = error_of_opening(InvalidStatus(Response(200, "OK", Headers())))

    assert type(found) is ConnectError


def test_whoever_reads_the_connection_himself_is_told() -> None:
    """Two cannot receive at the same time."""

    class ConcurrencyError(RuntimeError):
        pass

    found = error_of_reading(ConcurrencyError("cannot call recv"))

    assert isinstance(found, MisuseError)
