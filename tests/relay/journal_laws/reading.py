"""What every journal holds to: readers, positions, and what is trimmed or expires."""

from __future__ import annotations

import random

import anyio
import pytest

from tests.relay.journal_laws.support import two_journals
from tests.relay.journals import (
    Answer,
    begin,
    failure_of,
    journal_fails,
    message_of,
    read,
    records_of,
    texts_of,
    until,
)
from tests.relay.storage_laws import Opened
from tokenstream import AsyncStream, testing
from tokenstream.relay.journal import Entry, Journal


async def _fails_as(kind: str, journal: Journal, id: str, *, after: int = 0) -> bool:
    return await failure_of(read(journal, id, after=after)) == kind


class ReadingLaws:
    """Readers see every event once, or are told what they cannot see."""

    async def test_records_have_the_payloads_of_the_server_if_asked(self, opened: Opened) -> None:
        chunks = testing.script().text("Hello").finish("stop").chunks("openai-chat")
        async with two_journals(opened) as (one, other, *_):
            ids = [await one.start(AsyncStream(chunks), raw=raw) for raw in (True, False)]
            kept, plain = [await read(other, id) for id in ids]

        assert any(b'"raw":{' in record for record in records_of(kept))
        assert not any(b'"raw"' in record for record in records_of(plain))
        assert "Hello" == message_of(kept)[0].text

    async def test_every_reader_sees_every_event_once_in_order(self, opened: Opened) -> None:
        """From any position, at any time of joining, with any cuts, in any process: the same records."""
        source = random.Random(7)
        pieces = [source.choice(["a", "ü", "🌊 ", "two words ", "\n"]) + str(n) for n in range(60)]
        found: list[list[Entry]] = []

        async def follow(journals: tuple[Journal, Journal], id: str, seed: int) -> None:
            own, entries, after = random.Random(seed), list[Entry](), 0
            over = False
            while not over:
                await anyio.sleep(own.random() * 0.02)
                cut = own.randint(1, 30)
                async for entry in own.choice(journals).follow(id, after=after):
                    entries.append(entry)
                    after = entry.position
                    if len(entries) == 3 * cut:
                        break
                    if own.random() < 0.1:
                        await anyio.sleep(0.001)
                over = b'"type":"end"' in entries[-1].record
            found.append(entries)

        async with two_journals(opened) as (one, other, *_):
            answer = Answer()
            id = await one.start(answer.stream)
            async with anyio.create_task_group() as tasks:
                for seed in range(12):
                    tasks.start_soon(follow, (one, other), id, seed)
                for number in range(0, len(pieces), 3):
                    answer.send(*pieces[number : number + 3])
                    await anyio.sleep(0.003)
                answer.end()
            late = [await read(journal, id) for journal in (one, other)]
            rest = [await read(other, id, after=after) for after in range(len(late[0]) + 1)]

        whole = late[0]
        assert "".join(pieces) == message_of(whole)[0].text
        assert [*range(1, len(whole) + 1)] == [entry.position for entry in whole]
        assert all(records_of(whole) == records_of(entries) for entries in [*found, late[1]])
        assert all(whole[after:] == entries for after, entries in enumerate(rest))
        assert answer.closed

    async def test_what_was_there_before_the_reader_came_is_marked(self, opened: Opened) -> None:
        async with two_journals(opened) as (one, other, *_):
            answer, id, _, early = await begin(one, other)
            second = one.follow(id)
            again = [await anext(second) for _ in range(3)]
            answer.send("lo", over=True)
            rest = [entry async for entry in second]

        assert records_of(early) == records_of(again)
        assert [True] * 3 == [entry.replayed for entry in again]
        assert [False] * len(rest) == [entry.replayed for entry in rest]

    async def test_a_reader_that_leaves_stops_nothing(self, opened: Opened) -> None:
        """A disconnect is no stop: without readers the answer goes on to its end."""
        async with two_journals(opened) as (one, other, *_):
            answer = Answer("Hel")
            id = await one.start(answer.stream)
            async for _ in one.follow(id):
                break
            with anyio.move_on_after(0.05):
                await read(other, id)
            answer.send("lo", over=True)

            assert {"Hello"} == texts_of(await read(other, id))

    async def test_an_unknown_answer_is_reported(self, opened: Opened) -> None:
        """An id that names nothing, or is no id at all, is an error of its own in every process."""
        async with two_journals(opened) as (one, other, *_):
            for journal in (one, other):
                for id in ("?", "", "x" * 10_000):
                    with journal_fails("unknown_answer") as caught:
                        await read(journal, id)
                    assert 404 == caught.value.status
                    assert "unknown" == await journal.stop(id)

    async def test_another_owners_answer_is_unknown(self, opened: Opened) -> None:
        """An id is no credential: who is not the owner hears the same as for no answer, and stops nothing."""
        async with two_journals(opened) as (one, other, *_):
            answer = Answer("secret")
            id = await one.start(answer.stream, owner="ann")
            public = await one.start(Answer("x", over=True).stream)
            for journal in (one, other):
                for owner in ("bob", None, ""):
                    assert await failure_of(read(journal, id, owner=owner)) == "unknown_answer"
                    assert "unknown" == await journal.stop(id, owner=owner)
                assert await failure_of(read(journal, public, owner="bob")) == "unknown_answer"
            answer.end()

            assert {"secret"} == texts_of(await read(other, id, owner="ann"))

    async def test_a_position_of_the_future_is_reported(self, opened: Opened) -> None:
        """A reader that has more than there is was never given it here."""
        async with two_journals(opened) as (one, other, *_):
            answer = Answer("Hel")
            id = await one.start(answer.stream)
            await anext(one.follow(id))
            for after in (99, -1):
                with journal_fails("unknown_position") as caught:
                    await read(other, id, after=after)
                assert 400 == caught.value.status
            answer.end()
            end = len(await read(other, id))

            assert [] == await read(one, id, after=end)
            assert await failure_of(read(one, id, after=end + 1)) == "unknown_position"

    @pytest.mark.slow
    async def test_what_was_trimmed_under_a_reader_is_never_skipped(self, opened: Opened) -> None:
        """A reader that is too slow for the bound is told; one that is fast enough sees all."""
        async with two_journals(opened, max_bytes=4_000) as (one, other, *_):
            answer = Answer("x")
            id = await one.start(answer.stream)
            slow, fast = other.follow(id), one.follow(id)
            first = await anext(slow)
            seen = [await anext(fast)]
            sent = 0
            for _ in range(200):
                answer.send(*["x" * 100] * 10)
                sent += 10
                while len(seen) < sent:
                    seen.append(await anext(fast))
            answer.end()
            seen += [entry async for entry in fast]
            got = [first]
            with journal_fails("answer_expired") as caught:
                got += [entry async for entry in slow]
            assert await failure_of(read(other, id, after=1)) == "answer_expired"

            assert 410 == caught.value.status
            assert [*range(1, len(seen) + 1)] == [entry.position for entry in seen]
            assert [*range(1, len(got) + 1)] == [entry.position for entry in got]
            end = seen[-1].position
            assert records_of(seen)[-1:] == records_of(await read(other, id, after=end - 1))

    @pytest.mark.slow
    async def test_an_answer_expires(self, opened: Opened) -> None:
        async with two_journals(opened, expire=1.0) as (one, other, *_):
            id = await one.start(Answer("Hello", over=True).stream)
            end = len(await read(other, id))
            await until(lambda: _fails_as("answer_expired", other, id))
            for journal in (one, other):
                assert await failure_of(read(journal, id)) == "answer_expired"
                assert [] == await read(journal, id, after=end)
                assert "ended" == await journal.stop(id)
            # It is "answer_expired" if it was forgotten between a look at its state and one at its records.
            await until(lambda: _fails_as("unknown_answer", one, id, after=end))
