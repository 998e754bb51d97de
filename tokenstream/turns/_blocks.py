"""The assistant's turn in content blocks or parts: of Anthropic, Bedrock Converse, Cohere and Gemini."""

from __future__ import annotations

import binascii
from base64 import b64encode
from copy import deepcopy
from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import dict_of, is_dict, is_list, text_of
from tokenstream.message import (
    Citation,
    MediaPart,
    Message,
    OpaquePart,
    ReasoningPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
    ToolCall,
)
from tokenstream.turns._turn import AssistantTurn, object_in

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.turns._drop import Drop, Obstacle

_IMAGE_FORMATS = frozenset({"png", "jpeg", "gif", "webp"})
"""The formats of images that Converse accepts."""
_RESULT_KEYS = frozenset({"document", "image", "json", "searchResult", "text", "video"})
"""The keys that an element of a tool result's content may have in a request."""
_CITATION_KEYS = ("title", "source", "sourceContent", "location")
"""Keys that a citation may have in a request."""


def to_anthropic(message: Message, drop: Drop) -> JsonObject:
    return {"role": "assistant", "content": _AnthropicTurn(message, drop).write_content()}


class _AnthropicTurn(AssistantTurn):
    api = "Anthropic Messages"
    formats = frozenset({"anthropic", "bedrock-invoke"})
    pairs_server_tools = True
    cites_in_text = True

    def write_text(self, part: TextPart) -> None:
        citations = {"citations": self.cited[self.index]} if self.index in self.cited else {}
        # The API refuses a block that is only white space.
        if citations or part.text.strip():
            self.written.append({**self.fields(part), "type": "text", "text": part.text, **citations})

    def write_reasoning(self, part: ReasoningPart) -> Obstacle | None:
        """Write reasoning as a `thinking` block, which must be signed, or as a `redacted_thinking` block."""
        if not part.complete:
            # The signature arrives last, in pieces; the API refuses a block with an incomplete signature.
            return "incomplete"
        if part.redacted is not None:
            block = {"type": "redacted_thinking", "data": part.redacted}
        elif part.signature:
            block = {"type": "thinking", "thinking": part.text, "signature": part.signature}
        elif self.message.format != "anthropic":
            # Only servers that imitate the API, with its format, take back a block that they did not sign.
            return "reasoning"
        elif not part.text:
            # The API refuses a block without text and without a signature.
            return None
        else:
            # Servers that imitate the API do not sign blocks, but want the blocks in the next request.
            block = {"type": "thinking", "thinking": part.text, "signature": ""}
        self.written.append({**self.fields(part), **block})
        return None

    def write_tool_call(self, part: ToolCall) -> None:
        block = {"type": "tool_use", "id": part.id, "name": part.name, "input": object_in(part)}
        self.written.append({**self.fields(part), **block})

    def write_server_tool_call(self, part: ServerToolCall) -> None:
        block = {"type": "server_tool_use", **self.fields(part)}
        self.written.append({**block, "id": part.id, "name": part.name, "input": object_in(part)})

    def can_send_server_tool(self, part: ServerToolCall | ServerToolResult) -> bool:
        """Return True for a result, and for a call whose arguments are a JSON object, as the API requires."""
        return isinstance(part, ServerToolResult) or object_in(part) is not None

    def write_server_tool_result(self, part: ServerToolResult) -> None:
        block = {"type": part.name, "tool_use_id": part.id, "content": deepcopy(part.content)}
        self.written.append({**self.fields(part), **block})

    def write_opaque(self, part: OpaquePart) -> Obstacle | None:
        # The API refuses a call without a name.
        if part.type == "tool_use" or part.data.get("type") != part.type:
            return "opaque"
        self.written.append(deepcopy(part.data))
        return None


def to_bedrock(message: Message, drop: Drop) -> JsonObject:
    return {"role": "assistant", "content": _BedrockTurn(message, drop).write_content()}


