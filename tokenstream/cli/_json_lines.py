"""The output of `inspect` for programs, with one JSON object per line."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from tokenstream.cli._report import attributes_of, metrics_of
from tokenstream.cli._visible import to_compact_json

if TYPE_CHECKING:
    from tokenstream._connection.head import ResponseHead
    from tokenstream.cli._report import StreamReport
    from tokenstream.errors import StreamError
    from tokenstream.events import Event


class JSONLines:
    """Prints each event as an object, and the result as the last object.

    Args:
        raw: True to include the payload in an event's object.
    """

    def __init__(self, *, raw: bool) -> None:
        self._raw = raw

    def print_event(self, seconds: float, event: Event) -> None:
        """Print an event as a JSON object.

        Args:
            seconds: Seconds from the start to the event.
        """
        line: dict[str, Any] = {
            "t": round(seconds, 6),
            "event": type(event).__name__,
            "choice": event.choice,
            "part": event.part,
        }
        # The payload can be long, and is printed only with --raw.
        if event.step is not None:
            line["step"] = event.step
        names = [field.name for field in fields(event) if field.name not in {*line, "raw"}]
        line |= {name: getattr(event, name) for name in names}
        if self._raw:
            line["raw"] = event.raw
        print_object(line)

    def print_error(self, seconds: float, error: StreamError) -> None:
        """Print nothing, because `print_summary` includes the error in the last line."""

    def print_summary(self, seconds: float, report: StreamReport) -> None:
        """Print the last line: the messages, the error, the metrics and the head of the response."""
        stream, error = report.stream, report.error
        first, *others = report.messages
        head = stream.response
        print_object(
            {
                "t": round(seconds, 6),
                "format": stream.format,
                "ending": report.ending,
                "message": first,
                "other_choices": others,
                "error": None if error is None else write_error(error),
                "metrics": metrics_of(report),
                "departures": {name: asdict(noted) for name, noted in stream.departures.items()},
                "response": None if head is None else _write_head(head),
            }
        )


def write_error(error: StreamError) -> dict[str, Any]:
    return {"class": type(error).__name__, "message": error.message, **attributes_of(error)}


def _write_head(head: ResponseHead) -> dict[str, Any]:
    return {"status": head.status, "content_type": head.content_type, "request_id": head.request_id}


def print_object(line: dict[str, Any]) -> None:
    print(to_compact_json(line, ascii_only=True), flush=True)
