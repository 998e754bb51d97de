"""Finish reasons of all providers in one table, for frameworks that pass the words on unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenstream.message import FinishReason

PROVIDERS_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "end_turn": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "complete": "stop",
    "completed": "stop",
    "finished": "stop",
    "stop_sequence": "stop_sequence",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "incomplete": "length",
    "tool_calls": "tool_calls",
    "tool_call": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
    "refusal": "refusal",
    "pause_turn": "pause",
    "cancelled": "cancelled",
    "canceled": "cancelled",
    "error": "error",
    "failed": "error",
    "malformed_function_call": "error",
}
"""Maps providers' words, in lower case, to finish reasons; any other word is "unknown"."""


def reason_of(word: str) -> FinishReason:
    """Return the finish reason for a provider's word.

    Example:
        >>> reason_of("MAX_TOKENS"), reason_of("because")
        ('length', 'unknown')
    """
    return PROVIDERS_REASONS.get(word.lower(), "unknown")
