"""Deadlines are a stage, which gives what it takes and says until when to wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stream.async_sources import HEL
from tokenstream._pipeline.machine import Machine
from tokenstream.errors import StreamStalled
from tokenstream.limits import Deadlines
from tokenstream.stream._reading.silence import Silence


def silence_of(**deadlines: float | None) -> tuple[Silence, Machine]:
    machine = Machine("openai-chat", content_type=None, limits=None, pings=False)
    machine.meter.begin(0.0, wrapped=False)
    return Silence(Deadlines(**deadlines), machine), machine


def arrive(machine: Machine, now: float) -> None:
    machine.push(HEL, now)
    while machine.pull() is not None:
        pass


def test_what_passes_is_given_as_it_is() -> None:
    """A stage in a chain takes nothing away."""
    silence, _ = silence_of()

    assert (silence.feed("x", now=1.0), silence.end()) == (["x"], [])


def test_the_deadline_is_the_earliest_of_those_that_run() -> None:
    """The first event's until it comes, then those of bytes and content."""
    silence, machine = silence_of(first_event=5.0, idle_bytes=2.0, idle_content=3.0, total=100.0)

    assert silence.deadline == 5.0
    arrive(machine, 4.0)
    assert silence.deadline == 7.0
    silence.since = 4.5
    assert silence.deadline == 6.5


def test_no_deadline_is_none() -> None:
    """Then nothing bounds a read."""
    silence, _ = silence_of(first_event=None, idle_bytes=None, idle_content=None)

    assert silence.deadline is None


def test_a_tick_before_the_deadline_does_nothing() -> None:
    """One behind it is the error, which stays the first one."""
    silence, _ = silence_of(first_event=5.0, total=6.0)
    silence.tick(5.0)
    silence.check()
    silence.tick(5.5)
    silence.tick(99.0)

    with pytest.raises(StreamStalled, match=r"within 5 s \(Deadlines.first_event\)") as caught:
        silence.check()
    assert caught.value.limit == "first_event"


def test_the_next_error_is_that_of_the_earliest_deadline() -> None:
    """A reader that waits until the deadline needs no clock to know which one it was."""
    silence, machine = silence_of(first_event=5.0, idle_bytes=2.0, idle_content=3.0)
    unlimited, _ = silence_of(first_event=None)
    early = silence.next_error
    arrive(machine, 4.0)
    silence.since = 4.5
    late = silence.next_error

    assert [error and error.limit for error in (early, late, unlimited.next_error)] == [
        "first_event",
        "idle_bytes",
        None,
    ]


def test_time_that_the_loop_was_away_is_no_silence() -> None:
    """It is added to what may pass, until content comes."""
    silence, machine = silence_of(first_event=5.0, idle_content=3.0)
    arrive(machine, 1.0)
    silence.exclude_busy_time(2.0)
    silence.exclude_busy_time(0.5)

    assert silence.deadline == 6.5
    arrive(machine, 5.0)
    assert silence.deadline == 8.0


def pass_time(silence: Silence, machine: Machine, now: float, step: tuple[str, float]) -> float:
    """Let something happen on a steady stream; return the time after it."""
    what, seconds = step
    now += seconds
    if what == "an event":
        arrive(machine, now)
    elif what == "a ping":
        machine.push(b": ping\n\n", now)
    elif what == "busy":
        silence.exclude_busy_time(seconds)
    # A read is in progress whenever a loop waits; the next one begins with what has arrived.
    silence.since = now if what == "an event" else max(machine.now, silence.since or now)
    return now


@given(
    limits=st.fixed_dictionaries(
        {name: st.one_of(st.none(), st.floats(0.1, 9.0)) for name in ("idle_bytes", "idle_content", "total")}
    ),
    steps=st.lists(
        st.tuples(st.sampled_from(["an event", "a ping", "busy", "nothing"]), st.floats(0.0, 3.0)),
        max_size=12,
    ),
)
def test_while_a_stream_is_steady_its_deadline_only_moves_later(
    limits: dict[str, float | None], steps: list[tuple[str, float]]
) -> None:
    """So a timer that is early enough for one wait is early enough for all that follow."""
    silence, machine = silence_of(**limits)
    arrive(machine, 0.5)
    now = silence.since = 0.5
    deadline = silence.deadline
    for step in steps:
        now = pass_time(silence, machine, now, step)
        later = silence.deadline
        if deadline is None or later is None:
            assert later is deadline
        else:
            assert later >= deadline
        deadline = later
