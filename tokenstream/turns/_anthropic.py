"""The assistant's turn in a request of Anthropic Messages."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from tokenstream.message import ServerToolResult
from tokenstream.turns._turn import AssistantTurn, object_in

if TYPE_CHECKING:
    from tokenstream.message import (
        Citation,
        Message,
        OpaquePart,
        ReasoningPart,
        ServerToolCall,
        TextPart,
        ToolCall,
    )
    from tokenstream.turns._drop import Drop, Obstacle


def to_anthropic(message: Message, drop: Drop) -> dict[str, Any]:
    """Return the assistant's turn for a message; see `Message.to_anthropic`."""
    return {"role": "assistant", "content": _AnthropicTurn(message, drop).write_content()}


class _AnthropicTurn(AssistantTurn):
    """Writes the parts of a message as content blocks of Anthropic Messages.

    Each `write_` method returns None, or an obstacle: the reason why the API cannot take the part.
    The name of the reason is the one that `drop=` takes.
    """

    api = "Anthropic Messages"
    formats = frozenset({"anthropic", "bedrock-invoke"})
    pairs_server_tools = True
    cites_in_text = True

    def write_text(self, part: TextPart, index: int) -> Obstacle | None:
        """Write text as a block, with its citations; leave out text that is only white space.

        Returns:
            None, since every text can be sent.
        """
        citations = self.cited.get(index)
        # The API refuses a block that is only white space.
        if not citations and (not part.text or part.text.isspace()):
            return None
        block = {**self.fields(part), "type": "text", "text": part.text}
        if citations:
            block["citations"] = citations
        self.written.append(block)
        return None

    def write_reasoning(self, part: ReasoningPart, index: int) -> Obstacle | None:
        """Write reasoning as a `thinking` block, which must be signed, or as a `redacted_thinking` block.

        Returns:
            The reason not to send it if the reasoning is incomplete, made by another API, or lacks a
            signature that it needs; else None.
        """
        if not self.is_own:
            return "reasoning"
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

    def write_tool_call(self, part: ToolCall, index: int) -> Obstacle | None:
        """Write a call as a `tool_use` block.

        Returns:
            None, since the caller leaves out each call that cannot be sent.
        """
        block = {"type": "tool_use", "id": part.id, "name": part.name, "input": object_in(part)}
        self.written.append({**self.fields(part), **block})
        return None

    def write_server_tool_call(self, part: ServerToolCall, index: int) -> Obstacle | None:
        """Write a call of a tool that Anthropic ran.

        If the call is from another API, or if its arguments are not a JSON object, write nothing and
        return the obstacle.
        """
        if not self.is_own or not self.can_send_server_tool(part):
            return "server_tool_call"
        block = {"type": "server_tool_use", **self.fields(part)}
        self.written.append({**block, "id": part.id, "name": part.name, "input": object_in(part)})
        return None

    def can_send_server_tool(self, part: ServerToolCall | ServerToolResult) -> bool:
        """Return True for a result, and for a call whose arguments are a JSON object, as the API requires."""
        return isinstance(part, ServerToolResult) or object_in(part) is not None

    def write_server_tool_result(self, part: ServerToolResult, index: int) -> Obstacle | None:
        """Write the result of a tool that Anthropic ran; if it is from another API, return why not."""
        if not self.is_own:
            return "server_tool_result"
        block = {"type": part.name, "tool_use_id": part.id, "content": deepcopy(part.content)}
        self.written.append({**self.fields(part), **block})
        return None

    def write_citation(self, part: Citation, index: int) -> Obstacle | None:
        """Return None if a citation was written with the text that it supports, else why it was not."""
        return self.find_citation_obstacle(index)

    def write_opaque(self, part: OpaquePart, index: int) -> Obstacle | None:
        """Write a block of an unknown type as it was received; if that is not possible, return why not."""
        # The API refuses a call without a name.
        if not self.is_own or part.type == "tool_use" or part.data.get("type") != part.type:
            return "opaque"
        self.written.append(deepcopy(part.data))
        return None
