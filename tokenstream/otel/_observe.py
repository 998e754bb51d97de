"""The function `observe`, which reports an answer to OpenTelemetry."""

from __future__ import annotations

import atexit
import sys
import time
from array import array
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import ref

from tokenstream._apis import api_named
from tokenstream.errors import MisuseError, StatusError, StreamError
from tokenstream.otel._providers import format_at, operation_of, provider_of
from tokenstream.otel._report import (
    DROPPED,
    OperationReport,
    Receivers,
    report_dropped,
    report_operation,
    run_quietly,
)
from tokenstream.otel._requested import model_in, parameters_of, server_address_of
from tokenstream.otel._tools import around_tools
from tokenstream.stream import AsyncStream, AsyncTap, Stream, Tap
from tokenstream.stream._base import find_driver
from tokenstream.stream._driver import Driver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from tokenstream._pipeline.machine import Machine
    from tokenstream.message import Message, Usage
    from tokenstream.otel._requested import Attributes
    from tokenstream.otel._tools import Around
    from tokenstream.stream._protocols import DriverView
    from tokenstream.stream._tap.onlooker import Onlooker

StreamT = TypeVar("StreamT", bound="Stream | AsyncStream | Tap[Any] | AsyncTap[Any]")

_NS_PER_SECOND = 1_000_000_000


