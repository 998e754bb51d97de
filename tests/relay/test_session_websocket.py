"""`relay.websocket(ws, session=…)`: a browser asks, stops and interrupts over one WebSocket."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Self

import anyio
import pytest
import websockets.asyncio.client
import websockets.sync.client
import websockets.trio.client
from fastapi import FastAPI, WebSocket
from websockets.exceptions import ConnectionClosed

from tests.session.servers import PATHS, RealtimeServer, no_pause, serving, wait_after
from tests.support.served import by_uvicorn
from tests.support.timing import PATIENCE, wait_for
from tokenstream import AsyncSession, AsyncStream, Router, Session, Stream, relay, testing
from tokenstream.errors import MisuseError
from tokenstream.testing import faults

pytestmark = pytest.mark.anyio

SLOW = testing.script().text("Well").silence(60).text(", one", " or two").finish()


def said(text: str) -> testing.Script:
    return testing.script().text(text).finish()


class Page:
    """The browser's end of the WebSocket."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket

    def send(self, kind: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"type": kind, **fields}))

    def until(self, *kinds: str) -> list[Any]:
        """Return the messages up to the first one of these types."""
        told: list[Any] = []
        while not told or told[-1]["type"] not in kinds:
            told.append(json.loads(self.socket.recv(timeout=PATIENCE)))
        return told

    def read_answer(self) -> Any:
        stream = Stream(self.until("end", "error"), format="tokenstream")
        return stream.final()

    def begin_answer(self) -> None:
        """Ask, and wait for the first piece of the answer."""
        self.send("ask", text="Tell me")
        self.until("text_delta")

    def ask(self, text: str) -> Any:
        self.send("ask", text=text)
        return self.read_answer()

    def code_of_close(self) -> int | None:
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                self.socket.recv(timeout=PATIENCE)
        return caught.value.rcvd.code if caught.value.rcvd else None


@contextmanager
def page_of(url: str, *, ended: list[bool] | None = None, **options: Any) -> Generator[Page]:
    app = FastAPI()
    router = options.get("router")

    @app.websocket("/")
    async def endpoint(ws: WebSocket) -> None:
        async with AsyncSession(
            lambda: websockets.asyncio.client.connect(url), model="m", tools=router
        ) as session:
            is_open = await relay.websocket(ws, session=session, **options)
        if ended is not None:
            ended.append(is_open)

    with (
        by_uvicorn(app) as address,
        websockets.sync.client.connect(address.replace("http", "ws"), proxy=None) as socket,
    ):
        yield Page(socket)


@contextmanager
def page_with(
    api: str, answers: Any, *, pace: Any = "instant", **options: Any
) -> Generator[tuple[Page, testing.Server]]:
    with (
        testing.serve(answers, sessions=True, pace=pace) as server,
        page_of(server.ws_url + PATHS[api], **options) as page,
    ):
        yield page, server


@pytest.mark.slow
@pytest.mark.parametrize("api", PATHS)
def test_questions_follow_one_another(api: str) -> None:
    with page_with(api, [said("Hello"), said("Bye")]) as (page, server):
        assert page.ask("Hi").text == "Hello"
        assert page.ask("And?").text == "Bye"

        [exchange] = server.exchanges
        assert str(exchange.received_json).count("Hi") == 1


@pytest.mark.slow
@pytest.mark.parametrize("api", PATHS)
@pytest.mark.parametrize("kind", ["stop", "ask"])
def test_an_answer_is_stopped(api: str, kind: str) -> None:
    late = SLOW.recording(api).with_fault(faults.late(1))
    with page_with(api, [late, said("Yes?")], pace="recorded") as (page, _):
        page.begin_answer()
        page.send(kind, **({"text": "Wait"} if kind == "ask" else {}))
        assert page.until("end")[-1] == {"type": "end", "ending": "stopped"}
        following = page.read_answer() if kind == "ask" else page.ask("Wait")

        assert following.text == "Yes?"


