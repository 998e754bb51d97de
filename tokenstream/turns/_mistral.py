"""The assistant's turn in a request of Mistral's native API."""

from __future__ import annotations

from base64 import b64encode
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import text_of
from tokenstream.turns._turn import AssistantTurn, text_arguments

if TYPE_CHECKING:
    from tokenstream.message import (
        Citation,
        MediaPart,
        Message,
        OpaquePart,
        ReasoningPart,
        TextPart,
        ToolCall,
    )
    from tokenstream.turns._drop import Drop, Obstacle

_CHUNKS = frozenset({"document_url", "file", "image_url", "input_audio", "resource", "resource_link"})
"""Types of chunks that a request may contain, besides text, reasoning and references."""


def to_mistral(message: Message, drop: Drop) -> dict[str, Any]:
    """Return the assistant's turn for a message; see `Message.to_mistral`."""
    turn = _MistralTurn(message, drop)
    turn.write()
    return turn.build()


class _MistralTurn(AssistantTurn):
    """Collects the parts of a message as the content chunks and tool calls of a Mistral message.

    Each `write_` method returns None, or an obstacle: the reason why the API cannot take the part.
    The name of the reason is the one that `drop=` takes.
    """

    api = "Mistral"
    formats = frozenset({"openai-chat"})
    sends_text_arguments = True
    # No text and no tool call is sent with a signature.
    accepts_signed = frozenset()

    def __init__(self, message: Message, drop: Drop) -> None:
        super().__init__(message, drop)
        self._calls: list[dict[str, Any]] = []
        """The tool calls, which are not content: the turn has a field of their own for them."""

    def build(self) -> dict[str, Any]:
        """Return the turn with the parts that were written.

        Raises:
            NotExpressible: Nothing of the message remains.
        """
        self.check_has_content(self.written or self._calls)
        turn: dict[str, Any] = {"role": "assistant", "content": self._content()}
        if self._calls:
            turn["tool_calls"] = self._calls
        return turn

    def _content(self) -> str | list[dict[str, Any]]:
        """Return the content as one string if it is only text, else as a list of chunks."""
        if all(chunk["type"] == "text" for chunk in self.written):
            return "".join([chunk["text"] for chunk in self.written])
        return self.written

    def write_text(self, part: TextPart, index: int) -> Obstacle | None:
        """Write a text part; nothing has to be written for an empty text."""
        if part.text:
            self.written.append({"type": "text", "text": part.text})
        return None

    def write_reasoning(self, part: ReasoningPart, index: int) -> Obstacle | None:
        """Write reasoning as a `thinking` chunk; if it is in another server's form, return why not."""
        if not self.is_own or part.redacted is not None or "type" in self.fields(part):
            return "reasoning"
        chunk: dict[str, Any] = {"type": "thinking", "thinking": [{"type": "text", "text": part.text}]}
        if part.signature:
            chunk["signature"] = part.signature
        if part.complete:
            chunk["closed"] = True
        self.written.append(chunk)
        return None

    def write_tool_call(self, part: ToolCall, index: int) -> Obstacle | None:
        """Write a call of an application's function; return None, since every such call can be sent."""
        function = {"name": part.name, "arguments": text_arguments(part)}
        self._calls.append({"id": part.id, "type": "function", "function": function})
        return None

    def write_citation(self, part: Citation, index: int) -> Obstacle | None:
        """Write a reference that Mistral has sent; for any other citation, return why it cannot be sent."""
        chunk = self.fields(part)
        if chunk.get("type") != "reference":
            return "citation"
        self.written.append(chunk)
        return None

    def write_media(self, part: MediaPart, index: int) -> Obstacle | None:
        """Write an image that Mistral has sent; for any other medium, return why it cannot be sent."""
        chunk = self.fields(part)
        if chunk.get("type") != "image_url":
            return "media"
        url = part.url or f"data:{part.mime_type or ''};base64,{b64encode(part.data).decode()}"
        self.written.append({**chunk, "image_url": url})
        return None

    def write_opaque(self, part: OpaquePart, index: int) -> Obstacle | None:
        """Write a chunk that Mistral has sent, if requests allow its type; else return why not."""
        if not self.is_own or text_of(part.data, "type") not in _CHUNKS:
            return "opaque"
        self.written.append(deepcopy(part.data))
        return None
