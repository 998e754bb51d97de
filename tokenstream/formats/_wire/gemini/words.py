"""Translate Gemini's finish reasons and token counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import int_of, text_of
from tokenstream.formats._kit.count_paths import Counts

if TYPE_CHECKING:
    from tokenstream.message import FinishReason

FINISH_REASONS: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    # "Processing of user input was disabled, since the user is limited": Google's potentially unsafe prompts.
    # The user has violated the "Prohibited Use Policy (PUP)".
    "PUP_LIMITED_DISABLED": "content_filter",
    # "Request was filtered by an escalation rule."
    "ESCALATION": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "MALFORMED_RESPONSE": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    # The image that the model was to generate is missing; an answer without it is not a success.
    "NO_IMAGE": "error",
    "IMAGE_OTHER": "error",
    "CONTINUATION": "pause",
}
"""Maps Gemini's words to finish reasons; any other word is "unknown".

The words and their meanings: `FinishReason` of https://googleapis.github.io/python-genai/genai.html.
"""
_WORDS_BY_NUMBER = {1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION", 5: "OTHER"}
"""Maps the numbers that gRPC uses to Gemini's words; from 6 on, the Gemini API's and Vertex AI's differ."""
_FILTER_NUMBERS = frozenset({"6", "7", "8"})
"""Numbers that mean a content filter, although another one in the Gemini API than in Vertex AI."""
_NO_REASON = "FINISH_REASON_UNSPECIFIED"


def reason_of(candidate: dict[str, Any], *, filled: bool = False) -> str | None:
    """Return a candidate's finish reason, or None if the candidate has none yet.

    A number stands for one of Gemini's words, 0 for no reason; an unknown number is returned as text.

    Args:
        filled: True if the payload was made from an SDK's object, in which unset fields have default values.

    Example:
        >>> reason_of({"finishReason": "STOP"}), reason_of({"finishReason": 2}), reason_of({})
        ('STOP', 'MAX_TOKENS', None)
    """
    number = int_of(candidate, "finishReason")
    if number:
        return _WORDS_BY_NUMBER.get(number, str(number))
    word = text_of(candidate, "finishReason")
    return None if filled and word == _NO_REASON else word


def meaning_of(reason: str) -> FinishReason:
    """Return the finish reason for one of Gemini's words or numbers.

    Example:
        >>> meaning_of("MAX_TOKENS"), meaning_of("stop"), meaning_of("7"), meaning_of("NO_IMAGE")
        ('length', 'stop', 'content_filter', 'error')
    """
    if reason in _FILTER_NUMBERS:
        return "content_filter"
    return FINISH_REASONS.get(reason.upper(), "unknown")


USAGE = Counts(
    input_tokens="promptTokenCount",
    output_tokens="candidatesTokenCount|responseTokenCount",
    total_tokens="totalTokenCount",
    cached_tokens="cachedContentTokenCount",
    reasoning_tokens="thoughtsTokenCount",
    input_audio_tokens="promptTokensDetails[AUDIO]",
    input_image_tokens="promptTokensDetails[IMAGE]",
    output_audio_tokens="candidatesTokensDetails[AUDIO]",
    element="tokenCount",
    apart=True,
)
"""The token counts of an answer; those of the output do not include the thoughts."""
