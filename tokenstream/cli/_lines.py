"""The result of reading a stream to its end, and the output of `inspect` for people, one event per line."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from dataclasses import fields
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel

from tokenstream._basics.visible import one_line, several_lines
from tokenstream.cli._advice import ASK_FOR_A_STREAM, InputOrigin, advise_on_error, describe_error
from tokenstream.events import Event, ProviderData, Unknown, UsageUpdate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.errors import StreamError
    from tokenstream.message import Ending, Message, Part, Usage
    from tokenstream.stream import Stream

STATUS_OF: dict[Ending, int] = {"complete": 0, "truncated": 3, "stopped": 4, "streaming": 4, "failed": 5}
"""Maps each ending to the exit status."""
_WORST_FIRST: tuple[Ending, ...] = ("failed", "truncated", "stopped", "streaming", "complete")
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

_MAX_TEXT = 100
"""Length up to which the line of an event prints a text whole, in characters; the message always does."""
_MAX_PART = 300
"""Length up to which the line of an event prints a part or a tool call whole, in characters."""
_TEXT_FIELDS = ("text", "arguments_text", "transcript")
"""Fields of parts that are printed as a text below the line of the part."""
_INDENT = " " * 4
_LABEL = 15


class StreamReport(NamedTuple):
    """The result of reading a stream to its end."""

    stream: Stream
    error: StreamError | None
    origin: InputOrigin

    @property
    def messages(self) -> list[Message]:
        """The messages of all choices; one empty message if there are no choices."""
        return self.stream.messages or [self.stream.message]

    @property
    def ending(self) -> Ending:
        """The ending of the answer; of several choices with different endings, the worst ending."""
        endings = {message.ending for message in self.messages}
        return next(ending for ending in _WORST_FIRST if ending in endings)


def attributes_of(error: StreamError) -> JsonObject:
    """Return those attributes of an error that the command prints, by name: those in `_ERROR_ATTRIBUTES`."""
    return {name: getattr(error, name) for name in _ERROR_ATTRIBUTES if hasattr(error, name)}


def metrics_of(report: StreamReport) -> JsonObject:
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


def quote_text(text: str) -> str:
    r"""Return `text` as a JSON string that is safe to print on a terminal."""
    return one_line(json.dumps(text, ensure_ascii=False))


def _replace_unknown(value: object) -> object:
    """Return a value that JSON lacks as another: a dict for a model, base64 for bytes, else its `str`."""
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, bytes):
        return urlsafe_b64encode(value).decode("ascii")
    return str(value)


def to_compact_json(value: object, *, ascii_only: bool = False) -> str:
    r"""Return `value` as JSON on one line, in which at least what is unsafe on a terminal is escaped."""
    text = json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"), default=_replace_unknown)
    return text if ascii_only else one_line(text)


class TextLines:
    """Prints each event as a line, and a summary at the end.

    Args:
        raw: True to print the payload of each event on a line below the event.
    """

    def __init__(self, *, raw: bool) -> None:
        self._raw = raw

    def print_event(self, seconds: float, event: Event) -> None:
        """Print an event on one line, and its payload on the next if `raw` is True."""
        pairs: dict[str, str] = {}
        if event.step is not None:
            pairs["step"] = quote_text(event.step)
        if event.choice:
            pairs["choice"] = str(event.choice)
        if event.part is not None:
            pairs["part"] = str(event.part)
        pairs |= describe_fields(event)
        print(f"{seconds:9.3f}  {type(event).__name__:<15}{write_pairs(pairs)}", flush=True)
        if self._raw and event.raw is not None:
            print(f"{'':9}  {'raw':<15} {to_compact_json(event.raw)}", flush=True)

    def print_error(self, seconds: float, error: StreamError) -> None:
        print(f"{seconds:9.3f}  {type(error).__name__:<15} {one_line(describe_error(error))}", flush=True)

    def print_summary(self, seconds: float, report: StreamReport) -> None:
        """Print the message of each choice, then what is known about the stream."""
        for message in report.messages:
            self._print_message(message, report)
        stream = report.stream
        print_row(
            "metrics", write_pairs({name: _write_figure(value) for name, value in metrics_of(report).items()})
        )
        head = stream.response
        if head is not None:
            facts = {"status": str(head.status)}
            if head.request_id:
                facts["request_id"] = _write_short(head.request_id)
            print_row("response", write_pairs(facts))
        for name, noted in stream.departures.items():
            seen = f"{noted.affects},{write_pairs(noted.details)}, first in frame {noted.first_event}"
            print_row("departure", f"{name} ({seen}): {noted.rule}")
        if not stream.departures:
            print_row("departures", "none")
        if "not_streamed" in stream.departures:
            print_row("what to do", ASK_FOR_A_STREAM)
        if report.error is not None:
            print_rows(list_error_rows(report.error, report.origin))

    def _print_message(self, message: Message, report: StreamReport) -> None:
        """Print the parts of a message, then a row for each of its other fields."""
        of_choice = f" of choice {message.choice}" if len(report.messages) > 1 else ""
        print(f"\nmessage{of_choice}")
        for index, part in enumerate(message.parts):
            pairs, text = split_part(part)
            state = "" if part.complete else " (not complete)"
            print(f"  {index} {part.kind.replace('_', ' ')}{state}{write_pairs(pairs)}")
            if text:
                print(_INDENT + several_lines(text).replace("\n", f"\n{_INDENT}"))
        if not message.parts:
            print("  nothing came")
        print()
        print_rows(list_message_rows(message, report.stream.format))


def describe_fields(event: Event) -> dict[str, str]:
    """Return the fields that an event has besides choice, part and raw, by name, each as a short text."""
    if isinstance(event, ProviderData):
        # Fields of the answer for which a message has none, such as OpenAI's `created`.
        named = (event.data | event.lists).items()
        return {n if n.isidentifier() else to_compact_json(n): to_compact_json(each) for n, each in named}
    # The content of an unknown event may be missing from the message, so all of it is returned.
    write = to_compact_json if isinstance(event, Unknown) else _write_short
    pairs: dict[str, str] = {}
    for field in fields(event):
        value = getattr(event, field.name)
        if field.name in {"choice", "part", "raw"} or value is None:
            continue
        if isinstance(event, UsageUpdate):
            pairs |= list_counts(event.usage)
        else:
            pairs[field.name] = write(value)
    return pairs


def list_message_rows(message: Message, format: str | None) -> list[tuple[str, str]]:
    """Return the fields of a message besides its parts, as pairs of a label and a text.

    The texts are safe to print on a terminal.
    """
    identity = {"id": message.id, "model": message.model, "role": message.role, "format": format}
    named = {name: quote_text(value) for name, value in identity.items() if value is not None}
    rows = [("message", write_pairs(named))]
    if message.provider_data:
        rows.append(("provider data", to_compact_json(message.provider_data)))
    rows.append(("finish reason", describe_finish(message)))
    if not message.usage:
        rows.append(("usage", "none was sent"))
    else:
        rows.append(("usage", write_pairs(list_counts(message.usage))))
        if message.usage.provider_data:
            rows.append(("usage as sent", to_compact_json(message.usage.provider_data)))
    rows.append(("ending", message.ending))
    # `write_pairs` begins with spaces.
    return [(label, text.lstrip()) for label, text in rows]


def describe_finish(message: Message) -> str:
    """Return the finish reason of a message, with the server's own word."""
    if message.finish_reason is None:
        return "none was sent"
    if message.raw_finish_reason is None:
        return message.finish_reason
    return f"{message.finish_reason} (sent as {quote_text(message.raw_finish_reason)})"


