"""Replaying recordings: each chunk at its moment, on a clock that takes no time or on a real one."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from tests.support.aws_eventstream import event as aws
from tests.support.either import Each, inside, run_in
from tests.support.playing import FOR_EVER, Playback, as_played, read, three_worlds
from tests.support.recordings import OURS
from tokenstream import Deadlines, testing
from tokenstream.errors import (
    MisuseError,
    StatusError,
    StreamError,
    StreamInterrupted,
    StreamStalled,
    StreamTruncated,
)
from tokenstream.events import Event, TextDelta
from tokenstream.testing import Arrival, Recording, VirtualClock, fault_matrix, faults

ANSWER = testing.script().text("a").silence(90).text("b").silence(2).text("c").finish()
SLOW = ANSWER.recording("openai-chat")


class _Patient:
    """A stage that says so when it has waited for more than ten seconds."""

    deadline = math.inf

    def feed(self, text: str, *, now: float) -> list[str]:
        self.deadline = now + 10
        return [text]

    def tick(self, now: float) -> list[str]:
        self.deadline = math.inf
        return ["(hm)"]


# -- virtual time --------------------------------------------------------------


@three_worlds
def test_a_stall_of_ninety_seconds_takes_no_time(world: str) -> None:
    before = time.monotonic()
    playback = Playback(SLOW, pace="recorded")
    outcome = read(world, playback)

    assert ("abc", 92.0, True) == (outcome.message.text, playback.clock(), playback.closed)
    assert time.monotonic() - before < 5


@three_worlds
@pytest.mark.parametrize(("pace", "expected"), [
    ("recorded", (0.0, 90.0, 92.0)), (2.0, (0.0, 45.0, 46.0)), (0.5, (0.0, 180.0, 184.0)),
    ("instant", (0.0, 0.0, 0.0)),
])  # fmt: skip
def test_metrics_show_the_recorded_times(world: str, pace: Any, expected: tuple[float, float, float]) -> None:
    deadlines = Deadlines(idle_bytes=500, idle_content=500)
    metrics = read(world, Playback(SLOW, pace=pace), deadlines=deadlines).metrics

    assert expected == (metrics.ttft, metrics.gaps.max, metrics.last_content)


@three_worlds
def test_a_stage_of_one_s_own_sees_the_same_clock(world: str) -> None:
    """A stage with the replay's clock can ask it at every event, so that its own deadline passes in time."""
    clock = VirtualClock(1000)
    stage, given = _Patient(), list[tuple[float, str]]()

    def each(event: Event) -> None:
        now = clock()
        if now > stage.deadline:
            given.extend((now, piece) for piece in stage.tick(now))
        if isinstance(event, TextDelta):
            given.extend((now, piece) for piece in stage.feed(event.text, now=now))

    read(world, Playback(SLOW, pace="recorded", clock=clock), each)

    assert [(1000.0, "a"), (1090.0, "(hm)"), (1090.0, "b"), (1092.0, "c")] == given


@three_worlds
def test_time_that_the_loop_takes_is_no_silence(world: str) -> None:
    """Advancing the clock between two events makes a slow consumer: chunks that came meanwhile are there."""
    clock = VirtualClock()
    outcome = read(
        world,
        Playback(SLOW, pace="recorded", clock=clock),
        lambda event: clock.advance(200) if isinstance(event, TextDelta) else None,
        deadlines=Deadlines(idle_bytes=95, idle_content=95),
    )

    assert (None, "abc", 600.0) == (outcome.error, outcome.message.text, clock())


@three_worlds
@pytest.mark.parametrize(("limit", "fault", "at"), [
    ("first_event", faults.stall(at=0), 30),
    ("first_event", faults.stall(60, at=0), 30),
    ("idle_bytes", faults.stall(60, event=2), 30),
    ("idle_content", faults.stall(60, event=2) | faults.heartbeat(7), 30),
    ("total", faults.slow(12), 30),
])  # fmt: skip
def test_a_deadline_fires_in_its_second(world: str, limit: str, fault: faults.Fault, at: float) -> None:
    off: dict[str, Any] = dict.fromkeys(("first_event", "idle_bytes", "idle_content", "total"))
    playback = Playback(SLOW, fault=fault)
    outcome = read(world, playback, deadlines=Deadlines(**{**off, limit: 30.0}))
    error = outcome.error

    assert isinstance(error, StreamStalled)
    assert (limit, outcome.message) == (error.limit, error.partial)
    assert at < playback.clock() < at + 0.01
    assert playback.closed


@three_worlds
def test_what_comes_just_in_time_is_in_time(world: str) -> None:
    """A deadline is the longest silence that is allowed."""
    outcome = read(world, Playback(SLOW, pace="recorded"), deadlines=Deadlines(idle_bytes=90))

    assert (None, "abc") == (outcome.error, outcome.message.text)


@three_worlds
def test_a_stall_for_ever_without_a_deadline_is_an_error_and_no_hang(world: str) -> None:
    """The error says what to do; with the usual deadlines it is a stall like any other."""
    playback = Playback(SLOW, fault=faults.stall(event=3))
    outcome = read(world, playback, deadlines=FOR_EVER)
    usual = read(world, Playback(SLOW, fault=faults.stall(event=3)))

    assert isinstance(outcome.error, MisuseError)
    assert "stalls for ever" in str(outcome.error)
    assert "pass `deadlines=`" in str(outcome.error)
    assert playback.closed
    assert isinstance(usual.error, StreamStalled)


