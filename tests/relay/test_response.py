"""The response of a relay over ASGI: its head, its chunks, its heartbeats, and its ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import starlette.responses
from starlette.middleware.base import BaseHTTPMiddleware

from tests.support.asgi import Client, response_to
from tests.support.timing import PATIENCE
from tokenstream.errors import MisuseError
from tokenstream.relay import Timing, shut_down
from tokenstream.relay._asgi.delivery import Outlet
from tokenstream.relay._asgi.response import Response, make_response
from tokenstream.relay._attribution import ServedAnswer
from tokenstream.relay._incident import Incident
from tokenstream.relay._sending import Sending

pytestmark = pytest.mark.anyio

LIFE = b": life\n\n"
BYE = b"retry: 1000\n\n"


class Scripted(Outlet):
    """Gives what a generator gives, and notes what is done to it."""

    def __init__(self, chunks: Callable[[], AsyncIterator[bytes]], refusal: Incident | None = None) -> None:
        super().__init__(Sending(), ServedAnswer(None), None)
        self.headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache, no-transform"}
        self.heartbeat = LIFE
        self.refusal = refusal
        self.opening = 0.0
        self.entered = self.left = 0
        self.stopped: list[str] = []
        self.stop_event = anyio.Event()
        self._chunks = chunks()

    async def __aenter__(self) -> Any:
        self.entered += 1
        return self

    async def __aexit__(self, *error: object) -> None:
        self.left += 1
        await self._chunks.aclose()  # type: ignore[attr-defined]

    async def open(self) -> Incident | None:
        await anyio.sleep(self.opening)
        return self.refusal

    def next(self) -> Awaitable[bytes]:
        return anext(self._chunks)

    def encode(self, arrived: bytes) -> bytes:
        return arrived

    def encode_end(self, error: Exception) -> None:
        self.has_ended = True
        if not isinstance(error, StopAsyncIteration):
            raise error

    def encode_refusal(self, refusal: Incident) -> bytes:
        return b"data: error\n\n"

    def stop(self, reason: str) -> bool:
        self.stopped.append(reason)
        self.stop_event.set()
        return True

    def shutdown_chunk(self) -> bytes:
        return BYE


async def three() -> AsyncIterator[bytes]:
    for number in range(3):
        await anyio.lowlevel.checkpoint()
        yield b"data: %d\n\n" % number


async def silent() -> AsyncIterator[bytes]:
    yield b"data: 0\n\n"
    await anyio.sleep_forever()


async def test_each_chunk_is_sent_for_itself_after_the_head_and_a_heartbeat() -> None:
    """Nothing waits for what comes after it; the outlet is entered and left once; headers may be given."""
    outlet, client = Scripted(three), Client()
    await client.call(make_response(outlet, headers={"X-Own": "1", "cache-control": "no-store"}))

    assert [LIFE + b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"] == client.bodies
    assert {"content-type": "text/event-stream", "cache-control": "no-store", "x-own": "1"} == client.headers
    assert (200, True, 1, 1, []) == (client.status, client.ended, outlet.entered, outlet.left, outlet.stopped)


async def test_what_ends_the_answer_is_raised_with_its_cause() -> None:
    """The server's log says why; no group of exceptions is made of it, and the outlet is left."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        try:
            raise OSError("reset")
        except OSError as error:
            raise LookupError("lost") from error

    outlet = Scripted(broken)
    with pytest.raises(LookupError, match="lost") as caught:
        await Client().call(make_response(outlet))

    assert "OSError('reset')" == repr(caught.value.__cause__)
    assert outlet.left == 1


class Steps:
    """Awaits a coroutine as middleware does, and counts how often the event loop goes through it."""

    def __init__(self, coroutine: Awaitable[None]) -> None:
        self.count = 0
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, None]:
        steps: Any = self._coroutine.__await__()
        proceed = partial(steps.send, None)
        while True:
            self.count += 1
            try:
                waits_for = proceed()
            except StopIteration:
                return
            try:
                proceed = partial(steps.send, (yield waits_for))
            except BaseException as error:  # noqa: BLE001 - a cancellation, which the coroutine gets
                proceed = partial(steps.throw, error)


async def test_no_token_goes_through_the_middleware() -> None:
    """Each layer of it would be resumed, and would cost time, for each token that arrives."""

    async def count_steps(tokens: int) -> int:
        async def upstream() -> AsyncIterator[bytes]:
            for number in range(tokens):
                await anyio.lowlevel.checkpoint()
                yield b"data: %d\n\n" % number

        counted: list[Steps] = []

        async def middleware(*request: Any) -> None:
            counted.append(Steps(make_response(Scripted(upstream))(*request)))
            await counted[0]

        await Client().call(middleware)
        return counted[0].count

    assert await count_steps(3) == await count_steps(30)


async def test_a_response_is_one_of_starlettes_for_one_request_over_http() -> None:
    """FastAPI asks whether it is one; a second call, or one for a WebSocket, is a mistake of the caller's."""
    sent = make_response(Scripted(three))
    assert isinstance(sent, Response)
    assert isinstance(sent, starlette.responses.Response)
    sent.set_cookie("seen", "1")
    socket = Client()
    socket.scope["type"] = "websocket"
    with pytest.raises(MisuseError, match=r"relay\.websocket"):
        await socket.call(sent)
    client = await response_to(sent)

    assert client.headers["set-cookie"].startswith("seen=1")
    with pytest.raises(MisuseError, match="sent already"):
        await Client().call(sent)


