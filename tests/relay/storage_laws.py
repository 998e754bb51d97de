"""What the storage of every journal holds to; a kind of storage runs it all by a subclass in its tests."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import anyio
import pytest

from tests.relay.journals import failure_of, journal_fails, until
from tests.support.timing import PATIENCE
from tokenstream.relay.journal import Bounds, Page, State, Storage

Opened: TypeAlias = Callable[..., AbstractAsyncContextManager[tuple[Storage, Storage]]]
"""Opens a new place with the given bounds, and two storages on it, as two processes have them."""

_LONG = 60.0
_SHORT = 0.25
_RECORDS = [b'{"type":"text_delta","text":"%d"}' % number for number in range(1, 8)]


async def _create(storage: Storage, id: str = "a", *, owner: str | None = None, lease: float = _LONG) -> bool:
    return await storage.create(id, owner=owner, token=f"token of {id}", lease=lease)


async def _append(
    storage: Storage, first: int, *records: bytes, id: str = "a", over: bool = False, lease: float = _LONG
) -> None:
    await storage.append(id, f"token of {id}", first, records, lease=lease, over=over)


async def _all(storage: Storage, after: int = 0, id: str = "a") -> list[bytes]:
    page = await storage.read(id, after, 1_000)
    assert page is not None
    return list(page.records)


async def _is_empty(call: Awaitable[object]) -> bool:
    return not await call


async def _state(storage: Storage, id: str = "a") -> State:
    page = await storage.read(id, 0, 0)
    assert page is not None
    return page.state


class StorageLaws:
    """The laws. The module of a subclass has a fixture `opened`, an `Opened`."""

    async def test_the_first_to_create_an_answer_has_it(self, opened: Opened) -> None:
        """Of two producers of an id one wins, running or ended; asked again, it has still won."""
        async with opened() as (one, other):
            assert await one.create("a", owner="ann", token="1", lease=_LONG)
            assert not await other.create("a", owner="bob", token="2", lease=_LONG)
            assert await one.create("a", owner="ann", token="1", lease=_LONG)
            assert await failure_of(other.append("a", "2", 1, [b"{}"], lease=_LONG)) == "fenced"
            assert await failure_of(other.beat("a", "2", lease=_LONG)) == "fenced"
            assert "ann" == (await _state(other)).owner

            await one.append("a", "1", 1, [b"{}"], lease=_LONG, over=True)

            assert not await other.create("a", owner="bob", token="2", lease=_LONG)
            assert [b"{}"] == await _all(other)

    async def test_many_at_once_create_one_answer(self, opened: Opened) -> None:
        won: list[str] = []

        async def create(storage: Storage, token: str) -> None:
            if await storage.create("a", owner=None, token=token, lease=_LONG):
                won.append(token)

        async with opened() as storages, anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(create, storages[number % 2], str(number))

        assert 1 == len(won)

    async def test_records_are_read_as_they_were_written(self, opened: Opened) -> None:
        records = [*_RECORDS, "ü\ud83c".encode("utf-8", "surrogatepass"), bytes(range(256))]
        async with opened() as (one, other):
            await _create(one, owner="ann")
            assert Page(State("ann", 1, 0, over=False, alive=True), 1, ()) == await other.read("a", 0, 9)
            await _append(one, 1, *records[:3])
            await _append(one, 4, *records[3:])
            for after in range(len(records) + 1):
                assert records[after:] == await _all(other, after)
            page = await other.read("a", 1, 2)

            state = State("ann", 1, len(records), over=False, alive=True)
            assert Page(state, 2, tuple(records[1:3])) == page
            assert [] == await _all(other, 99)

    async def test_writing_again_changes_nothing(self, opened: Opened) -> None:
        """What a producer repeats, since it does not know whether it was written, is there once."""
        async with opened() as (one, other):
            await _create(one)
            await _append(one, 1, *_RECORDS[:2])
            await _append(one, 1, *_RECORDS[:2])
            await _append(one, 2, *_RECORDS[1:4])
            await _append(one, 5, *_RECORDS[4:], over=True)
            await _append(one, 5, *_RECORDS[4:], over=True)

            assert _RECORDS == await _all(other)
            assert (await _state(other)).over

    async def test_nothing_is_written_after_a_gap_or_an_end(self, opened: Opened) -> None:
        """A gap tells the producer that the storage lost records, and an end that somebody else wrote it."""
        async with opened() as (one, _):
            assert await failure_of(_append(one, 1, b"{}")) == "fenced"
            await _create(one)
            assert await failure_of(_append(one, 2, b"{}")) == "fenced"
            await _append(one, 1, b"1", over=True)
            assert await failure_of(_append(one, 2, b"2")) == "fenced"

            assert [b"1"] == await _all(one)

    async def test_an_end_needs_no_records(self, opened: Opened) -> None:
        async with opened() as (one, other):
            await _create(one)
            await _append(one, 1, over=True)

            assert State(None, 1, 0, over=True, alive=False) == await _state(other)

    async def test_the_oldest_records_are_trimmed(self, opened: Opened) -> None:
        """Beyond the bound the oldest go; what is read begins at `begin` or tells that it was trimmed."""
        async with opened(max_bytes=1_000) as (one, other):
            await _create(one)
            for first in range(1, 1_000, 5):
                await _append(one, first, *(b"%0100d" % number for number in range(first, first + 5)))
            state = await _state(other)
            held = await _all(other, state.begin - 1)
            behind = await other.read("a", state.begin - 2, 100)
            await _append(one, 1_001, bytes(5_000))

            # A storage may trim in blocks.
            assert 1_000 == state.end
            assert 1 < state.begin
            assert len(held) * 100 <= 20_000
            assert [b"%0100d" % number for number in range(state.begin, 1_001)] == held
            assert behind is not None
            assert () == behind.records
            assert [bytes(5_000)] == await _all(other, 1_000)

    async def test_a_producer_is_alive_as_long_as_its_lease(self, opened: Opened) -> None:
        """A beat and a record are heartbeats; without one for a lease the producer is dead."""
        async with opened() as (one, other):
            await _create(one, lease=0.0)
            assert not (await _state(other)).alive
            assert None is await one.beat("a", "token of a", lease=_LONG)
            assert (await _state(other)).alive
            await _append(one, 1, b"{}", lease=_SHORT)

            async def dead() -> bool:
                return not (await _state(other)).alive

            await until(dead)

    async def test_the_dead_are_buried_once(self, opened: Opened) -> None:
        """Who finds a dead producer ends its answer; it counts once, and the producer is fenced off."""
        async with opened() as (one, other):
            assert not await other.bury("a", [b"end"])
            await _create(one)
            await _append(one, 1, b"1")
            assert not await other.bury("a", [b"end"])
            await one.beat("a", "token of a", lease=0.0)

            assert [True, False] == [await other.bury("a", [b"end"]), await one.bury("a", [b"END"])]
            assert [b"1", b"end"] == await _all(other)
            assert State(None, 1, 2, over=True, alive=False) == await _state(other)
            assert await failure_of(one.beat("a", "token of a", lease=_LONG)) == "fenced"
            assert await failure_of(_append(one, 2, b"2")) == "fenced"
            assert "ended" == await other.ask_stop("a", "why")

    async def test_an_answer_that_was_ended_is_not_buried(self, opened: Opened) -> None:
        """An end that was written stands, however long ago its producer was heard."""
        async with opened() as (one, other):
            await _create(one, lease=0.0)
            await _append(one, 1, b"1", over=True, lease=0.0)

            assert not await other.bury("a", [b"end"])
            assert [b"1"] == await _all(other)

    async def test_what_is_kept_is_for_the_next_producer(self, opened: Opened) -> None:
        """The next one has what the last has kept; an answer in memory has no other producer."""
        async with opened() as (one, other):
            await one.create("a", owner=None, token="1", lease=_LONG)
            for number, kept in enumerate([b"first", b"", bytes(range(256))], 1):
                await one.keep("a", str(number), kept)
                await other.keep("a", "another", b"another's")
                given: dict[str, Any] = {"token": str(number + 1), "before": str(number), "wait": 0.0}
                taken = await other.take_over("a", owner=None, lease=_LONG, **given)

                assert ((0, kept) if one.is_shared else (-1, b"")) == taken
                assert [] == await _all(other)

    async def test_a_stop_is_asked_for_from_anywhere(self, opened: Opened) -> None:
        """The producer hears the first reason at its next beat, and who asks whether one was running."""
        async with opened() as (one, other):
            assert "unknown" == await other.ask_stop("a", "why")
            await _create(one)
            assert None is await one.beat("a", "token of a", lease=_LONG)
            assert "asked" == await other.ask_stop("a", "enough – 🌊")
            assert "asked" == await one.ask_stop("a", "later")
            assert "enough – 🌊" == await one.beat("a", "token of a", lease=_LONG)
            await _append(one, 1, b"1", over=True)

            assert "ended" == await other.ask_stop("a", "why")

    async def test_who_waits_is_told(self, opened: Opened) -> None:
        """A wait ends with a record, with the end, with a stop, and at once where there is no answer."""
        async with opened() as (one, other):
            for wait in (other.wait("?", 0), other.wait_stop("?")):
                with anyio.fail_after(PATIENCE):
                    await wait
            await _create(one)

            async def after(act: Callable[[], Any], wait: Callable[[], Any]) -> None:
                async def act_soon() -> None:
                    await anyio.wait_all_tasks_blocked()
                    await act()

                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(act_soon)
                    with anyio.fail_after(PATIENCE):
                        await wait()

            await after(lambda: _append(one, 1, b"1"), lambda: other.wait("a", 0))
            await after(lambda: _append(one, 2, b"2"), lambda: other.wait("a", 1))
            with anyio.fail_after(PATIENCE):
                await other.wait("a", 0)
            await after(lambda: other.ask_stop("a", "why"), lambda: one.wait_stop("a"))
            await after(lambda: _append(one, 3, over=True), lambda: other.wait("a", 2))
            with anyio.fail_after(PATIENCE):
                await other.wait("a", 2)

    @pytest.mark.slow
    async def test_an_answer_expires(self, opened: Opened) -> None:
        """Some time after its end, and not before, its records are gone; for as long again it is known."""
        async with opened(expire=1.0) as (one, other):
            await _create(one)
            await _create(one, "b")
            await _append(one, 1, b"b", id="b")
            await _append(one, 1, b"1", b"2", over=True)
            assert [b"1", b"2"] == await _all(other)
            await until(lambda: _is_empty(_all(other)))

            gone = State(None, 3, 2, over=True, alive=False)
            assert [Page(gone, 1, ()), Page(gone, 3, ())] == [await other.read("a", at, 9) for at in (0, 2)]
            assert "ended" == await other.ask_stop("a", "why")
            assert not await other.create("a", owner=None, token="another", lease=_LONG)
            await until(lambda: _is_empty(other.read("a", 0, 1)))

            assert "unknown" == await other.ask_stop("a", "why")
            assert await failure_of(one.beat("a", "token of a", lease=_LONG)) == "fenced"
            # The one that has not ended is there as before.
            assert [b"b"] == await _all(other, id="b")
            assert await _create(other)

    async def test_one_owner_has_so_many_running_answers(self, opened: Opened) -> None:
        """In all processes together; an answer that is there is no new one, and others have their limits."""
        async with opened(per_owner=Bounds(running=2)) as (one, other):
            assert await _create(one, "a", owner="ann")
            assert await _create(other, "b", owner="ann")
            for storage in (one, other):
                with journal_fails("too_many_answers", match="2"):
                    await _create(storage, "c", owner="ann")
            assert await _create(one, "a", owner="ann")
            assert not await other.create("a", owner="ann", token="2", lease=_LONG)
            assert await _create(one, "d", owner="bob")
            for number in range(5):
                assert await _create(other, f"none {number}")
            assert not await one.create("a", owner="bob", token="2", lease=_LONG)
            assert await _create(one, "e", owner="bob")

            await _append(one, 1, b"1", id="a", over=True)
            assert await _create(other, "c", owner="ann")
            assert await failure_of(_create(one, "f", owner="ann")) == "too_many_answers"
            await other.beat("b", "token of b", lease=0.0)
            assert await _create(one, "f", owner="ann")

    async def test_an_empty_text_is_an_owner_as_any_other(self, opened: Opened) -> None:
        async with opened(per_owner=Bounds(running=1)) as (one, other):
            assert await _create(one, "a", owner="ann")
            assert not await other.create("a", owner="", token="2", lease=_LONG)
            assert await _create(other, "b", owner="")
            for owner in ("", "ann"):
                assert await failure_of(_create(one, "c", owner=owner)) == "too_many_answers"

    async def test_one_owner_keeps_so_many_answers(self, opened: Opened) -> None:
        async with opened(per_owner=Bounds(kept=3)) as (one, other):
            for owner, id in (("bob", "b"), (None, "n"), ("ann", "runs")):
                await _create(one, id, owner=owner)
                await _append(one, 1, b"1", id=id, over=id != "runs")
            for number in range(6):
                storage = (one, other)[number % 2]
                await _create(storage, str(number), owner="ann")
                await _append(storage, 1, b"1", id=str(number), over=True)
            for number in range(6):
                await _create(one, f"none {number}")
                await _append(one, 1, b"1", id=f"none {number}", over=True)

            ids = ["b", "n", "runs", *map(str, range(6))]
            there = [id for id in ids if await other.read(id, 0, 0) is not None]
            assert ["b", "n", "runs", "4", "5"] == there
            assert 6 == len([number for number in range(6) if await one.read(f"none {number}", 0, 0)])

    async def test_one_owner_keeps_so_many_bytes(self, opened: Opened) -> None:
        async with opened(per_owner=Bounds(bytes=1_000)) as (one, other):
            for owner, id in (("bob", "b"), (None, "n")):
                await _create(one, id, owner=owner)
                await _append(one, 1, b"x" * 900, id=id, over=True)
            for number in range(4):
                await _create(other, str(number), owner="ann")
                await _append(other, 1, b"x" * 400, id=str(number), over=True)
            await _create(one, "last", owner="ann")

            pages = [await one.read(id, 0, 9) for id in ("b", "n", "0", "1", "2", "3")]
            assert [900, 900, 0, 0, 400, 400] == [
                0 if page is None else sum(map(len, page.records)) for page in pages
            ]

    async def test_a_key_stands_for_one_answer(self, opened: Opened) -> None:
        """In all processes, for each owner; another answer replaces only the one that it names."""
        async with opened() as (one, other):
            assert "1" == await one.claim_key("k", "1", owner="ann")
            assert "1" == await other.claim_key("k", "2", owner="ann")
            assert ["3", "4"] == [
                await other.claim_key("k", id, owner=who) for id, who in (("3", "bob"), ("4", None))
            ]
            assert "1" == await one.claim_key("k", "5", owner="ann", instead_of="2")
            assert "5" == await one.claim_key("k", "5", owner="ann", instead_of="1")
            assert "5" == await other.claim_key("k", "6", owner="ann", instead_of="1")
            assert ["3", "4"] == [await one.claim_key("k", "7", owner=who) for who in ("bob", None)]
            assert "8" == await one.claim_key("l", "8", owner="ann", instead_of="5")

    async def test_many_at_once_claim_a_key(self, opened: Opened) -> None:
        held: set[str] = set()

        async def claim(storage: Storage, id: str) -> None:
            held.add(await storage.claim_key("k", id, owner=None))

        async with opened() as storages, anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(claim, storages[number % 2], str(number))

        assert 1 == len(held)

    async def test_the_keys_of_one_owner_have_a_bound(self, opened: Opened) -> None:
        async with opened(per_owner=Bounds(kept=5)) as (one, other):
            assert ["b", "n"] == [
                await one.claim_key("k", id, owner=who) for id, who in (("b", "bob"), ("n", None))
            ]
            for number in range(60):
                await other.claim_key(str(number), str(number), owner="ann")

            assert ["b", "n"] == [await one.claim_key("k", "x", owner=who) for who in ("bob", None)]
            assert "59" == await one.claim_key("59", "x", owner="ann")

    async def test_answers_do_not_know_each_other(self, opened: Opened) -> None:
        """Ids of all kinds, also such that contain each other, name answers of their own."""
        ids = ["a", "a:b", "a:b:c", "{a}", "{a}:b", "ü 🌊", "a*", "../a", "x" * 256]
        async with opened() as (one, other):
            for number, id in enumerate(ids):
                assert await _create(one, id, owner=str(number))
                await _append(one, 1, b"%d" % number, id=id)
            for number, id in enumerate(ids):
                assert [b"%d" % number] == await _all(other, id=id)
                assert str(number) == (await _state(other, id)).owner

    async def test_whatever_is_done_in_whatever_order(self, opened: Opened) -> None:
        """Random acts of two processes leave what a list of records would hold."""
        for seed in range(6):
            await self._act(opened, random.Random(seed))

    async def _act(self, opened: Opened, source: random.Random) -> None:
        async with opened() as storages:
            written: list[bytes] = []
            reason, over = None, False
            await _create(storages[0])
            for _ in range(40):
                storage = source.choice(storages)
                match source.randrange(12):
                    case 0 if not over:
                        assert "asked" == await storage.ask_stop("a", str(len(written)))
                        reason = reason or str(len(written))
                    case 1:
                        assert reason == await storage.beat("a", "token of a", lease=_LONG)
                    case 2:
                        assert await _create(storage)
                    case 3 | 4 | 5 | 6 if not over:
                        again = source.randint(0, min(len(written), 3))
                        new = [source.choice(_RECORDS) for _ in range(source.randint(0, 4))]
                        first = len(written) - again + 1
                        over = source.random() < 0.1
                        records = [*written[len(written) - again :], *new]
                        await _append(storage, first, *records, over=over)
                        written += new
                    case _:
                        after = source.randint(0, len(written) + 2)
                        limit = source.randint(0, 5)
                        page = await storage.read("a", after, limit)
                        state = State(None, 1, len(written), over=over, alive=not over)
                        assert Page(state, after + 1, tuple(written[after : after + limit])) == page
