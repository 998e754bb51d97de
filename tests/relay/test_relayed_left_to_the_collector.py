"""Nothing of an answer that was relayed waits for the garbage collector."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
import pytest

from tests.relay.journals import Place, in_memory
from tests.support.asgi import Client
from tests.support.uncollected import areading, left_by_async
from tests.support.wire import DONE, chat
from tokenstream import AsyncStream, relay
from tokenstream.errors import StreamError
from tokenstream.relay import JournalError

pytestmark = pytest.mark.anyio

BEGUN = [chat({"role": "assistant", "content": ""}), chat({"content": "a"}), chat({"content": "b"})]
ANSWERS = {"whole": [*BEGUN, chat({}, "stop"), DONE], "cut": BEGUN}
PROTOCOLS = ["tokenstream", "openai-chat", "gemini"]


def stream(answer: str) -> AsyncStream:
    return AsyncStream(areading(ANSWERS[answer]), format="openai-chat")


async def settle() -> None:
    """Let the tasks end that were told to."""
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


async def ask(app: Any, method: str = "POST") -> bytes:
    """Return the body, also of a response that breaks off because its protocol has no errors."""
    client = Client(method=method)
    with suppress(StreamError):
        await client.call(app)
    return client.body


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_response_leaves_nothing(answer: str, protocol: Any) -> None:
    async def run() -> None:
        assert await ask(relay.respond(stream(answer), protocol=protocol))
        await settle()

    assert await left_by_async(run) == {}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("answer", ANSWERS)
async def test_an_answer_in_a_journal_leaves_nothing_but_its_records(answer: str, protocol: Any) -> None:
    now = [0.0]
    async with relay.Journal(in_memory(expire=1.0, clock=lambda: now[0]), drain=0) as journal:

        async def run() -> None:
            app = relay.respond(stream(answer), protocol=protocol, journal=journal)
            assert await ask(app)
            del app
            await settle()
            # Each call forgets the answers that have expired.
            now[0] += 10.0
            assert await journal.stop("no answer") == "unknown"

        assert await left_by_async(run) == {}


async def test_the_error_of_a_journal_leaves_nothing() -> None:
    """A reader whose journal is out of reach gets its error, which all of the answer's readers share."""
    storage = in_memory()
    place = Place(storage)
    assert await storage.create("known", owner=None, token="", lease=60.0)
    await storage.append("known", "", 1, [b"{}"], lease=60.0)
    async with relay.Journal(place, drain=0, lease=0.02) as journal:

        async def run() -> None:
            place.away = False
            follower = journal.follow("known")
            assert (await anext(follower)).position == 1
            place.away = True
            with pytest.raises(JournalError):
                await anext(follower)
            del follower
            await settle()

        assert await left_by_async(run) == {}


class Connection:
    """A WebSocket whose client only listens."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def recv(self) -> str:
        await anyio.sleep_forever()
        raise AssertionError("never")

    async def send(self, message: str) -> None:
        await anyio.lowlevel.checkpoint()
        self.sent.append(message)

    async def close(self, code: int, reason: str) -> None:
        pass


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("answer", ANSWERS)
async def test_an_answer_over_a_websocket_leaves_nothing(answer: str, protocol: Any) -> None:
    connection = Connection()

    async def run() -> None:
        connection.sent.clear()
        await relay.websocket(connection, stream(answer), protocol=protocol)
        assert connection.sent
        await settle()

    assert await left_by_async(run) == {}
