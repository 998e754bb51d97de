"""Several streams side by side, of which some have other readers as well."""

from __future__ import annotations

import threading
import time
from typing import Any

import anyio
import pytest

from tests.stream.bodies import Source, chunk
from tests.stream.merging import AsyncFeed, Feed, Seen, every_kind, saying
from tests.support.either import Each, got, in_each_loop, inside, run_in, stream_in
from tests.support.timing import PATIENCE
from tokenstream import AsyncStream, Deadlines, Stream, merge
from tokenstream.errors import StreamInterrupted
from tokenstream.stream._fan_out.broadcast import SyncHub

WORDS = [f"{number} " for number in range(30)]


@in_each_loop
async def test_a_stream_that_is_broadcast_gives_all_its_events(kind: str) -> None:
    seen = Seen()
    expected = {"shared": "".join(WORDS), "plain": "xy"}
    open_stream = stream_in(kind)
    streams = {
        "shared": open_stream(saying(*WORDS), format="openai-chat"),
        "plain": open_stream(saying("x", "y"), format="openai-chat"),
    }
    reader = streams["shared"].broadcast().reader()
    async with inside(merge(streams)) as seen.merged:
        async for pair in Each(seen.merged):
            seen.take(pair)
        assert "".join([piece async for piece in Each(reader.text)]) == expected["shared"]

    assert expected == {label: seen.text_of(label) for label in expected}
    assert expected == seen.texts


@pytest.mark.anyio
async def test_tasks_read_the_same_stream_beside_the_loop() -> None:
    feeds = {label: AsyncFeed() for label in ("shared", "plain")}
    streams = {label: AsyncStream(feed.chunks(), format="openai-chat") for label, feed in feeds.items()}
    hub = streams["shared"].broadcast()
    seen = Seen()
    texts: list[str] = []

    async def show() -> None:
        texts.append("".join([piece async for piece in hub.reader().text]))

    async def feed() -> None:
        for word in WORDS:
            for each in feeds.values():
                each.feed(chunk({"content": word}))
            await anyio.sleep(0.001)
        for each in feeds.values():
            each.feed(saying("")[-1])
            each.end()

    with anyio.fail_after(PATIENCE):
        async with merge(streams) as seen.merged, anyio.create_task_group() as tasks:
            for act in (show, show, feed):
                tasks.start_soon(act)
            async for pair in seen.merged:
                seen.take(pair)

    whole = "".join(WORDS)
    assert [whole, whole] == texts
    assert {"shared": whole, "plain": whole} == {label: seen.text_of(label) for label in feeds}


def test_threads_read_the_same_stream_beside_the_loop() -> None:
    feeds = {label: Feed() for label in ("shared", "plain")}
    streams = {label: Stream(feed.chunks(), format="openai-chat") for label, feed in feeds.items()}
    hub = streams["shared"].broadcast()
    seen = Seen()
    texts: list[str] = []
    readers = [hub.reader() for _ in range(2)]
    threads = [threading.Thread(target=lambda one=one: texts.append("".join(one.text))) for one in readers]

    def feed() -> None:
        for word in WORDS:
            for each in feeds.values():
                each.feed(chunk({"content": word}))
        for each in feeds.values():
            each.feed(saying("")[-1])
            each.end()

    with merge(streams) as seen.merged:
        for thread in threads:
            thread.start()
        threads.append(threading.Thread(target=feed))
        threads[-1].start()
        for pair in seen.merged:
            seen.take(pair)
        for thread in threads:
            thread.join(PATIENCE)

    whole = "".join(WORDS)
    assert [whole, whole] == texts
    assert {"shared": whole, "plain": whole} == {label: seen.text_of(label) for label in feeds}


@pytest.mark.anyio
async def test_a_stream_that_fails_ends_its_readers_too() -> None:
    feed = AsyncFeed()
    streams = {
        "shared": AsyncStream(feed.chunks(), format="openai-chat"),
        "plain": AsyncStream(AsyncFeed().chunks(), format="openai-chat"),
    }
    reader = streams["shared"].broadcast().reader()
    feed.feed(*saying("Hel", "lo")[:2], OSError("gone"))
    seen = Seen()
    async with merge(streams) as merged:
        with pytest.raises(StreamInterrupted):
            async for pair in merged:
                seen.take(pair)
        pieces: list[str] = []
        with pytest.raises(StreamInterrupted):
            async for piece in reader.text:
                pieces.append(piece)

    assert "Hello" == seen.text_of("shared") == "".join(pieces)
    assert "shared" == merged.failed


def _beside_slow(kind: str, seen: Seen, act: str, **options: Any) -> list[Any]:
    """Merge two streams, one of which waits for a reader of events that is two behind."""
    given: list[Any] = []
    pause = 0.3
    if kind == "sync":
        shared, plain = (Stream(iter(saying(*"abcd")), format="openai-chat", **options) for _ in range(2))
        hub, begun = shared.broadcast(size=2), threading.Event()

        def read() -> None:
            reader = hub.reader()
            given.append(next(reader))
            begun.set()
            time.sleep(pause)
            if act == "reads":
                given.extend(reader)

        thread = threading.Thread(target=read)
        thread.start()
        begun.wait()
        with merge({"shared": shared, "plain": plain}) as seen.merged:
            for pair in seen.merged:
                seen.take(pair)
            thread.join(PATIENCE)
        return given

    async def main() -> None:
        shared, plain = (AsyncStream(saying(*"abcd"), format="openai-chat", **options) for _ in range(2))
        hub, begun = shared.broadcast(size=2), anyio.Event()

        async def read() -> None:
            reader = hub.reader()
            given.append(await anext(reader))
            begun.set()
            await anyio.sleep(pause)
            if act == "reads":
                given.extend([event async for event in reader])

        with anyio.fail_after(PATIENCE):
            streams = {"shared": shared, "plain": plain}
            async with merge(streams) as seen.merged, anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                await begun.wait()
                async for pair in seen.merged:
                    seen.take(pair)

    anyio.run(main, backend=kind)
    return given


