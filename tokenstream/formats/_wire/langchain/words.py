"""Translate LangChain's metadata: finish reasons, token counts, and the names of fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dict_of, int_of, is_dict, is_list, says_nothing, text_of
from tokenstream.formats._kit.openai import reason_of
from tokenstream.message import Usage

if TYPE_CHECKING:
    from tokenstream.formats._kit.parts import Parts
    from tokenstream.message import FinishReason

MADE_UP_ID_PREFIXES = ("lc_", "run-")
"""Prefixes of ids that LangChain makes up if the provider sent none."""
MODEL_FIELDS = ("model_name", "model", "model_id")
PROVIDER_FIELDS = ("model_provider", "provider")
"""Fields with the name of the integration that asks the provider, such as "openai"."""
_FINISH_REASON_FIELDS = ("finish_reason", "stop_reason", "stopReason", "done_reason")
"""Fields in which LangChain's integrations pass on the finish reason."""
_STATUS_FIELDS = ("status", "incomplete_details")
"""Fields that hold the finish reason if the model uses OpenAI's Responses API."""
_NORMALIZED_FIELDS = ("normalized_finish_reason", "normalizedFinishReason")
_STATE_FIELDS = ("finish_state", "finishState")
_NORMALIZED_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "context_exceeded": "length",
    "tool_call": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "refusal",
    "error": "error",
}
"""Maps LangChain's own words to finish reasons; "other" is "unknown"."""


def reason_in(metadata: dict[str, Any]) -> str | None:
    """Return the provider's word for the finish reason; None if the answer has not ended.

    Example:
        >>> reason_in({"finish_reason": "stop"}), reason_in({"status": "in_progress"})
        ('stop', None)
    """
    reason = text_of(metadata, *_FINISH_REASON_FIELDS) or text_of(metadata, "status")
    if reason == "incomplete":
        return text_of(dict_of(metadata, "incomplete_details"), "reason") or reason
    # These words of OpenAI's Responses API and of Google mean that the answer has not ended.
    return None if reason in ("in_progress", "queued", "FINISH_REASON_UNSPECIFIED") else reason


def finish_in(finish: dict[str, Any], metadata: dict[str, Any]) -> tuple[FinishReason, str] | None:
    """Return the finish reason of a `message-finish` event and the word for it; None if it names none.

    The provider's own word decides, and LangChain's if the provider's is not known.

    Args:
        finish: The event, which has the fields in LangChain.js.
        metadata: The metadata in it, which have the fields in Python.

    Example:
        >>> finish_in({}, {"finish_reason": "max_tokens", "normalized_finish_reason": "length"})
        ('length', 'max_tokens')
        >>> finish_in({"finishReason": "pause_turn", "finishState": "suspended"}, {})
        ('pause', 'pause_turn')
    """
    normalized = text_of(finish, *_NORMALIZED_FIELDS) or text_of(metadata, *_NORMALIZED_FIELDS)
    # Quirk (@langchain/core 1.4.0, 2026-11): only `reason` names a reason, in words of LangChain's own.
    word = text_of(finish, "finishReason") or reason_in(metadata) or normalized or text_of(finish, "reason")
    if word is None:
        return None
    state = text_of(finish, *_STATE_FIELDS) or text_of(metadata, *_STATE_FIELDS)
    if state == "suspended":
        return "pause", word
    reason = reason_of(word)
    if reason == "unknown" and normalized is not None:
        reason = _NORMALIZED_REASONS.get(normalized, "unknown")
    return reason, word


def usage_of(report: dict[str, Any]) -> Usage:
    """Return the token counts in a report.

    Example:
        >>> usage_of({"output_tokens": 4, "output_token_details": {"reasoning": 3}}).reasoning_tokens
        3
    """
    inputs, outputs = dict_of(report, "input_token_details"), dict_of(report, "output_token_details")
    return Usage(
        input_tokens=int_of(report, "input_tokens"),
        output_tokens=int_of(report, "output_tokens"),
        total_tokens=int_of(report, "total_tokens"),
        reasoning_tokens=int_of(outputs, "reasoning"),
        cached_tokens=int_of(inputs, "cache_read"),
        cache_write_tokens=int_of(inputs, "cache_creation"),
        input_audio_tokens=int_of(inputs, "audio"),
        output_audio_tokens=int_of(outputs, "audio"),
        provider_data=report,
    )


def report_metadata(parts: Parts, metadata: dict[str, Any]) -> None:
    """Report the unknown fields of an answer's metadata, and log probabilities."""
    known = (*_FINISH_REASON_FIELDS, *_STATUS_FIELDS, *_NORMALIZED_FIELDS, *_STATE_FIELDS, *MODEL_FIELDS)
    for name, value in metadata.items():
        if name in known or says_nothing(value):
            continue
        tokens = value.get("content") if name == "logprobs" and is_dict(value) else None
        if is_list(tokens):
            parts.items(name, tokens)
        else:
            parts.field(name, value)