def observe(
    stream: StreamT,
    *,
    operation: str | None = None,
    provider: str | None = None,
    model: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    each_chunk: bool = True,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> StreamT:
    r"""Report an answer to OpenTelemetry, as a span and metrics with the names of the GenAI conventions.

    Everything is reported at the end of the answer, in whatever way it ends; if the stream is
    dropped before that, with a later report or at exit. No OpenTelemetry code runs for this
    answer before. Failures of OpenTelemetry are logged and never reach the application's loop.
    The span starts at the request and is a child of the span that is current when this function
    is called; it never becomes the current span. It contains no text of the question or the answer.

    Args:
        stream: A stream or a tap, before it is read.
        operation: The operation's name, such as "chat"; None to derive it from the format.
        provider: The provider's name in the conventions; None to derive it from the host, or if
            the host is unknown, from the format.
        model: The requested model; None to read it from the request, if `connect` sends the request.
        attributes: Further attributes of the span, such as {"gen_ai.conversation.id": …}; None for no
            others.
        each_chunk: True to record the time of each chunk, which takes OpenTelemetry's SDK some
            microseconds per chunk.
        tracer_provider: Provider for the span; None for the process's global provider.
        meter_provider: Provider for the metrics; None for the process's global provider.

    Returns:
        The stream itself.

    Raises:
        MisuseError: opentelemetry-api is not installed; or `stream` is neither a stream nor a tap,
            is observed already, or has ended.

    Example:
        >>> from tokenstream import Stream
        >>> with observe(Stream([b"data: Hello\n\ndata: [DONE]\n\n"], format="text")) as stream:
        ...     print(stream.final().text)
        Hello
    """
    try:
        from opentelemetry.context import get_current
    except ImportError:
        raise MisuseError(
            'observe needs opentelemetry-api: install it with pip install "llm-tokenstream[otel]"'
        ) from None
    wrapped_stream: Any = stream
    if not isinstance(wrapped_stream, Stream | AsyncStream | Tap | AsyncTap):
        raise MisuseError(f"observe takes a stream or a tap, and not {type(stream).__name__}")
    reader = find_driver(stream)
    # A shared stream is only one of the readers of its hub, and the hub has the driver.
    hub = getattr(reader, "hub", None)
    reader = reader if hub is None else hub.driver
    machine = reader.machine
    if machine.input_ended:
        raise MisuseError("the answer has ended: observe a stream before it is read")
    if machine.observer is not None:
        raise MisuseError("the stream is observed already; once is enough")
    # The URL and the JSON of the request, if `connect` sends it. A tap does not know the request.
    pump: Any = getattr(reader, "pump", None)
    url, payload = getattr(getattr(pump, "source", None), "asked", None) or (None, None)
    observer = Observer(
        Receivers(tracer_provider, meter_provider, get_current()),
        reader,
        url=url,
        model=model or model_in(payload, url),
        names=(operation, provider),
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


class Observer:
    """Collects the data of an operation, which is a request with its answer, and reports the data at the end.

    Only the stream's machine, its decoding part without I/O, refers to the observer, and the
    observer does not refer to the machine. So the observer ends with its stream: if the stream
    is dropped before the end of the answer, the observer's `__del__` prepares the report.

    Args:
        receivers: OpenTelemetry's providers that receive the report, and its context.
        reader: The object that reads the answer: the stream's driver, or the tap's onlooker.
        url: The URL of the request; None if it is not known.
        model: The requested model; None if it is not known.
        names: The names of the operation and the provider; None for a name that the caller did not give.
        each_chunk: True to record the time of each chunk.
        attributes: Further attributes of the span.
    """

    def __init__(
        self,
        receivers: Receivers,
        reader: DriverView | Onlooker,
        *,
        url: str | None,
        model: str | None,
        names: tuple[str | None, str | None],
        each_chunk: bool,
        attributes: Attributes,
    ) -> None:
        self._receivers = receivers
        machine = reader.machine
        # A weak reference, so that a stream that nobody uses any more is dropped. A tap has no driver.
        self._driver = ref(reader) if isinstance(reader, Driver) else None
        self._clock = reader.clock
        self._url, self._model = url, model
        self._operation, self._provider = names
        self._attributes = attributes
        # The caller's format is used if the answer fails before its format is detected.
        self._format = machine.wanted if isinstance(machine.wanted, str) else None
        self._has_reported = False
        self._gaps = array("d")
        """The gaps between chunks with content, in seconds; empty unless each chunk is recorded."""
        self._meter = machine.meter
        if each_chunk:
            self._meter.on_gaps = self._gaps.extend

    def ended(self, machine: Machine) -> None:
        """Report the operation; the machine calls this once it is known how the answer ended.

        Args:
            machine: The machine with the answer.
        """
        if self._has_reported:
            return
        self._has_reported = True
        run_quietly(lambda: self._report_now(machine))
        # Operations of other streams, which were garbage-collected before their end.
        run_quietly(report_dropped)

    def around_tool(self, within: Around | None) -> Around:
        """Return a function that, for a tool call, returns a context manager in which a router runs it.

        The context manager reports the run of the tool to OpenTelemetry.

        Args:
            within: Returns, for a tool call, another context manager to enter inside this one; or None.
        """
        return around_tools(self._receivers, within)

    def _report_now(self, machine: Machine) -> None:
        """Report the operation to OpenTelemetry, unless the stream was never read and has sent no request."""
        # The meter passes on the last gaps.
        self._meter.pack()
        driver = None if self._driver is None else self._driver()
        error = machine.error or (None if driver is None else driver.error)
        report = self._build_report(machine, driver, error if isinstance(error, StreamError) else None)
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
        self, machine: Machine | None, driver: Driver | None, error: StreamError | None
    ) -> OperationReport | None:
        """Return the report of the operation; None if the stream was never read and has sent no request.

        Args:
            machine: The machine with the answer; None if the stream was dropped.
            driver: The stream's driver; None for a tap, or if the stream was dropped.
            error: The error of the answer, or None.
        """
        now, now_ns = self._clock(), time.time_ns()
        metrics = self._meter.read(now)
        head = None if machine is None else machine.head
        was_read = metrics.chunks > 0 or head is not None or error is not None
        # "wrapped": the source was passed to the stream, so that the stream itself has sent no request.
        if metrics.started == "wrapped" and not was_read:
            return None
        messages: list[Message] = [] if machine is None else machine.accumulator.messages
        answer = messages[0] if messages else None
        # If several servers were asked, this is the address of the one that answered.
        url = (None if head is None else head.url) or self._url
        format = (None if machine is None else machine.format) or self._format or format_at(url)
        seconds = metrics.duration or 0.0
        # The answer may have ended some time before this report.
        ended_ns = now_ns - round((now - self._meter.started_at - seconds) * _NS_PER_SECOND)
        started_ns = ended_ns - round(seconds * _NS_PER_SECOND)
        server_address = server_address_of(url)
        host = server_address.get("server.address")
        operation = self._operation or operation_of(format)
        shared_attributes: Attributes = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": self._provider
            or provider_of(None if host is None else str(host), format),
            **({} if self._model is None else {"gen_ai.request.model": self._model}),
            **({} if answer is None or not answer.model else {"gen_ai.response.model": answer.model}),
            **server_address,
        }
        # If a response of another client was passed to the stream, the time of the request is unknown.
        first_chunk_seconds = metrics.ttft if metrics.started == "request" else None
        tokens = _token_counts(None if answer is None else answer.usage, format)
        return OperationReport(
            name=operation if self._model is None else f"{operation} {self._model}",
            started_ns=started_ns,
            ended_ns=ended_ns,
            shared_attributes=shared_attributes,
            attributes={
                **self._attributes,
                **(
                    {}
                    if machine is not None and "not_streamed" in machine.departures
                    else _STREAMED_ATTRIBUTE
                ),
                **_first_chunk_attribute(first_chunk_seconds),
                **_answer_attributes(messages),
                **tokens,
                **_attempt_count(driver),
                # To drop a stream before its end is to stop it.
                "tokenstream.ending": "stopped" if machine is None else machine.accumulator.ending,
            },
            error_type=None if error is None else _error_type_of(error),
            error_name=None if error is None else type(error).__name__,
            attempts=_failed_attempts(driver, started_ns),
            seconds=seconds,
            first_chunk_seconds=first_chunk_seconds,
            gaps=self._gaps,
            tokens={
                kind: count
                for kind in ("input", "output")
                if isinstance(count := tokens.get(f"gen_ai.usage.{kind}_tokens"), int)
            },
        )


