"""What one owner does to a journal, nobody else notices: answers that run, are kept, or asked for twice."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis

from tests.relay.follow.support import answer_to, failing
from tests.relay.journals import Answer, Place, failure_of, in_memory, until
from tests.support.asgi import Client, response_to
from tests.support.redis_servers import RedisServer, server
from tests.support.timing import PATIENCE
from tokenstream import AsyncStream, relay
from tokenstream.errors import MisuseError, StreamError

__all__ = ["server"]

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def _journal(kind: str, server: RedisServer, **options: Any) -> AsyncGenerator[relay.Journal]:
    if kind == "memory":
        async with relay.MemoryJournal(drain=0, **options) as journal:
            yield journal
    else:
        async with Redis(unix_socket_path=server.path) as client:
            await client.flushall()
            async with relay.RedisJournal(client, drain=0, **options) as shared:
                yield shared


_KINDS = [
    pytest.param(kind, backend, id=f"{kind}-{backend}")
    for kind, backend in (("memory", "asyncio"), ("memory", "trio"), ("redis", "asyncio"))
]
each_journal = pytest.mark.parametrize(("kind", "anyio_backend"), _KINDS)


async def _post(journal: relay.Journal, source: Any, owner: str | None, **headers: str) -> Client:
    return await response_to(relay.respond(source, journal=journal, owner=owner, body=b"?"), **headers)


def _tiny() -> AsyncStream:
    return AsyncStream(["x"], format="pieces")


@each_journal
async def test_an_owner_with_many_running_answers_gets_429(
    kind: str, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tokenstream")
    async with _journal(kind, server, per_owner=relay.Bounds(running=3)) as journal:
        answers = [Answer("Hello") for _ in range(3)]
        for answer in answers:
            await journal.start(answer.stream, owner="ann")
        asked: list[str] = []

        async def pieces() -> AsyncIterator[str]:
            asked.append("ann")
            yield "x"

        def ask() -> AsyncStream:
            return AsyncStream(pieces(), format="pieces")

        refused = await _post(journal, ask, "ann")
        (line,) = [each for each in caplog.records if "status 429" in each.getMessage()]
        assert logging.INFO == line.levelno
        theirs = [(await _post(journal, _tiny(), owner)).status for owner in ("bob", None)]
        assert await failure_of(journal.start(_tiny(), owner="ann")) == "too_many_answers"
        answers[0].end()
        await answers[0].gone.wait()
        later: list[int | None] = []

        async def is_admitted() -> bool:
            later.append((await _post(journal, ask, "ann")).status)
            return later[-1] != 429

        await until(is_admitted)

    assert not refused.json["error"]["may_repeat"]
    assert (429, "too_many_answers", True) == (
        refused.status,
        refused.json["error"]["type"],
        refused.json["error"]["retryable"],
    )
    assert "1" == refused.headers["retry-after"]
    assert ([200, 200], 200, ["ann"]) == (theirs, later[-1], asked)


class _SlowRedis(Redis):
    """A client over which no answer begins until it may."""

    asked: anyio.Event
    may_begin: anyio.Event

    def pipeline(self, *args: Any, **options: Any) -> Any:
        pipeline: Any = super().pipeline(*args, **options)
        execute = pipeline.execute

        async def wait(**options: Any) -> Any:
            # The place among the owner's answers is taken before the answer is there.
            if any("{owner" not in command[0][3] for command in pipeline.command_stack):
                self.asked.set()
                await self.may_begin.wait()
            return await execute(**options)

        pipeline.execute = wait
        return pipeline


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_answer_that_is_about_to_begin_is_counted_by_all_processes(server: RedisServer) -> None:
    slow = _SlowRedis(unix_socket_path=server.path)
    slow.asked, slow.may_begin = anyio.Event(), anyio.Event()
    bounds = relay.Bounds(running=1)
    async with (
        _journal("redis", server, per_owner=bounds) as journal,
        slow,
        relay.RedisJournal(slow, drain=0, per_owner=bounds) as other,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(partial(other.start, Answer("Hello").stream, owner="ann"))
        await slow.asked.wait()
        assert await failure_of(journal.start(_tiny(), owner="ann")) == "too_many_answers"
        assert await journal.start(_tiny(), owner="bob")
        slow.may_begin.set()


async def test_in_a_full_journal_the_owner_with_most_makes_room() -> None:
    async with relay.MemoryJournal(drain=0, max_answers=20, max_total_bytes=20_000) as journal:
        victims = [(await _post(journal, _tiny(), owner)).headers["x-answer-id"] for owner in ("bob", None)]
        for number in range(60):
            text = "x" * (3_000 if number % 2 else 1)
            assert 200 == (await _post(journal, AsyncStream([text], format="pieces"), "ann")).status
        told = [
            (await answer_to(journal, id, owner=owner)).status
            for id, owner in zip(victims, ("bob", None), strict=True)
        ]

    assert [200, 200] == told


@pytest.mark.parametrize("limits", [{"running": 0}, {"kept": 0}, {"bytes": 0}, {"opening": 0}])
def test_limits_that_hold_nothing_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(MisuseError):
        relay.Bounds(**limits)


# -- keys ---------------------------------------------------------------------------------


@each_journal
async def test_a_key_is_no_id(kind: str, server: RedisServer) -> None:
    """The id is random: two journals have different ones for one key, and none can be computed."""
    ids = set[str]()
    for _ in range(3):
        async with _journal(kind, server) as journal:
            first = await _post(journal, _tiny(), None, idempotency_key="message-1")
            again = await _post(journal, _tiny(), None, idempotency_key="message-1")
            assert first.headers["x-answer-id"] == again.headers["x-answer-id"]
            ids.add(first.headers["x-answer-id"])

    assert 3 == len(ids)


async def _commands(client: Redis) -> int:
    stats: dict[str, Any] = await client.info("commandstats")
    return sum(each["calls"] for name, each in stats.items() if not name.startswith("cmdstat_info"))


async def test_a_failure_is_reported_when_it_is_written() -> None:
    """Whoever asks again at once gets an answer of their own, and not the rest of the one that has failed."""
    told: list[str] = []

    class Slow(Place):
        async def append(self, *args: Any, **options: Any) -> None:
            await anyio.wait_all_tasks_blocked()
            told.append("written")
            await super().append(*args, **options)

    async with relay.Journal(Slow(in_memory())) as journal:
        with pytest.raises(StreamError, match="too long"):
            await journal.start(failing(StreamError("too long")), open_within=PATIENCE)
        told.append("told")

    assert ["written", "told"] == told


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_hundredth_retry_costs_what_the_second_does(server: RedisServer) -> None:
    """However often an answer fails early under one key, the journal looks at the last one only."""
    asked = 0

    def ask() -> AsyncIterator[Any]:
        nonlocal asked
        asked += 1
        return failing(StreamError("too long", kind="invalid_request", retryable=False))

    costs: list[int] = []
    async with Redis(unix_socket_path=server.path) as beside, _journal("redis", server) as journal:
        for _ in range(100):
            before = await _commands(beside)
            assert 502 == (await _post(journal, ask, "ann", idempotency_key="k")).status
            costs.append(await _commands(beside) - before)

    # A request may come before the end of the answer before is written, and gets that one.
    assert asked > 50
    # Heartbeats come in between.
    assert sum(costs[-20:]) < 2 * sum(costs[:20])


# -- owners -------------------------------------------------------------------------------


@each_journal
@pytest.mark.parametrize("owner", [7, True, b"ann", ("ann",), Path("ann"), "\ud800"])
async def test_an_owner_that_is_no_text_is_refused_where_it_is_given(
    kind: str, server: RedisServer, owner: Any
) -> None:
    """Read back from a storage, it would be equal to nothing, and the user could never read the answer."""
    async with _journal(kind, server) as journal:
        stream = _tiny()
        with pytest.raises(MisuseError, match="owner="):
            relay.respond(stream, journal=journal, owner=owner)
        with pytest.raises(MisuseError, match="owner="):
            relay.follow(journal, "1", owner=owner)
        with pytest.raises(MisuseError, match="owner="):
            journal.follow("1", owner=owner)
        for refused in (relay.stop(journal, "1", owner=owner), journal.stop("1", owner=owner)):
            with pytest.raises(MisuseError, match="owner="):
                await refused
        with pytest.raises(MisuseError, match="owner="):
            await journal.start(stream, owner=owner)

        def user_of(_: Any) -> Any:
            return owner

        asked: list[Any] = []
        app = relay.endpoints(journal, asked.append, owner=user_of)  # type: ignore[arg-type] # never called
        for method, path in (("POST", "/"), ("GET", "/1"), ("POST", "/1/stop")):
            client = Client(method=method)
            client.scope["path"] = path
            # The server answers with a 500, and logs this error.
            with pytest.raises(MisuseError, match=r"user_of\(\) has returned a"):
                await client.call(app)
        assert [] == asked


@pytest.mark.parametrize("journal", ["redis://localhost", relay.MemoryJournal, object()])
async def test_what_is_no_journal_is_refused_where_it_is_given(journal: Any) -> None:
    """An address, say, is not opened: the client is the application's."""
    stream = _tiny()
    for call in (
        lambda: relay.respond(stream, journal=journal),
        lambda: relay.follow(journal, "1"),
        lambda: relay.endpoints(journal),
    ):
        with pytest.raises(MisuseError, match="journal="):
            call()
    with pytest.raises(MisuseError, match="journal="):
        await relay.stop(journal, "1")
    await stream.aclose()
