"""A stream that is shared, and all else that may be done with one: merge it, guard it, ask again, resume."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import pytest

from tests.stream.bodies import ANSWER, Source
from tests.support.raised import misuse
from tests.support.timing import PATIENCE
from tokenstream import AsyncStream, Job, Retry, Stream, resilient, testing
from tokenstream.errors import MisuseError, OutputInvalid
from tokenstream.events import Restarted, Stopped

pytestmark = pytest.mark.anyio


def test_an_answer_that_begins_again_does_so_for_every_reader() -> None:
    broken = [*ANSWER[:4]]
    bodies = iter([broken, ANSWER])
    with resilient(lambda _: Source(next(bodies)), Retry(again=True, wait=0)) as stream:
        one, two, late = stream.tee(3)
        text = one.text
        got = [next(text), next(text)]
        events = list(two)
        got.extend(text)
        calls = [call.name for call in late.tool_calls]

    assert "Let me see." == "".join(got)
    assert 1 == sum(isinstance(event, Restarted) for event in events)
    assert ["get_weather", "get_time"] == calls


@pytest.mark.parametrize("shared_first", [False, True])
def test_a_guard_stops_the_stream_for_all(shared_first: bool) -> None:
    stream = Stream(["The ", "cat ", "sat"], format="pieces")
    readers = stream.tee(2) if shared_first else ()
    stream.guard("cat")
    readers = readers or stream.tee(2)
    for reader in readers:
        events = list(reader)
        assert Stopped("the text matches 'cat'") == events[-1]
        assert "The cat " == "".join(reader.text)
        assert "the text matches 'cat'" == reader.stop_reason


async def test_a_guard_that_is_awaited_stops_the_stream_for_all() -> None:
    async def off_topic(message: Any) -> str | None:
        await anyio.lowlevel.checkpoint()
        return "off topic" if "cat" in message.text else None

    async def body() -> Any:
        for piece in ("The ", "cat ", *(["sat "] * 50)):
            await anyio.sleep(0.001)
            yield piece

    stream = AsyncStream(body(), format="pieces")
    one, two = stream.tee(2)
    async with stream.guard(off_topic, first_tokens=2):
        with anyio.fail_after(PATIENCE):
            message = await one.final()

    assert ("stopped", "off topic", "off topic") == (message.ending, one.stop_reason, two.stop_reason)


@pytest.mark.parametrize("shared_first", [False, True])
def test_wait_open_takes_nothing_from_the_readers(shared_first: bool) -> None:
    stream = Stream(ANSWER)
    if not shared_first:
        stream.wait_open(first="event")
    (reader,) = stream.tee(1)
    stream.wait_open(first="event")

    assert list(Stream(ANSWER)) == list(reader) == list(stream)


def test_a_checkpoint_is_gone_on_with_by_all_readers() -> None:
    body = testing.script().text("Let ", "me ", "see.").finish().chunks("openai-responses")
    with Stream(body) as begun:
        next(begun.text)
        checkpoint = begun.checkpoint()
    plain = [Stream(body, job=Job("job", checkpoint=checkpoint)) for _ in range(2)]
    one, two = Stream(body, job=Job("job", checkpoint=checkpoint)).tee(2)

    assert list(plain[0].text) == list(one.text)
    assert list(plain[1]) == list(two)
    assert "Let me see." == two.message.text


def test_fail_fast_stops_the_stream() -> None:
    one, two = Stream(['{"eggs": "two', '", "milk": 1', "}"], format="pieces").tee(2)
    with pytest.raises(OutputInvalid):
        list(one.partials(dict[str, int], fail_fast=True))

    assert "stopped" == two.final().ending


def test_a_view_with_a_timer_reads_in_time_beside_others() -> None:
    """A thread reads the source then, for all."""
    go = threading.Semaphore(0)

    def body() -> Any:
        yield "one "
        yield "two "
        assert go.acquire(timeout=PATIENCE)
        yield "three"

    with Stream(body(), format="pieces") as stream:
        one, two = stream.tee(2)
        got: list[str] = []
        loop = threading.Thread(target=lambda: got.extend(one.text))
        loop.start()
        calm = []
        for piece in two.text.throttle(hz=100, timer=True):
            calm.append(piece)
            if "".join(calm) == "one two ":
                go.release()
        loop.join(PATIENCE)

    assert "one two three" == "".join(calm) == "".join(got)


@pytest.mark.slow
def test_a_view_with_a_timer_does_not_wait_for_the_read_of_another() -> None:
    go, waits = threading.Semaphore(0), threading.Event()

    def body() -> Any:
        yield "one "
        assert go.acquire(timeout=PATIENCE)
        yield "two "
        waits.set()
        assert go.acquire(timeout=PATIENCE)
        yield "three"

    with Stream(body(), format="pieces") as stream:
        one, two = stream.tee(2)
        loop = threading.Thread(target=lambda: list(one.text))
        pieces = two.text.throttle(hz=5, timer=True)
        first = next(pieces)
        loop.start()
        go.release()
        assert waits.wait(PATIENCE)
        second = next(pieces)
        go.release()
        rest = "".join(pieces)
        loop.join(PATIENCE)

    assert ["one ", "two ", "three"] == [first, second, rest]


def test_a_stream_that_is_being_read_cannot_be_shared() -> None:
    found: list[str] = []

    def body() -> Any:
        yield "one "
        with misuse("concurrent"):
            stream.tee(2)
        found.append("refused")
        yield "two"

    stream = Stream(body(), format="pieces")

    assert (["one ", "two"], ["refused"]) == (list(stream.text), found)


def test_a_reader_that_reads_inside_a_read_is_refused() -> None:
    """Such a read would wait for itself."""
    found: list[str] = []

    def body() -> Any:
        yield "one "
        with misuse("concurrent"):
            two.final()
        found.append("refused")
        yield "two"

    one, two = Stream(body(), format="pieces").tee(2)

    assert (["one ", "two"], ["refused"]) == (list(one.text), found)


def test_answers_that_are_read_one_by_one_are_shared_one_by_one() -> None:
    """The connection has none of its own."""
    stream = Stream(ANSWER)
    stream.broadcast()
    with pytest.raises(MisuseError, match="share each"):
        _ = stream.responses
    stream.close()
