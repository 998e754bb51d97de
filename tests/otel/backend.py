"""OpenTelemetry's own SDK in memory: what a program would have exported."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def told_by(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


class Backend:
    """Takes spans and metrics, and tells what came."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)

    @property
    def takes(self) -> dict[str, Any]:
        """What `observe` is given."""
        return {"tracer_provider": self.tracers, "meter_provider": self.meters}

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    @property
    def span(self) -> ReadableSpan:
        """The only one."""
        (span,) = self.spans
        return span

    @property
    def told(self) -> dict[str, Any]:
        """The attributes of the only span."""
        return told_by(self.span)

    @property
    def attempts(self) -> tuple[ReadableSpan, ...]:
        """Those of the attempts, which end before their answer's."""
        return tuple(span for span in self.spans if span.name.startswith("attempt"))

    @property
    def answer(self) -> ReadableSpan:
        """The only one that is not an attempt's."""
        (span,) = (span for span in self.spans if span not in self.attempts)
        return span

    def points(self, name: str) -> list[Any]:
        """Return what was recorded under a metric's name, by attributes."""
        return [
            point for metric in self.metrics() if metric.name == name for point in metric.data.data_points
        ]

    def metrics(self) -> list[Any]:
        return [metric for scope in self._scope_metrics() for metric in scope.metrics]

    def scopes(self) -> list[Any]:
        return [scope.scope for scope in self._scope_metrics()]

    def _scope_metrics(self) -> list[Any]:
        data = self._reader.get_metrics_data()
        if data is None:
            return []
        return [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
