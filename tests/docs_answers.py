"""The answer of the documents as further providers say it: a text, a tool call, and what they cost."""

from __future__ import annotations

import json
from typing import Any

from tests.support import aws_eventstream

__all__ = ["BEDROCK_ANSWER", "COHERE_ANSWER", "GEMINI_ANSWER", "OLLAMA_ANSWER", "RESPONSES_ANSWER"]

_PIECES = ("Let me ", "look up ", "the weather ", "in Oslo.")
_ARGUMENTS = {"city": "Oslo"}


def _responses(type: str, **fields: Any) -> bytes:  # noqa: A002 - OpenAI's word
    return f"event: {type}\ndata: {json.dumps({'type': type, **fields})}\n\n".encode()


def _item(**fields: Any) -> dict[str, Any]:
    return {"id": "item_docs", "type": "function_call", "call_id": "call_1", "name": "get_weather", **fields}


_SAID = {"item_id": "msg_docs", "output_index": 0, "content_index": 0}
_RESPONSE = {"id": "resp_docs", "object": "response", "model": "example-model", "output": []}
RESPONSES_ANSWER = [
    _responses("response.created", response={**_RESPONSE, "status": "in_progress"}),
    _responses(
        "response.output_item.added",
        output_index=0,
        item={"id": "msg_docs", "type": "message", "role": "assistant", "content": []},
    ),
    *[_responses("response.output_text.delta", **_SAID, delta=piece) for piece in _PIECES],
    _responses("response.output_text.done", **_SAID, text="".join(_PIECES)),
    _responses("response.output_item.added", output_index=1, item=_item(arguments="")),
    _responses(
        "response.function_call_arguments.delta",
        item_id="item_docs",
        output_index=1,
        delta=json.dumps(_ARGUMENTS),
    ),
    _responses("response.output_item.done", output_index=1, item=_item(arguments=json.dumps(_ARGUMENTS))),
    _responses(
        "response.completed",
        response={
            **_RESPONSE,
            "status": "completed",
            "usage": {"input_tokens": 41, "output_tokens": 23, "total_tokens": 64},
        },
    ),
]


def _gemini(part: dict[str, Any], **fields: Any) -> bytes:
    candidate = {"content": {"parts": [part], "role": "model"}, "index": 0}
    finish = fields.pop("finish", None)
    payload = {
        "candidates": [candidate if finish is None else {**candidate, "finishReason": finish}],
        "modelVersion": "example-model",
        "responseId": "docs",
        **fields,
    }
    return b"data: " + json.dumps(payload).encode() + b"\r\n\r\n"


GEMINI_ANSWER = [
    *[_gemini({"text": piece}) for piece in _PIECES],
    _gemini(
        {"functionCall": {"name": "get_weather", "args": _ARGUMENTS}},
        finish="STOP",
        usageMetadata={"promptTokenCount": 41, "candidatesTokenCount": 23, "totalTokenCount": 64},
    ),
]


def _cohere(type: str, delta: dict[str, Any] | None = None, **fields: Any) -> bytes:  # noqa: A002 - its word
    payload = {"type": type, **fields, **({} if delta is None else {"delta": delta})}
    return f"event: {type}\ndata: {json.dumps(payload)}\n\n".encode()


def _call(**function: Any) -> dict[str, Any]:
    named = {"id": "get_weather_1", "type": "function"} if "name" in function else {}
    return {"message": {"tool_calls": {**named, "function": function}}}


COHERE_ANSWER = [
    _cohere("message-start", {"message": {"role": "assistant", "content": []}}, id="docs"),
    _cohere("content-start", {"message": {"content": {"type": "text", "text": ""}}}, index=0),
    *[_cohere("content-delta", {"message": {"content": {"text": piece}}}, index=0) for piece in _PIECES],
    _cohere("content-end", index=0),
    _cohere("tool-call-start", _call(name="get_weather", arguments=""), index=0),
    _cohere("tool-call-delta", _call(arguments=json.dumps(_ARGUMENTS)), index=0),
    _cohere("tool-call-end", index=0),
    _cohere(
        "message-end",
        {"finish_reason": "TOOL_CALL", "usage": {"tokens": {"input_tokens": 41, "output_tokens": 23}}},
    ),
]


def _ollama(*, done: bool = False, content: str = "", **fields: Any) -> bytes:
    said = {"role": "assistant", "content": content, **fields.pop("more", {})}
    payload = {"model": "example-model", "created_at": "2026-11-20T09:26:59Z", "message": said, "done": done}
    return json.dumps({**payload, **fields}).encode() + b"\n"


OLLAMA_ANSWER = [
    *[_ollama(content=piece) for piece in _PIECES],
    _ollama(more={"tool_calls": [{"function": {"name": "get_weather", "arguments": _ARGUMENTS}}]}),
    _ollama(done=True, done_reason="stop", prompt_eval_count=41, eval_count=23),
]

BEDROCK_ANSWER = [
    aws_eventstream.event("messageStart", {"role": "assistant"}),
    *[
        aws_eventstream.event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": piece}})
        for piece in _PIECES
    ],
    aws_eventstream.event("contentBlockStop", {"contentBlockIndex": 0}),
    aws_eventstream.event(
        "contentBlockStart",
        {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "call_1", "name": "get_weather"}}},
    ),
    aws_eventstream.event(
        "contentBlockDelta",
        {"contentBlockIndex": 1, "delta": {"toolUse": {"input": json.dumps(_ARGUMENTS)}}},
    ),
    aws_eventstream.event("contentBlockStop", {"contentBlockIndex": 1}),
    aws_eventstream.event("messageStop", {"stopReason": "tool_use"}),
    aws_eventstream.event(
        "metadata", {"usage": {"inputTokens": 41, "outputTokens": 23, "totalTokens": 64}, "metrics": {}}
    ),
]