def split_part(part: Part) -> tuple[dict[str, str], str]:
    """Return the fields of a part, as text by name, and its text, which is not escaped."""
    text_field = next((name for name in _TEXT_FIELDS if name in type(part).model_fields), None)
    pairs: dict[str, str] = {}
    for name in type(part).model_fields:
        value = getattr(part, name)
        if name in {"kind", "complete", text_field} or value in (None, "", b"", {}):
            continue
        pairs[name] = (
            f"{len(value):,} bytes (--json has them)" if isinstance(value, bytes) else to_compact_json(value)
        )
    text = None if text_field is None else getattr(part, text_field)
    # The text of a citation may be None.
    return pairs, text or ""


def list_error_rows(error: StreamError, origin: InputOrigin) -> list[tuple[str, str]]:
    """Return an error as labels and texts: its message, its attributes, and advice."""
    rows = [("error", f"{type(error).__name__}: {one_line(describe_error(error))}")]
    attributes = {
        name: value for name, value in attributes_of(error).items() if value not in (None, (), b"", "")
    }
    # Excerpts of the answer, which are long, get rows of their own.
    for name in ("tail", "body"):
        value = attributes.pop(name, b"")
        text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
        if text:
            rows.append((f"its {name}", quote_text(text)))
    # The other attributes share a row without a label.
    rows.append(
        ("", write_pairs({name: to_compact_json(value) for name, value in attributes.items()}).lstrip())
    )
    rows.append(("what to do", one_line(advise_on_error(error, origin))))
    return rows


def _write_short(value: object) -> str:
    """Return the value of a field as text, cut short if it is long."""
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, str):
        more = f" and {len(value) - _MAX_TEXT:,} more" if len(value) > _MAX_TEXT else ""
        return quote_text(value[:_MAX_TEXT]) + more
    if isinstance(value, BaseModel):
        value = {name: _shorten_field(field) for name, field in value if field not in (None, "", b"", {})}
    text = to_compact_json(value)
    return text if len(text) <= _MAX_PART else f"{text[:_MAX_PART]} and {len(text) - _MAX_PART:,} more"


def _shorten_field(value: object) -> Json:
    """Return a field of a part for a line: the size instead of bytes, and the start of a long text."""
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    return f"{value[:_MAX_TEXT]}…" if isinstance(value, str) and len(value) > _MAX_TEXT else value


def list_counts(usage: Usage) -> dict[str, str]:
    counts = usage.model_dump(exclude_none=True, exclude={"provider_data"})
    return {name: str(value) for name, value in counts.items()}


def _write_figure(value: float | str | None) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "-" if value is None else str(value)


def write_pairs(pairs: Mapping[str, object]) -> str:
    return "".join([f" {name}={value}" for name, value in pairs.items()])


def print_row(label: str, text: str) -> None:
    print(f"{label:<{_LABEL}}{text.lstrip()}")


def print_rows(rows: Iterable[tuple[str, str]]) -> None:
    for label, text in rows:
        print_row(label, text)
