"""Replaying recordings by a clock that runs, and the clocks by which they are played."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.support.either import Each, inside, run_in
from tests.support.playing import FOR_EVER, Playback, read, three_worlds
from tests.support.timing import PATIENCE, TooLate, at_once, at_rest, tried_again
from tokenstream import Deadlines, Steps, Stream, testing
from tokenstream.errors import MisuseError, StreamStalled
from tokenstream.events import Event, TextDelta
from tokenstream.testing import VirtualClock, faults

if TYPE_CHECKING:
    from collections.abc import Callable


HASTY = testing.script().text("a").silence(0.05).text("b").finish().recording("openai-chat")
"""Read in earnest, it takes a twentieth of a second."""


@three_worlds
@tried_again
def test_a_real_clock_really_waits(world: str) -> None:
    before = time.monotonic()
    outcome = read(world, Playback(HASTY, pace="recorded", clock=time.monotonic))
    took = time.monotonic() - before

    assert "ab" == outcome.message.text
    assert took >= 0.049
    assert outcome.metrics.ttft is not None
    shown = outcome.metrics.ttft + outcome.metrics.gaps.max
    if shown < 0.049:
        msg = f"the stream began {0.05 - shown:.3f} s or more after its recording"
        raise TooLate(msg)


@pytest.mark.slow
@three_worlds
@tried_again
def test_a_deadline_fires_in_real_time(world: str) -> None:
    """A tenth of a second, and not the hour that the stall takes; also where it is for ever."""
    for seconds in (3600, float("inf")):
        before = time.monotonic()
        playback = Playback(HASTY, clock=time.monotonic, fault=faults.stall(seconds, event=2))
        error = read(world, playback, deadlines=Deadlines(idle_bytes=0.1)).error
        at_once(before + 0.1, time.monotonic())

        assert isinstance(error, StreamStalled)
        assert ("idle_bytes", "a", True) == (error.limit, error.partial.text, playback.closed)


@pytest.mark.anyio
async def test_a_timeout_around_a_read_loses_nothing() -> None:
    """The caller's own patience ends a wait, and the next read goes on."""
    stream = HASTY.astream(pace="recorded", clock=time.monotonic)
    events: list[Event] = []
    async with stream:
        while True:
            with anyio.move_on_after(0.01):
                try:
                    events.append(await anext(stream))
                except StopAsyncIteration:
                    break

    expected = [repr(event) for event in HASTY.stream()]
    assert expected == [repr(event) for event in events]
    assert "complete" == stream.message.ending


@pytest.mark.anyio
async def test_a_wait_for_ever_is_ended_by_who_cancels_it() -> None:
    """By a clock that runs no deadline is needed: the caller has a timeout of his own."""
    playback = Playback(HASTY, clock=time.monotonic, fault=faults.stall(event=2))
    stream = playback.astream(deadlines=FOR_EVER)
    with anyio.move_on_after(0.05) as scope:
        async with stream:
            await stream.final()

    assert scope.cancelled_caught
    assert ("a", "stopped", True) == (stream.message.text, stream.message.ending, playback.closed)


def test_a_wait_for_ever_that_nothing_would_end_is_refused_in_real_time_too() -> None:
    """A loop that blocks for ever is a test that never fails."""
    outcome = read(
        "sync", Playback(HASTY, clock=time.monotonic, fault=faults.stall(event=2)), deadlines=FOR_EVER
    )

    assert isinstance(outcome.error, MisuseError)


@three_worlds
@tried_again
def test_another_thread_stops_a_wait(world: str) -> None:
    """The loop ends as at the end of the answer, at once."""
    playback = Playback(HASTY, clock=time.monotonic, fault=faults.stall(event=2))
    waiting = threading.Event()
    stopped: list[float] = []
    streams: list[Any] = []

    def stop() -> None:
        waiting.wait(PATIENCE)
        at_rest(threading.main_thread())
        stopped.append(time.monotonic())
        streams[0].stop("enough")

    other = threading.Thread(target=stop)
    other.start()

    async def main() -> None:
        async with inside(playback.stream() if world == "sync" else playback.astream()) as stream:
            streams.append(stream)
            async for event in Each(stream):
                if isinstance(event, TextDelta):
                    waiting.set()
            assert playback.closed

    run_in(world, main)
    ended = time.monotonic()
    other.join(PATIENCE)
    at_once(stopped[0], ended)

    assert ("a", "stopped", True) == (streams[0].message.text, streams[0].message.ending, playback.closed)


def test_a_clock_that_is_neither_ours_nor_real_is_waited_for_in_earnest() -> None:
    """One that stands still cannot say that the time has come: it comes all the same."""
    assert "ab" == HASTY.stream(pace="recorded", clock=lambda: 7.0).final().text


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("clock", [None, time.monotonic])
async def test_what_a_stage_holds_is_given_while_the_next_chunk_is_waited_for(
    clock: Callable[[], float] | None,
) -> None:
    """In either kind of time its deadline bounds a read; the chunk that was late comes next."""
    halting = testing.script().text("a").text("b").silence(0.5).text("c").finish().recording("openai-chat")
    async with Playback(halting, pace="recorded", clock=clock).astream() as stream:
        pieces = [piece async for piece in stream.text.throttle(hz=50)]

    assert ["a", "b", "c"] == pieces
    assert "complete" == stream.message.ending


def test_a_virtual_clock_stands_still_until_it_is_told_to_go_on() -> None:
    clock = VirtualClock(5)
    clock.advance(0)
    clock.advance(90.5)

    assert 95.5 == clock()
    assert "VirtualClock(95.5)" == repr(clock)


@pytest.mark.parametrize("seconds", [-1, math.inf, math.nan])
def test_a_clock_goes_forward(seconds: float) -> None:
    clock = VirtualClock()
    with pytest.raises(ValueError, match="forward by a number of seconds"):
        clock.advance(seconds)

    assert 0.0 == clock()


def test_waiting_by_a_virtual_clock_takes_no_time() -> None:
    """The time has passed at once; what has passed already changes nothing."""
    clock = VirtualClock()

    assert (0.0, 0.0) == (clock.until(90), clock.until(30))
    assert 90 == clock()


def test_a_clock_is_taken_as_it_is() -> None:
    """A virtual one is shared with its maker and its block; without any there is a new one each time."""
    mine, silence = VirtualClock(), testing.script()

    assert mine is testing.transport(silence, clock=mine).clock
    assert testing.transport(silence).clock is not testing.transport(silence).clock
    with VirtualClock(), mine:
        assert mine is testing.transport(silence).clock


def test_streams_and_runs_read_the_clock_in_whose_block_they_are_made() -> None:
    body, elsewhere = ["Hi"], list[Stream]()
    with VirtualClock(50) as outer, VirtualClock(5) as clock:
        stream, run = Stream(body, format="pieces"), Steps()
        thread = threading.Thread(target=lambda: elsewhere.append(Stream(body, format="pieces")))
        thread.start()
        thread.join()
    clock.advance(90)
    outer.advance(1e9)
    elsewhere.append(Stream(body, format="pieces"))

    assert (5.0, "Hi", 90.0) == (run.started, stream.final().text, stream.metrics.duration)
    for each in elsewhere:
        assert "Hi" == each.final().text
        assert (each.metrics.duration or 0.0) < 1e9
