"""Payloads of each format, and their events on the wire."""

from __future__ import annotations

import json
from typing import Any

from tokenstream import testing


def sse(payload: Any, *, event: str = "") -> bytes:
    """Return a payload as an SSE event; text unchanged, anything else as JSON."""
    text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        # JSON can hold a lone surrogate only as an escape.
        text = json.dumps(payload)
    return b"".join(testing.script().raw(text, event=event).chunks("openai-chat"))


def bytes_of(payload: Any) -> bytes:
    """Return a payload as JSON without spaces."""
    try:
        return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        # JSON can hold a lone surrogate only as an escape.
        return json.dumps(payload, separators=(",", ":")).encode()


def sses(*payloads: Any) -> list[bytes]:
    """Return payloads as SSE events without names."""
    return [sse(payload) for payload in payloads]


DONE = sse("[DONE]")


def chat_payload(
    delta: dict[str, Any], finish: str | None = None, *, index: int = 0, **extra: Any
) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_794_700_000,
        "model": "gpt-5.1",
        "choices": [{"index": index, "delta": delta, "finish_reason": finish}],
        **extra,
    }


def chat(delta: dict[str, Any], finish: str | None = None, *, index: int = 0, **extra: Any) -> bytes:
    """Return an SSE event of openai-chat with one choice."""
    return sse(chat_payload(delta, finish, index=index, **extra))


def chat_call(
    index: int, arguments: str, *, id: str | None = None, name: str | None = None
) -> dict[str, Any]:
    """Return a delta with a fragment of a tool call; the first one has an id and a name."""
    function: dict[str, Any] = {"arguments": arguments}
    call: dict[str, Any] = {"index": index, "function": function}
    if id is not None:
        call |= {"id": id, "type": "function"}
        function["name"] = name
    return {"tool_calls": [call]}


def chat_usage(input_tokens: int, output_tokens: int) -> bytes:
    usage = {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
    }
    return sse(chat_payload({}) | {"choices": [], "usage": usage})


def claude(type: str, **fields: Any) -> bytes:  # noqa: A002 - the format's word
    """Return an SSE event of anthropic."""
    return sse({"type": type, **fields}, event=type)


def claude_start_payload() -> dict[str, Any]:
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 5, "output_tokens": 1},
    }
    return {"type": "message_start", "message": message}


def claude_start() -> bytes:
    return sse(claude_start_payload(), event="message_start")


def claude_open(index: int, **block: Any) -> bytes:
    return claude("content_block_start", index=index, content_block=block)


def claude_delta(index: int, type: str, **fields: Any) -> bytes:  # noqa: A002 - the format's word
    return claude("content_block_delta", index=index, delta={"type": type, **fields})


def claude_close(index: int) -> bytes:
    return claude("content_block_stop", index=index)


def claude_end(reason: str = "end_turn", *, output_tokens: int = 9) -> bytes:
    """Return the last two SSE events of anthropic."""
    delta = {"stop_reason": reason, "stop_sequence": None}
    return claude("message_delta", delta=delta, usage={"output_tokens": output_tokens}) + claude(
        "message_stop"
    )
