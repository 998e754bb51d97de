"""How fast an answer came."""

from __future__ import annotations

import pytest

from tokenstream.stages import Meter, Metrics


def test_nothing_is_marked_before_it_came() -> None:
    """None, and not zero."""
    metrics = Meter(10.0).read()

    assert metrics == Metrics(started="request")
    assert metrics.tokens_per_second is None
    assert metrics.mean_gap is None


def test_marks_are_seconds_from_the_start() -> None:
    """First byte, first frame, first content, first text."""
    meter = Meter(10.0, wrapped=True)
    meter.mark(10.5, frame=False)
    meter.mark(11.0, frame=True)
    meter.content(12.0)
    meter.content(12.5)
    meter.mark_text(12.5)
    meter.mark(13.0, frame=True)
    meter.finish(14.0)
    metrics = meter.read(13.0, output_tokens=11)

    assert metrics.started == "wrapped"
    assert (metrics.first_byte, metrics.first_event, metrics.ttft, metrics.first_text) == (0.5, 1.0, 2.0, 2.5)
    assert (metrics.last_content, metrics.duration) == (2.5, 4.0)
    assert metrics.tokens_per_second == 20.0
    assert metrics.mean_gap == 0.5


def test_gaps_and_stalls() -> None:
    """The longest gap, and how many were longer than two seconds."""
    meter = Meter(0.0)
    for now in (1.0, 1.5, 4.0, 4.1, 7.0, 7.2):
        meter.content(now)
    metrics = meter.read()

    assert metrics.longest_gap == pytest.approx(2.9)
    assert metrics.stalls == 2
    assert metrics.content_chunks == 6


def test_one_token_has_no_speed() -> None:
    """There is no time between one."""
    assert Metrics(started="request", ttft=1.0, last_content=2.0, output_tokens=1).tokens_per_second is None
    assert Metrics(started="request", ttft=1.0, last_content=1.0, output_tokens=9).tokens_per_second is None
