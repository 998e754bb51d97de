"""Read what a provider's error says of itself, and classify it by its words."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import dict_of, dicts_of, is_dict, text_of
from tokenstream._basics.waits import duration_of, reset_of, retry_after_of
from tokenstream._values.error_kinds import find_kind, is_final
from tokenstream.errors import ErrorKind, ProviderError, StreamError
from tokenstream.formats._kit.errors import CODE_FIELDS, STATUS_FIELDS, first_listed
from tokenstream.formats._kit.values import mend_surrogates

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream._basics.loose import JsonObject

_REPORTED = "the provider reports an error: "

# Words in providers' error types and codes (wire-formats §1.4, §4.5), each with the kind of error and
# whether a retry may help (None: the kind decides); the first match is used. `specific_kind` goes first: a
# sentence with a word such as "billing" does not show whether the account's quota or a rate limit is meant.
_KINDS_BY_SUBSTRING: tuple[tuple[ErrorKind, bool | None, str], ...] = (
    (
        "rate_limited",
        False,
        "insufficient_quota billing spend_limit insufficient_credits payment_required usage_limit",
    ),
    ("overloaded", None, "overloaded"),
    ("rate_limited", None, "slow_down"),
    ("overloaded", None, "unavailable capacity notready"),
    (
        "rate_limited",
        None,
        "rate_limit ratelimit too_many_requests toomanyrequests throttl resource_exhausted",
    ),
    ("rate_limited", False, "quota_exceeded"),
    ("authentication", None, "authentication permission accessdenied invalid_api_key"),
    ("authentication", None, "unauthorized unauthenticated forbidden"),
    ("invalid_request", None, "context_length content_policy content_filter tool_use_failed invalid"),
    ("invalid_request", None, "badrequest bad_request not_found notfound too_large unsupported"),
    ("invalid_request", None, "validation precondition"),
    ("server", None, "timeout deadline_exceeded modelstreamerror modelerror server internal"),
    ("server", None, "api_error apierror bad_gateway upstream network"),
)

# Words that count only as the whole type or code.
_KINDS_BY_WORD: dict[str, ErrorKind] = {
    "generation": "server",
    "incomplete_generation": "server",
    "connection_lost": "network",
    "shutdown": "server",
}

# Two kinds hide behind general types, such as `invalid_request_error`, and behind statuses such as 400 and
# 429. A code that names them decides. Some servers send no such code, but a fixed text: it is matched from
# its first word on, because any text may quote a limit in passing.
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
        (
            r"(?:'max_tokens' or 'max_completion_tokens' is too large: \d+\. )?"
            r"this (?:model|endpoint)'s maximum (?:context|prompt) length is \d"
        ),
        # vLLM.
        r"max_(?:completion_|output_)?tokens=\d+ cannot be greater than max_model_len=",
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
BROKEN_TEXTS = (
    # The openai package, httpx, aiohttp, requests, anyio, Node.js, undici and the AI SDK.
    r"(?:connection error|readerror|request timed out|(?:the read operation|read) timed out)\.?$",
    r"peer closed connection without sending complete message body\b",
    r"response payload is not completed\b",
    r"response (?:ended prematurely|stream ended without a finish reason)\b",
    r"server disconnected(?: without sending a response)?\.?$",
    r"all connection attempts failed\.?$",
    r"(?:\[errno \d+\] )?connection (?:reset by peer|refused|aborted)\.?$",
    r"(?:terminated|fetch failed|socket hang up|(?:read|write|connect) econn(?:reset|refused|aborted)\b.*)$",
)
"""The beginnings of clients' messages about a broken connection, as patterns; case is ignored."""
_BEFORE = (
    r"(?:[\w.]{1,80}(?:error|exception)(?::| -) "
    r"|b?['\"]?\{\s{0,9}\"error\":\s{0,9}\{[^{}]{0,200}?\"message\":\s{0,9}\"){0,4}"
)
"""Matches what LiteLLM and others put before a message: names of exceptions, or the JSON that it is in."""

