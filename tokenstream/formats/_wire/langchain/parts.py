"""LangChain's messages: their content blocks, standard or a provider's own, and their metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import (
    dict_of,
    dicts_of,
    fields_except,
    int_of,
    is_dict,
    is_list,
    says_nothing,
    text_of,
    text_or_empty,
)
from tokenstream.formats._kit.count_paths import Counts
from tokenstream.formats._kit.openai import provider_marks, reason_of
from tokenstream.formats._kit.repeated import text_of_arguments
from tokenstream.formats._kit.values import base64_bytes, failure_text, split_names, worst_of
from tokenstream.message import (
    Citation,
    MediaPart,
    OpaquePart,
    ReasoningPart,
    ServerToolCall,
    ServerToolResult,
)

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject, RuleNote
    from tokenstream.formats._kit.open import OpenCall, OpenPart
    from tokenstream.formats._kit.parts import Parts
    from tokenstream.formats._kit.values import ReadersOf, ReasonsOfWords
    from tokenstream.message import FinishReason

_READ_AS_CALL_CHUNKS = split_names(
    "function_call input_json_delta invalid_tool_call tool_call tool_call_chunk tool_use"
)
"""Types of blocks with a tool call that the message's `tool_call_chunks` contain, too."""
# Types of blocks whose further fields stay with them.
_KEPT = split_names("audio file image server_tool_result video")
_RESULT_FIELDS = ("type", "tool_call_id", "output", "index")
_MEDIA_FIELDS = split_names("type id base64 url mime_type index")
_CITATION_FIELDS = split_names("type url title cited_text start_index end_index")

MESSAGE_FIELDS = split_names(
    # Of messages, their calls, and their blocks: standard ones, and those of Anthropic, OpenAI and Bedrock.
    "additional_kwargs artifact chunk_position content example id invalid_tool_calls lc_source name "
    "response_metadata role status tool_call_chunks tool_call_id tool_calls type usage_metadata "
    "args arguments call_id caller error extras function index input item_id namespace partial_json "
    "annotations base64 block_type data encrypted_content encrypted_index fields logprobs mime_type phase "
    "reasoning reasoning_content refusal signature summary text thinking thought_signature url value"
)
"""The known fields of messages; those of media and of servers' results are kept with them."""
# The known fields of a message's events.
EVENT_FIELDS = MESSAGE_FIELDS | split_names(
    "code content_block delta event finishReason finishState finish_state message metadata "
    "normalizedFinishReason normalized_finish_reason reason responseMetadata run_id usage"
)

MADE_UP_ID_PREFIXES = ("lc_", "run-")
"""Prefixes of ids that LangChain makes up if the provider sent none."""
MODEL_FIELDS = ("model_name", "model", "model_id")
PROVIDER_FIELDS = ("model_provider", "provider")
"""Fields with the name of the integration that asks the provider, such as "openai"."""
_FINISH_REASON_FIELDS = ("finish_reason", "stop_reason", "stopReason", "done_reason")
"""Fields in which LangChain's integrations pass on the finish reason."""
_STATUS_FIELDS = ("status", "incomplete_details")
"""Fields that hold the finish reason if the model uses OpenAI's Responses API."""
_NORMALIZED_FIELDS = ("normalized_finish_reason", "normalizedFinishReason")
_STATE_FIELDS = ("finish_state", "finishState")
_NORMALIZED_REASONS: ReasonsOfWords = {
    "stop": "stop",
    "length": "length",
    "context_exceeded": "length",
    "tool_call": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "refusal",
    "error": "error",
}
"""Maps LangChain's own words to finish reasons; "other" is "unknown"."""


