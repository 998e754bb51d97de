"""How fast an answer came."""

from __future__ import annotations

from itertools import cycle

import pytest

from tests.support.wire import DONE, sse
from tokenstream import Decoder, Stream
from tokenstream.message import Usage
from tokenstream.stages import GapHistogram, Metrics
from tokenstream.stages._metrics.meter import Meter


def test_no_mark_is_set_before_its_event_has_arrived() -> None:
    metrics = Meter(10.0).read()

    assert metrics == Metrics(started="request")
    assert metrics.duration is None
    assert metrics.tokens_per_second is None
    assert metrics.tpot is None
    assert metrics.gaps == GapHistogram()


def test_marks_are_seconds_from_the_start() -> None:
    meter = Meter(0.0)
    meter.begin(10.0, wrapped=True)
    meter.mark(10.5, frame=False)
    meter.mark(11.0, frame=True)
    meter.mark_content(12.0)
    meter.mark_tool_call(12.25)
    meter.mark_content(12.5)
    meter.mark_text(12.5)
    meter.mark_tool_call(12.75)
    meter.mark(13.0, frame=True)
    meter.finish(14.0)
    metrics = meter.read(13.0, events=7, usage=Usage(output_tokens=11))

    assert metrics.started == "wrapped"
    assert (metrics.first_byte, metrics.first_event, metrics.ttft, metrics.first_text) == (0.5, 1.0, 2.0, 2.5)
    assert metrics.first_tool_call == 2.25
    assert (metrics.last_content, metrics.duration, metrics.events) == (2.5, 4.0, 7)
    assert (metrics.tokens_per_second, metrics.tpot) == (20.0, 0.05)
    assert metrics.gaps.mean == 0.5


def test_gaps_and_stalls() -> None:
    meter = Meter(0.0)
    for now in (1.0, 1.5, 4.0, 4.1, 7.0, 7.2):
        meter.mark_content(now)
    metrics = meter.read()

    assert metrics.gaps.max == pytest.approx(2.9)
    assert metrics.gaps.count == 5
    assert metrics.stalls == 2
    assert metrics.content_chunks == 6


def test_one_token_has_no_speed() -> None:
    assert Metrics(started="request", ttft=1.0, last_content=2.0, output_tokens=1).tokens_per_second is None
    assert Metrics(started="request", ttft=1.0, last_content=1.0, output_tokens=9).tokens_per_second is None


def test_each_kind_of_first_has_its_own_mark() -> None:
    """Reasoning is a token and no text; a ping is a byte and a frame, and nothing else."""
    decoder = Decoder("anthropic")
    frames = [
        ("message_start", '{"type":"message_start","message":{"id":"m","role":"assistant","content":[]}}'),
        ("ping", '{"type":"ping"}'),
        ("content_block_start", _started(0, '{"type":"thinking","thinking":""}')),
        ("content_block_delta", _delta(0, '{"type":"thinking_delta","thinking":"so"}')),
        ("content_block_start", _started(1, '{"type":"tool_use","id":"t","name":"look","input":{}}')),
        ("content_block_delta", _delta(1, '{"type":"input_json_delta","partial_json":"{}"}')),
        ("content_block_start", _started(2, '{"type":"text","text":""}')),
        ("content_block_delta", _delta(2, '{"type":"text_delta","text":"Hi"}')),
    ]
    decoder.feed(b"\n", now=1.0)
    for now, (name, data) in enumerate(frames, 2):
        decoder.feed(sse(data, event=name), now=now)
    metrics = decoder.metrics

    assert (1.0, 2.0, 5.0, 9.0) == (metrics.first_byte, metrics.first_event, metrics.ttft, metrics.first_text)
    assert 6.0 == metrics.first_tool_call


def _started(index: int, block: str) -> str:
    return f'{{"type":"content_block_start","index":{index},"content_block":{block}}}'


def _delta(index: int, delta: str) -> str:
    return f'{{"type":"content_block_delta","index":{index},"delta":{delta}}}'


@pytest.mark.parametrize("chunks", [1, 2, 511, 512, 513, 5 * 512 + 7])
def test_gaps_are_counted_in_batches_and_none_is_lost(chunks: int) -> None:
    gaps = [0.001 * (1 + number % 40) for number in range(chunks - 1)]
    heard: list[float] = []
    meter, now = Meter(0.0), 1.0
    meter.on_gaps = heard.extend
    meter.mark_content(now)
    for number, gap in enumerate(gaps):
        now += gap
        meter.mark_content(now)
        if number % 50 == 0:
            meter.read()
    meter.pack()
    metrics = meter.read()

    assert heard == pytest.approx(gaps)
    assert (chunks, chunks - 1) == (metrics.content_chunks, metrics.gaps.count)
    assert metrics.gaps.seconds == pytest.approx(sum(gaps))
    assert metrics.gaps.max == (pytest.approx(max(gaps)) if gaps else None)


def test_gaps_of_chunks_on_the_fast_path_are_counted_too() -> None:
    """Deltas that are alike are most of an answer."""
    decoder, chunks = Decoder("text"), 1_500
    events = [decoder.feed(sse("word"), now=number * 0.25) for number in range(chunks)]
    metrics = decoder.metrics

    assert (chunks, chunks) == (metrics.chunks, metrics.content_chunks)
    assert sum(map(len, events)) == metrics.events
    assert (chunks - 1, 0.25, 0.25) == (metrics.gaps.count, metrics.gaps.max, metrics.gaps.mean)


def test_the_librarys_own_time_is_measured_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """One chunk in so many is timed, and stands for those that are read like it; counting gaps is added."""
    readings = cycle([0.0, 0.25, 0.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(readings))
    stream, told = Stream([*[sse("word")] * 266, DONE], format="text"), list[float | None]()
    for number, _ in enumerate(stream.text):
        if number == 120:
            told.append(stream.metrics.own_seconds)

    assert [*told, stream.metrics.own_seconds] == [None, 0.25 * stream.metrics.chunks]


def test_a_stream_measures_its_own_time() -> None:
    stream = Stream([*[sse("word")] * 1000, DONE], format="text")
    list(stream)
    short = Stream([*[sse("word")] * 10, DONE], format="text")
    list(short)

    assert stream.metrics.own_seconds is not None
    assert 0 < stream.metrics.own_seconds
    assert short.metrics.own_seconds is None
