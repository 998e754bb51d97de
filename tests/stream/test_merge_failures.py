"""Several streams side by side, of which one fails: by its name, and nothing that came is lost."""

from __future__ import annotations

import threading
import time
from typing import Any

import anyio
import pytest

from tests.stream.bodies import chunk
from tests.stream.merging import AsyncFeed, Feed, Seen, every_kind, read_merged, saying
from tests.support.either import Each, got, in_each_loop, inside, stream_in
from tests.support.timing import PATIENCE
from tests.support.wire import sse
from tokenstream import AsyncStream, Deadlines, Retry, Stream, aresilient, merge, resilient
from tokenstream.errors import MisuseError, StreamError, StreamInterrupted, StreamStalled
from tokenstream.events import TextDelta

BROKEN = [*saying("Hel", "lo")[:2], OSError("gone")]


@every_kind
def test_the_first_failure_ends_all_and_is_named(kind: str) -> None:
    seen = read_merged(kind, {"good": saying(*("x " for _ in range(500))), "bad": BROKEN})
    merged, error = seen.merged, seen.error

    assert isinstance(error, StreamInterrupted)
    assert ["raised by the stream 'bad' of a merge"] == error.__notes__
    assert "bad" == merged.failed
    assert {"bad": error} == dict(merged.errors)
    assert "Hello" == seen.text_of("bad") == error.partial.text
    assert ("stopped", "the stream 'bad' has failed") == (
        merged.messages["good"].ending,
        merged.streams["good"].stop_reason,
    )
    assert merged.messages["good"].text == seen.text_of("good")
    assert all(stream.closed for stream in merged.streams.values())


def test_errors_that_are_asked_for_before_the_loop_are_there_after_it() -> None:
    """A report may take the mapping once, as it may take `streams`."""
    broken = Feed()
    broken.feed(*BROKEN)
    merged = merge({"good": Stream(saying("Hi")), "bad": Stream(broken.chunks())}, fail_fast=False)
    errors, streams = merged.errors, merged.streams
    assert {} == dict(errors)
    with pytest.raises(StreamInterrupted) as caught:
        list(merged)

    assert {"bad": caught.value} == dict(errors)
    assert list(streams) == ["good", "bad"]
    assert ("bad" in errors, len(errors), errors.get("good")) == (True, 1, None)
    assert repr(errors) == repr({"bad": caught.value})


@pytest.mark.anyio
async def test_chunks_that_have_come_are_given_before_the_failure() -> None:
    feeds = {label: AsyncFeed() for label in ("good", "bad")}
    streams = {label: AsyncStream(feed.chunks(), format="openai-chat") for label, feed in feeds.items()}
    seen = Seen()
    words = [f"{number} " for number in range(30)]
    async with merge(streams) as merged:
        feeds["bad"].feed(*saying("x")[:1])
        seen.take(await anext(merged))
        feeds["bad"].feed(OSError("gone"))
        feeds["good"].feed(*saying(*words)[:-1])
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(StreamInterrupted):
            async for pair in merged:
                seen.take(pair)

        assert "".join(words) == seen.text_of("good") == merged.messages["good"].text
        assert feeds["good"].closed


@every_kind
def test_the_others_go_on_where_that_is_asked_for(kind: str) -> None:
    bodies = {"good": saying("Hel", "lo"), "bad": BROKEN, "cut": saying("a", "b")[:1]}
    seen = read_merged(kind, bodies, fail_fast=False)
    merged, error = seen.merged, seen.error

    assert {"bad": "StreamInterrupted", "cut": "StreamTruncated"} == {
        label: type(each).__name__ for label, each in merged.errors.items()
    }
    assert error is not None
    assert error is merged.errors[merged.failed]
    other = next(label for label in merged.errors if label != merged.failed)
    told = f"the stream {other!r} has failed as well: {type(merged.errors[other]).__name__}: "
    assert error.__notes__[1].startswith(told)
    assert ("complete", "Hello") == (merged.messages["good"].ending, seen.text_of("good"))


@in_each_loop
async def test_a_failure_is_raised_once(kind: str) -> None:
    async with inside(merge({"bad": stream_in(kind)([sse("{")], format="openai-chat")})) as merged:
        events = Each(merged)
        with pytest.raises(StreamError):
            await anext(events)
        with pytest.raises(StopAsyncIteration):
            await anext(events)


@every_kind
def test_a_mistake_in_the_calling_code_is_named_and_raised_at_once(kind: str) -> None:
    seen = read_merged(kind, {"odd": [3.5], "good": saying("x")})

    assert isinstance(seen.error, MisuseError)
    assert ["raised by the stream 'odd' of a merge"] == seen.error.__notes__
    assert seen.merged.failed is None


@pytest.mark.slow
@in_each_loop
async def test_a_deadline_ends_a_silent_stream_while_others_speak(kind: str) -> None:
    seen = Seen()
    deadlines = Deadlines(idle_bytes=0.15)
    open_stream, sleep = stream_in(kind), time.sleep if kind == "sync" else anyio.sleep
    feeds = silent, busy = [(Feed if kind == "sync" else AsyncFeed)() for _ in range(2)]
    silent.feed(chunk({"content": "x"}))
    streams = {
        "silent": open_stream(silent.chunks(), format="openai-chat", deadlines=deadlines),
        "busy": open_stream(busy.chunks(), format="openai-chat"),
    }
    with pytest.raises(StreamStalled):
        async with inside(merge(streams)) as seen.merged:
            until = time.monotonic() + 5
            busy.feed(chunk({"content": "y"}))
            async for pair in Each(seen.merged):
                seen.take(pair)
                if pair.label == "busy":
                    assert time.monotonic() < until
                    await got(sleep(0.01))
                    busy.feed(chunk({"content": "y"}))
    for feed in feeds:
        # Nothing wakes the threads of a `for` loop.
        feed.end()

    assert "silent" == seen.merged.failed
    assert seen.labels.count("busy") > 2


