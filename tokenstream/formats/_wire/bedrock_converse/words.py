"""Translate Bedrock's finish reasons, token counts, citations and media."""

from __future__ import annotations

import binascii
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dict_of, dicts_of, text_of
from tokenstream.formats._kit.count_paths import Counts
from tokenstream.message import Citation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.message import FinishReason

FINISH_REASONS: Mapping[str, FinishReason] = MappingProxyType(
    {
        "end_turn": "stop",
        "tool_use": "tool_calls",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "stop_sequence": "stop_sequence",
        "guardrail_intervened": "content_filter",
        "content_filtered": "content_filter",
        "malformed_model_output": "error",
        "malformed_tool_use": "error",
    }
)
"""Maps Bedrock's stop reasons to finish reasons."""


USAGE = Counts(
    input_tokens="inputTokens",
    output_tokens="outputTokens",
    total_tokens="totalTokens",
    cached_tokens="cacheReadInputTokens|cacheReadInputTokenCount",
    cache_write_tokens="cacheWriteInputTokens|cacheWriteInputTokenCount",
)
"""The token counts; those of the input do not include what was read from a cache or written to it."""


def citation_of(data: dict[str, Any], cites: int) -> Citation:
    """Convert a citation.

    The positions in a citation refer to the source and not to the answer, so they stay in `provider_data`.

    Args:
        data: The citation as the server sent it.
        cites: Index of the part that the citation supports.

    Example:
        >>> citation_of({"title": "Laws", "sourceContent": [{"text": "§ 1"}]}, 0).text
        '§ 1'
    """
    source = text_of(data, "source") or ""
    texts = [text_of(piece, "text") or "" for piece in dicts_of(data.get("sourceContent"))]
    web = dict_of(dict_of(data, "location"), "web")
    return Citation(
        url=text_of(web, "url") or (source if "://" in source else None),
        title=text_of(data, "title"),
        text="".join(texts) or None,
        cites=cites,
        provider_data=data,
    )


def bytes_of(value: object) -> bytes | None:
    r"""Return bytes sent as base64 or, by an SDK, as bytes; None for anything else.

    Example:
        >>> bytes_of("AAA="), bytes_of(b"as they are"), bytes_of("?"), bytes_of(None)
        (b'\x00\x00', b'as they are', None, None)
    """
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str) or not value.isascii():
        return None
    try:
        return binascii.a2b_base64(value, strict_mode=True)
    except binascii.Error:
        return None


def base64_of(value: object) -> str | None:
    """Return base64 for a value that is bytes in an SDK and base64 on the wire; None for any other value.

    Example:
        >>> base64_of("AAA="), base64_of(bytes(2)), base64_of(1)
        ('AAA=', 'AAA=', None)
    """
    if isinstance(value, bytes):
        return binascii.b2a_base64(value, newline=False).decode("ascii")
    return value if isinstance(value, str) and value else None