@pytest.mark.slow
async def test_heartbeats_are_sent_in_a_silence_and_never_in_the_middle_of_a_chunk() -> None:
    """Whoever sends, the other waits; the client checks that no two send at once."""

    async def halting() -> AsyncIterator[bytes]:
        for number in range(3):
            await anyio.sleep(0.09)
            yield b"data: %d\n\n" % number

    client = Client(slow=lambda: anyio.sleep(0.02))
    await client.call(make_response(Scripted(halting), timing=Timing(keep_alive=0.03)))

    assert [b"data: 0", b"data: 1", b"data: 2"] == [
        piece for piece in client.body.split(b"\n\n") if piece[:1] == b"d"
    ]
    assert client.body.count(LIFE) > 2
    assert client.body.replace(LIFE, b"") == b"".join([b"data: %d\n\n" % number for number in range(3)])


@pytest.mark.parametrize("refusal", [None, Incident("unknown", "reader", 404, "There is none.")])
async def test_nothing_is_sent_after_the_end_while_the_answer_is_let_go_of(refusal: Incident | None) -> None:
    """Letting go may take longer than a silence, and servers take no message more; nor at a shutdown."""

    class Slow(Scripted):
        async def __aexit__(self, *_: object) -> None:
            await anyio.sleep(0.1)
            shut_down()
            await super().__aexit__(None, None, None)

    client = await response_to(make_response(Slow(three, refusal), timing=Timing(keep_alive=0.02)))

    assert client.ended
    assert LIFE not in client.bodies[1:]
    assert (b"data: 2\n\n" if refusal is None else b"There is none.") in client.bodies[-1]


@pytest.mark.parametrize("spec", ["2.0", "2.3", "2.4"])
@pytest.mark.parametrize("grace", [0.0, 0.1])
async def test_a_reader_that_goes_is_noticed_while_nothing_is_sent(
    spec: str, grace: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What does not end when it is stopped is cancelled after that time.
    monkeypatch.setattr("tokenstream.relay._asgi.delivery.STOP_SECONDS", 0.05)
    outlet, client = Scripted(silent), Client(spec=spec)
    async with client.calling(make_response(outlet, timing=Timing(grace=grace))):
        await client.until(lambda: b"data: 0" in client.body)
        client.leave()
        started = anyio.current_time()
        with anyio.fail_after(PATIENCE):
            await outlet.stop_event.wait()
        waited = anyio.current_time() - started
        assert grace <= waited < grace + 0.5

    assert outlet.stopped == ["its reader has gone"]
    assert (1, False) == (outlet.left, client.ended)


@pytest.mark.parametrize("spec", ["2.3", "2.4"])
async def test_what_comes_after_the_reader_has_gone_is_not_sent(spec: str) -> None:
    """In the time of grace the answer is read to its end, and sending raises in no server."""
    outlet, client = Scripted(three), Client(spec=spec)
    client.leave()
    await client.call(make_response(outlet, timing=Timing(grace=5.0)))

    assert ([], 1) == (outlet.stopped, outlet.left)


@pytest.mark.slow
async def test_a_middleware_has_a_response_also_where_the_reader_left_before_it() -> None:
    """One of Starlette's raises where none was begun: an error in the log for each such reader."""

    async def passing_on(request: Any, call_next: Any) -> Any:
        told = await call_next(request)
        statuses.append(told.status_code)
        return told

    statuses: list[int] = []
    outlet, client = Scripted(three), Client()
    outlet.opening = 30.0
    client.leave()
    await client.call(BaseHTTPMiddleware(make_response(outlet), dispatch=passing_on))

    assert [499] == statuses


async def test_shutting_down_sends_the_last_event_and_ends() -> None:
    """Before the head it is a status that says to come again; a reader in the middle of a chunk gets none."""
    began, waits = Scripted(silent), Scripted(three)
    waits.opening = 30.0
    stuck = Client(slow=anyio.sleep_forever)
    clients = [Client(), Client(), stuck]
    async with anyio.create_task_group() as tasks:
        for client, outlet in zip(clients, [began, waits, Scripted(silent)], strict=True):
            tasks.start_soon(client.call, make_response(outlet))
        await clients[0].until(lambda: b"data: 0" in clients[0].body)
        await anyio.wait_all_tasks_blocked()
        await anyio.to_thread.run_sync(shut_down)
        await clients[0].until(lambda: clients[0].ended)
        await clients[1].until(lambda: clients[1].ended)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()

    assert ([LIFE + b"data: 0\n\n", BYE], True) == (clients[0].bodies, clients[0].ended)
    assert (503, "1", "shutdown") == (
        clients[1].status,
        clients[1].headers["retry-after"],
        clients[1].json["error"]["type"],
    )
    assert ([], False) == (stuck.bodies, stuck.ended)
    assert (1, 1) == (began.left, waits.left)


class Strange:
    """Raises where it is asked for anything, as proxies of objects do that are not there."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


@pytest.mark.slow
async def test_the_server_is_looked_for_behind_middlewares_whatever_these_hold() -> None:
    """Functions, methods and partial ones are followed; what else stands beside them is left alone."""
    ended: list[bool] = []

    class Cycle:
        def __init__(self) -> None:
            self.keep_alive, self.on_response = True, None
            self.client = Client()

        async def send(self, message: Any) -> None:
            await self.client.send(message)

    cycle = Cycle()
    strange: Any = Strange()

    async def around(message: Any, *, to: Any) -> None:
        ended.append(strange is None)
        await to(message)

    async with anyio.create_task_group() as tasks:
        app = make_response(Scripted(silent))
        tasks.start_soon(app, cycle.client.scope, cycle.client.receive, partial(around, to=cycle.send))
        await cycle.client.until(lambda: b"data: 0" in cycle.client.body)
        cycle.keep_alive = False

    assert cycle.client.bodies[-1] == BYE
