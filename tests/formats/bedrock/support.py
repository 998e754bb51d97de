"""Answers of Bedrock that hold every kind of event."""

from __future__ import annotations

import base64
import json
from typing import Any

from tokenstream.framing import EventStreamMessage

METRICS = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 1, "outputTokenCount": 2}}
INNER: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"id": "m", "role": "assistant", "usage": {"input_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop", **METRICS},
    {"messageStart": {"role": "assistant"}},
    {
        "contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "a"}},
        "amazon-bedrock-guardrailAction": "x",
    },
    {"messageStop": {"stopReason": "end_turn"}},
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "a"}, "finish_reason": None}]},
    {"choices": [{"index": 0, "message": {"content": "a"}, "stop_reason": "stop"}]},
    {"choices": [{"index": 0, "text": "a", "stop_reason": "stop"}], "usage": {"prompt_tokens": 1}},
    {"generation": "a", "prompt_token_count": 1, "generation_token_count": 2, "stop_reason": None},
    {"generation": "b", "prompt_token_count": None, "generation_token_count": 3, "stop_reason": "stop"},
    {"outputText": "a", "index": 0, "completionReason": "FINISH", "totalOutputTextTokenCount": 1, **METRICS},
    {"completion": "a", "stop_reason": "stop_sequence", "stop": "x"},
    {"outputs": [{"text": "a", "stop_reason": "stop"}]},
    {"text": "a", "is_finished": False, "index": 1},
    {"is_finished": True, "finish_reason": "COMPLETE", "response": {"generations": [{"text": "a"}]}},
    {"completions": [{"data": {"text": "a"}, "finishReason": {"reason": "endoftext"}}]},
    {"event_type": "text-generation", "text": "a", "is_finished": False},
    {"message": "a", "finishReason": "stop"},
    {"what": "is this"},
    METRICS,
]


def packed(payload: dict[str, Any] | bytes, padding: Any = "abc") -> EventStreamMessage:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    outer: dict[str, Any] = {"bytes": base64.b64encode(data).decode()}
    if padding is not None:
        outer["p"] = padding
    return EventStreamMessage(json.dumps(outer, separators=(",", ":")).encode(), "chunk")