_PAYMENT_REQUIRED = 402
_MESSAGE_FIELDS = (
    "message msg detail details error errorText status_msg error_msg errmsg err_msg error_message "
    "error_description faultstring Message title err exception data"
)
_MAX_MESSAGE, _MAX_WORD = 500, 100
"""The most characters of a provider's message, and of its code or type, in the message of an error."""
_MOST_HEADERS = 64
"""Headers examined in an error that repeats the provider's headers."""


def classify_error(error: StreamError | None, retryable: Mapping[str, bool]) -> bool:
    """Set `retryable` and `kind` of an error by a format's own table; return True if the table has the error.

    Example:
        >>> from tokenstream.formats._kit.errors import provider_error
        >>> error = provider_error({"error": {"code": "bio_policy", "message": "no"}})
        >>> classify_error(error, {"bio_policy": False}), classify_error(error, {"moulting": True})
        (True, False)
        >>> error.kind, error.retryable
        ('invalid_request', False)
    """
    if not isinstance(error, ProviderError):
        return False
    for word in (error.code, error.type):
        if word is not None and word in retryable:
            error.retryable = retryable[word]
            # The kind, which was derived from general words, must not contradict the table.
            if error.retryable and not StreamError("", kind=error.kind).retryable:
                error.kind = "server"
            elif not error.retryable and error.kind in ("server", "unknown"):
                error.kind = "invalid_request"
            return True
    return False


def error_kind(*words: object) -> tuple[ErrorKind, bool | None]:
    """Return the kind of an error by its words, most specific first, and if it is retryable (None: by kind).

    Example:
        >>> error_kind("overloaded_error"), error_kind(429), error_kind(501)
        (('overloaded', None), ('rate_limited', None), ('server', False))
        >>> error_kind("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum")
        ('context_length', None)
    """
    # Any of the words may be the specific one, such as the message behind a general type.
    for word in filter(None, words):
        specific = specific_kind(word)
        if specific is not None:
            return specific, None
    for word in words:
        if isinstance(word, str) and not word.isdecimal():
            if (general := _general_kind(word)) is not None:
                return general
        elif isinstance(word, int | str) and not isinstance(word, bool):
            # A number of three digits is an HTTP status.
            kind = find_kind(int(word)) if len(str(word)) == len("400") else "unknown"
            if kind != "unknown":
                return kind, False if is_final(int(word)) else None
    return "unknown", None


def _general_kind(word: str) -> tuple[ErrorKind, bool | None] | None:
    """Return what a code, type or message says in passing, as `error_kind` does; None if it says nothing."""
    flat = word.lower().replace(" ", "_").replace("-", "_")
    if flat in _KINDS_BY_WORD:
        return _KINDS_BY_WORD[flat], None
    for kind, retryable, substrings in _KINDS_BY_SUBSTRING:
        if any(map(flat.__contains__, substrings.split())):
            return kind, retryable
    return ("network", None) if _says(word, BROKEN_TEXTS) else None


def specific_kind(word: object) -> ErrorKind | None:
    """Return "context_length" or "quota" if a code, type, status or message means it; otherwise None.

    Example:
        >>> specific_kind("context_length_exceeded"), specific_kind("Insufficient Balance")
        ('context_length', 'quota')
        >>> specific_kind("Rate limit reached for requests; see your quota") is None
        True
    """
    if not isinstance(word, str) or word.isdecimal():
        return "quota" if str(word) == str(_PAYMENT_REQUIRED) else None
    if not any(map(str.isspace, word)):
        code = word.lower().replace("-", "_")
        if code in _KINDS_BY_CODE:
            return _KINDS_BY_CODE[code]
        for kind, parts in _PARTS_OF_CODES.items():
            if any(map(code.__contains__, parts.split())):
                return kind
        return None
    return next((kind for kind, texts in KNOWN_TEXTS.items() if _says(word, texts)), None)


def _says(word: str, texts: tuple[str, ...]) -> bool:
    """Return True if a message begins as one of these texts does."""
    # `re` compiles a pattern at the first error, and keeps it.
    return any(re.match(f"{_BEFORE}(?:{text})", word, re.IGNORECASE | re.DOTALL) for text in texts)


