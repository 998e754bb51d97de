"""Spans and metrics of the tools that a router runs."""

from __future__ import annotations

import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._basics.version import __version__
from tokenstream.otel._report import NAME, instruments_of, run_quietly

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

    from tokenstream.message import ToolCall
    from tokenstream.otel._attempts import Attributes
    from tokenstream.otel._report import Receivers

    Around: TypeAlias = Callable[[ToolCall], AbstractContextManager[Any]]


def around_tools(receivers: Receivers, inner: Around | None) -> Around:
    """Return a function that, for a tool call, returns the context manager in which to run the call.

    Inside the context manager, the span of the tool is the current span.

    Args:
        inner: Returns, for a tool call, another context manager, which is entered inside this one; or None.
    """

    @contextmanager
    def around(call: ToolCall) -> Generator[Any]:
        """Report the run of a tool call; yield the value of the inner context manager, or None."""
        running = _RunningTool(receivers, call)
        run_quietly(running.start_span)
        try:
            with nullcontext() if inner is None else inner(call) as entered:
                yield entered
        except BaseException as error:
            # A cancellation is the tool's error, too.
            running.error_type = type(error).__name__
            raise
        finally:
            run_quietly(running.restore_context)
            run_quietly(running.report)

    return around


class _RunningTool:
    """Reports one run of a tool as a span, which is current while the tool runs, and as a metric."""

    def __init__(self, receivers: Receivers, call: ToolCall) -> None:
        self._receivers = receivers
        self._attributes: Attributes = {"gen_ai.tool.name": call.name, "gen_ai.tool.type": "function"}
        self._id = call.id
        self._span: Any = None
        self._context_token: Any = None
        """Restores the context that was current before the span; None if the span was not started."""
        self._started = time.perf_counter()
        self._started_ns = time.time_ns()
        self.error_type: str | None = None
        """Class name of the tool's exception; None if the tool has not failed."""

    def start_span(self) -> None:
        """Start the span and make it current."""
        from opentelemetry import context, trace

        tracer = trace.get_tracer(NAME, __version__, tracer_provider=self._receivers.tracers)
        self._span = tracer.start_span(
            f"execute_tool {self._attributes['gen_ai.tool.name']}",
            context=self._receivers.context,
            attributes={
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.call.id": self._id,
                **self._attributes,
            },
            start_time=self._started_ns,
        )
        self._context_token = context.attach(trace.set_span_in_context(self._span))

    def restore_context(self) -> None:
        """Restore the context that was current before `start_span`."""
        if self._context_token is not None:
            from opentelemetry import context

            context.detach(self._context_token)

    def report(self) -> None:
        """End the span and record its duration."""
        from opentelemetry import trace

        seconds = time.perf_counter() - self._started
        attributes, context = self._attributes, self._receivers.context
        if self.error_type is not None:
            attributes = {**attributes, "error.type": self.error_type}
        # The span is missing if OpenTelemetry failed to start it.
        if self._span is not None:
            context = trace.set_span_in_context(self._span, context)
            self._span.set_attributes(attributes)
            if self.error_type is not None:
                self._span.set_status(trace.StatusCode.ERROR, self.error_type)
            run_quietly(lambda: self._span.end(self._started_ns + round(seconds * 1e9)))
        instruments_of(self._receivers.meters).tool.record(seconds, attributes, context)
