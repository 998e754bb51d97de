"""`MemoryJournal`: the laws of all journals, and what it is made with."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from typing import Any

import anyio
import pytest
import trio
from trio.testing import MockClock

from tests.relay.journal_laws.laws import JournalLaws
from tests.relay.journals import Answer, Place, failure_of, in_memory, journal_fails, read, texts_of, until
from tests.relay.storage_laws import Opened
from tests.relay.test_memory_storage import opened_in_memory
from tests.support.timing import PATIENCE, settled
from tokenstream import relay
from tokenstream.errors import MisuseError
from tokenstream.events import TextDelta
from tokenstream.relay.journal import Entry, Journal, MemoryJournal, Page, Storage

pytestmark = [pytest.mark.not_quick, pytest.mark.anyio]


class TestMemoryJournal(JournalLaws):
    @pytest.fixture
    def opened(self) -> Opened:
        return opened_in_memory


@pytest.mark.slow
async def test_a_storage_that_is_slow_holds_the_provider_back() -> None:
    """What waits to be written is bounded: beyond it nothing is read, and nothing of it is lost."""
    place, given = Place(in_memory(max_bytes=10**9)), 0

    async def large() -> AsyncGenerator[TextDelta]:
        nonlocal given
        for _ in range(20):
            given += 1
            yield TextDelta("x" * 2**20)

    async with Journal(place, lease=4.0) as journal:
        id = await journal.start(large(), id="id")
        place.away = True
        before = await anyio.to_thread.run_sync(settled, lambda: given)
        place.away = False
        texts = texts_of(await read(journal, id))

    assert before <= 8
    assert {"x" * 20 * 2**20} == texts


async def test_what_is_written_while_the_storage_is_read_reaches_readers_at_once() -> None:
    """The storage has replied with less, and the producer is silent from then on."""

    class Slow(Place):
        replied, goes_on = anyio.Event(), anyio.Event()

        async def read(self, id: str, after: int, limit: int) -> Page | None:
            page = await super().read(id, after, limit)
            if limit:
                self.replied.set()
                await self.goes_on.wait()
            return page

    place, answer = Slow(in_memory()), Answer("Hel")
    async with Journal(place, lease=3600.0, drain=0.0) as journal:
        id = await journal.start(answer.stream)
        await anyio.wait_all_tasks_blocked()
        reader = journal.follow(id)
        await reader.open()
        await place.replied.wait()
        answer.send("lo")
        await until(partial(_has_end, place, id, 4))
        place.goes_on.set()
        with anyio.fail_after(PATIENCE):
            entries = [await anext(reader) for _ in range(4)]

    assert b"lo" in entries[-1].record


async def _has_end(storage: Storage, id: str, end: int) -> bool:
    page = await storage.read(id, 0, 0)
    return page is not None and page.state.end == end


@pytest.mark.slow
async def test_a_storage_that_hangs_holds_no_request() -> None:
    place, answer = Place(in_memory()), Answer("x")
    async with Journal(place, lease=0.2) as journal:
        place.dead = True
        with anyio.fail_after(PATIENCE), journal_fails("unavailable"):
            await journal.start(answer.stream)

    assert answer.stream.closed
    assert place.closed


def test_an_answer_that_is_produced_here_is_read_from_a_storage_that_is_slow() -> None:
    class Slow(Place):
        async def read(self, id: str, after: int, limit: int) -> Page | None:
            await anyio.sleep(3)
            return await super().read(id, after, limit)

    async def main() -> None:
        place, answer = Slow(in_memory()), Answer("Hello", over=True)
        async with Journal(place, lease=15.0) as journal, Journal(place, lease=15.0) as other:
            id = await journal.start(answer.stream)
            await journal.follow(id).open()
            assert await failure_of(other.follow(id).open()) == "unavailable"

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def test_a_journal_is_used_in_its_block() -> None:
    for bounds in ({"lease": 0.0}, {"drain": -1.0}):
        with pytest.raises(MisuseError):
            Journal(in_memory(), **bounds)
    journal = MemoryJournal()
    refused: list[dict[str, Any]] = [{"id": ""}, {"id": "x" * 257}, {"raw": True, "shape": lambda text: text}]
    with pytest.raises(MisuseError, match="lifespan"):
        await read(journal, "id")
    async with journal:
        assert "0 answers" in repr(journal)
        with pytest.raises(MisuseError, match="already"):
            await journal.__aenter__()
        for options in refused:
            answer = Answer("x")
            with pytest.raises(MisuseError):
                await journal.start(answer.stream, **options)
            assert answer.stream.closed
        with pytest.raises(MisuseError):
            nothing: Any = anyio.sleep_forever
            await relay.endpoints(journal)({"type": "websocket"}, nothing, nothing)
    assert await failure_of(read(journal, "id")) == "closed"


@pytest.mark.parametrize("others", ["bob", "ann"])
async def test_an_id_that_is_used_again_shows_nothing_of_the_answer_before(others: str) -> None:
    """A slow reader still holds an answer that was forgotten: who reads the next one has that one."""
    held = list[AsyncIterator[Entry]]()
    async with MemoryJournal(max_answers=1) as journal:
        for owner, texts in (("ann", ["secret"]), (others, ["other", "!"])):
            await journal.start(Answer(*texts, over=True).stream, id="id", owner=owner)
            held.append(journal.follow("id", owner=owner))
            await anext(held[-1])
            assert texts_of(await read(journal, "id", owner=owner)) == {"".join(texts)}
            await journal.start(Answer(over=True).stream, id="between")
            await read(journal, "between")
