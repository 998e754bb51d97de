"""The timer of a journal: when the tokens of its answers are written to a storage that waits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import anyio
import pytest
import trio
from trio.testing import MockClock

from tests.relay.journals import Answer, Place, in_memory, read, texts_of
from tokenstream.relay.journal import Journal

_BEAT = 0.02
"""Seconds between two writes of a journal."""


class _Dated(Place):
    """A storage that notes when it was written to."""

    def __init__(self) -> None:
        super().__init__(in_memory())
        self.dates: list[float] = []

    async def append(
        self, id: str, token: str, first: int, records: Sequence[bytes], *, lease: float, over: bool = False
    ) -> None:
        self.dates.append(trio.current_time())
        await super().append(id, token, first, records, lease=lease, over=over)


async def _start(journal: Journal, *ids: str) -> list[Answer]:
    """Start answers, and return them when their first records are written."""
    answers = [Answer("One ") for _ in ids]
    for id, answer in zip(ids, answers, strict=True):
        await journal.start(answer.stream, id=id)
    await anyio.wait_all_tasks_blocked()
    return answers


def test_the_tokens_of_all_answers_are_written_at_the_same_times() -> None:
    async def main() -> tuple[list[float], list[set[object]]]:
        place, ids = _Dated(), ("a", "b", "c")
        async with Journal(place) as journal:
            answers = await _start(journal, *ids)
            assert {0.0} == set(place.dates)
            del place.dates[:]
            for answer in answers:
                await anyio.sleep(_BEAT / 5)
                answer.send("two ")
            await anyio.sleep(_BEAT)
            answers[0].send("three")
            answers[0].end()
            await anyio.wait_all_tasks_blocked()
            dates = list(place.dates)
            for answer in answers[1:]:
                answer.end()
            return dates, [set(texts_of(await read(journal, id))) for id in ids]

    dates, texts = trio.run(main, clock=MockClock(autojump_threshold=0))

    assert [_BEAT] * 3 + [pytest.approx(1.6 * _BEAT)] == dates
    assert [{"One two three"}, {"One two "}, {"One two "}] == texts


def test_a_journal_that_ends_before_its_timer_rings_leaves_none_behind_and_stops_no_other() -> None:
    """The token that waits is written with the end, and a later event loop writes to this storage as ever."""
    storage, left = Place(in_memory()), list[float]()

    async def write(id: str, *, leave: bool) -> set[object]:
        async with Journal(storage, drain=0.0) as journal:
            [answer] = await _start(journal, id)
            answer.send("two ")
            await anyio.wait_all_tasks_blocked()
            if not leave:
                answer.end()
                return set(texts_of(await read(journal, id)))
        left.append(trio.lowlevel.current_statistics().seconds_to_next_deadline)
        async with Journal(storage) as journal:
            return set(texts_of(await read(journal, id)))

    # The first clock stands still, so that its timer never rings.
    first = trio.run(partial(write, "a", leave=True), clock=MockClock())
    second = trio.run(partial(write, "b", leave=False), clock=MockClock(autojump_threshold=0))

    assert [math.inf] == left
    assert [{"One two "}] * 2 == [first, second]
