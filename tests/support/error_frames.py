"""Errors inside a stream, in the shapes in which the APIs send them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.framing import EventStreamMessage

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.formats import Frame


def exception(word: str) -> EventStreamMessage:
    """Return an error of Bedrock."""
    headers = {":message-type": "exception", ":exception-type": word}
    return EventStreamMessage(b'{"message": "m"}', event=word, kind="exception", headers=headers)


def _openai(word: str) -> dict[str, Any]:
    return {"error": {"message": "m", "type": None, "param": None, "code": word}}


FRAMES: dict[str, Callable[[str], Any]] = {
    "openai-chat": _openai,
    "openai-completions": _openai,
    "openai-responses": lambda word: {
        "type": "response.failed",
        "sequence_number": 9,
        "response": {"id": "r", "status": "failed", "error": {"code": word, "message": "m"}, "output": []},
    },
    "openai-realtime": lambda word: {
        "type": "response.done",
        "response": {"id": "r", "status": "failed", "status_details": {"error": {"code": word}}},
    },
    "anthropic": lambda word: {"type": "error", "error": {"type": word, "message": "m"}},
    "gemini": lambda word: {"error": {"message": "m", "status": word}},
    "gemini-live": lambda word: {"error": {"message": "m", "status": word}},
    "gemini-interactions": lambda word: {"event_type": "error", "error": {"code": word, "message": "m"}},
    "bedrock-converse": exception,
    "bedrock-invoke": exception,
    "cohere": lambda word: {"type": "message-end", "delta": {"finish_reason": word, "error": "m"}},
    "tgi": lambda word: {"error": "m", "error_type": word},
    "openai-agents": lambda word: {
        "type": "agent.session.turn.failed",
        "turn_id": "t",
        "turn": {"id": "t", "status": "failed", "error": {"code": word, "message": "m"}},
    },
    "anthropic-agents": lambda word: {
        "type": "session.error",
        "id": "e",
        "error": {"type": word, "message": "m", "retry_status": {"type": "terminal"}},
    },
    "mistral-conversations": lambda word: {
        "type": "conversation.response.error",
        "message": "m",
        "code": word,
    },
    "langchain-protocol": lambda word: {"event": "error", "message": "m", "code": word},
    "transcription": lambda word: {"type": "error", "error": {"message": "m", "code": word}},
    "openai-live": lambda word: {"type": "error", "error": {"type": "server_error", "code": word}},
    "a2a": lambda word: (
        {"jsonrpc": "2.0", "id": 1, "error": {"code": int(word), "message": "m"}}
        if word.startswith("-")
        else {"statusUpdate": {"taskId": "t", "status": {"state": f"TASK_STATE_{word.upper()}"}}}
    ),
    "ag-ui": lambda word: {"type": "RUN_ERROR", "message": "m", "code": word},
    "ui-message": lambda word: {"type": "error", "errorText": word},
    "ollama": lambda word: {"error": word},
}
"""For each format whose errors have words: returns an error with a word."""

ERRORS: dict[str, tuple[Frame, ...]] = {
    "openai-chat": (
        {"error": {"message": "m", "type": "rate_limit_exceeded", "code": "insufficient_quota"}},
        {"error": {"message": "m", "code": 502}, "choices": [{"index": 0, "finish_reason": "error"}]},
        {"object": "error", "message": "m", "type": "BadRequestError", "code": 400},
    ),
    "openai-completions": ({"error": {"message": "m", "type": "server_error"}},),
    "openai-responses": (
        {"type": "error", "code": "rate_limit_exceeded", "message": "m", "sequence_number": 2},
        {"type": "error", "error": {"type": "invalid_request_error", "code": "c", "message": "m"}},
        {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "m"}}},
    ),
    "anthropic": (
        {"type": "error", "error": {"type": "overloaded_error", "message": "m"}},
        {"type": "error", "error": {"type": "invalid_request_error", "message": "m"}},
    ),
    "gemini": (
        {"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}},
        {"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}},
        {"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}},
    ),
    "gemini-interactions": ({"event_type": "error", "error": {"code": "unavailable", "message": "m"}},),
    "bedrock-converse": (
        EventStreamMessage(b'{"message": "m"}', "throttlingException", "exception"),
        EventStreamMessage(b'{"message": "m"}', "validationException", "exception"),
        EventStreamMessage(b'{"message": "m"}', "modelStreamErrorException", "exception"),
    ),
    "bedrock-invoke": (EventStreamMessage(b'{"message": "m"}', "modelTimeoutException", "exception"),),
    "cohere": ({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "m"}},),
    "ollama": ({"error": "m"},),
    "tgi": ({"error": "m", "error_type": "overloaded"}, {"error": "m", "error_type": "validation"}),
    "openai-agents": (
        {"type": "agent.session.turn.failed", "turn": {"id": "t", "error": {"code": "server_overloaded"}}},
        {"type": "agent.session.failed", "session": {"id": "s", "error": "the sandbox is gone"}},
    ),
    "mistral-conversations": (
        {"type": "conversation.response.error", "message": "m", "code": 429},
        {"type": "conversation.response.error", "message": "m", "code": 3000},
    ),
    "langchain-protocol": (
        {"event": "error", "message": "m", "code": "overloaded_error"},
        {"type": "error", "id": None, "error": "no_such_run", "message": "m"},
    ),
    "transcription": ({"type": "error", "error": {"message": "m", "code": 429}},),
    "a2a": (
        {"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "m"}},
        {"statusUpdate": {"taskId": "t", "status": {"state": "TASK_STATE_REJECTED"}}},
    ),
    "ui-message": ({"type": "error", "errorText": "m"},),
    "ag-ui": ({"type": "RUN_ERROR", "message": "m", "code": "rate_limit"},),
    "tokenstream": (
        {"type": "error", "error": "StreamStalled", "kind": "network", "retryable": True, "ending": "failed"},
        {"type": "error", "error": "ProviderError", "kind": "server", "retryable": False, "ending": "failed"},
    ),
}  # fmt: skip
"""Errors for the table in reports/vocabulary.md; one for each shape."""
