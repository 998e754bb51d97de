"""Encoder for Mistral's chat API: OpenAI's chunks, except for reasoning, tool calls and token counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream.relay._encoders.encoder import WholeCalls
from tokenstream.relay._encoders.openai.chat import OpenAIChatEncoder
from tokenstream.relay._encoders.openai.shared import COUNTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.errors import ErrorKind
    from tokenstream.events import ReasoningDelta, ToolCallDone
    from tokenstream.message import FinishReason
    from tokenstream.relay._encoders.encoder import Payload, Payloads
    from tokenstream.turns import Kind


class MistralEncoder(WholeCalls, OpenAIChatEncoder):
    """Encodes an answer as chunks with whole calls, as Mistral's SDK requires, and reasoning as content."""

    name: ClassVar[str] = "mistral"
    default_id: ClassVar[str] = "cmpl-1"
    first_delta: ClassVar[dict[str, Any]] = {"role": "assistant", "content": ""}
    expresses: ClassVar[frozenset[Kind]] = frozenset({"text", "reasoning", "tool_call"})
    stand_ins: ClassVar[Mapping[FinishReason, str]] = {
        "content_filter": "content_filter",
        "refusal": "content_filter",
    }
    words: ClassVar[Mapping[FinishReason, str]] = {
        "stop": "stop",
        "length": "length",
        "tool_calls": "tool_calls",
    }

    def make_chunk(self, choice: dict[str, Any]) -> Payload:
        """Return the payload of a chunk, without token counts, which only the last chunk has."""
        return "", {**self.envelope, "choices": [choice]}

    def encode_reasoning(self, event: ReasoningDelta) -> Payloads:
        """Return a delta with a thinking chunk as `content`."""
        text = self.drop_signature(event)
        thought = [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]
        return self.make_delta(event.choice, content=thought) if text else ()

    def encode_call_end(self, event: ToolCallDone) -> Payloads:
        """Return a delta with the whole call."""
        index = self.assign_call_index(event.choice, event.part)
        # The base class notes that the call is complete, and sends nothing.
        super().encode_call_end(event)
        function = {"name": event.call.name, "arguments": event.call.arguments_text}
        call = {"id": event.call.id, "function": function, "index": index}
        return self.make_delta(event.choice, content="", tool_calls=[call])

    def encode_error(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        """Return a chunk without choices that has the error, since Mistral's SDK accepts only chunks."""
        [(name, payload)] = super().encode_error(kind, message, code)
        return [(name, {**self.envelope, "choices": [], **payload})]

    def encode_tail(self) -> Payloads:
        """Return the finish reason of each choice, the token counts with the last, and the sentinel."""
        for number, (choice, event) in enumerate(self.finishes.items(), 1):
            yield from self.begin_choice(choice)
            name, chunk = self.make_choice_chunk(choice, {"content": ""}, self.word_for(event.reason))
            report = COUNTS.write(self.usage) if number == len(self.finishes) else None
            yield name, chunk if not report else {**chunk, "usage": report}
        yield "", "[DONE]"
