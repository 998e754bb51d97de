"""The parts of an answer of Anthropic: each content block becomes one; its events have the block's index."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.untrusted import dict_of, dicts_of, fields_except, is_dict, text_of
from tokenstream.formats._kit.blocks import KeyedParts
from tokenstream.formats._kit.open import note_unread_texts
from tokenstream.formats._kit.parts import empty_part
from tokenstream.formats._kit.values import failure_text, fragment_text
from tokenstream.message import Citation, OpaquePart, ReasoningPart, ServerToolCall, ServerToolResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.open import OpenPart
    from tokenstream.message import Part


class AnthropicBlock:
    """The state of a content block that has not ended.

    Args:
        type: Anthropic's word for the type of the block.
        part: The part of our message that the block became, such as a text or a tool call.
    """

    __slots__ = ("data", "input", "part", "pieces", "signature", "type")

    def __init__(self, type: str, part: OpenPart) -> None:  # noqa: A002 - the field's name
        self.type = type
        self.part = part
        self.input: Any = None
        """The arguments in the block's start event; fragments replace them."""
        self.signature: str | None = None
        """The last signature that was added to the block's reasoning."""
        self.data: JsonObject = {}
        """The data of a compaction block, or of a block of unknown type."""
        self.pieces: list[str] = []
        """The content of a compaction, as its deltas have sent it."""


