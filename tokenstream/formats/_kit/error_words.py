"""The words by which providers say that a request is too long, or that an account has no credit.

These two kinds of error hide behind general types, such as `invalid_request_error`, and behind statuses
such as 400 and 429. A code that names them decides. Some servers send no such code, but a fixed text: it
is matched from its first word on, because any text may quote a limit in passing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tokenstream.errors import ErrorKind


class KnownText(NamedTuple):
    """The beginning of an error message that means one kind of error."""

    server: str
    """The names of the servers that send the message."""
    pattern: str
    """A regular expression for the beginning of the message; case is ignored."""
    kind: ErrorKind


_KINDS_BY_PART_OF_CODE: tuple[tuple[str, ErrorKind], ...] = (
    # OpenAI, Azure, Groq, Cerebras and OpenRouter: context_length_exceeded.
    ("context_length", "context_length"),
    # llama.cpp: exceed_context_size_error.
    ("exceed_context_size", "context_length"),
    # Anthropic: billing_error; OpenAI: billing_hard_limit_reached, billing_not_active.
    ("billing_", "quota"),
    # OpenAI: credit_balance_exhausted, organization_spend_limit_exceeded, organization_usage_limit_exceeded,
    # usage_limit_reached; Anthropic: enforced_spend_limit_reached.
    ("insufficient_quota", "quota"),
    ("credit_balance", "quota"),
    ("spend_limit", "quota"),
    ("usage_limit", "quota"),
    # Moonshot: exceeded_current_quota_error.
    ("exceeded_current_quota", "quota"),
    # OpenRouter and Gemini's Interactions API.
    ("insufficient_credits", "quota"),
    ("payment_required", "quota"),
    # AWS: ServiceQuotaExceededException.
    ("quotaexceeded", "quota"),
    # New API and One API, which are gateways.
    ("insufficient_user_quota", "quota"),
)
"""Pairs of a part of an error's code or type, in lower case, and its kind; the first part found decides."""

_KINDS_BY_CODE: dict[str, ErrorKind] = {
    # Gemini's Interactions API. Other servers use longer codes for limits per minute.
    "quota_exceeded": "quota",
    # DashScope: the account is overdue.
    "arrearage": "quota",
    # AG-UI events of our own relay.
    "quota": "quota",
}
"""Maps codes and types of errors, in lower case, to kinds."""

KNOWN_TEXTS: tuple[KnownText, ...] = (
    KnownText("Anthropic", r"prompt is too long(?:: \d|\.?$)", "context_length"),
    KnownText("Anthropic", r"input length and `?max_tokens`? exceed context limit\b", "context_length"),
    KnownText("OpenAI", r"your input exceeds the context window of this model\b", "context_length"),
    # Also Azure, DeepSeek and Mistral; OpenRouter says "endpoint", and xAI "prompt length".
    KnownText(
        "OpenAI, vLLM", r"this (?:model|endpoint)'s maximum (?:context|prompt) length is \d", "context_length"
    ),
    KnownText(
        "vLLM",
        r"you passed \d+ input (?:tokens|characters)\b.*\bthe model's context length is only \d",
        "context_length",
    ),
    KnownText(
        "vLLM",
        r"the \w+ prompt \(.*length \d+\) is longer than the maximum model length of \d",
        "context_length",
    ),
    KnownText(
        "Gemini",
        r"the input token count (?:\(\d+\) )?exceeds the maximum number of tokens allowed\b",
        "context_length",
    ),
    KnownText(
        "Bedrock",
        r"(?:the model returned the following errors: )?"
        r"(?:input is too long for requested model\b|prompt is too long: \d"
        r"|input length and `?max_tokens`? exceed context limit\b)",
        "context_length",
    ),
    KnownText(
        "Bedrock", r"(?:400 bad request: )?too many input tokens\. max input tokens: \d", "context_length"
    ),
    KnownText(
        "Mistral",
        r"prompt contains \d+ tokens\b.* too large for model with \d+ maximum context length",
        "context_length",
    ),
    # "too many tokens: max tokens must be …" is about a parameter, and without a colon it is a rate limit.
    KnownText(
        "Cohere", r"too many tokens: (?:total number of tokens|size limit exceeded)\b", "context_length"
    ),
    KnownText(
        "llama.cpp, Ollama",
        r"(?:the )?request (?:\(\d+ tokens\) )?exceeds the available context size\b",
        "context_length",
    ),
    KnownText("Ollama", r"prompt too long; exceeded (?:max )?context length\b", "context_length"),
    KnownText(
        "LM Studio",
        r"the number of tokens to keep from the initial prompt is greater than the context length\b",
        "context_length",
    ),
    KnownText(
        "SGLang, Together",
        r"the input \(\d+ tokens\) is longer than the model's context length\b",
        "context_length",
    ),
    KnownText(
        "SGLang", r"requested token count exceeds the model's maximum context length of \d", "context_length"
    ),
    KnownText(
        "TGI",
        r"input validation error: `inputs` "
        r"(?:must have less than \d+ tokens\b|tokens \+ `max_new_tokens` must be <= \d)",
        "context_length",
    ),
    KnownText(
        "Moonshot", r"(?:invalid request: )?your request exceeded model token limit\b", "context_length"
    ),
    KnownText(
        "DashScope",
        r"(?:<400> )?(?:internalerror\.algo\.invalidparameter: )?range of input length should be \[",
        "context_length",
    ),
    KnownText("LiteLLM", r"litellm\.contextwindowexceedederror\b", "context_length"),
    KnownText("tokenstream", r"context length exceeded\.?$", "context_length"),
    KnownText("Anthropic", r"your credit balance is too low to access the \w+ api\b", "quota"),
    KnownText(
        "Anthropic", r"you have reached your (?:specified )?(?:workspace )?api usage limits\b", "quota"
    ),
    KnownText("OpenAI", r"billing hard limit has been reached\b", "quota"),
    KnownText("Gemini", r"your prepayment credits are depleted\b", "quota"),
    # The first sentence alone is what Gemini says of limits per minute, too. A limit of 0 is none that
    # time restores: the account has no access to the model.
    KnownText(
        "Gemini",
        r"(?:you exceeded your current quota\b.*?)?\bquota exceeded for metric: [^\s,]+, limit: 0(?!\.?\d)",
        "quota",
    ),
    # Also Z.ai and MiniMax.
    KnownText("DeepSeek", r"insufficient balance\b", "quota"),
    KnownText("OpenRouter", r"insufficient credits\b", "quota"),
    KnownText("OpenRouter", r"this request requires more credits, or fewer max_tokens\b", "quota"),
    KnownText(
        "xAI",
        r"your team (?:\S+ )?has either used all available credits or reached its monthly spending limit\b",
        "quota",
    ),
    KnownText("tokenstream", r"insufficient quota\.?$", "quota"),
)
"""Known error messages: first those that mean `context_length`, and then those that mean `quota`."""


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
        for part, kind in _KINDS_BY_PART_OF_CODE:
            if part in code:
                return kind
        return None
    # `re` compiles a pattern at the first error, and keeps it.
    flags = re.IGNORECASE | re.DOTALL
    return next((text.kind for text in KNOWN_TEXTS if re.match(text.pattern, word, flags)), None)
