"""How a stream that is shared ends: stopped, closed, silent for too long, broken off, in any reader."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest

from tests.stream.async_sources import HEL, Scripted, until
from tests.stream.blocked import SILENT, TEXT, TEXTS, Loop, alone, opened
from tests.support.loopback import Loopback
from tests.support.timing import PATIENCE
from tokenstream import AsyncStream, Deadlines, Stream, connect
from tokenstream.errors import StreamInterrupted, StreamStalled
from tokenstream.events import TextDelta


@pytest.mark.parametrize("end", [Stream.stop, Stream.close])
def test_readers_in_threads_that_wait_for_bytes_end_at_once(end: Callable[[Stream], None]) -> None:
    """Whoever of them reads is woken, and tells the others; each keeps what came."""
    with (
        Loopback(SILENT["chunked"]) as server,
        opened(alone, server.url) as stream,
    ):
        one, two, three = stream.tee(3)
        with Loop(one.text) as first, Loop(two.text) as second, Loop(three) as third:
            first.has(TEXT)
            end(stream)
            for loop in (first, second, third):
                loop.ended()

    assert (TEXT, TEXT) == ("".join(first.items), "".join(second.items))
    assert TEXTS == [event.text for event in third.items if isinstance(event, TextDelta)]
    assert "stopped" == stream.message.ending


def test_a_stream_may_be_shared_before_it_is_opened() -> None:
    """Its readers open it, or `with` does."""
    with Loopback(SILENT["chunked"]) as server:
        stream = connect(server.url)
        one, two = stream.tee(2)
        with stream:
            assert ["Let ", "Let "] == [next(one.text), next(two.text)]

    assert stream.closed


@pytest.mark.slow
def test_readers_that_have_left_are_not_kept() -> None:
    """However many come and go, and however little comes meanwhile."""
    kept: list[int] = []
    hub = Stream(["one ", "two"], format="pieces").broadcast(size=1)
    hub.reader().final()
    tracemalloc.start()
    try:
        for count in (300, 3_000):
            for _ in range(count):
                next(hub.reader())
            gc.collect()
            kept.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()

    assert kept[1] < kept[0] + 100_000


@pytest.mark.parametrize("leave", ["close", "forget"])
def test_a_leader_that_leaves_hands_the_lead_on(leave: str) -> None:
    """Between two of its reads somebody else reads."""
    stream = Stream(["one ", "two ", "three"], format="pieces")
    one, two = stream.tee(2)
    assert "one " == next(one.text)
    if leave == "close":
        one.close()
    del one

    assert "one two three" == "".join(two.text)


def test_ctrl_c_in_one_reader_breaks_off_the_read_for_all() -> None:
    """It may have lost what the source gave: nobody takes that for the end of the answer."""

    def body() -> Iterator[str]:
        yield "one "
        raise KeyboardInterrupt

    with Stream(body(), format="pieces") as stream:
        one, two = stream.tee(2)
        text = one.text
        assert "one " == next(text)
        with pytest.raises(KeyboardInterrupt):
            next(text)
        for reader in (two, one):
            with pytest.raises(StreamInterrupted):
                reader.final()

    assert "one " == stream.message.text


def test_a_consumer_that_raises_leaves_the_others_alone() -> None:
    """Its loop was its own."""
    one, two = Stream(["one ", "two"], format="pieces").tee(2)

    def consume() -> None:
        with pytest.raises(LookupError):
            for _ in one:
                raise LookupError

    loop = threading.Thread(target=consume)
    loop.start()
    loop.join(PATIENCE)

    assert "one two" == "".join(two.text)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_deadline_ends_the_stream_for_all() -> None:
    """Each reader meets it behind what came."""
    source = Scripted(HEL, anyio.Event())
    found: list[Any] = []

    async def read(reader: Any) -> None:
        with pytest.raises(StreamStalled) as caught:
            async for piece in reader.text:
                found.append(piece)
        found.append(caught.value.limit)

    async with AsyncStream(source, deadlines=Deadlines(idle_bytes=0.05)) as stream:
        readers = stream.tee(3)
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for reader in readers:
                    tasks.start_soon(read, reader)

    assert ["Hel"] * 3 + ["idle_bytes"] * 3 == found


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_stream_that_is_closed_beside_its_readers_ends_them() -> None:
    stream = AsyncStream(Scripted(HEL, anyio.Event()))
    one, two = stream.tee(2)
    found: list[str] = []

    async def read(reader: Any) -> None:
        async for piece in reader.text:
            found.append(piece)

    with anyio.fail_after(PATIENCE):
        async with stream, anyio.create_task_group() as tasks:
            tasks.start_soon(read, one)
            tasks.start_soon(read, two)
            await until(lambda: len(found) == 2)
            await stream.aclose()

    assert (["Hel", "Hel"], "stopped") == (found, stream.message.ending)
