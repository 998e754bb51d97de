"""Payloads as OpenAI Realtime sends them, and what reading them gives."""

from __future__ import annotations

import base64
import json
from typing import Any, TypeAlias

from tests.formats.told import Told
from tests.support.formats import OpenAIRealtime
from tokenstream.formats import Frame

Payload: TypeAlias = dict[str, Any]


def event(kind: str, **fields: Any) -> Payload:
    return {"type": kind, "event_id": "event_1", **fields}


def session(**fields: Any) -> Payload:
    return event("session.created", session={"type": "realtime", "model": "gpt-realtime", **fields})


def created(id: str = "resp_1", **fields: Any) -> Payload:
    response = {"object": "realtime.response", "id": id, "status": "in_progress", "output": [], **fields}
    return event("response.created", response=response)


def done(id: str = "resp_1", status: str = "completed", **fields: Any) -> Payload:
    response = {"object": "realtime.response", "id": id, "status": status, "output": [], **fields}
    return event("response.done", response=response)


def where(response: str = "resp_1", item: str = "item_1", output: int = 0, content: int = 0) -> Payload:
    return {"response_id": response, "item_id": item, "output_index": output, "content_index": content}


def added(
    kind: str = "message", response: str = "resp_1", item: str = "item_1", index: int = 0, **fields: Any
) -> Payload:
    start = {"id": item, "type": kind, "status": "in_progress", **fields}
    return event("response.output_item.added", response_id=response, output_index=index, item=start)


def finished(
    kind: str = "message",
    response: str = "resp_1",
    item: str = "item_1",
    index: int = 0,
    status: str = "completed",
    **fields: Any,
) -> Payload:
    end = {"id": item, "type": kind, "status": status, **fields}
    return event("response.output_item.done", response_id=response, output_index=index, item=end)


def part(kind: str = "text", place: Payload | None = None, **fields: Any) -> Payload:
    return event("response.content_part.added", part={"type": kind, **fields}, **(place or where()))


def part_done(kind: str = "text", place: Payload | None = None, **fields: Any) -> Payload:
    return event("response.content_part.done", part={"type": kind, **fields}, **(place or where()))


def text(piece: str, place: Payload | None = None) -> Payload:
    return event("response.output_text.delta", delta=piece, **(place or where()))


def transcript(piece: str, place: Payload | None = None) -> Payload:
    return event("response.output_audio_transcript.delta", delta=piece, **(place or where()))


def audio(data: bytes, place: Payload | None = None) -> Payload:
    return event("response.output_audio.delta", delta=base64.b64encode(data).decode(), **(place or where()))


def call(**fields: Any) -> Payload:
    start: Payload = {"call_id": "call_1", "name": "get_tide", "arguments": "", **fields}
    return added("function_call", **start)


def arguments(fragment: str, place: Payload | None = None) -> Payload:
    return event(
        "response.function_call_arguments.delta", call_id="call_1", delta=fragment, **(place or where())
    )


def arguments_done(whole: str, place: Payload | None = None, **fields: Any) -> Payload:
    return event(
        "response.function_call_arguments.done",
        call_id="call_1",
        arguments=whole,
        **(place or where()),
        **fields,
    )


def call_done(whole: str, **fields: Any) -> Payload:
    end: Payload = {"call_id": "call_1", "name": "get_tide", "arguments": whole, **fields}
    return finished("function_call", **end)


def frame(payload: Payload) -> bytes:
    return json.dumps(payload).encode()


def read(*frames: Frame, format: OpenAIRealtime | None = None, end: bool = True) -> Told:
    return Told(format or OpenAIRealtime()).read(frames, end=end)


def answer(*frames: Frame, format: OpenAIRealtime | None = None) -> Told:
    return read(created(), *frames, done(), format=format)
