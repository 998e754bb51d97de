"""Encoder for Google's Interactions API."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tokenstream._values.error_kinds import word_for
from tokenstream.formats._wire.gemini_interactions.step import USAGE
from tokenstream.relay._encoders.blocks import BlockEncoder
from tokenstream.relay._encoders.google import PartEncoder, require_name
from tokenstream.relay._encoders.vocabulary import CREATED, ErrorWords, FinishWords
from tokenstream.relay._encoders.whole_parts import Media, Medium, drop_none

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.errors import ErrorKind
    from tokenstream.events import (
        CitationAdded,
        Finish,
        MediaDelta,
        PartDone,
        PartStart,
        ReasoningDelta,
        TextDelta,
        ToolCallDelta,
        ToolCallStart,
    )
    from tokenstream.message import Citation, Part
    from tokenstream.relay._encoders.encoder import Payload, Payloads

_ERRORS: ErrorWords = {
    "overloaded": "service_unavailable",
    "rate_limited": "too_many_requests",
    "quota": "quota_exceeded",
    "invalid_request": "invalid_request",
    "authentication": "unauthenticated",
    "network": "gateway_timeout",
    "unknown": "unknown",
}
"""Maps kinds of errors to error codes; any other kind is "internal_server_error"."""
_OUTPUT_STEP = {"type": "model_output"}
_CONTENT_TYPES = frozenset({"image", "audio", "video"})
"""The media types, before the slash, that the API has a type of content for; all others are documents."""


class GeminiInteractionsEncoder(BlockEncoder):
    """Encodes an answer as the events of an interaction: its steps, its final status, and `[DONE]`."""

    name = "gemini-interactions"
    default_id = "v1_1"
    content_type = "text/event-stream"
    expresses = PartEncoder.expresses
    counts = USAGE.fields
    stand_in = "incomplete"
    words: ClassVar[FinishWords] = {
        "stop": "completed",
        "tool_calls": "requires_action",
        "length": "incomplete",
        "pause": "requires_continuation",
        "cancelled": "cancelled",
    }

    def reset(self) -> None:
        super().reset()
        self._media = Media()

    # -- steps -------------------------------------------------------------------

    def encode_head(self) -> Payloads:
        return [
            _event("interaction.created", interaction=self._interaction("in_progress")),
            _event("interaction.status_update", interaction_id=self.answer_id, status="in_progress"),
        ]

    def encode_begin(self, index: int, start: object) -> Payloads:
        return [_event("step.start", index=index, step=start)]

    def encode_end(self, part: int, index: int) -> Payloads:
        return [_event("step.stop", index=index)]

    def encode_ending(self, event: Finish) -> Payloads:
        usage = USAGE.write(self.usage)
        # `CREATED` is a constant, so that the output does not depend on a clock.
        interaction = {
            **self._interaction(self.word_for(event.reason)),
            **({"usage": usage} if usage else {}),
            "created": CREATED,
            "updated": CREATED,
        }
        return [_event("interaction.completed", interaction=interaction), ("done", "[DONE]")]

    # -- events ------------------------------------------------------------------

    def encode_text(self, event: TextDelta) -> Payloads:
        return self._step_delta(event.part, _OUTPUT_STEP, type="text", text=event.text)

    def encode_reasoning(self, event: ReasoningDelta) -> Payloads:
        """Return a `thought_summary` delta, a `thought_signature` delta, or both."""
        payloads: list[Payload] = []
        thought = {"type": "thought"}
        if event.text:
            content = {"type": "text", "text": event.text}
            payloads += self._step_delta(event.part, thought, type="thought_summary", content=content)
        if event.signature is not None:
            self.signed.add(event.part)
            payloads += self._step_delta(
                event.part, thought, type="thought_signature", signature=event.signature
            )
        return payloads

    def encode_call(self, event: ToolCallStart) -> Payloads:
        """Return a `function_call` step, with an empty object in place of the arguments."""
        call: JsonObject = {"id": event.id, "signature": "", "type": "function_call", "name": event.name}
        return self.open_block(event.part, {**call, "arguments": {}})

    def encode_arguments(self, event: ToolCallDelta) -> Payloads:
        return [self._delta(event.part, type="arguments_delta", arguments=event.fragment)]

    def encode_citation(self, event: CitationAdded) -> Payloads:
        """Return a `text_annotation_delta` in the open text's step, or in an empty step for output.

        A citation without a URL or a title is left out, if losses are allowed.
        """
        if not require_name(self, event.citation):
            return ()
        part = self.find_open_text(event.part)
        return self._step_delta(
            part, _OUTPUT_STEP, type="text_annotation_delta", annotations=[_to_annotation(event.citation)]
        )

    def encode_special(self, event: PartStart, content: Part) -> Payloads:
        """Return the payloads for the data that the start of a media part contains; none for other parts."""
        return self._media.start(event, self.encode_media)

    def encode_media(self, event: MediaDelta) -> Payloads:
        medium = self._media.find(event)
        medium.pieces.append(event.data)
        if not medium.is_audio:
            return ()
        # Audio is sent piece by piece, so only this piece is encoded.
        payloads = self._encode_medium(event.part, medium) if event.data else ()
        medium.pieces.clear()
        return payloads

    def encode_part_end(self, event: PartDone) -> Payloads:
        """Return the end of a part's step.

        A medium that was not sent piece by piece is sent here, before the end.
        """
        medium = self._media.pop(event)
        # Audio was sent piece by piece, so its part has a block already.
        is_unsent = medium is not None and event.part not in self.blocks
        payloads = self._encode_medium(event.part, medium) if medium is not None and is_unsent else ()
        return [*payloads, *super().encode_part_end(event)]

    def encode_error(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        error = {"code": code or word_for(kind, _ERRORS, "internal_server_error"), "message": message}
        return [_event("error", error=error)]

    # -- within ------------------------------------------------------------------

    def _interaction(self, status: str) -> JsonObject:
        """Return the fields that describe the interaction in the first event and in the last."""
        return {"id": self.answer_id, "status": status, "object": "interaction", "model": self.answer_model}

    def _step_delta(self, part: int, start: JsonObject, **delta: Json) -> Payloads:
        """Return a delta of a part, preceded by the start of the part's step if that was not sent yet."""
        return [*self.open_block(part, start), self._delta(part, **delta)]

    def _delta(self, part: int, **delta: Json) -> Payload:
        return _event("step.delta", index=self.blocks[part], delta=delta)

    def _encode_medium(self, part: int, medium: Medium) -> Payloads:
        fields = medium.to_fields("mime_type", "uri")
        if fields is None:
            return self.omit("media of which nothing is known", "media")
        kind = (medium.mime_type or "").partition("/")[0]
        content_type = kind if kind in _CONTENT_TYPES else "document"
        return self._step_delta(part, _OUTPUT_STEP, type=content_type, **fields)


def _event(kind: str, **fields: Json) -> Payload:
    return kind, {**fields, "event_type": kind}


def _to_annotation(citation: Citation) -> JsonObject:
    """Return a citation as an annotation: of a file if the cited text is known, else of a URL."""
    if citation.text is None:
        source = {"type": "url_citation", "url": citation.url, "title": citation.title}
    else:
        file = {"document_uri": citation.url, "file_name": citation.title, "source": citation.text}
        source = {"type": "file_citation", **file}
    return drop_none(**source, start_index=citation.start, end_index=citation.end)
