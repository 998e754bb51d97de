"""The function `observe`, which reports an answer to OpenTelemetry."""

from __future__ import annotations

import atexit
import sys
import time
from array import array
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import ref

from tokenstream._basics.elsewhere import needing
from tokenstream._basics.request_facts import model_in
from tokenstream.errors import AnswerFailure, MisuseError
from tokenstream.formats._endings import CLOSED
from tokenstream.message import Message
from tokenstream.otel._attempts import (
    Attributes,
    find_last,
    has_spans,
    list_failures,
    parameters_of,
    report_attempt,
    server_address_of,
    server_attributes,
)
from tokenstream.otel._report import (
    DROPPED,
    NS_PER_SECOND,
    ROUTE,
    OperationReport,
    Receivers,
    SpanReport,
    answer_attributes,
    drop_unknown,
    error_type_of,
    format_at,
    operation_of,
    origin_attributes,
    provider_of,
    report_dropped,
    report_operation,
    run_quietly,
    token_attributes,
)
from tokenstream.otel._runs import RunObserver, around_tools
from tokenstream.steps import Steps
from tokenstream.stream import AsyncStream, Stream
from tokenstream.stream._base import find_driver
from tokenstream.stream._driver import Driver
from tokenstream.stream._tap.tap import AsyncTap, Tap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from tokenstream._pipeline.machine import Machine
    from tokenstream.otel._runs import Around
    from tokenstream.recovery import AttemptReport
    from tokenstream.stream._tap.onlooker import Onlooker

ObservedT = TypeVar("ObservedT", bound="Stream | AsyncStream | Tap[Any] | AsyncTap[Any] | Steps")


