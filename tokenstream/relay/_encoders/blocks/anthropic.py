"""Encoder for Anthropic's Messages API: the events of a message and of its content blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.text_log import TextLog
from tokenstream._values.error_kinds import word_for
from tokenstream.events import PartDelta, RefusalDelta
from tokenstream.formats._wire.anthropic import COUNTED, FINISH_REASONS
from tokenstream.formats._wire.anthropic.parts import failure_in
from tokenstream.message import Citation, Part, ServerToolCall, ServerToolResult
from tokenstream.relay._encoders.blocks import BlockEncoder, invert_reasons
from tokenstream.relay._encoders.whole_parts import CODE_TOOL, ServerInput, ServerParts, result_texts

if TYPE_CHECKING:
    from tokenstream._basics.loose import AnyEvent, Json, JsonObject
    from tokenstream.errors import ErrorKind
    from tokenstream.events import (
        CitationAdded,
        Event,
        Finish,
        PartDone,
        PartStart,
        ReasoningDelta,
        TextDelta,
        ToolCallDelta,
        ToolCallStart,
    )
    from tokenstream.relay._encoders.encoder import Payload, Payloads
    from tokenstream.relay._encoders.pieces import Template, TextRecorder
    from tokenstream.relay._encoders.vocabulary import ErrorWords

_ERRORS: ErrorWords = {
    "overloaded": "overloaded_error",
    "rate_limited": "rate_limit_error",
    "quota": "billing_error",
    "invalid_request": "invalid_request_error",
    "authentication": "authentication_error",
}
"""Maps kinds of errors to Anthropic's error types; any other kind is "api_error"."""
_COUNTS = COUNTED.without("cache_write_1h_tokens", "web_searches")
_REQUEST_COUNTS = _COUNTS.without("output_tokens", "reasoning_tokens")
_DEFAULT_STOP_SEQUENCE = "\n\nHuman:"
"""The stop sequence to send if no event says which stop sequence ended the answer."""
_LOCATION_SUFFIX = "_location"
"""The suffix of the types of Anthropic's citations; other providers' citations have other types."""
_PRIVATE_CALL_FIELDS = ("caller", "toolset_name")
"""The fields of a tool call that only Anthropic sends."""
_ENDING_FIELDS = ("stop_sequence", "stop_details")
"""The fields of a `message_delta` that only Anthropic sends."""
_MCP_RESULT = "mcp_tool_result"
"""The type of the result of an MCP server's tool, which any tool may have."""
_TEXT = {"type": "text", "text": ""}


