"""Answers of many formats that are broken off anywhere, in any way, and asked for again."""

from __future__ import annotations

import gc
import random
from dataclasses import dataclass, field
from typing import Any, Literal

import anyio
import pytest

from tests.recovery.attempts import in_each_world
from tests.support.clocks import on
from tests.support.effort import in_steps
from tests.support.recordings import ours
from tests.support.sampling import sampled
from tokenstream import Deadlines, Message, Retry, Stream, aresilient, resilient, testing
from tokenstream._sources.kinds import AsyncSource, SyncSource
from tokenstream.errors import StreamError
from tokenstream.testing import Arrival, Recording, VirtualClock
from tokenstream.testing._recordings.replay import AsyncReplay, Chunks

Break = Literal["reset", "end", "stall", "bad byte"]
BREAKS: tuple[Break, ...] = ("reset", "end", "stall", "bad byte")
SCRIPT = (
    testing.script()
    .text("Hello wonderful world, how are you?")
    .tool_call("now", {"zone": "UTC"})
    .usage(input_tokens=3, output_tokens=9)
    .finish("tool_calls")
)
SCRIPTED = ["openai-chat", "anthropic", "openai-responses", "bedrock-converse"]
RECORDED = [
    "cohere/text",
    "gemini/thoughts",
    "gemini-interactions/tool_call",
    "ollama/chat",
    "openai-completions/text",
    "tgi/stop_sequence",
    "ui-message/tools",
    "bedrock-invoke/llama",
]
SEED, CUTS = 15, 3
PATIENCE = Deadlines(first_event=60, idle_bytes=60)


@dataclass(frozen=True)
class Answer:
    name: str
    format: Any
    body: bytes


@dataclass
class Outcome:
    """What a user has in hand, and what became of the sources."""

    text: str = ""
    calls: list[Any] = field(default_factory=list[Any])
    message: Message = field(default_factory=Message)
    error: Exception | None = None
    opened: int = 0
    closed: int = 0


def answers() -> list[Answer]:
    """Return the answers that are broken off: of twelve formats and dialects."""
    bodies = {each.name: each for each in ours()}
    found = [Answer(format, format, b"".join(SCRIPT.chunks(format))) for format in SCRIPTED]
    return found + [Answer(name, bodies[name].format, bodies[name].body) for name in RECORDED]


def broken(body: bytes, at: int, how: Break) -> Recording:
    """Return a body that is broken off behind so many bytes."""
    data = body[:at] + (b"\xff" if how == "bad byte" else b"")
    breaks: Any = {"reset": "reset", "stall": "stall"}.get(how)
    return Recording((Arrival(0.0, data),) if data else (), breaks=breaks)


def whole(body: bytes) -> Recording:
    return Recording((Arrival(0.0, body),))


class Server:
    """Gives one body after the other, on a clock of its own."""

    def __init__(self, bodies: list[Recording], outcome: Outcome) -> None:
        self._bodies = bodies
        self._outcome = outcome
        self.clock = VirtualClock()

    def open(self) -> SyncSource:
        chunks = Chunks(self._next(), self.clock)
        return SyncSource(chunks, self._closer(), limit_read=chunks.limit_read)

    async def aopen(self) -> AsyncSource:
        chunks = AsyncReplay(self._next(), self.clock)
        # A task reads it, which real time would end; the client's own read timeout ends it here.
        chunks.limit_read(PATIENCE.idle_bytes)
        close = self._closer()

        async def aclose() -> None:
            close()

        return AsyncSource(chunks, aclose, instant=True, survives=True)

    def _next(self) -> Recording:
        self._outcome.opened += 1
        return self._bodies[min(self._outcome.opened, len(self._bodies)) - 1]

    def _closer(self) -> Any:
        over: list[bool] = []

        def close() -> None:
            if not over:
                self._outcome.closed += 1
            over.append(True)

        return close


