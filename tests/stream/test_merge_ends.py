"""Several streams side by side, left in every way: nothing stays open, and nobody waits for more than one."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import anyio
import pytest

from tests._sources.sockets import answer
from tests.stream.bodies import AsyncSource, AsyncStubborn, Source, Stubborn, chunk
from tests.stream.merging import AsyncFeed, every_kind, saying
from tests.support.either import Each, connect_in, got, in_each_loop, inside, run_in, stream_in
from tests.support.loopback import OPEN, Loopback, chunked_head, http_chunk
from tests.support.timing import PATIENCE, own_threads
from tests.support.wire import DONE
from tokenstream import AsyncStream, Message, Retry, aresilient, connect, merge, resilient
from tokenstream.errors import StreamInterrupted

BEGUN = http_chunk(chunk({"content": "Hel"}))
REST = http_chunk(chunk({"content": "lo"}, "stop") + DONE)


def silent_servers(stack: ExitStack, count: int = 3) -> list[Loopback]:
    return [stack.enter_context(Loopback([chunked_head(), BEGUN, OPEN])) for _ in range(count)]


def test_requests_are_read_to_their_ends() -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(Loopback([chunked_head(), BEGUN, REST])) for _ in range(3)]
        streams = {at: connect(server.url, json={}) for at, server in enumerate(servers)}
        with merge(streams) as merged:
            labels = {label for label, _ in merged}

    assert {0, 1, 2} == labels
    assert ["Hello"] * 3 == [message.text for message in merged.messages.values()]
    assert not own_threads()


@every_kind
def test_threads_and_tasks_are_gone_when_the_block_is_left(kind: str) -> None:
    """One after another they would be waited for in vain: their servers are silent."""

    async def main() -> None:
        streams = {at: connect_in(kind)(server.url, json={}) for at, server in enumerate(servers)}
        async with inside(merge(streams)) as merged:
            events, seen = Each(merged), set[int]()
            while seen != {0, 1, 2}:
                seen.add((await anext(events)).label)
            begun = time.monotonic()

        assert time.monotonic() - begun < PATIENCE
        assert not own_threads()
        assert all(stream.closed for stream in streams.values())

    with ExitStack() as stack:
        servers = silent_servers(stack)
        run_in(kind, main)


@pytest.mark.anyio
async def test_a_cancelled_loop_closes_all_and_stays_cancelled() -> None:
    feeds = {label: AsyncFeed() for label in "ab"}
    streams = {label: AsyncStream(feed.chunks(), format="openai-chat") for label, feed in feeds.items()}
    seen: list[str] = []
    with anyio.CancelScope() as scope:
        for feed in feeds.values():
            feed.feed(*saying("x")[:1])
        async with merge(streams) as merged:
            async for label, _ in merged:
                seen.append(label)
                if {"a", "b"} == set(seen):
                    scope.cancel()

    assert scope.cancelled_caught
    assert {"a", "b"} == set(seen)
    assert all(feed.closed for feed in feeds.values())


@pytest.mark.anyio
async def test_sources_that_are_slow_to_close_are_waited_for_together() -> None:
    closing: list[int] = []
    together = anyio.Event()

    async def slow() -> AsyncIterator[bytes]:
        try:
            for piece in saying("x"):
                yield piece
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                closing.append(1)
                if len(closing) == 5:
                    together.set()
                with anyio.fail_after(PATIENCE):
                    await together.wait()

    streams = {at: AsyncStream(slow(), format="openai-chat") for at in range(5)}
    async with merge(streams) as merged:
        seen: set[int] = set()
        while len(seen) < 5:
            seen.add((await anext(merged)).label)

    assert len(closing) == 5


@in_each_loop
async def test_what_closing_raises_is_raised_once_all_are_closed(kind: str) -> None:
    made: Any = (Stubborn, Source) if kind == "sync" else (AsyncStubborn, AsyncSource)
    sources = [each(saying("x")) for each in made]
    merged: Any = merge({at: stream_in(kind)(source) for at, source in enumerate(sources)})
    with pytest.raises(OSError, match="cannot close"):
        await got(merged.close() if kind == "sync" else merged.aclose())

    assert [1, 1] == [source.closed for source in sources]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_streams_that_nobody_holds_are_collected() -> None:
    feed = AsyncFeed()
    merged = merge({"a": AsyncStream(feed.chunks(), format="openai-chat")})
    feed.feed(*saying("x")[:1])
    await anext(merged)
    with pytest.warns(ResourceWarning, match="never closed"):
        del merged
        gc.collect()
    for _ in range(5):
        await anyio.lowlevel.checkpoint()
    assert feed.closed


@pytest.mark.slow
@every_kind
def test_no_request_goes_out_once_another_stream_has_failed(kind: str) -> None:
    asked: list[str] = []
    retry = Retry(again=True, wait=lambda _: 0.4)
    failing = threading.Event()

    def body() -> Iterator[bytes]:
        yield chunk({"content": "x"})
        time.sleep(0.1)
        raise OSError("gone")

    async def async_body() -> AsyncIterator[bytes]:
        yield chunk({"content": "x"})
        await anyio.sleep(0.1)
        raise OSError("gone")

    def ask() -> Any:
        asked.append("again")
        failing.set()
        return saying("Hel", "lo")[:1]

    async def main() -> None:
        ask_again = resilient if kind == "sync" else aresilient
        bad = body() if kind == "sync" else async_body()
        streams = {
            "again": ask_again(ask, retry, format="openai-chat"),
            "bad": stream_in(kind)(bad, format="openai-chat"),
        }
        async with inside(merge(streams)) as merged:
            async for _ in Each(merged):
                pass

    with pytest.raises(StreamInterrupted):
        run_in(kind, main)
    # Longer than the wait before the attempt, which is not to be made.
    time.sleep(0.5)

    assert ["again"] == asked
    assert not own_threads()


class Answers:
    """Two answers on one connection, of which the first is left in a merge with another stream."""

    def __init__(self) -> None:
        self._messages = [message for name in ("one", "two") for message in answer(name, "The", " sky")]
        self.seen: list[Message] = []

    def _slowly(self) -> Iterator[str]:
        for message in self._messages:
            time.sleep(0.003)
            yield message

    async def _slowly_async(self) -> AsyncIterator[str]:
        for message in self._messages:
            await anyio.sleep(0.003)
            yield message

    async def read(self, kind: str) -> None:
        open_stream = stream_in(kind)
        messages = self._slowly() if kind == "sync" else self._slowly_async()
        async with inside(open_stream(messages, format="openai-realtime")) as connection:
            async for response in Each(connection.responses):
                beside = open_stream(saying("x"), format="openai-chat")
                async with inside(merge({"response": response, "beside": beside})) as merged:
                    async for label, _ in Each(merged):
                        if label == "response" and not self.seen:
                            break
                self.seen.append(merged.messages["response"])


@every_kind
def test_answers_of_one_connection_are_merged_with_others_and_left(kind: str) -> None:
    answers = Answers()
    run_in(kind, answers.read, kind)
    first, second = answers.seen

    assert ("stopped", "complete", "The sky") == (first.ending, second.ending, second.text)
    assert not own_threads()
