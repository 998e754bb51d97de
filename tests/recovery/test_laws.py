"""Whatever breaks where: what the user was given is one answer, or the beginning of one and an error."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.support.effort import trials
from tests.support.recordings import Recorded, frames_of, ours
from tests.support.sampling import few
from tokenstream import Retry, Stream, resilient, testing
from tokenstream.accumulator import Accumulator
from tokenstream.errors import StreamError

RESTART = Retry(mode="restart", wait=0)
RESUME = Retry(mode="resume", wait=0)
WORDS = "Something else, in other words."
VIEWS = ["text", "tool_calls", "events"]


def read(stream: Stream, view: str) -> tuple[Any, StreamError | None]:
    """Return what a view has given, as one value that grows at its end, and what it raised."""
    given: list[Any] = []
    error = None
    accumulator = Accumulator()
    try:
        if view == "text":
            given.extend(stream.text)
        elif view == "tool_calls":
            given.extend((call.name, call.arguments_text) for call in stream.tool_calls)
        else:
            for event in stream:
                accumulator.feed(event)
    except StreamError as raised:
        error = raised
    stream.close()
    if view == "tool_calls":
        return given, error
    return "".join(given) if view == "text" else accumulator.message.text, error


def whole_answers() -> Iterator[Any]:
    for recorded in ours():
        stream = Stream(recorded.body, format=recorded.format)
        try:
            message = stream.final()
        except StreamError:
            continue
        if message.complete and recorded.format in testing.all_formats:
            yield pytest.param(recorded, id=recorded.name)


ANSWERS = list(whole_answers())


def begins(whole: Any, given: Any) -> bool:
    return bool(whole[: len(given)] == given)


def check(recorded: Recorded, cuts: int) -> None:
    chance = random.Random(recorded.name)
    body, format = recorded.body, recorded.format
    other = b"".join(testing.script().text(WORDS).finish("stop").chunks(format))
    expected, differs = (
        {view: read(Stream(each, format=format), view)[0] for view in VIEWS} for each in (body, other)
    )
    for cut in chance.sample(range(len(body)), k=min(cuts, len(body))):
        for view in VIEWS:
            alone, broken = read(Stream(body[:cut], format=format), view)
            for again in (body, other):
                stream = resilient(partial(next, iter([[body[:cut]], [again]])), RESTART, format=format)
                given, error = read(stream, view)

                if broken is None:
                    # What ends there is whole: the first of several answers on a connection, say.
                    assert given == alone
                elif error is None:
                    assert given in (expected[view], (expected if again is body else differs)[view])
                else:
                    assert begins(expected[view], given)
                assert error is None or again is other
                assert stream.closed


@pytest.mark.few_rows(8)
@pytest.mark.parametrize("recorded", few(ANSWERS, one_in=4))
def test_an_answer_that_is_asked_for_again_from_zero(recorded: Recorded) -> None:
    """The same text, or another one; at a few places."""
    check(recorded, 3)


@pytest.mark.slow
@pytest.mark.parametrize("recorded", ANSWERS)
def test_an_answer_that_is_asked_for_again_from_zero_anywhere(recorded: Recorded) -> None:
    check(recorded, trials(200, one_in=100))


def replayable() -> Iterator[Any]:
    for param in ANSWERS:
        (recorded,) = param.values
        if recorded.format in ("openai-responses", "gemini-interactions"):
            yield param


def check_replay(recorded: Recorded, cuts: int) -> None:
    format = recorded.format
    frames = [frame for frame in frames_of(recorded.body) if frame]
    payloads: list[Any] = [getattr(frame, "payload", frame) for frame in frames]
    chance = random.Random(recorded.name)
    plain = Stream(recorded.body, format=format)
    expected = {view: read(Stream(recorded.body, format=format), view)[0] for view in VIEWS}
    message = plain.final()
    places = range(1, len(payloads))
    for cut in sorted(chance.sample(places, k=min(cuts, len(places)))):
        for view in VIEWS:
            for start in (cut, 0):
                asked: list[Any] = []

                def opened(attempt: Any, start: int = start, cut: int = cut, asked: list[Any] = asked) -> Any:
                    asked.append(attempt.sequence if attempt.last_event_id is None else attempt.last_event_id)
                    resumed = attempt.mode == "resume"
                    return [
                        body(each) for each in payloads[start if resumed else 0 : None if resumed else cut]
                    ]

                stream = resilient(opened, RESUME, format=format)
                given, error = read(stream, view)

                if error is None:
                    assert given == expected[view]
                    assert stream.message.text == message.text
                else:
                    # Without numbers or ids there is no position to resume from.
                    assert begins(expected[view], given)
                    assert asked[-1] is None


def body(payload: bytes) -> bytes:
    return b"data: " + payload + b"\n\n"


@pytest.mark.few_rows(3)
@pytest.mark.slow_rows("responses/reasoning_tool_calls")
@pytest.mark.parametrize("recorded", list(replayable()))
def test_an_answer_that_is_replayed(recorded: Recorded) -> None:
    """From the position, or from the start; at a few places."""
    check_replay(recorded, 4)


@pytest.mark.slow
@pytest.mark.parametrize("recorded", list(replayable()))
def test_an_answer_that_is_replayed_anywhere(recorded: Recorded) -> None:
    """Behind each of two hundred events, in a thorough run."""
    check_replay(recorded, trials(200))
