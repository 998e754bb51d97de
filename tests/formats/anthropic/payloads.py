"""Payloads as Anthropic sends them, and what reading them gives."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from tests.formats.told import Told
from tests.support.formats import Anthropic
from tokenstream.formats import Frame
from tokenstream.framing import ServerSentEvent

Payload: TypeAlias = dict[str, Any]

PING: Payload = {"type": "ping"}
STOP: Payload = {"type": "message_stop"}


def start(**message: Any) -> Payload:
    head: Payload = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 1},
    }
    return {"type": "message_start", "message": {**head, **message}}


def block(index: int, kind: str, **fields: Any) -> Payload:
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **fields}}


def delta(index: int, kind: str, **fields: Any) -> Payload:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def text(index: int, piece: str) -> Payload:
    return delta(index, "text_delta", text=piece)


def arguments(index: int, fragment: str) -> Payload:
    return delta(index, "input_json_delta", partial_json=fragment)


def stop(index: int) -> Payload:
    return {"type": "content_block_stop", "index": index}


def tool(index: int, name: str = "rm", call_id: str = "toolu_1", **fields: Any) -> Payload:
    return block(index, "tool_use", id=call_id, name=name, **{"input": {}, **fields})


def finish(reason: str | None = "end_turn", /, usage: Payload | None = None, **fields: Any) -> Payload:
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": None, **fields},
        "usage": usage or {"output_tokens": 5},
    }


def answer(*payloads: Payload, reason: str = "end_turn") -> list[Payload]:
    """Return a whole answer around these blocks."""
    return [start(), *payloads, finish(reason), STOP]


def frame(payload: Payload, *, padding: int = 0) -> ServerSentEvent:
    """Return the SSE event of a payload, in the spelling of Anthropic's servers."""
    data = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
    return ServerSentEvent(f"{data[:-1]}{' ' * padding}}}".encode(), payload.get("type", "message"))


def read(*frames: Frame, format: Anthropic | None = None) -> Told:
    return Told(format or Anthropic()).read(frames)
