"""Answers that outlive their process: another one goes on with them, for the same readers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from unittest.mock import AsyncMock, Mock, patch

import anyio
import pytest

from tests.relay.journals import Answer, failure_of, message_of, read, read_into, records_of, texts_of
from tests.relay.redis_places import client_of, full, in_redis
from tests.support.redis_servers import RedisServer, anyio_backend, server
from tokenstream import AsyncStream, Checkpoint, Job, Retry, aresilient, testing
from tokenstream.errors import MisuseError
from tokenstream.recovery import Attempt
from tokenstream.relay import MemoryJournal, RedisJournal
from tokenstream.relay.journal import Entry, JournalError
from tokenstream.relay.journal._redis import RedisStorage

__all__ = ["anyio_backend", "server"]

pytestmark = [pytest.mark.not_quick, pytest.mark.anyio]

TEXT = "A river does not mind a stone. It parts, goes around, and is one river again."
HANDED_OVER: dict[str, Any] = {"id": "job", "take_over": 60.0}
_OPTIONS: list[dict[str, Any]] = [{}, {"shape": lambda text: text.redact("river")}, {"raw": True}]


class Model:
    """A model that several processes ask, and that goes on with the text it is given, or replays it."""

    def __init__(self, *, leaves_after: int | None = None, replays: bool = False) -> None:
        self.format: Any = "openai-responses" if replays else "openai-chat"
        self.asked = list[str]()
        """The mode of each request."""
        self.gates = {8 if replays else leaves_after: anyio.Event()}
        """What an answer waits for, and later ones do not, by the number of chunks before."""
        self.breaks_after: int | None = None
        """The number of chunks of an answer in the foreground that breaks off."""
        self.instructions = b"null"

    def ask(self, job: Job | None = None) -> AsyncStream:
        return aresilient(self._answer, Retry(wait=0, again=True), format=self.format, job=job)

    async def _answer(self, attempt: Attempt) -> AsyncIterator[bytes]:
        so_far = attempt.message.text if attempt.mode == "continue" else ""
        self.asked.append(attempt.mode)
        # What it goes on with begins with the end of what it was given.
        rest = [so_far[-20:]] * bool(so_far) + [
            TEXT[at : at + 11] for at in range(len(so_far), len(TEXT), 11)
        ]
        breaks_after, self.breaks_after = self.breaks_after, None
        where = b'"background":%b' % (b"true" if breaks_after is None else b"false")
        chunks = testing.script().text(*rest).finish("stop").chunks(self.format)
        for number, chunk in enumerate(chunks):
            if number == breaks_after:
                raise OSError
            if gate := self.gates.pop(number, None):
                await gate.wait()
            if number > (attempt.sequence or -1):
                said = chunk.replace(b'"background":false', where)
                yield said.replace(b'"instructions":null', b'"instructions":%b' % self.instructions)


@asynccontextmanager
async def page(server: RedisServer, found: list[Entry]) -> AsyncGenerator[RedisJournal]:
    """Give the journal of a page that has begun to read an answer which nobody has begun."""
    async with client_of(server) as redis, client_of(server) as beside:
        await beside.flushall()
        async with RedisJournal(redis, lease=60.0) as journal, anyio.create_task_group() as tasks:
            await journal.announce("job", within=60)
            tasks.start_soon(read_into, found, journal, "job")
            yield journal


@asynccontextmanager
async def worker(server: RedisServer, *, lease: float = 60.0) -> AsyncGenerator[RedisJournal]:
    async with client_of(server) as redis, RedisJournal(redis, lease=lease, drain=0) as journal:
        yield journal


async def leave(server: RedisServer, model: Model | None = None, *, at: int = 3, **options: Any) -> Model:
    """Begin the answer in a worker that leaves it behind a record; return its model, which goes on."""
    model = model or Model(leaves_after=5)
    async with worker(server) as one:
        await one.start(model.ask(), **HANDED_OVER, **options)
        await anext(entry async for entry in one.follow("job") if entry.position == at)
    return model


async def test_a_page_may_come_before_its_worker(server: RedisServer) -> None:
    found = list[Entry]()
    async with page(server, found), worker(server) as one:
        await one.start(Answer("Hel", "lo", over=True).stream, id="job")
        await read(one, "job")

    assert {"Hello"} == texts_of(found)


@pytest.mark.parametrize("options", _OPTIONS, ids=["plain", "shaped", "raw"])
@pytest.mark.parametrize("kind", ["text", "replayed", "replayed, of another release"])
async def test_a_worker_that_leaves_hands_its_answer_over(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], kind: str
) -> None:
    """Readers go on, or begin again if their text was changed; what a server replays is not asked for."""
    found, is_shaped = list[Entry](), "shape" in options
    async with page(server, found) as late, worker(server) as other:
        with monkeypatch.context() as patched:
            if "release" in kind:
                patched.setattr("tokenstream.formats._resume.state._layout_checksum", lambda _: 0)
            model = await leave(server, None if kind == "text" else Model(replays=True), **options)
        await other.start(model.ask(), **HANDED_OVER, **options)
        await read(other, "job")
        assert records_of(await read(late, "job")) == records_of(found)

    message, error = message_of(found)
    mode = "start" if is_shaped else "resume" if kind == "replayed" else "continue"
    assert (error, message.ending) == (None, "complete")
    assert message.text == (TEXT.replace("river", "[redacted]") if is_shaped else TEXT)
    assert model.asked == ["start", mode]
    assert (b'"restarted"' in b"".join(records_of(found))) == is_shaped
    assert [entry.position for entry in found] == [*range(1, len(found) + 1)]


async def test_another_api_goes_on_with_the_text(server: RedisServer) -> None:
    """Another API does not replay what the first worker's would."""
    found, model = list[Entry](), Model(replays=True)
    async with page(server, found), worker(server) as other:
        await leave(server, model)
        model.format = "openai-chat"
        await other.start(model.ask(), **HANDED_OVER)
        await read(other, "job")

    assert {TEXT} == texts_of(found)
    assert ["start", "continue"] == model.asked


