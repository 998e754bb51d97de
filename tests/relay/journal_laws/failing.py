"""What every journal holds to: producers that die, storages that fail, and misuse."""

from __future__ import annotations

from typing import Any, cast

import anyio
import pytest

from tests.relay.journal_laws.support import LEASE, two_journals
from tests.relay.journals import (
    Answer,
    begin,
    failure_of,
    journal_fails,
    message_of,
    read,
    read_into,
    records_of,
    texts_of,
)
from tests.relay.storage_laws import Opened
from tests.support.timing import PATIENCE
from tokenstream import Stream
from tokenstream.errors import MisuseError, StreamInterrupted
from tokenstream.relay.journal import Entry


class FailureLaws:
    """Failures of producers and storages reach whoever they concern, and nobody else."""

    @pytest.mark.slow
    async def test_a_dead_producer_is_reported_within_the_lease(self, opened: Opened) -> None:
        async with two_journals(opened, lease=LEASE) as (one, other, place, _):
            _, id, reader, entries = await begin(one, other)
            place.dead = True
            with anyio.fail_after(LEASE * 2):
                entries += [entry async for entry in reader]
            message, error = message_of(entries)
            again = await read(other, id)
            place.dead = False

            assert "Hel" == message.text
            assert isinstance(error, StreamInterrupted)
            assert error.retryable
            assert records_of(entries) == records_of(again)

    @pytest.mark.slow
    async def test_a_producer_that_was_declared_dead_gives_up(self, opened: Opened) -> None:
        async with two_journals(opened, lease=LEASE) as (one, other, place, _):
            answer, id, *_ = await begin(one, other)
            place.away = True
            entries = await read(other, id)
            answer.send("lo")
            place.away = False
            with anyio.fail_after(PATIENCE):
                await answer.gone.wait()

            assert isinstance(message_of(entries)[1], StreamInterrupted)
            assert records_of(entries) == records_of(await read(one, id))

    @pytest.mark.slow
    async def test_a_silent_model_is_not_taken_for_dead(self, opened: Opened) -> None:
        """A producer that waits sends heartbeats."""
        found: list[Entry] = []
        async with two_journals(opened, lease=LEASE) as (one, other, *_):
            answer = Answer("Hel")
            id = await one.start(answer.stream)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read_into, found, other, id)
                # Nothing is to happen: the answer is not ended while its producer is silent.
                await anyio.sleep(2 * LEASE)
                answer.send("lo", over=True)

        assert {"Hello"} == texts_of(found)

    @pytest.mark.slow
    async def test_a_storage_that_comes_back_costs_nothing(self, opened: Opened) -> None:
        async with two_journals(opened, lease=4.0) as (one, other, place, far):
            answer = Answer("Hel")
            id = await one.start(answer.stream)
            found: list[Entry] = []
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read_into, found, other, id)
                await anyio.wait_all_tasks_blocked()
                for _ in range(2):
                    place.away = far.away = True
                    answer.send("lo")
                    await anyio.sleep(0.1)
                    place.away = far.away = False
                    await anyio.sleep(0.1)
                answer.end()

        assert {"Hellolo"} == texts_of(found)
        assert [*range(1, len(found) + 1)] == [entry.position for entry in found]

    @pytest.mark.slow
    async def test_a_storage_that_tells_no_news_is_read_again(self, opened: Opened) -> None:
        """News are only hints: a reader that gets none is late, and misses nothing."""
        async with two_journals(opened) as (one, other, _, far):
            far.mute = True
            answer, _, reader, entries = await begin(one, other)
            answer.send("lo", over=True)
            with anyio.fail_after(PATIENCE):
                entries += [entry async for entry in reader]

        assert ("Hello", "complete") == (message_of(entries)[0].text, message_of(entries)[0].ending)

    @pytest.mark.slow
    async def test_a_storage_that_stays_away_is_reported(self, opened: Opened) -> None:
        async with two_journals(opened, lease=LEASE) as (one, other, place, far):
            answer, id, reader, _ = await begin(one, other)
            place.away = far.away = True
            answer.send("lo")
            with anyio.fail_after(PATIENCE), journal_fails("unavailable") as caught:
                async for _ in reader:
                    pass
            with anyio.fail_after(PATIENCE):
                await answer.gone.wait()
            assert await failure_of(read(other, id)) == "unavailable"
            refused = Answer("x")
            assert await failure_of(one.start(refused.stream)) == "unavailable"

            assert 503 == caught.value.status
            assert refused.stream.closed

    @pytest.mark.slow
    async def test_a_storage_with_a_bug_ends_its_own_answers_alone(self, opened: Opened) -> None:
        async with two_journals(opened, lease=LEASE) as (one, other, place, _):
            fine = Answer("fine")
            good = await other.start(fine.stream)
            answer, id, reader, _ = await begin(one, one)
            place.broken = True
            answer.send("lo")
            with anyio.fail_after(PATIENCE), journal_fails("unavailable"):
                async for _ in reader:
                    pass
            with anyio.fail_after(PATIENCE):
                await answer.gone.wait()
            place.broken = False
            fine.end()

            assert {"fine"} == texts_of(await read(one, good))
            assert isinstance(message_of(await read(one, id))[1], StreamInterrupted)

    async def test_what_is_no_async_stream_is_misuse(self, opened: Opened) -> None:
        async with two_journals(opened) as (one, *_):
            with Stream(["x"], format="pieces") as stream, pytest.raises(MisuseError):
                await one.start(cast("Any", stream))
            with pytest.raises(MisuseError):
                await one.start(cast("Any", 7))
