"""Bodies of errors: requests that are too long, accounts without credit, and what only looks like them.

Each was seen in the documentation of a server, in its source or in a report about it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from tokenstream.errors import ErrorKind
from tokenstream.framing import EventStreamMessage


class Body(NamedTuple):
    """An error as a server sends it: alone, with a status, and in the middle of an answer."""

    status: int
    payload: Any
    kind: ErrorKind
    format: str = "openai-chat"
    headers: Mapping[str, str] = {}

    @property
    def frame(self) -> Any:
        """The same error as an event of the answer's stream."""
        name = self.headers.get("x-amzn-errortype", "")
        if not name:
            return self.payload
        return EventStreamMessage(
            json.dumps(self.payload).encode(), name[:1].lower() + name[1:], "exception", {}
        )


def _long(status: int, payload: Any, format: str = "openai-chat", headers: Mapping[str, str] = {}) -> Body:
    return Body(status, payload, "context_length", format, headers)


def _unpaid(status: int, payload: Any, format: str = "openai-chat", headers: Mapping[str, str] = {}) -> Body:
    return Body(status, payload, "quota", format, headers)


def _openai(message: str, kind: str | None, code: str | int | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _anthropic(message: str, kind: str = "invalid_request_error", **more: object) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message, **more}, "request_id": "req_1"}


def _gemini(code: int, status: str, message: str, *violations: dict[str, str]) -> dict[str, Any]:
    details = [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [*violations]}]
    more = {"details": details} if violations else {}
    return {"error": {"code": code, "message": message, "status": status, **more}}


def _aws(name: str) -> Mapping[str, str]:
    return {"x-amzn-errortype": name}


_GEMINI_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information on "
    "this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits. To monitor your current usage, "
    "head to: https://ai.dev/rate-limit. "
)
_FREE_REQUESTS = "generativelanguage.googleapis.com/generate_content_free_tier_requests"
_MODEL_SAYS = "The model returned the following errors: "

