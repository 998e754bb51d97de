"""Estimates of the tokens of requests, and of answers that were not counted to their end."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream._answer.usage import BYTES_PER_TOKEN, estimate_from
from tokenstream._basics.json import to_json_bytes
from tokenstream._basics.untrusted import is_dict, is_list
from tokenstream.errors import ConnectError, NotAStream, StatusError

if TYPE_CHECKING:
    from tokenstream._basics.request_facts import RequestPair
    from tokenstream.errors import StreamError
    from tokenstream.message import Usage
    from tokenstream.recovery._open import SourceOpener

_UNPAID = (ConnectError, StatusError, NotAStream)
"""Errors of requests that no model has answered, and that cost nothing."""
_PICTURE, _DOCUMENT = 2_000, 20_000
"""Tokens of an image or a sound, and of a document or a video, whatever their size in bytes."""
_TOKENS_BY_TYPE = {
    **dict.fromkeys(("image", "image_url", "input_image", "audio", "audio_url", "input_audio"), _PICTURE),
    **dict.fromkeys(("document_url", "file", "input_file", "url", "video", "video_url"), _DOCUMENT),
}
"""The tokens of a medium by the `type` of its object, or of a document's source."""
_MIME_KEYS = ("mime_type", "mimeType", "media_type")
_CONTENT_KEYS = frozenset({"data", "uri", "file_uri", "fileUri"})
"""Keys of the content, or of its address, in an object that has the content's MIME type."""
_PICTURE_FORMATS = frozenset({"png", "jpeg", "gif", "webp", "mp3", "wav"})
"""Words for `format` in Bedrock Converse that are no document's and no video's."""
_has_data = re.compile(r"data:(image|audio)?[^,\s]{0,99};base64,").match
"""Matches a data URL; the group tells what has fewer tokens than a document."""
_LONGEST_TEXT, _LETTERS = 8_000, 32
"""A text of so many characters without a space, and of so many different ones, is base64."""
_is_word = re.compile(rf"[\w+/-]{{{_LONGEST_TEXT}}}", re.ASCII).match


class RequestSize(NamedTuple):
    """The size of a request: its JSON without media, and the tokens of these."""

    bytes: int = 0
    media_tokens: int = 0

    def count_tokens(self, bytes_per_token: int) -> int:
        return math.ceil(self.bytes / bytes_per_token) + self.media_tokens


def measure_request(asked: RequestPair | None) -> RequestSize:
    """Return the size of the JSON of a request; nothing if that is not known."""
    payload = None if asked is None else asked[1]
    if payload is None or callable(payload):
        return RequestSize()
    size, tokens, left = len(to_json_bytes(payload)), 0, [payload]
    while left:
        value: Any = left.pop()
        if found := _count_text(value) if isinstance(value, str) else _count_medium(value):
            size -= len(to_json_bytes(value))
            tokens += found
        elif is_dict(value):
            left += value.values()
        elif is_list(value):
            left += value
    return RequestSize(size, tokens)


def _count_text(value: str) -> int:
    """Return the tokens of a medium that is in base64 or as a data URL; 0 for a text."""
    if (data := _has_data(value)) is not None:
        return _PICTURE if data[1] else _DOCUMENT
    is_encoded = _is_word(value) and len({*value[:_LONGEST_TEXT]}) > _LETTERS
    return _PICTURE if is_encoded else 0


def _count_medium(value: object) -> int:
    """Return the tokens of an image, a sound, a document or a video; 0 for any other value."""
    if not is_dict(value):
        return 0
    kind = value.get("type")
    if isinstance(kind, str) and (tokens := _TOKENS_BY_TYPE.get(kind)) is not None:
        return tokens
    mime = next((value[key] for key in _MIME_KEYS if isinstance(value.get(key), str)), "text/")
    if not mime.startswith("text/") and not _CONTENT_KEYS.isdisjoint(value):
        return _PICTURE if mime.startswith(("image/", "audio/")) else _DOCUMENT
    if is_dict(value.get("source")) and isinstance(value.get("format"), str):
        return _PICTURE if value["format"] in _PICTURE_FORMATS else _DOCUMENT
    return 0


def is_counted(usage: Usage, error: StreamError | None) -> bool:
    """Return True if the token counts of an attempt that has ended need no estimate."""
    if usage.basis == "none":
        return isinstance(error, _UNPAID)
    return usage.basis == "reported" and bool(usage.output_tokens)


def estimate_attempt(
    usage: Usage, size: int, opener: SourceOpener, request: RequestSize | None = None
) -> Usage:
    """Return the token counts of an attempt that has brought some bytes, with estimates of missing ones."""
    usage = estimate_from(usage, size)
    if usage.input_tokens is not None or opener.asked is None:
        return usage
    tokens = (request or measure_request(opener.sent_request or opener.asked)).count_tokens(BYTES_PER_TOKEN)
    return usage.model_copy(update={"input_tokens": tokens, "basis": "estimated"})
