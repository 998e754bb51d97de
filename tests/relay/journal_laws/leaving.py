"""What every journal holds to: how it is left, and storages that stand still."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest

from tests.relay.journal_laws.support import LEASE, two_journals
from tests.relay.journals import (
    Answer,
    Place,
    begin,
    failure_of,
    journal_fails,
    message_of,
    read,
    read_into,
    texts_of,
    until,
)
from tests.relay.storage_laws import Opened
from tests.support.timing import PATIENCE
from tokenstream.errors import StreamInterrupted
from tokenstream.events import TextDelta
from tokenstream.relay.journal import Entry, Journal, JournalError


class LeavingLaws:
    """A journal that is left or stands still holds up no reader and no producer."""

    # -- shutdown ------------------------------------------------------------

    async def test_producers_run_on_when_the_journal_is_left(self, opened: Opened) -> None:
        async with opened() as storages, Journal(storages[1]) as other:
            answer, found = Answer("Hel"), list[Entry]()

            async def send() -> None:
                await anyio.sleep(0.1)
                answer.send("lo", over=True)

            async with anyio.create_task_group() as tasks:
                with anyio.fail_after(PATIENCE):
                    async with Journal(storages[0], drain=5.0) as one:
                        await one.start(answer.stream, id="id")
                        tasks.start_soon(read_into, found, other, "id")
                        tasks.start_soon(send)
                        await anyio.wait_all_tasks_blocked()

        assert {"Hello"} == texts_of(found)
        assert "complete" == message_of(found)[0].ending

    async def test_what_does_not_end_in_time_is_interrupted(self, opened: Opened) -> None:
        """Behind `drain` the stream is closed, and readers everywhere hear that the server was shut down."""
        async with opened() as storages, Journal(storages[1]) as other:
            answer = Answer("Hel")
            with anyio.fail_after(PATIENCE):
                async with Journal(storages[0], drain=0.05) as one:
                    await one.start(answer.stream, id="id", open_within=1.0)
            message, error = message_of(await read(other, "id"))
            refused = Answer("x")
            assert await failure_of(one.start(refused.stream)) == "closed"

        assert ("Hel", True, True) == (message.text, answer.closed, refused.stream.closed)
        assert isinstance(error, StreamInterrupted)
        assert "shut down" in str(error)

    async def test_a_journal_that_is_cancelled_writes_last_words(self, opened: Opened) -> None:
        async with opened() as storages, Journal(storages[1]) as other:
            answer = Answer("Hel")

            async def is_written() -> bool:
                page = await storages[1].read("id", 0, 9)
                return page is not None and b"Hel" in b"".join(page.records)

            with anyio.CancelScope() as scope:
                async with Journal(storages[0]) as one:
                    await one.start(answer.stream, id="id")
                    await until(is_written)
                    scope.cancel()
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
            with journal_fails("closed"):
                async for _ in reader:
                    pass
            answer.end()
            assert {"Hel"} == texts_of(await read(other, "id"))

    # -- what stands still -----------------------------------------------------

    @pytest.mark.slow
    async def test_a_storage_that_stands_still_is_reported(self, opened: Opened) -> None:
        """A call that never comes back breaks no connection: readers, writers and stops hear of it."""
        async with two_journals(opened, lease=LEASE) as (one, other, place, far):
            answer, id, reader, _ = await begin(one, other)
            place.dead = far.dead = True
            with anyio.fail_after(PATIENCE):
                for waits in (anext(reader), anext(other.follow(id)), other.stop(id)):
                    assert await failure_of(waits) == "unavailable"
                answer.send("lo")
                await answer.gone.wait()
            place.dead = far.dead = False

    async def test_a_start_that_is_overtaken_by_the_end_is_refused(self, opened: Opened) -> None:
        """The journal is left while the storage begins the answer: its stream is closed, the caller told."""
        async with opened() as (storage, _):
            place, answer, told = Place(storage), Answer("Hel"), list[Exception]()
            begun, written = anyio.Event(), anyio.Event()

            async def create(*given: Any, **options: Any) -> bool:
                made = await storage.create(*given, **options)
                begun.set()
                await written.wait()
                return made

            async def start(journal: Journal) -> None:
                try:
                    await journal.start(answer.stream)
                except JournalError as error:
                    told.append(error)

            place.create = create  # type: ignore[method-assign]
            async with anyio.create_task_group() as tasks:
                async with Journal(place, drain=0.0) as journal:
                    tasks.start_soon(start, journal)
                    await begun.wait()
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

        # A busy machine lets a short lease run out, and then nobody is left to be stopped.
        async with two_journals(opened, lease=4 * LEASE) as (one, other, *_):
            try:
                id = await one.start(stubborn())
                reader = other.follow(id)
                await anext(reader)
                assert "stopped" == await other.stop(id)
                with anyio.fail_after(PATIENCE):
                    rest = [entry.record async for entry in reader]
            finally:
                # The journal waits for its streams.
                freed.set()

        assert rest[-1] == b'{"type":"end","ending":"stopped"}'
        assert len(rest) == 2