@three_worlds
def test_the_rest_of_a_body_that_never_ends_is_given_up(world: str) -> None:
    """The answer is whole: nothing of worth can follow, and half a second is waited for it."""
    playback = Playback(SLOW, fault=faults.stall(at=1.0))
    outcome = read(world, playback, deadlines=FOR_EVER)

    assert (None, "complete", True) == (outcome.error, outcome.message.ending, playback.closed)
    assert 0.5 <= playback.clock() < 0.6


# -- the end ---------------------------------------------------------------------


@three_worlds
@pytest.mark.parametrize(("breaks", "cause"), [("close", ConnectionError), ("reset", ConnectionResetError)])
def test_a_connection_that_broke_breaks_again(world: str, breaks: Any, cause: type[Exception]) -> None:
    recording = Recording(SLOW.arrivals[:2], breaks=breaks, format="openai-chat")
    playback = Playback(recording)
    error = read(world, playback).error

    assert isinstance(error, StreamInterrupted)
    assert ("a", "truncated", True) == (error.partial.text, error.partial.ending, error.retryable)
    assert cause is type(error.__cause__)
    assert playback.closed


@three_worlds
def test_the_source_is_closed_by_whoever_leaves(world: str) -> None:
    playback = Playback(SLOW)

    async def main() -> None:
        async with inside(playback.stream() if world == "sync" else playback.astream()) as stream:
            await anext(Each(stream))
            assert not playback.closed

    run_in(world, main)

    assert playback.closed


@pytest.mark.slow
@three_worlds
@pytest.mark.parametrize(
    "name", ["openai-chat/text.sse", "ollama/chat.ndjson", "bedrock-converse/citations.eventstream"]
)
def test_both_drivers_read_the_same_of_every_fault(world: str, name: str) -> None:
    recording = Recording.of([(OURS / name).read_bytes()], name=name)
    recording = Recording.of(recording.chunks("events"), name=name)
    for broken in fault_matrix(recording):
        playback = Playback(broken, pace="recorded")
        outcome = read(world, playback)

        assert read("sync", Playback(broken, pace="recorded")).seen == outcome.seen, broken.name
        assert playback.closed, broken.name
        assert outcome.error is None or isinstance(outcome.error, StreamError), broken.name
        # A loop that ends without an exception means that the answer is whole.
        assert (outcome.error is None) == (outcome.message.ending == "complete"), broken.name


# -- what is known of the answer ----------------------------------------------------


@three_worlds
def test_the_head_is_read_as_of_any_response(world: str) -> None:
    refused = Recording.of([b'{"error": {"message": "No"}}'], status=401, headers={"x-request-id": "r-7"})
    error = read(world, Playback(refused)).error

    assert isinstance(error, StatusError)
    assert (401, "r-7") == (error.status, error.request_id)


def test_a_stream_tells_of_the_recorded_response() -> None:
    with Recording.of([b"data: [DONE]\n\n"], headers={"x-request-id": "r-7"}).stream(format="text") as stream:
        assert stream.response is not None
        assert (200, "r-7") == (stream.response.status, stream.response.request_id)
    with Recording.of([b"data: [DONE]\n\n"]).stream(format="text") as stream:
        assert stream.response is None


@three_worlds
def test_the_content_coding_of_the_recorded_bytes_is_taken_off(world: str) -> None:
    compressed = SLOW.with_fault(faults.gzipped())

    assert "abc" == read(world, Playback(compressed)).message.text
    assert "abc" == read(world, Playback(compressed, chunking="bytes")).message.text


@three_worlds
@pytest.mark.parametrize("pace", ["instant", "recorded"])
def test_the_messages_of_a_websocket_are_payloads(world: str, pace: Any) -> None:
    """Each is one, though no line ends between them."""
    realtime = ANSWER.recording("openai-realtime")
    outcome = read(world, Playback(realtime, pace=pace, chunking="bytes"))

    assert (True, "abc", "complete") == (realtime.messages, outcome.message.text, outcome.message.ending)


def test_a_format_that_is_given_counts_more_than_the_recorded_one() -> None:
    recording = Recording.of([b"data: a\n\n", b"data: [DONE]\n\n"], format="openai-chat")

    assert "a" == recording.stream(format="text").final().text
    with recording.stream() as stream:
        assert "openai-chat" == stream.format


@three_worlds
@pytest.mark.parametrize(("pace", "times"), [("instant", {0.0}), ("recorded", {0.0, 2.0})])
def test_what_is_played_at_once_has_no_times(world: str, pace: str, times: set[float]) -> None:
    paced = testing.script().text("a").silence(2).text("b").finish().recording("text")
    clock, seen = VirtualClock(), set[float]()
    outcome = read(world, Playback(paced, pace=pace, clock=clock), lambda _: seen.add(clock()))

    assert (None, times) == (outcome.error, seen)


def test_chunking_comes_before_the_pace_and_the_fault_comes_last() -> None:
    """Each byte is a chunk of its own, at twice the pace; and then each takes a second longer."""
    recording = Recording((Arrival(4.0, b"{}"), Arrival(8.0, b"\n")), format="ollama")
    played = as_played(recording, chunking="bytes", pace=2.0, fault=faults.slow(1))

    assert (Arrival(3.0, b"{"), Arrival(4.0, b"}"), Arrival(7.0, b"\n")) == played.arrivals


@pytest.mark.parametrize("pace", [0, -1, "fast", True, float("nan")])
def test_what_is_no_pace_is_refused(pace: Any) -> None:
    with pytest.raises(MisuseError, match='is invalid: pass "instant", "recorded"'):
        SLOW.stream(pace=pace)


def test_half_an_answer_is_truncated() -> None:
    with pytest.raises(StreamTruncated):
        Recording.of([aws("messageStart", {"role": "assistant"})]).stream().final()
