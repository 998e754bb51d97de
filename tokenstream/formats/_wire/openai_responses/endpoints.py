"""OpenAI's endpoints for speech, transcripts and images, whose streams have events with a `type`, too.

Events: `TranscriptionStreamEvent`, `ImageGenStreamEvent` and `ImageEditStreamEvent` of openai-python, and
https://developers.openai.com/api/reference/resources/audio for `speech.audio.delta` and `.done`. None of
them belongs to a response: there are no ids, numbers or output items.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dict_of, fields_except, is_list, text_of
from tokenstream.formats._kit.openai import COUNTS, SESSION_COUNTS
from tokenstream.formats._wire.openai_responses.item import ImageItem
from tokenstream.formats._wire.openai_responses.texts import Section
from tokenstream.message import TextPart

if TYPE_CHECKING:
    from tokenstream.formats._wire.openai_responses.parts import ResponseItems

_IMAGES = ("image_generation", "image_edit")
_ENDS = frozenset({"speech.audio.done", "transcript.text.done", *(f"{name}.completed" for name in _IMAGES)})
ENDPOINT_EVENTS = _ENDS | {
    "speech.audio.delta",
    "transcript.text.delta",
    "transcript.text.segment",
    *(f"{name}.partial_image" for name in _IMAGES),
}
"""Names of the events of the endpoints for speech, transcripts and images."""
_IMAGE_FIELDS = ("type", "b64_json", "partial_image_index", "usage", "model")
_READ_FIELDS = ("type", "audio", "delta", "text", "logprobs", "usage", "model", "sequence_number")


class Endpoint:
    """The state of an answer from an endpoint for speech, transcripts or images: its text, or its image."""

    __slots__ = ("_has_segments", "_image", "_transcript")

    def __init__(self) -> None:
        self._transcript: Section | None = None
        """The text of a transcript; None before its first piece."""
        self._has_segments = False
        """True for a transcript with speakers, whose pieces may be of several speakers in turns."""
        self._image: ImageItem | None = None
        """The image; None before its first preview."""

    def read_event(self, items: ResponseItems, payload: dict[str, Any], kind: str) -> bool:
        """Read an event about speech, a transcript or an image; return True if it ends the answer."""
        payload = items.mend_surrogates_in(payload)
        items.head(model=text_of(payload, "model"))
        if kind == "speech.audio.delta":
            items.add_audio(text_of(payload, "audio") or "", "")
        elif kind == "transcript.text.segment":
            self._has_segments = True
            items.items("segments", [fields_except(payload, "type")])
        elif kind.startswith("transcript."):
            self._read_text(items, payload, whole=kind.endswith(".done"))
        elif kind.startswith(_IMAGES):
            self._read_image(items, payload, whole=kind.endswith(".completed"))
        # The unknown fields of an image are in its part, and a segment was reported whole.
        if not kind.startswith(_IMAGES) and kind != "transcript.text.segment":
            items.report_unknown_fields(payload, _READ_FIELDS)
        if kind not in _ENDS:
            return False
        self._end(items, payload)
        return True

    def _read_text(self, items: ResponseItems, payload: dict[str, Any], *, whole: bool) -> None:
        """Add a piece of a transcript; or, from the whole transcript, the text that no piece has sent.

        Args:
            whole: True if the payload has the whole transcript, at the end; False if it has a piece.
        """
        section = self._transcript
        if section is None:
            section = self._transcript = Section(items.open(0, TextPart()), {})
        # On the fast path, `follow` counts the characters of later pieces of this text.
        items.last_section = section
        self._has_segments = self._has_segments or text_of(payload, "segment_id") is not None
        text = text_of(payload, "text" if whole else "delta") or ""
        has_pieces = section.length > 0
        if not whole or not has_pieces:
            section.length += len(text)
            items.add(section.part, text)
        elif text and not self._has_segments:
            # The whole text begins with the pieces, so only its rest is added. This is not so with speakers,
            # whose pieces may arrive in another order than they have in the whole text.
            items.tell(section.part, text, section.length)
        logprobs = payload.get("logprobs")
        repeats_logprobs = whole and section.has_logprobs
        if is_list(logprobs) and logprobs and not repeats_logprobs:
            section.has_logprobs = True
            items.items("logprobs", logprobs)

    def _read_image(self, items: ResponseItems, payload: dict[str, Any], *, whole: bool) -> None:
        """Report a preview of an image, which replaces the one before it, or the final image."""
        image, encoded = self._image, text_of(payload, "b64_json") or ""
        fields = fields_except(payload, *_IMAGE_FIELDS) or {}
        if image is None:
            image = self._image = ImageItem(items, "image_generation_call", 0)
            image.read_item(fields, complete=False)
        if whole:
            image.read_item({**fields, "result": encoded or payload.get("url")}, complete=True)
        else:
            image.read_preview({**payload, "partial_image_b64": encoded})

    def _end(self, items: ResponseItems, payload: dict[str, Any]) -> None:
        """Report the token counts, and the end of the answer."""
        report = dict_of(payload, "usage")
        if report:
            # Transcripts have the details under another name than images.
            counts = COUNTS if "input_tokens_details" in report else SESSION_COUNTS
            items.usage(counts.read(report))
        items.finish(0, "stop", None)
