"""One stream for several consumers, in threads too: they come and go, and all hear of the end."""

from __future__ import annotations

import gc
import json
import threading
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest

from tests.stream.async_sources import HEL, Scripted, until
from tests.stream.blocked import SILENT, TEXT, TEXTS, Loop, alone, opened
from tests.stream.bodies import ANSWER, AsyncSource, Source, chunk
from tests.stream.broadcast.support import PIECES, in_threads, letters, said
from tests.support.either import Each, got, in_each_loop, inside, stream_in
from tests.support.loopback import Loopback
from tests.support.raised import misuse
from tests.support.timing import PATIENCE
from tokenstream import AsyncStream, Deadlines, Router, Stream, connect
from tokenstream.errors import StreamInterrupted, StreamStalled, StreamTruncated
from tokenstream.events import TextDelta

# -- coming and going ----------------------------------------------------------------


def test_a_reader_that_is_closed_holds_nobody_up() -> None:
    stay, leave = said(pieces=letters(20)).tee(2, size=3)
    next(leave)
    with leave:
        leave.close()

    assert 23 == len(list(stay))
    assert [] == list(leave.text)[1:]
    with misuse("closed", match="reader was closed"):
        iter(leave)


def test_a_reader_that_is_forgotten_leaves_nothing_behind() -> None:
    stream = said(pieces=letters(20))
    hub = stream.broadcast(size=3)
    stay, leave = hub.reader(), hub.reader()
    next(leave)
    gone = weakref.ref(leave)
    gc.disable()
    try:
        del leave
        assert gone() is None
    finally:
        gc.enable()

    assert 23 == len(list(stay))


def test_a_stream_whose_readers_are_forgotten_warns_as_any_other() -> None:
    """Nothing holds it but its readers."""
    source = Source([chunk({"content": "Hel"})] * 3)
    readers = Stream(source).tee(2)
    next(readers[0].text)
    gc.disable()
    try:
        with pytest.warns(ResourceWarning, match="never closed"):
            del readers
    finally:
        gc.enable()

    assert 1 == source.closed


def test_closing_the_stream_closes_it_for_all() -> None:
    source = Source(ANSWER)
    with Stream(source) as stream:
        (reader,) = stream.tee(1)
        text = reader.text
        first = next(text)

    assert (["Let "], "stopped", 1) == ([first, *text], reader.message.ending, source.closed)


# -- the end -----------------------------------------------------------------------


@in_each_loop
async def test_an_error_reaches_every_reader_after_what_came_before(colour: str) -> None:
    source = Source(ANSWER[:4]) if colour == "sync" else AsyncSource(ANSWER[:4])
    async with inside(stream_in(colour)(source)) as stream:
        for reader in stream.tee(2):
            text = Each(reader.text)
            assert "Let " == (await anext(text)).removesuffix("me ")
            for view in (text, text, Each(reader)):
                with pytest.raises(StreamTruncated):
                    _ = [item async for item in view]
            with pytest.raises(StreamTruncated):
                await got(reader.final())
            assert "truncated" == reader.message.ending


def test_a_loop_over_events_that_were_read_is_refused_as_on_a_stream() -> None:
    """The views give the answer again."""
    one, two = said().tee(2)
    list(one)
    with misuse("consumed"):
        list(one)

    assert (PIECES, 8) == ([*two.text] and PIECES, len(list(two)))


def test_a_router_runs_on_a_reader() -> None:
    router, seen = Router(), list[str]()

    @router.on(TextDelta)
    def show(event: TextDelta) -> None:
        seen.append(event.text)

    @router.tool("get_weather", dict)
    def get_weather(asked: dict[str, str]) -> str:
        return asked["city"]

    broken = Router()

    @broken.on(TextDelta)
    def fail(event: TextDelta) -> None:
        raise LookupError(event.text)

    one, two, three = Stream(ANSWER).tee(3)
    next(three.text)
    with pytest.raises(LookupError):
        two.run(broken)
    results = one.run(router)

    assert (["Let ", "me ", "see."], "Oslo") == (seen, results["call_a"])
    assert "complete" == three.final().ending


