"""The report on an answer: its attributes, in the words of OpenTelemetry, and its metrics."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from tokenstream._basics.version import __version__
from tokenstream._providers.apis import api_named
from tokenstream._providers.hosts import host_at
from tokenstream.errors import AnswerFailure, StatusError
from tokenstream.formats._registry import format_of_path
from tokenstream.stream._log import warn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.metrics import Histogram, Meter, MeterProvider
    from opentelemetry.trace import Span, Tracer, TracerProvider

    from tokenstream._values.origin import Origin
    from tokenstream.message import Message, Usage
    from tokenstream.otel._attempts import Attributes

NAME = "tokenstream"
MODE, ROUTE = "tokenstream.attempt.mode", "tokenstream.route"
"""Attributes of an attempt's span and of its duration."""
NS_PER_SECOND = 1_000_000_000
_BUCKETS_OF_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_BUCKETS_OF_AGENTS = tuple(round(0.1 * 2**power, 1) for power in range(13))
_BUCKETS_OF_TOKENS = tuple(4**power for power in range(14))

OTHER = "_OTHER"
_AT_AWS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
# Hosts of AWS belong to Bedrock only with this in their names: other AWS services, and load balancers
# before any server, have names in the same domains.
_BEDROCK = ".bedrock"


class SpanReport(NamedTuple):
    """The data of the span of an operation, or of one attempt at it; some of it is also used for metrics."""

    name: str
    started_ns: int
    ended_ns: int
    shared_attributes: Attributes
    """Attributes of both the span and the metrics."""
    attributes: Attributes
    """Attributes of the span only."""
    error_type: str | None
    """The `error.type` attribute; None if the operation or the attempt did not fail."""
    error_name: str | None
    """The class name of the error; None if the operation or the attempt did not fail."""


class OperationReport(NamedTuple):
    """The data of a finished operation, from which its spans and its metrics are made."""

    span: SpanReport
    failures: Sequence[tuple[int, Attributes]]
    """Failed attempts: the time at which each ended, and its attributes."""
    attempts: Sequence[SpanReport]
    """The attempts, if each of them gets a span."""
    seconds: float
    first_chunk_seconds: float | None
    """Seconds to the first chunk; None if no chunk arrived, or if the time of the request is unknown."""
    gaps: Sequence[float]
    """Seconds from each chunk to the next."""


class Receivers(NamedTuple):
    """The OpenTelemetry objects that a report goes to: providers of spans and metrics, and a context."""

    tracers: TracerProvider | None
    """Provider for spans; None for the process's global provider."""
    meters: MeterProvider | None
    """Provider for metrics; None for the process's global provider."""
    context: Context
    """The context that was current when `observe` was called."""

    @property
    def tracer(self) -> Tracer:
        from opentelemetry import trace

        return trace.get_tracer(NAME, __version__, tracer_provider=self.tracers)


DROPPED: deque[tuple[OperationReport, Receivers]] = deque()
"""Operations of streams that were dropped before their end, and are not reported yet.

They are reported together with a later operation, because a stream may be garbage
collected at any moment, even while OpenTelemetry's own code holds its locks.
"""


def report_dropped() -> None:
    """Report the operations of dropped streams, which wait in `DROPPED`.

    A stream may be dropped at any place in the application's code, so its operation is
    reported later: with the next call of `observe`, at the end of another stream, or at exit.
    """
    while DROPPED:
        try:
            dropped = DROPPED.popleft()
        except IndexError:
            # Another thread has reported the last operation.
            return
        report_operation(*dropped)


def report_operation(report: OperationReport, receivers: Receivers) -> None:
    """Create the spans of an operation and record its metrics; errors are only logged."""
    context = receivers.context

    def trace() -> None:
        """Create the spans; set `context`, for recording the metrics, to one with the operation's span."""
        nonlocal context
        context = _create_spans(report, receivers)

    # If the span cannot be created, the metrics are recorded in the context of the observed code.
    run_quietly(trace)
    run_quietly(lambda: _record_metrics(report, receivers, context))


def run_quietly(function: Callable[[], None]) -> None:
    """Call a function; log any exception that it raises, to keep the exception from the application.

    Ctrl-C (`KeyboardInterrupt`) is not caught.
    """
    try:
        function()
    except Exception as error:  # noqa: BLE001 - an exporter's errors must not reach the application
        warn("OpenTelemetry failed: %s; the stream is not disturbed", type(error).__name__)


