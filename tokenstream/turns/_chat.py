"""The assistant's turn in requests with chat messages: of OpenAI Chat and its like, Mistral and Ollama."""

from __future__ import annotations

from base64 import b64encode
from copy import deepcopy
from typing import TYPE_CHECKING

from tokenstream._basics.chat_words import BLOCKS, LEGACY, OPAQUE_FIELDS, SUMMARY_ITEM
from tokenstream._basics.untrusted import text_of
from tokenstream._values.parts import MADE_UP_ID, READ_FROM, dialect_of
from tokenstream.turns._turn import AssistantTurn, make_function, object_in

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.message import (
        Citation,
        MediaPart,
        Message,
        OpaquePart,
        ReasoningPart,
        RefusalPart,
        TextPart,
        ToolCall,
    )
    from tokenstream.turns._drop import Drop, Obstacle

_PLAIN_ITEM = {"type", "text"}
"""The fields of a text without a signature, as an item of a list."""
_FIELDS_INSTEAD_OF_CONTENT = ("refusal", "audio", LEGACY, "tool_calls")
"""Fields of a message; if the content is null, at least one of these fields must be set."""
_DETAIL_TEXT = {"reasoning.summary": "summary", "thinking": "thinking"}
"""Maps types of typed pieces of reasoning to the field for the text; it is `text` for all others."""
_THINKING_BLOCKS = ("thinking", "redacted_thinking")
"""The types of the pieces that belong to the list `thinking_blocks`; all others are `reasoning_details`."""

_CHUNKS = frozenset({"document_url", "file", "image_url", "input_audio", "resource", "resource_link"})
"""Types of chunks that a request may contain, besides text, reasoning and references."""


def to_openai_chat(message: Message, drop: Drop, reasoning_field: str) -> JsonObject:
    return _OpenAIChatTurn(message, drop, reasoning_field).write().build()


