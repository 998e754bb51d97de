"""Memory as the storage of a journal: the laws of all storages, and its own bounds."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.relay.storage_laws import Opened, StorageLaws
from tokenstream.errors import MisuseError
from tokenstream.relay.journal._errors import JournalUnavailable
from tokenstream.relay.journal._memory import MemoryStorage
from tokenstream.relay.journal._storage import Storage

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened_in_memory(**bounds: Any) -> AsyncGenerator[tuple[Storage, Storage]]:
    storage = MemoryStorage(**bounds)
    yield storage, storage


class TestMemoryStorage(StorageLaws):
    """Every law of storages."""

    @pytest.fixture
    def opened(self) -> Opened:
        return opened_in_memory


async def _create(storage: Storage, id: str, *, over: bool = False) -> None:
    assert await storage.create(id, owner=None, token=id, lease=60.0)
    await storage.append(id, id, 1, [b"{}"], lease=60.0, over=over)


async def test_the_answer_that_ended_first_makes_room() -> None:
    """Beyond `max_answers` those that ended are forgotten, the first one first; one that runs never is."""
    storage = MemoryStorage(max_answers=3)
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
    storage = MemoryStorage(max_answers=2, expire=10.0, clock=lambda: now[0])
    await _create(storage, "1")
    await _create(storage, "2")
    with pytest.raises(JournalUnavailable, match="max_answers=2"):
        await _create(storage, "3")
    now[0] = 65.0
    with pytest.raises(JournalUnavailable):
        await _create(storage, "3")
    now[0] = 71.0
    await _create(storage, "3")

    assert None is await storage.read("1", 0, 0)


@pytest.mark.parametrize("bounds", [{"max_answers": 0}, {"max_bytes": 0}, {"expire": -1.0}])
async def test_bounds_that_hold_nothing_are_refused(bounds: dict[str, Any]) -> None:
    """A bound below its least is misuse."""
    with pytest.raises(MisuseError):
        MemoryStorage(**bounds)