def observe(
    stream: ObservedT,
    *,
    operation: str | None = None,
    provider: str | None = None,
    model: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    each_chunk: bool = True,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> ObservedT:
    r"""Report an answer to OpenTelemetry, as a span and metrics with the names of the GenAI conventions.

    Everything is reported at the end of the answer, in whatever way it ends; if the stream is
    dropped before that, with a later report or at exit. No OpenTelemetry code runs for this
    answer before. Failures of OpenTelemetry are logged and never reach the application's loop.
    The span starts at the request and is a child of the span that is current when this function
    is called; it never becomes the current span. It contains no text of the question or the answer.

    A run gets a span for each turn of its agent, each subagent and each tool, once the turn or, for
    other runs, the step at the top level has ended.

    Args:
        stream: A stream or a tap, before it is read; or a run, before its first step.
        operation: The operation's name, such as "chat"; None to derive it from the format. Not for runs.
        provider: The provider's name in the conventions; None to derive it from the host, or if
            the host is unknown, from the format.
        model: The requested model; None to read it from the request, if `connect` sends the request.
        attributes: Further attributes of the span, such as {"gen_ai.conversation.id": …}; None for no
            others.
        each_chunk: True to record the time of each chunk, which takes OpenTelemetry's SDK some
            microseconds per chunk. Not for runs.
        tracer_provider: Provider for the span; None for the process's global provider.
        meter_provider: Provider for the metrics; None for the process's global provider.

    Returns:
        The stream itself.

    Raises:
        MisuseError: opentelemetry-api is not installed; or `stream` is neither a stream nor a tap nor a
            run, is observed already, or has ended.

    Example:
        >>> from tokenstream import Stream
        >>> with observe(Stream([b"data: Hello\n\ndata: [DONE]\n\n"], format="text")) as stream:
        ...     print(stream.final().text)
        Hello
    """
    with needing("opentelemetry-api", "observe"):
        from opentelemetry.context import get_current
    wrapped_stream: Any = stream
    receivers = Receivers(tracer_provider, meter_provider, get_current())
    if isinstance(wrapped_stream, Steps):
        if wrapped_stream.observer is not None:
            raise MisuseError("the run is observed already; once is enough")
        if wrapped_stream.steps or wrapped_stream.ended is not None:
            raise MisuseError("the run has begun: observe a run before its first step")
        wrapped_stream.observer = RunObserver(
            receivers, provider=provider, model=model, attributes=dict(attributes or {})
        )
        return stream
    if not isinstance(wrapped_stream, Stream | AsyncStream | Tap | AsyncTap):
        raise MisuseError(f"observe takes a stream, a tap or a run, and not {type(stream).__name__}")
    reader = find_driver(stream)
    # A shared stream is only one of the readers of its hub, and the hub has the driver.
    hub = getattr(reader, "hub", None)
    reader = reader if hub is None else hub.driver
    machine = reader.machine
    if machine.intake.state in CLOSED:
        raise MisuseError("the answer has ended: observe a stream before it is read")
    if machine.observer is not None:
        raise MisuseError("the stream is observed already; once is enough")
    # The URL and the JSON of the request, if `connect` sends it. A tap does not know the request.
    pump: Any = getattr(reader, "pump", None)
    url, payload = getattr(getattr(pump, "held", None), "asked", None) or (None, None)
    observer = OperationObserver(
        receivers,
        reader,
        url=url,
        asked_model=model_in(payload, url),
        names=(operation, provider, model),
        each_chunk=each_chunk,
        attributes={**parameters_of(payload), **(attributes or {})},
    )
    _report_at_exit()
    machine.observer = observer
    # Report earlier streams that were garbage-collected before their end; that was no safe moment for it.
    report_dropped()
    return stream


@cache
def _report_at_exit() -> None:
    """Register `report_dropped` to be called when the interpreter exits; later calls change nothing."""
    atexit.register(report_dropped)


class OperationObserver:
    """Collects the data of an operation, which is a request with its answer, and reports the data at the end.

    Only the stream's machine, its decoding part without I/O, refers to the observer, and the
    observer does not refer to the machine. So the observer ends with its stream: if the stream
    is dropped before the end of the answer, the observer's `__del__` prepares the report.

    Args:
        receivers: The OpenTelemetry objects that the report goes to.
        reader: The object that reads the answer for a stream (its driver) or for a tap (its onlooker).
        url: The URL of the request; None if it is not known.
        asked_model: The model that the request names; None if it is not known.
        names: The names of the operation, the provider and the model; None for those that the caller did not
            give.
        each_chunk: True to record the time of each chunk.
    """

    def __init__(
        self,
        receivers: Receivers,
        reader: Driver | Onlooker,
        *,
        url: str | None,
        asked_model: str | None,
        names: tuple[str | None, str | None, str | None],
        each_chunk: bool,
        attributes: Attributes,
    ) -> None:
        self._receivers = receivers
        machine = reader.machine
        # A weak reference, so that a stream that nobody uses any more is dropped. A tap has no driver.
        self._driver = ref(reader) if isinstance(reader, Driver) else None
        self._clock = reader.clock
        self._url, self._asked_model = url, asked_model
        # The names that the caller has given; None for those to be found from the request and the answer.
        self._operation, self._provider, self._model = names
        self._attributes = attributes
        # The caller's format is used if the answer fails before its format is detected.
        self._format = machine.link.wanted if isinstance(machine.link.wanted, str) else None
        self._has_reported = False
        self._gaps = array("d")
        """The gaps between chunks with content, in seconds; empty unless each chunk is recorded."""
        self._meter = machine.meter
        if each_chunk:
            self._meter.on_gaps = self._gaps.extend

    def ended(self, machine: Machine) -> None:
        """Report the operation; the machine calls this once it is known how the answer ended."""
        if self._has_reported:
            return
        self._has_reported = True
        run_quietly(lambda: self._report_now(machine))
        # Operations of other streams, which were garbage-collected before their end.
        run_quietly(report_dropped)

    def around_tool(self, within: Around | None) -> Around:
        """Return a function that gives, for a tool call, a context manager in which its run is reported."""
        return around_tools(self._receivers, within)

    def _report_now(self, machine: Machine) -> None:
        """Report the operation to OpenTelemetry, unless the stream was never read and has sent no request."""
        # The meter passes on the last gaps.
        self._meter.pack()
        driver = None if self._driver is None else self._driver()
        error = machine.intake.error or (None if driver is None else driver.error)
        report = self._build_report(machine, driver, error if isinstance(error, AnswerFailure) else None)
        if report is not None:
            report_operation(report, self._receivers)
        # Release the memory of the gaps, which are reported: the stream keeps its observer.
        self._gaps = array("d")

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        """Prepare the report of an answer that was dropped before its end; not while Python shuts down.

        A later call of `report_dropped` reports it, since code of any kind may be interrupted here. The
        function `is_finalizing` is a default argument, because the module's names may be gone by then.
        """
        if self._has_reported or is_finalizing():
            return
        report = self._build_report(machine=None, driver=None, error=None)
        if report is not None:
            DROPPED.append((report, self._receivers))

    def _build_report(
        self, machine: Machine | None, driver: Driver | None, error: AnswerFailure | None
    ) -> OperationReport | None:
        """Return the report of the operation; None if the stream was never read and has sent no request.

        A dropped stream has neither machine nor driver, and a tap has no driver.
        """
        now, now_ns = self._clock(), time.time_ns()
        metrics = self._meter.read(now)
        head = None if machine is None else machine.link.head
        was_read = metrics.chunks > 0 or head is not None or error is not None
        # "wrapped": the source was passed to the stream, so that the stream itself has sent no request.
        if metrics.started == "wrapped" and not was_read:
            return None
        recovery = None if driver is None else driver.recovery
        attempts = None if recovery is None else recovery.attempts
        seconds = metrics.duration or 0.0
        # The answer may have ended some time before this report.
        ended_ns = now_ns - round((now - self._meter.started_at - seconds) * NS_PER_SECOND)
        # If a response of another client was passed to the stream, the time of the request is unknown.
        first_chunk_seconds = metrics.ttft if metrics.started == "request" else None
        span = self._build_span(
            machine,
            attempts,
            error,
            times_ns=(ended_ns - round(seconds * NS_PER_SECOND), ended_ns),
            first_chunk_seconds=first_chunk_seconds,
        )
        names = {"provider": self._provider, "model": self._model}
        return OperationReport(
            span=span,
            failures=list_failures(attempts or (), span),
            attempts=[
                report_attempt(attempt, span, error, **names)
                for attempt in (attempts if attempts is not None and has_spans(attempts) else ())
            ],
            seconds=seconds,
            first_chunk_seconds=first_chunk_seconds,
            gaps=self._gaps,
        )

    def _build_span(
        self,
        machine: Machine | None,
        attempts: Sequence[AttemptReport] | None,
        error: AnswerFailure | None,
        *,
        times_ns: tuple[int, int],
        first_chunk_seconds: float | None,
    ) -> SpanReport:
        started_ns, ended_ns = times_ns
        messages: list[Message] = [] if machine is None else machine.accumulator.messages
        answer = messages[0] if messages else Message()
        format, model, server_address = self._describe_request(machine, find_last(attempts or ()))
        host = server_address.get("server.address")
        was_streamed = machine is None or "not_streamed" not in machine.departures
        operation = self._operation or operation_of(format)
        return SpanReport(
            name=operation if model is None else f"{operation} {model}",
            started_ns=started_ns,
            ended_ns=ended_ns,
            shared_attributes={
                "gen_ai.operation.name": operation,
                "gen_ai.provider.name": self._provider
                or provider_of(None if host is None else str(host), format),
                **drop_unknown(
                    {"gen_ai.request.model": model, "gen_ai.response.model": answer.model or None}
                ),
                **server_address,
            },
            attributes={
                **self._attributes,
                **drop_unknown(
                    {
                        "gen_ai.request.stream": was_streamed or None,
                        "gen_ai.response.time_to_first_chunk": first_chunk_seconds,
                        "tokenstream.attempts": None if attempts is None else len(attempts),
                        ROUTE: answer.route,
                    }
                ),
                **answer_attributes(messages),
                **origin_attributes(None if machine is None else machine.make_origin()),
                **token_attributes(answer.usage, format),
                # To drop a stream before its end is to stop it.
                "tokenstream.ending": "stopped" if machine is None else machine.accumulator.ending,
            },
            error_type=None if error is None else error_type_of(error),
            error_name=None if error is None else type(error).__name__,
        )

    def _describe_request(
        self, machine: Machine | None, last: AttemptReport | None
    ) -> tuple[str | None, str | None, Attributes]:
        """Return the format of the answer, the requested model, and the attributes of the server."""
        if last is not None and last.route is not None:
            # Each route has its own server and model, of which the last one asked has failed or answered.
            return last.format, self._model or last.requested_model, server_attributes(last.host, last.port)
        head = None if machine is None else machine.link.head
        # If several servers were asked, this is the address of the one that answered.
        url = (None if head is None else head.url) or self._url
        format = (None if machine is None else machine.link.format) or self._format or format_at(url)
        return format, self._model or self._asked_model, server_address_of(url)
