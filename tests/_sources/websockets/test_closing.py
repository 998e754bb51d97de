"""Real `websockets` connections as sources: stops, and who closes them."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import TYPE_CHECKING

import pytest
import websockets.asyncio.client as asyncio_client
import websockets.sync.client as sync_client

from tests._sources.sockets import answer, client_context, open_socket, talk
from tests._sources.websockets.support import on_asyncio, opened
from tests.support.timing import PATIENCE, meanwhile
from tokenstream import AsyncStream, Stream

if TYPE_CHECKING:
    from websockets.sync.server import ServerConnection

pytestmark = pytest.mark.not_quick


def silent(connection: ServerConnection) -> None:
    for each in answer("resp_1", "Hel")[:-3]:
        connection.send(each)
    for _ in connection:
        pass


def test_stop_from_another_thread_ends_a_read_that_blocks() -> None:
    with opened(silent) as connection:
        stream = Stream(connection)
        with meanwhile(stream.stop, once=lambda: stream.message.text):
            read = list(stream.text)

        assert (read, stream.message.ending, stream.closed) == (["Hel"], "stopped", True)


@pytest.mark.slow
@pytest.mark.anyio
@on_asyncio
@pytest.mark.parametrize("thread", [False, True])
async def test_stop_from_elsewhere_ends_an_asynchronous_read(thread: bool) -> None:
    with open_socket(silent) as url:
        async with asyncio_client.connect(url) as connection:
            stream = AsyncStream(connection)
            loop = asyncio.get_running_loop()
            stop = stream.stop if thread else lambda: loop.call_soon_threadsafe(stream.stop)
            with meanwhile(stop, once=lambda: stream.message.text):
                read = [piece async for piece in stream.text]

            assert read == ["Hel"]
            assert (stream.message.ending, stream.closed) == ("stopped", True)


def test_over_tls_a_read_that_blocks_is_ended_too() -> None:
    """The socket beneath is shut down, its encryption left alone."""
    with (
        open_socket(silent, tls=True) as url,
        sync_client.connect(url, ssl=client_context()) as connection,
        Stream(connection) as stream,
    ):
        with meanwhile(stream.stop, once=lambda: stream.message.text):
            assert list(stream.text) == ["Hel"]
        assert stream.message.ending == "stopped"


@pytest.mark.anyio
@on_asyncio
async def test_a_stream_that_nobody_closes_gives_its_connection_up() -> None:
    with open_socket(silent) as url:
        connection = await asyncio_client.connect(url)
        stream = AsyncStream(connection)
        assert await anext(stream.text) == "Hel"
        with pytest.warns(ResourceWarning, match="was never closed"):
            del stream
            gc.collect()
        await asyncio.wait_for(connection.wait_closed(), PATIENCE)

        assert connection.close_code == 1006


def flooding(connection: ServerConnection) -> None:
    """Send without end; nobody reads on after the client's farewell."""
    for number in range(1_000_000):
        for each in answer(f"resp_{number}", "x" * 1_000):
            connection.send(each)


@pytest.mark.slow
@pytest.mark.anyio
@on_asyncio
async def test_a_farewell_is_not_waited_for_long() -> None:
    """What nobody reads any more stands before it; `stop` may not block for that."""
    with open_socket(flooding) as url:
        connection = sync_client.connect(url).__enter__()
        stream = Stream(connection)
        next(stream.text)
        began = time.monotonic()
        stream.stop()
        seconds = [time.monotonic() - began]
        aconnection = await asyncio_client.connect(url)
        astream = AsyncStream(aconnection)
        await anext(astream.text)
        began = time.monotonic()
        await astream.aclose()
        seconds.append(time.monotonic() - began)

    assert max(seconds) < 4


@pytest.mark.parametrize("seconds, kept", [(0.1, 0.1), (30.0, 0.5), (None, 0.5)])
def test_a_shorter_time_to_wait_for_the_farewell_is_kept(seconds: float | None, kept: float) -> None:
    with open_socket(talk) as url, sync_client.connect(url, close_timeout=seconds) as connection:
        Stream(connection).close()

        assert connection.close_timeout == kept
