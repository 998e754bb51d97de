"""Several streams side by side, of which some have other readers as well."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import pytest

from tests.stream.bodies import chunk
from tests.stream.merging import AsyncFeed, Feed, Seen, every_kind, saying
from tokenstream import AsyncStream, Stream, merge
from tokenstream.errors import StreamInterrupted
from tokenstream.events import TextDelta

WORDS = [f"{number} " for number in range(30)]


def text_of(seen: Seen, label: Any) -> str:
    return "".join(event.text for event in seen.of(label) if isinstance(event, TextDelta))


@every_kind
def test_a_stream_that_is_broadcast_gives_all_its_events(kind: str) -> None:
    """To the loop and to its other readers, whoever reads them."""
    seen = Seen()
    expected = {"shared": "".join(WORDS), "plain": "xy"}
    if kind == "sync":
        streams = {
            "shared": Stream(iter(saying(*WORDS)), format="openai-chat"),
            "plain": Stream(iter(saying("x", "y")), format="openai-chat"),
        }
        reader = streams["shared"].broadcast().reader()
        with merge(streams) as seen.merged:
            for pair in seen.merged:
                seen.take(pair)
            assert "".join(reader.text) == expected["shared"]
    else:

        async def main() -> None:
            streams = {
                "shared": AsyncStream(saying(*WORDS), format="openai-chat"),
                "plain": AsyncStream(saying("x", "y"), format="openai-chat"),
            }
            reader = streams["shared"].broadcast().reader()
            async with merge(streams) as seen.merged:
                async for pair in seen.merged:
                    seen.take(pair)
                assert "".join([piece async for piece in reader.text]) == expected["shared"]

        anyio.run(main, backend=kind)

    assert expected == {label: text_of(seen, label) for label in expected}
    assert expected == {label: message.text for label, message in seen.merged.messages.items()}


@pytest.mark.anyio
async def test_tasks_read_the_same_stream_beside_the_loop() -> None:
    """Whoever of them needs more reads for all, and the loop is told."""
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

    with anyio.fail_after(10):
        async with merge(streams) as seen.merged, anyio.create_task_group() as tasks:
            for act in (show, show, feed):
                tasks.start_soon(act)
            async for pair in seen.merged:
                seen.take(pair)

    whole = "".join(WORDS)
    assert [whole, whole] == texts
    assert {"shared": whole, "plain": whole} == {label: text_of(seen, label) for label in feeds}


def test_threads_read_the_same_stream_beside_the_loop() -> None:
    """Whoever of them needs more reads for all, and the loop is told."""
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
            thread.join(10)

    whole = "".join(WORDS)
    assert [whole, whole] == texts
    assert {"shared": whole, "plain": whole} == {label: text_of(seen, label) for label in feeds}


@pytest.mark.anyio
async def test_a_stream_that_fails_ends_its_readers_too() -> None:
    """Each meets the error behind what came before it."""
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

    assert "Hello" == text_of(seen, "shared") == "".join(pieces)
    assert "shared" == merged.failed
