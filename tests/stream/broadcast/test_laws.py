"""Whatever consumers share a stream, and however they take turns, each gets what a plain stream gives."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stream.broadcast.support import in_threads
from tests.support.chunkings import chunked
from tests.support.scripts import scripts
from tests.support.timing import PATIENCE
from tokenstream import AsyncStream, Message, Stream
from tokenstream._answer.accumulator import Accumulator
from tokenstream.errors import MisuseError
from tokenstream.events import Event

FORMATS = ["openai-chat", "anthropic", "openai-responses", "gemini"]
VIEWS: dict[str, Callable[[Any], Any]] = {
    "text": lambda reader: reader.text,
    "words": lambda reader: reader.text.words(),
    "reasoning": lambda reader: reader.reasoning,
    "deltas": lambda reader: reader.deltas,
    "calls": lambda reader: reader.tool_calls,
    "drafts": lambda reader: reader.tool_partials(dict),
    "choice": lambda reader: reader.choice(0).text,
}
POLICIES = st.sampled_from(["wait", "drop_oldest"])


def joined(kind: str, items: list[Any]) -> Any:
    if kind == "calls":
        return [(call.id, call.name, call.arguments_text) for call in items]
    if kind == "drafts":
        return [(each.id, each.name, each.call.arguments_text) for each in items if each.call is not None]
    if kind == "deltas":
        texts: dict[Any, str] = {}
        for delta in items:
            key = type(delta), delta.part
            texts[key] = texts.get(key, "") + delta.text
        return texts
    return "".join(items)


def made_of(events: list[Event]) -> Message:
    accumulator = Accumulator()
    for event in events:
        accumulator.take(event)
    return accumulator.message


class Plain:
    """What a stream of these bytes gives that nobody shares."""

    def __init__(self, chunks: list[bytes], format: Any) -> None:
        stream = Stream(chunks, format=format)
        self.events = list(stream)
        self.views = {kind: joined(kind, list(view(stream))) for kind, view in VIEWS.items()}
        self.message = made_of(self.events)

    def check(self, consumer: Consumer) -> None:
        """Hold what a consumer got against it."""
        got = consumer.got
        if consumer.kind != "events":
            assert self.views[consumer.kind] == joined(consumer.kind, got)
        elif consumer.reader.dropped:
            assert self.events[-1] == got[-1]
        elif consumer.early:
            assert self.events == got
        else:
            assert self.message == made_of(got)


class Consumer:
    def __init__(self, reader: Any, kind: str, *, early: bool) -> None:
        self.reader = reader
        self.kind = kind
        self.early = early
        """It has begun before anything was read that it is not given."""
        self.got: list[Any] = []
        self.source = reader if kind == "events" else VIEWS[kind](reader)

    def read(self) -> bool:
        """Read one item, and tell whether there may be more."""
        try:
            self.got.append(next(self.source))
        except StopIteration:
            return False
        return True

    def try_to_read(self) -> bool:
        """Do the same where others may have to read first."""
        try:
            return self.read()
        except MisuseError as error:
            if "waits for" not in str(error):
                raise
            return True

    async def aread(self) -> bool:
        try:
            self.got.append(await anext(self.source))
        except StopAsyncIteration:
            return False
        return True


MOVES = st.sampled_from(["join", "join", "read", "read", "read", "leave"])
KINDS = st.sampled_from([*VIEWS, "events", "events"])


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, list[bytes]]:
    """Draw an answer in some format, cut into chunks in some way."""
    format = draw(st.sampled_from(FORMATS))
    script = draw(scripts(format))
    _, chunks = draw(chunked(st.just(b"".join(script.chunks(format)))))
    return format, chunks


@pytest.mark.slow
@given(answers(), POLICIES, st.integers(1, 9), st.data())
def test_in_one_thread_every_consumer_gets_what_a_plain_stream_gives(
    answer: tuple[Any, list[bytes]], policy: Any, size: int, data: st.DataObject
) -> None:
    """Consumers come, read and go in any order; one that waits for itself reads on once the others have."""
    format, chunks = answer
    plain, stream = Plain(chunks, format), Stream(chunks, format=format)
    with stream:
        hub = stream.broadcast(policy=policy, size=size)
        live: list[Consumer] = []
        for move in data.draw(st.lists(MOVES, max_size=40)):
            if move == "join" or not live:
                # Whether all that came is still held cannot be seen from outside.
                early = not stream.message.parts and stream.message.ending == "streaming"
                consumer = Consumer(hub.reader(), data.draw(KINDS), early=early)
                live.append(consumer)
                if early:
                    consumer.try_to_read()
                continue
            consumer = data.draw(st.sampled_from(live))
            if move == "read":
                consumer.try_to_read()
            else:
                live.remove(consumer)
                consumer.reader.close()
        left = list(live)
        while left:
            left = [consumer for consumer in left if consumer.try_to_read()]
        for consumer in live:
            plain.check(consumer)

        assert Stream(chunks, format=format).final() == stream.final()


@pytest.mark.slow
@given(answers(), POLICIES, st.integers(1, 9), st.lists(KINDS, min_size=2, max_size=6))
def test_in_threads_every_consumer_gets_what_a_plain_stream_gives(
    answer: tuple[Any, list[bytes]], policy: Any, size: int, kinds: list[str]
) -> None:
    format, chunks = answer
    plain, stream = Plain(chunks, format), Stream(chunks, format=format)
    hub = stream.broadcast(policy=policy, size=size)
    consumers = [Consumer(hub.reader(), kind, early=False) for kind in kinds]

    def run(consumer: Consumer) -> None:
        while consumer.read():
            pass

    in_threads(*(partial(run, consumer) for consumer in consumers))

    for consumer in consumers:
        plain.check(consumer)


async def given_slowly(chunks: list[bytes], chance: random.Random) -> AsyncIterator[bytes]:
    for chunk in chunks:
        for _ in range(chance.randrange(3)):
            await anyio.lowlevel.checkpoint()
        yield chunk


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(answers(), POLICIES, st.integers(1, 9), st.lists(KINDS, min_size=2, max_size=6), st.integers(0, 999))
def test_in_tasks_every_consumer_gets_what_a_plain_stream_gives(
    backend: str, answer: tuple[Any, list[bytes]], policy: Any, size: int, kinds: list[str], seed: int
) -> None:
    format, chunks = answer
    plain, chance = Plain(chunks, format), random.Random(seed)

    async def run(consumer: Consumer) -> None:
        more = True
        while more:
            for _ in range(chance.randrange(3)):
                await anyio.lowlevel.checkpoint()
            with anyio.CancelScope() as scope:
                if not chance.randrange(4):
                    scope.cancel()
                more = await consumer.aread()

    async def main() -> None:
        async with AsyncStream(given_slowly(chunks, chance), format=format) as stream:
            hub = stream.broadcast(policy=policy, size=size)
            consumers = [Consumer(hub.reader(), kind, early=False) for kind in kinds]
            with anyio.fail_after(PATIENCE):
                async with anyio.create_task_group() as tasks:
                    for consumer in consumers:
                        tasks.start_soon(run, consumer)
        for consumer in consumers:
            plain.check(consumer)

    anyio.run(main, backend=backend)
