"""Payloads as Cohere sends them, and what reading payloads of any format gives."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from tests.formats.told import Told
from tokenstream.formats import Format, Frame
from tokenstream.framing import ServerSentEvent

Payload: TypeAlias = dict[str, Any]

USAGE: Payload = {
    "billed_units": {"input_tokens": 8.0, "output_tokens": 5.0},
    "tokens": {"input_tokens": 60.0, "output_tokens": 6.0},
    "cached_tokens": 16.0,
}


def event(kind: str, message: Payload | None = None, **fields: Any) -> Payload:
    delta = {} if message is None else {"delta": {"message": message}}
    return {"type": kind, **fields, **delta}


def start(**message: Any) -> Payload:
    held: Payload = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    return event("message-start", {**held, **message}, id="m1")


def block(index: int, kind: str = "text", text: str = "", **fields: Any) -> Payload:
    return event("content-start", {"content": {"type": kind, kind: text, **fields}}, index=index)


def text(index: int, piece: Any, kind: str = "text") -> Payload:
    return event("content-delta", {"content": {kind: piece}}, index=index)


def stop(index: int) -> Payload:
    return event("content-end", index=index)


def tool(index: int, name: str = "rm", call_id: str = "rm_1", arguments: Any = "") -> Payload:
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return event("tool-call-start", {"tool_calls": call}, index=index)


def arguments(index: int, fragment: Any) -> Payload:
    return event("tool-call-delta", {"tool_calls": {"function": {"arguments": fragment}}}, index=index)


def tool_stop(index: int) -> Payload:
    return event("tool-call-end", index=index)


def plan(piece: Any) -> Payload:
    return event("tool-plan-delta", {"tool_plan": piece})


def cite(index: int = 0, **fields: Any) -> Payload:
    citation = {"start": 0, "end": 3, "text": "Hel", "sources": [], **fields}
    return event("citation-start", {"citations": citation}, index=index)


def end(reason: Any = "COMPLETE", **delta: Any) -> Payload:
    return {"type": "message-end", "delta": {"finish_reason": reason, "usage": USAGE, **delta}}


def answer(*payloads: Payload, reason: str = "COMPLETE") -> list[Payload]:
    """Return a whole answer around these events."""
    return [start(), *payloads, end(reason)]


def line(kind: str, **fields: Any) -> Payload:
    return {"is_finished": kind == "stream-end", "event_type": kind, **fields}


def frame(payload: Payload) -> ServerSentEvent:
    """Return the SSE event of a payload, in the spelling of Cohere's servers."""
    return ServerSentEvent(written(payload), payload.get("type", "message"))


def written(payload: Payload) -> bytes:
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def read_by(format: Format, *frames: Frame) -> Told:
    return Told(format).read(frames)
