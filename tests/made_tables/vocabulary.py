"""The tables of words in docs/reports/vocabulary.md, from what formats do.

Each recording made for this project is read; where a value stands in the payload
that an event came from, there is the provider's word for what the event says.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from itertools import combinations, count
from typing import Any

from tests.made_tables.section import Section
from tests.project import ROOT
from tests.support import registry
from tests.support.error_frames import ERRORS, shapes_of
from tests.support.reading import read
from tests.support.recordings import frames_of, ours
from tokenstream.events import (
    CitationAdded,
    Event,
    MediaDelta,
    PartDelta,
    PartStart,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    UsageUpdate,
)
from tokenstream.formats import Frame
from tokenstream.framing import EventStreamMessage, ServerSentEvent
from tokenstream.limits import Limits
from tokenstream.message import Citation, MediaPart, ReasoningPart, ServerToolCall, ServerToolResult, Usage

_USAGE = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "reasoning_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "cost",
)
_CONCEPTS = (
    "text",
    "citation",
    "tool call: name",
    "tool call: id",
    "tool call: arguments",
    "reasoning",
    "refusal",
    "encrypted reasoning",
    "signature",
    "provider's tool call",
    "provider's tool: arguments",
    "its result",
    "media",
    "transcript",
)
"""The columns of the first table, in their order."""
_NAMES = ("type", "event_type", "object", "event", "kind")
"""Fields that tell what a payload or an item is."""


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Give every place in a payload and what stands there; items of lists share a place."""
    if path:
        yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, f"{path}[]")


def _decoded(value: object) -> bytes:
    if not isinstance(value, str):
        return b""
    try:
        return base64.b64decode(value.partition("base64,")[2] or value)
    except (binascii.Error, ValueError):
        return b""


def _same(wanted: object, value: object) -> bool:
    """Tell whether a value in a payload is what an event holds, as text, as JSON or as bytes."""
    if isinstance(wanted, bytes):
        return bool(wanted) and _decoded(value) == wanted
    if isinstance(value, dict | list):
        try:
            return isinstance(wanted, str) and bool(value) and json.loads(wanted) == value
        except ValueError:
            return False
    return isinstance(wanted, str) and bool(wanted) and value == wanted


def _place(raw: Any, wanted: object) -> str | None:
    """Return where in a payload something stands: the deepest place, with the payload's own type."""
    found = [path for path, value in _leaves(raw) if _same(wanted, value)]
    found = [path for path in found if path.rpartition(".")[2] not in _NAMES] or found
    if not found:
        return None
    kind = next((raw[name] for name in _NAMES if isinstance(raw.get(name), str)), None)
    shown = f"`{found[0]}`"
    return f"`{kind}` {shown}" if kind and not str(kind).startswith(("chat.", "text_c")) else shown


def _of_part(event: Event) -> tuple[str, object] | None:
    """Return what the start of a part says: encrypted reasoning, media, what the provider runs."""
    match event:
        case PartStart(content=ReasoningPart(redacted=str(redacted))):
            return "encrypted reasoning", redacted
        case PartStart(content=MediaPart(data=data, url=url)):
            return "media", data or url
        case PartStart(content=ServerToolCall(id=id)):
            return "provider's tool call", id
        case PartStart(content=ServerToolResult(content=content)):
            return "its result", json.dumps(content)
        case _:
            return None


def _of_event(event: Event) -> Iterator[tuple[str, object]]:
    match event:
        case ToolCallStart(id, name):
            yield "tool call: name", name
            yield "tool call: id", id
        case ToolCallDelta(_, fragment):
            yield "tool call: arguments", fragment
        case ToolCallDone(call):
            yield "tool call: arguments", call.arguments_text
        case _:
            yield from _of_content(event)


def _of_content(event: Event) -> Iterator[tuple[str, object]]:
    match event:
        case TextDelta(text):
            yield "text", text
        case ReasoningDelta(text, signature):
            yield "reasoning", text
            yield "signature", signature
        case RefusalDelta(text):
            yield "refusal", text
        case CitationAdded(Citation(url=url, title=title, text=text)):
            yield "citation", url or title or text
        case MediaDelta(data, transcript):
            yield "media", data
            yield "transcript", transcript
        case PartDelta(fragment):
            yield "provider's tool: arguments", fragment
        case _:
            said = _of_part(event)
            if said is not None:
                yield said


def _words() -> dict[str, dict[str, list[str]]]:
    """Return, by format and concept, where on the wire the concept stands."""
    words: dict[str, dict[str, list[str]]] = {}
    for recorded in ours():
        concepts = words.setdefault(recorded.format, {})
        for event in read([recorded.body], format=recorded.format).events:
            if not isinstance(event.raw, dict):
                continue
            for concept, wanted in _of_event(event):
                place = _place(event.raw, wanted)
                if place is not None and place not in concepts.setdefault(concept, []):
                    concepts[concept].append(place)
    return words