class Steps:
    """Gives pieces, each once it was told to."""

    def __init__(self, pieces: list[str]) -> None:
        self.go = threading.Semaphore(0)
        self._pieces = iter(pieces)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        assert self.go.acquire(timeout=PATIENCE)
        return next(self._pieces)


def test_readers_in_threads_read_typed_objects() -> None:
    steps = [f'{{"name": "step {number}", "minutes": {number}}}' for number in range(60)]
    text = '{"title": "A long one", "steps": [' + ", ".join(steps) + "]}"
    stream = Stream([text[at : at + 7] for at in range(0, len(text), 7)], format="pieces")
    hub = stream.broadcast()
    whole = json.loads(text)
    got: dict[str, Any] = {}

    def items() -> None:
        got["items"] = list(hub.reader().items(dict, at="steps"))

    def partials() -> None:
        *_, last = hub.reader().partials(dict[str, Any])
        got["partials"] = last.final()

    def field() -> None:
        got["field"] = "".join(hub.reader().field("title"))

    def result() -> None:
        got["result"] = hub.reader().result(dict[str, Any])

    in_threads(items, partials, field, result)

    assert {"items": whole["steps"], "partials": whole, "field": "A long one", "result": whole} == got


def test_while_one_thread_waits_for_the_source_others_look_at_what_has_come() -> None:
    steps = Steps(["one ", "two "])
    stream = Stream(steps, format="pieces")
    one, two = stream.tee(2)
    pieces: list[str] = []
    loop = threading.Thread(target=lambda: pieces.extend(one.text))
    steps.go.release()
    loop.start()
    first = next(two.text)
    steps.go.release(5)
    loop.join(PATIENCE)

    assert ("one ", ["one ", "two "]) == (first, pieces)


def test_one_reader_is_read_by_one_thread_at_a_time() -> None:
    steps = Steps(["one "])
    (reader,) = Stream(steps, format="pieces").tee(1)
    pieces: list[str] = []
    loop = threading.Thread(target=lambda: pieces.extend(reader.text))
    loop.start()
    while not reader._driver.is_reading:  # noqa: SLF001 - nothing public tells
        pass
    with misuse("concurrent", match=r"stream\.tee\(n\) or stream\.broadcast\(\)"):
        next(reader.text)
    steps.go.release(3)
    loop.join(PATIENCE)

    assert ["one "] == pieces


@pytest.mark.parametrize("end", [Stream.stop, Stream.close])
def test_readers_in_threads_that_wait_for_bytes_end_at_once(end: Callable[[Stream], None]) -> None:
    with Loopback(SILENT["chunked"]) as server, opened(alone, server.url) as stream:
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
    with Loopback(SILENT["chunked"]) as server:
        stream = connect(server.url)
        one, two = stream.tee(2)
        with stream:
            assert ["Let ", "Let "] == [next(one.text), next(two.text)]

    assert stream.closed


@pytest.mark.slow
def test_readers_that_have_left_are_not_kept() -> None:
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
    stream = Stream(["one ", "two ", "three"], format="pieces")
    one, two = stream.tee(2)
    assert "one " == next(one.text)
    if leave == "close":
        one.close()
    del one

    assert "one two three" == "".join(two.text)


def test_ctrl_c_in_one_reader_breaks_off_the_read_for_all() -> None:
    """A read that is broken off may have lost what the source gave."""

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


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_deadline_ends_the_stream_for_all() -> None:
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
@pytest.mark.parametrize("end", [AsyncStream.stop, AsyncStream.aclose])
async def test_a_stream_that_is_ended_beside_its_readers_ends_them(end: Callable[[Any], Any]) -> None:
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
            await got(end(stream))

    assert (["Hel", "Hel"], "stopped") == (found, stream.message.ending)
