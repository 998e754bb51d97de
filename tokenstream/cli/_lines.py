"""Print a stream for people: one event per line, then a summary."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from tokenstream._basics.visible import one_line, several_lines
from tokenstream.cli._advice import ASK_FOR_A_STREAM, advice, told
from tokenstream.cli._report import facts_of, figures_of
from tokenstream.cli._visible import compact, quoted
from tokenstream.events import Unknown, UsageUpdate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.cli._advice import Origin
    from tokenstream.cli._report import Report
    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.message import Message, Part, Usage

_MOST = 100
"""Length up to which an event's line shows a piece, in characters; the message shows all of it."""
_MOST_PART = 300
"""Length up to which an event's line shows a part or a tool call, in characters."""
_BODIES = ("text", "arguments_text", "transcript")
"""Fields of parts that are shown as a text below the part's line."""
_INDENT = " " * 4
_LABEL = 15


class Lines:
    """Prints each event as a line, and a summary at the end.

    Args:
        raw: True to print an event's payload in a line below it.
    """

    def __init__(self, *, raw: bool) -> None:
        self._raw = raw

    def event(self, seconds: float, event: Event) -> None:
        """Print an event."""
        # An unknown event may be missing from the message, so its line shows all of it.
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
                shown |= _counts(event.usage)
            else:
                shown[field.name] = compact(value) if whole else _short(value)
        print(f"{seconds:9.3f}  {type(event).__name__:<15}{_pairs(shown)}", flush=True)
        if self._raw and event.raw is not None:
            print(f"{'':9}  {'raw':<15} {compact(event.raw)}", flush=True)

    def failed(self, seconds: float, error: StreamError) -> None:
        """Print an error in its place among the events."""
        print(f"{seconds:9.3f}  {type(error).__name__:<15} {one_line(told(error))}", flush=True)

    def end(self, seconds: float, report: Report) -> None:
        """Print the messages and the facts known about them."""
        for message in report.messages:
            self._message(message, report)
        stream = report.stream
        _row("metrics", _pairs({name: _figure(value) for name, value in figures_of(report).items()}))
        head = stream.response
        if head is not None:
            facts = {"status": str(head.status)}
            if head.request_id:
                facts["request_id"] = _short(head.request_id)
            _row("response", _pairs(facts))
        for name, noted in stream.departures.items():
            _row("departure", f"{name} ×{noted.count}, first in event {noted.first_event}: {noted.rule}")
        if not stream.departures:
            _row("departures", "none")
        if "not_streamed" in stream.departures:
            _row("what to do", ASK_FOR_A_STREAM)
        if report.error is not None:
            _error(report.error, report.origin)

    def _message(self, message: Message, report: Report) -> None:
        which = f" of choice {message.choice}" if len(report.messages) > 1 else ""
        print(f"\nmessage{which}")
        for index, part in enumerate(message.parts):
            _part(index, part)
        if not message.parts:
            print("  nothing came")
        print()
        known = {
            "id": message.id,
            "model": message.model,
            "role": message.role,
            "format": report.stream.format,
        }
        _row("message", _pairs({name: quoted(value) for name, value in known.items() if value is not None}))
        if message.provider_data:
            _row("provider data", compact(message.provider_data))
        if message.finish_reason is None:
            _row("finish reason", "none was sent")
        else:
            raw = message.raw_finish_reason
            _row(
                "finish reason", message.finish_reason + ("" if raw is None else f" (sent as {quoted(raw)})")
            )
        if message.usage is None:
            _row("usage", "none was sent")
        else:
            _row("usage", _pairs(_counts(message.usage)))
            if message.usage.provider_data:
                _row("usage as sent", compact(message.usage.provider_data))
        _row("ending", message.ending)


def _part(index: int, part: Part) -> None:
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
    print(f"  {index} {part.kind.replace('_', ' ')}{state}{_pairs(shown)}")
    text = getattr(part, body) if body is not None else ""
    if text:
        print(_INDENT + several_lines(text).replace("\n", f"\n{_INDENT}"))


def _error(error: StreamError, origin: Origin) -> None:
    _row("error", f"{type(error).__name__}: {one_line(told(error))}")
    carried = {name: value for name, value in facts_of(error).items() if value not in (None, (), b"", "")}
    for name in ("tail", "body"):
        value = carried.pop(name, b"")
        text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
        if text:
            _row(f"its {name}", quoted(text))
    _row("", _pairs({name: compact(value) for name, value in carried.items()}))
    _row("what to do", one_line(advice(error, origin)))


def _short(value: Any) -> str:  # noqa: ANN401 - any field of an event
    """Return a field's value, cut short if it is long."""
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, str):
        return (
            quoted(value)
            if len(value) <= _MOST
            else f"{quoted(value[:_MOST])} and {len(value) - _MOST:,} more"
        )
    if isinstance(value, BaseModel):
        value = {name: _begun(field) for name, field in value if field not in (None, "", b"", {})}
    text = compact(value)
    return text if len(text) <= _MOST_PART else f"{text[:_MOST_PART]} and {len(text) - _MOST_PART:,} more"


def _begun(value: Any) -> Any:  # noqa: ANN401 - any field of a part
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    return f"{value[:_MOST]}…" if isinstance(value, str) and len(value) > _MOST else value


def _counts(usage: Usage) -> dict[str, str]:
    counts = usage.model_dump(exclude_none=True, exclude={"provider_data"})
    return {name: str(value) for name, value in counts.items()}


def _figure(value: float | str | None) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "-" if value is None else str(value)


def _pairs(shown: Mapping[str, str]) -> str:
    return "".join([f" {name}={value}" for name, value in shown.items()])


def _row(label: str, text: str) -> None:
    print(f"{label:<{_LABEL}}{text.lstrip()}")
