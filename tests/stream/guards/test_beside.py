"""Guards that have to be awaited: they run beside the stream, and stop it when they speak."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest

from tests.stream.async_sources import HEL, LO, is_closed, open_after, readers, received, until
from tests.stream.guards.support import ANSWER
from tests.support.timing import PATIENCE, TooLate, tried_again
from tokenstream import AsyncStream, Deadlines, Message, Retry, aresilient
from tokenstream.errors import GuardFailed, MisuseError, StreamStalled
from tokenstream.events import Stopped
from tokenstream.stages import Budget

pytestmark = pytest.mark.anyio

BODY = ANSWER.chunks("openai-chat")


class Judge:
    """A rule that speaks when a test says so.

    Args:
        reason: What it says; an exception is raised.
    """

    def __init__(self, reason: str | Exception | None) -> None:
        self._reason = reason
        self.speaks = anyio.Event()
        self.asked: list[str] = []
        self.cancelled = 0

    async def __call__(self, message: Message) -> str | None:
        self.asked.append(message.text)
        try:
            await self.speaks.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        if isinstance(self._reason, Exception):
            raise self._reason
        return self._reason


async def gated(gate: anyio.Event, after: int) -> AsyncIterator[bytes]:
    """Give the body, whose chunks from `after` on come when a gate is opened."""
    for number, chunk in enumerate(BODY):
        if number == after:
            await gate.wait()
        await anyio.lowlevel.checkpoint()
        yield chunk


SOURCES: dict[str, Callable[[], Any]] = {"at hand": lambda: BODY, "a generator": lambda: gated(_open(), 0)}


def _open() -> anyio.Event:
    gate = anyio.Event()
    gate.set()
    return gate


@pytest.mark.parametrize("source", SOURCES)
async def test_text_flows_while_a_rule_thinks_and_its_word_is_awaited(source: str) -> None:
    """All of the answer comes; its end waits, so that no verdict is lost."""
    judge, given = Judge("off topic"), ""
    async with AsyncStream(SOURCES[source]()).guard(judge, first_tokens=2) as stream:
        async for piece in stream.text:
            given += piece
            if given.endswith("it"):
                judge.speaks.set()

    assert ("The cat sat on it", ["The ca"]) == (given, judge.asked)
    assert ("stopped", "off topic") == (stream.message.ending, stream.stop_reason)
    assert stream.message.finish_reason is None


@pytest.mark.parametrize("hold", [False, True])
@pytest.mark.parametrize("source", SOURCES)
async def test_an_answer_that_is_allowed_is_whole(source: str, hold: bool) -> None:
    plain = [repr(event) async for event in AsyncStream(SOURCES[source]())]
    judge = Judge(None)
    judge.speaks.set()
    async with AsyncStream(SOURCES[source]()).guard(judge, first_tokens=2, hold=hold) as stream:
        events = [repr(event) async for event in stream]

    assert plain == events
    assert ("complete", None) == (stream.message.ending, stream.stop_reason)


async def test_a_rule_stops_a_stream_in_which_nothing_comes() -> None:
    judge = Judge("off topic")
    events: list[Any] = []
    with open_after(HEL + LO) as server:
        async with AsyncStream(received(server)).guard(judge, first_tokens=2) as stream:
            async with anyio.create_task_group() as tasks:

                async def read() -> None:
                    events.extend([event async for event in stream])

                tasks.start_soon(read)
                await until(lambda: judge.asked)
                judge.speaks.set()

            assert is_closed(server)
            assert Stopped("off topic") == events[-1]
            assert ("Hello", "stopped") == (stream.message.text, stream.message.ending)
    assert [] == readers()


@pytest.mark.slow
async def test_a_rule_stops_a_stream_that_nobody_reads_just_then() -> None:
    judge = Judge("off topic")
    with open_after(HEL + LO) as server:
        async with AsyncStream(received(server)).guard(judge, first_tokens=1) as stream:
            events = []
            async for event in stream:
                events.append(event)
                if judge.asked or stream.message.text == "Hello":
                    judge.speaks.set()
                    await until(lambda: stream.stop_reason and server.connection().closed.is_set())

    assert Stopped("off topic") == events[-1]


@pytest.mark.parametrize("reason", ["off topic", None])
async def test_nothing_is_given_before_a_rule_that_holds_has_spoken(reason: str | None) -> None:
    judge, gate, given = Judge(reason), anyio.Event(), list[str]()
    held = AsyncStream(gated(gate, 5)).guard(judge, first_tokens=2, hold=True)
    async with held as stream, anyio.create_task_group() as tasks:

        async def read() -> None:
            async for piece in stream.text:
                given.append(piece)
                if stream.message.text == "The cat sat ":
                    gate.set()

        tasks.start_soon(read)
        await until(lambda: judge.asked)
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        assert ([], "") == (given, stream.message.text)
        judge.speaks.set()

    assert ("" if reason else "The cat sat on it") == "".join(given) == stream.message.text
    assert reason == stream.stop_reason


@pytest.mark.parametrize("way", ["left", "closed", "stopped", "raised", "cancelled"])
async def test_a_rule_that_thinks_is_cancelled_with_the_stream(way: str) -> None:
    judge = Judge("too late")
    stream = AsyncStream(gated(anyio.Event(), 5)).guard(judge, first_tokens=1)
    stack = AsyncExitStack()
    if way == "raised":
        stack.enter_context(pytest.raises(KeyError))
    async with stack:
        with anyio.CancelScope() as scope:
            async with stream:
                async for _ in stream.text:
                    await until(lambda: judge.asked)
                    break
                if way == "closed":
                    await stream.aclose()
                elif way == "stopped":
                    stream.stop("mine")
                elif way == "raised":
                    raise KeyError
                elif way == "cancelled":
                    scope.cancel()
                    await anyio.sleep(5)

    assert 1 == judge.cancelled
    assert ("stopped", "mine" if way == "stopped" else None) == (stream.message.ending, stream.stop_reason)
    assert [] == readers()


@pytest.mark.parametrize("hold", [False, True])
async def test_a_rule_that_raises_closes_the_stream(hold: bool) -> None:
    judge, given = Judge(ValueError("no model")), list[str]()
    judge.speaks.set()
    stream = AsyncStream(gated(anyio.Event(), 4)).guard(judge, first_tokens=2, hold=hold)
    with pytest.raises(GuardFailed) as caught:
        async with stream:
            async for piece in stream.text:
                given.append(piece)

    assert isinstance(caught.value.__cause__, ValueError)
    assert "".join(given) == caught.value.partial.text
    assert hold is (not given)
    assert stream.closed


async def test_a_rule_is_asked_again_and_at_the_end() -> None:
    """One question at a time: what came while one was open is in the next."""
    asked: list[str] = []

    async def judge(message: Message) -> str | None:
        asked.append(message.text)
        await anyio.lowlevel.checkpoint()
        return None

    source = gated(_open(), 0)
    async with AsyncStream(source).guard(judge, first_tokens=1, every=1) as stream:
        await stream.final()

    assert "The cat sat on it" == asked[-1]
    assert sorted(set(asked), key=len) == asked


@pytest.mark.parametrize("every", [1, 50])
async def test_the_last_verdict_counts_after_a_hold(every: int) -> None:
    """The whole answer arrives while the first call holds it back: another call gets all of it."""
    asked: list[str] = []

    async def judge(message: Message) -> str | None:
        asked.append(message.text)
        await anyio.lowlevel.checkpoint()
        return "about cats" if "cat" in message.text else None

    async with AsyncStream(BODY).guard(judge, first_tokens=1, every=every, hold=True) as stream:
        await stream.final()

    assert ["The ", "The cat sat on it"] == asked
    assert ("about cats", "stopped") == (stream.stop_reason, stream.message.ending)


async def test_the_last_verdict_counts_if_a_finish_reason_comes_with_each_piece() -> None:
    """Gemini sends a finish reason with each piece."""
    asked: list[str] = []

    async def judge(message: Message) -> None:
        asked.append(message.text)
        await anyio.lowlevel.checkpoint()

    pieces = [
        {"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": "STOP"}]}
        for text in ("Hel", "lo ", "wor", "ld")
    ]
    stream = AsyncStream(pieces, format="gemini").guard(judge, first_tokens=1, every=50, hold=True)
    async with stream:
        await stream.final()

    assert ["Hel", "Hello world"] == asked


async def test_it_needs_a_block() -> None:
    """Where there is no room for a task, the first read says so; then it may be read in one."""
    judge = Judge("off topic")
    judge.speaks.set()
    stream = AsyncStream(gated(_open(), 0)).guard(judge)
    with pytest.raises(MisuseError, match="async with"):
        await anext(stream)
    async with stream:
        await stream.final()

    assert "off topic" == stream.stop_reason


async def test_a_verdict_on_an_attempt_that_was_given_up_counts_no_more() -> None:
    asked: list[str] = []
    is_gone, has_spoken = anyio.Event(), anyio.Event()

    async def judge(message: Message) -> str | None:
        asked.append(message.text)
        if len(asked) > 1:
            is_gone.set()
            return None
        try:
            await is_gone.wait()
        finally:
            has_spoken.set()
        return "about the first"

    async def opened(attempt: Any) -> AsyncIterator[bytes]:
        return gated(_open(), 0) if attempt.number == 2 else cut()

    async def cut() -> AsyncIterator[bytes]:
        for chunk in BODY[:5]:
            await anyio.lowlevel.checkpoint()
            yield chunk

    open_it: Callable[[Any], Awaitable[Any]] = opened
    stream = aresilient(open_it, Retry(wait=0, again=True)).guard(judge, first_tokens=2)
    async with stream:
        await stream.final()
        with anyio.fail_after(PATIENCE):
            await has_spoken.wait()
        await anyio.wait_all_tasks_blocked()

    assert ["The ca", "The ca"] == asked
    assert ("complete", None) == (stream.message.ending, stream.stop_reason)


async def test_a_stream_that_is_let_go_leaves_no_task() -> None:
    judge = Judge(None)
    async with AsyncStream(BODY).guard(judge, first_tokens=1) as stream:
        await anext(stream)
    del stream
    gc.collect()

    assert [] == readers()


@pytest.mark.parametrize("hold", [False, True])
@tried_again
async def test_a_rule_that_never_speaks_has_no_more_time_than_the_answer(hold: bool) -> None:
    """A budget of seconds stops, and the deadline for all of it is an error, though the answer is over."""
    budget = Budget(seconds=0.05)
    async with AsyncStream(BODY).guard(Judge(None), first_tokens=2, hold=hold).guard(budget) as stream:
        await stream.final()
    text = "" if hold else "The cat sat on it"
    read_in_time(stream.message, text)
    assert "the budget of 0.05 seconds is used up" == stream.stop_reason
    late = AsyncStream(BODY, deadlines=Deadlines(total=0.05)).guard(Judge(None), first_tokens=2, hold=hold)
    with pytest.raises(StreamStalled, match=r"Deadlines.total") as caught:
        async with late as stream:
            await stream.final()

    read_in_time(caught.value.partial, text)
    assert caught.value.partial.finish_reason is None
    assert [] == readers()


def read_in_time(message: Message, text: str) -> None:
    """Assert that a message has a whole text, although there was little time to read it."""
    if len(message.text) < len(text):
        raise TooLate(message.text)
    assert text == message.text


@pytest.mark.parametrize("hold", [False, True])
async def test_a_rule_whose_work_is_cancelled_has_allowed_nothing(
    hold: bool, anyio_backend_name: str
) -> None:
    """No verdict is no good one: it has failed."""
    if anyio_backend_name == "trio":
        # There, only a scope around a task cancels it.
        return

    async def judge(_: Message) -> str | None:
        work = asyncio.ensure_future(asyncio.sleep(60))
        work.cancel()
        await work
        return None

    with pytest.raises(GuardFailed) as caught:
        async with AsyncStream(BODY).guard(judge, first_tokens=2, hold=hold) as stream:
            await stream.final()

    assert "was cancelled" in str(caught.value.__cause__)


async def test_a_rule_is_given_within_the_block_as_well() -> None:
    judge = Judge("off topic")
    judge.speaks.set()
    reasons: list[str | None] = []

    def ask(message: Message) -> Awaitable[str | None]:
        return judge(message)

    for rule in (judge, ask, lambda _: "off topic"):
        for source in SOURCES.values():
            async with AsyncStream(source()) as stream:
                await stream.guard(rule, first_tokens=2).final()
            reasons.append(stream.stop_reason)

    assert ["off topic"] * 6 == reasons
    assert "off topic" == (await _read_outside(lambda _: "off topic")).stop_reason
    with pytest.raises(GuardFailed) as caught:
        await _read_outside(ask)
    assert "inside `async with" in str(caught.value.__cause__)


async def _read_outside(rule: Any) -> AsyncStream:
    stream = AsyncStream(BODY).guard(rule, first_tokens=2)
    await stream.final()
    return stream


@pytest.mark.parametrize("way", ["stopped", "closed"])
@pytest.mark.parametrize("hold", [False, True])
async def test_a_stream_ends_while_the_end_of_its_answer_waits_for_a_rule(hold: bool, way: str) -> None:
    judge, given = Judge("too late"), list[str]()
    async with AsyncStream(BODY).guard(judge, hold=hold) as stream, anyio.create_task_group() as tasks:

        async def read() -> None:
            given.extend([piece async for piece in stream.text])

        tasks.start_soon(read)
        await until(lambda: judge.asked)
        await anyio.lowlevel.checkpoint()
        if way == "stopped":
            stream.stop("mine")
        else:
            await stream.aclose()

    assert ("" if hold else "The cat sat on it") == "".join(given) == stream.message.text
    assert ("stopped", "mine" if way == "stopped" else None) == (stream.message.ending, stream.stop_reason)
    assert 1 == judge.cancelled
