"""The assistant's turn in a request of Cohere's chat API, version 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import is_list
from tokenstream.turns._turn import AssistantTurn, text_arguments

if TYPE_CHECKING:
    from tokenstream.message import Citation, Message, ReasoningPart, TextPart, ToolCall
    from tokenstream.turns._drop import Drop, Obstacle


def to_cohere(message: Message, drop: Drop) -> dict[str, Any]:
    """Return the assistant's turn for a message; see `Message.to_cohere`."""
    turn = _CohereTurn(message, drop)
    turn.write()
    return turn.build()


class _CohereTurn(AssistantTurn):
    """Collects the parts of a message as the content, tool calls and citations of a Cohere message.

    Each `write_` method returns None, or an obstacle: the reason why the API cannot take the part.
    The name of the reason is the one that `drop=` takes.
    """

    api = "Cohere"
    formats = frozenset({"cohere"})
    sends_text_arguments = True
    # No text and no tool call is sent with a signature.
    accepts_signed = frozenset()

    def __init__(self, message: Message, drop: Drop) -> None:
        super().__init__(message, drop)
        self._content_indexes: dict[int, int] = {}
        """Maps the index of a text or reasoning part in the message to its index in the turn's `content`."""
        self._calls: list[dict[str, Any]] = []
        self._citations: list[dict[str, Any]] = []

    def build(self) -> dict[str, Any]:
        """Return the turn with the parts that were written.

        Raises:
            NotExpressible: Nothing of the message remains.
        """
        plan = self.message.provider_data.get("tool_plan") if self.is_own else None
        # The format keeps the plan as the list of its pieces.
        plan_pieces = plan if is_list(plan) else []
        turn: dict[str, Any] = {}
        if plan_pieces:
            turn["tool_plan"] = "".join([piece for piece in plan_pieces if isinstance(piece, str)])
        if self._calls:
            turn["tool_calls"] = self._calls
        if self.written:
            # A single text is sent as a string, anything else as a list.
            is_only_text = len(self.written) == 1 and self.written[0]["type"] == "text"
            turn["content"] = self.written[0]["text"] if is_only_text else self.written
        if self._citations:
            turn["citations"] = self._citations
        self.check_has_content(turn)
        return {"role": "assistant", **turn}

    def write_text(self, part: TextPart, index: int) -> Obstacle | None:
        """Write a text, unless it is empty, and note its index for citations; always return None."""
        if part.text:
            self._content_indexes[index] = len(self.written)
            self.written.append({**self.fields(part), "type": "text", "text": part.text})
        return None

    def write_reasoning(self, part: ReasoningPart, index: int) -> Obstacle | None:
        """Write reasoning as a `thinking` element.

        Returns:
            The reason not to send it if the reasoning is signed, encrypted, or made by another API;
            else None.
        """
        if not self.is_own or part.redacted is not None or part.signature:
            return "reasoning"
        if part.text:
            self._content_indexes[index] = len(self.written)
            self.written.append({**self.fields(part), "type": "thinking", "thinking": part.text})
        return None

    def write_tool_call(self, part: ToolCall, index: int) -> Obstacle | None:
        """Write a tool call; return None, since every call can be sent."""
        function = {"name": part.name, "arguments": text_arguments(part)}
        self._calls.append({"id": part.id, "type": "function", "function": function})
        return None

    def write_citation(self, part: Citation, index: int) -> Obstacle | None:
        """Write a citation, with the index that the cited text has in the turn.

        Returns:
            The reason not to send it if the cited text is not sent, or if Cohere has sent no source in the
            form of API v2; else None.
        """
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
