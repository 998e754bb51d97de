"""Encoder for Cohere's chat API, version 2."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.text_log import TextLog
from tokenstream.events import RefusalDelta, TextDelta
from tokenstream.relay._encoders.blocks import BlockEncoder
from tokenstream.relay._encoders.vocabulary import BASICS, CITATIONS, FinishWords
from tokenstream.relay._encoders.whole_parts import drop_none

if TYPE_CHECKING:
    from tokenstream._basics.loose import AnyEvent, Json, JsonObject
    from tokenstream.errors import ErrorKind
    from tokenstream.events import CitationAdded, Finish, ReasoningDelta, ToolCallDelta, ToolCallStart
    from tokenstream.message import Citation
    from tokenstream.relay._encoders.encoder import Payload, Payloads
    from tokenstream.relay._encoders.pieces import TextRecorder

_COUNTS = {"input_tokens": "input_tokens", "output_tokens": "output_tokens"}
_FAILURES = frozenset({"ERROR", "TIMEOUT"})


class CohereEncoder(BlockEncoder):
    """Encodes an answer as the events of Cohere's API version 2, from `message-start` to `message-end`.

    Content blocks, tool calls and citations are numbered separately, each from 0. Of an error
    only the message is sent, not the kind.
    """

    name = "cohere"
    default_id = "message-1"
    expresses = frozenset((*BASICS, *CITATIONS, "citation_text"))
    counts = frozenset({"input_tokens", "output_tokens", "cached_tokens", "context_tokens"})
    stand_in = "ERROR_TOXIC"
    words: ClassVar[FinishWords] = {
        "stop": "COMPLETE",
        "stop_sequence": "STOP_SEQUENCE",
        "length": "MAX_TOKENS",
        "tool_calls": "TOOL_CALL",
    }

    def reset(self) -> None:
        super().reset()
        self._calls, self._citations, self._contents = count(), count(), count()
        self._content_indexes: dict[int, int] = {}
        self._texts: dict[int, TextLog] = {}
        self._last_cited: dict[int, tuple[int, int]] = {}

    def encode_head(self) -> Payloads:
        empty: JsonObject = {"content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        message = {"role": "assistant", **empty}
        start = {"id": self.answer_id, "type": "message-start", "delta": {"message": message}}
        return [("message-start", start)]

    def assign_index(self, part: int) -> int:
        """Return the index of a new block: tool calls and other blocks are numbered apart, each from 0."""
        # The first key is the choice; this format has only one.
        if self._kinds[0, part] == "tool_call":
            return next(self._calls)
        self._content_indexes[part] = index = next(self._contents)
        return index

    def encode_begin(self, index: int, start: Json) -> Payloads:
        return [_event("content-start" if "content" in start else "tool-call-start", index, start)]

    def encode_end(self, part: int, index: int) -> Payloads:
        return [_event("tool-call-end" if self._kinds[0, part] == "tool_call" else "content-end", index)]

    def encode_text(self, event: TextDelta) -> Payloads:
        # The text is kept, since each citation repeats its passage.
        self._texts.setdefault(event.part, TextLog()).append(event.text)
        return self._content_delta(event.part, "text", event.text)

    def find_recorder(self, event: AnyEvent) -> TextRecorder | None:
        """Return the function that keeps a text, because later citations repeat its passages."""
        return self._texts[event.part].append if isinstance(event, TextDelta | RefusalDelta) else None

    def encode_reasoning(self, event: ReasoningDelta) -> Payloads:
        text = self.drop_signature(event)
        return self._content_delta(event.part, "thinking", text) if text else ()

    def encode_call(self, event: ToolCallStart) -> Payloads:
        function = {"name": event.name, "arguments": ""}
        start = {"tool_calls": {"id": event.id, "type": "function", "function": function}}
        return self.open_block(event.part, start)

    def encode_arguments(self, event: ToolCallDelta) -> Payloads:
        more = {"tool_calls": {"function": {"arguments": event.fragment}}}
        return [_event("tool-call-delta", self.blocks[event.part], more)]

    def encode_citation(self, event: CitationAdded) -> Payloads:
        index = next(self._citations)
        cited = self._to_citation(event.citation, document_id=f"doc_{index + 1}")
        start = _event("citation-start", index, {"citations": cited})
        return [*self.unsent_head(), start, _event("citation-end", index)]

    def encode_ending(self, event: Finish) -> Payloads:
        return [self._message_end(finish_reason=self.word_for(event.reason))]

    def encode_error(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        reason = code if code in _FAILURES else "ERROR"
        return [*self.close_sequential(), self._message_end(finish_reason=reason, error=message)]

    # -- within ------------------------------------------------------------------

    def _content_delta(self, part: int, key: str, text: str) -> Payloads:
        start = self.open_block(part, {"content": {"type": key, key: ""}})
        return [*start, _event("content-delta", self.blocks[part], {"content": {key: text}})]

    def _message_end(self, **delta: str) -> Payload:
        return "message-end", {"type": "message-end", "delta": {**delta, "usage": self._usage_report()}}

    def _usage_report(self) -> JsonObject:
        """Return token counts under Cohere's names, with 0 for unknown counts that typed clients require."""
        tokens = {"input_tokens": 0, "output_tokens": 0, **self.name_counts(_COUNTS)}
        # Other providers do not tell billed tokens from others: both reports have the same counts.
        read = self.name_counts({"context_tokens": "input_tokens"})
        report: JsonObject = {"billed_units": tokens, "tokens": {**tokens, **read}}
        if self.usage.cached_tokens is not None:
            report["cached_tokens"] = self.usage.cached_tokens
        return report

    def _to_citation(self, citation: Citation, document_id: str) -> JsonObject:
        """Return a citation in Cohere's form, with a document's id; unchanged if Cohere has sent it."""
        fields = citation.provider_data or {}
        if "sources" in fields:
            return fields
        document = {
            "id": document_id,
            **drop_none(title=citation.title, url=citation.url, snippet=citation.text),
        }
        sources = [{"type": "document", "id": document_id, "document": document}]
        # The cited text, or else the text that began last.
        part = citation.cites if citation.cites in self._texts else next(reversed(self._texts), None)
        if part is None:
            return {"sources": sources, "type": "TEXT_CONTENT"}
        start, end = self._find_span(citation, part)
        cited = {"start": start, "end": end, "text": self._texts[part].since(start)[: end - start]}
        return {
            **cited,
            "sources": sources,
            "content_index": self._content_indexes[part],
            "type": "TEXT_CONTENT",
        }

    def _find_span(self, citation: Citation, part: int) -> tuple[int, int]:
        """Return the start and end of the text that a citation supports: what was not cited, by default."""
        length = self._texts[part].length
        if citation.start is not None or citation.end is not None:
            return citation.start or 0, length if citation.end is None else citation.end
        start, end = self._last_cited.get(part, (0, 0))
        if end < length:
            start, end = end, length
        # Otherwise there is no new text, and the citation supports the same span as the one before.
        self._last_cited[part] = start, end
        return start, end


def _event(kind: str, index: int, message: JsonObject | None = None) -> Payload:
    delta = {} if message is None else {"delta": {"message": message}}
    return kind, {"type": kind, "index": index, **delta}
