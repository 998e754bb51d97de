"""Records that a producer gives to the followers in its own process, beside those that are read."""

from __future__ import annotations

import random
from collections.abc import Sequence

import anyio
import pytest

from tests.relay.journals import Answer, Place, begin, in_memory, message_of, read, records_of
from tests.relay.tokenstream.support import written
from tests.support.effort import trials
from tests.support.timing import PATIENCE
from tokenstream.errors import StreamInterrupted
from tokenstream.relay.journal import Entry, Journal, JournalError, Page, Storage

pytestmark = pytest.mark.anyio


class Slow(Place):
    """A storage whose calls take any time, and whose acknowledgements may get lost, as a seed decides."""

    def __init__(self, storage: Storage, seed: int) -> None:
        super().__init__(storage)
        self.reads = 0
        self._random = random.Random(seed)

    async def append(
        self, id: str, token: str, first: int, records: Sequence[bytes], *, lease: float, over: bool = False
    ) -> None:
        await self._linger()
        await super().append(id, token, first, records, lease=lease, over=over)
        await self._linger()
        if self._random.random() < 0.05:
            raise JournalError("the acknowledgement is lost", kind="unavailable")

    async def read(self, id: str, after: int, limit: int) -> Page | None:
        self.reads += limit > 0
        await self._linger()
        page = await super().read(id, after, limit)
        # Long enough for a producer to write more meanwhile.
        await self._linger(0.03)
        return page

    async def _linger(self, longest: float = 0.004) -> None:
        if self._random.random() < 0.5:
            await anyio.sleep(self._random.random() * longest)


@pytest.mark.slow
@pytest.mark.parametrize(
    "seed",
    [pytest.param(seed, marks=[pytest.mark.slow] * (seed > 3)) for seed in range(trials(30, one_in=3))],
)
async def test_given_and_read_records_are_one_answer(seed: int) -> None:
    """Whenever a follower comes, in this process or another: each record once, in order."""
    source = random.Random(seed)
    storage = in_memory()
    pieces = [f"{number} " + "x" * source.choice([0, 80_000]) for number in range(60)]
    found: list[list[Entry]] = []

    async def follow(journal: Journal, id: str) -> None:
        await anyio.sleep(source.random() * 0.15)
        found.append(await read(journal, id))

    # With a long lease, nobody is saved by the reads that repeat four times in it.
    async with Journal(Slow(storage, seed), lease=200.0) as own, Journal(Slow(storage, -seed)) as other:
        answer = Answer()
        id = await own.start(answer.stream)
        async with anyio.create_task_group() as tasks:
            for journal in [own] * 8 + [other] * 2:
                tasks.start_soon(follow, journal, id)
            for piece in pieces:
                answer.send(piece)
                await anyio.sleep(source.random() * 0.004)
            answer.end()
        whole = await read(other, id)

    assert "".join(pieces) == message_of(whole)[0].text
    assert [*range(1, len(whole) + 1)] == [entry.position for entry in whole]
    assert all(records_of(whole) == records_of(entries) for entries in found)
    assert len(found) == 10


@pytest.mark.slow
async def test_what_this_process_wrote_is_not_read_back() -> None:
    """A follower costs a few reads, however long the answer is."""
    storage = Slow(in_memory(), 1)
    async with Journal(storage) as journal:
        answer, _, follower, _ = await begin(journal, journal)
        for number in range(100):
            answer.send(f"{number} ")
            await anyio.sleep(0.001)
        answer.end()
        rest = [entry async for entry in follower]

    assert len(rest) > 100
    assert storage.reads < 8


def _interruption(message: str) -> bytes:
    """Return the record that ends an answer in the place of its producer."""
    (last,) = written([], StreamInterrupted(message), protocol="ndjson", ending="truncated", raw=True)
    return last.strip()


async def test_followers_outlive_a_producer_that_another_process_has_ended() -> None:
    """The feed reads again: the followers get what was written in the producer's place, and the end."""
    now = 0.0
    storage = in_memory(clock=lambda: now)
    async with Journal(storage, lease=200.0) as journal:
        answer, id, follower, entries = await begin(journal, journal)
        await anyio.wait_all_tasks_blocked()
        # To the others, this process has been suspended.
        now = 1_000.0
        assert await storage.bury(id, [_interruption("it does not respond")])
        answer.send("never written")
        with anyio.fail_after(PATIENCE):
            entries += [entry async for entry in follower]

    assert b"never written" not in b"".join(records_of(entries))
    assert b"it does not respond" in entries[-1].record
