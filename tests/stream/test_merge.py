"""Several streams side by side: each event with its label, in the order of its own stream, and none waits."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from tests.stream.bodies import ANSWER, chunk
from tests.stream.merging import AsyncFeed, Feed, Seen, every_kind, read_merged, saying
from tests.support.either import Each, inside, run_in, stream_in
from tests.support.raised import misuse
from tests.support.timing import PATIENCE, meanwhile
from tests.support.wire import DONE
from tokenstream import AsyncStream, Stream, merge
from tokenstream.errors import MisuseError
from tokenstream.events import TextDelta
from tokenstream.stream._fan_out.lanes import LabelledEvent


@every_kind
def test_each_event_comes_with_the_label_of_its_stream(kind: str) -> None:
    bodies = {"plan": ANSWER, "write": saying("Hel", "lo"), 3: saying("x")}
    seen = read_merged(kind, bodies)

    for label, body in bodies.items():
        with Stream(iter(body), format="openai-chat") as alone:
            assert list(map(repr, alone)) == list(map(repr, seen.of(label)))
            assert alone.message == seen.merged.messages[label]
    assert seen.error is None


def test_a_pair_is_named() -> None:
    with merge({"a": Stream(saying("x"), format="openai-chat")}) as merged:
        first = next(merged)

    assert isinstance(first, LabelledEvent)
    assert ("a", "MessageStart") == (first.label, type(first.event).__name__)


@every_kind
def test_nothing_to_merge_ends_at_once(kind: str) -> None:
    assert [] == read_merged(kind, {}).pairs


def test_what_is_no_mapping_of_streams_is_named() -> None:
    wrong: Any
    with Stream(b"") as stream:
        (reader,), other = stream.tee(1), AsyncStream(b"")
        for wrong, told in (
            ([stream], "merge takes streams by their labels"),
            ({"a": b""}, "merge takes streams, and 'a' is bytes"),
            ({"a": stream, "b": other}, "'a' is a Stream and 'b' an AsyncStream"),
            ({"a": stream, "b": stream}, "'b' and 'a' are the same stream"),
            ({"a": reader}, "'a' is one of several readers: merge takes the stream"),
        ):
            with pytest.raises(MisuseError, match=told):
                merge(wrong)
        anyio.run(other.aclose)


@every_kind
def test_a_fast_stream_lets_a_slow_one_have_its_turn(kind: str) -> None:
    fast, slow = saying(*("x " for _ in range(60))), saying("a", "b", "c")
    turns: list[int] = []

    def note(_merged: Any, seen: Seen) -> None:
        if kind == "sync":
            # The threads are to have brought all.
            threading.Event().wait(0.001)
        turns.append(seen.labels[-1] == "fast")

    read_merged(kind, {"fast": fast, "slow": slow}, each=note)

    runs = "".join(map(str, map(int, turns))).split("0")
    assert max(map(len, runs[:-1])) <= 16


@pytest.mark.slow
@pytest.mark.anyio
async def test_the_loop_keeps_pace_with_many_sources_that_are_never_silent() -> None:
    read, seen, most = [0] * 100, [0] * 100, 0

    async def source(at: int) -> AsyncIterator[bytes]:
        for _ in range(50):
            await anyio.lowlevel.checkpoint()
            read[at] += 1
            yield chunk({"content": "x"})
        yield saying("")[-1]

    streams = {at: AsyncStream(source(at), format="openai-chat") for at in range(100)}
    async with merge(streams) as merged:
        async for at, event in merged:
            if isinstance(event, TextDelta):
                seen[at] += 1
                most = max(most, read[at] - seen[at])

    assert [50] * 100 == seen
    assert most <= 16


def test_views_of_a_stream_may_be_read_between_and_afterwards() -> None:
    taken: list[str] = []

    def look(merged: Any, seen: Seen) -> None:
        if seen.labels.count("a") == 1 and not taken:
            taken.append(next(merged.streams["a"].text))

    seen = read_merged("sync", {"a": saying("Hel", "lo"), "b": saying("x", "y")}, each=look)

    assert ["Hel"] == taken
    assert ["lo"] == [event.text for event in seen.of("a") if isinstance(event, TextDelta)]
    assert "Hello" == "".join(seen.merged.streams["a"].text)
    assert {"a": "Hello", "b": "xy"} == seen.texts


@pytest.mark.anyio
async def test_a_view_that_reads_beside_takes_nothing_from_the_loop_for_good() -> None:
    feeds = {label: AsyncFeed() for label in "ab"}
    streams = {label: AsyncStream(feed.chunks(), format="openai-chat") for label, feed in feeds.items()}
    async with merge(streams) as merged:
        feeds["b"].feed(*saying("x"))
        feeds["b"].end()
        labels = [(await anext(merged)).label for _ in range(4)]
        feeds["a"].feed(*saying("Hel", "lo")[:1])
        assert await anext(streams["a"].text) == "Hel"
        feeds["a"].feed(*saying("Hel", "lo")[1:])
        feeds["a"].end()
        with anyio.fail_after(PATIENCE):
            rest = [event async for label, event in merged if label == "a"]

    assert ["b"] * 4 == labels
    assert ["lo"] == [event.text for event in rest if isinstance(event, TextDelta)]
    assert "Hello" == merged.messages["a"].text


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_view_that_was_given_up_takes_nothing_from_the_loop() -> None:
    feed = AsyncFeed()
    stream = AsyncStream(feed.chunks(), format="openai-chat")
    feed.feed(chunk({"content": "x"}))
    async with merge({"one": stream}) as merged:
        with anyio.move_on_after(0.05):
            async for _ in merged:
                pass
        with anyio.move_on_after(0.05) as given_up:
            async for _ in stream.text:
                pass

        texts: list[str | None] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_feed_later, feed)
            with anyio.fail_after(PATIENCE):
                texts += [getattr(event, "text", None) for _, event in [await anext(merged)]]

    assert given_up.cancelled_caught
    assert ["y"] == texts


async def _feed_later(feed: AsyncFeed) -> None:
    await anyio.sleep(0.05)
    feed.feed(chunk({"content": "y"}))


@every_kind
def test_break_leaves_all_open_and_the_loop_goes_on(kind: str) -> None:
    def third(_merged: Any, seen: Seen) -> Any:
        return StopIteration if len(seen.pairs) == 3 else None

    def refuse(merged: Any) -> None:
        with misuse("consumed"):
            iter(merged) if kind == "sync" else aiter(merged)

    bodies = {"a": saying("Hel", "lo"), "b": saying("x", "y")}
    seen = read_merged(kind, bodies, each=third, loops=2, after=refuse)

    assert {"a": "Hello", "b": "xy"} == {label: seen.text_of(label) for label in "ab"}


@every_kind
def test_one_stream_stops_and_the_others_go_on(kind: str) -> None:
    def stop(merged: Any, seen: Seen) -> None:
        if seen.labels.count("b") == 3:
            merged.streams["b"].stop("enough")

    bodies = {label: saying(*(f"{number} " for number in range(30))) for label in "abc"}
    seen = read_merged(kind, bodies, each=stop)

    assert {"a": "complete", "b": "stopped", "c": "complete"} == seen.endings
    assert "enough" == seen.merged.streams["b"].stop_reason
    assert seen.error is None


@every_kind
def test_a_guard_stops_its_own_stream_only(kind: str) -> None:
    bodies = {label: saying("The ", f"cat {label} ", "sat") for label in "ab"}
    seen = read_merged(kind, bodies, prepare=lambda stream: stream.guard("cat a"))

    assert "Stopped" == type(seen.of("a")[-1]).__name__
    assert {"a": "stopped", "b": "complete"} == seen.endings


@every_kind
def test_all_are_stopped_at_once(kind: str) -> None:
    def stop(merged: Any, seen: Seen) -> None:
        if len(seen.pairs) == 4:
            merged.stop("enough")

    bodies = {label: saying(*(f"{number} " for number in range(30))) for label in "ab"}
    seen = read_merged(kind, bodies, each=stop)

    assert seen.error is None
    assert {"enough"} == {stream.stop_reason for stream in seen.merged.streams.values()}
    assert all(stream.closed for stream in seen.merged.streams.values())


def test_another_thread_stops_a_loop_that_waits() -> None:
    feeds = {label: Feed() for label in "ab"}
    merged = merge({label: Stream(feed.chunks(), format="openai-chat") for label, feed in feeds.items()})
    with merged, meanwhile(lambda: merged.stop("enough")):
        assert [] == list(merged)
    for feed in feeds.values():
        feed.end()

    assert {"enough"} == {stream.stop_reason for stream in merged.streams.values()}


@every_kind
@pytest.mark.parametrize("stopped", ["one", "all"])
def test_streams_may_be_stopped_before_the_loop_begins(kind: str, stopped: str) -> None:
    def stop(merged: Any) -> None:
        (merged if stopped == "all" else merged.streams["one"]).stop("enough")

    seen = read_merged(kind, {name: saying(name) for name in ("one", "two")}, before=stop)

    expected = {"one": "", "two": "two" if stopped == "one" else ""}
    assert expected == seen.texts
    assert {label for label, text in expected.items() if text} == set(seen.labels)


@every_kind
def test_an_exception_of_the_loop_closes_all(kind: str) -> None:
    feeds: list[Any] = []

    class Ours(Exception):
        pass

    async def main() -> None:
        feeds[:] = [(Feed if kind == "sync" else AsyncFeed)() for _ in range(2)]
        for feed in feeds:
            feed.feed(*saying("x")[:1])
        streams = {at: stream_in(kind)(feed.chunks(), format="openai-chat") for at, feed in enumerate(feeds)}
        async with inside(merge(streams)) as merged:
            events = Each(merged)
            labels = {(await anext(events)).label for _ in range(6)}
            assert {0, 1} == labels
            raise Ours

    with pytest.raises(Ours):
        run_in(kind, main)
    if kind == "sync":
        # Nothing wakes these threads: they end with their next item.
        for feed in feeds:
            feed.feed(chunk({"content": "y"}))
        for thread in threading.enumerate():
            if thread.name == "tokenstream reader":
                thread.join(PATIENCE)

    assert [True, True] == [feed.closed for feed in feeds]


def test_only_one_may_read_at_a_time() -> None:
    feed = Feed()
    with merge({"a": Stream(feed.chunks(), format="openai-chat")}) as merged:
        reading = threading.Thread(target=lambda: list(merged))
        reading.start()
        while not threading.enumerate()[-1].name.startswith("tokenstream"):
            pass
        with misuse("concurrent"):
            next(merged)
        feed.feed(*saying("x"), DONE)
        feed.end()
        reading.join(PATIENCE)

    assert "x" == merged.messages["a"].text


def test_a_stream_that_was_read_to_its_end_is_named() -> None:
    done = Stream(saying("x"), format="openai-chat")
    list(done)
    with merge({"a": done, "b": Stream(saying("y"), format="openai-chat")}) as merged:
        with misuse("consumed") as caught:
            next(merged)

        assert ["raised by the stream 'a' of a merge"] == caught.value.__notes__
