"""Encoder for OpenAI's legacy API Completions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream.relay._encoders.openai.shared import ChunkEncoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.events import TextDelta
    from tokenstream.message import FinishReason
    from tokenstream.relay._encoders.encoder import Payload, Payloads
    from tokenstream.turns import Kind


class OpenAICompletionsEncoder(ChunkEncoder):
    """Encodes an answer as `text_completion` objects, and `[DONE]`."""

    name: ClassVar[str] = "openai-completions"
    object: ClassVar[str] = "text_completion"
    default_id: ClassVar[str] = "cmpl-1"
    expresses: ClassVar[frozenset[Kind]] = frozenset({"text"})
    words: ClassVar[Mapping[FinishReason, str]] = {
        "stop": "stop",
        "length": "length",
        "content_filter": "content_filter",
    }

    def encode_text(self, event: TextDelta) -> Payloads:
        """Return a chunk with a piece of text."""
        return [self._piece(event.choice, event.text)]

    def encode_last(self, choice: int, word: str) -> Payloads:
        """Return an empty piece with the finish reason."""
        return [self._piece(choice, "", word)]

    def _piece(self, index: int, text: str, finish: str | None = None) -> Payload:
        """Return a chunk with a piece of a choice's text, or with OpenAI's word for the finish reason."""
        choice: dict[str, Any] = {"text": text, "index": index, "logprobs": None, "finish_reason": finish}
        return self.make_chunk(choice)