_STREAMED_ATTRIBUTE: Attributes = {"gen_ai.request.stream": True}


def _error_type_of(error: StreamError) -> str:
    """Return the value of `error.type` in OpenTelemetry: the HTTP status, or else the class of the error."""
    return str(error.status) if isinstance(error, StatusError) else type(error).__name__


def _first_chunk_attribute(seconds: float | None) -> Attributes:
    """Return the attribute with the time until the first chunk, if that time is known."""
    return {} if seconds is None else {"gen_ai.response.time_to_first_chunk": seconds}


def _answer_attributes(messages: Sequence[Message]) -> Attributes:
    """Return the attributes with the answer's id and with the finish reasons, as far as they are known.

    Args:
        messages: The messages of the answer; the id is taken from the first message.
    """
    answer_attributes: Attributes = {}
    if messages and messages[0].id:
        answer_attributes["gen_ai.response.id"] = messages[0].id
    reasons = [message.finish_reason for message in messages if message.finish_reason is not None]
    if reasons:
        answer_attributes["gen_ai.response.finish_reasons"] = reasons
    return answer_attributes


def _token_counts(usage: Usage | None, format: str | None) -> Attributes:
    """Return the attributes with reliable token counts: for a cut answer, only the counts of the request."""
    if usage is None:
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
    if usage.source == "reported":
        # The provider has counted the output to its end.
        counts["output_tokens"] = usage.output_tokens
        counts["reasoning.output_tokens"] = usage.reasoning_tokens
    return {f"gen_ai.usage.{name}": count for name, count in counts.items() if count is not None}


def _attempt_count(driver: Driver | None) -> Attributes:
    """Return the attribute with the number of attempts; no attributes for a stream without recovery."""
    recovery = None if driver is None else driver.recovery
    return {} if recovery is None else {"tokenstream.attempts": len(recovery.attempts)}


def _failed_attempts(driver: Driver | None, started_ns: int) -> list[tuple[int, Attributes]]:
    """Return the failed attempts of a stream with recovery; an empty list for any other stream.

    Args:
        driver: The stream's driver; None if there is none.
        started_ns: The time at which the operation started, in nanoseconds.

    Returns:
        For each failed attempt, the time at which it ended, in nanoseconds, and its attributes.
    """
    recovery = None if driver is None else driver.recovery
    if recovery is None:
        return []
    last_ended_ns = started_ns
    failed_attempts: list[tuple[int, Attributes]] = []
    for report in recovery.attempts:
        # A hedge runs beside the first attempt; each other attempt follows the one before, after a wait.
        wait_began_ns = started_ns if report.mode == "hedge" else last_ended_ns
        attempt_ended_ns = wait_began_ns + round((report.wait + (report.seconds or 0.0)) * _NS_PER_SECOND)
        last_ended_ns = max(last_ended_ns, attempt_ended_ns)
        if report.error is not None:
            attempt_attributes: Attributes = {"number": report.number, "mode": report.mode}
            attempt_attributes["error.type"] = _error_type_of(report.error)
            failed_attempts.append((attempt_ended_ns, attempt_attributes))
    return failed_attempts
