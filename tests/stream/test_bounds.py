"""Bounds, deadlines, metrics and heartbeats, through the drivers."""

from __future__ import annotations

import functools
import gzip
import tracemalloc
import zlib
from typing import Any

import pytest

from tests.stream.bodies import ANSWER, TOKENS
from tests.support.clocks import on
from tests.support.sampling import sampled
from tests.support.wire import sse
from tokenstream import Deadlines, Limits, Stream
from tokenstream.errors import LimitExceeded, StreamError, StreamStalled
from tokenstream.testing import Recording


def test_bounds_end_the_stream_with_the_partial_kept() -> None:
    body = b"".join(TOKENS)
    for size in (1, 5, len(body)):
        chunks = [body[start : start + size] for start in range(0, len(body), size)]
        with pytest.raises(LimitExceeded) as caught:
            Stream(chunks, format="text", limits=Limits(text=4)).final()
        assert caught.value.limit == "text"
        assert caught.value.partial.ending != "streaming"
        assert caught.value.partial.text == "Hello"
        with pytest.raises(LimitExceeded) as caught:
            Stream(chunks, format="text", limits=Limits(body=len(body) - 1)).final()
        assert caught.value.limit == "body"
        Stream(chunks, format="text", limits=Limits(body=len(body), text=9)).final()


@functools.cache
def _deflated(unit: bytes, codings: int) -> bytes:
    """Return 64 MiB of one unit, compressed so many times that it is a few hundred bytes."""
    if codings > 1:
        return gzip.compress(_deflated(unit, codings - 1))
    packer = zlib.compressobj(wbits=31)
    block = unit * (1_048_576 // len(unit))
    return b"".join([packer.compress(block) for _ in range(64)]) + packer.flush()


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit", sampled([sse("x"), b" ", b"\0", b"data: "], one_in=4), ids=["events", "space", "zeros", "fields"]
)
@pytest.mark.parametrize("codings", [1, 3])
def test_a_compressed_bomb_costs_no_more_than_what_is_read_of_it(unit: bytes, codings: int) -> None:
    """A chunk is decompressed piece by piece, as the loop asks, and no further than a fault or a bound."""
    bomb = _deflated(unit, codings)
    sent = Recording.of([bomb], headers={"content-encoding": ", ".join(["gzip"] * codings)})
    limits = Limits(line=500_000, event=500_000)
    tracemalloc.start()
    with sent.stream(format="text" if unit == sse("x") else None, limits=limits) as stream:
        try:
            read = next(iter(stream.text))
        except StreamError as error:
            read = type(error).__name__
        peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert read in ("x", "LimitExceeded", "NotAStream")
    assert peak < 12_000_000


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def body(self, *steps: tuple[float, bytes]) -> Any:
        for seconds, item in steps:
            self.now += seconds
            yield item


NEVER = Deadlines(first_event=None, idle_bytes=None, idle_content=None)


@pytest.mark.parametrize(
    "deadlines, steps, limit",
    [
        (Deadlines(first_event=5.0), [(3.0, b": a\n\n"), (3.0, b": b\n\n"), (0.0, ANSWER[2])], "first_event"),
        (Deadlines(total=9.0), [(5.0, ANSWER[2]), (5.0, ANSWER[3]), (0.0, ANSWER[4])], "total"),
        (
            Deadlines(idle_content=5.0),
            [(1.0, ANSWER[2]), (3.0, b": a\n\n"), (3.0, b": b\n\n"), (0.0, ANSWER[3])],
            "idle_content",
        ),
        (Deadlines(first_event=5.0, idle_content=30.0), [(4.0, item) for item in ANSWER], None),
        (NEVER, [(1e6, b": a\n\n"), *[(1e6, item) for item in ANSWER]], None),
    ],
)
def test_deadlines_are_looked_at_whenever_bytes_arrive(
    deadlines: Deadlines, steps: Any, limit: str | None
) -> None:
    """Comments prove that the socket lives, not that the model does."""
    clock, stalled = Clock(), None
    stream = on(clock, Stream, clock.body(*steps), deadlines=deadlines)
    try:
        stream.final()
    except StreamStalled as error:
        stalled = error.limit

    assert (stalled, stream.message.ending) == (limit, "truncated" if limit else "complete")


def test_metrics_count_from_the_clock_that_was_given() -> None:
    clock = Clock()
    steps = [(0.5, b": hello\n\n"), *[(0.25, item) for item in ANSWER]]
    stream = on(clock, Stream, clock.body(*steps), started_at=99.0)
    stream.final()
    metrics = stream.metrics

    assert metrics.started == "request"
    assert metrics.first_byte == 1.5
    assert metrics.first_event == 1.75
    assert metrics.ttft == 1.75
    assert metrics.first_text == 2.25
    assert metrics.output_tokens == 21
    # The arguments `{}` of the last call are told at the end of the answer: others might have followed them.
    assert metrics.gaps.max == 0.75
    assert metrics.stalls == 0
    assert metrics.tokens_per_second == pytest.approx(20 / 2.5)
    assert metrics.duration == 1.5 + 0.25 * len(ANSWER)