@pytest.mark.slow
def test_an_answer_is_cut_to_what_was_heard() -> None:
    server = RealtimeServer(audio=True)
    server.pause = wait_after(2)
    with serving(server) as url, page_of(url) as page:
        page.send("ask", text="one and more")
        # The words come before their sound.
        while not page.until("media_delta")[-1].get("data"):
            pass
        page.send("interrupt", played_ms=50)
        assert page.until("end")[-1]["ending"] == "stopped"
        server.pause = no_pause
        page.ask("two")
        for played_ms in (120.0, 150, 80):
            page.send("interrupt", played_ms=played_ms)
        page.ask("three")

        assert [each["audio_end_ms"] for each in server.truncations] == [50, 120, 80]
        assert server.refusals == []


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["openai-chat", "ui-message"])
def test_other_protocols_send_one_answer_after_the_other(protocol: Any) -> None:
    with page_with("openai-responses", [SLOW, said("Yes?")], pace="recorded", protocol=protocol) as (page, _):

        def until(words: str) -> str:
            told = [page.socket.recv(timeout=PATIENCE)]
            while words not in told[-1]:
                told.append(page.socket.recv(timeout=PATIENCE))
            return "".join(told)

        page.send("ask", text="Tell me")
        until("Well")
        page.send("ask", text="Wait")
        assert "Yes?" not in until("[DONE]")
        assert "Yes?" in until("[DONE]")


@pytest.mark.slow
def test_half_a_surrogate_pair_is_no_question() -> None:
    """No provider can be sent one, so the page's connection is closed with the reason."""
    with page_with("openai-realtime", [said("What?")]) as (page, _), pytest.raises(ConnectionClosed):
        page.ask("\ud800")


@pytest.mark.slow
def test_an_answer_is_read_for_a_while_after_the_page_has_gone() -> None:
    whole = testing.script().text("Well").silence(0.3).text(", that was it").finish()
    ended: list[bool] = []
    with page_with(
        "openai-responses", [whole], pace="recorded", ended=ended, timing=relay.Timing(grace=20)
    ) as (page, server):
        page.begin_answer()
        page.socket.close()
        wait_for(lambda: ended == [False])

        [exchange] = server.exchanges
        assert exchange.over.wait(PATIENCE)
        assert [each["type"] for each in exchange.received_json] == ["response.create"]


@pytest.mark.slow
@pytest.mark.parametrize("api", PATHS)
def test_tools_are_run_by_the_router(api: str) -> None:
    router = Router()

    @router.tool
    def now(zone: str) -> str:
        return f"noon in {zone}"

    call = testing.script().tool_call("now", {"zone": "UTC"}).finish()
    with page_with(api, [call, said("Noon.")], router=router) as (page, server):
        answer = page.ask("What time is it?")

        assert (answer.text, [each.name for each in answer.tool_calls]) == ("Noon.", ["now"])
        assert "noon in UTC" in str(server.exchanges[0].received_json)


@pytest.mark.slow
def test_a_failed_answer_is_followed_by_the_next_one() -> None:
    broken = SLOW.recording("openai-responses").with_fault(faults.reset(event=4))
    with page_with("openai-responses", [broken, said("Here")]) as (page, _):
        page.send("ask", text="Hi")
        assert page.until("end", "error")[-1]["error"] == "StreamInterrupted"
        assert page.ask("Again").text == "Here"


@pytest.mark.slow
def test_a_stop_without_an_answer_does_nothing() -> None:
    with page_with("openai-responses", [said("Hello"), said("Bye")]) as (page, _):
        page.send("stop")
        page.send("interrupt", played_ms=0)
        assert page.ask("Hi").text == "Hello"
        page.send("stop")
        assert page.ask("And?").text == "Bye"


