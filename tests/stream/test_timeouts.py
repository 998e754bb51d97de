"""Timeouts around `anext`, and any other cancelled read: nothing is lost, nothing given twice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stream.async_sources import END, HEL, KINDS, begun, first_text, is_closed, open_after, serving
from tests.stream.bodies import chunk
from tests.support import wire
from tests.support.effort import examples
from tests.support.either import inside
from tests.support.loopback import Loopback, until_close
from tokenstream import AsyncStream, Deadlines, aconnect
from tokenstream.errors import StreamInterrupted, StreamStalled
from tokenstream.events import TextDelta

pytestmark = pytest.mark.anyio
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])
on_trio = pytest.mark.parametrize("anyio_backend", ["trio"])

PATIENCE = 0.006
"""Seconds that a read may take."""
PIECES = [f"{number} " for number in range(11)]
BODY = [wire.chat({"content": piece}) for piece in PIECES]


class Gates:
    """Has each piece sent only after a read that waits for it was given up."""

    def __init__(self) -> None:
        self._gates = [threading.Event() for _ in BODY]
        self.script: list[Any] = [step for gated in zip(self._gates, BODY, strict=True) for step in gated]

    def given_up(self, stream: AsyncStream) -> None:
        """Open the gate of the piece that was waited for."""
        number = stream.message.text.count(" ")
        if number < len(self._gates):
            self._gates[number].set()


async def read_in_bits(stream: AsyncStream, view: Any, gates: Gates) -> tuple[list[Any], int]:
    items, timeouts = [], 0
    reading = aiter(view)
    while True:
        try:
            with anyio.fail_after(PATIENCE):
                items.append(await anext(reading))
        except TimeoutError:
            timeouts += 1
            gates.given_up(stream)
        except StopAsyncIteration:
            return items, timeouts


@pytest.mark.parametrize("kind, view", [*[(kind, False) for kind in KINDS], ("aconnect", True)])
async def test_timeouts_around_anext_inside_a_block_lose_nothing(kind: str, view: bool) -> None:
    gates = Gates()
    async with begun(kind, serving(*gates.script, END)) as (stream, server), stream:
        items, timeouts = await read_in_bits(stream, stream.text if view else stream, gates)
        texts = items if view else [item.text for item in items if isinstance(item, TextDelta)]

        assert texts == PIECES
        assert timeouts >= len(PIECES)
        assert (stream.message.text, stream.message.ending) == ("".join(PIECES), "complete")
        assert is_closed(server)


@on_asyncio
@pytest.mark.parametrize("kind", ["aconnect", "httpx", "generator"])
@pytest.mark.parametrize("how", ["fail_after", "timeout", "wait_for"])
async def test_timeouts_around_anext_on_asyncio_need_no_block(kind: str, how: str) -> None:
    gates = Gates()
    script = [0.02, *until_close(), *gates.script, END]
    async with begun(kind, Loopback(script)) as (stream, server):
        texts: list[str] = []
        timeouts = 0
        while True:
            try:
                if how == "wait_for":
                    event = await asyncio.wait_for(anext(stream), PATIENCE)
                else:
                    within: Any = asyncio.timeout if how == "timeout" else anyio.fail_after
                    async with inside(within(PATIENCE)):
                        event = await anext(stream)
            except TimeoutError:
                timeouts += 1
                gates.given_up(stream)
            except StopAsyncIteration:
                break
            else:
                texts += [event.text] if isinstance(event, TextDelta) else []
        assert texts == PIECES
        assert timeouts >= len(PIECES)
        assert stream.message.ending == "complete"
        assert len(server.connections) == 1
        assert is_closed(server)


@on_trio
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "class"])
async def test_a_cancelled_read_on_trio_outside_a_block_is_never_a_clean_end(kind: str) -> None:
    async with begun(kind, open_after(HEL)) as (stream, server):
        assert await first_text(stream) == "Hel"
        with anyio.move_on_after(0.02):
            await anext(stream)
        with pytest.raises(StreamInterrupted, match="cancelled") as caught:
            await anext(stream)

        assert caught.value.partial.text == "Hel"
        assert stream.message.ending == "truncated"
        assert is_closed(server)


@pytest.mark.slow
@on_trio
async def test_a_source_that_survives_goes_on_without_a_block() -> None:
    gates = Gates()
    async with begun("class", serving(*gates.script, END)) as (stream, _):
        items, timeouts = await read_in_bits(stream, stream.text, gates)

        assert items == PIECES
        assert timeouts >= len(PIECES)


@on_trio
async def test_what_was_read_outside_a_block_goes_on_in_one() -> None:
    gates = Gates()
    with serving(HEL, *gates.script, END) as server:
        stream = aconnect(server.url)
        assert await first_text(stream) == "Hel"
        async with stream:
            items, timeouts = await read_in_bits(stream, stream.text, gates)
            assert timeouts >= len(PIECES)
        assert "".join(items) == "".join(["Hel", *PIECES])


# -- any interleaving ------------------------------------------------------------------


class Clockwork:
    """Gives chunks after turns of the loop, and is over for good once it was cancelled."""

    def __init__(self, turns: list[int]) -> None:
        self._chunks = iter([*[chunk({"content": f"{number} "}) for number in range(len(turns))], END])
        self._turns = iter([*turns, 1])

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for turns in self._turns:
            try:
                for _ in range(turns):
                    await anyio.lowlevel.checkpoint()
            except BaseException:
                self._turns = iter(())
                raise
            return next(self._chunks)
        raise StopAsyncIteration


async def read_with(turns: list[int], patience: list[int], native: bool) -> tuple[list[str], str]:
    """Read, and cancel reads after so many turns of the loop; the last ones are not cancelled."""
    source = Clockwork(turns)
    texts: list[str] = []
    limits = iter(patience)
    async with AsyncStream(source) as stream:
        view = stream.text
        while True:
            limit = next(limits, None)
            try:
                if limit is None:
                    texts.append(await anext(view))
                elif native:
                    texts += await cancelled_natively(view, limit)
                else:
                    texts += await cancelled_by_scope(view, limit)
            except StopAsyncIteration:
                break
        return texts, stream.message.text


async def cancelled_natively(view: AsyncIterator[str], turns: int) -> list[str]:
    async def read() -> list[str]:
        try:
            return [await anext(view)]
        except StopAsyncIteration:
            # No task may end with that.
            return []

    task = asyncio.create_task(read())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return [] if task.cancelled() else task.result()


async def cancelled_by_scope(view: AsyncIterator[str], turns: int) -> list[str]:
    got: list[str] = []

    async def read(scope: anyio.CancelScope) -> None:
        with scope:
            try:
                got.append(await anext(view))
            except StopAsyncIteration:
                return

    scope = anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read, scope)
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        scope.cancel()
    return got


@pytest.mark.parametrize("backend, native", [("asyncio", True), ("asyncio", False), ("trio", False)])
@examples(60)
@given(turns=st.lists(st.integers(0, 6), max_size=12), patience=st.lists(st.integers(0, 6), max_size=25))
def test_no_cancellation_loses_or_doubles_anything(
    backend: str, native: bool, turns: list[int], patience: list[int]
) -> None:
    async def main() -> None:
        texts, whole = await read_with(turns, patience, native)
        expected = "".join(f"{number} " for number in range(len(turns)))
        assert "".join(texts) == expected
        assert whole == expected

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("limit", ["first_event", "total"])
async def test_deadlines_end_an_answer_that_is_read_with_short_timeouts(limit: str) -> None:
    """The time in which the reads were given up counts as silence, too."""

    async def silent() -> AsyncIterator[bytes]:
        await anyio.sleep_forever()
        yield b""

    async with AsyncStream(silent(), deadlines=Deadlines(**{limit: 0.03})) as stream:
        text = stream.text
        with anyio.fail_after(60), pytest.raises(StreamStalled) as caught:
            while True:
                with anyio.move_on_after(PATIENCE):
                    await anext(text)

    assert caught.value.limit == limit
