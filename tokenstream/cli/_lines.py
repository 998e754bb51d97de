"""The output of `inspect` for people, with one event per line, then a summary."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from tokenstream._basics.visible import one_line, several_lines
from tokenstream.cli._advice import ASK_FOR_A_STREAM, advise_on_error, describe_error
from tokenstream.cli._report import facts_of, figures_of
from tokenstream.cli._visible import compact, quoted
from tokenstream.events import Unknown, UsageUpdate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.cli._advice import Origin
    from tokenstream.cli._report import StreamReport
    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.message import Message, Part, Usage

_MOST = 100
"""Length up to which the line of an event prints a text whole, in characters; the message always does."""
_MOST_PART = 300
"""Length up to which the line of an event prints a part or a tool call whole, in characters."""
_BODIES = ("text", "arguments_text", "transcript")
"""Fields of parts that are printed as a text below the line of the part."""
_INDENT = " " * 4
_LABEL = 15


class TextLines:
    """Prints each event as a line, and a summary at the end.

    Args:
        raw: True to print the payload of each event on a line below the event.
    """

    def __init__(self, *, raw: bool) -> None:
        self._raw = raw

    def event(self, seconds: float, event: Event) -> None:
        """Print an event."""
        # The content of an unknown event may be missing from the message, so the line prints all of it.
        whole = isinstance(event, Unknown)
        shown: dict[str, str] = {}
        if event.choice:
            shown["choice"] = str(event.choice)
        if event.part is not None:
            shown["part"] = str(event.part)
        for field in fields(event):
            value = getattr(event, field.name)
            if field.name in {"choice", "part", "raw"} or value is None:
                continue
            if isinstance(event, UsageUpdate):
                shown |= _list_counts(event.usage)
            else:
                shown[field.name] = compact(value) if whole else _shorten(value)
        print(f"{seconds:9.3f}  {type(event).__name__:<15}{_write_pairs(shown)}", flush=True)
        if self._raw and event.raw is not None:
            print(f"{'':9}  {'raw':<15} {compact(event.raw)}", flush=True)

    def failed(self, seconds: float, error: StreamError) -> None:
        """Print an error in a line like that of an event."""
        print(f"{seconds:9.3f}  {type(error).__name__:<15} {one_line(describe_error(error))}", flush=True)

    def end(self, seconds: float, report: StreamReport) -> None:
        """Print the messages, then what is known about the stream."""
        for message in report.messages:
            self._print_message(message, report)
        stream = report.stream
        _print_row(
            "metrics",
            _write_pairs({name: _write_figure(value) for name, value in figures_of(report).items()}),
        )
        head = stream.response
        if head is not None:
            facts = {"status": str(head.status)}
            if head.request_id:
                facts["request_id"] = _shorten(head.request_id)
            _print_row("response", _write_pairs(facts))
        for name, noted in stream.departures.items():
            _print_row(
                "departure", f"{name} ×{noted.count}, first in event {noted.first_event}: {noted.rule}"
            )
        if not stream.departures:
            _print_row("departures", "none")
        if "not_streamed" in stream.departures:
            _print_row("what to do", ASK_FOR_A_STREAM)
        if report.error is not None:
            _print_error(report.error, report.origin)

    def _print_message(self, message: Message, report: StreamReport) -> None:
        """Print the parts of a message, then a row for each of its other fields."""
        which = f" of choice {message.choice}" if len(report.messages) > 1 else ""
        print(f"\nmessage{which}")
        for index, part in enumerate(message.parts):
            _print_part(index, part)
        if not message.parts:
            print("  nothing came")
        print()
        known = {
            "id": message.id,
            "model": message.model,
            "role": message.role,
            "format": report.stream.format,
        }
        _print_row(
            "message",
            _write_pairs({name: quoted(value) for name, value in known.items() if value is not None}),
        )
        if message.provider_data:
            _print_row("provider data", compact(message.provider_data))
        if message.finish_reason is None:
            _print_row("finish reason", "none was sent")
        else:
            raw = message.raw_finish_reason
            _print_row(
                "finish reason", message.finish_reason + ("" if raw is None else f" (sent as {quoted(raw)})")
            )
        if message.usage is None:
            _print_row("usage", "none was sent")
        else:
            _print_row("usage", _write_pairs(_list_counts(message.usage)))
            if message.usage.provider_data:
                _print_row("usage as sent", compact(message.usage.provider_data))
        _print_row("ending", message.ending)


def _print_part(index: int, part: Part) -> None:
    """Print a part: one line with its fields, then its text, if there is any."""
    body = next((name for name in _BODIES if name in type(part).model_fields), None)
    shown: dict[str, str] = {}
    for name in type(part).model_fields:
        value = getattr(part, name)
        if name in {"kind", "complete", body} or value in (None, "", b"", {}):
            continue
        shown[name] = (
            f"{len(value):,} bytes (--json has them)" if isinstance(value, bytes) else compact(value)
        )
    state = "" if part.complete else " (not complete)"
    print(f"  {index} {part.kind.replace('_', ' ')}{state}{_write_pairs(shown)}")
    text = getattr(part, body) if body is not None else ""
    if text:
        print(_INDENT + several_lines(text).replace("\n", f"\n{_INDENT}"))


def _print_error(error: StreamError, origin: Origin) -> None:
    """Print an error: its message, its attributes, and advise_on_error."""
    _print_row("error", f"{type(error).__name__}: {one_line(describe_error(error))}")
    carried = {name: value for name, value in facts_of(error).items() if value not in (None, (), b"", "")}
    for name in ("tail", "body"):
        value = carried.pop(name, b"")
        text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
        if text:
            _print_row(f"its {name}", quoted(text))
    _print_row("", _write_pairs({name: compact(value) for name, value in carried.items()}))
    _print_row("what to do", one_line(advise_on_error(error, origin)))


def _shorten(value: Any) -> str:  # noqa: ANN401 - any field of an event
    """Return the value of a field as text, cut short if it is long."""
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, str):
        return (
            quoted(value)
            if len(value) <= _MOST
            else f"{quoted(value[:_MOST])} and {len(value) - _MOST:,} more"
        )
    if isinstance(value, BaseModel):
        value = {name: _shorten_field(field) for name, field in value if field not in (None, "", b"", {})}
    text = compact(value)
    return text if len(text) <= _MOST_PART else f"{text[:_MOST_PART]} and {len(text) - _MOST_PART:,} more"


def _shorten_field(value: Any) -> Any:  # noqa: ANN401 - any field of a part
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    return f"{value[:_MOST]}…" if isinstance(value, str) and len(value) > _MOST else value


def _list_counts(usage: Usage) -> dict[str, str]:
    counts = usage.model_dump(exclude_none=True, exclude={"provider_data"})
    return {name: str(value) for name, value in counts.items()}


def _write_figure(value: float | str | None) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "-" if value is None else str(value)


def _write_pairs(shown: Mapping[str, str]) -> str:
    return "".join([f" {name}={value}" for name, value in shown.items()])


def _print_row(label: str, text: str) -> None:
    print(f"{label:<{_LABEL}}{text.lstrip()}")
