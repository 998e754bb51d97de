"""Encoder for Ollama's `/api/chat`: one JSON object per line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.json import to_json_bytes
from tokenstream.relay._encoders.encoder import Encoder, WholeCalls
from tokenstream.relay._encoders.pieces import string
from tokenstream.relay._encoders.vocabulary import CREATED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.errors import ErrorKind
    from tokenstream.events import ReasoningDelta, TextDelta, ToolCallDone
    from tokenstream.message import FinishReason, Usage
    from tokenstream.relay._encoders.encoder import Payload, Payloads
    from tokenstream.turns import Kind

_ESCAPED = {
    character.encode(): b"\\u%04x" % ord(character) for character in ("<", ">", "&", "\u2028", "\u2029")
}
"""The characters that Go escapes in JSON; Ollama's SDK would take the last two for line ends."""
_LOAD_DURATION = 1_000_000
_PER_INPUT_TOKEN, _PER_OUTPUT_TOKEN = 1_000_000, 20_000_000
"""The durations in the statistics, in nanoseconds."""


class OllamaEncoder(WholeCalls, Encoder):
    """Encodes an answer as lines of `/api/chat`; tool calls are sent whole and without an id."""

    name: ClassVar[str] = "ollama"
    content_type: ClassVar[str] = "application/x-ndjson"
    expresses: ClassVar[frozenset[Kind]] = frozenset({"text", "reasoning", "tool_call"})
    counts: ClassVar[frozenset[str]] = frozenset({"input_tokens", "output_tokens"})
    stand_ins: ClassVar[Mapping[FinishReason, str]] = {
        "content_filter": "content_filter",
        "refusal": "content_filter",
    }
    words: ClassVar[Mapping[FinishReason, str]] = {"stop": "stop", "length": "length"}
    names_calls: ClassVar[bool] = False

    @staticmethod
    def string(text: str) -> bytes:
        """Return text as a JSON string with Go's escapes."""
        return _escape_like_go(string(text))

    def encode_text(self, event: TextDelta) -> Payloads:
        """Return a line with `content`."""
        return [self._make_line({"role": "assistant", "content": event.text})]

    def encode_reasoning(self, event: ReasoningDelta) -> Payloads:
        """Return a line with `thinking`; a signature is omitted."""
        text = self.drop_signature(event)
        return [self._make_line({"role": "assistant", "content": "", "thinking": text})] if text else ()

    def encode_call_end(self, event: ToolCallDone) -> Payloads:
        """Return a line with the call.

        Raises:
            NotExpressible: The call's arguments are not a JSON object, and `drop` does not allow leaving the
                call out.
        """
        arguments = self.parse_arguments(event)
        if arguments is None:
            return ()
        function = {"name": event.call.name, "arguments": arguments}
        return [self._make_line({"role": "assistant", "content": "", "tool_calls": [{"function": function}]})]

    def encode_tail(self) -> Payloads:
        """Return the last line, with the finish reason and the statistics."""
        reason = self.word_for(self.finishes[0].reason)
        name, line = self._make_line({"role": "assistant", "content": ""})
        return [(name, {**line, "done": True, "done_reason": reason, **_statistics(self.usage)})]

    def encode_error(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        """Return a line with the error's message."""
        return [("", {"error": message})]

    def frame(self, name: str, payload: object) -> bytes:
        """Return a payload as a line.

        Args:
            name: Not used: lines have no names.
            payload: A JSON value, or text, which is sent unchanged.
        """
        if isinstance(payload, str):
            return payload.encode() + b"\n"
        return _escape_like_go(to_json_bytes(payload)) + b"\n"

    # -- within ----------------------------------------------------------------

    def _make_line(self, message: dict[str, Any]) -> Payload:
        """Return the payload of a line with a piece of the message; lines have no event name."""
        return "", {"model": self.answer_model, "created_at": CREATED, "message": message, "done": False}


def _escape_like_go(line: bytes) -> bytes:
    """Return JSON with the escapes that Go writes in place of some characters, such as `<`."""
    for character, escape in _ESCAPED.items():
        line = line.replace(character, escape)
    return line


def _statistics(usage: Usage) -> dict[str, int]:
    """Return token counts, and durations made up from them; as from Ollama, an unknown count has no field."""
    input_tokens, output_tokens = usage.input_tokens, usage.output_tokens
    if input_tokens is None and output_tokens is None:
        return {}
    input_duration = (input_tokens or 0) * _PER_INPUT_TOKEN
    output_duration = (output_tokens or 0) * _PER_OUTPUT_TOKEN
    statistics = {
        "total_duration": _LOAD_DURATION + input_duration + output_duration,
        "load_duration": _LOAD_DURATION,
    }
    if input_tokens is not None:
        statistics |= {"prompt_eval_count": input_tokens, "prompt_eval_duration": input_duration}
    if output_tokens is not None:
        statistics |= {"eval_count": output_tokens, "eval_duration": output_duration}
    return statistics