@pytest.mark.slow
@pytest.mark.parametrize("answering", [True, False])
@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("x" * 1_048_577, 1009),
        ("{", 1007),
        ("[1]", 1007),
        ('{"type":"prompt"}', 1008),
        ('{"type":"ask"}', 1008),
        ('{"type":"ask","text":""}', 1008),
        ('{"type":"ask","text":["Hi"]}', 1008),
        ('{"type":"ask","text":"Hi","role":"system"}', 1008),
        ('{"type":"stop","reason":"enough"}', 1008),
        ('{"type":"interrupt"}', 1008),
        ('{"type":"interrupt","played_ms":-1}', 1008),
        ('{"type":"interrupt","played_ms":1e999}', 1008),
        ('{"type":"interrupt","played_ms":true}', 1008),
        ('{"type":"interrupt","played_ms":1' + "0" * 400 + "}", 1008),
    ],
)
def test_any_other_message_closes_the_connection(message: str, code: int, *, answering: bool) -> None:
    ended: list[bool] = []
    with page_with("openai-responses", [SLOW], pace="recorded", ended=ended) as (page, _):
        if answering:
            page.begin_answer()
        page.socket.send(message)
        if answering:
            assert page.until("end", "error")[-1]["error"] == "ProtocolError"
        assert page.code_of_close() == code
        wait_for(lambda: ended == [False])


@pytest.mark.slow
@pytest.mark.parametrize("answering", [True, False])
def test_a_page_that_goes_ends_the_conversation(*, answering: bool) -> None:
    ended: list[bool] = []
    with page_with("openai-responses", [SLOW], pace="recorded", ended=ended) as (page, server):
        if answering:
            page.begin_answer()
        page.socket.close()
        wait_for(lambda: ended == [False])

        [exchange] = server.exchanges
        assert exchange.over.wait(PATIENCE)
        kinds = [each["type"] for each in exchange.received_json]
        assert kinds == (["response.create", "response.cancel"] if answering else [])


@pytest.mark.slow
@pytest.mark.parametrize("answering", [True, False])
def test_a_shutdown_of_the_server_closes_the_connection(*, answering: bool) -> None:
    codes: list[int | None] = []
    with page_with("openai-responses", [SLOW], pace="recorded") as (page, _):
        if answering:
            page.begin_answer()
        thread = threading.Thread(target=lambda: codes.append(page.code_of_close()))
        thread.start()
        relay.shut_down()
        thread.join(PATIENCE)

    assert codes == [1012]


@pytest.mark.slow
def test_heartbeats_come_between_answers_too() -> None:
    """Heartbeats keep proxies from taking the connection for dead."""
    with page_with("openai-responses", [said("Hello")], timing=relay.Timing(keep_alive=0.05)) as (page, _):
        page.until("ping")
        assert page.ask("Hi").text == "Hello"
        page.until("ping")


class Pipe:
    """A WebSocket whose client is the test itself."""

    def __init__(self) -> None:
        self._asks, self._asked = anyio.create_memory_object_stream[str](100)
        self.told: list[Any] = []
        self.codes: list[int] = []
        self._news = anyio.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._asks.close()
        self._asked.close()

    def say(self, kind: str, **fields: Any) -> None:
        self._asks.send_nowait(json.dumps({"type": kind, **fields}))

    def leave(self) -> None:
        self._asks.close()

    async def recv(self) -> str:
        try:
            return await self._asked.receive()
        except anyio.EndOfStream:
            raise ConnectionClosed(None, None) from None

    async def send(self, message: str) -> None:
        await anyio.lowlevel.checkpoint()
        self.told.append(json.loads(message))
        self._news.set()

    async def close(self, code: int, reason: str) -> None:
        await anyio.lowlevel.checkpoint()
        self.codes.append(code)

    async def told_ends(self, count: int) -> None:
        """Wait until so many answers have ended."""
        with anyio.fail_after(PATIENCE):
            while sum(each["type"] in ("end", "error") for each in self.told) < count:
                self._news = anyio.Event()
                await self._news.wait()

    def answers(self) -> list[Any]:
        """Return the answers as our reader understands them."""
        found: list[list[Any]] = [[]]
        for message in self.told:
            found[-1].append(message)
            if message["type"] in ("end", "error"):
                found.append([])
        assert found.pop() == []
        return [Stream(messages, format="tokenstream").final() for messages in found]


