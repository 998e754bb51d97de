"""Translate Gemini Live's finish reasons, token counts, and names in snake_case."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dict_of, int_of
from tokenstream.formats._kit.values import count_of_kind
from tokenstream.message import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.message import FinishReason

FINISH_REASONS: Mapping[str, FinishReason] = MappingProxyType(
    {
        "generationComplete": "stop",
        "turnComplete": "stop",
        "interrupted": "cancelled",
        "NEED_MORE_INPUT": "pause",
        "MALFORMED_FUNCTION_CALL": "error",
        "RESPONSE_REJECTED": "content_filter",
        "PROHIBITED_INPUT_CONTENT": "content_filter",
        "IMAGE_PROHIBITED_INPUT_CONTENT": "content_filter",
        "INPUT_TEXT_CONTAIN_PROMINENT_PERSON_PROHIBITED": "content_filter",
        "INPUT_IMAGE_CELEBRITY": "content_filter",
        "INPUT_IMAGE_PHOTO_REALISTIC_CHILD_PROHIBITED": "content_filter",
        "INPUT_TEXT_NCII_PROHIBITED": "content_filter",
        "INPUT_OTHER": "content_filter",
        "INPUT_IP_PROHIBITED": "content_filter",
        "BLOCKLIST": "content_filter",
        "UNSAFE_PROMPT_FOR_IMAGE_GENERATION": "content_filter",
        "GENERATED_IMAGE_SAFETY": "content_filter",
        "GENERATED_CONTENT_SAFETY": "content_filter",
        "GENERATED_AUDIO_SAFETY": "content_filter",
        "GENERATED_VIDEO_SAFETY": "content_filter",
        "GENERATED_CONTENT_PROHIBITED": "content_filter",
        "GENERATED_CONTENT_BLOCKLIST": "content_filter",
        "GENERATED_IMAGE_PROHIBITED": "content_filter",
        "GENERATED_IMAGE_CELEBRITY": "content_filter",
        "GENERATED_IMAGE_PROMINENT_PEOPLE_DETECTED_BY_REWRITER": "content_filter",
        "GENERATED_IMAGE_IDENTIFIABLE_PEOPLE": "content_filter",
        "GENERATED_IMAGE_MINORS": "content_filter",
        "OUTPUT_IMAGE_IP_PROHIBITED": "content_filter",
        "GENERATED_OTHER": "content_filter",
        "MAX_REGENERATION_REACHED": "error",
    }
)
"""Maps fields that end a turn, and words for its end, to finish reasons."""
_SNAKE = re.compile("_([a-z])")


def camel(name: str) -> str:
    """Return a field's name in camelCase, as on the wire; SDKs and proxies use snake_case.

    Example:
        >>> camel("server_content"), camel("serverContent")
        ('serverContent', 'serverContent')
    """
    return _SNAKE.sub(lambda match: match[1].upper(), name) if "_" in name else name


def child(payload: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a field that is an object, with its names in camelCase; {} for any other value.

    Example:
        >>> child({"serverContent": {"turn_complete": True}}, "serverContent")
        {'turnComplete': True}
    """
    return {camel(key): value for key, value in dict_of(payload, name).items()}


def bytes_of(written: object) -> bytes | None:
    r"""Decode base64 in either alphabet; return None for any other value.

    Example:
        >>> bytes_of("AAE="), bytes_of("_-8"), bytes_of("?"), bytes_of(1)
        (b'\x00\x01', b'\xff\xef', None, None)
    """
    if not isinstance(written, str) or not written.isascii():
        return None
    plain = written.replace("+", "-").replace("/", "_").rstrip("=")
    if not re.fullmatch("[A-Za-z0-9_-]*", plain) or len(plain) % 4 == 1:
        return None
    return urlsafe_b64decode(plain + "=" * (-len(plain) % 4))


def usage_of(report: dict[str, Any]) -> Usage:
    """Return token counts as `Usage`; counts that the server did not send are None.

    Example:
        >>> usage_of({"responseTokenCount": 5, "thoughtsTokenCount": 2, "totalTokenCount": 9}).output_tokens
        7
    """
    counts = {camel(key): value for key, value in report.items()}
    written = int_of(counts, "responseTokenCount", "candidatesTokenCount")
    thought = int_of(counts, "thoughtsTokenCount")
    both = [count for count in (written, thought) if count is not None]
    return Usage(
        input_tokens=int_of(counts, "promptTokenCount"),
        output_tokens=sum(both) if both else None,
        total_tokens=int_of(counts, "totalTokenCount"),
        reasoning_tokens=thought,
        cached_tokens=int_of(counts, "cachedContentTokenCount"),
        input_audio_tokens=count_of_kind(
            counts.get("promptTokensDetails"), "AUDIO", "tokenCount", "token_count"
        ),
        output_audio_tokens=count_of_kind(
            counts.get("responseTokensDetails"), "AUDIO", "tokenCount", "token_count"
        ),
        input_image_tokens=count_of_kind(
            counts.get("promptTokensDetails"), "IMAGE", "tokenCount", "token_count"
        ),
        provider_data=report,
    )