@pytest.mark.slow
@every_kind
def test_a_retry_that_is_waited_for_holds_up_no_other(kind: str) -> None:
    answers = iter([saying("Hel", "lo")[:1], saying("Hel", "lo")])

    def again(is_async: bool) -> Any:
        retry = Retry(again=True, wait=lambda _: 0.2)
        return (aresilient if is_async else resilient)(lambda: next(answers), retry, format="openai-chat")

    seen = read_merged(kind, {"again": again, "plain": saying("x", "y")})

    last = max(at for at, label in enumerate(seen.labels) if label == "plain")
    assert "again" in seen.labels[last:]
    assert 2 == len(seen.merged.streams["again"].attempts)
    assert {"again": "Hello", "plain": "xy"} == seen.texts


@every_kind
def test_requests_go_out_side_by_side(kind: str) -> None:
    begun: list[int] = []
    all_begun, all_begun_async = threading.Barrier(4), anyio.Event()

    def ask() -> Any:
        all_begun.wait(PATIENCE)
        return saying("x")

    async def ask_async() -> Any:
        begun.append(1)
        if len(begun) == 4:
            all_begun_async.set()
        with anyio.fail_after(PATIENCE):
            await all_begun_async.wait()
        return saying("x")

    def asking(is_async: bool) -> Any:
        return (
            AsyncStream(ask_async(), format="openai-chat")
            if is_async
            else resilient(ask, format="openai-chat")
        )

    seen = read_merged(kind, dict.fromkeys(range(4), asking))

    assert ["x"] * 4 == [message.text for message in seen.merged.messages.values()]


@every_kind
def test_a_request_that_fails_is_named(kind: str) -> None:
    def ask() -> Any:
        raise OSError("nobody there")

    async def ask_async() -> Any:
        raise OSError("nobody there")

    def asking(is_async: bool) -> Any:
        if is_async:
            return AsyncStream(ask_async(), format="openai-chat")
        return resilient(ask, Retry(attempts=1), format="openai-chat")

    seen = read_merged(kind, {"a": asking})

    assert isinstance(seen.error, StreamError)
    assert "raised by the stream 'a' of a merge" in seen.error.__notes__


@pytest.mark.anyio
async def test_a_timeout_around_a_read_loses_nothing() -> None:
    feeds = {label: AsyncFeed() for label in "ab"}
    streams = {label: AsyncStream(feed.chunks(), format="openai-chat") for label, feed in feeds.items()}
    texts = dict.fromkeys("ab", "")
    async with merge(streams) as merged, anyio.create_task_group() as tasks:

        async def feed() -> None:
            for number in range(10):
                for each in feeds.values():
                    each.feed(chunk({"content": f"{number} "}))
                    await anyio.sleep(0.003)
            for each in feeds.values():
                each.feed(saying("")[-1])
                each.end()

        tasks.start_soon(feed)
        fired = 0
        while True:
            try:
                with anyio.move_on_after(0.001) as scope:
                    label, event = await anext(merged)
                    if isinstance(event, TextDelta):
                        texts[label] += event.text
            except StopAsyncIteration:
                break
            fired += scope.cancelled_caught

        expected = "".join(f"{number} " for number in range(10))
        assert {"a": expected, "b": expected} == texts
        assert fired


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_on_trio_a_block_is_needed() -> None:
    """Only there can tasks read; the error says how."""
    feed = AsyncFeed()
    merged = merge({"a": AsyncStream(feed.chunks(), format="openai-chat")})
    with pytest.raises(MisuseError, match="async with merge"):
        await anext(merged)
    feed.feed(*saying("x"))
    feed.end()
    async with merged:
        assert [label async for label, _ in merged]
    assert "x" == merged.messages["a"].text


@pytest.mark.anyio
async def test_a_guard_that_is_awaited_holds_up_its_own_stream_only() -> None:
    asked = anyio.Event()
    allowed = anyio.Event()

    async def judge(_message: Any) -> str | None:
        asked.set()
        await allowed.wait()
        return None

    guarded = AsyncStream(saying("Hel", "lo"), format="openai-chat").guard(judge, first_tokens=1, hold=True)
    feed = AsyncFeed()
    plain = AsyncStream(feed.chunks(), format="openai-chat")
    labels: list[str] = []
    async with merge({"guarded": guarded, "plain": plain}) as merged:
        feed.feed(chunk({"content": "x"}))
        with anyio.fail_after(PATIENCE):
            async for label, event in merged:
                labels.append(label)
                if label == "guarded" or not isinstance(event, TextDelta):
                    continue
                if not asked.is_set():
                    feed.feed(chunk({"content": "x"}))
                elif not allowed.is_set():
                    assert "guarded" not in labels
                    allowed.set()
                    feed.feed(*saying("y"))
                    feed.end()

    assert "Hello" == merged.messages["guarded"].text
    assert "guarded" in labels