TOO_LONG: dict[str, Body] = {
    "openai": _long(
        400,
        _openai(
            "This model's maximum context length is 4097 tokens. However, you requested 4610 tokens (1610 in "
            "the messages, 3000 in the completion). Please reduce the length of the messages or completion.",
            "invalid_request_error",
            "context_length_exceeded",
        ),
    ),
    "openai, old": _long(
        400,
        _openai(
            "This model's maximum context length is 4097 tokens, however you requested 4182 tokens (182 in "
            "your prompt; 4000 for the completion). Please reduce your prompt; or completion length.",
            "invalid_request_error",
        ),
    ),
    "openai-responses": _long(
        400,
        {
            "type": "response.failed",
            "response": {
                "status": "failed",
                "error": {
                    "code": "context_length_exceeded",
                    "message": "Your input exceeds the context window of this model.",
                },
            },
            "error": {
                "code": "context_length_exceeded",
                "message": "Your input exceeds the context window of this model.",
            },
        },
        "openai-responses",
    ),
    "a proxy of openai-responses": _long(
        400,
        _openai(
            "Your input exceeds the context window of this model. Please adjust your input and try again.",
            "upstream_error",
        ),
    ),
    "anthropic": _long(400, _anthropic("prompt is too long: 213462 tokens > 200000 maximum"), "anthropic"),
    "anthropic, with max_tokens": _long(
        400,
        _anthropic(
            "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input "
            "length or `max_tokens` and try again"
        ),
        "anthropic",
    ),
    "gemini": _long(
        400,
        _gemini(
            400,
            "INVALID_ARGUMENT",
            "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).",
        ),
        "gemini",
    ),
    "gemini, without the count": _long(
        400,
        _gemini(
            400,
            "INVALID_ARGUMENT",
            "The input token count exceeds the maximum number of tokens allowed 1048576.",
        ),
        "gemini",
    ),
    "bedrock": _long(
        400,
        {"message": "Input is too long for requested model."},
        "bedrock-converse",
        _aws("ValidationException"),
    ),
    "bedrock, quoting Claude": _long(
        400,
        {"message": _MODEL_SAYS + "prompt is too long: 207848 tokens > 200000 maximum"},
        "bedrock-converse",
        _aws("ValidationException"),
    ),
    "bedrock, counting": _long(
        400,
        {
            "message": "400 Bad Request: Too many input tokens. Max input tokens: 8192, request input token "
            "count: 9279 "
        },
        "bedrock-converse",
        _aws("ValidationException"),
    ),
    "mistral": _long(
        400,
        {
            "object": "error",
            "message": "Prompt contains 40687 tokens and 0 draft tokens, too large for model with 32768 "
            "maximum context length",
            "type": "invalid_request_error",
            "param": None,
            "code": "3051",
        },
    ),
    "vllm": _long(
        400,
        _openai(
            "You passed 31745 input tokens and requested 1024 output tokens. However, the model's context "
            "length is only 32768 tokens, resulting in a maximum input length of 31744 tokens. Please reduce "
            "the length of the input prompt. (parameter=input_tokens, value=31745)",
            "BadRequestError",
            400,
        ),
    ),
    "vllm, of the output": _long(
        400,
        _openai(
            "max_tokens=5000 cannot be greater than max_model_len=800. Please request fewer output tokens.",
            "BadRequestError",
            400,
        ),
    ),
    "gemini, quoted by litellm": _long(
        400,
        _openai(
            'b\'{"error": {"code": 400, "message": "The input token count (1200000) exceeds the maximum '
            "number of tokens allowed (1048576).\"}}'\n\nLiteLLM: the model group failed.",
            "invalid_request_error",
            "400",
        ),
    ),
    "vllm, of token ids": _long(
        400,
        _openai(
            "The decoder prompt (length 5951) is longer than the maximum model length of 4096. "
            "Make sure that `max_model_len` is no smaller than the number of text tokens.",
            "BadRequestError",
            400,
        ),
    ),
    "llama.cpp": _long(
        400,
        {
            "error": {
                "code": 400,
                "message": "request (13392 tokens) exceeds the available context size (8192 tokens), try "
                "increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 13392,
                "n_ctx": 8192,
            }
        },
    ),
    "llama.cpp, old": _long(
        500,
        _openai(
            "the request exceeds the available context size. try increasing the context size or enable "
            "context shift",
            "server_error",
            500,
        ),
    ),
    "ollama": _long(400, {"error": "prompt too long; exceeded max context length by 4 tokens"}, "ollama"),
    "lm studio": _long(
        400,
        {
            "error": "The number of tokens to keep from the initial prompt is greater than the context "
            "length (n_keep: 15507>= n_ctx: 4096). Try to load the model with a larger context length, or "
            "provide a shorter input."
        },
    ),
    "sglang, together": _long(
        400,
        _openai(
            "The input (516368 tokens) is longer than the model's context length (262144 tokens).",
            "invalid_request_error",
        ),
    ),
    "sglang, with max_tokens": _long(
        400,
        {
            "object": "error",
            "message": "Requested token count exceeds the model's maximum context length of 64000 tokens. "
            "You requested a total of 71897 tokens: 7897 tokens from the input messages and 64000 tokens "
            "for the completion.",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    ),
    "tgi": _long(
        422,
        {
            "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: "
            "4090 `inputs` tokens and 20 `max_new_tokens`",
            "error_type": "validation",
        },
        "tgi",
    ),
    "tgi, of inputs": _long(
        422,
        {
            "error": "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000",
            "error_type": "validation",
        },
        "tgi",
    ),
    "cohere": _long(
        400,
        {
            "message": "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received "
            "4292. Try using a shorter prompt, or enabling prompt truncating. See "
            "https://docs.cohere.com/reference/generate for more details."
        },
        "cohere",
    ),
    "cohere, of documents": _long(
        400,
        {
            "message": "too many tokens: size limit exceeded by 11326 tokens. "
            "Try using shorter or fewer inputs"
        },
        "cohere",
    ),
    "openrouter": _long(
        400,
        {
            "error": {
                "message": "This endpoint's maximum context length is 65536 tokens. However, you requested "
                "about 90000 tokens (90000 of text input). Please reduce the length of either one.",
                "code": 400,
                "metadata": {"provider_name": None},
            }
        },
    ),
    "xai": _long(
        400,
        {
            "code": "Client specified an invalid argument",
            "error": "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        },
    ),
    "moonshot": _long(
        400,
        _openai(
            "Invalid request: Your request exceeded model token limit: 8192 (requested: 13347)",
            "invalid_request_error",
        ),
    ),
    "dashscope": _long(
        400,
        _openai(
            "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 129024]",
            "invalid_request_error",
            "invalid_parameter_error",
        ),
    ),
    "litellm": _long(
        400,
        _openai(
            "litellm.ContextWindowExceededError: litellm.BadRequestError: ContextWindowExceededError: "
            "OpenAIException - too much",
            None,
            "400",
        ),
    ),
}

NO_CREDIT: dict[str, Body] = {
    "openai": _unpaid(
        429,
        _openai(
            "You exceeded your current quota, please check your plan and billing details. For more "
            "information on this error, read the docs: "
            "https://platform.openai.com/docs/guides/error-codes/api-errors.",
            "insufficient_quota",
            "insufficient_quota",
        ),
    ),
    **{
        f"openai, {code}": _unpaid(429, _openai("m", "insufficient_quota", code))
        for code in (
            "credit_balance_exhausted",
            "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded",
            "organization_usage_limit_exceeded",
        )
    },
    "openai, a hard limit": _unpaid(
        400,
        _openai("Billing hard limit has been reached", "invalid_request_error", "billing_hard_limit_reached"),
    ),
    "a proxy of openai, a hard limit": _unpaid(400, _openai("Billing hard limit has been reached.", None)),
    "anthropic": _unpaid(
        400,
        _anthropic(
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to "
            "upgrade or purchase credits."
        ),
        "anthropic",
    ),
    "anthropic, by its type": _unpaid(402, _anthropic("m", "billing_error"), "anthropic"),
    "anthropic, a limit of one's own": _unpaid(
        400,
        _anthropic(
            "You have reached your specified API usage limits. You will regain access on 2026-08-01 at 00:00 "
            "UTC."
        ),
        "anthropic",
    ),
    "anthropic, a limit of the tier": _unpaid(
        429,
        _anthropic(
            "You have reached your API usage limits: your organization has crossed its monthly API usage "
            "threshold, set based on your organization's API tier.",
            "rate_limit_error",
            details={"error_code": "enforced_spend_limit_reached"},
        ),
        "anthropic",
    ),
    "gemini": _unpaid(
        402,
        _gemini(
            402,
            "RESOURCE_EXHAUSTED",
            "Your prepayment credits are depleted. Please go to AI Studio at https://ai.studio/projects to "
            "manage your project and billing.",
        ),
        "gemini",
    ),
    "gemini, before 2026-08": _unpaid(
        429, _gemini(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."), "gemini"
    ),
    "gemini, in other words": _unpaid(402, _gemini(402, "RESOURCE_EXHAUSTED", "m"), "gemini"),
    "gemini, a limit of 0": _unpaid(
        429,
        _gemini(
            429,
            "RESOURCE_EXHAUSTED",
            f"{_GEMINI_QUOTA}\n* Quota exceeded for metric: {_FREE_REQUESTS}, limit: 0, model: gemini-3.1-pro"
            "\nPlease retry in 37.177564433s.",
        ),
        "gemini",
    ),
    "gemini, the day's": _unpaid(
        429,
        _gemini(
            429,
            "RESOURCE_EXHAUSTED",
            f"{_GEMINI_QUOTA}\n* Quota exceeded for metric: {_FREE_REQUESTS}, limit: 20, model: gemini-2.5",
            {"quotaMetric": _FREE_REQUESTS, "quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"},
        ),
        "gemini",
    ),
    "gemini-interactions": _unpaid(
        402,
        {"event_type": "error", "error": {"code": "payment_required", "message": "m"}},
        "gemini-interactions",
    ),
    "bedrock": _unpaid(
        400,
        {"message": "Your request exceeds the service quota for your account."},
        "bedrock-converse",
        _aws("ServiceQuotaExceededException"),
    ),
    "deepseek": _unpaid(402, _openai("Insufficient Balance", "unknown_error", "invalid_request_error")),
    "z.ai": _unpaid(
        429,
        {
            "error": {
                "code": "1113",
                "message": "Insufficient balance or no resource package. Please recharge.",
            }
        },
    ),
    "openrouter": _unpaid(
        402,
        {
            "error": {
                "message": "Insufficient credits. Add more using https://openrouter.ai/settings/credits",
                "code": 402,
            }
        },
    ),
    "openrouter, for this request": _unpaid(
        402,
        {
            "error": {
                "message": "This request requires more credits, or fewer max_tokens. You requested up to "
                "16384 tokens, but can only afford 3324.",
                "code": 402,
                "metadata": {"limit_source": "openrouter_credits"},
            }
        },
    ),
    "xai": _unpaid(
        403,
        {
            "code": "The caller does not have permission to execute the specified operation",
            "error": "Your team 1fae4ce5 has either used all available credits or reached its monthly "
            "spending limit. To continue making API requests, please purchase more credits or raise your "
            "spending limit.",
        },
    ),
    "moonshot": _unpaid(
        429,
        _openai(
            "Your account is suspended due to insufficient balance, please recharge your account or check "
            "your plan and billing details",
            "exceeded_current_quota_error",
        ),
    ),
    "dashscope": _unpaid(
        400,
        _openai(
            "Access denied, please make sure your account is in good standing.", "Arrearage", "Arrearage"
        ),
    ),
    "new api": _unpaid(403, _openai("user quota is not enough", "new_api_error", "insufficient_user_quota")),
    "any, by its status": _unpaid(402, {"message": "Please pay."}, ""),
}

OTHERS: dict[str, Body] = {
    "gemini, the minute's": Body(
        429,
        _gemini(
            429,
            "RESOURCE_EXHAUSTED",
            f"{_GEMINI_QUOTA}\n* Quota exceeded for metric: {_FREE_REQUESTS}, limit: 20, model: gemini-2.5"
            "\nPlease retry in 38.755009939s.",
            {
                "quotaMetric": _FREE_REQUESTS,
                "quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
            },
        ),
        "rate_limited",
        "gemini",
    ),
    "gemini, of which it says no more": Body(
        429, _gemini(429, "RESOURCE_EXHAUSTED", _GEMINI_QUOTA), "rate_limited", "gemini"
    ),
    "bedrock, too fast": Body(
        429,
        {"message": "Too many tokens, please wait before trying again."},
        "rate_limited",
        "bedrock-converse",
        _aws("ThrottlingException"),
    ),
    "openai, too many tokens for a minute": Body(
        429,
        _openai(
            "Request too large for gpt-4 in organization org-1 on tokens per min (TPM): Limit 10000, "
            "Requested 12000. Visit https://platform.openai.com/account/rate-limits to learn more.",
            "tokens",
            "rate_limit_exceeded",
        ),
        "rate_limited",
    ),
    "mistral, too fast": Body(
        429,
        {
            "object": "error",
            "message": "Service tier capacity exceeded for this model.",
            "type": "service_tier_capacity_exceeded",
            "code": "3505",
        },
        "rate_limited",
        "",
    ),
    "cohere, a parameter": Body(
        400,
        {
            "message": "too many tokens: max tokens must be less than or equal to 4096, the maximum output "
            "for this model - received 8192."
        },
        "invalid_request",
        "",
    ),
    "anthropic, too many bytes": Body(
        413,
        _anthropic("Request exceeds the maximum allowed number of bytes", "request_too_large"),
        "invalid_request",
        "anthropic",
    ),
    "a message that quotes the request": Body(
        400,
        _openai("Invalid value: 'Insufficient balance; prompt is too long: 9'", "invalid_request_error"),
        "invalid_request",
    ),
}
