"""Errors inside a stream, in the shapes in which the APIs send them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support import registry
from tokenstream.formats import Frame
from tokenstream.framing import EventStreamMessage


@dataclass(frozen=True)
class Errors:
    """The errors of an API inside a stream.

    Attributes:
        with_word: Returns an error with a word of the API; None if its errors have no words.
        shapes: An error in each shape in which the API sends one, for docs/reports/vocabulary.md; if None,
            the one that `with_word` returns.
        again: Words after which a retry may help, beside those of the format's `retryable`, with commas.
        final: Words after which a retry does not help, likewise.
    """

    with_word: Callable[[str], Any] | None
    shapes: tuple[Frame, ...] | None = None
    again: str = ""
    final: str = ""


def words_of(name: str) -> dict[str, bool]:
    """Return the words of a format's errors, each with True if a retry may help."""
    errors = ERRORS.get(name, Errors(None))
    documented = {
        word: again
        for again, words in ((True, errors.again), (False, errors.final))
        for word in words.split(", ")
        if word
    }
    return {**documented, **registry.load(name).retryable}


def shapes_of(name: str) -> tuple[Frame, ...]:
    """Return an error of a format in each shape in which its API sends one."""
    errors = ERRORS.get(name, Errors(None))
    if errors.shapes is not None or errors.with_word is None:
        return errors.shapes or ()
    return (errors.with_word(next(iter(words_of(name)), "error")),)


def exception(word: str) -> EventStreamMessage:
    headers = {":message-type": "exception", ":exception-type": word}
    return EventStreamMessage(b'{"message": "m"}', event=word, kind="exception", headers=headers)


def _openai(word: str) -> dict[str, Any]:
    return {"error": {"message": "m", "type": None, "param": None, "code": word}}


_OPENAI = {
    "again": (
        "server_error, api_error, internal_server_error, rate_limit_exceeded, "
        "rate_limit_error, too_many_requests, overloaded, overloaded_error, "
        "engine_overloaded_error, slow_down, service_unavailable, bad_gateway, timeout, "
        "APIError, InternalServerError, RateLimitError"
    ),
    "final": (
        "insufficient_quota, billing_hard_limit_reached, organization_spend_limit_exceeded, "
        "project_spend_limit_exceeded, exceeded_current_quota_error, "
        "credit_balance_exhausted, organization_usage_limit_exceeded, insufficient_credits, "
        "payment_required, usage_limit_reached, invalid_request_error, invalid_api_key, "
        "context_length_exceeded, exceed_context_size_error, content_policy_violation, "
        "content_filter, model_not_found, tool_use_failed, BadRequestError, NotFoundError"
    ),
}
_BEDROCK = {
    "again": (
        "throttlingException, serviceUnavailableException, internalServerException, "
        "modelStreamErrorException, modelTimeoutException, modelNotReadyException"
    ),
    "final": (
        "validationException, accessDeniedException, resourceNotFoundException, serviceQuotaExceededException"
    ),
}
_MISTRAL = {"again": "429, 500, 502, 503", "final": ("400, 401, 404, 422")}
_REALTIME = {
    "again": "server_error, rate_limit_exceeded",
    "final": "insufficient_quota, invalid_request_error",
}
_PLAIN = {
    "again": "Overloaded, Too Many Requests, Internal Server Error",
    "final": "Unauthorized, An error occurred.",
}