class AnthropicEncoder(BlockEncoder):
    """Encodes an answer as the events of Messages, from `message_start` to `message_stop`."""

    name = "anthropic"
    default_id = "msg_1"
    counts = _COUNTS.fields
    words = invert_reasons(FINISH_REASONS)

    def reset(self) -> None:
        super().reset()
        self._inputs: dict[int, ServerInput] = {}
        """The inputs of the open blocks of calls that the provider runs, by part."""
        self._results = ServerParts(ServerToolResult)
        self._signatures: dict[int, list[str]] = {}
        """The pieces of each open block's signature, which is sent whole, before the end of the block."""
        self._refusal = TextLog()

    def encode_head(self) -> Payloads:
        """Return a `message_start` with the request's token counts; `encode_ending` sends all counts."""
        message: JsonObject = {
            "id": self.answer_id,
            "type": "message",
            "role": "assistant",
            "model": self.answer_model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, **_REQUEST_COUNTS.write(self.usage), "output_tokens": 0},
        }
        return [_event("message_start", message=message)]

    def encode_begin(self, index: int, start: object) -> Payloads:
        return [_event("content_block_start", index=index, content_block=start)]

    def encode_end(self, part: int, index: int) -> Payloads:
        """Return the rest of the block, such as a signature, and a `content_block_stop`."""
        # Of a tool that the provider runs: some text of its input may be held back.
        server_input = self._inputs.pop(part, None)
        rest = "" if server_input is None else server_input.end()
        ended = [_delta(index, "input_json_delta", partial_json=rest)] if rest else []
        signature = self._signatures.pop(part, None)
        signed = [_delta(index, "signature_delta", signature="".join(signature))] if signature else []
        return [*ended, *signed, _event("content_block_stop", index=index)]

    def encode_text(self, event: TextDelta) -> Payloads:
        start = self.open_block(event.part, _TEXT)
        return [*start, self._delta(event.part, "text_delta", text=event.text)]

    def encode_refusal_as_text(self, event: RefusalDelta) -> Payloads:
        """Return a `text_delta`, and keep the words, which the end repeats as an explanation."""
        self._refusal.append(event.text)
        return super().encode_refusal_as_text(event)

    def encode_reasoning(self, event: ReasoningDelta) -> Payloads:
        """Return a `thinking_delta`, after a new block's start; the signature is sent at the block's end."""
        payloads = self.open_block(event.part, {"type": "thinking", "thinking": "", "signature": ""})
        if event.text:
            payloads.append(self._delta(event.part, "thinking_delta", thinking=event.text))
        if event.signature is not None:
            # The signature is sent whole, when the block ends.
            self.signed.add(event.part)
            self._signatures.setdefault(event.part, []).append(event.signature)
        return payloads

    def encode_redacted(self, part: int, data: str) -> Payloads:
        before = self.close_block(part)
        return [*before, *self.open_block(part, {"type": "redacted_thinking", "data": data})]

    def encode_call(self, event: ToolCallStart) -> Payloads:
        """Return a `tool_use` block, followed by an empty `input_json_delta`, as from Anthropic."""
        start: JsonObject = {"type": "tool_use", "id": event.id, "name": event.name, "input": {}}
        # If Anthropic has sent the call, it may have fields that no other API has: send them, too.
        start |= {
            name: value for name, value in (event.provider_data or {}).items() if name in _PRIVATE_CALL_FIELDS
        }
        return [*self.open_block(event.part, start), self._input_delta(event.part, "")]

    def encode_arguments(self, event: ToolCallDelta) -> Payloads:
        return [self._input_delta(event.part, event.fragment)]

    def encode_special(self, event: PartStart, content: Part) -> Payloads:
        """Return the start of the block of a tool call that the provider runs.

        The result of such a call is sent when it is complete.
        """
        if content.kind == "server_tool_call":
            start = self.open_block(event.part, _server_call_block(content))
            if not start:
                # A later start of the part repeats the arguments; the block is open already.
                return ()
            self._inputs[event.part] = ServerInput(is_code=content.name.startswith(CODE_TOOL))
            return [*start, *self._server_input_deltas(event.part, content.arguments_text)]
        self._results.begin(event)
        return ()

    def encode_part_end(self, event: PartDone) -> Payloads:
        """Return the end of a part's block; for the result of a provider's tool, its whole block.

        The input of a call that the provider runs may come only here.
        """
        result = self._results.end(event)
        if result is None:
            return [*self._late_input(event), *super().encode_part_end(event)]
        return [*self.open_block(event.part, _server_result_block(result)), *self.close_block(event.part)]

    def encode_fragment(self, event: PartDelta) -> Payloads:
        """Return an `input_json_delta` of a server tool; no payloads if the fragment is held back."""
        if event.part not in self._inputs:
            # A piece of a result, whose part was left out.
            return ()
        return self._server_input_deltas(event.part, event.fragment)

    def make_template(self, event: Event, head: bytes, tail: bytes) -> Template:
        """Return a template: a function that makes the chunk of a later piece from the piece's text.

        The pieces of a server tool's input pass through its `ServerInput`, which may wrap them in JSON.
        """
        server_input = self._inputs.get(event.part or 0) if isinstance(event, PartDelta) else None
        if server_input is None:
            return super().make_template(event, head, tail)
        as_json, feed = self.string, server_input.feed
        return lambda text: head + as_json(feed(text)) + tail

    def find_recorder(self, event: AnyEvent) -> TextRecorder | None:
        return self._refusal.append if isinstance(event, RefusalDelta) else None

    def encode_citation(self, event: CitationAdded) -> Payloads:
        """Return a `citations_delta`, in an empty text block if the block of the cited text has ended."""
        part = self.find_cited_part(event)
        start = self.open_block(part, {**_TEXT, "citations": []})
        sent = event.citation.provider_data if self.is_own_citation(event.citation) else None
        return [*start, self._delta(part, "citations_delta", citation=sent or _to_citation(event.citation))]

    def is_own_citation(self, citation: Citation) -> bool:
        return str((citation.provider_data or {}).get("type")).endswith(_LOCATION_SUFFIX)

    def ping(self) -> list[bytes]:
        return [self.frame(*_event("ping"))]

    def encode_ending(self, event: Finish) -> Payloads:
        """Return a `message_delta` with the stop reason and all token counts, and a `message_stop`."""
        # With this reason, readers expect a stop sequence; the event has it if Anthropic has sent it.
        sequence = _DEFAULT_STOP_SEQUENCE if event.reason == "stop_sequence" else None
        has_refused = self._refusal.length > 0
        # Other APIs end a refusal like any other answer; here, only the end tells that a text is a refusal.
        word = self.word_for("refusal" if has_refused and event.reason == "stop" else event.reason)
        details = {"type": "refusal", "category": None, "explanation": self._refusal.join()}
        delta = {
            "stop_reason": word,
            "stop_sequence": sequence,
            **({"stop_details": details} if has_refused and word == self.words["refusal"] else {}),
            **{name: value for name, value in (event.provider_data or {}).items() if name in _ENDING_FIELDS},
        }
        usage = {"output_tokens": 0, **_COUNTS.write(self.usage)}
        return [_event("message_delta", delta=delta, usage=usage), _event("message_stop")]

    @staticmethod
    def make_error_body(kind: ErrorKind, message: str, code: str | None = None) -> JsonObject:
        error = {"type": code or word_for(kind, _ERRORS, "api_error"), "message": message}
        return {"type": "error", "error": error}

    def encode_error(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        return [("error", self.make_error_body(kind, message, code))]

    # -- within ------------------------------------------------------------------

    def _delta(self, part: int, kind: str, **delta: Json) -> Payload:
        return _delta(self.blocks[part], kind, **delta)

    def _input_delta(self, part: int, fragment: str) -> Payload:
        return self._delta(part, "input_json_delta", partial_json=fragment)

    def _late_input(self, event: PartDone) -> Payloads:
        """Return a delta with the input of a call that the provider runs, if no piece of it came before."""
        server_input, call = self._inputs.get(event.part), event.content
        if server_input is None or not server_input.is_empty or not isinstance(call, ServerToolCall):
            return []
        return self._server_input_deltas(event.part, call.arguments_text)

    def _server_input_deltas(self, part: int, fragment: str) -> Payloads:
        """Return the deltas, if any yet, for a fragment of the input of a tool that the provider runs."""
        server_input = self._inputs.get(part)
        sent = fragment if server_input is None else server_input.feed(fragment)
        return [self._input_delta(part, sent)] if sent else []


def _event(kind: str, **fields: Json) -> Payload:
    return kind, {"type": kind, **fields}


def _delta(index: int, kind: str, **fields: Json) -> Payload:
    return _event("content_block_delta", index=index, delta={"type": kind, **fields})


def _server_call_block(call: ServerToolCall) -> JsonObject:
    """Return the block of a tool call that the provider runs; Anthropic's own fields are kept."""
    fields = call.provider_data or {}
    if not str(fields.get("type")).endswith("_tool_use"):
        # Another provider has sent these fields.
        fields = {"type": "server_tool_use"}
    return {**fields, "id": call.id, "name": call.name, "input": {}}


def _server_result_block(result: ServerToolResult) -> JsonObject:
    """Return the block of a server tool's result; the block's type is the result's name.

    The reader of Anthropic's format stores the type, such as `web_search_tool_result`, as the name. The
    result of another provider's tool is sent like that of an MCP server's tool, as text, and so is one whose
    content does not contain its error.
    """
    error, content = result.error, result.content
    block = {"type": result.name, "tool_use_id": result.id, "content": content}
    if result.name == _MCP_RESULT:
        block["is_error"] = error is not None
    if result.name.endswith("_tool_result") and failure_in(block) == error:
        return {**(result.provider_data or {}), **block}
    texts = result_texts(error, content)
    pieces = [{"type": "text", "text": text} for text in texts if text]
    return {**block, "type": _MCP_RESULT, "is_error": error is not None, "content": pieces}


def _to_citation(citation: Citation) -> JsonObject:
    text = citation.text or ""
    # `document_index` and `encrypted_index` are required, but only Anthropic could know them.
    if citation.url is None:
        document = {"document_index": 0, "document_title": citation.title}
        span = {"start_char_index": 0, "end_char_index": len(text)}
        return {"type": "char_location", "cited_text": text, **document, **span}
    page = {"url": citation.url, "title": citation.title, "encrypted_index": ""}
    return {"type": "web_search_result_location", "cited_text": text, **page}
