"""Answers that run while their server shuts down: they may end, and what cannot is a shutdown, no failure."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
import trio
from trio.testing import MockClock

from tests.relay.journals import in_memory
from tests.support.asgi import Client
from tokenstream import AsyncStream, relay
from tokenstream.errors import MisuseError
from tokenstream.events import Event, TextDelta
from tokenstream.relay import Timing, shut_down
from tokenstream.relay._asgi import shutdown
from tokenstream.relay._asgi.shutdown import find_drain

pytestmark = pytest.mark.anyio


class Source:
    """Pieces of an answer, of which the second one waits until it is let go."""

    def __init__(self) -> None:
        self.may_end, self.closed = anyio.Event(), False

    async def __call__(self) -> AsyncIterator[str]:
        try:
            yield "The "
            await self.may_end.wait()
            yield "sky"
        finally:
            self.closed = True


def _has_begun(client: Client) -> bool:
    return b"The " in client.body


def lines_in(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [
        (record.levelno, record.getMessage()) for record in caplog.records if record.levelno >= logging.INFO
    ]


@pytest.fixture(autouse=True)
def at_info(caplog: pytest.LogCaptureFixture) -> None:
    """Let INFO through, as a service does."""
    caplog.set_level(logging.INFO, "tokenstream")


@pytest.mark.parametrize("drain", [None, 30.0])
async def test_an_answer_that_ends_in_time_is_whole(
    drain: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    source, client = Source(), Client()
    stream = AsyncStream(source(), format="pieces")
    async with client.calling(relay.respond(stream, timing=Timing(drain=drain))):
        await client.until(lambda: b"The " in client.body)
        shut_down()
        await anyio.wait_all_tasks_blocked()
        assert not client.ended
        source.may_end.set()

    assert b"sky" in client.body
    assert client.body.endswith(b'data: {"type":"end","ending":"complete"}\n\n')
    assert (True, True, []) == (client.ended, source.closed, lines_in(caplog))


async def test_what_does_not_end_in_time_is_one_line_at_info(caplog: pytest.LogCaptureFixture) -> None:
    """The readers' last event is *shutdown*, and so is the error of each stream; no provider is blamed."""
    sources, clients = [Source() for _ in range(3)], [Client() for _ in range(3)]
    streams = [AsyncStream(source(), format="pieces") for source in sources]
    async with anyio.create_task_group() as tasks:
        for client, stream in zip(clients, streams, strict=True):
            tasks.start_soon(client.call, relay.respond(stream, timing=Timing(drain=0)))
        for client in clients:
            await client.until(partial(_has_begun, client))
        shut_down()

    for client in clients:
        assert b'"error":"StreamInterrupted","kind":"shutdown","message":"this server was shut down"' in (
            client.body
        )
        assert client.body.endswith(b"retry: 1000\n\n")
    assert ["truncated"] * 3 == [stream.message.ending for stream in streams]
    assert all(source.closed for source in sources)
    assert [(logging.INFO, "answers that the server's shutdown has ended: 3")] == lines_in(caplog)


async def test_an_answer_that_has_more_to_read_at_its_end_is_a_shutdown_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """On a busy server, the next piece has come when the answer is ended, and its task is to read it."""
    source, client = Source(), Client()
    answer = relay.respond(AsyncStream(source(), format="pieces"), timing=Timing(drain=0))
    async with client.calling(answer):
        await client.until(partial(_has_begun, client))
        await anyio.wait_all_tasks_blocked()
        source.may_end.set()
        shut_down()

    assert b'"error":"StreamInterrupted","kind":"shutdown"' in client.body
    assert [(logging.INFO, "answers that the server's shutdown has ended: 1")] == lines_in(caplog)


@pytest.mark.parametrize("protocol", ["ui-message", "openai-chat", "anthropic", "ndjson"])
async def test_the_last_event_of_each_protocol_is_an_error(protocol: Any) -> None:
    source, client = Source(), Client()
    answer = relay.respond(AsyncStream(source(), format="pieces"), protocol=protocol, timing=Timing(drain=0))
    async with client.calling(answer):
        await client.until(lambda: b"The " in client.body)
        shut_down()

    assert b"error" in client.bodies[-1]
    assert b"rovider" not in client.bodies[-1]
    assert client.ended


