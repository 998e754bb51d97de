"""Memory as the storage of a journal: the laws of all storages, and its own bounds."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.relay.journals import failure_of, in_memory, journal_fails
from tests.relay.storage_laws import Opened, StorageLaws
from tokenstream.errors import MisuseError
from tokenstream.relay.journal import JournalError, Storage
from tokenstream.relay.journal._stored import AnswerGroup, StoredAnswer

pytestmark = [pytest.mark.not_quick, pytest.mark.anyio]


@asynccontextmanager
async def opened_in_memory(**bounds: Any) -> AsyncGenerator[tuple[Storage, Storage]]:
    storage = in_memory(**bounds)
    yield storage, storage


class TestMemoryStorage(StorageLaws):
    @pytest.fixture
    def opened(self) -> Opened:
        return opened_in_memory


async def _create(storage: Storage, id: str, *, over: bool = False) -> None:
    assert await storage.create(id, owner=None, token=id, lease=60.0)
    await storage.append(id, id, 1, [b"{}"], lease=60.0, over=over)


async def test_the_answer_that_ended_first_makes_room() -> None:
    """Beyond `max_answers` those that ended are forgotten, the first one first; one that runs never is."""
    storage = in_memory(max_answers=3)
    await _create(storage, "runs")
    await _create(storage, "1", over=True)
    await _create(storage, "2", over=True)
    await _create(storage, "3", over=True)

    assert [True, False, True, True] == [
        await storage.read(id, 0, 0) is not None for id in ("runs", "1", "2", "3")
    ]


async def test_a_journal_full_of_answers_that_run_refuses_another() -> None:
    """Where none has ended there is no room, and the error says so; the dead make room in time."""
    now = [0.0]
    storage = in_memory(max_answers=2, expire=10.0, clock=lambda: now[0])
    await _create(storage, "1")
    await _create(storage, "2")
    with journal_fails("unavailable", match="max_answers=2"):
        await _create(storage, "3")
    now[0] = 65.0
    assert await failure_of(_create(storage, "3")) == "unavailable"
    now[0] = 71.0
    await _create(storage, "3")

    assert None is await storage.read("1", 0, 0)


async def _text(storage: Storage, id: str) -> str:
    state = await storage.read(id, 0, 0)
    page = None if state is None else await storage.read(id, state.state.begin - 1, 1_000)
    return "" if page is None else b"".join(page.records).decode()


async def _state(storage: Storage, id: str) -> str:
    return await _text(storage, id) or "expired"


async def test_all_answers_together_have_a_bound() -> None:
    now = [0.0]
    storage = in_memory(max_total_bytes=10_000, expire=10.0, clock=lambda: now[0])

    async def write(id: str, first: int, size: int, *, over: bool = False) -> None:
        await storage.create(id, owner=None, token=id, lease=60.0)
        await storage.append(id, id, first, [b"x" * size], lease=60.0, over=over)

    for number in range(6):
        await write(str(number), 1, 2_000, over=True)
    assert ["expired", 2_000] == [await _state(storage, "0"), len(await _state(storage, "1"))]
    await write("runs", 1, 5_000)
    await write("also", 1, 4_000)
    assert ["expired"] * 5 == [await _state(storage, str(number)) for number in range(1, 6)]
    for refused in (write("runs", 2, 1_001), write("other", 1, 5_000, over=True)):
        with journal_fails("unavailable", match="max_total_bytes=10,000"):
            await refused
    await write("runs", 2, 1_000)
    assert await failure_of(storage.create("new", owner=None, token="new", lease=60.0)) == "unavailable"
    await write("runs", 3, 100, over=True)
    assert len(await _state(storage, "runs")) == 6_100
    await write("new", 1, 5_000)
    assert ["expired", 4_000] == [await _state(storage, "runs"), len(await _state(storage, "also"))]


async def test_one_answer_is_trimmed_to_the_bound_of_all() -> None:
    """An answer may have all of the room, and loses its oldest records beyond that, as with its own bound."""
    storage = in_memory(max_total_bytes=1_000)
    await storage.create("a", owner=None, token="a", lease=60.0)
    for number in range(30):
        await storage.append("a", "a", number + 1, [b"%03d" % number * 33], lease=60.0)
    page = await storage.read("a", 20, 100)

    assert page is not None
    assert (21, 30, 10) == (page.state.begin, page.state.end, len(page.records))


@pytest.mark.few_rows(4)
@pytest.mark.parametrize("seed", range(20))
async def test_the_bound_of_all_holds_whatever_is_written(seed: int) -> None:
    """Random answers begin, grow, end and expire: what is held is the bound at most, beside short ends."""
    source, now, refused = random.Random(seed), [0.0], 0
    storage = in_memory(max_bytes=700, max_total_bytes=2_000, expire=5.0, clock=lambda: now[0])
    ids = [str(number) for number in range(12)]
    for _ in range(300):
        now[0] += source.random()
        id, size, over = source.choice(ids), source.randrange(300), source.random() < 0.2
        try:
            await storage.create(id, owner=None, token=id, lease=3.0)
            page = await storage.read(id, 0, 0)
            assert page is not None
            await storage.append(id, id, page.state.end + 1, [b"x" * size], lease=3.0, over=over)
        except JournalError:
            refused += 1
            continue
        sizes = [len(await _text(storage, each)) for each in ids]
        assert over or sum(sizes) <= 2_000
        assert max(sizes) <= 700

    assert 0 < refused < 250


@pytest.mark.parametrize(
    "bounds", [{"max_answers": 0}, {"max_bytes": 0}, {"max_total_bytes": 0}, {"expire": -1.0}]
)
async def test_bounds_that_hold_nothing_are_refused(bounds: dict[str, Any]) -> None:
    with pytest.raises(MisuseError):
        in_memory(**bounds)


def test_the_oldest_of_many_answers_is_found_at_once() -> None:
    """However many were forgotten before it: with a search, this would take half a minute."""
    group = AnswerGroup()
    answer = StoredAnswer(None, group, 1_000, "token", alive_until=0.0, asked=None)
    expected = [str(number) for number in range(200_000)]
    group.expired.update((id, answer) for id in expected[:100_000])
    group.ended.update((id, answer) for id in expected[100_000:])
    found: list[str] = []
    while (oldest := group.find_oldest()) is not None:
        found.append(oldest)
        del (group.expired or group.ended)[oldest]

    assert expected == found
