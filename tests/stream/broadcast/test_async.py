"""One stream for several consumers, in `async for` loops."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from tests.stream.async_sources import PATIENCE, Scripted
from tests.stream.bodies import ANSWER
from tests.stream.broadcast.support import letters
from tests.support.raised import misuse
from tokenstream import AsyncStream, Stream
from tokenstream.errors import MisuseError
from tokenstream.stream._fan_out.broadcast_async import AsyncBroadcastReader

pytestmark = pytest.mark.anyio


async def paced(count: int) -> AsyncIterator[str]:
    for letter in letters(count):
        await anyio.lowlevel.checkpoint()
        yield letter


async def events_of(reader: AsyncBroadcastReader) -> list[Any]:
    return [event async for event in reader]


async def text_of(reader: AsyncBroadcastReader) -> str:
    return "".join([piece async for piece in reader.text])


async def all_of(*reads: Callable[[], Awaitable[Any]]) -> list[Any]:
    found: dict[int, Any] = {}

    async def run(number: int, read: Callable[[], Awaitable[Any]]) -> None:
        found[number] = await read()

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for number, read in enumerate(reads):
                tasks.start_soon(run, number, read)
    return [found[number] for number in range(len(reads))]


async def test_a_cancelled_leader_hands_the_lead_on() -> None:
    go = anyio.Event()
    source = Scripted("one ", go, "two ")
    async with AsyncStream(source, format="pieces") as stream:
        leader, other = stream.tee(2)
        got: list[str] = []
        text = leader.text
        got.append(await anext(text))

        async def led() -> None:
            with anyio.move_on_after(0.02):
                await anext(text)
            go.set()

        texts = await all_of(led, lambda: text_of(other))
        got.extend([piece async for piece in text])

    assert (["one ", "two "], "one two ") == (got, texts[1])


@pytest.mark.parametrize(("policy", "dropped"), [("wait", 0), ("drop_oldest", 95)])
async def test_a_stalled_reader_is_waited_for_or_not(policy: Any, dropped: int) -> None:
    async with AsyncStream(paced(97), format="pieces") as stream:
        fast, slow = stream.tee(2, policy=policy, size=4)
        done = anyio.Event()

        async def stall() -> int:
            await anext(slow)
            # Where it is waited for, the other one comes to no end meanwhile.
            with anyio.move_on_after(0.05 if policy == "wait" else PATIENCE):
                await done.wait()
            return len(await events_of(slow))

        async def read() -> int:
            await anext(fast)
            count = len(await events_of(fast))
            done.set()
            return count

        counts = await all_of(stall, read)

    assert (99, dropped) == (counts[1], slow.dropped)
    assert 99 == counts[0] + slow.dropped


async def test_a_reader_whose_task_has_ended_is_not_waited_for() -> None:
    """A reader may be held by the error that ended its consumer."""
    async with AsyncStream(paced(20), format="pieces") as stream:
        fast, dead = stream.tee(2, size=3)
        await all_of(lambda: anext(dead))

        assert 23 == len(await events_of(fast))


async def test_a_reader_that_is_closed_by_another_task_ends() -> None:
    go = anyio.Event()
    async with AsyncStream(Scripted("one ", go, "two "), format="pieces") as stream:
        stay, leave = stream.tee(2)

        async def close() -> None:
            await anyio.wait_all_tasks_blocked()
            await leave.aclose()
            go.set()

        texts = await all_of(lambda: text_of(stay), lambda: text_of(leave), close)

    assert "one two " == texts[0]
    assert texts[0].startswith(texts[1])
    with misuse("closed"):
        aiter(leave)


async def test_a_reader_has_the_views_that_act_on_time() -> None:
    go = anyio.Event()
    async with AsyncStream(Scripted("one ", "two ", go, "three"), format="pieces") as stream:
        one, two = stream.tee(2)
        got: list[str] = []

        async def calm() -> None:
            async for piece in two.text.throttle(hz=100):
                got.append(piece)
                if "".join(got) == "one two ":
                    go.set()

        await all_of(calm, lambda: text_of(one))

    assert "one two three" == "".join(got)


async def test_one_reader_is_read_by_one_task_at_a_time() -> None:
    go = anyio.Event()
    async with AsyncStream(Scripted("one ", go), format="pieces") as stream:
        (reader,) = stream.tee(1)
        text = stream.text

        async def second() -> None:
            await anyio.wait_all_tasks_blocked()
            with misuse("concurrent"):
                await reader.final()
            go.set()

        texts = await all_of(lambda: text_of(reader), second)

        assert ("one ", "one ") == (texts[0], await anext(text))


@pytest.mark.slow
async def test_a_thousand_consumers_share_a_stream_and_stalled_ones_delay_nobody() -> None:
    async with AsyncStream(paced(30), format="pieces") as stream:
        hub = stream.broadcast(policy="drop_oldest", size=8)
        stalled = [hub.reader() for _ in range(20)]
        texts = [text_of] * 500
        events = [events_of] * 500

        async def count(read: Callable[[AsyncBroadcastReader], Awaitable[Any]]) -> int:
            return len(await read(hub.reader()))

        for reader in stalled[:10]:
            await anext(reader.text)
        for reader in stalled[10:]:
            await anext(reader)
        counts = await all_of(*(lambda read=read: count(read) for read in [*texts, *events]))
        left = [len(await events_of(reader)) for reader in stalled[10:]]

    assert {len("".join(letters(30)))} == set(counts[:500])
    assert {33} == set(counts[500:])
    assert [8] * 10 == left
    assert {24} == {reader.dropped for reader in stalled[10:]}


@pytest.mark.parametrize("stops", [False, True])
async def test_a_listener_is_told_of_an_end_that_nobody_reads(stops: bool) -> None:
    stream, told = AsyncStream(paced(9), format="pieces"), list[str]()
    async with stream:
        stream.broadcast().listen(lambda: told.append(stream.message.ending))
        await anext(stream.text)
        if stops:
            await anyio.to_thread.run_sync(stream.stop)
            with anyio.fail_after(PATIENCE):
                while told[-1] != "stopped":
                    await anyio.lowlevel.checkpoint()

    assert "stopped" == told[-1]


def test_what_needs_no_event_loop_is_read_in_one_after_the_other(anyio_backend: str) -> None:
    stream = AsyncStream(b"".join(ANSWER))
    one, two = stream.tee(2)
    other = "trio" if anyio_backend == "asyncio" else "asyncio"

    async def first() -> Any:
        return await anext(one)

    async def rest() -> list[Any]:
        return await events_of(one)

    events = [anyio.run(first, backend=anyio_backend), *anyio.run(rest, backend=other)]
    with pytest.raises(StopIteration) as ended:
        text_of(two).send(None)

    assert list(Stream(ANSWER)) == events
    assert "Let me see." == ended.value.value


async def test_readers_in_two_event_loops_are_refused_while_the_first_one_runs(anyio_backend: str) -> None:
    """Nobody could tell the other one of what has come."""
    given = anyio.Event()

    async def source() -> AsyncIterator[bytes]:
        yield ANSWER[0]
        await given.wait()
        for chunk in ANSWER[1:]:
            yield chunk

    async with AsyncStream(source()) as stream:
        here, there = stream.tee(2)
        texts: list[str] = []

        async def read() -> None:
            texts.append((await here.final()).text)

        def read_there() -> None:
            anyio.run(there.final, backend=anyio_backend)

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                await anyio.wait_all_tasks_blocked()
                with pytest.raises(MisuseError, match="read it where it was opened"):
                    await anyio.to_thread.run_sync(read_there)
                given.set()

    assert ["Let me see."] == texts
