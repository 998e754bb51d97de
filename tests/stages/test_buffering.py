"""A path that holds an answer back shows in the times at which it comes, and no other does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.clocks import on
from tests.support.recordings import Recorded, ours, shared
from tests.support.sampling import in_turn, sampled
from tests.support.tables import in_one_test
from tokenstream import Decoder, Stream, testing
from tokenstream.stages import Metrics

Arrivals = Iterator[tuple[float, bytes]]
"""Chunks, each with the time at which it came."""
RECORDED = [
    each
    for each in ours() + shared()
    if each.format != "custom" and (b"\n\ndata: " in each.body or b"\n\nevent: " in each.body)
]
BODY = testing.script().text("word " * 400).usage(output_tokens=400).finish().chunks("openai-chat")


def metrics_of(arrivals: Arrivals, format: Any = None) -> Metrics:
    decoder = Decoder(format)
    for now, chunk in arrivals:
        decoder.feed(chunk, now=now)
    return decoder.metrics


def paced(events: list[bytes], *, each: float, wait: float = 0.5, together: int = 1) -> Arrivals:
    """Give events at a steady pace, so many in a chunk."""
    for start in range(0, len(events), together):
        yield wait + each * start, b"".join(events[start : start + together])


def with_pauses(events: list[bytes], *, each: float, every: int, pause: float) -> Arrivals:
    """Give events at a pace, and be silent now and then: a model that thinks, a tool that runs."""
    for number, event in enumerate(events):
        yield 0.5 + each * number + pause * (number // every), event


def buffered(arrivals: Arrivals, size: int) -> Arrivals:
    """Hold back what comes until a buffer is full, as a proxy does, and give its rest at the end."""
    held, now = b"", 0.0
    for now, chunk in arrivals:
        held += chunk
        if len(held) >= size:
            yield now, held
            held = b""
    yield now, held


def in_flights(arrivals: Arrivals, *, size: int = 14_000, trip: float = 0.05) -> Arrivals:
    """Give large chunks in pieces, a round trip of the network apart, each twice as large as the last one."""
    for now, chunk in arrivals:
        start, trips = 0, 0
        while start < len(chunk):
            end = start + size * 2**trips
            yield now + trip * trips, chunk[start:end]
            start, trips = end, trips + 1


def one_by_one(arrivals: Arrivals) -> Arrivals:
    """Give each event of a large chunk by itself, as fast as can be read."""
    for now, chunk in arrivals:
        for number, event in enumerate(events_of(chunk)):
            yield now + number * 0.00005, event


def events_of(body: bytes) -> list[bytes]:
    return [event for event in re.split(rb"(?<=\n\n)|(?<=\r\n\r\n)", body) if event]


HONEST: dict[str, Callable[[list[bytes]], Arrivals]] = {
    "20 ms": lambda events: paced(events, each=0.02),
    "a fast model": lambda events: paced(events, each=0.001),
    "a slow model": lambda events: paced(events, each=0.35),
    "after long thought": lambda events: paced(events, each=0.004, wait=60.0),
    "several in a chunk": lambda events: paced(events, each=0.02, together=8),
    "many in a chunk": lambda events: paced(events, each=0.005, together=30),
    "with pauses": lambda events: with_pauses(events, each=0.01, every=40, pause=1.5),
    "fast, with pauses": lambda events: with_pauses(events, each=0.001, every=100, pause=0.5),
    "from a file": lambda events: paced(events, each=0.00001, wait=0.0),
    "from a cache": lambda events: paced(events, each=0.00001, wait=0.2),
}


@in_one_test("pace", HONEST)
def test_a_path_that_passes_on_what_it_gets_gives_no_alarm(pace: str) -> None:
    assert metrics_of(HONEST[pace](BODY)).buffered is None


@pytest.mark.parametrize("recorded", sampled(RECORDED, one_in=20, slow_one_in=4), ids=lambda each: each.name)
def test_no_recording_gives_an_alarm_at_an_honest_pace(recorded: Recorded) -> None:
    """Short ones and long ones, of every format; each at some paces, and at all in a thorough run."""
    alarms = {
        name: found
        for name, pace in in_turn(HONEST.items(), recorded.name, one_in=4)
        if (found := metrics_of(pace(events_of(recorded.body)), recorded.format).buffered)
    }

    assert {} == alarms


@pytest.mark.parametrize("way", [lambda each: each, in_flights, one_by_one], ids=["whole", "flights", "h2"])
def test_a_buffer_shows_in_bursts(way: Any) -> None:
    """Silence, and then more at once than any model writes."""
    arrivals = way(buffered(paced(BODY, each=0.02), size=16_000))

    assert "bursts" == metrics_of(arrivals).buffered


@pytest.mark.parametrize("way", [lambda each: each, in_flights, one_by_one], ids=["whole", "flights", "h2"])
def test_an_answer_that_is_held_back_whole_comes_at_the_end(way: Any) -> None:
    arrivals = way(buffered(paced(BODY, each=0.02), size=1_000_000))

    assert "at_end" == metrics_of(arrivals).buffered


@pytest.mark.parametrize("size", [1_000_000, 2_000])
def test_a_short_answer_tells_nothing(size: int) -> None:
    """A dozen deltas may be how the provider sends."""
    body = testing.script().text("word " * 12).finish().chunks("openai-chat")

    assert metrics_of(buffered(paced(body, each=0.2), size)).buffered is None


def test_nothing_is_reported_of_an_answer_that_has_not_begun() -> None:
    assert Metrics(started="request").buffered is None
    whole = b'{"object": "chat.completion", "choices": [{"index": 0, "message": {"content": "Hello"}}]}'
    assert metrics_of(iter([(9.0, whole)])).buffered is None


def test_a_busy_loop_is_not_taken_for_a_buffering_proxy() -> None:
    """Text that arrived while the loop was busy is read at once, although no proxy held it back."""
    now = 0.0
    waiting = list(paced(BODY, each=0.02))

    def body() -> Iterator[bytes]:
        nonlocal now
        while waiting:
            now = max(now, waiting[0][0])
            there = [waiting.pop(0)[1] for came, _ in [*waiting] if came <= now]
            yield b"".join(there)

    stream = on(lambda: now, Stream, body(), format="openai-chat", started_at=0.0)
    for number, _ in enumerate(stream):
        now += 1.0 if number % 50 == 25 else 0.0
    metrics = stream.metrics

    assert metrics.gaps.max is not None
    assert metrics.gaps.max > 0.9
    assert metrics.away >= 7.0
    assert metrics.buffered is None
