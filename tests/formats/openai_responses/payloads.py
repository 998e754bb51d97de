"""Payloads as the Responses API sends them, and what reading them gives."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from tests.formats.told import Told
from tests.support.formats import OpenAIResponses
from tokenstream.events import PartStart
from tokenstream.formats import Frame
from tokenstream.framing import ServerSentEvent
from tokenstream.message import Part

Payload: TypeAlias = dict[str, Any]

USAGE: Payload = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 29,
}


def response(status: str = "in_progress", /, **fields: Any) -> Payload:
    return {
        "id": "resp_1",
        "object": "response",
        "status": status,
        "model": "gpt-x",
        "output": [],
        "usage": USAGE if status in ("completed", "incomplete") else None,
        **fields,
    }


def created(**fields: Any) -> Payload:
    return {"type": "response.created", "response": response(**fields)}


def ended(status: str = "completed", /, **fields: Any) -> Payload:
    return {"type": f"response.{status}", "response": response(status, **fields)}


def event(kind: str, index: int = 0, item_id: str = "item_0", **fields: Any) -> Payload:
    return {"type": f"response.{kind}", "item_id": item_id, "output_index": index, **fields}


def added(item: Payload | None, index: int = 0) -> Payload:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(item: Payload | None, index: int = 0) -> Payload:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def output_text(text: str = "", *annotations: Payload, **fields: Any) -> Payload:
    return {"type": "output_text", "text": text, "annotations": list(annotations), **fields}


def message(*content: Payload, status: str = "in_progress", **fields: Any) -> Payload:
    return {
        "id": "msg_1",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": list(content),
        **fields,
    }


def reasoning(*summary: str, **fields: Any) -> Payload:
    texts = [{"type": "summary_text", "text": text} for text in summary]
    return {"id": "rs_1", "type": "reasoning", "summary": texts, **fields}


def call(arguments: str = "", status: str = "in_progress", **fields: Any) -> Payload:
    return {
        "id": "fc_1",
        "type": "function_call",
        "status": status,
        "arguments": arguments,
        "call_id": "call_1",
        "name": "rm",
        **fields,
    }


def part_added(index: int = 0, place: int = 0, **part: Any) -> Payload:
    return event("content_part.added", index, content_index=place, part=part or output_text())


def delta(text: str, index: int = 0, place: int = 0, **fields: Any) -> Payload:
    return event("output_text.delta", index, content_index=place, delta=text, logprobs=[], **fields)


def arguments(fragment: str, index: int = 0) -> Payload:
    return event("function_call_arguments.delta", index, delta=fragment)


def summary(text: str, place: int = 0, index: int = 0) -> Payload:
    return event("reasoning_summary_text.delta", index, summary_index=place, delta=text)


def hello(index: int = 0, **fields: Any) -> list[Payload]:
    return [
        added(message(**fields), index),
        part_added(index),
        delta("Hel", index),
        delta("lo", index),
        event("output_text.done", index, content_index=0, text="Hello", logprobs=[]),
        event("content_part.done", index, content_index=0, part=output_text("Hello")),
        done(message(output_text("Hello"), status="completed", **fields), index),
    ]


def remove(index: int = 0, text: str = '{"path": "/srv"}', **fields: Any) -> list[Payload]:
    """Return the events of a function call."""
    return [
        added(call(**fields), index),
        arguments(text[:4], index),
        arguments(text[4:], index),
        event("function_call_arguments.done", index, arguments=text),
        done(call(text, "completed", **fields), index),
    ]


def answer(
    *payloads: Payload, output: list[Payload] | None = None, status: str = "completed"
) -> list[Payload]:
    """Return a whole answer around these events; its output is that of their ends."""
    if output is None:
        output = [payload["item"] for payload in payloads if payload["type"].endswith("output_item.done")]
    return numbered(created(), *payloads, ended(status, output=output))


def numbered(*payloads: Payload) -> list[Payload]:
    return [{**payload, "sequence_number": number} for number, payload in enumerate(payloads)]


def frame(payload: Payload) -> ServerSentEvent:
    """Return the SSE event of a payload, in the spelling of OpenAI's servers."""
    data = json.dumps(payload, separators=(",", ":"), ensure_ascii="\\ud" in json.dumps(payload))
    return ServerSentEvent(data.encode(), payload.get("type", "message"))


def body_of(payloads: list[Payload]) -> bytes:
    return b"".join(
        b"event: " + payload["type"].encode() + b"\ndata: " + frame(payload).payload + b"\n\n"
        for payload in payloads
    )


class Read(Told):
    @property
    def sequence_number(self) -> int | None:
        assert isinstance(self.format, OpenAIResponses)
        return self.format.position

    @property
    def starts(self) -> list[Part]:
        """What parts began as, and what was told of them later."""
        return [event.content for event in self.events if isinstance(event, PartStart)]


def read(*frames: Frame, format: OpenAIResponses | None = None) -> Read:
    return Read(format or OpenAIResponses()).read(frames)


def said(*payloads: Payload, **options: Any) -> Read:
    """Read a whole answer around these events, as OpenAI frames it."""
    return read(*map(frame, answer(*payloads, **options)))