@asynccontextmanager
async def relaying(
    backend: str, pipe: Pipe, answers: Any, api: str = "openai-responses"
) -> AsyncGenerator[None]:
    client: Any = websockets.asyncio.client if backend == "asyncio" else websockets.trio.client
    with pipe, testing.serve(answers, sessions=True, pace="recorded") as server:
        url = server.ws_url + PATHS[api]
        async with (
            AsyncSession(lambda: client.connect(url), model="m") as session,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(partial(relay.websocket, pipe, session=session))
            yield


@pytest.mark.slow_rows("realtime")
@pytest.mark.parametrize("api", PATHS)
@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 12))]
)
async def test_any_order_of_messages(anyio_backend: str, api: str, seed: int) -> None:
    """Each question has one answer, in order: a whole one, or the beginning of one if it was stopped."""
    dice, pipe, count = random.Random(seed), Pipe(), 12
    texts = [[f"A{number} ", *(f"word{word} " for word in range(6))] for number in range(count)]
    scripts = []
    for words in texts:
        script = testing.script()
        for word in words:
            script = script.text(word).silence(dice.choice([0, 0, 0.005]))
        scripts.append(script.finish().recording(api).with_fault(faults.late(dice.randrange(3))))
    async with relaying(anyio_backend, pipe, scripts, api):
        for number in range(1, count + 1):
            pipe.say("ask", text=f"Q{number}")
            if dice.random() < 0.5:
                await pipe.told_ends(number)
            for _ in range(dice.randrange(3)):
                pipe.say("stop")
            await anyio.sleep(dice.choice([0, 0.002, 0.02]))
        await pipe.told_ends(count)
        pipe.leave()

    answers = pipe.answers()
    assert len(answers) == count
    begun = [answer for answer in answers if answer.text]
    played = ["".join(words) for words in texts]
    order = [next(n for n, text in enumerate(played) if text.startswith(answer.text)) for answer in begun]
    assert order == sorted(set(order))
    assert all(answer.ending == "stopped" or answer.text in played for answer in answers)
    assert any(answer.ending == "complete" for answer in answers)


async def test_a_stop_right_after_its_question(anyio_backend: str) -> None:
    pipe = Pipe()
    async with relaying(anyio_backend, pipe, [SLOW] * 5):
        for _ in range(5):
            pipe.say("ask", text="Tell me")
            pipe.say("stop")
        await pipe.told_ends(5)
        pipe.leave()

    assert [answer.ending for answer in pipe.answers()] == ["stopped"] * 5


class SlowPipe(Pipe):
    """A client that takes the end of an answer slowly."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.has_begun, self.is_ending = anyio.Event(), anyio.Event()

    async def send(self, message: str) -> None:
        if "text_delta" in message:
            self.has_begun.set()
        if '"end"' in message:
            self.is_ending.set()
            await anyio.sleep(self.seconds)
        await super().send(message)


@pytest.mark.slow
@pytest.mark.parametrize("mistake", [True, False])
async def test_a_slow_client_gets_the_end_of_a_stopped_answer(anyio_backend: str, *, mistake: bool) -> None:
    pipe = SlowPipe(0.3 if mistake else 1.3)
    async with relaying(anyio_backend, pipe, [SLOW, said("Yes?")]):
        pipe.say("ask", text="Tell me")
        await pipe.has_begun.wait()
        pipe.say("stop")
        await pipe.is_ending.wait()
        if mistake:
            pipe.say("prompt")
        else:
            pipe.say("ask", text="Wait")
            await pipe.told_ends(2)
            pipe.leave()

    told = [answer.ending for answer in pipe.answers()]
    assert (told, pipe.codes) == ((["stopped"], [1008]) if mistake else (["stopped", "complete"], []))


async def test_what_cannot_be_sent_is_refused() -> None:
    stream = AsyncStream(["x"], format="pieces")
    session: Any = AsyncSession(lambda: None, format="openai-realtime")
    refused: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
        ((), {}, "pass one of them"),
        ((stream,), {"session": session}, "pass one of them"),
        ((), {"session": Session(lambda: None, format="openai-realtime")}, "AsyncSession"),
        ((stream,), {"router": Router()}, "stream.run"),
    ]
    for given, options, words in refused:
        with Pipe() as pipe, pytest.raises(MisuseError, match=words):
            await relay.websocket(pipe, *given, **options)
    await stream.aclose()
