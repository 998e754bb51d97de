"""`guard`: rules that fail, come late, or say what is no reason; and what is told of a stop."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import anyio
import pytest

from tests.stream.bodies import Source
from tests.stream.guards.support import ANSWER, never, off_topic
from tests.support.playing import silent_after, three_worlds
from tokenstream import Message, Stream
from tokenstream.errors import GuardFailed, MisuseError, StreamConsumed, StreamTruncated
from tokenstream.events import Event, Stopped, TextDelta
from tokenstream.stages import Budget


def test_a_guard_that_raises_closes_the_stream() -> None:
    """Its error is the cause, after all that came before; views raise it each time."""

    def fail(_: Message) -> str | None:
        raise ValueError("no model")

    source = Source(ANSWER.chunks("openai-chat"))
    stream = Stream(source).guard(fail, first_tokens=2)
    given: list[str] = []
    with pytest.raises(GuardFailed):
        given.extend(stream.text)
    with pytest.raises(GuardFailed) as caught:
        given.extend(stream.text)

    assert ["The ", "ca", "The ca"] == given
    assert isinstance(caught.value.__cause__, ValueError)
    assert ("The ca", "failed") == (caught.value.partial.text, caught.value.partial.ending)
    assert 1 == source.closed
    held = Stream(ANSWER.chunks("openai-chat")).guard(fail, first_tokens=2, hold=True)
    with pytest.raises(GuardFailed) as caught:
        held.final()
    assert "" == caught.value.partial.text


def test_what_is_no_reason_is_an_error() -> None:
    """`return True` stops nothing without a word."""
    wrong: Any = lambda _: True  # noqa: E731
    with pytest.raises(GuardFailed) as caught:
        Stream(ANSWER.chunks("openai-chat")).guard(wrong).final()

    assert "returns why" in str(caught.value.__cause__)


def test_an_answer_that_breaks_off_is_judged_as_far_as_it_came() -> None:
    """A rule that stops it comes before the error; else the error is raised."""
    body = ANSWER.chunks("openai-chat")[:5]
    stream = Stream(body).guard(off_topic)

    assert ("stopped", "off topic") == (stream.final().ending, stream.stop_reason)
    with pytest.raises(StreamTruncated):
        Stream(body).guard(never, hold=True).final()


@three_worlds
@pytest.mark.parametrize("beats", [False, True])
def test_time_stops_an_answer_in_which_nothing_comes(world: str, beats: bool) -> None:
    """By the stream's own clock, counted from the request; heartbeats are nothing, either."""
    steps: list[Any] = [step for chunk in ANSWER.chunks("openai-chat")[:3] for step in (1.0, chunk)]
    steps += [step for _ in range(20 * beats) for step in (0.3, b": beat\n\n")]
    playback = silent_after(*steps)
    stream: Any = playback.stream() if world == "sync" else playback.astream()
    stream.guard(Budget(seconds=4.5))
    events: list[Event] = []

    async def read_on() -> None:
        async with stream:
            events.extend([event async for event in stream])

    if world == "sync":
        events.extend(stream)
    else:
        anyio.run(read_on, backend=world)

    assert Stopped("the budget of 4.5 seconds is used up") == events[-1]
    assert events[-1] == Stopped(stream.stop_reason)
    assert ("The ca", 4.5) == (stream.message.text, round(stream.metrics.duration, 3))


def test_a_guard_is_set_before_the_first_read() -> None:
    """One that has not seen the beginning of an answer would be none."""
    stream = Stream(ANSWER.chunks("openai-chat"))
    next(stream)
    with pytest.raises(MisuseError, match="before the first read"):
        stream.guard("cat")
    stream.final()
    with pytest.raises(MisuseError, match="before the first read"):
        stream.guard("cat")


def test_a_rule_that_has_to_be_awaited_needs_an_async_stream() -> None:
    """Told when it is given."""

    async def judge(_: Message) -> str | None:
        return None

    class Judge:
        async def __call__(self, _: Message) -> str | None:
            return None

    for rule in (judge, Judge()):
        wrong: Any = rule
        with Stream(ANSWER.chunks("openai-chat")) as stream, pytest.raises(MisuseError, match="AsyncStream"):
            stream.guard(wrong)


def test_a_reason_is_told_of_a_stop_as_well() -> None:
    """Not of a close, nor of what had ended before."""
    stopped, silent, closed, ended = (Stream(ANSWER.chunks("openai-chat")) for _ in range(4))
    for stream in (stopped, silent, closed, ended):
        assert stream.stop_reason is None
        next(stream)
    stopped.stop("enough")
    silent.stop()
    closed.close()
    ended.final()
    ended.stop("too late")

    assert ["enough", "stop", None, None] == [s.stop_reason for s in (stopped, silent, closed, ended)]


def test_a_new_loop_gets_the_word_that_was_not_given_yet() -> None:
    """Also where the loop before was left at the very piece that stopped the answer."""
    stream = Stream(ANSWER.chunks("openai-chat")).guard("cat")
    for event in stream:
        if isinstance(event, TextDelta) and event.text == "t ":
            break

    assert ["Stopped"] == [type(event).__name__ for event in stream]
    with pytest.raises(StreamConsumed):
        iter(stream)


def test_a_guard_does_not_keep_a_stream_alive() -> None:
    """Nobody who lets go of it waits for the garbage collector."""
    gc.disable()
    try:
        stream = Stream(ANSWER.chunks("openai-chat")).guard("dog").guard(never, hold=True)
        next(stream)
        gone = weakref.ref(stream)
        stream.close()
        driver = weakref.ref(stream._driver)  # noqa: SLF001 - what must go
        del stream

        assert (None, None) == (gone(), driver())
    finally:
        gc.enable()