class _BedrockTurn(AssistantTurn):
    api = "Bedrock Converse"
    formats = frozenset({"bedrock-converse", "bedrock-invoke"})
    pairs_server_tools = True
    cites_in_text = True

    def write_text(self, part: TextPart) -> None:
        citations = self.cited.get(self.index)
        if citations:
            block = {"content": [{"text": part.text}], "citations": citations}
            self.written.append({"citationsContent": block})
        elif part.text and not part.text.isspace():
            # The API refuses a block that is only white space.
            self.written.append({"text": part.text})

    def write_reasoning(self, part: ReasoningPart) -> Obstacle | None:
        if not part.complete:
            return "incomplete"
        if part.redacted is not None:
            try:
                redacted_bytes = binascii.a2b_base64(part.redacted, strict_mode=True)
            except ValueError:
                return "reasoning"
            self.written.append({"reasoningContent": {"redactedContent": redacted_bytes}})
            return None
        signature = {"signature": part.signature} if part.signature else {}
        if part.text or signature:
            self.written.append({"reasoningContent": {"reasoningText": {"text": part.text, **signature}}})
        return None

    def write_tool_call(self, part: ToolCall) -> None:
        block = {"toolUseId": part.id, "name": part.name, "input": object_in(part)}
        self.written.append({"toolUse": block})

    def write_server_tool_call(self, part: ServerToolCall) -> None:
        """Write a call of a server tool, which Converse distinguishes from other calls by its type."""
        type = text_of(self.fields(part), "type") or "server_tool_use"  # noqa: A001 - the field's name
        block = {"toolUseId": part.id, "name": part.name, "input": object_in(part), "type": type}
        self.written.append({"toolUse": block})

    def can_send_server_tool(self, part: ServerToolCall | ServerToolResult) -> bool:
        """Return True if Converse can express a server tool's result or call; the input must be an object."""
        if isinstance(part, ServerToolResult):
            return bool(part.id) and (
                is_list(part.content)
                and all(is_dict(item) and item.keys() <= _RESULT_KEYS for item in part.content)
            )
        return bool(part.id and part.name) and object_in(part) is not None

    def write_server_tool_result(self, part: ServerToolResult) -> None:
        block = {"toolUseId": part.id, "content": deepcopy(part.content)}
        if part.name:
            block["type"] = part.name
        status = text_of(self.fields(part), "status")
        if status:
            block["status"] = status
        self.written.append({"toolResult": block})

    def to_source(self, data: JsonObject) -> JsonObject:
        """Return a citation's source in Converse's form, from its provider fields; {} if there is none."""
        if "type" in data:
            # Claude's citation, received through InvokeModel: Converse could take only its title.
            return {}
        return deepcopy({name: value for name, value in data.items() if name in _CITATION_KEYS})

    def write_media(self, part: MediaPart) -> Obstacle | None:
        """Write an image, with its bytes or its location in S3; for any other medium, return why not."""
        fields = self.fields(part)
        format = text_of(fields, "format") or (part.mime_type or "").removeprefix("image/")
        # `is_own` is False if another API has produced the message.
        if not self.is_own or format not in _IMAGE_FORMATS:
            return "media"
        if part.data:
            source = {"bytes": part.data}
        elif fields.get("s3Location"):
            source = {"s3Location": fields["s3Location"]}
        else:
            return "media"
        self.written.append({"image": {"format": format, "source": source}})
        return None


def to_cohere(message: Message, drop: Drop) -> JsonObject:
    return _CohereTurn(message, drop).write().build()


class _CohereTurn(AssistantTurn):
    """Collects the parts of a message as the content, tool calls and citations of a Cohere message."""

    api = "Cohere"
    formats = frozenset({"cohere"})
    sends_text_arguments = True
    # No text and no tool call is sent with a signature.
    accepts_signed = frozenset()

    def __init__(self, message: Message, drop: Drop) -> None:
        super().__init__(message, drop)
        self._content_indexes: dict[int, int] = {}
        """Maps the index of a text or reasoning part in the message to its index in the turn's `content`."""
        self._citations: list[JsonObject] = []
        self._plan = ""
        """The model's plan for using tools."""

    def build(self) -> JsonObject:
        turn: JsonObject = {"tool_plan": self._plan} if self._plan else {}
        if self.calls:
            turn["tool_calls"] = self.calls
        if self.written:
            # A single text is sent as a string, anything else as a list.
            is_only_text = len(self.written) == 1 and self.written[0]["type"] == "text"
            turn["content"] = self.written[0]["text"] if is_only_text else self.written
        if self._citations:
            turn["citations"] = self._citations
        self.check_has_content(turn)
        return {"role": "assistant", **turn}

    def write_text(self, part: TextPart) -> None:
        """Write a text, unless it is empty, and note its index for citations."""
        if part.text:
            self._content_indexes[self.index] = len(self.written)
            self.written.append({**self.fields(part), "type": "text", "text": part.text})

    def write_reasoning(self, part: ReasoningPart) -> Obstacle | None:
        if part.redacted is not None or part.signature:
            return "reasoning"
        if self.is_own and part.provider_data == {"type": "tool_plan"}:
            self._plan += part.text
            return None
        if part.text:
            self._content_indexes[self.index] = len(self.written)
            self.written.append({**self.fields(part), "type": "thinking", "thinking": part.text})
        return None

    def write_citation(self, part: Citation) -> Obstacle | None:
        """Write a citation, with the index that the cited text has in the turn."""
        citation = self.fields(part)
        # A citation of API v1 refers to documents by their ids, which v2 does not take.
        if "sources" not in citation:
            return "citation"
        if part.cites is not None:
            if part.cites not in self._content_indexes:
                # The cited part is not sent.
                return "citation"
            citation["content_index"] = self._content_indexes[part.cites]
        self._citations.append(citation)
        return None