async def read(world: str, format: str, bodies: list[Recording], retry: Retry, view: str) -> Outcome:
    outcome = Outcome()
    server = Server(bodies, outcome)
    options: Any = {"format": format, "deadlines": PATIENCE}
    given: list[Any] = []

    stream: Any = None
    try:
        if world == "sync":
            with on(server.clock, resilient, server.open, retry, **options) as stream:
                for item in getattr(stream, view):
                    given.append(item)
        else:
            async with on(server.clock, aresilient, server.aopen, retry, **options) as stream:
                async for item in getattr(stream, view):
                    given.append(item)
    except StreamError as error:
        outcome.error = error
    outcome.message = stream.message
    if view == "text":
        outcome.text = "".join(given)
    elif view == "tool_calls":
        outcome.calls = [(call.name, call.arguments) for call in given]
    return outcome


def plain(answer: Answer, recording: Recording) -> tuple[Message, StreamError | None]:
    """Return what a stream without any recovery makes of a body."""
    outcome = Outcome()
    server = Server([recording], outcome)
    with on(server.clock, Stream, server.open(), format=answer.format, deadlines=PATIENCE) as stream:
        try:
            return stream.final(), None
        except StreamError as error:
            return error.partial, error


def calls_of(message: Message) -> list[Any]:
    return [(call.name, call.arguments) for call in message.tool_calls if call.complete]


def places(answer: Answer, *, every: int) -> list[int]:
    """Return after how many bytes an answer is cut: after each so many, or, for 0, a few from a seed."""
    found = range(len(answer.body))
    return [*found][::every] if every else sorted(random.Random(f"{SEED} {answer.name}").sample(found, CUTS))


async def torture(world: str, answer: Answer, again: bool, *, every: int) -> None:
    retry = Retry(again=again, wait=0, attempts=2)
    full, _ = plain(answer, whole(answer.body))
    for at in places(answer, every=every):
        # At neighbouring bytes, two ways of four take turns: all four take twice as long and show no more.
        for how in BREAKS[at % 2 :: 2] if every else BREAKS:
            cut = broken(answer.body, at, how)
            alone, error = plain(answer, cut)
            bodies = [cut, whole(answer.body)]
            place = f"{answer.name}, {how} after byte {at}"
            expected = full if error is not None and error.retryable else alone
            # The two views take turns as well, every second byte.
            views = ("text", "tool_calls")
            for view in (views[at // 2 % 2],) if every else views:
                got = await read(world, answer.format, bodies, retry, view)

                assert got.opened == got.closed, place
                if got.error is None:
                    assert got.message.complete, place
                    assert got.message.text == expected.text, place
                    assert (
                        (got.text == expected.text) if view == "text" else (got.calls == calls_of(expected))
                    ), place
                else:
                    assert error is not None, place
                    assert not got.message.complete, place
                    assert type(got.error) is type(error), place
                    assert got.text == (alone.text if view == "text" else ""), place
                    assert got.calls == (calls_of(alone) if view == "tool_calls" else []), place
                    if again:
                        assert not error.retryable, place


def run(world: str, answer: Answer, again: bool, *, every: int) -> None:
    """Run a torture, on one event loop for all its cuts; what is left behind is collected here."""

    async def main() -> None:
        await torture(world, answer, again, every=every)

    anyio.run(main, backend="asyncio" if world == "sync" else world)
    gc.collect()


def by_name(cases: list[Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("answer", cases, ids=lambda answer: answer.name)


@in_each_world
@pytest.mark.parametrize("again", [False, True])
@by_name(sampled(answers(), one_in=4))
def test_a_break_anywhere_leaves_one_answer_or_its_beginning_and_an_error(
    world: str, again: bool, answer: Answer
) -> None:
    """A sample of the places; every source that was opened is closed."""
    run(world, answer, again, every=0)


@pytest.mark.slow
@in_each_world
@pytest.mark.parametrize("again", [False, True])
@by_name(answers())
def test_a_break_at_every_byte_leaves_one_answer_or_its_beginning_and_an_error(
    world: str, again: bool, answer: Answer
) -> None:
    every = (1 if again else 7) if world == "sync" else 23
    # An odd step, with which the ways and the views still take turns.
    run(world, answer, again, every=every * (in_steps(21, len(answer.body)) | 1))