async def test_a_job_goes_on_at_another_api() -> None:
    """The job has kept its checkpoint itself."""
    async with Model(replays=True).ask() as stream:
        await anext(event async for event in stream if len(stream.message.text) > 40)
        kept, model = stream.checkpoint(), Model()
    message = await model.ask(Job("job", checkpoint=kept)).final()

    assert (TEXT, ["continue"]) == (message.text, model.asked)


async def test_an_answer_without_a_record_is_resumed(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first worker dies when it has only asked for it."""
    fenced, model = AsyncMock(side_effect=JournalError("dead", kind="fenced")), Model(replays=True)
    async with worker(server) as other, client_of(server) as client:
        await client.flushall()
        with monkeypatch.context() as patched:
            patched.setattr(RedisStorage, "append", fenced)
            async with worker(server) as one:
                await one.start(model.ask(), open_within=5.0, **HANDED_OVER)
        await client.hset("tokenstream:{job}:state", "token", "")
        await other.start(model.ask(), **HANDED_OVER)
        found = await read(other, "job")

    assert ({TEXT}, ["start", "resume"]) == (texts_of(found), model.asked)
    assert b'"restarted"' not in b"".join(records_of(found))


async def test_the_answer_that_goes_on_is_resumed(server: RedisServer) -> None:
    """The first one breaks off, which no server keeps; the next one runs in the background."""
    found, model = list[Entry](), Model(replays=True)
    model.breaks_after = 5
    async with page(server, found), worker(server) as other:
        await leave(server, model, at=7)
        await other.start(model.ask(), **HANDED_OVER)
        await read(other, "job")

    assert {TEXT} == texts_of(found)
    assert ["start", "restart", "resume"] == model.asked


@pytest.mark.parametrize("is_large", [True, False], ids=["too large", "refused"])
async def test_what_is_not_kept_is_told_once(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, is_large: bool
) -> None:
    """A failure to keep costs the answer nothing, and the next worker only a request."""
    found, model = list[Entry](), Model(replays=True)
    if is_large:
        model.instructions = b'"%b"' % (b"x" * 1_100_000)
    else:
        monkeypatch.setattr(RedisStorage, "keep", AsyncMock(side_effect=JournalError("full")))
    async with page(server, found), worker(server) as other:
        await leave(server, model)
        await other.start(model.ask(), **HANDED_OVER)
        await read(other, "job")

    assert {TEXT} == texts_of(found)
    assert ["start", "continue"] == model.asked
    assert 1 == caplog.text.count("no other process can resume")


@pytest.mark.slow
async def test_a_checkpoint_is_kept_once(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    keep, model = AsyncMock(), Model(replays=True)
    goes_on = model.gates[8]
    monkeypatch.setattr(RedisStorage, "keep", keep)
    async with page(server, []), worker(server, lease=1.0) as one:
        await one.start(model.ask(), **HANDED_OVER)
        await anyio.sleep(1.0)
        goes_on.set()
        await read(one, "job")

    assert 1 == keep.await_count


@pytest.mark.slow
async def test_a_full_redis_holds_up_no_stop(server: RedisServer) -> None:
    found = list[Entry]()
    async with page(server, found) as journal, worker(server, lease=1.0) as one, client_of(server) as beside:
        await one.start(Model(replays=True).ask(), **HANDED_OVER)
        await anext(entry async for entry in one.follow("job") if entry.position == 3)
        async with full(beside):
            assert "stopped" == await journal.stop("job")
            await read(journal, "job")

    assert ("stopped", None) == (message_of(found)[0].ending, message_of(found)[1])


async def test_an_answer_of_many_records_is_read_in_pages(server: RedisServer) -> None:
    pieces = [b'{"type":"text_delta","text":"%d "}' % number for number in range(5_000)]
    async with worker(server) as one, client_of(server) as client:
        await client.flushall()
        storage = in_redis(client)
        await storage.create("job", owner=None, token="", lease=60.0)
        await storage.append("job", "", 1, pieces, lease=60.0)
        with patch.object(RedisStorage, "read", autospec=True, side_effect=RedisStorage.read) as reads:
            await one.start(Model().ask(), **HANDED_OVER)
        message, _ = message_of(await read(one, "job"))

    assert message.text.startswith("".join(f"{number} " for number in range(5_000)))
    assert 2_000 == max(call.args[3] for call in reads.call_args_list)


@pytest.mark.parametrize("seconds", [5, None])
async def test_a_second_worker_waits_for_the_first(server: RedisServer, seconds: float | None) -> None:
    """A worker that stands by asks nothing if the first one, of an older release, reaches the end."""
    answer, standby, found = Answer("Hel"), Model(), list[Entry]()
    a_worker = partial(worker, server, lease=16.0)
    async with page(server, found) as journal, a_worker() as one, a_worker() as other:
        await one.start(answer.stream, id="job", take_over=seconds)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(other.start, standby.ask(), **HANDED_OVER))
            await anext(journal.follow("job"))
            answer.send("lo", over=True)

    assert {"Hello"} == texts_of(found)
    assert [] == standby.asked


async def test_a_worker_that_leaves_while_it_waits_takes_no_answer(server: RedisServer) -> None:
    answer, failures = Answer("Hel"), list[str | None]()
    async with page(server, []), worker(server) as one, anyio.create_task_group() as tasks:
        await one.start(answer.stream, **HANDED_OVER)

        async def stand_by(journal: RedisJournal) -> None:
            failures.append(await failure_of(journal.start(Model().ask(), **HANDED_OVER)))
            answer.end()

        async with worker(server, lease=1.0) as other:
            tasks.start_soon(stand_by, other)
            await anyio.sleep(0.1)

    assert ["closed"] == failures


async def test_a_worker_that_cannot_go_on_gives_the_answer_back(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, breaks = list[Entry](), Mock(side_effect=ZeroDivisionError)
    async with page(server, found), worker(server) as other:
        model = await leave(server)
        with monkeypatch.context() as patched, pytest.raises(ZeroDivisionError):
            patched.setattr("tokenstream.relay.journal._producer.take_up", breaks)
            await other.start(model.ask(), **HANDED_OVER)
        await other.start(model.ask(), **HANDED_OVER)
        await read(other, "job")

    assert {TEXT} == texts_of(found)


@pytest.mark.parametrize("has_begun", [False, True], ids=["announced", "left"])
async def test_an_answer_without_a_worker_stops_at_once(server: RedisServer, has_begun: bool) -> None:
    found = list[Entry]()
    async with page(server, found) as journal:
        model = await leave(server) if has_begun else Model()
        assert "stopped" == await journal.stop("job")
        await read(journal, "job")
        await journal.start(model.ask(), **HANDED_OVER)

    assert ("stopped", None) == (message_of(found)[0].ending, message_of(found)[1])
    assert ["start"] * has_begun == model.asked


async def test_a_worker_with_the_whole_answer_gives_all_of_it(server: RedisServer) -> None:
    """The file of a worker has more than readers do, who begin again."""
    found, kept = list[Entry](), list[Checkpoint]()
    await Model().ask(Job("job", keep=kept.append)).final()
    async with page(server, found), worker(server) as other:
        model = await leave(server)
        await other.start(model.ask(Job("job", checkpoint=kept[-1])), **HANDED_OVER)
        await read(other, "job")

    assert {TEXT} == texts_of(found)
    assert ["start"] == model.asked


@pytest.mark.slow
async def test_readers_learn_that_no_worker_has_come(server: RedisServer) -> None:
    async with worker(server, lease=1.0) as journal:
        await journal.announce("nobody's", within=0.2)
        _, error = message_of(await read(journal, "nobody's"))

    assert "no process has begun the answer in time" in str(error)


async def test_nobody_takes_over_an_answer_in_memory(server: RedisServer) -> None:
    async with MemoryJournal() as journal, worker(server) as shared:
        for call in (
            lambda: journal.announce("job", within=60),
            lambda: journal.start(Model().ask(), take_over=60),
            lambda: shared.announce("job", within=0),
            lambda: shared.start(Model().ask(), take_over=-1),
        ):
            with pytest.raises(MisuseError, match=r"no other process|a positive number of seconds"):
                await call()