ERRORS: dict[str, Errors] = {
    "openai-chat": Errors(
        _openai,
        shapes=(
            {"error": {"message": "m", "type": "rate_limit_exceeded", "code": "insufficient_quota"}},
            {"error": {"message": "m", "code": 502}, "choices": [{"index": 0, "finish_reason": "error"}]},
            {"object": "error", "message": "m", "type": "BadRequestError", "code": 400},
        ),
        **_OPENAI,
    ),
    "openai-completions": Errors(
        _openai, shapes=({"error": {"message": "m", "type": "server_error"}},), **_OPENAI
    ),
    "openai-responses": Errors(
        lambda word: {
            "type": "response.failed",
            "sequence_number": 9,
            "response": {
                "id": "r",
                "status": "failed",
                "error": {"code": word, "message": "m"},
                "output": [],
            },
        },
        shapes=(
            {"type": "error", "code": "rate_limit_exceeded", "message": "m", "sequence_number": 2},
            {"type": "error", "error": {"type": "invalid_request_error", "code": "c", "message": "m"}},
            {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "m"}}},
        ),
        again=(
            "server_error, rate_limit_exceeded, too_many_requests, server_is_overloaded, "
            "slow_down, vector_store_timeout"
        ),
        final="invalid_prompt, context_length_exceeded, insufficient_quota, previous_response_not_found",
    ),
    "openai-realtime": Errors(
        lambda word: {
            "type": "response.done",
            "response": {"id": "r", "status": "failed", "status_details": {"error": {"code": word}}},
        },
        shapes=(),
        **_REALTIME,
    ),
    "anthropic": Errors(
        lambda word: {"type": "error", "error": {"type": word, "message": "m"}},
        shapes=(
            {"type": "error", "error": {"type": "overloaded_error", "message": "m"}},
            {"type": "error", "error": {"type": "invalid_request_error", "message": "m"}},
        ),
        again="overloaded_error, api_error, timeout_error, rate_limit_error",
        final=(
            "invalid_request_error, authentication_error, billing_error, permission_error, "
            "not_found_error, request_too_large"
        ),
    ),
    "gemini": Errors(
        lambda word: {"error": {"message": "m", "status": word}},
        shapes=(
            {"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}},
            {"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}},
            {"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}},
        ),
        again="RESOURCE_EXHAUSTED, UNAVAILABLE, INTERNAL, DEADLINE_EXCEEDED",
        final=(
            "INVALID_ARGUMENT, FAILED_PRECONDITION, OUT_OF_RANGE, PERMISSION_DENIED, "
            "UNAUTHENTICATED, NOT_FOUND, CANCELLED"
        ),
    ),
    "gemini-live": Errors(
        lambda word: {"error": {"message": "m", "status": word}},
        shapes=(),
        again="RESOURCE_EXHAUSTED, UNAVAILABLE, INTERNAL",
        final="INVALID_ARGUMENT, PERMISSION_DENIED",
    ),
    "gemini-interactions": Errors(
        lambda word: {"event_type": "error", "error": {"code": word, "message": "m"}},
        shapes=({"event_type": "error", "error": {"code": "unavailable", "message": "m"}},),
        again="too_many_requests, rate_limit_exceeded, internal_error, unavailable",
        final="invalid_request, not_found, payment_required, quota_exceeded, failed_precondition",
    ),
    "bedrock-converse": Errors(
        exception,
        shapes=(
            EventStreamMessage(b'{"message": "m"}', "throttlingException", "exception"),
            EventStreamMessage(b'{"message": "m"}', "validationException", "exception"),
            EventStreamMessage(b'{"message": "m"}', "modelStreamErrorException", "exception"),
        ),
        **_BEDROCK,
    ),
    "bedrock-invoke": Errors(
        exception,
        shapes=(EventStreamMessage(b'{"message": "m"}', "modelTimeoutException", "exception"),),
        **_BEDROCK,
    ),
    "cohere": Errors(
        lambda word: {"type": "message-end", "delta": {"finish_reason": word, "error": "m"}},
        shapes=({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "m"}},),
        again="ERROR, TIMEOUT",
    ),
    "ollama": Errors(lambda word: {"error": word}, shapes=({"error": "m"},), **_PLAIN),
    "tgi": Errors(
        lambda word: {"error": "m", "error_type": word},
        shapes=({"error": "m", "error_type": "overloaded"}, {"error": "m", "error_type": "validation"}),
        again="overloaded, generation, incomplete_generation",
        final="validation",
    ),
    "anthropic-agents": Errors(
        lambda word: {
            "type": "session.error",
            "id": "e",
            "error": {"type": word, "message": "m", "retry_status": {"type": "terminal"}},
        },
        shapes=(),
        again="model_overloaded_error, model_rate_limited_error",
        final=(
            "billing_error, mcp_authentication_failed_error, repository_authentication_error, "
            "repository_forbidden_error, repository_not_found_error, unknown_error"
        ),
    ),
    "mistral-conversations": Errors(
        lambda word: {"type": "conversation.response.error", "message": "m", "code": word},
        shapes=(
            {"type": "conversation.response.error", "message": "m", "code": 429},
            {"type": "conversation.response.error", "message": "m", "code": 3000},
        ),
        **_MISTRAL,
    ),
    "langchain-protocol": Errors(
        lambda word: {"event": "error", "message": "m", "code": word},
        shapes=(
            {"event": "error", "message": "m", "code": "overloaded_error"},
            {"type": "error", "id": None, "error": "no_such_run", "message": "m"},
        ),
        again="overloaded_error, rate_limit_exceeded",
        final="unknown_command, no_such_run, invalid_argument, permission_denied",
    ),
    "transcription": Errors(
        lambda word: {"type": "error", "error": {"message": "m", "code": word}},
        shapes=({"type": "error", "error": {"message": "m", "code": 429}},),
        **_MISTRAL,
    ),
    "openai-live": Errors(
        lambda word: {"type": "error", "error": {"type": "server_error", "code": word}},
        shapes=(),
        **_REALTIME,
    ),
    "a2a": Errors(
        lambda word: (
            {"jsonrpc": "2.0", "id": 1, "error": {"code": int(word), "message": "m"}}
            if word.startswith("-")
            else {"statusUpdate": {"taskId": "t", "status": {"state": f"TASK_STATE_{word.upper()}"}}}
        ),
        shapes=(
            {"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "m"}},
            {"statusUpdate": {"taskId": "t", "status": {"state": "TASK_STATE_REJECTED"}}},
        ),
    ),
    "ui-message": Errors(
        lambda word: {"type": "error", "errorText": word},
        shapes=({"type": "error", "errorText": "m"},),
        **_PLAIN,
    ),
    "ag-ui": Errors(
        lambda word: {"type": "RUN_ERROR", "message": "m", "code": word},
        shapes=({"type": "RUN_ERROR", "message": "m", "code": "rate_limit"},),
        again="RATE_LIMITED, NETWORK_ERROR, INTERNAL_ERROR, timeout",
        final="UNAUTHORIZED, INVALID_INPUT",
    ),
    "tokenstream": Errors(
        None,
        shapes=(
            {
                "type": "error",
                "error": "StreamStalled",
                "kind": "network",
                "retryable": True,
                "ending": "failed",
            },
            {
                "type": "error",
                "error": "ProviderError",
                "kind": "server",
                "retryable": False,
                "ending": "failed",
            },
        ),
    ),
}
"""The errors of each format that has some."""
