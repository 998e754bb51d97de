"""A server on loopback for the code in the documents: whole, slow, cut, late, busy."""

from __future__ import annotations

import itertools
import json
import threading
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tests.docs_answers import (
    BEDROCK_ANSWER,
    COHERE_ANSWER,
    GEMINI_ANSWER,
    OLLAMA_ANSWER,
    RESPONSES_ANSWER,
)
from tests.support.recordings import OURS
from tokenstream.testing._server import ReplayServer, Reply, Request, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

__all__ = ["ANSWER", "ANTHROPIC_ANSWER", "docs_server"]

_CHAT = "/v1/chat/completions"
_MESSAGES = "/v1/messages"
_SLOW = "/slow/chat/completions"
_SILENT = "/silent/chat/completions"
_FLAKY = "/flaky/chat/completions"
_BUSY = "/busy/chat/completions"
_CUT = "/cut"
_RECIPES = {
    "/recipe/chat/completions": OURS / "openai-chat" / "recipe.sse",
    "/recipe/messages": OURS / "anthropic" / "recipe_tool_call.sse",
}
"""Where a recipe is asked for as structured output, and as a tool's arguments."""
_MODEL = "example-model"
_OTHERS = {
    # Which of the two is asked differs between versions of the SDK.
    **{
        f"/{version}/models/{_MODEL}:streamGenerateContent": (GEMINI_ANSWER, "text/event-stream")
        for version in ("v1", "v1beta")
    },
    "/v1/responses": (RESPONSES_ANSWER, "text/event-stream"),
    "/v2/chat": (COHERE_ANSWER, "text/event-stream"),
    "/api/chat": (OLLAMA_ANSWER, "application/x-ndjson"),
    f"/model/{_MODEL}/converse-stream": (BEDROCK_ANSWER, "application/vnd.amazon.eventstream"),
}
"""Where the SDKs of further providers ask, what they get, and as what."""
_SLOW_SECONDS = 0.02
"""Between two events of the slow answer."""
_SILENT_SECONDS = 60.0
"""Longer than any test may take."""


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


def _event(type: str, **fields: Any) -> bytes:  # noqa: A002 - Anthropic's word
    payload = json.dumps({"type": type, **fields})
    return f"event: {type}\ndata: {payload}\n\n".encode()


def _delta(index: int, type: str, **fields: Any) -> bytes:  # noqa: A002 - Anthropic's word
    return _event("content_block_delta", index=index, delta={"type": type, **fields})


_OVERLOADED = {"message": "The engine is overloaded", "type": "overloaded_error"}
_PIECES = ("Let me ", "look up ", "the weather ", "in Oslo.")
_ARGUMENTS = ('{"city": ', '"Oslo"', "}")

ANSWER = [
    _chunk({"role": "assistant", "content": ""}),
    *[_chunk({"content": piece}) for piece in _PIECES],
    _chunk(_call(id="call_1", type="function", function={"name": "get_weather", "arguments": ""})),
    *[_chunk(_call(function={"arguments": piece})) for piece in _ARGUMENTS],
    _chunk(finish_reason="tool_calls"),
    _chunk(choices=[], usage={"prompt_tokens": 41, "completion_tokens": 23, "total_tokens": 64}),
    b"data: [DONE]\n\n",
]
"""The events of the answer: a text, a tool call, and what they cost, as `openai-chat` says it."""

ANTHROPIC_ANSWER = [
    _event(
        "message_start",
        message={
            "id": "msg_docs",
            "type": "message",
            "role": "assistant",
            "model": "example-model",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 41, "output_tokens": 1},
        },
    ),
    _event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    _event("ping"),
    *[_delta(0, "text_delta", text=piece) for piece in _PIECES],
    _event("content_block_stop", index=0),
    _event(
        "content_block_start",
        index=1,
        content_block={"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {}},
    ),
    *[_delta(1, "input_json_delta", partial_json=piece) for piece in _ARGUMENTS],
    _event("content_block_stop", index=1),
    _event(
        "message_delta",
        delta={"stop_reason": "tool_use", "stop_sequence": None},
        usage={"output_tokens": 23},
    ),
    _event("message_stop"),
]
"""The same answer as `anthropic` says it."""


def _reply(events: Sequence[bytes], pause: float = 0.0) -> Reply:
    return Reply(chunks=[(pause, event) for event in events])


def _overloaded(retry_after: str) -> Reply:
    return Reply(
        chunks=[(0.0, json.dumps({"error": _OVERLOADED}).encode())],
        content_type="application/json",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        headers={"Retry-After": retry_after},
    )


def _failing_at_first() -> Callable[[], Reply]:
    """Return what breaks one answer in the middle, refuses the next request, and answers the third."""
    whole = _reply(ANSWER)
    replies = itertools.cycle(
        [
            whole.cut_after(len(b"".join(ANSWER[:3]))),
            _overloaded("0"),
            whole,
        ]
    )
    lock = threading.Lock()

    def reply() -> Reply:
        with lock:
            return next(replies)

    return reply


@contextmanager
def docs_server() -> Generator[dict[str, Any], None, None]:
    """Serve the answer, and give the names with which the documents ask for it."""
    flaky = _failing_at_first()
    replies = {
        _CHAT: _reply(ANSWER),
        _MESSAGES: _reply(ANTHROPIC_ANSWER),
        _SLOW: _reply(ANSWER, _SLOW_SECONDS),
        _BUSY: _overloaded("86400"),
        f"{_CUT}/chat/completions": _reply(ANSWER[:8]),
        f"{_CUT}{_MESSAGES}": _reply(ANTHROPIC_ANSWER[:11]),
        **{
            route: Reply(chunks=[(0.0, event) for event in events], content_type=content_type)
            for route, (events, content_type) in _OTHERS.items()
        },
        **{route: Reply(chunks=[(0.0, path.read_bytes())]) for route, path in _RECIPES.items()},
        _SILENT: Reply(chunks=[*[(0.0, event) for event in ANSWER[:3]], (_SILENT_SECONDS, b"")]),
    }

    def answer(request: Request) -> Reply:
        if request.method != "POST":
            return refusal(HTTPStatus.METHOD_NOT_ALLOWED, f"this server answers POST, not {request.method}")
        if request.route == _FLAKY:
            return flaky()
        return replies.get(request.route) or refusal(HTTPStatus.NOT_FOUND, f"nothing is at {request.route}")

    messages = [{"role": "user", "content": "What is the weather in Oslo?"}]
    with ReplayServer(answer) as server:
        yield {
            "url": server.url + _CHAT,
            "slow_url": server.url + _SLOW,
            "silent_url": server.url + _SILENT,
            "flaky_url": server.url + _FLAKY,
            "busy_url": server.url + _BUSY,
            "recipe_url": server.url + "/recipe/chat/completions",
            "recipe_tool_url": server.url + "/recipe/messages",
            # What an SDK is to be given as its base URL.
            "openai_url": server.url + "/v1",
            "anthropic_url": server.url,
            # The same for the SDKs of other providers.
            "server_url": server.url,
            # The same for openai and anthropic, where the answer ends cleanly in the middle of the tool call.
            "cut_url": server.url + _CUT,
            "messages": messages,
            "payload": {"model": "example-model", "messages": messages, "stream": True},
            "headers": {"Authorization": "Bearer made-up"},
        }
