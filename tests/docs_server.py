"""A server on loopback that answers every request with the same stream, for the code in the documents."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tokenstream.testing._server import ReplayServer, Reply

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["ANSWER", "docs_server"]

_PATH = "/v1/chat/completions"


def _chunk(delta: dict[str, Any] | None = None, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": fields.pop("finish_reason", None)}
    payload = {
        "id": "chatcmpl-docs",
        "object": "chat.completion.chunk",
        "created": 1_750_000_000,
        "model": "example-model",
        "choices": [choice],
        **fields,
    }
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


def _call(**fields: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, **fields}]}


ANSWER = [
    _chunk({"role": "assistant", "content": ""}),
    *[_chunk({"content": piece}) for piece in ("Let me ", "look up ", "the weather ", "in Oslo.")],
    _chunk(_call(id="call_1", type="function", function={"name": "get_weather", "arguments": ""})),
    *[_chunk(_call(function={"arguments": piece})) for piece in ('{"city": ', '"Oslo"', "}")],
    _chunk(finish_reason="tool_calls"),
    _chunk(choices=[], usage={"prompt_tokens": 41, "completion_tokens": 23, "total_tokens": 64}),
    b"data: [DONE]\n\n",
]
"""The events of the answer: a text, a tool call, and what they cost, as `openai-chat` says it."""


@contextmanager
def docs_server() -> Generator[dict[str, Any], None, None]:
    """Serve the answer, and give the names with which the documents ask for it."""
    with ReplayServer({_PATH: Reply(chunks=[(0.0, event) for event in ANSWER])}) as server:
        yield {
            "url": server.url + _PATH,
            "payload": {
                "model": "example-model",
                "messages": [{"role": "user", "content": "What is the weather in Oslo?"}],
                "stream": True,
            },
            "headers": {"Authorization": "Bearer made-up"},
        }