class LangChainBlocks:
    """Reads the content of one answer into its parts."""

    __slots__ = ("_parts", "_server_calls", "_text_index", "_texts")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._text_index: object = None
        """Index of the block with the latest text."""
        self._server_calls: dict[object, OpenPart] = {}
        """Maps block indexes to open calls of tools that the provider runs."""
        self._texts: list[OpenPart] = []
        """The parts with text, to compare them with a whole message."""

    def read(self, content: object) -> None:
        """Read the content of a chunk: text, or a list of texts and blocks."""
        if isinstance(content, str):
            self._write_text(content)
            return
        for block in content if is_list(content) else ():
            if isinstance(block, str):
                self._write_text(block)
            elif is_dict(block):
                self._read_block(block)

    def compare(self, content: object) -> None:
        """Compare the texts of a whole message with those of its chunks, and add what is missing."""
        texts = _texts_in(content)
        if len(texts) < len(self._texts):
            # LangChain has merged several parts, so that no text can be compared with one part.
            self._parts.note("content_twice")
            return
        # A copy, because `_write_text` adds to the list.
        parts = self._texts.copy()
        for part, text in zip(parts, texts, strict=False):
            self._parts.tell(part, text, len(text), goes_on=True)
        for text in texts[len(parts) :]:
            self._parts.note("text_completed")
            self._write_text(text)

    def _write_text(self, text: str) -> None:
        """Add text to the current part; if that is not a part with text, begin one."""
        self._parts.write(0, "text", text)
        part = self._parts.choice(0).current_part
        if text and part is not None and (not self._texts or part is not self._texts[-1]):
            self._texts.append(part)

    def _read_block(self, block: JsonObject) -> None:
        """Read a block; an unknown type becomes opaque, and calls are skipped, as the chunk repeats them."""
        kind = text_of(block, "type") or "block"
        reader = self._READERS.get(kind)
        if kind in _READ_AS_CALL_CHUNKS or (reader and kind not in _KEPT):
            tell_unread_fields(self._parts, block)
        if reader is not None:
            reader(self, block)
        elif kind not in _READ_AS_CALL_CHUNKS:
            self._parts.whole(0, OpaquePart(type=kind, data=block))

    def _read_text(self, block: JsonObject) -> None:
        text, index = text_or_empty(block, "text"), block.get("index")
        current = self._parts.choice(0).current_part
        if text and current is not None and index != self._text_index:
            self._parts.close(current)
        if text:
            self._text_index = index
        self._write_text(text)
        for annotation in dicts_of(block.get("annotations")):
            self._parts.cite(0, citation_of(annotation))

    def _read_reasoning(self, block: JsonObject) -> None:
        """Add reasoning, in any of the forms that providers and LangChain use."""
        # Some blocks have their fields in an object of this name.
        inner = block.get("reasoning_content")
        block = inner if is_dict(inner) else block
        text = text_of(block, "reasoning", "thinking", "text")
        summary = "".join(text_or_empty(piece, "text") for piece in dicts_of(block.get("summary")))
        self._parts.write_reasoning(0, text or summary, find_signature(block))
        encrypted = text_of(block, "encrypted_content")
        if encrypted:
            self._parts.whole(0, ReasoningPart(redacted=encrypted))

    def _read_non_standard(self, block: JsonObject) -> None:
        """Read the provider's own block, which LangChain has wrapped."""
        value = dict_of(block, "value")
        if value.get("type") == block["type"]:
            # A wrapped block in a wrapped block stays wrapped: it adds nothing, and nesting may be deep.
            self._parts.whole(0, OpaquePart(type="non_standard", data=value))
        else:
            self._read_block(value)

    def _read_server_call(self, block: JsonObject) -> None:
        """Read a whole call of a tool that the provider runs, or a piece of one."""
        index = block.get("index") if isinstance(block.get("index"), int | str) else None
        call = self._server_calls.get(index)
        id, name = text_of(block, "id"), text_of(block, "name")
        # Only the first piece of a call has the tool's name.
        if call is None or call.closed or name:
            # `fields_except` returns None if there are no extras.
            data = fields_except(dict_of(block, "extras"))
            part = ServerToolCall(id=id or "", name=name or "", provider_data=data)
            call = self._server_calls[index] = self._parts.open(0, part)
        self._parts.add(call, text_of_arguments(block.get("args") or None))
        if block["type"] == "server_tool_call":
            self._parts.close(call)

    def _read_server_result(self, block: JsonObject) -> None:
        """Add the result of a tool that the provider ran, and close the open calls of such tools."""
        # Calls that arrive in pieces have no mark of their end; a result shows that they have ended.
        for call in self._server_calls.values():
            self._parts.close(call)
        self._parts.whole(
            0,
            ServerToolResult(
                id=text_or_empty(block, "tool_call_id"),
                content=block.get("output"),
                provider_data=fields_except(block, *_RESULT_FIELDS),
                error=failure_text(block.get("output")) if block.get("status") == "error" else None,
            ),
        )

    def _read_media(self, block: JsonObject) -> None:
        """Add media that are base64 or a URL; media in any other form become an opaque part."""
        encoded = block.get("base64")
        data = b"" if encoded is None else base64_bytes(encoded)
        if data is None or not (data or text_of(block, "url")):
            self._parts.add_undecodable_media(0, str(block["type"]), block)
            return
        id, mime_type, url = [text_of(block, name) for name in ("id", "mime_type", "url")]
        data_fields = fields_except(block, *_MEDIA_FIELDS)
        media = MediaPart(id=id, mime_type=mime_type, url=url, provider_data=data_fields)
        part = self._parts.open(0, media)
        self._parts.add_media(part, data)
        self._parts.close(part)

    _READERS: ClassVar[ReadersOf[LangChainBlocks]] = {
        "text": _read_text,
        "reasoning": _read_reasoning,
        # Native names of providers, which LangChain has not translated.
        "thinking": _read_reasoning,
        "reasoning_content": _read_reasoning,
        "redacted_thinking": lambda self, block: self._parts.whole(
            0, ReasoningPart(redacted=text_of(block, "data"))
        ),
        "refusal": lambda self, block: self._parts.write(0, "refusal", text_or_empty(block, "refusal")),
        "non_standard": _read_non_standard,
        "server_tool_call": _read_server_call,
        "server_tool_call_chunk": _read_server_call,
        "server_tool_result": _read_server_result,
        "audio": _read_media,
        "file": _read_media,
        "image": _read_media,
        "video": _read_media,
    }


