"""Judging from the times of its events whether an answer is held back."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stages.test_buffering import (
    BODY,
    HONEST,
    RECORDED,
    buffered,
    events_of,
    in_flights,
    metrics_of,
    one_by_one,
    paced,
)
from tests.support.sampling import in_turn, sampled
from tests.support.tables import in_one_test
from tokenstream.cli._doctor.pacing import EventPace, TimedChunk, pace_of
from tokenstream.stages import GapHistogram
from tokenstream.stages._metrics.buffering import detect_buffering

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.recordings import Recorded


def _pace(*arrivals: tuple[float, int, int]) -> EventPace:
    """Return the judgement on chunks: when each came, its bytes, its events."""
    return pace_of([TimedChunk(*arrival) for arrival in arrivals])


def _pace_of(arrivals: Iterable[tuple[float, bytes]]) -> EventPace:
    return _pace(*((at, len(chunk), chunk.count(b"\n\n")) for at, chunk in arrivals))


def _steady(count: int, gap: float, *, first: float = 0.5) -> list[tuple[float, int, int]]:
    return [(first + number * gap, 100, 1) for number in range(count)]


@pytest.mark.parametrize("gap", [0.0005, 0.002, 0.005, 0.03, 0.5, 5.0])
def test_a_model_that_writes_evenly_streams_however_fast(gap: float) -> None:
    assert _pace(*_steady(400, gap)).verdict == "streams"


def test_a_long_silence_before_the_first_event_is_thought_and_no_buffer() -> None:
    """A model may reason for a minute, and then be fast."""
    assert _pace(*_steady(60, 0.01, first=60.0)).verdict == "streams"


def test_all_at_the_end_is_whole() -> None:
    assert _pace((3.0, 5_000, 50)).verdict == "whole"
    assert _pace(*[(8.0 + number * 0.004, 1_400, 14) for number in range(60)]).verdict == "whole"


@pytest.mark.parametrize("arrivals", [[(0.5, 300, 3)], [(0.02, 5_000, 50)], [(0.5, 100, 1), (0.53, 100, 1)]])
def test_what_is_short_or_came_at_once_tells_nothing(arrivals: list[tuple[float, int, int]]) -> None:
    """An answer of three events, and one from a server that had it ready."""
    assert _pace(*arrivals).verdict == "unclear"


def test_a_buffer_that_fills_up_gives_bursts_of_its_size() -> None:
    pace = _pace((1.0, 4_096, 40), (2.0, 4_090, 41), (3.0, 4_096, 40), (3.2, 900, 9))

    assert ("bursts", 4_096) == (pace.verdict, pace.burst_bytes)


def test_full_buffers_are_bursts_also_of_few_events() -> None:
    """To the byte, whatever an event measures: no model writes so. The head takes its room in the first."""
    full = [(0.1 + number * 0.05, 4_096, 2) for number in range(1, 8)]

    pace = _pace((0.1, 3_849, 2), *full, (0.5, 1_017, 1))

    assert ("bursts", 4_096) == (pace.verdict, pace.burst_bytes)


def test_a_buffer_that_lets_the_first_event_pass_is_seen_all_the_same() -> None:
    """Some flush a response's head with what comes along."""
    assert _pace((0.1, 100, 1), (3.0, 5_000, 50)).verdict == "bursts"


def test_bursts_of_any_size_tell_of_no_buffer_that_fills_up() -> None:
    """Something else holds the events back: a timer, or the server itself."""
    pace = _pace((1.0, 800, 16), (2.0, 3_000, 30), (3.0, 1_200, 12), (4.0, 2_000, 30))

    assert ("bursts", None) == (pace.verdict, pace.burst_bytes)


def test_bursts_of_fewer_events_than_the_metrics_ask_for_are_unclear() -> None:
    """Twenty to a burst: a provider may send a few together."""
    pace = _pace((1.0, 500, 6), (2.0, 3_000, 30), (3.0, 1_200, 12), (4.0, 2_000, 20))

    assert ("unclear", None) == (pace.verdict, pace.burst_bytes)