class _OpenAIChatTurn(AssistantTurn):
    api = "OpenAI Chat"
    formats = frozenset({"openai-chat"})
    silently_dropped = frozenset({"citation", "server_tool_call", "server_tool_result"})
    sends_text_arguments = True

    def __init__(self, message: Message, drop: Drop, reasoning_field: str) -> None:
        super().__init__(message, drop)
        self._reasoning_field = reasoning_field
        self._items: list[JsonObject] = []
        """The texts, and reasoning among them, as the items of a `content` that is a list."""
        self._refusal: list[str] = []
        self._reasoning: list[str] = []
        self._typed_pieces: dict[str, list[JsonObject]] = {}
        """Lists of typed pieces of reasoning, by the name of the message's field."""
        self._own_calls: list[ToolCall] = []
        self._other_fields: JsonObject = {}
        """Fields of the message that belong to no list of pieces, such as `audio`."""

    def build(self) -> JsonObject:
        # Only a server that has sent such items takes a list.
        is_list = any(item.keys() != _PLAIN_ITEM for item in self._items)
        text = self._items if is_list else "".join([item["text"] for item in self._items])
        content: JsonObject = {}
        if self._refusal:
            content["refusal"] = "".join(self._refusal)
        if self._reasoning:
            content[self._reasoning_field] = "".join(self._reasoning)
        content |= self._typed_pieces
        if self.is_own and "reasoning" not in self._drop:
            # The signatures and the encrypted reasoning that came beside the text, as they came.
            data = self.message.provider_data
            content |= {name: deepcopy(data[name]) for name in OPAQUE_FIELDS if name in data}
        content |= self._other_fields
        # The legacy form has a field for a single call.
        if len(self._own_calls) == 1 and self._own_calls[0].type == LEGACY:
            content[LEGACY] = make_function(self._own_calls[0])
        elif self._own_calls:
            content["tool_calls"] = [self._make_call(call) for call in self._own_calls]
        self.check_has_content(text or content)
        # The content may be null only if the message contains something else; otherwise servers want a str.
        needs_content = content.keys().isdisjoint(_FIELDS_INSTEAD_OF_CONTENT)
        return {"role": "assistant", "content": text if text or needs_content else None, **content}

    def write_text(self, part: TextPart) -> None:
        self._items.append({"type": "text", "text": part.text})

    def write_refusal(self, part: RefusalPart) -> None:
        if part.text:
            self._refusal.append(part.text)

    def write_reasoning(self, part: ReasoningPart) -> Obstacle | None:
        """Add reasoning to the message in the form in which the server sent it.

        Plain text goes to the field for reasoning. Reasoning that is encrypted, that has both text and a
        signature, or that came with a type becomes a typed piece. A signature without text goes to Gemini's
        field `extra_content`.
        """
        fields = self.fields(part)
        has_more_than_text = part.redacted is not None or bool(part.text and part.signature)
        if has_more_than_text or "type" in fields:
            if part.signature and not part.complete:
                # The signature may be cut off, and the API behind the gateway refuses an incomplete one.
                return "incomplete"
            if fields and (part.provider_data or {}).get(READ_FROM) == BLOCKS:
                # Portkey takes Anthropic's blocks as items of the content.
                field = "thinking" if part.redacted is None else "data"
                signed = {"signature": part.signature} if part.signature else {}
                self._items.append({**fields, field: part.redacted or part.text, **signed})
            elif fields.get("type") == SUMMARY_ITEM:
                piece = {"type": "summary_text", "text": part.text, "signature": part.signature}
                self._items.append({"type": SUMMARY_ITEM, "summary": [piece]})
            else:
                self._add_detail(part, fields)
        elif part.text:
            self._reasoning.append(part.text)
        elif part.signature:
            # Gemini's compatible endpoint sends signatures without text.
            self._other_fields["extra_content"] = {"google": {"thought_signature": part.signature}}
        return None

    def _add_detail(self, part: ReasoningPart, fields: JsonObject) -> None:
        """Turn a part's `fields` into a typed piece for the list that OpenRouter or LiteLLM uses."""
        is_redacted = part.redacted is not None
        kind = fields.setdefault("type", "reasoning.encrypted" if is_redacted else "reasoning.text")
        name = "thinking_blocks" if kind in _THINKING_BLOCKS else "reasoning_details"
        if is_redacted:
            fields["data"] = part.redacted
        elif part.text or kind != "reasoning.encrypted":
            # Every other kind of piece has a text, even an empty one, in a field that depends on the kind. A
            # piece that repeats the text of another part has it among its fields.
            field = _DETAIL_TEXT.get(kind, "text")
            fields[field] = part.text or fields.get(field, "")
        if part.signature:
            fields["signature"] = part.signature
        self._typed_pieces.setdefault(name, []).append(fields)

    def write_tool_call(self, part: ToolCall) -> None:
        """Collect a call; its form depends on the number of calls."""
        self._own_calls.append(part)

    def can_send_call(self, call: ToolCall) -> bool:
        """Return True if a call of something other than a function can be sent.

        These are all calls of custom tools, and any other calls that this API has sent itself.
        """
        return call.type == "custom" or self.is_own

    def _make_call(self, call: ToolCall) -> JsonObject:
        fields = self.fields(call)
        if call.type == "custom":
            custom = {"name": call.name, "input": call.arguments_text}
            return {**fields, "id": call.id, "type": "custom", "custom": custom}
        # The legacy form cannot express several calls: they are sent in the current form.
        kind = "function" if call.type == LEGACY else call.type
        return {**fields, "id": call.id, "type": kind, "function": make_function(call)}

    def write_citation(self, part: Citation) -> Obstacle | None:
        """Write a file as OpenRouter has read it, for which it would be paid again, and no other citation."""
        fields = self.fields(part)
        if fields.get("type") != "file":
            return "citation"
        self._other_fields.setdefault("annotations", []).append(fields)
        return None

    def write_media(self, part: MediaPart) -> Obstacle | None:
        """Write audio as the id by which the server knows it; for any other medium, return why not."""
        # The chat API sends only audio, and may leave out its type. The id is unknown to other providers.
        is_audio = (part.mime_type or "audio").partition("/")[0] == "audio"
        if not self.is_own or not part.id or not is_audio:
            return "media"
        self._other_fields["audio"] = {"id": part.id}
        return None


def to_mistral(message: Message, drop: Drop) -> JsonObject:
    return _MistralTurn(message, drop).write().build()


