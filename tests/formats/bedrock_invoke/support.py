"""Chunks of InvokeModelWithResponseStream, and what reading them gives."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from tests.formats.bedrock.payloads import read as read_frames
from tests.formats.told import Told
from tests.support.formats import BedrockInvoke
from tokenstream import Limits
from tokenstream.framing import EventStreamMessage

COUNTS = {"inputTokenCount": 7, "outputTokenCount": 3, "invocationLatency": 9, "firstByteLatency": 4}
METRICS = {"amazon-bedrock-invocationMetrics": COUNTS}


def chunk(payload: Mapping[str, Any] | bytes, **outer: Any) -> EventStreamMessage:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    fields = {"bytes": base64.b64encode(data).decode(), "p": "abc", **outer}
    return EventStreamMessage(json.dumps(fields, separators=(",", ":")).encode(), "chunk")


def read(*payloads: Mapping[str, Any], limits: Limits | None = None, end: bool = True) -> Told:
    return read_frames(BedrockInvoke(limits=limits), [chunk(payload) for payload in payloads], end=end)


def counts(came: Told) -> tuple[int | None, int | None]:
    usage = came.message.usage
    return (usage.input_tokens, usage.output_tokens)


ANTHROPIC: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {"id": "msg_1", "model": "claude", "role": "assistant", "usage": {"input_tokens": 7}},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hel"}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "lo"}},
    {"type": "content_block_stop", "index": 1},
    {
        "type": "content_block_start",
        "index": 2,
        "content_block": {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}},
    },
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
    {"type": "content_block_stop", "index": 2},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}},
    {"type": "message_stop", **METRICS},
]