def tell_unread_fields(parts: Parts, block: JsonObject) -> None:
    """Count the fields of a block that are not read; those of its citations and its wrapped block are."""
    parts.tell_inside({**block, "annotations": None, "value": None}, MESSAGE_FIELDS)


def _texts_in(content: object) -> list[str]:
    """Return the texts in the content of a message that are not empty."""
    blocks = content if is_list(content) else [content]
    texts: list[str] = []
    for block in blocks:
        # A text may stand for itself, or in a block of the type "text".
        text = block
        if is_dict(block):
            text = text_of(block, "text") if block.get("type") == "text" else None
        if isinstance(text, str) and text:
            texts.append(text)
    return texts


def find_signature(block: JsonObject) -> str | None:
    return text_of(block, "signature") or text_of(dict_of(block, "extras"), "signature")


def citation_of(annotation: JsonObject) -> Citation:
    return Citation(
        url=text_of(annotation, "url"),
        title=text_of(annotation, "title"),
        text=text_of(annotation, "cited_text"),
        start=int_of(annotation, "start_index"),
        end=int_of(annotation, "end_index"),
        provider_data=fields_except(annotation, *_CITATION_FIELDS),
    )


def reason_in(metadata: JsonObject, note: RuleNote, *reasons: str | None) -> str | None:
    """Return the provider's word for the finish reason, the worst of several; None if the answer goes on.

    Further words may be those of the event that has the metadata.
    """
    marks = provider_marks(metadata, *reasons, *[text_of(metadata, name) for name in _FINISH_REASON_FIELDS])
    return worst_of(marks, note)[1] if marks else None


def finish_in(finish: JsonObject, metadata: JsonObject, note: RuleNote) -> tuple[FinishReason, str] | None:
    """Return the finish reason of a `message-finish` event and the word for it; None if it names none.

    The provider's own word decides, and LangChain's if the provider's is not known.

    Example:
        >>> finish_in({}, {"finish_reason": "max_tokens", "normalized_finish_reason": "length"}, print)
        ('length', 'max_tokens')
        >>> finish_in({"finishReason": "pause_turn", "finishState": "suspended"}, {}, print)
        ('pause', 'pause_turn')
    """
    normalized = text_of(finish, *_NORMALIZED_FIELDS) or text_of(metadata, *_NORMALIZED_FIELDS)
    # Quirk (@langchain/core 1.4.0, 2026-11): only `reason` names a reason, in words of LangChain's own.
    word = reason_in(metadata, note, text_of(finish, "finishReason"))
    word = word or normalized or text_of(finish, "reason")
    if word is None:
        return None
    state = text_of(finish, *_STATE_FIELDS) or text_of(metadata, *_STATE_FIELDS)
    if state == "suspended":
        return "pause", word
    reason = reason_of(word)
    if reason == "unknown" and normalized is not None:
        reason = _NORMALIZED_REASONS.get(normalized, "unknown")
    return reason, word


COUNTED = Counts(
    input_tokens="input_tokens",
    output_tokens="output_tokens",
    total_tokens="total_tokens",
    reasoning_tokens="output_token_details.reasoning",
    cached_tokens="input_token_details.cache_read",
    cache_write_tokens="input_token_details.cache_creation",
    cache_write_1h_tokens="input_token_details.ephemeral_1h_input_tokens",
    input_audio_tokens="input_token_details.audio",
    output_audio_tokens="output_token_details.audio",
    # The names of OpenAI's tiers are in front of, or in place of, those of its counts.
    beside="input_token_details.ephemeral_5m_input_tokens|text|image|video|priority|priority_cache_read|flex"
    "|flex_cache_read output_token_details.text|image|video|priority|priority_reasoning|flex|flex_reasoning",
)
"""The token counts of LangChain's `usage_metadata`."""


def report_metadata(parts: Parts, metadata: JsonObject) -> None:
    """Report the unknown fields of an answer's metadata, and log probabilities."""
    known = (*_FINISH_REASON_FIELDS, *_STATUS_FIELDS, *_NORMALIZED_FIELDS, *_STATE_FIELDS, *MODEL_FIELDS)
    for name, value in metadata.items():
        if name in known or says_nothing(value):
            continue
        tokens = value.get("content") if name == "logprobs" and is_dict(value) else None
        if is_list(tokens):
            parts.items(name, tokens)
        else:
            parts.field(name, value)


def close_before_next(parts: Parts, call: OpenCall | None) -> None:
    """Hand out a call, because another one begins; if its arguments are not whole, leave it open."""
    if call is not None and call.has_arguments and call.is_whole:
        parts.close_call(call)
