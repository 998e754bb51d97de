"""What every journal holds to, whatever its storage; a kind of journal runs it by a subclass in its tests.

Two journals on one place stand for two processes.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import anyio
import pytest

from tests.relay.journals import Answer, Place, message_of, read, records_of, retry_slower, texts_of, until
from tests.relay.storage_laws import Opened
from tokenstream import Stream
from tokenstream.errors import MisuseError, ProviderError, StreamInterrupted
from tokenstream.events import TextDelta
from tokenstream.relay.journal import (
    AnswerExpired,
    Entry,
    Journal,
    JournalUnavailable,
    UnknownAnswer,
    UnknownPosition,
)

__all__ = ["JournalLaws"]

_LEASE = 0.6


@asynccontextmanager
async def _two(
    opened: Opened, *, lease: float = 15.0, drain: float = 0.0, **bounds: Any
) -> AsyncGenerator[tuple[Journal, Journal, Place, Place]]:
    """Give two journals on one place, and their storages."""
    async with opened(**bounds) as storages:
        one, other = map(Place, storages)
        async with Journal(one, lease=lease, drain=drain) as a, Journal(other, lease=lease, drain=drain) as b:
            yield a, b, one, other


async def _raises(expected: type[Exception], call: Awaitable[Any]) -> bool:
    """Tell whether a call raises an error."""
    try:
        await call
    except expected:
        return True
    return False


class JournalLaws:
    """The laws. A subclass has a fixture `opened`, an `Opened`."""

    @pytest.fixture
    def opened(self) -> Opened:
        raise NotImplementedError

    # -- reading -------------------------------------------------------------

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

        async with _two(opened) as (one, other, *_):
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
        """An entry is replayed if it was written before the reader came, and live otherwise."""
        async with _two(opened) as (one, other, *_):
            answer = Answer("Hel")
            id = await one.start(answer.stream)
            first = other.follow(id)
            early = [await anext(first) for _ in range(3)]
            second = one.follow(id)
            again = [await anext(second) for _ in range(3)]
            answer.send("lo", over=True)
            rest = [entry async for entry in second]

        assert records_of(early) == records_of(again)
        assert [True] * 3 == [entry.replayed for entry in again]
        assert [False] * len(rest) == [entry.replayed for entry in rest]

    async def test_a_reader_that_leaves_stops_nothing(self, opened: Opened) -> None:
        """A disconnect is no stop: without readers the answer goes on to its end."""
        async with _two(opened) as (one, other, *_):
            answer = Answer("Hel")
            id = await one.start(answer.stream)
            async for _ in one.follow(id):
                break
            with anyio.move_on_after(0.05):
                await read(other, id)
            answer.send("lo", over=True)

            assert {"Hello"} == texts_of(await read(other, id))

    async def test_an_unknown_answer_is_told(self, opened: Opened) -> None:
        """An id that names nothing, or is no id at all, is an error of its own in every process."""
        async with _two(opened) as (one, other, *_):
            for journal in (one, other):
                for id in ("?", "", "x" * 10_000):
                    with pytest.raises(UnknownAnswer) as caught:
                        await read(journal, id)
                    assert 404 == caught.value.status
                    assert "unknown" == await journal.stop(id)

    async def test_another_owners_answer_is_unknown(self, opened: Opened) -> None:
        """An id is no credential: who is not the owner hears the same as for no answer, and stops nothing."""
        async with _two(opened) as (one, other, *_):
            answer = Answer("secret")
            id = await one.start(answer.stream, owner="ann")
            public = await one.start(Answer("x", over=True).stream)
            for journal in (one, other):
                for owner in ("bob", None, ""):
                    with pytest.raises(UnknownAnswer):
                        await read(journal, id, owner=owner)
                    assert "unknown" == await journal.stop(id, owner=owner)
                with pytest.raises(UnknownAnswer):
                    await read(journal, public, owner="bob")
            answer.end()

            assert {"secret"} == texts_of(await read(other, id, owner="ann"))

    async def test_a_position_of_the_future_is_told(self, opened: Opened) -> None:
        """A reader that has more than there is was never given it here."""
        async with _two(opened) as (one, other, *_):
            answer = Answer("Hel")
            id = await one.start(answer.stream)
            await anext(one.follow(id))
            for after in (99, -1):
                with pytest.raises(UnknownPosition) as caught:
                    await read(other, id, after=after)
                assert 400 == caught.value.status
            answer.end()
            end = len(await read(other, id))

            assert [] == await read(one, id, after=end)
            with pytest.raises(UnknownPosition):
                await read(one, id, after=end + 1)

    # -- producing -----------------------------------------------------------

    async def test_ids_are_unguessable(self, opened: Opened) -> None:
        """Where none is given, an id has 192 random bits."""
        async with _two(opened) as (one, *_):
            ids = {await one.start(Answer("x", over=True).stream) for _ in range(5)}

        assert 5 == len(ids)
        assert all(len(id) == 32 for id in ids)

    async def test_of_two_producers_of_one_id_one_wins(self, opened: Opened) -> None:
        """The first has the id, also after its end; the other is closed unread; all read the first."""
        async with _two(opened) as (one, other, *_):
            first, second, third = Answer("first"), Answer("second"), Answer("third")
            assert "id" == await one.start(first.stream, id="id")
            assert "id" == await other.start(second.stream, id="id")
            assert second.stream.closed
            first.end()
            found = [await read(journal, "id") for journal in (one, other)]
            assert "id" == await one.start(third.stream, id="id")

            assert {"first"} == texts_of(*found, await read(other, "id"))
            assert third.stream.closed
            assert 0 == second.sent + third.sent

    async def test_an_upstream_that_fails_is_told_to_all(self, opened: Opened) -> None:
        """An error in the middle of the answer ends it for every reader, with its class and the partial."""

        async def failing() -> AsyncGenerator[Any]:
            yield TextDelta("Hel")
            raise ProviderError("private words", kind="overloaded")

        async with _two(opened) as (one, other, *_):
            id = await one.start(failing())
            found = [await read(journal, id) for journal in (one, other, one)]

        for entries in found:
            message, error = message_of(entries)
            assert "Hel" == message.text
            assert isinstance(error, ProviderError)
            assert "overloaded" == error.kind
            assert b"private" not in b"".join(records_of(entries))

    async def test_a_bug_in_one_answer_ends_no_other(self, opened: Opened) -> None:
        """Whatever a source raises ends its own answer, as a failure of the server's."""

        async def broken() -> AsyncGenerator[Any]:
            yield TextDelta("Hel")
            raise ZeroDivisionError("private words")

        async with _two(opened) as (one, other, *_):
            answer = Answer("fine")
            good, bad = await one.start(answer.stream), await one.start(broken())
            message, error = message_of(entries := await read(other, bad))
            answer.end()

            assert {"fine"} == texts_of(await read(other, good))
        assert ("Hel", "server") == (message.text, error.kind if error else None)
        assert b"private" not in b"".join(records_of(entries))

    async def test_a_failure_before_the_first_event_is_raised_where_it_is_waited_for(
        self, opened: Opened
    ) -> None:
        """`open_within` gives the upstream's own error to the caller; what is slow goes on in the journal."""

        async def refused() -> AsyncGenerator[Any]:
            for event in list[TextDelta]():
                yield event
            raise ProviderError("no", kind="rate_limited", retry_after=3.0)

        async with _two(opened) as (one, other, *_):
            with pytest.raises(ProviderError) as caught:
                await one.start(refused(), id="refused", open_within=5.0)
            slow = Answer()
            with anyio.fail_after(5):
                id = await one.start(slow.stream, open_within=0.01)
            slow.send("Hello", over=True)

            assert 3.0 == caught.value.retry_after
            assert isinstance(message_of(await read(other, "refused"))[1], ProviderError)
            assert {"Hello"} == texts_of(await read(other, id))

    async def test_a_start_that_is_cancelled_stops_nothing(self, opened: Opened) -> None:
        """A client that leaves while its request waits for the first event leaves the answer to others."""
        async with _two(opened) as (one, other, *_):
            answer = Answer()
            with anyio.move_on_after(0.05):
                await one.start(answer.stream, id="id", open_within=20.0)
            answer.send("Hello", over=True)

            assert {"Hello"} == texts_of(await read(other, "id"))

    # -- stops ---------------------------------------------------------------

    async def test_a_stop_works_from_every_process(self, opened: Opened) -> None:
        """It closes the provider's connection, tells every reader, keeps the partial, and counts once."""
        for which in (0, 1):
            async with _two(opened) as (one, other, *_):
                answer = Answer("Hel")
                id = await one.start(answer.stream, owner="ann")
                reader = other.follow(id, owner="ann")
                entries = [await anext(reader) for _ in range(3)]
                with anyio.fail_after(3):
                    assert "stopped" == await (one, other)[which].stop(id, owner="ann", reason="enough")
                    entries += [entry async for entry in reader]
                message, error = message_of(entries)

                assert ("Hel", "stopped", None) == (message.text, message.ending, error)
                assert b"enough" in entries[-2].record
                assert answer.closed
                assert "stopped" == answer.stream.message.ending
                assert ["ended"] * 2 == [await each.stop(id, owner="ann") for each in (one, other)]
                assert records_of(entries) == records_of(await read(one, id, owner="ann"))

    async def test_a_stop_reaches_what_is_no_stream(self, opened: Opened) -> None:
        """An iterable of events that waits is cancelled and closed."""
        closed: list[bool] = []

        async def waiting() -> AsyncGenerator[Any]:
            try:
                yield TextDelta("Hel")
                await anyio.sleep_forever()
            finally:
                closed.append(True)

        async with _two(opened) as (one, other, *_):
            id = await one.start(waiting(), open_within=5.0)
            assert "stopped" == await other.stop(id)
            message, _ = message_of(await read(other, id))

        assert ("Hel", "stopped", [True]) == (message.text, message.ending, closed)

    # -- failures ------------------------------------------------------------

    async def test_a_dead_producer_is_told_within_the_lease(self, opened: Opened) -> None:
        """Readers of a process that was killed get the partial and StreamInterrupted, all at one position."""
        async with _two(opened, lease=_LEASE) as (one, other, place, _):
            answer = Answer("Hel")
            id = await one.start(answer.stream)
            reader = other.follow(id)
            entries = [await anext(reader) for _ in range(3)]
            place.dead = True
            with anyio.fail_after(_LEASE * 2):
                entries += [entry async for entry in reader]
            message, error = message_of(entries)
            again = await read(other, id)
            place.dead = False

            assert "Hel" == message.text
            assert isinstance(error, StreamInterrupted)
            assert error.retryable
            assert records_of(entries) == records_of(again)

    async def test_a_producer_that_was_declared_dead_gives_up(self, opened: Opened) -> None:
        """It hears that its answer was ended, closes its stream, and adds nothing."""
        async with _two(opened, lease=_LEASE) as (one, other, place, _):
            answer = Answer("Hel")
            id = await one.start(answer.stream)
            await anext(other.follow(id))
            place.away = True
            entries = await read(other, id)
            answer.send("lo")
            place.away = False
            with anyio.fail_after(5):
                await answer.gone.wait()

            assert isinstance(message_of(entries)[1], StreamInterrupted)
            assert records_of(entries) == records_of(await read(one, id))

    async def test_a_silent_model_is_not_taken_for_dead(self, opened: Opened) -> None:
        """A producer that waits gives signs of life."""
        found: list[Entry] = []
        async with _two(opened, lease=_LEASE) as (one, other, *_):
            answer = Answer("Hel")
            id = await one.start(answer.stream)
            async with anyio.create_task_group() as tasks:

                async def follow() -> None:
                    found.extend(await read(other, id))

                tasks.start_soon(follow)
                await anyio.sleep(2 * _LEASE)
                answer.send("lo", over=True)

        assert {"Hello"} == texts_of(found)

    async def test_a_storage_that_comes_back_costs_nothing(self, opened: Opened) -> None:
        """While it is away for less than a lease, writers and readers wait; nothing is lost or doubled."""
        async with _two(opened, lease=4.0) as (one, other, place, far):
            answer = Answer("Hel")
            id = await one.start(answer.stream)
            found: list[Entry] = []

            async def follow() -> None:
                found.extend(await read(other, id))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(follow)
                await anyio.sleep(0.05)
                for _ in range(2):
                    place.away = far.away = True
                    answer.send("lo")
                    await anyio.sleep(0.1)
                    place.away = far.away = False
                    await anyio.sleep(0.1)
                answer.end()

        assert {"Hellolo"} == texts_of(found)
        assert [*range(1, len(found) + 1)] == [entry.position for entry in found]

    async def test_a_storage_that_stays_away_is_told(self, opened: Opened) -> None:
        """After a lease readers get an error, and the producer closes its stream; who comes is refused."""
        async with _two(opened, lease=_LEASE) as (one, other, place, far):
            answer = Answer("Hel")
            id = await one.start(answer.stream)
            reader = other.follow(id)
            await anext(reader)
            place.away = far.away = True
            answer.send("lo")
            with anyio.fail_after(10), pytest.raises(JournalUnavailable) as caught:
                async for _ in reader:
                    pass
            with anyio.fail_after(10):
                await answer.gone.wait()
            with pytest.raises(JournalUnavailable):
                await read(other, id)
            refused = Answer("x")
            with pytest.raises(JournalUnavailable):
                await one.start(refused.stream)

            assert 503 == caught.value.status
            assert refused.stream.closed

    async def test_a_storage_with_a_bug_ends_its_own_answers_alone(self, opened: Opened) -> None:
        """Whatever it raises, the journal and the program around it go on, and streams are closed."""
        async with _two(opened, lease=_LEASE) as (one, other, place, _):
            answer, fine = Answer("Hel"), Answer("fine")
            id, good = await one.start(answer.stream), await other.start(fine.stream)
            reader = one.follow(id)
            await anext(reader)
            place.broken = True
            answer.send("lo")
            with anyio.fail_after(10), pytest.raises(JournalUnavailable):
                async for _ in reader:
                    pass
            with anyio.fail_after(10):
                await answer.gone.wait()
            place.broken = False
            fine.end()

            assert {"fine"} == texts_of(await read(one, good))
            assert isinstance(message_of(await read(one, id))[1], StreamInterrupted)

    async def test_what_is_no_async_stream_is_misuse(self, opened: Opened) -> None:
        """A stream of the wrong colour is refused where it is started."""
        async with _two(opened) as (one, *_):
            with Stream(["x"], format="pieces") as stream, pytest.raises(MisuseError):
                await one.start(cast("Any", stream))
            with pytest.raises(MisuseError):
                await one.start(cast("Any", 7))

    async def test_what_was_trimmed_under_a_reader_is_never_skipped(self, opened: Opened) -> None:
        """A reader that is too slow for the bound is told; one that is fast enough sees all."""
        async with _two(opened, max_bytes=4_000) as (one, other, *_):
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
            with pytest.raises(AnswerExpired) as caught:
                got += [entry async for entry in slow]
            with pytest.raises(AnswerExpired):
                await read(other, id, after=1)

            assert 410 == caught.value.status
            assert [*range(1, len(seen) + 1)] == [entry.position for entry in seen]
            assert [*range(1, len(got) + 1)] == [entry.position for entry in got]
            end = seen[-1].position
            assert records_of(seen)[-1:] == records_of(await read(other, id, after=end - 1))

    @pytest.mark.timeout(60)
    async def test_an_answer_expires(self, opened: Opened) -> None:
        """It can be followed from any position until then; afterwards it is gone, and in the end unknown."""
        await retry_slower(partial(self._expires, opened), expire=0.8)

    async def _expires(self, opened: Opened, expire: float) -> None:
        async with _two(opened, expire=expire) as (one, other, *_):
            id = await one.start(Answer("Hello", over=True).stream)
            end = len(await read(other, id))
            await until(lambda: _raises(AnswerExpired, read(other, id)))
            for journal in (one, other):
                with pytest.raises(AnswerExpired):
                    await read(journal, id)
                assert [] == await read(journal, id, after=end)
                assert "ended" == await journal.stop(id)
            await until(lambda: _raises(UnknownAnswer, read(one, id, after=end)))

    # -- shutdown ------------------------------------------------------------

    async def test_producers_run_on_when_the_journal_is_left(self, opened: Opened) -> None:
        """As long as `drain` allows, an answer is written to its end, with its readers there."""
        async with opened() as storages, Journal(storages[1]) as other:
            answer, found = Answer("Hel"), list[Entry]()

            async def follow() -> None:
                found.extend(await read(other, "id"))

            async def send() -> None:
                await anyio.sleep(0.1)
                answer.send("lo", over=True)

            async with anyio.create_task_group() as tasks:
                with anyio.fail_after(5):
                    async with Journal(storages[0], drain=5.0) as one:
                        await one.start(answer.stream, id="id")
                        tasks.start_soon(follow)
                        tasks.start_soon(send)
                        await anyio.sleep(0.02)

        assert {"Hello"} == texts_of(found)
        assert "complete" == message_of(found)[0].ending

    async def test_what_does_not_end_in_time_is_interrupted(self, opened: Opened) -> None:
        """Behind `drain` the stream is closed, and readers everywhere hear that the server was shut down."""
        async with opened() as storages, Journal(storages[1]) as other:
            answer = Answer("Hel")
            with anyio.fail_after(5):
                async with Journal(storages[0], drain=0.05) as one:
                    await one.start(answer.stream, id="id", open_within=1.0)
            message, error = message_of(await read(other, "id"))
            refused = Answer("x")
            with pytest.raises(JournalUnavailable):
                await one.start(refused.stream)

        assert ("Hel", True, True) == (message.text, answer.closed, refused.stream.closed)
        assert isinstance(error, StreamInterrupted)
        assert "shut down" in str(error)

    async def test_a_journal_that_is_cancelled_writes_last_words(self, opened: Opened) -> None:
        """Also where the program is broken off, streams are closed and readers told."""
        async with opened() as storages, Journal(storages[1]) as other:
            answer = Answer("Hel")
            with anyio.move_on_after(0.1):
                async with Journal(storages[0]) as one:
                    await one.start(answer.stream, id="id")
                    await anyio.sleep_forever()
            message, error = message_of(await read(other, "id"))

        assert ("Hel", True) == (message.text, answer.closed)
        assert isinstance(error, StreamInterrupted)

    async def test_readers_of_others_are_told_when_the_journal_is_left(self, opened: Opened) -> None:
        """Who follows what another process produces is sent away, to come back elsewhere."""
        async with opened() as storages, Journal(storages[1]) as other:
            answer = Answer("Hel")
            await other.start(answer.stream, id="id")
            async with Journal(storages[0]) as one:
                reader = one.follow("id")
                await anext(reader)
            with pytest.raises(JournalUnavailable):
                async for _ in reader:
                    pass
            answer.end()
            assert {"Hel"} == texts_of(await read(other, "id"))

    # -- what stands still -----------------------------------------------------

    async def test_a_storage_that_stands_still_is_told(self, opened: Opened) -> None:
        """A call that never comes back breaks no connection: readers, writers and stops hear of it."""
        async with _two(opened, lease=_LEASE) as (one, other, place, far):
            answer = Answer("Hel")
            id = await one.start(answer.stream)
            reader = other.follow(id)
            for _ in range(3):
                await anext(reader)
            place.dead = far.dead = True
            with anyio.fail_after(5):
                for waits in (anext(reader), anext(other.follow(id)), other.stop(id)):
                    with pytest.raises(JournalUnavailable):
                        await waits
                answer.send("lo")
                await answer.gone.wait()
            place.dead = far.dead = False

    async def test_a_start_that_is_overtaken_by_the_end_is_refused(self, opened: Opened) -> None:
        """The journal is left while the storage begins the answer: its stream is closed, the caller told."""
        async with opened() as (storage, _):
            place, answer, written, told = Place(storage), Answer("Hel"), anyio.Event(), list[Exception]()

            async def create(*given: Any, **options: Any) -> bool:
                made = await storage.create(*given, **options)
                await written.wait()
                return made

            async def start(journal: Journal) -> None:
                try:
                    await journal.start(answer.stream)
                except JournalUnavailable as error:
                    told.append(error)

            place.create = create  # type: ignore[method-assign]
            async with anyio.create_task_group() as tasks:
                async with Journal(place, drain=0.0) as journal:
                    tasks.start_soon(start, journal)
                    await anyio.sleep(0.05)
                written.set()

        assert told
        assert answer.sent == 0

    async def test_a_stream_that_is_not_cancelled_keeps_no_reader(self, opened: Opened) -> None:
        """Readers of a stopped answer hear of its end though its stream goes on, which is left out."""
        freed = anyio.Event()

        async def stubborn() -> AsyncGenerator[TextDelta]:
            yield TextDelta("Hel")
            with anyio.CancelScope(shield=True):
                await freed.wait()
            yield TextDelta("lo")

        async with _two(opened, lease=_LEASE) as (one, other, *_):
            id = await one.start(stubborn())
            reader = other.follow(id)
            await anext(reader)
            assert "stopped" == await other.stop(id)
            with anyio.fail_after(5):
                rest = [entry.record async for entry in reader]
            freed.set()

        assert rest[-1] == b'{"type":"end","ending":"stopped"}'
        assert len(rest) == 2
