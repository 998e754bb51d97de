"""`observe`: metrics of an answer, taken by OpenTelemetry's own SDK in memory."""

from __future__ import annotations

from tests.otel.backend import Backend
from tests.otel.observe.support import ANSWER, DURATION, FIRST, TOKENS, replayed
from tests.support.packages import needed
from tokenstream import testing
from tokenstream.otel import observe

GAP = "gen_ai.client.operation.time_per_output_chunk"


def test_each_metric_has_its_name_unit_and_buckets(backend: Backend) -> None:
    """They are those of the GenAI conventions, as opentelemetry-semantic-conventions has them."""
    observe(replayed(), **backend.takes).final()
    names = needed("opentelemetry.semconv._incubating.metrics.gen_ai_metrics")
    seconds = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
    counts = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)

    assert {
        names.GEN_AI_CLIENT_OPERATION_DURATION: ("s", seconds),
        names.GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK: ("s", seconds),
        names.GEN_AI_CLIENT_OPERATION_TIME_PER_OUTPUT_CHUNK: ("s", seconds),
        names.GEN_AI_CLIENT_TOKEN_USAGE: ("{token}", counts),
    } == {
        metric.name: (metric.unit, tuple(metric.data.data_points[0].explicit_bounds))
        for metric in backend.metrics()
    }


def test_the_times_are_those_of_the_stream(backend: Backend) -> None:
    """A chunk is one that has text, reasoning, a refusal or arguments; each after the first has its gap."""
    stream = observe(replayed(), **backend.takes)
    stream.final()

    assert [(1, 0.875)] == [(point.count, point.sum) for point in backend.points(DURATION)]
    assert [(1, 0.5)] == [(point.count, point.sum) for point in backend.points(FIRST)]
    assert [(2, 0.375, 0.125, 0.25)] == [
        (point.count, point.sum, point.min, point.max) for point in backend.points(GAP)
    ]
    assert stream.metrics.ttft == 0.5


def test_tokens_are_counted_by_type(backend: Backend) -> None:
    """Input and output are two series of one metric."""
    observe(replayed(), **backend.takes).final()

    assert {"input": (1, 41), "output": (1, 23)} == {
        point.attributes["gen_ai.token.type"]: (point.count, point.sum) for point in backend.points(TOKENS)
    }


def test_input_tokens_contain_the_cached_ones(backend: Backend) -> None:
    """The conventions ask for all of them, and Anthropic's own count leaves those out."""
    observe(replayed(format="anthropic"), **backend.takes).final()

    assert backend.span.attributes is not None
    assert backend.span.attributes["gen_ai.usage.input_tokens"] == 41 + 16


def test_what_was_not_reported_is_not_told(backend: Backend) -> None:
    """No count is made up."""
    observe(replayed(testing.script().text("Hello").finish()), **backend.takes).final()

    assert [] == backend.points(TOKENS)
    assert backend.span.attributes is not None
    assert not [name for name in backend.span.attributes if name.startswith("gen_ai.usage")]


def test_of_an_answer_that_was_stopped_only_the_requests_tokens_are_told(backend: Backend) -> None:
    """What the answer came to is estimated then, and an estimate is no count."""
    with observe(replayed(format="anthropic"), **backend.takes) as stream:
        next(stream.text)
        stream.stop()
    usage = stream.message.usage

    assert "estimated" == usage.source
    assert [] == [
        point for point in backend.points(TOKENS) if point.attributes["gen_ai.token.type"] != "input"
    ]
    assert "gen_ai.usage.output_tokens" not in (backend.span.attributes or {})


def test_a_response_that_was_wrapped_has_no_time_to_its_first_chunk(backend: Backend) -> None:
    """Nobody knows when its request went out; `started_at` says so."""
    observe(ANSWER.stream(), **backend.takes).final()

    assert [] == backend.points(FIRST)
    assert 1 == len(backend.points(DURATION))


def test_the_time_of_each_chunk_may_be_left_out(backend: Backend) -> None:
    """It is what costs most, and `stream.metrics.gaps` has it, too."""
    stream = observe(replayed(), each_chunk=False, **backend.takes)
    stream.final()

    assert ([], 1) == (backend.points(GAP), len(backend.points(FIRST)))
    assert 0.25 == stream.metrics.gaps.max


def test_many_streams_share_their_histograms(backend: Backend) -> None:
    """To add up over many streams is what a histogram is for."""
    for _ in range(3):
        observe(replayed(), **backend.takes).final()

    assert [3] == [point.count for point in backend.points(DURATION)]
    assert [6] == [point.count for point in backend.points(GAP)]
