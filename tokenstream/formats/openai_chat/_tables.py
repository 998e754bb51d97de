"""The dialects of OpenAI Chat, as data: which names mean what."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenstream.message import FinishReason

__all__ = [
    "FINISH_REASONS",
    "ITEM_FIELDS",
    "REASONING_FIELDS",
    "REASONING_LISTS",
    "USAGE_DETAILS",
    "USAGE_FIELDS",
]

FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "tool_call": "tool_calls",
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "sensitive": "content_filter",
    "refusal": "refusal",
    "pause_turn": "pause",
    "abort": "cancelled",
    "aborted": "cancelled",
    "cancelled": "cancelled",
    "canceled": "cancelled",
    "error": "error",
    "network_error": "error",
    "insufficient_system_resource": "error",
}
"""Finish reasons, by the servers' words in lower case."""

REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_text", "thinking")
"""Fields of a delta that hold reasoning as text; the first that has some counts."""

REASONING_LISTS = ("reasoning_details", "thinking_blocks")
"""Fields of a delta that hold reasoning as a list of typed pieces, often beside one of the above."""

ITEM_FIELDS = frozenset({"token_id", "token_ids"})
"""Fields of a choice or a delta whose values add to those before."""

USAGE_FIELDS: dict[str, str] = {
    "prompt_tokens": "input_tokens",
    "input_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "output_tokens": "output_tokens",
    "total_tokens": "total_tokens",
    "reasoning_tokens": "reasoning_tokens",
    "cached_tokens": "cached_tokens",
    "prompt_cache_hit_tokens": "cached_tokens",
    "cache_read_input_tokens": "cached_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
}
"""Counts of a report, and the fields of `Usage` that they are."""

_INPUT_DETAILS = {
    "cached_tokens": "cached_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "audio_tokens": "input_audio_tokens",
    "image_tokens": "input_image_tokens",
}
_OUTPUT_DETAILS = {
    "reasoning_tokens": "reasoning_tokens",
    "audio_tokens": "output_audio_tokens",
    "accepted_prediction_tokens": "accepted_prediction_tokens",
    "rejected_prediction_tokens": "rejected_prediction_tokens",
}
USAGE_DETAILS: dict[str, dict[str, str]] = {
    "prompt_tokens_details": _INPUT_DETAILS,
    "input_tokens_details": _INPUT_DETAILS,
    "completion_tokens_details": _OUTPUT_DETAILS,
    "output_tokens_details": _OUTPUT_DETAILS,
}
"""Groups of finer counts in a report; where one says what a count of the report says too, it counts."""