def _create_spans(report: OperationReport, receivers: Receivers) -> Context:
    from opentelemetry import trace

    tracer = receivers.tracer
    span = _start_span(tracer, report.span, receivers.context)
    for ended_ns, attributes in report.failures:
        span.add_event("tokenstream.attempt", attributes, timestamp=ended_ns)
    context = trace.set_span_in_context(span, receivers.context)
    for attempt in report.attempts:
        # The operation's span is ended even if one of these fails.
        run_quietly(partial(_create_child, tracer, attempt, context))
    span.end(report.span.ended_ns)
    return context


def _create_child(tracer: Tracer, attempt: SpanReport, context: Context) -> None:
    """Create the span of an attempt as a child of its operation's, which is current in the context."""
    _start_span(tracer, attempt, context).end(attempt.ended_ns)


def _start_span(tracer: Tracer, report: SpanReport, context: Context) -> Span:
    """Start a span with all its attributes, and return it; the caller has to end it."""
    from opentelemetry import trace

    span = tracer.start_span(
        report.name,
        context=context,
        kind=trace.SpanKind.CLIENT,
        attributes={**report.shared_attributes, **report.attributes},
        start_time=report.started_ns,
    )
    if report.error_type is not None:
        span.set_attribute("error.type", report.error_type)
        span.set_status(trace.StatusCode.ERROR, report.error_name)
    return span


class _Instruments:
    """The histograms of one meter provider."""

    def __init__(self, meter: Meter) -> None:
        def make_histogram(
            name: str, description: str, unit: str = "s", buckets: Sequence[float] = _BUCKETS_OF_SECONDS
        ) -> Histogram:
            return meter.create_histogram(
                name, unit=unit, description=description, explicit_bucket_boundaries_advisory=buckets
            )

        self.duration = make_histogram("gen_ai.client.operation.duration", "GenAI operation duration.")
        self.first_chunk = make_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            "Time to receive the first chunk, measured from when the client issues the generation request "
            "to when the first chunk is received in the response stream.",
        )
        self.gap = make_histogram(
            "gen_ai.client.operation.time_per_output_chunk",
            "Time per output chunk, recorded for each chunk received after the first one, measured as the "
            "time elapsed from the end of the previous chunk to the end of the current chunk.",
        )
        self.attempt = make_histogram(
            "tokenstream.attempt.duration", "The duration of one of several attempts at an answer."
        )
        self.tool = make_histogram("gen_ai.execute_tool.duration", "The duration of a single tool execution.")
        self.agent = make_histogram(
            "gen_ai.invoke_agent.duration",
            "The end-to-end duration of a single agent invocation.",
            buckets=_BUCKETS_OF_AGENTS,
        )
        self.tokens = make_histogram(
            "gen_ai.client.token.usage",
            "Number of input and output tokens used.",
            "{token}",
            _BUCKETS_OF_TOKENS,
        )

    def record_tokens(self, counts: Attributes, attributes: Attributes, context: Context) -> None:
        """Record the token counts among the attributes of a span, with attributes of their own."""
        for kind in ("input", "output"):
            count = counts.get(f"gen_ai.usage.{kind}_tokens")
            if isinstance(count, int):
                self.tokens.record(count, {**attributes, "gen_ai.token.type": kind}, context)


_instruments_by_provider: WeakKeyDictionary[Any, _Instruments] = WeakKeyDictionary()
"""Maps meter providers to their histograms, since a provider must not have two histograms of one name."""


def instruments_of(provider: MeterProvider | None) -> _Instruments:
    """Return the histograms of a meter provider."""
    from opentelemetry import metrics

    # The class stands for the process's global provider, which cannot be the key itself: the application may
    # set another one later, for which the same histograms then work.
    key = _Instruments if provider is None else provider
    instruments = _instruments_by_provider.get(key)
    if instruments is None:
        # Another thread may add them at the same time: those that were added first are used.
        instruments = _instruments_by_provider.setdefault(
            key, _Instruments(metrics.get_meter(NAME, __version__, meter_provider=provider))
        )
    return instruments