async def test_an_answer_of_the_applications_own_is_ended_too(caplog: pytest.LogCaptureFixture) -> None:
    async def silent() -> AsyncIterator[Event]:
        await anyio.sleep_forever()
        yield TextDelta("never")

    client = Client()
    async with client.calling(relay.respond(silent(), timing=Timing(drain=0))):
        await anyio.wait_all_tasks_blocked()
        shut_down()

    # The model may have been asked.
    assert (503, "shutdown", False) == (client.status, *map(client.json["error"].get, ("type", "may_repeat")))
    assert [(logging.INFO, "answers that the server's shutdown has ended: 1")] == lines_in(caplog)


async def test_a_journals_producers_are_one_line_too(caplog: pytest.LogCaptureFixture) -> None:
    sources, client = [Source(), Source()], Client()
    async with relay.Journal(in_memory(), drain=0.0) as journal:
        for number, source in enumerate(sources):
            stream = AsyncStream(source(), format="pieces")
            await journal.start(stream, id=str(number), open_within=5)
        async with client.calling(relay.follow(journal, "0")):
            await client.until(lambda: b"The " in client.body)
            shut_down()
            await client.until(lambda: client.ended)
            assert [] == lines_in(caplog)

    assert client.body.endswith(b"retry: 1000\n\n")
    assert b'"end"' not in client.body
    assert all(source.closed for source in sources)
    assert [(logging.INFO, "answers that the server's shutdown has ended: 2")] == lines_in(caplog)


@pytest.mark.parametrize(
    ("timing", "config", "seconds"),
    [
        (Timing(drain=40), {}, 40.0),
        (Timing(drain=40), {"graceful_timeout": 5.0}, 40.0),
        (Timing(), {"graceful_timeout": 8.0}, 7.0),
        (Timing(), {}, 25.0),
    ],
)
def test_a_journals_answers_run_on_as_long_as_those_without(
    timing: Timing, config: Any, seconds: float
) -> None:
    """One number is set for both; without it, the server's own limit counts."""

    async def leave() -> None:
        client = Client()
        async with relay.Journal(in_memory()) as journal:
            await journal.start(AsyncStream(Source()(), format="pieces"), id="1", open_within=5)
            follow: Any = relay.follow(journal, "1", timing=timing)
            async with anyio.create_task_group() as tasks:
                send = Server(client, exiting=False, **config).send
                tasks.start_soon(follow, client.scope, client.receive, send)
                await anyio.wait_all_tasks_blocked()
                began = anyio.current_time()
                shut_down()
        assert seconds == pytest.approx(anyio.current_time() - began, abs=0.1)

    trio.run(leave, clock=MockClock(autojump_threshold=0))


class Server:
    """The object of one request, as hypercorn has it: with the worker's context and its configuration."""

    def __init__(self, client: Client, *, exiting: bool, **config: Any) -> None:
        self.client = client
        self.context = SimpleNamespace(terminated=SimpleNamespace(is_set=lambda: exiting))
        self.config = SimpleNamespace(**config)

    async def send(self, message: Any) -> None:
        await self.client.send(message)


async def test_a_new_answer_is_refused_and_the_model_is_not_asked() -> None:
    """A load balancer sends the request to another server."""
    source, client = Source(), Client()
    asked: list[int] = []

    def ask() -> AsyncStream:
        asked.append(1)
        return AsyncStream(source(), format="pieces")

    app: Any = relay.respond(ask)
    await app(client.scope, client.receive, Server(client, exiting=True).send)

    assert (503, "1", []) == (client.status, client.headers["retry-after"], asked)
    assert client.json["error"] == {
        "type": "shutdown",
        "message": "The server is being restarted.",
        "retryable": True,
        "may_repeat": True,
        "retry_after": 1,
    }


@pytest.fixture
def exiting() -> Iterator[None]:
    """As where uvicorn has got SIGTERM, and still reads from the connections that it has accepted."""
    server = Uvicorn()
    before = signal.signal(signal.SIGTERM, server.handle_exit)
    yield
    signal.signal(signal.SIGTERM, before)


class Uvicorn:
    """The object that handles SIGTERM in uvicorn."""

    should_exit = True

    def handle_exit(self, *_: object) -> None:
        raise NotImplementedError


