"""The words by which providers say that a request is too long, or that an account has no credit.

These two kinds of error hide behind general types, such as `invalid_request_error`, and behind statuses
such as 400 and 429. A code that names them decides. Some servers send no such code, but a fixed text: it
is matched from its first word on, because any text may quote a limit in passing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenstream.errors import ErrorKind

_PARTS_OF_CODES: dict[ErrorKind, str] = {
    # OpenAI, Azure, Groq, Cerebras and OpenRouter: context_length_exceeded; llama.cpp:
    # exceed_context_size_error.
    "context_length": "context_length exceed_context_size",
    # Anthropic: billing_error, enforced_spend_limit_reached; AWS: ServiceQuotaExceededException; Moonshot:
    # exceeded_current_quota_error; New API and One API, which are gateways: insufficient_user_quota.
    # OpenAI: billing_hard_limit_reached, billing_not_active, credit_balance_exhausted, insufficient_quota,
    # organization_spend_limit_exceeded, organization_usage_limit_exceeded, usage_limit_reached.
    # OpenRouter and Gemini's Interactions API: insufficient_credits, payment_required.
    "quota": "billing_ insufficient_quota credit_balance spend_limit usage_limit exceeded_current_quota"
    " insufficient_credits payment_required quotaexceeded insufficient_user_quota",
}
"""Maps a kind to the parts of codes and types of errors, in lower case, that mean it; the first counts."""

_KINDS_BY_CODE: dict[str, ErrorKind] = {
    # Gemini's Interactions API. Other servers use longer codes for limits per minute.
    "quota_exceeded": "quota",
    # DashScope: the account is overdue.
    "arrearage": "quota",
    # AG-UI events of our own relay.
    "quota": "quota",
}
"""Maps codes and types of errors, in lower case, to kinds."""

KNOWN_TEXTS: dict[ErrorKind, tuple[str, ...]] = {
    "context_length": (
        # Anthropic.
        r"prompt is too long(?:: \d|\.?$)",
        r"input length and `?max_tokens`? exceed context limit\b",
        # OpenAI.
        r"your input exceeds the context window of this model\b",
        # OpenAI, vLLM, Azure, DeepSeek and Mistral; OpenRouter says "endpoint", and xAI "prompt length".
        r"this (?:model|endpoint)'s maximum (?:context|prompt) length is \d",
        # vLLM.
        r"you passed \d+ input (?:tokens|characters)\b.*\bthe model's context length is only \d",
        r"the \w+ prompt \(.*length \d+\) is longer than the maximum model length of \d",
        # Gemini.
        r"the input token count (?:\(\d+\) )?exceeds the maximum number of tokens allowed\b",
        # Bedrock.
        (
            r"(?:the model returned the following errors: )?(?:input is too long for requested model\b"
            r"|prompt is too long: \d|input length and `?max_tokens`? exceed context limit\b)"
        ),
        r"(?:400 bad request: )?too many input tokens\. max input tokens: \d",
        # Mistral.
        r"prompt contains \d+ tokens\b.* too large for model with \d+ maximum context length",
        # Cohere. "too many tokens: max tokens must be …" is about a parameter; without a colon it is a rate
        # limit.
        r"too many tokens: (?:total number of tokens|size limit exceeded)\b",
        # llama.cpp and Ollama; Ollama alone.
        r"(?:the )?request (?:\(\d+ tokens\) )?exceeds the available context size\b",
        r"prompt too long; exceeded (?:max )?context length\b",
        # LM Studio.
        r"the number of tokens to keep from the initial prompt is greater than the context length\b",
        # SGLang and Together; SGLang alone.
        r"the input \(\d+ tokens\) is longer than the model's context length\b",
        r"requested token count exceeds the model's maximum context length of \d",
        # TGI.
        r"input validation error: `inputs` must have less than \d+ tokens\b",
        r"input validation error: `inputs` tokens \+ `max_new_tokens` must be <= \d",
        # Moonshot.
        r"(?:invalid request: )?your request exceeded model token limit\b",
        # DashScope.
        r"(?:<400> )?(?:internalerror\.algo\.invalidparameter: )?range of input length should be \[",
        # LiteLLM.
        r"litellm\.contextwindowexceedederror\b",
        # tokenstream.
        r"context length exceeded\.?$",
    ),
    "quota": (
        # Anthropic.
        r"your credit balance is too low to access the \w+ api\b",
        r"you have reached your (?:specified )?(?:workspace )?api usage limits\b",
        # OpenAI.
        r"billing hard limit has been reached\b",
        # Gemini.
        r"your prepayment credits are depleted\b",
        # The first sentence alone is what Gemini says of limits per minute, too. A limit of 0 is none that
        # time restores: the account has no access to the model.
        r"(?:you exceeded your current quota\b.*?)?\bquota exceeded for metric: [^\s,]+, limit: 0(?!\.?\d)",
        # DeepSeek; also Z.ai and MiniMax.
        r"insufficient balance\b",
        # OpenRouter.
        r"insufficient credits\b",
        r"this request requires more credits, or fewer max_tokens\b",
        # xAI.
        r"your team (?:\S+ )?has either used all available credits or reached its monthly spending limit\b",
        # tokenstream.
        r"insufficient quota\.?$",
    ),
}
"""The beginnings of error messages, as patterns, with the servers that send them; case is ignored."""


def specific_kind(word: str) -> ErrorKind | None:
    """Return "context_length" or "quota" if a code, type or message means it; None for any other error.

    Example:
        >>> specific_kind("context_length_exceeded"), specific_kind("Insufficient Balance")
        ('context_length', 'quota')
        >>> specific_kind("Rate limit reached for requests; see your quota") is None
        True
    """
    if not any(map(str.isspace, word)):
        code = word.lower().replace("-", "_")
        if code in _KINDS_BY_CODE:
            return _KINDS_BY_CODE[code]
        for kind, parts in _PARTS_OF_CODES.items():
            if any(map(code.__contains__, parts.split())):
                return kind
        return None
    # `re` compiles a pattern at the first error, and keeps it.
    flags = re.IGNORECASE | re.DOTALL
    for kind, texts in KNOWN_TEXTS.items():
        for text in texts:
            if re.match(text, word, flags):
                return kind
    return None
