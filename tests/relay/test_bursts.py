"""A burst of new answers at a slow storage: each reader gets an answer, a refusal or an error event."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import httpx
import pytest
from fastapi import FastAPI, Request, Response

from tests.relay.follow.support import read_body
from tests.relay.journals import Place, in_memory
from tests.support.asgi import Client, response_to
from tests.support.served import by_uvicorn, lifespan_in
from tokenstream import AsyncStream, relay
from tokenstream.errors import MisuseError, StreamError
from tokenstream.relay import JournalError

pytestmark = pytest.mark.anyio

OPENING, BURST = 4, 7
AT_ONCE, NEVER = relay.Timing(open_within=0.0, keep_alive=None), relay.Timing(open_within=None)


class _Held(Place):
    """A storage that begins no answer before it may."""

    opening = OPENING

    def __init__(self) -> None:
        super().__init__(in_memory())
        self.may_begin = anyio.Event()

    async def create(self, id: str, **options: Any) -> bool:
        await self.may_begin.wait()
        return await super().create(id, **options)


@pytest.mark.parametrize("protocol", ["tokenstream", "ndjson", "ui-message", "openai-chat", "anthropic"])
@pytest.mark.parametrize("timing", [AT_ONCE, NEVER])
@pytest.mark.parametrize("fails", [False, True])
async def test_each_reader_of_a_burst_gets_an_end(
    protocol: Any, timing: relay.Timing, *, fails: bool
) -> None:
    asked, storage, clients = list[int](), _Held(), [Client() for _ in range(BURST)]

    async def answer(number: int) -> AsyncGenerator[str]:
        asked.append(number)
        yield "Hello"

    async with relay.Journal(storage) as journal, anyio.create_task_group() as tasks:
        for number, client in enumerate(clients):
            stream = AsyncStream(answer(number), format="pieces")
            app = relay.respond(stream, protocol=protocol, journal=journal, timing=timing)
            tasks.start_soon(client.call, app)
        await anyio.wait_all_tasks_blocked()
        refused = [client for client in clients if client.ended]
        assert [] == asked
        storage.away = fails
        storage.may_begin.set()
        for client in clients:
            await client.until(lambda client=client: client.ended)  # type: ignore[misc]

    assert BURST - OPENING == len(refused)
    assert (0 if fails else OPENING) == len(asked)
    for client in clients:
        if client.status == 503:
            assert ("1", True) == (client.headers["retry-after"], client.json["error"]["retryable"])
            assert client in refused or fails
            continue
        message, error = read_body(client, "tokenstream" if protocol == "ndjson" else protocol)
        if client in refused or fails:
            assert isinstance(error, StreamError)
            assert ("", True, "failed") == (message.text, error.retryable, message.ending)
        else:
            assert ("Hello", "complete") == (message.text, message.ending)


async def test_a_refusal_after_the_head_says_what_it_says_before_it() -> None:
    """A body that the application refuses late, say, is an error event that does not invite to ask again."""

    async def answer(_: Any) -> AsyncStream:
        await anyio.wait_all_tasks_blocked()
        raise ValueError

    async with relay.MemoryJournal() as journal:
        app = relay.endpoints(journal, answer, timing=AT_ONCE)
        client = await response_to(app, accept="text/event-stream")

    error = read_body(client, "tokenstream")[1]
    assert (200, "the body is not what was expected") == (client.status, error and error.message)
    assert error is not None
    assert ("invalid_request", False) == (error.kind, error.retryable)


def test_what_is_no_failure_of_an_answer_is_no_refusal() -> None:
    """A bug of the application's is to be mended, and not answered."""
    with pytest.raises(MisuseError, match="not ValueError"):
        relay.refusal(ValueError())  # type: ignore[arg-type] # as a handler of all exceptions would


def test_an_endpoint_of_ones_own_refuses_as_the_relay_does() -> None:
    """`relay.refusal` has the status, the wait and the body of the error, over a real server."""
    journal = relay.MemoryJournal(drain=0, per_owner=relay.Bounds(running=1))
    app = FastAPI(lifespan=lifespan_in(journal))

    @app.exception_handler(JournalError)
    async def refused(_: Request, error: JournalError) -> Response:
        return relay.refusal(error)

    async def silent() -> AsyncGenerator[str]:
        yield "Hello"
        await anyio.sleep_forever()

    @app.post("/own")
    async def own() -> str:
        return await journal.start(AsyncStream(silent(), format="pieces"), owner="ann")

    @app.post("/relay")
    async def relayed() -> Response:
        return relay.respond(AsyncStream(silent(), format="pieces"), journal=journal, owner="ann")

    @app.post("/provider")
    async def provider() -> Response:
        return relay.refusal(StreamError("secret", kind="rate_limited", retry_after=6.2))

    with by_uvicorn(app, lifespan="on") as url, httpx.Client(base_url=url) as web:
        begun, mine, theirs, failed = (web.post(path) for path in ("/own", "/own", "/relay", "/provider"))

    assert 200 == begun.status_code
    assert (429, "1", mine.content) == (theirs.status_code, theirs.headers["retry-after"], theirs.content)
    assert (429, "1") == (mine.status_code, mine.headers["retry-after"])
    assert (429, "7", True) == (
        failed.status_code,
        failed.headers["retry-after"],
        b"secret" not in failed.content,
    )