@pytest.mark.usefixtures("exiting")
async def test_an_answer_that_begins_at_the_moment_of_the_shutdown_is_whole() -> None:
    """A busy server comes to its last requests after the signal; once the end was noticed, new ones wait."""
    source, client, late = Source(), Client(), Client()
    async with client.calling(relay.respond(AsyncStream(source(), format="pieces"))):
        await client.until(partial(_has_begun, client))
        shut_down()
        await anyio.wait_all_tasks_blocked()
        await late.call(relay.respond(AsyncStream(source(), format="pieces")))
        source.may_end.set()

    assert client.body.endswith(b'data: {"type":"end","ending":"complete"}\n\n')
    assert (200, 503, "1") == (client.status, late.status, late.headers["retry-after"])


class Connection:
    """A connection of uvicorn's, whose method a request knows."""

    def __init__(self, **config: Any) -> None:
        self.config = SimpleNamespace(**config)

    def on_response_complete(self) -> None:
        raise NotImplementedError


class Cycle:
    """The object of one request, as uvicorn has it."""

    def __init__(self, **config: Any) -> None:
        self.on_response = Connection(**config).on_response_complete

    async def send(self, message: Any) -> None:
        raise NotImplementedError


class Worker:
    """A worker of gunicorn's, whose method uvicorn calls as a sign of life."""

    def __init__(self, graceful_timeout: float, timeout: float, silent: float) -> None:
        self.cfg = SimpleNamespace(graceful_timeout=graceful_timeout, timeout=timeout)
        self.tmp = SimpleNamespace(last_update=lambda: time.monotonic() - silent)

    async def callback_notify(self) -> None:
        raise NotImplementedError


WORKERS = [((30, 90, 10.0), 29.0), ((30, 30, 10.0), 19.0), ((30, 0, 10.0), 29.0), ((30, 30, 40.0), 0.0)]
"""gunicorn's `graceful_timeout`, its `timeout`, how long the worker was silent; what an answer has."""


async def test_the_last_event_comes_before_the_servers_own_limit() -> None:
    """A second before it, or an eighth of a short one; 25 s where nobody knows, or there is none."""
    known: list[tuple[Any, float]] = [
        (Cycle(timeout_graceful_shutdown=10), 9.0),
        (Cycle(timeout_graceful_shutdown=None), 25.0),
        (Server(Client(), exiting=True, graceful_timeout=3.0), 2.625),
        (Server(Client(), exiting=True, graceful_timeout=0.0), 0.0),
        (Server(Client(), exiting=True), 25.0),
    ]
    for numbers, seconds in WORKERS:
        worker = Worker(*numbers)
        cycle = Cycle(timeout_graceful_shutdown=None, callback_notify=worker.callback_notify)
        known.append((cycle, seconds))

    async def receive() -> None:
        raise NotImplementedError

    for server, seconds in known:
        assert find_drain(receive, partial(server.send)) == pytest.approx(seconds, abs=0.1)


class Open:
    """A response that may run on for ten seconds."""

    def __init__(self) -> None:
        self.has_ended = False

    def let_stuck_go(self) -> None: ...

    def choose_drain(self) -> float:
        return 10.0

    def end_for_shutdown(self) -> bool:
        self.has_ended = True
        return False


@pytest.mark.parametrize(("late", "left"), [(0.2, 9.8), (3.0, 7.0), (600.0, 5.0)])
async def test_the_time_of_an_answer_begins_with_the_signal(
    late: float, left: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy loop notices it late, and the server's own limit has begun; one that was stopped, even later."""
    now = [100.0]
    monkeypatch.setattr(shutdown, "time", SimpleNamespace(monotonic=lambda: now[0]))
    loop = SimpleNamespace(call_later=lambda *_: SimpleNamespace(cancel=lambda: None))
    host: Any = SimpleNamespace(name="asyncio", loop=loop)
    watch = shutdown._Watch(host)  # noqa: SLF001 - polled here, at the times of the test
    client, signals = Client(), list[int]()
    response: Any = Open()
    server = Server(client, exiting=False)
    server.context.terminated.is_set = lambda: bool(signals)
    watch.add(shutdown._OpenResponse(response, client.receive, server.send))  # noqa: SLF001
    watch.poll()
    signals.append(15)
    now[0] += late
    watch.poll()

    now[0] += left - 0.1
    watch.poll()
    assert not response.has_ended
    now[0] += 0.2
    watch.poll()
    assert response.has_ended


async def test_a_drain_is_not_negative() -> None:
    with pytest.raises(MisuseError, match="drain= is None or a number of seconds from 0 on, not -1"):
        Timing(drain=-1)
