"""Payloads of Bedrock, and a reading of them that tells all that a user can see."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tokenstream.accumulator import Accumulator
from tokenstream.errors import StreamError
from tokenstream.events import Event, PartDone, ToolCallDone
from tokenstream.formats.base import Format
from tokenstream.framing import EventStreamMessage
from tokenstream.message import Message, ToolCall

Told: TypeAlias = tuple[str, Mapping[str, Any]]
"""An event's name, and its payload."""


@dataclass
class Read:
    """What came of payloads."""

    format: Format
    accumulator: Accumulator
    events: list[Event] = field(default_factory=list)

    @property
    def message(self) -> Message:
        return self.accumulator.message

    @property
    def error(self) -> StreamError | None:
        return self.format.error

    @property
    def departures(self) -> dict[str, int]:
        return {name: departure.count for name, departure in self.format.departures.items()}

    @property
    def calls(self) -> list[ToolCall]:
        """The calls that were handed out."""
        return [event.call for event in self.events if isinstance(event, ToolCallDone)]


def frame(name: str, payload: Mapping[str, Any]) -> EventStreamMessage:
    """Return an event as its framing gives it."""
    written = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return EventStreamMessage(written.encode("utf-8", "surrogatepass"), name)


def read(format: Format, frames: Iterable[Any], *, end: bool = True) -> Read:
    """Feed frames to a format, and its events to a message."""
    came = Read(format, Accumulator())
    for each in frames:
        take(came, format.feed(each))
    if end:
        take(came, format.end())
        came.accumulator.conclude("complete" if format.error is None else "failed")
    return came


def take(came: Read, events: Iterable[Event]) -> None:
    for event in events:
        came.events.append(event)
        came.accumulator.take(event)


def told(came: Read) -> tuple[Any, ...]:
    """Return all that a user can see."""
    for event in came.events:
        if isinstance(event, PartDone):
            assert event.content is not None
    return (
        came.events,
        [event.raw for event in came.events],
        came.accumulator.messages,
        came.departures,
        repr(came.error),
        came.format.frames,
    )


# -- events of Converse ------------------------------------------------------

START: Told = ("messageStart", {"role": "assistant"})
USAGE: Told = (
    "metadata",
    {"usage": {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13}, "metrics": {"latencyMs": 100}},
)


def delta(index: Any, **fields: Any) -> Told:
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": fields}


def text(index: Any, piece: Any) -> Told:
    return delta(index, text=piece)


def reasoning(index: Any, **fields: Any) -> Told:
    return delta(index, reasoningContent=fields)


def arguments(index: Any, fragment: Any) -> Told:
    return delta(index, toolUse={"input": fragment})


def block(index: Any, **start: Any) -> Told:
    return "contentBlockStart", {"contentBlockIndex": index, "start": start}


def tool(index: Any, id: str = "t1", name: str = "now", **fields: Any) -> Told:
    return block(index, toolUse={"toolUseId": id, "name": name, **fields})


def stop(index: Any) -> Told:
    return "contentBlockStop", {"contentBlockIndex": index}


def finish(reason: Any = "end_turn", **fields: Any) -> Told:
    return "messageStop", {"stopReason": reason, **fields}