class AnthropicBlocks(KeyedParts[int, AnthropicBlock]):
    """Turns content blocks into parts of a message; the events of several blocks may alternate."""

    __slots__ = ("_estimated_tokens",)

    def _set_up(self) -> None:
        super()._set_up()
        self._estimated_tokens = 0
        """The sum of the server's estimates of the reasoning's tokens."""

    # -- blocks ------------------------------------------------------------

    def start(self, index: int, content: JsonObject) -> AnthropicBlock:
        self._free(index)
        block_type = text_of(content, "type") or ""
        self.newest = index
        block = self._BLOCK_OPENERS.get(block_type, AnthropicBlocks._open_other)(self, block_type, content)
        self._open[index] = block
        return block

    def add_delta(self, index: int, delta: JsonObject, payload: JsonObject) -> bool:
        """Add a delta to its block; if it fits no block, report its payload as unknown and return False."""
        kind = text_of(delta, "type") or ""
        block = self._open.get(index) or self._open_unannounced(index, kind, delta)
        if block is not None:
            reader = self._DELTA_READERS.get(kind)
            if reader is None:
                note_unread_texts(block.part, delta)
                self.tell_field(kind, fields_except(delta, "type"))
            elif reader(self, block, delta):
                # A delta between those of another open part is a departure.
                self.record_written_part(block.part)
                return True
            else:
                self.note("delta_misfits")
        self.stray(kind or "content_block_delta", payload)
        return False

    def add_whole_block(self, index: int, content: JsonObject) -> None:
        block = self.start(index, content)
        # In a whole message, arguments are documented as JSON values, so they are not a departure.
        self._report_unsent(block, expected=True)
        self.stop(index)

    # -- opening -----------------------------------------------------------

    # Each method opens a block of one type. It is passed the type and the content of the start event.

    def _open_part(self, block_type: str, content: Part) -> AnthropicBlock:
        return AnthropicBlock(block_type, self.open(0, content))

    def _open_text(self, block_type: str, content: JsonObject) -> AnthropicBlock:
        start = empty_part("text", fields_except(content, "type", "text", "citations"))
        block = self._open_part(block_type, start)
        self.add(block.part, text_of(content, "text") or "")
        for citation in dicts_of(content.get("citations")):
            self._cite(block, {"citation": citation})
        return block

    def _open_thinking(self, block_type: str, content: JsonObject) -> AnthropicBlock:
        start = empty_part("reasoning", fields_except(content, "type", "thinking", "signature"))
        block = self._open_part(block_type, start)
        self.add(block.part, text_of(content, "thinking") or "")
        self._sign(block, content)
        return block

    def _open_redacted(self, block_type: str, content: JsonObject) -> AnthropicBlock:
        other_fields = fields_except(content, "type", "data")
        return self._open_part(
            block_type, ReasoningPart(redacted=text_of(content, "data"), provider_data=other_fields)
        )

    def _open_call_block(self, block_type: str, content: JsonObject) -> AnthropicBlock:
        """Open a call of one of the application's tools; a call without a name becomes an opaque part."""
        name = text_of(content, "name")
        if not name:
            self.note("call_nameless")
            return self._open_part(block_type, OpaquePart(type=block_type, data=content))
        other_fields = fields_except(content, "type", "id", "name", "input")
        call_id = text_of(content, "id")
        # `newest` is the index of this block.
        block = AnthropicBlock(
            block_type, self.open_call(0, call_id, name, provider_data=other_fields, number=self.newest)
        )
        block.input = content.get("input")
        return block

    def _open_server_call(self, block_type: str, content: JsonObject) -> AnthropicBlock:
        call = ServerToolCall(
            id=text_of(content, "id") or "",
            name=text_of(content, "name") or "",
            provider_data=fields_except(content, "id", "name", "input"),
        )
        block = self._open_part(block_type, call)
        block.input = content.get("input")
        return block

    def _open_result(self, block_type: str, content: JsonObject) -> AnthropicBlock:
        result = ServerToolResult(
            id=text_of(content, "tool_use_id") or "",
            name=block_type,
            content=content.get("content"),
            provider_data=fields_except(content, "type", "tool_use_id", "content"),
            error=failure_in(content),
        )
        return self._open_part(block_type, result)

    def _open_fallback(self, block_type: str, content: JsonObject) -> AnthropicBlock:
        """Open a block that announces a change of the model; record the new model's name."""
        # After this block, another model continues the answer.
        self.head(model=text_of(dict_of(content, "to"), "model"))
        return self._open_part(block_type, OpaquePart(type=block_type, data=content))

    def _open_other(self, block_type: str, content: JsonObject) -> AnthropicBlock:
        """Open a block of a type that is not in `_BLOCK_OPENERS`, such as the call of a server's tool."""
        if block_type.endswith("_tool_use"):
            return self._open_server_call(block_type, content)
        if block_type.endswith("_tool_result"):
            return self._open_result(block_type, content)
        block = self._open_part(block_type, OpaquePart(type=block_type, data=content))
        # Deltas may add to the data of a compaction.
        block.data = {**content}
        return block

    def _open_unannounced(self, index: int, kind: str, delta: JsonObject) -> AnthropicBlock | None:
        """Open a block for a delta that has none; None if the delta does not show the type of its block."""
        block_type = self._BLOCK_TYPES_OF_DELTAS.get(kind)
        if block_type is None:
            # Arguments alone, for example, lack the tool's name, which only a start event has.
            self._read_unmatched(index, delta.get("partial_json"), is_arguments=kind == "input_json_delta")
            return None
        self._note_unopened(index)
        return self.start(index, {"type": block_type})

    # -- adding ------------------------------------------------------------

    # Each method adds a delta of one type to a block, and returns False if the delta does not fit the block.

    def _add_text(self, block: AnthropicBlock, delta: JsonObject) -> bool:
        """Add a piece of text; return False if the delta does not fit the block."""
        text = delta.get("text")
        return isinstance(text, str) and self.add_or_write(block.part, "text", text)

    def _add_thinking(self, block: AnthropicBlock, delta: JsonObject) -> bool:
        """Add a piece of thinking and its estimated tokens; return False if it does not fit the block."""
        text = delta.get("thinking")
        if not isinstance(text, str) or not self.add_or_write(block.part, "reasoning", text):
            return False
        estimate = delta.get("estimated_tokens")
        if isinstance(estimate, int):
            # Each delta reports its own number of tokens, even if its text is hidden.
            self._estimated_tokens += estimate
            self.field("estimated_tokens", self._estimated_tokens, 0)
        return True

    def _add_input(self, block: AnthropicBlock, delta: JsonObject) -> bool:
        note_unread_texts(block.part, delta, "partial_json")
        fragment = fragment_text(delta.get("partial_json"), self.note)
        if fragment is None or not self.add_fragment(block.part, fragment):
            return False
        if fragment:
            # The fragments replace the input in the block's start.
            block.input = None
        return True

    def _sign(self, block: AnthropicBlock, delta: JsonObject) -> bool:
        signature = delta.get("signature")
        if not isinstance(signature, str) or block.part.kind != "reasoning":
            return False
        # A signature is sent whole, and may repeat the signature in the block's start.
        if signature != block.signature:
            block.signature = signature
            self.add_signature(block.part, signature)
        return True

    def _cite(self, block: AnthropicBlock, delta: JsonObject) -> bool:
        citation = dict_of(delta, "citation")
        if not citation or block.part.kind != "text":
            return False
        self.cite(0, citation_of(citation, block.part.index))
        return True

    def _add_compaction(self, block: AnthropicBlock, delta: JsonObject) -> bool:
        """Add data to a compaction, a summary of the conversation; return False for any other block."""
        if block.type != "compaction":
            return False
        more = fields_except(delta, "type")
        if more is not None:
            block.data.update(more)
            block.pieces.append((text_of(block.data, "content") or "") if "content" in more else "")
            # Anthropic sends one delta. If there are more, their data wait for the end of the block:
            # an event for each of them would repeat all earlier data.
            if len(block.pieces) == 1:
                self._report_data_again(block, {**block.data})
        return True

    def _report_data_again(self, block: AnthropicBlock, data: JsonObject) -> None:
        self.report_start_again(block.part, OpaquePart(type=block.type, data=data))

    # -- closing -----------------------------------------------------------

    def _report_unsent(self, block: AnthropicBlock, *, expected: bool = False) -> None:
        """Report the data and input that a block holds; an object as input is `expected`, or a departure."""
        if len(block.pieces) > 1:
            # Only the first delta was reported when it arrived.
            content = "".join(block.pieces)
            self._report_data_again(block, {**block.data, "content": content} if content else block.data)
        # The input in the start, unless fragments have replaced it.
        value, block.input = block.input, None
        # The start has `{}` if fragments will follow.
        # Quirk (Anthropic, 2025-12): calls made by code have all their input in the start;
        # recording: anthropic-ai-anthropic-programmatic-tool-calling-1-5394e9db.
        if not value:
            return
        if not isinstance(value, str):
            value = json.dumps(value, ensure_ascii=False)
            if not expected:
                self.note("arguments_parsed")
        self.add_fragment(block.part, value)

    _BLOCK_OPENERS: ClassVar[dict[str, Callable[[AnthropicBlocks, str, JsonObject], AnthropicBlock]]] = {
        "text": _open_text,
        "thinking": _open_thinking,
        "redacted_thinking": _open_redacted,
        "tool_use": _open_call_block,
        "fallback": _open_fallback,
    }
    _DELTA_READERS: ClassVar[dict[str, Callable[[AnthropicBlocks, AnthropicBlock, JsonObject], bool]]] = {
        "text_delta": _add_text,
        "thinking_delta": _add_thinking,
        "input_json_delta": _add_input,
        "signature_delta": _sign,
        "citations_delta": _cite,
        "compaction_delta": _add_compaction,
    }
    _BLOCK_TYPES_OF_DELTAS: ClassVar[dict[str, str]] = {
        "text_delta": "text",
        "citations_delta": "text",
        "thinking_delta": "thinking",
        "signature_delta": "thinking",
    }


def citation_of(data: JsonObject, cites: int) -> Citation:
    """Convert a citation of any of Anthropic's types, whose positions are those in the source."""
    # The application chooses the `source` of a search result, which may be a URL or any other name.
    source = text_of(data, "source") or ""
    return Citation(
        url=text_of(data, "url") or (source if "://" in source else None),
        title=text_of(data, "title", "document_title"),
        text=text_of(data, "cited_text"),
        cites=cites,
        provider_data=data,
    )


def failure_in(block: JsonObject) -> str | None:
    """Return the description of a tool's failure in the block of its result; None if the tool has succeeded.

    A tool of Anthropic's has a code as its error; a tool of an MCP server describes it in the content.
    """
    content = block.get("content")
    if block.get("is_error") is True:
        return failure_text(content)
    if is_dict(content) and (text_of(content, "type") or "").endswith("_error"):
        return text_of(content, "error_code") or failure_text(content)
    return None