def read_error(details: JsonObject | str, payload: JsonObject, *, ours: str) -> ProviderError:
    """Return the error that details in a payload describe; words of `ours` describe one that says nothing."""
    if isinstance(details, str):
        details = {"message": details, "code": payload.get("code"), "error_type": payload.get("error_type")}
    message = _first_text(details, *_MESSAGE_FIELDS.split(), most=_MAX_MESSAGE)
    kind_word = _first_text(details, "type", "error_type", "status", "kind", most=_MAX_WORD)
    code = _code_of(details)
    if message is None:
        first = first_listed(details)
        message = _first_text(first, *_MESSAGE_FIELDS.split(), most=_MAX_MESSAGE)
        code = _code_of(first) if code is None else code
    # Some providers send further details inside, with the most specific code.
    inner = details.get("details")
    listed = dicts_of(inner) if inner else []
    inner_code = inner.get("error_code") if inner and is_dict(inner) else None
    # A numeric code is less specific than a type, as it is often the HTTP status.
    word_code = code if isinstance(code, str) else None
    kind, retryable = error_kind(inner_code, word_code, kind_word, code, message or ours)
    if retryable is None and listed and _is_daily(listed):
        # As a rate limit, the error would be retried after a short wait.
        kind = "quota"
    words = message or ours or kind_word or code
    error = ProviderError(
        f"{_REPORTED}{words or 'it does not say which'}",
        code=None if code is None else str(code),
        type=kind_word,
        kind=kind,
        retryable=retryable,
        retry_after=_find_error_wait(details, listed),
    )
    error.request_id = _first_text(payload, "request_id")
    error.provider_message = message
    return error


def read_repeated_headers(details: JsonObject) -> dict[str, str]:
    """Return the HTTP headers that an error object repeats, as OpenRouter's do, by lower-case name."""
    metadata = details.get("metadata")
    if not is_dict(metadata):
        return {}
    headers = dict_of(metadata, "headers")
    return {
        name.lower(): value
        for name, value in islice(headers.items(), _MOST_HEADERS)
        if isinstance(value, str)
    }


def _find_error_wait(details: JsonObject, listed: list[JsonObject]) -> float | None:
    """Return the wait in seconds that an error asks for; None if it asks for none.

    Google's APIs send the wait in a `RetryInfo`, such as "17s" (google/rpc/error_details.proto).
    Other APIs repeat HTTP headers in the error; only waits are read from them, not times of day.
    """
    for detail in listed:
        delay = text_of(detail, "retryDelay")
        wait = duration_of(delay) if delay is not None else None
        if wait is not None:
            return wait
    headers = read_repeated_headers(details)
    if not headers:
        return None
    wait = retry_after_of(headers)
    # The error need not be about a rate limit, so only a limit that is used up calls for a wait.
    return reset_of(headers, limited=False) if wait is None else wait


def _is_daily(listed: list[JsonObject]) -> bool:
    """Return whether a Google API's `QuotaFailure` is about a daily quota, which no short wait restores."""
    return any(
        "PerDay" in (text_of(violation, "quotaId") or "")
        for detail in listed
        for violation in dicts_of(detail.get("violations"))
    )


def _first_text(details: JsonObject, *names: str, most: int | None = None) -> str | None:
    for name in names:
        value = details.get(name)
        if isinstance(value, str) and value:
            return value if most is None else _cut(value, most)
    return None


def _cut(text: str, max_length: int) -> str:
    """Return a text cut to `max_length` characters, with an ellipsis, and without half surrogate pairs."""
    return mend_surrogates(text if len(text) <= max_length else f"{text[: max_length - 1]}…")


def _code_of(details: JsonObject) -> int | str | None:
    """Return the error's code if it is text or a number; None for an object, which may hold private data."""
    for name in (*CODE_FIELDS, "__type", *STATUS_FIELDS):
        code = details.get(name)
        if isinstance(code, str) and code and name not in ("status", "error"):
            return _cut(code, _MAX_WORD)
        if isinstance(code, int) and not isinstance(code, bool):
            return code
    return None
