"""Translate Gemini's finish reasons and token counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import int_of, text_of
from tokenstream.formats._kit.values import count_of_kind
from tokenstream.message import Usage

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


def usage_of(report: dict[str, Any], output_counts: dict[str, int]) -> Usage:
    """Return token counts as `Usage`; counts that the server did not send are None.

    `candidatesTokenCount` does not include the thoughts, so the output tokens are
    the sum of this count and `thoughtsTokenCount`. A report may lack one of the two;
    the last value of that count still holds.

    Args:
        output_counts: Holds the last values of these two counts between reports; updated from the report.

    Example:
        >>> usage_of({"candidatesTokenCount": 3, "thoughtsTokenCount": 4}, {}).output_tokens
        7
    """
    counts = {
        # The same count has one of two names.
        "answer": int_of(report, "responseTokenCount", "candidatesTokenCount"),
        "thoughts": int_of(report, "thoughtsTokenCount"),
    }
    sent = {name: count for name, count in counts.items() if count is not None}
    # A zero after a positive count is not a count.
    known = {name: count or output_counts.get(name, 0) for name, count in sent.items()}
    output_counts.update(known)
    output_sum = sum(output_counts.values())
    prompt, total = int_of(report, "promptTokenCount"), int_of(report, "totalTokenCount")
    if total and known != sent and total == (prompt or 0) + sum(sent.values()):
        # The total was summed up with such a zero, so it lacks the count that the zero stands for.
        total = (prompt or 0) + output_sum
    return Usage(
        input_tokens=prompt,
        output_tokens=output_sum if output_counts else None,
        total_tokens=total,
        reasoning_tokens=counts["thoughts"],
        cached_tokens=int_of(report, "cachedContentTokenCount"),
        input_audio_tokens=count_of_kind(report.get("promptTokensDetails"), "AUDIO", "tokenCount"),
        output_audio_tokens=count_of_kind(report.get("candidatesTokensDetails"), "AUDIO", "tokenCount"),
        input_image_tokens=count_of_kind(report.get("promptTokensDetails"), "IMAGE", "tokenCount"),
        provider_data=report,
    )
