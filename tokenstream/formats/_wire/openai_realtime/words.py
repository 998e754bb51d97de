"""Translate the Realtime API's statuses, token counts and audio formats."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dict_of, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.message import FinishReason

FINISH_REASONS: Mapping[str, FinishReason] = MappingProxyType(
    {
        "completed": "stop",
        "cancelled": "cancelled",
        "failed": "error",
        "max_output_tokens": "length",
        "content_filter": "content_filter",
    }
)
"""Maps the statuses of a response, and the reasons why it is incomplete, to finish reasons."""
_BETA_AUDIO = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
"""Maps the names of audio formats in the beta version of the API to MIME types."""


def finish_reason(status: str, reason: str | None) -> FinishReason:
    """Return a response's finish reason.

    Args:
        reason: The reason in the response's `status_details`, or None.

    Example:
        >>> finish_reason("incomplete", "max_output_tokens"), finish_reason("cancelled", "turn_detected")
        ('length', 'cancelled')
    """
    word = (reason or "") if status == "incomplete" else status
    return FINISH_REASONS.get(word, "unknown")


def output_format(holder: dict[str, Any]) -> dict[str, Any]:
    """Return the format of the output audio that a session or response states; {} if it states none.

    Example:
        >>> output_format({"audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}}}})
        {'type': 'audio/pcm', 'rate': 24000}
        >>> output_format({"output_audio_format": "g711_ulaw"})
        {'type': 'audio/pcmu'}
    """
    audio_format = dict_of(dict_of(dict_of(holder, "audio"), "output"), "format")
    if text_of(audio_format, "type"):
        return audio_format
    # The beta version of the API stated a name only.
    mime_type = _BETA_AUDIO.get(text_of(holder, "output_audio_format") or "")
    return {"type": mime_type} if mime_type else {}