def _numbered(value: Any, numbers: Iterator[int], name: str = "") -> Any:
    """Return a report in which every count is another number."""
    if isinstance(value, dict):
        return {key: _numbered(inner, numbers, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_numbered(inner, numbers, name) for inner in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        # A zero under any other name may be an index.
        return next(numbers) if value or "token" in name.lower() else value
    return value


def _usage_fields() -> dict[str, dict[str, list[str]]]:
    """Return, by format and count, where on the wire it stands: each report is read with new numbers."""
    fields: dict[str, dict[str, list[str]]] = {}
    for recorded in ours():
        counts = fields.setdefault(recorded.format, {})
        frames = frames_of(recorded.body)
        for at, frame in enumerate(frames):
            payload, numbered = _numbered_frame(frame)
            places = _sums(payload)
            for name, value in _usage_of(recorded.format, frames[:at], numbered).items():
                place = places.get(int(value))
                if place is not None and place not in counts.setdefault(name, []):
                    counts[name].append(place)
    return fields


def _numbered_frame(frame: Frame) -> tuple[Any, Frame]:
    """Return a frame in which every count is another number, and its payload."""
    data = frame if isinstance(frame, bytes | dict) else frame.payload
    try:
        payload: Any = json.loads(data) if isinstance(data, bytes) else data
    except ValueError:
        return None, frame
    # Powers of two, so that a sum tells what was added.
    numbers = (2**power for power in count(20))
    inner = _decoded(payload.get("bytes")) if isinstance(payload, dict) else b""
    if inner:
        # Bedrock hands on what a model's own API says, in base64.
        payload = _numbered(json.loads(inner), numbers)
        changed = json.dumps({"bytes": base64.b64encode(json.dumps(payload).encode()).decode()}).encode()
    else:
        payload = _numbered(payload, numbers)
        changed = json.dumps(payload).encode()
    if isinstance(frame, ServerSentEvent):
        return payload, ServerSentEvent(changed, frame.event)
    if isinstance(frame, EventStreamMessage):
        return payload, EventStreamMessage(changed, frame.event)
    return payload, changed


def _sums(payload: Any) -> dict[int, str]:
    """Return the place of every count in a payload, and of every two of them added up."""
    places = {value: f"`{path}`" for path, value in _leaves(payload) if isinstance(value, int) and value > 1}
    pairs = list(combinations(places.items(), 2)) if len(places) < 40 else []
    return {one + other: f"{place} + {more}" for (one, place), (other, more) in pairs} | places


def _usage_of(name: str, before: list[Frame], frame: Frame) -> dict[str, float]:
    format = registry.create(name, limits=Limits())
    for each in before:
        format.feed(each)
    found: dict[str, float] = {}
    for event in format.feed(frame):
        if isinstance(event, UsageUpdate):
            usage: Usage = event.usage
            found |= {field: value for field in _USAGE if (value := getattr(usage, field)) is not None}
    return found


def _finish_reasons() -> dict[str, dict[str, list[str]]]:
    """Return, by format and finish reason, the provider's words for it."""
    reasons: dict[str, dict[str, list[str]]] = {}
    for name in registry.names():
        for word, reason in registry.load(name).finish_reasons.items():
            reasons.setdefault(name, {}).setdefault(reason, []).append(f"`{word}`")
    return reasons


def _shown(frame: Frame) -> str:
    if isinstance(frame, ServerSentEvent | EventStreamMessage):
        return f"{frame.event} {frame.payload.decode()}"
    return json.dumps(frame)


def _errors() -> str:
    """Return the table of errors: what each is taken for, and whether asking again may help."""
    lines = ["| format | an error on the wire | `.code` | `.kind` | `.retryable` |", "| --- " * 5 + "|"]
    for name in ERRORS:
        for frame in shapes_of(name):
            format = registry.create(name, limits=Limits())
            format.feed(frame)
            error = format.error or format.withheld
            if error is None:
                raise AssertionError(f"{name}: {_shown(frame)} is read as no error")
            code = getattr(error, "code", None) or "–"
            again = "yes" if error.retryable else "no"
            lines.append(f"| `{name}` | `{_shown(frame)}` | {code} | {error.kind} | {again} |")
    return "\n".join(lines)


def _table(head: str, rows: list[str], cells: Callable[[str, str], list[str]], columns: list[str]) -> str:
    """Return a Markdown table; a column that says nothing in any row is left out."""
    columns = [column for column in columns if any(cells(row, column) for row in rows)]
    lines = [f"| {head} | {' | '.join(columns)} |", "|" + " --- |" * (len(columns) + 1)]
    lines += [
        f"| `{row}` | {' | '.join(', '.join(cells(row, column)) or '–' for column in columns)} |"
        for row in rows
    ]
    return "\n".join(lines)


def _made() -> list[str]:
    words, usage, finish = _words(), _usage_fields(), _finish_reasons()
    names = [name for name in registry.names() if name in words]
    concepts = sorted({concept for name in names for concept in words[name]}, key=_CONCEPTS.index)
    counts = [field for field in _USAGE if any(field in usage[name] for name in names)]
    reasons = sorted({reason for found in finish.values() for reason in found})
    return [
        (
            "This table shows where each format puts its content. "
            "If a payload has a type, the type comes before the field."
        ),
        _table("format", names, lambda name, concept: words[name].get(concept, []), concepts),
        "This table shows where the counts in `message.usage` come from.",
        _table("format", names, lambda name, field: usage[name].get(field, []), counts),
        (
            "This table shows how each format's finish reasons are normalised. "
            "Any other word becomes `unknown`; `raw_finish_reason` has the word itself."
        ),
        _table("format", list(finish), lambda name, reason: finish[name].get(reason, []), reasons),
        "This table shows how an error inside a stream is classified, and whether a retry may help.",
        _errors(),
    ]


SECTION = Section(ROOT / "docs" / "reports" / "vocabulary.md", "tests.made_tables.vocabulary", _made)

if __name__ == "__main__":
    SECTION.write()
