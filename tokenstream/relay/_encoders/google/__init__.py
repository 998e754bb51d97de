"""Encoders of Google's APIs, and what they share, such as token counts, citations, and media sent whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from tokenstream.events import ReasoningDelta, TextDelta
from tokenstream.message import Citation, Part, ReasoningPart
from tokenstream.relay._encoders.encoder import Encoder, Payloads, WholeCalls
from tokenstream.relay._encoders.vocabulary import BASICS, CITATIONS, PartKey
from tokenstream.relay._encoders.whole_parts import Media, Medium, drop_none

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.errors import ErrorKind
    from tokenstream.events import CitationAdded, MediaDelta, PartDone, PartStart, ToolCallDone

ERRORS: dict[ErrorKind, tuple[int, str]] = {
    "overloaded": (503, "UNAVAILABLE"),
    "rate_limited": (429, "RESOURCE_EXHAUSTED"),
    "quota": (402, "RESOURCE_EXHAUSTED"),
    "invalid_request": (400, "INVALID_ARGUMENT"),
    "authentication": (401, "UNAUTHENTICATED"),
    "network": (504, "DEADLINE_EXCEEDED"),
    "unknown": (500, "UNKNOWN"),
}
"""Maps kinds of errors to an HTTP status and to Google's word for it; any other kind is `OTHER_ERROR`."""
OTHER_ERROR = (500, "INTERNAL")


def require_name(encoder: Encoder, citation: Citation) -> bool:
    """Require that a citation has a URL or a title; return False if it has neither, and is left out."""
    if citation.url is None and citation.title is None:
        encoder.omit("a citation with neither a URL nor a title", "unlinked_citation")
        return False
    return True


def make_grounding(citations: Iterable[Citation]) -> JsonObject:
    """Return citations as Gemini's grounding metadata, with the passages that they support, if known."""
    chunks: list[JsonObject] = []
    supports: list[JsonObject] = []
    for index, citation in enumerate(citations):
        source = drop_none(uri=citation.url, title=citation.title, text=citation.text)
        # A "web" chunk has no field for the cited text.
        chunks.append({"web" if citation.text is None else "retrievedContext": source})
        segment = drop_none(startIndex=citation.start, endIndex=citation.end)
        if segment:
            supports.append({"segment": segment, "groundingChunkIndices": [index]})
    return {"groundingChunks": chunks, **({"groundingSupports": supports} if supports else {})}


class PartEncoder(WholeCalls, Encoder, ABC):
    """Encodes an answer as Gemini's `Part` objects; tool calls and media are sent whole.

    A part that never becomes complete, such as a call that was cut off or half an image, is not sent.
    """

    expresses = frozenset({*BASICS, *CITATIONS, "citation_text", "signature", "media", "media_url"})

    def reset(self) -> None:
        super().reset()
        self.media = Media()
        self.citations: dict[int, list[Citation]] = {}
        """The citations of each choice, which are sent at the end."""
        self._started: set[PartKey] = set()
        """Parts that have started; of a repeated start, only a signature is new."""
        self._signed: set[PartKey] = set()
        """Parts whose signature was sent, or a piece of it."""

    # -- for encoders ------------------------------------------------------------

    @abstractmethod
    def encode_part(self, choice: int, part: JsonObject) -> Payloads:
        """Return the payloads for a part, or for a piece in the form of a part."""

    def encode_whole_call(self, choice: int, call: JsonObject) -> Payloads:
        return self.encode_part(choice, {"functionCall": call})

    # -- handlers of events ------------------------------------------------------

    def encode_part_start(self, event: PartStart) -> Payloads:
        """Return the payloads for the content of a part's start; none if the start was repeated."""
        content = event.content
        if content.kind == "media":
            # `media` itself notices a repeated start.
            return self.media.start(event, self.encode_media)
        choice_and_part = event.choice, event.part
        if choice_and_part in self._started:
            return self._encode_thought(event, content)
        self._started.add(choice_and_part)
        if content.kind == "reasoning":
            return self._encode_thought(event, content, content.text)
        text = content.text if content.kind == "text" else ""
        return self.encode_text(TextDelta(text, choice=event.choice)) if text else ()

    def encode_text(self, event: TextDelta) -> Payloads:
        return self.encode_part(event.choice, {"text": event.text})

    def encode_reasoning(self, event: ReasoningDelta) -> Payloads:
        signed = drop_none(thoughtSignature=event.signature)
        if signed:
            self._signed.add((event.choice, event.part))
        return self.encode_part(event.choice, {"text": event.text, "thought": True, **signed})

    def encode_call_end(self, event: ToolCallDone) -> Payloads:
        call, arguments = event.call, self.parse_arguments(event)
        if arguments is None:
            return ()
        return self.encode_whole_call(event.choice, {"id": call.id, "name": call.name, "args": arguments})

    def encode_citation(self, event: CitationAdded) -> Payloads:
        """Return no payloads yet: citations are sent at the end."""
        # A citation without a URL and a title cannot be sent.
        if require_name(self, event.citation):
            self.citations.setdefault(event.choice, []).append(event.citation)
        return ()

    def encode_media(self, event: MediaDelta) -> Payloads:
        self.media.find(event).pieces.append(event.data)
        return ()

    def encode_part_end(self, event: PartDone) -> Payloads:
        """Return a complete medium, by its data or its URL, or a signature that no delta of reasoning had."""
        medium = self.media.pop(event)
        if medium is None:
            return self._encode_thought(event, event.content)
        return self._encode_medium(event, medium)

    # -- within ------------------------------------------------------------------

    def _encode_thought(self, event: PartStart | PartDone, content: Part | None, text: str = "") -> Payloads:
        """Return the payloads for reasoning that no delta had: its text, and a signature not sent yet."""
        is_sent = (event.choice, event.part) in self._signed
        signature = content.signature if isinstance(content, ReasoningPart) and not is_sent else None
        if not text and signature is None:
            return ()
        return self.encode_reasoning(ReasoningDelta(text, signature, choice=event.choice, part=event.part))

    def _encode_medium(self, event: PartDone, medium: Medium) -> Payloads:
        """Return a complete medium, with its data or its URL; without a type or content, it is left out."""
        fields = medium.to_fields("mimeType", "fileUri")
        if fields is None or medium.mime_type is None:
            return self.omit("media whose type or content is not known", "media")
        return self.encode_part(event.choice, {"inlineData" if "data" in fields else "fileData": fields})
