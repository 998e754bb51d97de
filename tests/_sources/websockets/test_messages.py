"""Real `websockets` connections as sources: their messages."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
import websockets.asyncio.client as asyncio_client

from tests._sources.sockets import ASK, BYE, answer, event, open_socket, talk
from tests._sources.websockets.support import on_asyncio, opened
from tests.support.packages import needed
from tests.support.timing import PATIENCE
from tokenstream import AsyncStream, Stream
from tokenstream._sources.find import sync_source

if TYPE_CHECKING:
    from websockets.sync.server import ServerConnection


def test_a_connection_is_read_message_by_message() -> None:
    """The format is found out, the connection's end is the end, and the stream closes it."""
    with opened() as connection:
        connection.send(ASK)
        connection.send(BYE)
        with Stream(connection) as stream:
            assert list(stream.text) == ["Hel", "lo"]

        assert (stream.format, stream.message.ending) == ("openai-realtime", "complete")
        assert stream.message.model == "gpt-realtime"
        assert stream.closed
        assert connection.close_code == 1000


@pytest.mark.anyio
@on_asyncio
async def test_an_asynchronous_connection_is_read_likewise() -> None:
    with open_socket(talk) as url:
        async with asyncio_client.connect(url) as connection:
            await connection.send(ASK)
            await connection.send(BYE)
            async with AsyncStream(connection) as stream:
                assert [piece async for piece in stream.text] == ["Hel", "lo"]
                assert not [task for task in asyncio.all_tasks() if task.get_name() == "tokenstream reader"]

            assert (stream.format, stream.message.ending) == ("openai-realtime", "complete")
            assert connection.close_code == 1000


@pytest.mark.anyio
@on_asyncio
@pytest.mark.parametrize("entered", [False, True])
async def test_what_connect_returns_is_opened_by_the_stream(entered: bool) -> None:
    def script(connection: ServerConnection) -> None:
        for each in answer("resp_1", "Hel", "lo"):
            connection.send(each)

    with open_socket(script) as url:
        stream = AsyncStream(asyncio_client.connect(url))
        if entered:
            async with stream:
                message = await stream.final()
        else:
            message = await stream.final()

        assert (message.text, message.ending, stream.closed) == ("Hello", "complete", True)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_connection_on_trio_is_read_likewise() -> None:
    trio_client: Any = needed("websockets.trio.client")
    with open_socket(talk) as url:
        async with trio_client.connect(url) as connection:
            await connection.send(ASK)
            await connection.send(BYE)
            stream = AsyncStream(connection)

            assert [piece async for piece in stream.text] == ["Hel", "lo"]
            assert stream.message.ending == "complete"


def test_binary_messages_are_payloads_too() -> None:
    """Gemini Live sends JSON so, over several lines."""

    def script(connection: ServerConnection) -> None:
        payloads: list[Any] = [
            {"setupComplete": {}},
            {"serverContent": {"modelTurn": {"parts": [{"text": "Hello"}]}}},
            {"serverContent": {"turnComplete": True}},
        ]
        for payload in payloads:
            connection.send(json.dumps(payload, indent=2).encode())

    with opened(script) as connection, Stream(connection) as stream:
        assert (stream.final().text, stream.format) == ("Hello", "gemini-live")


@pytest.mark.slow
@pytest.mark.anyio
@on_asyncio
async def test_a_timeout_around_anext_loses_nothing() -> None:
    """A read of websockets survives that it is cancelled."""
    gate = threading.Event()

    def script(connection: ServerConnection) -> None:
        for each in answer("resp_1", "Hel", "lo"):
            gate.wait(PATIENCE)
            gate.clear()
            connection.send(each)

    with open_socket(script) as url:
        async with asyncio_client.connect(url) as connection:
            stream = AsyncStream(connection)
            texts, timeouts, view = [], 0, stream.text
            while True:
                try:
                    async with asyncio.timeout(0.02):
                        texts.append(await anext(view))
                except TimeoutError:
                    timeouts += 1
                    gate.set()
                except StopAsyncIteration:
                    break

    assert (texts, stream.message.ending) == (["Hel", "lo"], "complete")
    assert timeouts > 3


def test_an_older_connection_that_cannot_leave_text_undecoded_is_read() -> None:
    class Connection:
        def __init__(self) -> None:
            self.messages = [event("session.created", session={}), *answer("resp_1", "Hello")]
            self.closed = False

        def recv(self) -> str:
            if not self.messages:
                raise ConnectionClosedOK
            return self.messages.pop(0)

        def send(self, message: str) -> None: ...

        def ping(self) -> None: ...

        def close(self) -> None:
            self.closed = True

    class ConnectionClosedOK(Exception):
        pass

    connection = Connection()
    source: Any = connection
    message = Stream(source).final()

    assert (message.text, connection.closed) == ("Hello", True)
    assert sync_source(source).socket is not None


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_connection_on_trio_survives_a_cancelled_read() -> None:
    trio_client: Any = needed("websockets.trio.client")
    gate = threading.Event()

    def script(connection: ServerConnection) -> None:
        for each in answer("resp_1", "Hel", "lo"):
            gate.wait(PATIENCE)
            gate.clear()
            connection.send(each)
        for _ in connection:
            pass

    with open_socket(script) as url:
        async with trio_client.connect(url) as connection:
            stream = AsyncStream(connection)
            texts: list[str] = []
            view = (await _patiently(stream.responses.__anext__, gate)).text
            while texts != ["Hel", "lo"]:
                texts.append(await _patiently(view.__anext__, gate))
            found: Any = stream
            assert found._driver.pump.source.socket() is not None  # noqa: SLF001 - what is shut down if nobody closes it
            await stream.aclose()
            # The server need not wait for a reader that has gone.
            gate.set()

            assert connection.close_code == 1000


async def _patiently(step: Callable[[], Any], gate: threading.Event) -> Any:
    while True:
        with anyio.move_on_after(0.02):
            return await step()
        gate.set()
