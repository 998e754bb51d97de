"""The deadlines of a silence: until when a stream waits, and what it raises then."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stream.async_sources import HEL
from tests.support import wire
from tests.support.tables import in_one_test
from tokenstream._pipeline.machine import Machine
from tokenstream.limits import Deadlines
from tokenstream.stream._reading.silence import Silence


def silence_of(**deadlines: float | None) -> tuple[Silence, Machine]:
    machine = Machine("openai-chat", limits=None)
    machine.meter.begin(0.0, wrapped=False)
    return Silence(Deadlines(**deadlines), machine), machine


def give(machine: Machine, chunk: Any, now: float) -> None:
    machine.intake.push(chunk, now)
    while machine.way.pull() is not None:
        pass


def arrive(machine: Machine, now: float) -> None:
    give(machine, HEL, now)


def test_the_deadline_is_the_earliest_of_those_that_run() -> None:
    silence, machine = silence_of(first_event=5.0, idle_bytes=2.0, idle_content=3.0, total=100.0)

    assert silence.deadline == 5.0
    arrive(machine, 4.0)
    assert silence.deadline == 7.0
    silence.since = 4.5
    assert silence.deadline == 6.5


def test_no_deadline_is_none() -> None:
    silence, _ = silence_of(first_event=None, idle_bytes=None, idle_content=None)

    assert silence.deadline is None


def test_a_tick_before_the_deadline_does_nothing() -> None:
    silence, _ = silence_of(first_event=5.0, total=6.0)
    errors: list[Any] = []
    for now in (5.0, 5.5, 99.0):
        silence.tick(now)
        errors.append(silence.error)

    assert errors == [None, errors[1], errors[1]]
    assert "within 5 s (Deadlines.first_event)" in str(errors[1])
    assert errors[1].limit == "first_event"


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
        machine.intake.push(b": ping\n\n", now)
    elif what == "busy":
        silence.exclude_busy_time(seconds)
    # A read is in progress whenever a loop waits; the next one begins with what has arrived.
    silence.since = now if what == "an event" else max(machine.intake.now, silence.since or now)
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


FINISHED, MORE, USAGE = wire.chat({}, "stop"), wire.chat({"content": "more"}), wire.chat_usage(3, 2)
FILTERED = wire.chat({}, "content_filter")
HEARTBEAT = b": here\n\n"


def test_an_answer_that_has_finished_is_waited_for_a_second_only() -> None:
    silence, machine = silence_of()
    arrive(machine, 1.0)
    give(machine, FINISHED, 2.0)
    silence.since = 2.0

    assert silence.deadline == 3.0
    silence.tick(3.0)
    assert not silence.is_over
    silence.tick(3.1)
    assert (silence.is_over, silence.error) == (True, None)


@pytest.mark.parametrize("sign_of_life", [HEARTBEAT, USAGE])
def test_what_is_no_content_lengthens_that_wait_by_a_quarter_at_most(sign_of_life: bytes) -> None:
    silence, machine = silence_of()
    arrive(machine, 1.0)
    give(machine, FINISHED, 2.0)
    for now in (2.4, 2.8, 3.2):
        give(machine, sign_of_life, now)
        silence.since = now
        silence.tick(now)

    assert not silence.is_over
    assert silence.deadline == 3.25


def test_a_loop_that_is_busy_after_the_finish_reason_costs_no_wait() -> None:
    silence, machine = silence_of()
    arrive(machine, 1.0)
    give(machine, FINISHED, 2.0)
    silence.exclude_busy_time(30.0)
    silence.since = 32.0
    silence.tick(32.5)

    assert not silence.is_over
    assert silence.deadline == 33.0


STRANGE = wire.sse({"type": "nest.failed", "error": {"message": "no"}})
WAITS: dict[str, tuple[dict[str, float | None], list[tuple[bytes, float, float]]]] = {
    "the reason is void once content follows, until another one comes": (
        {},
        [(HEL, 1.0, 301.0), (FINISHED, 2.0, 3.0), (MORE, 3.0, 303.0), (FINISHED, 4.0, 5.0)],
    ),
    "so it is with two pieces": (
        {},
        [(HEL, 1.0, 301.0), (FINISHED, 2.0, 3.0), (MORE + MORE, 3.0, 303.0), (FINISHED, 4.0, 5.0)],
    ),
    "gateways write a reason in front of a slow model": ({}, [(FINISHED, 1.0, 301.0), (FILTERED, 2.0, 3.0)]),
    "without that deadline the others hold": (
        {"after_finish": None, "idle_bytes": 5.0},
        [(HEL, 1.0, 6.0), (FINISHED, 2.0, 7.0)],
    ),
    "an error of an unknown kind was about the answer if nothing follows it": (
        {},
        [(HEL, 1.0, 301.0), (STRANGE, 2.0, 3.0), (MORE, 2.5, 302.5)],
    ),
}
"""Deadlines, and chunks with the times at which they come, and until when the next one is waited for."""


@in_one_test("name", WAITS)
def test_what_came_decides_how_long_the_next_chunk_is_waited_for(name: str) -> None:
    deadlines, steps = WAITS[name]
    silence, machine = silence_of(**deadlines)
    for chunk, now, deadline in steps:
        give(machine, chunk, now)
        silence.since = now

        assert silence.deadline == deadline


@pytest.mark.parametrize(
    ("format", "frames"),
    [
        ("gemini", [{"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}]}]),
        ("ui-message", [{"type": "start"}, {"type": "finish", "finishReason": "stop"}]),
        ("openai-chat", [{"choices": [{"index": 0, "delta": {"content": "a"}}]}]),
    ],
)
def test_nothing_is_over_where_more_may_come(format: str, frames: list[dict[str, object]]) -> None:
    """A reason that may come early, a run of several steps, and an answer without a reason."""
    machine = Machine(format, limits=None)
    machine.meter.begin(0.0, wrapped=False)
    silence = Silence(Deadlines(), machine)
    for frame in frames:
        give(machine, frame, 1.0)
    silence.since = 1.0

    assert silence.deadline == 301.0


@pytest.mark.parametrize("total", [None, 3.0, 100.0])
@pytest.mark.parametrize("idle_content", [None, 4.0])
@pytest.mark.parametrize("after_finish", [None, 0.5])
def test_no_deadline_passes_before_the_time_that_is_quickly_found(
    total: float | None, idle_content: float | None, after_finish: float | None
) -> None:
    """What arrives later, a finish reason or a busy loop can only move the deadlines behind it."""
    silence, machine = silence_of(total=total, idle_content=idle_content, after_finish=after_finish)
    assert silence.find_safe_time() == -math.inf

    for now, chunk in [(1.0, HEL), (2.0, b": ping\n\n"), (2.5, HEL), (2.75, FINISHED)]:
        give(machine, chunk, now)
        silence.exclude_busy_time(0.125)
        safe, deadline = silence.find_safe_time(), silence.deadline

        assert safe <= (math.inf if deadline is None else deadline)