@pytest.mark.slow
@every_kind
def test_a_reader_that_has_ended_is_not_waited_for(kind: str) -> None:
    """Nobody tells of its end: the loop looks for itself."""
    seen = Seen()
    _beside_slow(kind, seen, "ends")

    assert ["abcd"] * 2 == [*map(seen.text_of, ("shared", "plain"))]


@pytest.mark.slow
@every_kind
def test_waiting_for_a_slow_reader_is_no_silence(kind: str) -> None:
    """The deadlines of a stream ask what its server does."""
    seen = Seen()
    given = _beside_slow(kind, seen, "reads", deadlines=Deadlines(idle_content=0.1))

    assert seen.of("shared") == given
    assert ["abcd"] * 2 == [*map(seen.text_of, ("shared", "plain"))]


@pytest.mark.slow
def test_a_loop_that_waits_for_a_slow_reader_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    look = SyncHub.look_now

    def counted(*of: Any) -> Any:
        nonlocal looks
        looks += 1
        return look(*of)

    monkeypatch.setattr(SyncHub, "look_now", counted)
    _beside_slow("sync", Seen(), "reads")

    assert looks < 60


def test_what_another_reader_brings_while_a_stream_leaves_the_line_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed, seen = Feed(), Seen()
    shared = Stream(feed.chunks(), format="openai-chat")
    reader = shared.broadcast().reader()
    look, late = SyncHub.look_now, saying("x", "y")[:1]

    def brought_late(*of: Any) -> Any:
        event = look(*of)
        if event is None and late:
            feed.feed(late.pop())
            for _ in range(3):
                next(reader)
        return event

    monkeypatch.setattr(SyncHub, "look_now", brought_late)
    with merge({"shared": shared}) as seen.merged:
        for pair in seen.merged:
            seen.take(pair)
            if seen.text_of("shared") == "x":
                feed.feed(saying("")[-1])
                feed.end()

    assert "x" == seen.text_of("shared")


def test_the_loop_reads_on_once_a_thread_has_left_that_read_for_it() -> None:
    feed, seen = Feed(), Seen()
    shared = Stream(feed.chunks(), format="openai-chat")
    reader = shared.broadcast().reader()
    thread = threading.Thread(target=lambda: [next(reader) for _ in range(7)])
    thread.start()
    assert feed.is_read.wait(PATIENCE)
    with merge({"shared": shared, "plain": Stream(saying("x"), format="openai-chat")}) as seen.merged:
        seen.take(next(seen.merged))
        feed.feed(*saying(*"abcdef"))
        feed.end()
        thread.join(PATIENCE)
        for pair in seen.merged:
            seen.take(pair)

    assert "abcdef" == seen.text_of("shared")


@pytest.mark.anyio
async def test_the_loop_is_told_once_a_task_has_left_that_read_for_it() -> None:
    feed, seen = AsyncFeed(), Seen()
    shared = AsyncStream(feed.chunks(), format="openai-chat")
    reader = shared.broadcast().reader()
    streams = {"shared": shared, "plain": AsyncStream(saying("x"), format="openai-chat")}

    async def leave_soon() -> None:
        for _ in range(7):
            await anext(reader)

    with anyio.fail_after(PATIENCE):
        async with merge(streams) as seen.merged, anyio.create_task_group() as tasks:
            tasks.start_soon(leave_soon)
            await anyio.wait_all_tasks_blocked()
            seen.take(await anext(seen.merged))
            feed.feed(*saying(*"abcd")[:4])
            while seen.text_of("shared") != "abcd":
                seen.take(await anext(seen.merged))
            tasks.start_soon(_feed_rest, feed)
            async for pair in seen.merged:
                seen.take(pair)

    assert "abcdef" == seen.text_of("shared")


async def _feed_rest(feed: AsyncFeed) -> None:
    await anyio.wait_all_tasks_blocked()
    feed.feed(*saying(*"ef"))
    feed.end()


@every_kind
def test_a_stream_may_be_shared_inside_the_block(kind: str) -> None:
    seen = Seen()
    made: Any = Feed if kind == "sync" else AsyncFeed
    sources = {"shared": made(), "plain": made()}
    for source in sources.values():
        source.feed(*saying("x", "y"))
        source.end()

    async def main() -> Any:
        streams: Any = {
            label: stream_in(kind)(feed.chunks(), format="openai-chat") for label, feed in sources.items()
        }
        async with inside(merge(streams)) as seen.merged:
            reader = seen.merged.streams["shared"].broadcast().reader()
            async for pair in Each(seen.merged):
                seen.take(pair)
            return (await got(reader.final())).text

    text = run_in(kind, main)

    assert ("xy", "xy") == (text, seen.text_of("shared"))
    assert [True, True] == [source.closed for source in sources.values()]


def test_a_stream_that_was_shared_inside_an_unread_block_is_closed() -> None:
    source = Source(saying("x"))
    stream = Stream(source, format="openai-chat")
    with merge({"shared": stream}):
        stream.broadcast()

    assert source.closed
