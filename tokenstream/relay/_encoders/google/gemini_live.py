"""Encoder for Gemini Live: the messages that the server sends over a WebSocket."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream.events import InputTranscript
from tokenstream.formats._wire.gemini_live.words import USAGE
from tokenstream.relay._encoders.encoder import MessageFrames
from tokenstream.relay._encoders.google.shared import PartEncoder, make_grounding, require_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream._basics.loose import Json
    from tokenstream.events import CitationAdded, MediaDelta, MessageStart, PartDone
    from tokenstream.message import Citation, FinishReason
    from tokenstream.relay._encoders.encoder import Payload, Payloads
    from tokenstream.relay._encoders.media import Medium
    from tokenstream.turns import Drop, Kind

_SENT_SEPARATELY = ("generationComplete", "interrupted")
"""Words for finish reasons that are sent in a message of their own, before the message that ends the turn."""


class GeminiLiveEncoder(MessageFrames, PartEncoder):
    """Encodes an answer as the messages of a session with one turn of the model.

    Gemini Live has no message for errors: its server closes the connection with a code.
    """

    handlers: ClassVar[Mapping[type, str]] = {**PartEncoder.handlers, InputTranscript: "encode_heard"}
    name: ClassVar[str] = "gemini-live"
    content_type: ClassVar[str] = "application/x-ndjson"
    messages: ClassVar[bool] = True
    expresses: ClassVar[frozenset[Kind]] = frozenset((*PartEncoder.expresses, "transcript"))
    counts: ClassVar[frozenset[str]] = USAGE.fields
    words: ClassVar[Mapping[FinishReason, str]] = {
        "stop": "generationComplete",
        "cancelled": "interrupted",
        "content_filter": "RESPONSE_REJECTED",
        "pause": "NEED_MORE_INPUT",
        "error": "MALFORMED_FUNCTION_CALL",
    }

    def __init__(self, *, drop: Drop = ()) -> None:
        super().__init__(drop=drop)
        self._citations: list[Citation] = []
        """The citations so far, which are sent at the end of the turn."""

    # -- events ------------------------------------------------------------------

    def encode_start(self, event: MessageStart) -> Payloads:
        """Return a `setupComplete`; no payloads if it was sent already."""
        super().encode_start(event)
        return self.unsent_head()

    def encode_head(self) -> Payloads:
        """Return a `setupComplete`."""
        return [("", {"setupComplete": {}})]

    def encode_part(self, choice: int, part: dict[str, Any]) -> Payloads:
        """Return a `modelTurn` with one part."""
        return self._server_content(modelTurn={"parts": [part]})

    def encode_whole_call(self, choice: int, call: dict[str, Any]) -> Payloads:
        """Return a `toolCall`."""
        return [*self.unsent_head(), ("", {"toolCall": {"functionCalls": [call]}})]

    def encode_citation(self, event: CitationAdded) -> Payloads:
        """Return no payloads yet: citations are sent at the end."""
        # A citation without a URL and a title cannot be sent.
        if require_name(self, event.citation):
            self._citations.append(event.citation)
        return ()

    def encode_media(self, event: MediaDelta) -> Payloads:
        """Return a piece of audio, or of its transcript; other media are sent when they are complete."""
        payloads: list[Payload] = []
        if event.transcript:
            payloads += self._server_content(outputTranscription={"text": event.transcript})
        medium = self.media.find(event)
        if medium.is_audio and event.data:
            data = b64encode(event.data).decode()
            # 0 is the only choice of a session.
            payloads += self.encode_part(0, {"inlineData": {"mimeType": medium.mime_type, "data": data}})
        elif event.data:
            medium.pieces.append(event.data)
        return payloads

    def encode_heard(self, event: InputTranscript) -> Payloads:
        """Return what the user has said; the last piece says that it is the last."""
        is_last = {"finished": True} if event.done else {}
        return self._server_content(inputTranscription={"text": event.text, **is_last})

    def encode_tail(self) -> Payloads:
        """Return the end of the generation, and the end of the turn with the token counts."""
        word = self.word_for(self.finishes[0].reason)
        payloads = self.unsent_head()
        if self._citations:
            payloads += self._server_content(groundingMetadata=make_grounding(self._citations))
        turn_end: dict[str, Any] = {"turnComplete": True}
        # Some words are sent in a message of their own, others in the one that ends the turn.
        if word in _SENT_SEPARATELY:
            payloads += self._server_content(**{word: True})
        else:
            turn_end["turnCompleteReason"] = word
        usage = USAGE.write(self.usage)
        last = {"serverContent": turn_end, **({"usageMetadata": usage} if usage else {})}
        return [*payloads, ("", last)]

    # -- within ------------------------------------------------------------------

    def _server_content(self, **content: Json) -> list[Payload]:
        return [*self.unsent_head(), ("", {"serverContent": content})]

    def _encode_medium(self, event: PartDone, medium: Medium) -> Payloads:
        """Return the payloads for a complete medium; none for audio, which was sent piece by piece."""
        return () if medium.is_audio and medium.url is None else super()._encode_medium(event, medium)
