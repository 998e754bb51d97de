"""Encoder for OpenAI's Realtime API: the messages that the server sends over a WebSocket."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, ClassVar

from tokenstream.events import Finish, InputTranscript, MediaDelta
from tokenstream.formats._kit.openai import INPUT_TRANSCRIPTION, SESSION_COUNTS
from tokenstream.message import FinishReason, MediaPart
from tokenstream.relay._encoders.encoder import Handlers, MessageFrames, Payload, Payloads
from tokenstream.relay._encoders.openai import make_error
from tokenstream.relay._encoders.openai.items import ItemEncoder, OutputItem
from tokenstream.relay._encoders.vocabulary import CALLS, FinishWords
from tokenstream.relay._encoders.whole_parts import omit_medium

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.errors import ErrorKind

_PREDICTED = ("accepted_prediction_tokens", "rejected_prediction_tokens")
_USAGE = SESSION_COUNTS.without("reasoning_tokens", "cache_write_tokens", "web_searches", *_PREDICTED)
_AUDIO = "audio/pcm"
"""The default type of audio in a session."""
_FORMAT: JsonObject = {"type": _AUDIO, "rate": 24000}
_STATUSES: dict[FinishReason, tuple[str, str | None]] = {
    "stop": ("completed", None),
    "tool_calls": ("completed", None),
    "length": ("incomplete", "max_output_tokens"),
    "content_filter": ("incomplete", "content_filter"),
    "cancelled": ("cancelled", "client_cancelled"),
}
"""Maps finish reasons to the status of the response, and to the reason for this status."""


class OpenAIRealtimeEncoder(MessageFrames, ItemEncoder):
    """Encodes an answer as the messages of a session with one response."""

    handlers: ClassVar[Handlers] = {**ItemEncoder.handlers, InputTranscript: "encode_heard"}
    name = "openai-realtime"
    default_id = "resp_1"
    expresses = frozenset({"text", "tool_call", "media", "transcript"})
    counts = _USAGE.fields
    number_field = b'"event_id":"event_'
    first_number = 1
    words: ClassVar[FinishWords] = {reason: status for reason, (status, _) in _STATUSES.items()}

    # -- events ----------------------------------------------------------------

    def encode_media(self, event: MediaDelta) -> Payloads:
        """Return a piece of audio, and of its transcript."""
        start = self.starts.get(event.part)
        mime = start.mime_type if isinstance(start, MediaPart) else None
        # A medium of unknown type is taken for audio, the only kind that this API sends.
        if mime not in (None, _AUDIO):
            return omit_medium(self, event, mime, _AUDIO)
        item, payloads = self.open_item(event.part, "media")
        if event.data:
            audio = b64encode(event.data).decode()
            payloads.append(
                self._item_event(item, "response.output_audio.delta", content_index=0, delta=audio)
            )
        if event.transcript:
            payloads += self.write_text(event.part, "media", event.transcript)
        return payloads

    def encode_heard(self, event: InputTranscript) -> Payloads:
        fields: JsonObject = {"delta": event.text}
        kind = "delta"
        if event.error is not None:
            kind, fields = "failed", {"error": {"type": "transcription_error", "code": event.error}}
        elif event.transcript is not None:
            kind, fields = "completed", {"transcript": event.transcript}
        elif not event.text:
            # The end of words without an id, which this API cannot tell.
            return ()
        return [self._event(INPUT_TRANSCRIPTION + kind, item_id=event.id or "", content_index=0, **fields)]

    def encode_error(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        """Return the response with status "failed"; before it has begun, an `error` of the session."""
        error = make_error(kind, message, code)
        if not self.has_begun:
            return [self._event("error", error={**error, "event_id": None})]
        cause = {name: error[name] for name in ("type", "code", "message")}
        details = {"type": "failed", "reason": None, "error": cause}
        return [*self.end_all(cut=True), self._response_done("failed", details)]

    # -- the response ------------------------------------------------------------

    def encode_head(self) -> Payloads:
        session = {
            "type": "realtime",
            "object": "realtime.session",
            "id": "sess_1",
            "model": self.answer_model,
            "output_modalities": ["audio"],
            "audio": {"input": {"format": _FORMAT}, "output": {"format": _FORMAT, "voice": "marin"}},
        }
        yield self._event("session.created", session=session)
        yield self._event("response.created", response=self._response_json("in_progress", details=None))

    def encode_ending(self, finish: Finish) -> Payloads:
        status, reason = _STATUSES[self.choose_reason(finish.reason)]
        details = None if reason is None else {"type": status, "reason": reason}
        yield self._response_done(status, details)

    def _response_done(self, status: str, details: JsonObject | None) -> Payload:
        more = {"output": [item.final_json for item in self.items], "usage": _USAGE.write(self.usage) or None}
        return self._event("response.done", response=self._response_json(status, details) | more)

    def _response_json(self, status: str, details: JsonObject | None) -> JsonObject:
        return {
            "object": "realtime.response",
            "id": self.answer_id,
            "status": status,
            "status_details": details,
            "output": [],
            "conversation_id": "conv_1",
            "usage": None,
        }

    # -- output items ------------------------------------------------------------

    def encode_begin(self, item: OutputItem) -> Payloads:
        """Return the events that start an item, in the response and in the conversation.

        For a message, the start of its content part follows.
        """
        item.id = f"item_{item.index + 1}"
        item_json = self._item_json(item, "in_progress")
        yield self._response_event("response.output_item.added", output_index=item.index, item=item_json)
        yield self._event("conversation.item.added", previous_item_id=_previous_item_id(item), item=item_json)
        if item.kind not in CALLS:
            yield self._item_event(
                item, "response.content_part.added", content_index=0, part=_write_realtime_content(item, "")
            )

    def encode_piece(self, item: OutputItem, text: str) -> Payloads:
        if item.kind in CALLS:
            call = {"call_id": item.fields["call_id"]}
            return [self._item_event(item, "response.function_call_arguments.delta", **call, delta=text)]
        kind = "output_text" if item.kind == "text" else "output_audio_transcript"
        return [self._item_event(item, f"response.{kind}.delta", content_index=0, delta=text)]

    def encode_end(self, item: OutputItem, status: str) -> Payloads:
        """Return the whole content of an item, and its end in the conversation and in the response."""
        text = item.text.join()
        item.final_json = self._item_json(item, status, text)
        if item.kind in CALLS:
            yield self._item_event(
                item, "response.function_call_arguments.done", **item.fields, arguments=text
            )
        else:
            if item.kind == "text":
                yield self._item_event(item, "response.output_text.done", content_index=0, text=text)
            else:
                yield self._item_event(item, "response.output_audio.done", content_index=0)
                kind = "response.output_audio_transcript.done"
                yield self._item_event(item, kind, content_index=0, transcript=text)
            part = _write_realtime_content(item, text)
            yield self._item_event(item, "response.content_part.done", content_index=0, part=part)
        yield self._event(
            "conversation.item.done", previous_item_id=_previous_item_id(item), item=item.final_json
        )
        yield self._response_event("response.output_item.done", output_index=item.index, item=item.final_json)

    def _item_json(self, item: OutputItem, status: str, text: str | None = None) -> JsonObject:
        type_ = "function_call" if item.kind in CALLS else "message"
        common = {"id": item.id, "object": "realtime.item", "type": type_, "status": status}
        if item.kind in CALLS:
            return {**common, **item.fields, "arguments": text or ""}
        content = [] if text is None else [_write_realtime_content(item, text, "output_")]
        return {**common, "role": "assistant", "content": content}

    def _item_event(self, item: OutputItem, kind: str, **fields: Json) -> Payload:
        return self._response_event(kind, item_id=item.id, output_index=item.index, **fields)

    def _response_event(self, kind: str, **fields: Json) -> Payload:
        return self._event(kind, response_id=self.answer_id, **fields)

    def _event(self, kind: str, **fields: Json) -> Payload:
        return kind, {"type": kind, "event_id": f"event_{next(self.numbers)}", **fields}


def _previous_item_id(item: OutputItem) -> str | None:
    # Indexes count from 0, the numbers in ids from 1.
    return f"item_{item.index}" if item.index else None


def _write_realtime_content(item: OutputItem, text: str, prefix: str = "") -> JsonObject:
    """Return a message's content, a text or a transcript; in a response's items, its type has a prefix."""
    if item.kind == "text":
        return {"type": f"{prefix}text", "text": text}
    return {"type": f"{prefix}audio", "transcript": text}