_MEDIUM_FIELDS = ("displayName",)
"""Provider fields of a medium that are sent inside `fileData` or `inlineData`, not next to it."""


def to_gemini(message: Message, drop: Drop) -> JsonObject:
    return {"role": "model", "parts": _GeminiTurn(message, drop).write_content()}


class _GeminiTurn(AssistantTurn):
    api = "Gemini"
    formats = frozenset({"gemini", "gemini-live"})
    # Citations are made from metadata next to the content, which is not sent back.
    silently_dropped = frozenset({"citation"})

    def write_text(self, part: TextPart) -> None:
        fields = self.fields(part)
        # A part with empty text may have a signature.
        if part.text or fields:
            self.written.append({"text": part.text, **fields})

    def write_reasoning(self, part: ReasoningPart) -> Obstacle | None:
        """Write reasoning as a thought with its signature; return the obstacle if it is hidden."""
        if part.redacted is not None:
            return "reasoning"
        signature = {"thoughtSignature": part.signature} if part.signature else {}
        self.written.append({"text": part.text, "thought": True, **signature, **self.fields(part)})
        return None

    def write_tool_call(self, part: ToolCall) -> None:
        fields = self.fields(part)
        # A server that identifies calls by position must not get an id that this library made up.
        sent_id = fields.pop("id", None)
        id = sent_id if self.message.format in self.formats else part.id
        call_fields = dict_of(fields, "functionCall")
        fields.pop("functionCall", None)
        call = {**call_fields, "name": part.name, "args": object_in(part)}
        self.written.append({"functionCall": {"id": id, **call} if id else call, **fields})

    def write_server_tool_call(self, part: ServerToolCall) -> Obstacle | None:
        return self._write_unchanged("server_tool_call", self.fields(part))

    def write_server_tool_result(self, part: ServerToolResult) -> Obstacle | None:
        return self._write_unchanged("server_tool_result", self.fields(part))

    def write_opaque(self, part: OpaquePart) -> Obstacle | None:
        return self._write_unchanged("opaque", deepcopy(part.data))

    def _write_unchanged(self, obstacle: Obstacle, fields: JsonObject) -> Obstacle | None:
        """Write a part exactly as the API has sent it; return None, or `obstacle` if that is impossible."""
        if not fields:
            return obstacle
        self.written.append(fields)
        return None

    def write_media(self, part: MediaPart) -> Obstacle | None:
        """Write a medium as `fileData` with its URL, or as `inlineData` with its content."""
        fields = self.fields(part)
        medium_fields = {name: fields.pop(name) for name in _MEDIUM_FIELDS if name in fields}
        mime_type = {"mimeType": part.mime_type} if part.mime_type else {}
        if part.url is not None:
            if not self.is_own:
                # Another provider sent the URL, and Gemini may not be able to open it.
                return "media"
            self.written.append({"fileData": {**mime_type, "fileUri": part.url, **medium_fields}, **fields})
        elif part.data and mime_type:
            data = b64encode(part.data).decode()
            self.written.append({"inlineData": {**mime_type, "data": data, **medium_fields}, **fields})
        else:
            return "media"
        return None
