"""`observe`: the span and the metrics of an answer, taken by OpenTelemetry's own SDK in memory."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from tests.otel.backend import Backend
from tests.otel.observe.support import ANSWER, CHAT, DURATION, FIRST, TOKENS, replayed
from tests.support.packages import needed
from tokenstream import __version__, connect, testing
from tokenstream.otel import observe
from tokenstream.testing import Server


def test_the_span_tells_what_was_asked_and_answered(backend: Backend, server: Server) -> None:
    """All names are those of the GenAI conventions, and nothing of the content is among the values."""
    payload = {
        "model": "m",
        "stream": True,
        "temperature": 1,
        "top_p": 0.5,
        "max_completion_tokens": 99,
        "stop": ["END"],
        "response_format": {"type": "json_object"},
        "messages": [{"role": "user", "content": "my secret"}],
    }
    with observe(connect(server.url + CHAT, json=payload), **backend.takes) as stream:
        stream.final()
    span = backend.span
    attributes = backend.told
    first = attributes.pop("gen_ai.response.time_to_first_chunk")
    origin = stream.origin

    assert ("chat m", SpanKind.CLIENT, StatusCode.UNSET) == (span.name, span.kind, span.status.status_code)
    assert {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.output.type": "json",
        "gen_ai.request.max_tokens": 99,
        "gen_ai.request.model": "m",
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 1.0,
        "gen_ai.request.top_p": 0.5,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "m-2026-01-01",
        "gen_ai.usage.cache_read.input_tokens": 16,
        "gen_ai.usage.input_tokens": 41,
        "gen_ai.usage.output_tokens": 23,
        "gen_ai.usage.reasoning.output_tokens": 5,
        "server.address": "127.0.0.1",
        "server.port": int(server.url.rpartition(":")[2]),
        "tokenstream.answer.id": origin.answer_id,
        "tokenstream.bytes": origin.bytes,
        "tokenstream.ending": "complete",
        "tokenstream.events": origin.events,
        "tokenstream.request.id": origin.request_id,
        "tokenstream.request.path": "/v1/chat/completions",
    } == attributes
    assert stream.metrics.ttft == first
    assert "secret" not in span.to_json()


def test_spans_and_metrics_name_the_library_and_its_version(backend: Backend, server: Server) -> None:
    """A backend that compares versions finds it in the instrumentation scope."""
    with observe(connect(server.url + CHAT, json={"model": "m"}), **backend.takes) as stream:
        stream.final()
    scope = backend.span.instrumentation_scope

    assert scope
    assert [("tokenstream", __version__)] * 2 == [
        (each.name, each.version) for each in (scope, *backend.scopes())
    ]


def test_every_name_is_one_of_the_conventions(backend: Backend, server: Server) -> None:
    with observe(connect(server.url + CHAT, json={"model": "m", "n": 2}), **backend.takes) as stream:
        stream.final()
    module = needed("opentelemetry.semconv._incubating.attributes.gen_ai_attributes")
    known = {value for value in vars(module).values() if isinstance(value, str)}
    shared = {"error.type", "server.address", "server.port"}
    told = {*backend.told}

    assert set() == {name for name in told - shared if not name.startswith("tokenstream.")} - known


def test_the_span_covers_the_operation(backend: Backend) -> None:
    observe(replayed(), **backend.takes).final()
    span = backend.span

    assert span.start_time is not None
    assert span.end_time is not None
    assert span.end_time - span.start_time == pytest.approx(875_000_000, abs=2)


def test_the_span_is_part_of_what_was_current(backend: Backend) -> None:
    tracer = trace.get_tracer("tests", tracer_provider=backend.tracers)
    with tracer.start_as_current_span("agent") as agent:
        stream = observe(replayed(), **backend.takes)
    with tracer.start_as_current_span("elsewhere"):
        stream.final()
    chat = next(span for span in backend.spans if span.name == "chat")

    assert chat.parent is not None
    assert agent.get_span_context().span_id == chat.parent.span_id


def test_an_example_of_a_metric_leads_to_its_span(backend: Backend) -> None:
    """What is recorded is recorded within the span."""
    with trace.get_tracer("tests", tracer_provider=backend.tracers).start_as_current_span("agent"):
        observe(replayed(), **backend.takes).final()
    (point,) = backend.points(DURATION)
    chat = next(span for span in backend.spans if span.name == "chat")

    assert chat.context is not None
    assert [chat.context.span_id] == [exemplar.span_id for exemplar in point.exemplars]


def test_the_caller_says_what_only_he_knows(backend: Backend) -> None:
    observe(
        replayed(),
        operation="invoke_agent",
        provider="my.gateway",
        model="m",
        attributes={"gen_ai.conversation.id": "c1"},
        **backend.takes,
    ).final()
    told = backend.told
    names = (
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.request.model",
        "gen_ai.conversation.id",
    )

    assert ["invoke_agent", "my.gateway", "m", "c1"] == [told[name] for name in names]
    assert "invoke_agent m" == backend.span.name


GAP = "gen_ai.client.operation.time_per_output_chunk"


def test_each_metric_has_its_name_unit_and_buckets(backend: Backend) -> None:
    """The buckets are those of opentelemetry-semantic-conventions."""
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
    observe(replayed(), **backend.takes).final()

    assert {"input": (1, 41), "output": (1, 23)} == {
        point.attributes["gen_ai.token.type"]: (point.count, point.sum) for point in backend.points(TOKENS)
    }


def test_input_tokens_contain_the_cached_ones(backend: Backend) -> None:
    """The conventions ask for all of them, and Anthropic's own count leaves those out."""
    observe(replayed(format="anthropic"), **backend.takes).final()

    assert backend.told["gen_ai.usage.input_tokens"] == 41 + 16


def test_what_was_not_reported_is_left_out(backend: Backend) -> None:
    observe(replayed(testing.script().text("Hello").finish()), **backend.takes).final()

    assert [] == backend.points(TOKENS)
    assert not [name for name in backend.told if name.startswith("gen_ai.usage")]


def test_of_an_answer_that_was_stopped_only_the_requests_tokens_are_reported(backend: Backend) -> None:
    """What the answer came to is estimated then, and an estimate is no count."""
    with observe(replayed(format="anthropic"), **backend.takes) as stream:
        next(stream.text)
        stream.stop()
    usage = stream.message.usage

    assert "estimated" == usage.basis
    assert [] == [
        point for point in backend.points(TOKENS) if point.attributes["gen_ai.token.type"] != "input"
    ]
    assert "gen_ai.usage.output_tokens" not in backend.told


def test_a_response_that_was_wrapped_has_no_time_to_its_first_chunk(backend: Backend) -> None:
    """Nobody knows when its request went out; `started_at` says so."""
    observe(ANSWER.stream(), **backend.takes).final()

    assert [] == backend.points(FIRST)
    assert 1 == len(backend.points(DURATION))


def test_the_time_of_each_chunk_may_be_left_out(backend: Backend) -> None:
    """The times of chunks cost most, and `stream.metrics.gaps` has them, too."""
    stream = observe(replayed(), each_chunk=False, **backend.takes)
    stream.final()

    assert ([], 1) == (backend.points(GAP), len(backend.points(FIRST)))
    assert 0.25 == stream.metrics.gaps.max
