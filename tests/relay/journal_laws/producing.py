"""What every journal holds to: producers, and stops from any process."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest

from tests.relay.journal_laws.support import two_journals
from tests.relay.journals import Answer, begin, message_of, read, records_of, texts_of
from tests.relay.storage_laws import Opened
from tests.support.timing import PATIENCE
from tokenstream.errors import ProviderError
from tokenstream.events import StepDone, StepStart, Stopped, TextDelta


class ProducingLaws:
    """One producer writes an answer, and ends it for all."""

    # -- producing -----------------------------------------------------------

    async def test_ids_are_unguessable(self, opened: Opened) -> None:
        """Where none is given, an id has 192 random bits."""
        async with two_journals(opened) as (one, *_):
            ids = {await one.start(Answer("x", over=True).stream) for _ in range(5)}

        assert 5 == len(ids)
        assert all(len(id) == 32 for id in ids)

    async def test_of_two_producers_of_one_id_one_wins(self, opened: Opened) -> None:
        async with two_journals(opened) as (one, other, *_):
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

    async def test_an_upstream_that_fails_is_reported_to_all(self, opened: Opened) -> None:
        async def failing() -> AsyncGenerator[Any]:
            yield TextDelta("Hel")
            raise ProviderError("private words", kind="overloaded")

        async with two_journals(opened) as (one, other, *_):
            id = await one.start(failing())
            found = [await read(journal, id) for journal in (one, other, one)]

        for entries in found:
            message, error = message_of(entries)
            assert "Hel" == message.text
            assert isinstance(error, ProviderError)
            assert "overloaded" == error.kind
            assert b"private" not in b"".join(records_of(entries))

    async def test_events_without_a_message_end_as_they_tell(self, opened: Opened) -> None:
        """A run that failed, and an answer that was stopped, are not told as complete."""

        async def told(*events: Any) -> AsyncGenerator[Any]:
            for event in events:
                yield event

        run = StepStart("s1", "plan"), TextDelta("Hel")
        async with two_journals(opened) as (one, other, *_):
            failed = await one.start(told(*run, StepDone("s1", "failed")))
            stopped = await one.start(told(*run, StepDone("s1", "stopped")))
            done = await one.start(told(*run, StepDone("s1")))
            guarded = await one.start(told(TextDelta("Hel"), Stopped("enough")))
            last = [records_of(await read(other, id))[-1] for id in (failed, stopped, done, guarded)]

        found = [json.loads(record) for record in last]
        assert ["error", "end", "end", "end"] == [record["type"] for record in found]
        assert ["failed", "stopped", "complete", "stopped"] == [record["ending"] for record in found]

    async def test_a_bug_in_one_answer_ends_no_other(self, opened: Opened) -> None:
        async def broken() -> AsyncGenerator[Any]:
            yield TextDelta("Hel")
            raise ZeroDivisionError("private words")

        async with two_journals(opened) as (one, other, *_):
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

        async with two_journals(opened) as (one, other, *_):
            with pytest.raises(ProviderError) as caught:
                await one.start(refused(), id="refused", open_within=5.0)
            slow = Answer()
            with anyio.fail_after(PATIENCE):
                id = await one.start(slow.stream, open_within=0.01)
            slow.send("Hello", over=True)

            assert 3.0 == caught.value.retry_after
            assert isinstance(message_of(await read(other, "refused"))[1], ProviderError)
            assert {"Hello"} == texts_of(await read(other, id))

    async def test_a_start_that_is_cancelled_stops_nothing(self, opened: Opened) -> None:
        """A client that leaves while its request waits for the first event leaves the answer to others."""
        async with two_journals(opened) as (one, other, *_):
            answer = Answer()
            with anyio.move_on_after(0.05):
                await one.start(answer.stream, id="id", open_within=20.0)
            answer.send("Hello", over=True)

            assert {"Hello"} == texts_of(await read(other, "id"))

    # -- stops ---------------------------------------------------------------

    async def test_a_stop_works_from_every_process(self, opened: Opened) -> None:
        for which in (0, 1):
            async with two_journals(opened) as (one, other, *_):
                answer, id, reader, entries = await begin(one, other, owner="ann")
                with anyio.fail_after(PATIENCE):
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
        closed: list[bool] = []

        async def waiting() -> AsyncGenerator[Any]:
            try:
                yield TextDelta("Hel")
                await anyio.sleep_forever()
            finally:
                closed.append(True)

        async with two_journals(opened) as (one, other, *_):
            id = await one.start(waiting(), open_within=5.0)
            assert "stopped" == await other.stop(id)
            message, _ = message_of(await read(other, id))

        assert ("Hel", "stopped", [True]) == (message.text, message.ending, closed)
