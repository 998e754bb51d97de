"""`relay.websocket`: an answer over WebSockets of every framework, which the client may stop."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import websockets.asyncio.server
import websockets.sync.client
from fastapi import FastAPI, WebSocket
from litestar import Litestar
from litestar import WebSocket as LitestarWebSocket
from litestar.exceptions import WebSocketDisconnect as LitestarDisconnect
from litestar.handlers import websocket
from starlette.websockets import WebSocketDisconnect
from websockets.exceptions import ConnectionClosed

from tests.support.served import by_uvicorn, by_websockets
from tests.support.timing import PATIENCE, wait_for
from tokenstream import AsyncStream, Stream, relay, testing
from tokenstream.errors import MisuseError
from tokenstream.events import Event, TextDelta

pytestmark = pytest.mark.anyio

SCRIPT = testing.script(id="x", model="m").text("Hel", "lo").finish("stop")
LEFT = (WebSocketDisconnect, LitestarDisconnect, ConnectionClosed)
closed: list[str] = []


async def body(name: str) -> AsyncIterator[bytes]:
    """Give an answer: whole, silent in its middle, cut, or longer than anybody reads."""
    chunks = SCRIPT.chunks("openai-chat")
    try:
        for chunk in chunks[: None if name == "whole" else 2]:
            yield chunk
        if name == "silent":
            await anyio.sleep_forever()
    finally:
        closed.append(name)


async def events() -> AsyncIterator[TextDelta]:
    yield TextDelta("Hello")
    await anyio.sleep_forever()


async def talk(ws: Any, receive: Any) -> None:
    there = True
    while there:
        try:
            asked = json.loads(await receive())
        except LEFT:
            break
        answer: Any = events() if asked["name"] == "events" else AsyncStream(body(asked["name"]))
        there = await relay.websocket(ws, answer, protocol=asked.get("protocol", "tokenstream"))


def fastapi_app() -> Any:
    app = FastAPI()

    @app.websocket("/")
    async def endpoint(ws: WebSocket) -> None:
        await ws.accept()
        await talk(ws, ws.receive_text)

    @app.websocket("/unaccepted")
    async def unaccepted(ws: WebSocket) -> None:
        await relay.websocket(ws, AsyncStream(body("whole")))

    return app


def litestar_app() -> Any:
    @websocket("/")
    async def endpoint(socket: LitestarWebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        await talk(socket, socket.receive_text)

    @websocket("/unaccepted")
    async def unaccepted(socket: LitestarWebSocket[Any, Any, Any]) -> None:
        await relay.websocket(socket, AsyncStream(body("whole")))

    return Litestar([endpoint, unaccepted], openapi_config=None, logging_config=None)


async def handle(ws: Any) -> None:
    if ws.request.path == "/unaccepted":
        await relay.websocket(ws, AsyncStream(body("whole")))
    else:
        await talk(ws, ws.recv)


SERVERS: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "fastapi": lambda: by_uvicorn(fastapi_app(), ws="websockets-sansio"),
    "litestar": lambda: by_uvicorn(litestar_app(), ws="websockets-sansio"),
    "websockets": lambda: by_websockets(handle),
}


@pytest.fixture(scope="module", params=SERVERS)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with SERVERS[request.param]() as found:
        yield found.replace("http", "ws", 1)


@contextmanager
def connected(url: str, path: str = "") -> Generator[Any, None, None]:
    with websockets.sync.client.connect(f"{url}{path}", open_timeout=PATIENCE) as ws:
        yield ws


def answer(ws: Any, until: str = "end") -> list[Any]:
    told: list[Any] = []
    while not told or told[-1]["type"] not in {until, "error"}:
        told.append(json.loads(ws.recv(timeout=PATIENCE)))
    return told


def test_each_event_is_one_message_and_the_next_question_may_follow(url: str) -> None:
    """The messages are the lines of the protocol; the connection stays open, whichever way an answer ends."""
    with connected(url) as ws:
        for _ in range(2):
            ws.send(json.dumps({"name": "whole"}))
            told = answer(ws)
            assert Stream(told, format="tokenstream").final().text == "Hello"
            assert {"type": "end", "ending": "complete"} == told[-1]
        ws.send(json.dumps({"name": "cut"}))
        assert "StreamTruncated" == answer(ws)[-1]["error"]
        ws.send(json.dumps({"name": "whole", "protocol": "openai-chat"}))
        told = []
        while "[DONE]" not in told:
            told.append(ws.recv(timeout=PATIENCE))
        payloads = [json.loads(message) for message in told[:-1]]
        assert Stream(payloads, format="openai-chat").final().text == "Hello"
    with connected(url, "unaccepted") as ws:
        assert len(answer(ws)) > 3


@pytest.mark.parametrize("name", ["silent", "events"])
def test_the_client_stops_an_answer(url: str, name: str) -> None:
    closed.clear()
    with connected(url) as ws:
        ws.send(json.dumps({"name": name}))
        answer(ws, until="text_delta")
        ws.send('{"type":"stop"}')
        assert {"type": "end", "ending": "stopped"} == answer(ws)[-1]
        assert closed == (["silent"] if name == "silent" else [])
        ws.send(json.dumps({"name": "whole"}))
        assert {"type": "end", "ending": "complete"} == answer(ws)[-1]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("x" * 65_537, 1009),
        ("{", 1007),
        ("[1]", 1007),
        (b"\xff\x00", 1007),
        ('{"type":"prompt"}', 1008),
        ("[" * 60_000, 1007),
    ],
)
def test_what_no_client_may_say_ends_the_answer_and_closes_the_connection(
    url: str, message: str | bytes, code: int
) -> None:
    closed.clear()
    with connected(url) as ws:
        ws.send(json.dumps({"name": "silent"}))
        answer(ws, until="text_delta")
        ws.send(message)
        last = answer(ws)[-1]
        with pytest.raises(ConnectionClosed) as caught:
            ws.recv(timeout=PATIENCE)

    assert ("ProtocolError", code) == (last["error"], caught.value.rcvd.code if caught.value.rcvd else None)
    assert closed == ["silent"]


def test_a_client_that_goes_ends_the_answer(url: str) -> None:
    """The upstream is closed though it is silent."""
    closed.clear()
    with connected(url) as ws:
        ws.send(json.dumps({"name": "silent"}))
        answer(ws, until="text_delta")
    wait_for(lambda: bool(closed))

    assert closed == ["silent"]


class Eager:
    """A connection whose client asks again as soon as it has the end, while that is being sent still."""

    def __init__(self) -> None:
        self.asks, self.asked = anyio.create_memory_object_stream[str](1)

    async def recv(self) -> str:
        return await self.asked.receive()

    async def send(self, message: str) -> None:
        if '"end"' in message or '"error"' in message:
            self.asks.send_nowait("the next question")
        for _ in range(5):
            await anyio.lowlevel.checkpoint()

    async def close(self, code: int, reason: str) -> None:
        raise AssertionError(f"closed with {code}: {reason}")


@pytest.mark.parametrize("name", ["whole", "cut"])
async def test_the_next_question_may_come_while_the_end_is_sent(name: str) -> None:
    ws = Eager()
    with ws.asks, ws.asked:
        assert await relay.websocket(ws, AsyncStream(body(name)))
        assert "the next question" == await ws.recv()


class Instant:
    """A connection that sends without a pause, and whose client asks again as soon as it has the end."""

    def __init__(self) -> None:
        self.ended = anyio.Event()

    async def recv(self) -> str:
        if not self.ended.is_set():
            await self.ended.wait()
        return "the next question"

    async def send(self, message: str) -> None:
        if '"end"' in message:
            self.ended.set()

    async def close(self, code: int, reason: str) -> None:
        raise AssertionError(f"closed with {code}: {reason}")


async def test_the_next_question_may_come_after_an_answer_that_was_there_at_once() -> None:
    """An answer may be over before its client is listened to: the question is not taken for a word on it."""
    ws = Instant()

    assert await relay.websocket(ws, AsyncStream(["x"], format="pieces"))
    assert "the next question" == await ws.recv()


async def test_what_is_no_websocket_is_refused() -> None:
    stream = AsyncStream(["x"], format="pieces")
    with pytest.raises(MisuseError, match="WebSocket"):
        await relay.websocket(object(), stream)
    await stream.aclose()


class Leaving:
    """A WebSocket of a framework, whose client goes while it is accepted, or never comes."""

    def __init__(self, error: Exception | None) -> None:
        self.scope: dict[str, Any] = {}
        self.error = error

    async def accept(self) -> None:
        if self.error is None:
            await anyio.sleep_forever()
        else:
            raise self.error

    async def receive(self) -> Any: ...
    async def send(self, message: Any) -> None: ...
    async def close(self, code: int, reason: str) -> None: ...


async def test_a_client_that_goes_before_the_answer_closes_the_stream() -> None:
    gone, cancelled = (AsyncStream(["x"], format="pieces") for _ in range(2))
    assert not await relay.websocket(Leaving(WebSocketDisconnect(1006)), gone)
    with anyio.move_on_after(0.01) as scope:
        await relay.websocket(Leaving(None), cancelled)

    assert scope.cancelled_caught
    assert (True, True) == (gone.closed, cancelled.closed)


class Keeping(Eager):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[object] = []

    async def send(self, message: object) -> None:
        self.kept.append(message)


@pytest.mark.parametrize("name", ["bedrock-converse", "bedrock-invoke"])
async def test_every_message_of_a_binary_protocol_is_binary(name: Any) -> None:
    """About one in 300 of them happens to be text in UTF-8 as well, with both of its checksums."""
    ws = Keeping()

    async def answer() -> AsyncIterator[Event]:
        for number in range(1_500):
            yield TextDelta("x" * (number % 300) + str(number))
            await anyio.lowlevel.checkpoint()

    with ws.asks, ws.asked:
        await relay.websocket(ws, answer(), protocol=name)

    assert len(ws.kept) > 1_000
    assert {bytes} == {type(message) for message in ws.kept}
