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
from tokenstream.stages._metrics.metrics import detect_buffering

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


_FULL = [(0.1 + number * 0.05, 4_096, 2) for number in range(1, 8)]


@in_one_test(
    ("arrivals", "verdict"),
    [
        # A model that writes evenly streams, however fast; it may reason for a minute before.
        *[(_steady(400, gap), "streams") for gap in (0.0005, 0.002, 0.005, 0.03, 0.5, 5.0)],
        (_steady(60, 0.01, first=60.0), "streams"),
        # Some formats open and close their parts with several events for one word, which are no burst.
        ([(0.5, 600, 4), *_steady(100, 0.03, first=0.53), (3.6, 900, 6)], "streams"),
        ([(3.0, 5_000, 50)], "whole"),
        ([(8.0 + number * 0.004, 1_400, 14) for number in range(60)], "whole"),
        # A buffer may let the first event pass: some flush a response's head with what comes along.
        ([(0.1, 100, 1), (3.0, 5_000, 50)], "bursts"),
        # An answer of few events, and one from a server that had it ready, tell nothing.
        *[
            (few, "unclear")
            for few in ([(0.5, 300, 3)], [(0.02, 5_000, 50)], [(0.5, 100, 1), (0.53, 100, 1)])
        ],
    ],
)
def test_the_times_of_events_tell_what_holds_them_back(
    arrivals: list[tuple[float, int, int]], verdict: str
) -> None:
    assert _pace(*arrivals).verdict == verdict


@in_one_test(
    ("arrivals", "verdict", "size"),
    [
        ([(1.0, 4_096, 40), (2.0, 4_090, 41), (3.0, 4_096, 40), (3.2, 900, 9)], "bursts", 4_096),
        # Full to the byte, whatever an event measures: no model writes so. The head takes room in the first.
        ([(0.1, 3_849, 2), *_FULL, (0.5, 1_017, 1)], "bursts", 4_096),
        # Something else holds the events back: a timer, or the server itself.
        ([(1.0, 800, 16), (2.0, 3_000, 30), (3.0, 1_200, 12), (4.0, 2_000, 30)], "bursts", None),
        # Twenty to a burst are fewer than the metrics ask for: a provider may send a few together.
        ([(1.0, 500, 6), (2.0, 3_000, 30), (3.0, 1_200, 12), (4.0, 2_000, 20)], "unclear", None),
    ],
)
def test_bursts_of_one_size_tell_of_a_buffer_that_fills_up(
    arrivals: list[tuple[float, int, int]], verdict: str, size: int | None
) -> None:
    pace = _pace(*arrivals)

    assert (verdict, size) == (pace.verdict, pace.burst_bytes)


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
