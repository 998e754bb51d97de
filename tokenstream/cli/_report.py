"""The result of reading a stream to its end, which the command `inspect` prints as text or as JSON."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenstream.cli._advice import Origin
    from tokenstream.errors import StreamError
    from tokenstream.message import Ending, Message
    from tokenstream.stream import Stream

STATUS_OF: dict[Ending, int] = {"complete": 0, "truncated": 3, "stopped": 4, "streaming": 4, "failed": 5}
"""Maps each ending to the exit status."""
_WORST_FIRST: tuple[Ending, ...] = ("failed", "truncated", "stopped", "streaming")
_ERROR_ATTRIBUTES = (
    "kind",
    "retryable",
    "retry_after",
    "status",
    "code",
    "type",
    "stage",
    "limit",
    "value",
    "event",
    "offset",
    "request_id",
    "events_seen",
    "bytes_seen",
    "tool_calls_delivered",
    "tail",
    "body",
)
"""Names of the attributes that are reported; each class of errors has some of them."""


@dataclass(frozen=True, slots=True)
class StreamReport:
    """The result of reading a stream to its end."""

    stream: Stream
    error: StreamError | None
    origin: Origin
    """The kind of source that was read."""

    @property
    def messages(self) -> list[Message]:
        """The messages of all choices; one empty message if there are no choices."""
        return self.stream.messages or [self.stream.message]

    @property
    def ending(self) -> Ending:
        """The ending of the answer; of several choices with different endings, the worst ending."""
        endings = {message.ending for message in self.messages}
        for ending in _WORST_FIRST:
            if ending in endings:
                return ending
        return "complete"


def attributes_of(error: StreamError) -> dict[str, Any]:
    """Return those attributes of an error that the command prints, by name: those in `_ERROR_ATTRIBUTES`."""
    return {name: getattr(error, name) for name in _ERROR_ATTRIBUTES if hasattr(error, name)}


def metrics_of(report: StreamReport) -> dict[str, Any]:
    """Return the metrics of the stream by name, in the order in which they are printed."""
    metrics = report.stream.metrics
    numbers = {field.name: getattr(metrics, field.name) for field in fields(metrics) if field.name != "gaps"}
    gaps = {f"gap_{name}": getattr(metrics.gaps, name) for name in ("p50", "p95", "p99", "max", "mean")}
    return {
        **numbers,
        **gaps,
        "buffered": metrics.buffered,
        "tpot": metrics.tpot,
        "tokens_per_second": metrics.tokens_per_second,
    }
