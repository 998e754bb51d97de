"""A `for` loop with a timer: a thread reads, what is held comes in time, and nothing is left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests._sources.sockets import answer
from tests.stream.blocked import BEGUN, PATIENCE, TEXT, Loop, alone, every_opener, opened
from tests.stream.bodies import chunk
from tests.support.loopback import OPEN, Act, Loopback, Script, chunked_head, http_chunk
from tests.support.timing import own_threads, settled
from tests.support.wire import DONE
from tokenstream import Deadlines, Retry, Stream, resilient
from tokenstream.errors import StreamInterrupted, StreamStalled, StreamTruncated
from tokenstream.stream._reading.items import MAX_AHEAD

pytestmark = pytest.mark.not_quick

SOME = 0.3
"""Seconds in which nothing comes."""


def said_and_silent(seconds: float = SOME) -> Iterator[str]:
    yield "The"
    yield " sky"
    time.sleep(seconds)
    yield " is blue."


@pytest.mark.slow
def test_what_is_held_comes_in_time_while_the_source_is_silent() -> None:
    for timer, expected in ((True, ["The", " sky", " is blue."]), (False, ["The", " sky is blue."])):
        with Stream(said_and_silent(), format="pieces") as stream:
            assert list(stream.text.throttle(hz=20, timer=timer)) == expected
    assert not own_threads()


@pytest.mark.slow
def test_the_thread_starts_with_the_first_piece_that_is_held() -> None:
    with Stream(said_and_silent(), format="pieces") as stream:
        text = stream.text.throttle(hz=20, timer=True)
        before = (next(text), own_threads())
        after = (next(text), len(own_threads()))

        assert (before, after) == (("The", set()), (" sky", 1))
        list(text)
    assert not own_threads()


def test_other_views_and_the_message_go_on_after_the_thread() -> None:
    with Stream(said_and_silent(0.1), format="pieces") as stream:
        text = stream.text.smooth(max_delay=0.05, timer=True)
        assert next(text) == "T"
        assert next(text)
        assert "".join(stream.text) == stream.message.text == "The sky is blue."
        assert stream.message.complete


@every_opener
def test_a_silent_server_is_waited_for_no_longer_than_the_pace_says(opener: Any) -> None:
    script: Script = [chunked_head(), *map(http_chunk, BEGUN), OPEN]
    with Loopback(script, tls=opener is not alone) as server, opened(opener, server.url) as stream:
        begun = time.monotonic()
        text = stream.text.throttle(hz=20, timer=True)
        seen = next(text)
        if seen != TEXT:
            seen += next(text)
        assert seen == TEXT
        assert time.monotonic() - begun < PATIENCE
        stream.close()
        assert stream.closed
    assert not own_threads()


def test_a_source_that_nothing_wakes_ends_its_thread_with_its_next_item() -> None:
    waits = threading.Event()
    go_on = threading.Event()
    closed = threading.Event()

    def source() -> Iterator[str]:
        try:
            yield "The"
            yield " sky"
            waits.set()
            go_on.wait(PATIENCE)
            yield " is blue."
        finally:
            closed.set()

    stream = Stream(source(), format="pieces")
    text = stream.text.throttle(hz=20, timer=True)
    assert (next(text), next(text)) == ("The", " sky")
    assert waits.wait(PATIENCE)
    begun = time.monotonic()
    stream.close()

    assert time.monotonic() - begun < PATIENCE / 2
    assert not closed.is_set()
    go_on.set()
    assert closed.wait(PATIENCE)
    for thread in own_threads():
        thread.join(PATIENCE)
    assert not own_threads()


@pytest.mark.slow
def test_another_thread_stops_a_loop_that_waits() -> None:
    silence = threading.Event()

    def source() -> Iterator[str]:
        yield "The"
        yield " sky"
        silence.wait(PATIENCE)

    stream = Stream(source(), format="pieces")
    with Loop(lambda: stream.text.throttle(hz=5, timer=True)) as loop:
        loop.got(2)
        stream.stop("enough")
        loop.ended()
    silence.set()

    assert "".join(loop.items) == "The sky"
    assert stream.message.ending == "stopped"
    stream.close()


def test_an_error_of_the_source_comes_after_what_it_gave() -> None:
    def source() -> Iterator[bytes]:
        yield chunk({"content": "The"})
        yield chunk({"content": " sky"})
        time.sleep(0.1)
        raise ConnectionResetError("the line is dead")

    with Stream(source(), format="openai-chat") as stream:
        seen: list[str] = []
        with pytest.raises(StreamInterrupted) as caught:
            seen.extend(stream.text.throttle(hz=20, timer=True))

        assert seen == ["The", " sky"]
        assert isinstance(caught.value.__cause__, ConnectionResetError)
        assert caught.value.partial.text == "The sky"
    assert not own_threads()


@pytest.mark.slow
def test_deadlines_end_a_loop_whose_source_blocks() -> None:
    """With a thread that reads, a silence is noticed where it could not be before."""
    silence = threading.Event()

    def source() -> Iterator[bytes]:
        yield chunk({"content": "The"})
        yield chunk({"content": " sky"})
        silence.wait(PATIENCE)

    with Stream(source(), format="openai-chat", deadlines=Deadlines(idle_bytes=0.2)) as stream:
        with pytest.raises(StreamStalled):
            list(stream.text.throttle(hz=20, timer=True))
        silence.set()


def test_a_source_that_ends_early_is_a_truncated_answer() -> None:
    """The thread tells the end from a wait."""
    with Stream([chunk({"content": word}) for word in ("a", "b", "c")], format="openai-chat") as stream:
        seen: list[str] = []
        with pytest.raises(StreamTruncated):
            seen.extend(stream.text.throttle(hz=20, timer=True))

        assert "".join(seen) == "abc"


@pytest.mark.slow
def test_a_fast_source_does_not_run_ahead_of_a_slow_loop() -> None:
    given = 0

    def source() -> Iterator[bytes]:
        nonlocal given
        for number in range(2_000):
            given = number
            yield chunk({"content": f"{number} "})
        yield chunk({}, "stop") + DONE

    with Stream(source(), format="openai-chat") as stream:
        text = stream.text.smooth(max_delay=30.0, timer=True)
        next(text)
        next(text)
        settled(lambda: given)
        assert given - len(stream.message.text.split()) <= MAX_AHEAD + 2
        assert "".join(text).endswith("1999 ")


@pytest.mark.slow
def test_an_answer_that_comes_in_time_needs_no_thread() -> None:
    """The timer is for what is held, and nothing is here."""
    with Loopback([chunked_head(), http_chunk(chunk({"content": "a"}, "stop") + DONE), Act.OPEN]) as server:
        import httpx

        with httpx.stream("POST", server.url) as response, Stream(response) as stream:
            assert list(stream.text.throttle(hz=20, timer=True)) == ["a"]
            assert not own_threads()


@pytest.mark.slow
def test_what_is_held_comes_in_time_while_a_retry_is_waited_for() -> None:
    """The thread is gone with the source that broke off; the wait itself can be given a time."""
    begun = [chunk({"content": piece}) for piece in ("The", " sky")]
    whole = [*begun, chunk({"content": " is blue."}, "stop"), DONE]
    bodies = iter([begun, whole])
    retry = Retry(again=True, wait=lambda _: SOME)
    with resilient(lambda: next(bodies), retry, format="openai-chat") as stream:
        start = time.monotonic()
        seen = [(piece, time.monotonic() - start) for piece in stream.text.throttle(hz=20, timer=True)]

    assert [piece for piece, _ in seen] == ["The", " sky", " is blue."]
    assert seen[1][1] < SOME < seen[2][1]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_ends_a_program_ends_the_loop_as_it_does_without_the_thread(kind: type[BaseException]) -> None:
    def source() -> Iterator[bytes]:
        yield chunk({"content": "The"})
        yield chunk({"content": " sky"})
        time.sleep(0.1)
        raise kind

    with Stream(source(), format="openai-chat") as stream, pytest.raises(kind):
        list(stream.text.throttle(hz=20, timer=True))
    assert not own_threads()


@pytest.mark.slow
@pytest.mark.parametrize("leave", ["stop", "close"])
def test_answers_of_one_connection_are_left_in_the_middle(leave: str) -> None:
    """The thread reads the connection, and for all of them: the next one comes as ever."""
    silence = threading.Event()

    def source() -> Iterator[str]:
        for name in ("one", "two"):
            *begun, item, part, done = answer(name, "The", " sky", " is", " blue.")
            yield from begun
            silence.wait(0.4)
            yield from (item, part, done)

    seen: list[str] = []
    with Stream(source(), format="openai-realtime") as stream:
        for response in stream.responses:
            for piece in response.text.throttle(hz=5, timer=True):
                seen.append(piece)
                if len(seen) % 2 == 0:
                    getattr(response, leave)()
            assert len(own_threads()) == 1

    assert seen == ["The", " sky is blue."] * 2
    assert not own_threads()