class _MistralTurn(AssistantTurn):
    """Collects the parts of a message as the content chunks and tool calls of a Mistral message."""

    api = "Mistral"
    formats = frozenset({"openai-chat"})
    sends_text_arguments = True
    # No text and no tool call is sent with a signature.
    accepts_signed = frozenset()

    def build(self) -> JsonObject:
        self.check_has_content(self.written or self.calls)
        # Text alone is sent as one string, anything else as a list of chunks.
        is_only_text = all(chunk["type"] == "text" for chunk in self.written)
        content = "".join([chunk["text"] for chunk in self.written]) if is_only_text else self.written
        calls = {"tool_calls": self.calls} if self.calls else {}
        return {"role": "assistant", "content": content, **calls}

    def write_text(self, part: TextPart) -> None:
        if part.text:
            self.written.append({"type": "text", "text": part.text})

    def write_reasoning(self, part: ReasoningPart) -> Obstacle | None:
        """Write reasoning as a `thinking` chunk; if it is in another server's form, return why not."""
        if part.redacted is not None or "type" in self.fields(part):
            return "reasoning"
        chunk: JsonObject = {"type": "thinking", "thinking": [{"type": "text", "text": part.text}]}
        if part.signature:
            chunk["signature"] = part.signature
        if part.complete:
            chunk["closed"] = True
        self.written.append(chunk)
        return None

    def write_citation(self, part: Citation) -> Obstacle | None:
        """Write a reference that Mistral has sent; for any other citation, return why it cannot be sent."""
        chunk = self.fields(part)
        if chunk.get("type") != "reference":
            return "citation"
        self.written.append(chunk)
        return None

    def write_media(self, part: MediaPart) -> Obstacle | None:
        """Write an image that Mistral has sent; for any other medium, return why it cannot be sent."""
        chunk = self.fields(part)
        if chunk.get("type") != "image_url":
            return "media"
        url = part.url or f"data:{part.mime_type or ''};base64,{b64encode(part.data).decode()}"
        self.written.append({**chunk, "image_url": url})
        return None

    def write_opaque(self, part: OpaquePart) -> Obstacle | None:
        """Write a chunk that Mistral has sent, if requests allow its type; else return why not."""
        if text_of(part.data, "type") not in _CHUNKS:
            return "opaque"
        self.written.append(deepcopy(part.data))
        return None


def to_ollama(message: Message, drop: Drop) -> JsonObject:
    return _OllamaTurn(message, drop).write().build()


class _OllamaTurn(AssistantTurn):
    api = "Ollama"
    formats = frozenset({"ollama"})

    def __init__(self, message: Message, drop: Drop) -> None:
        super().__init__(message, drop)
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._images: list[str] = []

    def build(self) -> JsonObject:
        text, thinking = "".join(self._text), "".join(self._thinking)
        turn: JsonObject = {"role": "assistant", "content": text}
        if thinking:
            turn["thinking"] = thinking
        if self._images:
            turn["images"] = self._images
        if self.calls:
            turn["tool_calls"] = self.calls
        self.check_has_content(text or turn.keys() - {"role", "content"})
        return turn

    def write_text(self, part: TextPart) -> None:
        self._text.append(part.text)

    def write_reasoning(self, part: ReasoningPart) -> Obstacle | None:
        """Collect the text of reasoning; if it is hidden, signed or of another API, return why not.

        Ollama's messages have a field for the text alone.
        """
        if part.redacted is not None or part.signature:
            return "reasoning"
        self._thinking.append(part.text)
        return None

    def write_tool_call(self, part: ToolCall) -> None:
        """Write a call, with its id unless this library made the id up."""
        # The provider's own fields of the call; Ollama's `index` belongs inside of "function".
        fields = self.fields(part)
        function: JsonObject = {"name": part.name, "arguments": object_in(part)}
        if "index" in fields:
            function["index"] = fields.pop("index")
        # A server that sent no ids identifies calls by position and name. A call in a text has no id either.
        is_made_up = (part.provider_data or {}).get(MADE_UP_ID) or dialect_of(part) is not None
        self.calls.append(
            {**({} if is_made_up and self.is_own else {"id": part.id}), **fields, "function": function}
        )

    def write_media(self, part: MediaPart) -> Obstacle | None:
        # The only media that Ollama itself answers with are images, and it does not send their type.
        mime_type = part.mime_type or ("image/" if self.is_own else "")
        # Only the data can be sent: not a URL, and no transcript.
        if not mime_type.startswith("image/") or not part.data or part.transcript:
            return "media"
        self._images.append(b64encode(part.data).decode())
        return None
