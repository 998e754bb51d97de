"""Metrics of a stream: live, after a failure, after a stop, and over several attempts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.clocks import on
from tokenstream import AsyncStream, Retry, Stream, resilient, tap, testing
from tokenstream.errors import MisuseError, StreamError
from tokenstream.testing import faults

PACED = testing.script().silence(1).reasoning("Hm").silence(2).text("Well, ").silence(4).text("yes").finish()


def marks(stream: Any) -> tuple[float | None, ...]:
    metrics = stream.metrics
    return metrics.first_byte, metrics.first_event, metrics.ttft, metrics.first_text, metrics.first_tool_call


def test_metrics_are_there_while_the_answer_comes() -> None:
    stream = PACED.stream("anthropic", pace="recorded")
    before = marks(stream)
    next(stream.reasoning)
    early = marks(stream)
    stream.final()

    assert (None,) * 5 == before
    assert (1.0, 1.0, 1.0, None, None) == early
    assert (1.0, 1.0, 1.0, 3.0, None) == marks(stream)
    assert 4.0 == stream.metrics.gaps.max
    assert 1 == stream.metrics.stalls


@pytest.mark.parametrize("how", ["cut", "error", "stop", "close"])
def test_metrics_stay_readable_however_an_answer_ends(how: str) -> None:
    fault: Any = {"cut": faults.cut(at=0.8), "error": faults.error_event(at=0.8)}.get(how)
    stream = PACED.stream("anthropic", pace="recorded", fault=fault)
    if fault:
        with pytest.raises(StreamError):
            stream.final()
    else:
        next(stream.text)
        stream.stop() if how == "stop" else stream.close()

    assert (1.0, 1.0, 1.0, 3.0, None) == marks(stream)
    assert (stream.metrics.duration or 0.0) >= 3.0
    assert stream.metrics.output_tokens is not None


def test_marks_of_several_attempts_count_from_the_first_request() -> None:
    """An attempt that failed is part of what the user waits for."""
    now = 0.0

    def body(seconds: float, *, whole: bool) -> Iterator[bytes]:
        nonlocal now
        for chunk in (
            testing.script().text("Well, ", "yes.").finish().chunks("openai-chat")[: None if whole else 2]
        ):
            now += seconds
            yield chunk

    bodies = [body(1.0, whole=False), body(0.25, whole=True)]
    stream = on(lambda: now, resilient, lambda: bodies.pop(0), retry=Retry(again=True, wait=0.0))
    stream.final()

    assert 2 == len(stream.attempts)
    assert 1.0 == stream.metrics.first_byte
    assert 2.0 == stream.metrics.ttft


def test_a_tap_has_metrics() -> None:
    chunks = PACED.chunks("openai-chat")
    tapped = tap(iter(chunks))
    list(tapped)

    assert tapped.metrics.first_text is not None
    assert tapped.metrics.bytes == sum(map(len, chunks))


@pytest.mark.parametrize("kind", [Stream, AsyncStream])
def test_a_start_in_the_future_is_refused(kind: Any) -> None:
    """A start in the future is mostly `time.time()`, and the first token would come before it."""
    with pytest.raises(MisuseError, match="started_at is in the future"):
        kind([], format="text", started_at=time.time() + 1e9)
