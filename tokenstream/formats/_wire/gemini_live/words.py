"""Translate Gemini Live's finish reasons, token counts, and names in snake_case."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dict_of
from tokenstream.formats._kit.count_paths import Counts

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
"""Maps the fields that end a turn, and the words for the reason of its end, to finish reasons."""
SNAKE = re.compile("_([a-z])")


def camel_case(name: str) -> str:
    """Return a field's name in camelCase, as on the wire; SDKs and proxies use snake_case.

    Example:
        >>> camel_case("server_content"), camel_case("serverContent")
        ('serverContent', 'serverContent')
    """
    return SNAKE.sub(lambda match: match[1].upper(), name) if "_" in name else name


def fields_of(fields: dict[str, Any]) -> dict[str, Any]:
    """Return an object's fields with their names in camelCase; names inside the fields are unchanged.

    Example:
        >>> fields_of({"turn_complete": True, "interrupted": False})
        {'turnComplete': True, 'interrupted': False}
    """
    return {(camel_case(name) if "_" in name else name): value for name, value in fields.items()}


def object_in(payload: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a field that is an object, with its names in camelCase; {} if the field is not an object.

    Example:
        >>> object_in({"serverContent": {"turn_complete": True}}, "serverContent")
        {'turnComplete': True}
    """
    return fields_of(dict_of(payload, name))


USAGE = Counts(
    input_tokens="promptTokenCount",
    cached_tokens="cachedContentTokenCount",
    output_tokens="responseTokenCount|candidatesTokenCount",
    reasoning_tokens="thoughtsTokenCount",
    total_tokens="totalTokenCount",
    input_audio_tokens="promptTokensDetails[AUDIO]",
    input_image_tokens="promptTokensDetails[IMAGE]",
    output_audio_tokens="responseTokensDetails[AUDIO]",
    element="tokenCount|token_count",
    apart=True,
)
"""The token counts of a turn; those of the output do not include the thoughts."""