def _record_metrics(report: OperationReport, receivers: Receivers, context: Context) -> None:
    """Record the metrics of an operation, in the context of its span, to which exemplars refer."""
    instruments, span = instruments_of(receivers.meters), report.span
    shared_attributes = span.shared_attributes
    instruments.duration.record(report.seconds, _with_error(span, shared_attributes), context)
    if report.first_chunk_seconds is not None:
        instruments.first_chunk.record(report.first_chunk_seconds, shared_attributes, context)
    record = instruments.gap.record
    for gap in report.gaps:
        # The context is not passed: exemplars for thousands of gaps would not be worth the time.
        record(gap, shared_attributes)
    for attempt in report.attempts:
        seconds = (attempt.ended_ns - attempt.started_ns) / NS_PER_SECOND
        own = {name: attempt.attributes[name] for name in (MODE, ROUTE) if name in attempt.attributes}
        attributes = {**attempt.shared_attributes, **own}
        instruments.attempt.record(seconds, _with_error(attempt, attributes), context)
    # The attempts may have gone to several providers, each of which has counted its own tokens.
    operation = {"gen_ai.operation.name": shared_attributes["gen_ai.operation.name"]}
    for each in report.attempts or [span]:
        instruments.record_tokens(each.attributes, {**operation, **each.shared_attributes}, context)


def _with_error(report: SpanReport, attributes: Attributes) -> Attributes:
    return attributes if report.error_type is None else {**attributes, "error.type": report.error_type}


def format_at(url: str | None) -> str | None:
    """Return the format that a server probably sends at a URL; None if the path is not known."""
    return format_of_path((url or "").partition("?")[0])


def provider_of(host: str | None, format: str | None) -> str:
    """Return the provider's name in the GenAI conventions; "_OTHER" for an unknown provider."""
    dotted = f".{host or ''}"
    if dotted.endswith(_AT_AWS) and _BEDROCK in dotted:
        return "aws.bedrock"
    row = host_at(host)
    name_by_host = None if row is None else row.provider
    api = api_named(format)
    return name_by_host or (None if api is None else api.provider) or OTHER


def operation_of(format: str | None) -> str:
    """Return the name that the GenAI conventions have for an operation, such as "chat", by its format."""
    api = api_named(format)
    return "chat" if api is None else api.operation


def error_type_of(error: AnswerFailure) -> str:
    """Return the value of `error.type` in OpenTelemetry: the status, "shutdown", or the error's class."""
    if error.kind == "shutdown":
        return error.kind
    return str(error.status) if isinstance(error, StatusError) else type(error).__name__


def drop_unknown(values: Mapping[str, str | int | float | None]) -> Attributes:
    return {name: value for name, value in values.items() if value is not None}


def answer_attributes(messages: Sequence[Message]) -> Attributes:
    """Return the attributes with the first message's id and the finish reasons, as far as they are known."""
    attributes: Attributes = {}
    if messages and messages[0].id:
        attributes["gen_ai.response.id"] = messages[0].id
    reasons = [message.finish_reason for message in messages if message.finish_reason is not None]
    if reasons:
        attributes["gen_ai.response.finish_reasons"] = reasons
    return attributes


def origin_attributes(origin: Origin | None) -> Attributes:
    """Return the attributes by which an answer is found in the provider's log and in our own one."""
    if origin is None:
        return {}
    known = {
        "tokenstream.request.id": origin.request_id,
        "tokenstream.answer.id": origin.answer_id,
        "tokenstream.request.path": origin.path or None,
    }
    return {**drop_unknown(known), "tokenstream.bytes": origin.bytes, "tokenstream.events": origin.events}


def token_attributes(usage: Usage | None, format: str | None) -> Attributes:
    """Return the attributes with reliable token counts: for a cut answer, only the counts of the request."""
    if usage is None or (usage.basis == "estimated" and not usage.provider_data):
        return {}
    input_tokens = usage.input_tokens
    # In the conventions, cached tokens are part of the input tokens.
    api = api_named(format)
    if input_tokens is not None and api is not None and api.input_excludes_cache:
        input_tokens += (usage.cached_tokens or 0) + (usage.cache_write_tokens or 0)
    counts = {
        "input_tokens": input_tokens,
        "cache_read.input_tokens": usage.cached_tokens,
        "cache_creation.input_tokens": usage.cache_write_tokens,
    }
    if usage.basis == "reported":
        # The provider has counted the output to its end.
        counts["output_tokens"] = usage.output_tokens
        counts["reasoning.output_tokens"] = usage.reasoning_tokens
    return {f"gen_ai.usage.{name}": count for name, count in counts.items() if count is not None}