@given(st.lists(st.floats(0.0, 0.004), min_size=12, max_size=12), st.floats(0.3, 3.0))
def test_a_quick_short_answer_is_unclear_whatever_its_jitter(gaps: list[float], thought: float) -> None:
    """The role, a while of thought, and twelve tokens a millisecond apart: no run says "held back"."""
    times = accumulate(gaps, initial=0.1 + thought)
    pace = _pace((0.1, 100, 1), *((at, 100, 1) for at in times))

    assert pace.verdict == "unclear"


@pytest.mark.parametrize(("events", "verdict"), [(39, "unclear"), (40, "whole")])
def test_it_takes_as_many_events_as_for_the_metrics(events: int, verdict: str) -> None:
    """All at once after a wait: `metrics.buffered` asks for 40."""
    assert verdict == _pace((2.0, 4_000, events)).verdict
    assert {"unclear": None, "whole": "at_end"}[verdict] == detect_buffering(
        GapHistogram.of([]), wait=2.0, deltas=events
    )


def test_several_events_for_one_word_are_no_burst() -> None:
    """Some formats open and close their parts with events of their own."""
    opening = [(0.5, 600, 4)]
    closing = [(3.6, 900, 6)]

    assert _pace(*opening, *_steady(100, 0.03, first=0.53), *closing).verdict == "streams"


def test_bytes_without_an_event_are_no_moment() -> None:
    """A comment that keeps the connection alive, and the head of a compressed body."""
    pace = _pace((0.1, 15, 0), (5.0, 4_000, 40), (5.001, 20, 0))

    assert ("whole", 1, 5.0) == (pace.verdict, pace.moments, pace.first)


@in_one_test("pace", HONEST)
def test_a_path_that_passes_on_what_it_gets_is_not_blamed(pace: str) -> None:
    assert _pace_of(HONEST[pace](BODY)).verdict in {"streams", "unclear"}


@pytest.mark.parametrize("recorded", sampled(RECORDED, one_in=20, slow_one_in=4), ids=lambda each: each.name)
def test_no_recording_is_taken_for_one_that_was_held_back(recorded: Recorded) -> None:
    events = events_of(recorded.body)
    paces = in_turn(HONEST.items(), recorded.name, one_in=4)
    ways = {name: list(pace(events)) for name, pace in paces}
    verdicts = {name: _pace_of(chunks).verdict for name, chunks in ways.items() if len(chunks) > 1}

    assert {} == {name: verdict for name, verdict in verdicts.items() if verdict in {"whole", "bursts"}}


@pytest.mark.parametrize("way", [lambda each: each, in_flights, one_by_one], ids=["whole", "flights", "h2"])
@pytest.mark.parametrize(("size", "verdict"), [(4_096, "bursts"), (16_000, "bursts"), (1_000_000, "whole")])
def test_what_a_streams_metrics_call_buffered_is_held_back(size: int, verdict: str, way: Any) -> None:
    """The command may see more, and never less."""
    arrivals = list(way(buffered(paced(BODY, each=0.03), size=size)))

    assert verdict == _pace_of(arrivals).verdict
    if size > 4_096:
        assert metrics_of(iter(arrivals)).buffered is not None


def test_it_does_not_matter_into_how_many_chunks_a_moment_is_cut() -> None:
    """A burst may be read in one piece, or packet by packet."""
    whole = [(float(second), 4_000, 40) for second in range(1, 5)]
    cut = [(at + part * 0.002, 1_000, 10) for at, _, _ in whole for part in range(4)]

    one, other = _pace(*whole), _pace(*cut)

    assert ("bursts", 4_000, 4) == (one.verdict, one.burst_bytes, one.moments)
    assert (one.verdict, one.burst_bytes, one.moments) == (other.verdict, other.burst_bytes, other.moments)
