"""Translate the finish reasons, metadata, token counts and files of UI message streams."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from tokenstream._basics.untrusted import dict_of, fields_except, is_dict, text_of, text_or_empty
from tokenstream._values.parts import counts_of
from tokenstream.formats._kit.count_paths import Counts
from tokenstream.formats._kit.values import base64_bytes, reasons_of
from tokenstream.message import Citation, MediaPart, Usage

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject

FINISH_REASONS = reasons_of(
    stop="stop",
    length="length",
    content_filter="content-filter",
    tool_calls="tool-calls",
    error="error",
    cancelled="abort",
)
"""Maps the protocol's finish reasons to this library's; "abort" stands for a chunk of this type."""

_DEEPEST_MERGE = 32
"""Levels of metadata that are merged; below them, a later value replaces the earlier value."""
# The AI SDK's names of counts, and providers' names of data about reasoning.
USAGE = Counts(
    input_tokens="inputTokens",
    output_tokens="outputTokens",
    total_tokens="totalTokens",
    reasoning_tokens="reasoningTokens outputTokenDetails.reasoningTokens",
    cached_tokens="cachedInputTokens inputTokenDetails.cacheReadTokens",
    cache_write_tokens="inputTokenDetails.cacheWriteTokens",
    # `raw` is the provider's own report.
    beside="inputTokenDetails.noCacheTokens outputTokenDetails.textTokens raw.*",
)
"""The token counts in the AI SDK's reports."""
_SIGNATURES = ("signature", "thoughtSignature")
_ENCRYPTED = ("redactedData", "redactedContent", "reasoningEncryptedContent")


def merge_metadata(old: object, new: object, depth: int = 0) -> object:
    """Return earlier metadata merged with later metadata: objects key by key, other values replaced."""
    if not is_dict(old) or not is_dict(new) or depth >= _DEEPEST_MERGE:
        return new
    result = {**old}
    for name, value in new.items():
        result[name] = merge_metadata(old.get(name), value, depth + 1)
    return result


def usage_of(metadata: object) -> Usage | None:
    """Return the token counts in a message's metadata; None if there are none.

    The protocol has no field for usage. Applications put the report of the AI SDK into
    the metadata: as `usage`, as `totalUsage`, or field by field.
    """
    if not is_dict(metadata):
        return None
    for report in (dict_of(metadata, "usage"), dict_of(metadata, "totalUsage"), metadata):
        usage = USAGE.read(report)
        if counts_of(usage):
            # If the counts are among the metadata, do not repeat these: the message has them as a field.
            return usage.model_copy(update={"provider_data": {}}) if report is metadata else usage
    return None


def signature_of(data: JsonObject) -> tuple[str | None, str | None]:
    """Return the signature and the encrypted form of reasoning, each None if it is missing."""
    signature = redacted = None
    for metadata in dict_of(data, "providerMetadata").values():
        if is_dict(metadata):
            signature = signature or text_of(metadata, *_SIGNATURES)
            redacted = redacted or text_of(metadata, *_ENCRYPTED)
    return signature, redacted


def citation_of(data: JsonObject, cites: int | None) -> Citation:
    return Citation(
        url=text_of(data, "url"),
        title=text_of(data, "title", "filename"),
        text=text_of(data, "text", "citedText"),
        cites=cites,
        provider_data=fields_except(data, "type"),
    )


def media_of(data: JsonObject) -> MediaPart:
    r"""Return a file as a media part; a data URL is decoded."""
    url = text_or_empty(data, "url")
    content = _decode_data_url(url)
    # A data URL begins with "data:image/png;base64,".
    mime_type = url.removeprefix("data:").partition(",")[0].partition(";")[0] if content is not None else ""
    # A media part is a file by default; other types, such as "reasoning-file", are kept.
    type_field = ("type",) if data.get("type") == "file" else ()
    return MediaPart(
        mime_type=text_of(data, "mediaType") or mime_type or None,
        data=content or b"",
        url=None if content is not None else url or None,
        provider_data=fields_except(data, "url", "mediaType", *type_field),
    )


def _decode_data_url(url: str) -> bytes | None:
    head, comma, text = url.partition(",")
    if not comma or not head.startswith("data:"):
        return None
    if not head.endswith(";base64"):
        return unquote_to_bytes(text)
    return base64_bytes(text)
