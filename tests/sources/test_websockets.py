"""Real `websockets` connections as sources: their messages, their ends, and who closes them."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import websockets.asyncio.client as asyncio_client
import websockets.sync.client as sync_client
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Close
from websockets.sync.server import ServerConnection, serve

from tests.sources.sockets import ASK, BYE, answer, client_context, event, open_socket, talk
from tests.support.packages import needed
from tokenstream import AsyncStream, Stream, aconnect, connect
from tokenstream.errors import (
    MisuseError,
    StatusError,
    StreamError,
    StreamInterrupted,
    StreamTruncated,
)
from tokenstream.sources import reading_failed, sync_source
from tokenstream.sources._websocket import (
    OpenWebSocket,
    from_async_socket,
    from_socket,
    handshake_error,
    socket_closed_error,
)

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@contextmanager
def opened(script: Callable[[ServerConnection], None] = talk) -> Generator[Any]:
    with open_socket(script) as url, sync_client.connect(url) as connection:
        yield connection


def closing(code: int, reason: str = "why") -> Callable[[ServerConnection], None]:
    """Begin an answer, and close the connection inside it."""

    def script(connection: ServerConnection) -> None:
        for each in answer("resp_1", "Hel")[:-3]:
            connection.send(each)
        connection.close(code, reason)

    return script


def silent(connection: ServerConnection) -> None:
    """Begin an answer, and say nothing more."""
    for each in answer("resp_1", "Hel")[:-3]:
        connection.send(each)
    for _ in connection:
        pass


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
    """By the loop itself, without a task that reads ahead."""
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
    """It is awaited, or entered; the stream closes it."""

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
    """Where websockets has one for it."""
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


@pytest.mark.parametrize("code", [1000, 1001])
def test_a_clean_end_inside_an_answer_is_a_truncation(code: int) -> None:
    """The codes of a normal closure say nothing of the answer."""
    with opened(closing(code)) as connection, pytest.raises(StreamTruncated) as caught:
        Stream(connection).final()

    assert (caught.value.partial.text, caught.value.partial.ending) == ("Hel", "truncated")


CODES: list[tuple[int, str, str, bool]] = [
    (1002, "bad frame", "server", True),
    (1007, "Request contains an invalid argument.", "invalid_request", False),
    (1007, "API key not valid. Please pass a valid API key.", "authentication", False),
    (1008, "Operation is not implemented.", "invalid_request", False),
    (1011, "Internal error encountered.", "server", True),
    (1011, "You exceeded your current quota", "rate_limited", True),
    (1013, "", "overloaded", True),
    (3000, "registration", "authentication", False),
    (4429, "slow down", "rate_limited", True),
    (4999, "", "unknown", False),
]


@pytest.mark.parametrize("code, reason, kind, retryable", CODES)
def test_another_close_code_is_told_with_its_reason(
    code: int, reason: str, kind: str, retryable: bool
) -> None:
    """Whose problem it is follows from both: they are the only errors that Gemini Live has."""
    with opened(closing(code, reason)) as connection, pytest.raises(StreamInterrupted) as caught:
        Stream(connection).final()

    assert f"closed the connection with code {code}" in str(caught.value)
    assert reason in str(caught.value)
    assert (caught.value.kind, caught.value.retryable) == (kind, retryable)
    assert (caught.value.partial.text, caught.value.partial.ending) == ("Hel", "truncated")
    assert isinstance(caught.value.__cause__, ConnectionClosedError)


@pytest.mark.anyio
@on_asyncio
async def test_a_close_code_is_told_asynchronously_too() -> None:
    """With what had arrived."""
    with open_socket(closing(1011, "Internal error")) as url:
        async with asyncio_client.connect(url) as connection:
            with pytest.raises(StreamInterrupted, match="code 1011: Internal error") as caught:
                await AsyncStream(connection).final()

    assert caught.value.partial.text == "Hel"


def test_a_connection_that_broke_has_no_code() -> None:
    """There was no closing frame."""

    def script(connection: ServerConnection) -> None:
        for each in answer("resp_1", "Hel")[:-3]:
            connection.send(each)
        connection.socket.shutdown(2)

    with (
        opened(script) as connection,
        pytest.raises(StreamInterrupted, match="without a closing frame") as caught,
    ):
        Stream(connection).final()

    assert (caught.value.kind, caught.value.retryable) == ("network", True)


def test_a_break_after_the_answer_loses_nothing() -> None:
    """The answer is complete, with a departure."""

    def script(connection: ServerConnection) -> None:
        for each in answer("resp_1", "Hello"):
            connection.send(each)
        connection.close(1011, "gone")

    with opened(script) as connection:
        stream = Stream(connection)

        assert (stream.final().text, stream.message.ending) == ("Hello", "complete")
        assert list(stream.departures) == ["broken_after_finish"]


def test_stop_from_another_thread_ends_a_read_that_blocks() -> None:
    """At once: the server says nothing, and there is no timeout."""
    with opened(silent) as connection:
        stream = Stream(connection)
        read = []
        timer = threading.Timer(0.1, stream.stop)
        timer.start()
        began = time.monotonic()
        for piece in stream.text:
            read.append(piece)
        timer.join()

        assert (read, stream.message.ending, stream.closed) == (["Hel"], "stopped", True)
        assert time.monotonic() - began < 2


@pytest.mark.anyio
@on_asyncio
@pytest.mark.parametrize("thread", [False, True])
async def test_stop_from_elsewhere_ends_an_asynchronous_read(thread: bool) -> None:
    """From another task, or another thread."""
    with open_socket(silent) as url:
        async with asyncio_client.connect(url) as connection:
            stream = AsyncStream(connection)
            timer = threading.Timer(0.1, stream.stop)
            if thread:
                timer.start()
            else:
                asyncio.get_running_loop().call_later(0.1, stream.stop)

            assert [piece async for piece in stream.text] == ["Hel"]
            assert (stream.message.ending, stream.closed) == ("stopped", True)
            if thread:
                timer.join()


@pytest.mark.anyio
@on_asyncio
async def test_a_timeout_around_anext_loses_nothing() -> None:
    """A read of websockets survives that it is cancelled."""
    gate = threading.Event()

    def script(connection: ServerConnection) -> None:
        for each in answer("resp_1", "Hel", "lo"):
            gate.wait(2)
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


def test_the_wrong_colour_is_told_the_right_one() -> None:
    """Before anything is read."""
    with opened() as connection, pytest.raises(MisuseError, match="is not asynchronous: read it with Stream"):
        AsyncStream(connection)


@pytest.mark.anyio
@on_asyncio
async def test_the_wrong_colour_is_told_of_an_asynchronous_one() -> None:
    """A connection, and what connect returns."""
    with open_socket(talk) as url:
        async with asyncio_client.connect(url) as connection:
            things: list[Any] = [connection, asyncio_client.connect(url)]
            for thing in things:
                with pytest.raises(MisuseError, match="is asynchronous: read it with AsyncStream"):
                    Stream(thing)


@pytest.mark.parametrize("url", ["ws://localhost:1/v1", "wss://localhost:1/v1"])
def test_connect_refuses_the_address_of_a_websocket(url: str) -> None:
    """It sends requests; the error shows the way."""
    with pytest.raises(MisuseError, match=r"Stream\(websockets\.sync\.client\.connect\("):
        connect(url)
    with pytest.raises(MisuseError, match=r"AsyncStream\(websockets\.asyncio\.client\.connect\("):
        aconnect(url)
    with pytest.raises(MisuseError, match="looks like an address"):
        Stream(url)


@pytest.mark.anyio
@on_asyncio
async def test_a_handshake_that_is_refused_is_a_status_error() -> None:
    """With what the provider says."""

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

    class Response:
        status_code = 200

    assert handshake_error(Response()) is None


def _encrypted(url: str) -> Any:
    """Connect over TLS.

    One time in sixty, the client of websockets 17.4 waits in vain for the answer to its
    own handshake: a thread of its reads while another one writes.
    """
    for _ in range(4):
        try:
            return sync_client.connect(url, ssl=client_context(), open_timeout=1)
        except TimeoutError:
            continue
    raise TimeoutError("four handshakes had no answer")


def test_over_tls_a_read_that_blocks_is_ended_too() -> None:
    """The socket beneath is shut down, its encryption left alone."""
    with (
        open_socket(silent, tls=True) as url,
        _encrypted(url) as connection,
        Stream(connection) as stream,
    ):
        timer = threading.Timer(0.1, stream.stop)
        timer.start()

        assert list(stream.text) == ["Hel"]
        timer.join()
        assert stream.message.ending == "stopped"


def test_whoever_reads_the_connection_himself_is_told() -> None:
    """Two cannot receive at the same time."""

    class ConcurrencyError(RuntimeError):
        pass

    found = reading_failed(ConcurrencyError("cannot call recv"), None, begun=True)

    assert isinstance(found, MisuseError)


def test_a_farewell_without_a_reason_is_told_by_its_code() -> None:
    """As are codes that nobody has defined."""
    error = socket_closed_error(ConnectionClosedError(Close(1012, ""), None))

    assert str(error) == "the server closed the connection with code 1012; what had arrived is in .partial"


def test_an_older_connection_that_cannot_leave_text_undecoded_is_read() -> None:
    """Its messages are text then."""

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
@on_asyncio
async def test_a_stream_that_nobody_closes_gives_its_connection_up() -> None:
    """With a warning; the socket is shut down without waiting."""
    with open_socket(silent) as url:
        connection = await asyncio_client.connect(url)
        stream = AsyncStream(connection)
        assert await anext(stream.text) == "Hel"
        with pytest.warns(ResourceWarning, match="was never closed"):
            del stream
            gc.collect()
        await asyncio.wait_for(connection.wait_closed(), 3)

        assert connection.close_code == 1006


def test_messages_are_an_iterator() -> None:
    """Of either colour, as whoever reads a source expects."""
    with opened() as connection:
        connection.send(BYE)
        chunks = from_socket(OpenWebSocket(connection.recv, connection.close, connection)).chunks
        assert [json.loads(message)["type"] for message in chunks] == ["session.created"]

    async def recv() -> bytes:
        await anyio.lowlevel.checkpoint()
        return b"{}"

    async def first() -> Any:
        return await anext(aiter(from_async_socket(OpenWebSocket(recv, recv, None)).chunks))

    assert anyio.run(first) == b"{}"


def flooding(connection: ServerConnection) -> None:
    """Send without end; nobody reads on after the client's farewell."""
    for number in range(1_000_000):
        for each in answer(f"resp_{number}", "x" * 1_000):
            connection.send(each)


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

    assert max(seconds) < 2


@pytest.mark.parametrize("seconds, kept", [(0.1, 0.1), (30.0, 0.5), (None, 0.5)])
def test_a_shorter_time_to_wait_for_the_farewell_is_kept(seconds: float | None, kept: float) -> None:
    """It was the caller's choice; a longer one is not waited for."""
    with open_socket(talk) as url, sync_client.connect(url, close_timeout=seconds) as connection:
        Stream(connection).close()

        assert connection.close_timeout == kept


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_connection_on_trio_survives_a_cancelled_read() -> None:
    """It is a connection like the others, closed by the stream, with no task that reads ahead."""
    trio_client: Any = needed("websockets.trio.client")
    gate = threading.Event()

    def script(connection: ServerConnection) -> None:
        for each in answer("resp_1", "Hel", "lo"):
            gate.wait(2)
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
