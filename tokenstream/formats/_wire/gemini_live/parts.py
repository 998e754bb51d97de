"""The parts of a turn in Gemini Live, and the fields of its messages, whose names come in two spellings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import dict_of, dicts_of, fields_except, text_of
from tokenstream.formats._kit.sessions import SessionParts
from tokenstream.formats._kit.values import base64_bytes, camel_case, failure_of_code, split_names
from tokenstream.message import Citation, MediaPart, OpaquePart, ServerToolCall, ServerToolResult, TextPart

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.open import OpenPart


_CALL_FIELDS = ("name", "id", "args", "partialArgs", "willContinue")
TRANSCRIPT_FIELDS = split_names("text finished languageCode words speakerLabel startOffset endOffset")
# Fields of a part that describe its content.
_FIELDS_ABOUT_CONTENT = split_names("thought thoughtSignature partMetadata videoMetadata mediaResolution")


class LiveTurn(SessionParts):
    """Turns the pieces of the model's turns, which have no ids, into parts of the message.

    An audio part ends with its turn. A text part ends as soon as content of another kind arrives.
    """

    __slots__ = ("_audio", "_cited_count", "_mime_type")

    def _set_up(self) -> None:
        super()._set_up()
        self._audio: OpenPart | None = None
        """The turn's audio part, once there is any audio or transcript."""
        self._mime_type: str | None = None
        """The MIME type of the audio part; None while the part has only a transcript."""
        self._cited_count = 0
        """Number of the turn's sources cited so far; each payload repeats all sources."""

    def begin_turn(self) -> None:
        """Begin a turn; if there was a turn before, report the start of another answer."""
        if self.choice(0).finish is not None:
            self._cited_count = 0
        self.begin_answer()

    def close_audio(self) -> None:
        if self._audio is not None:
            self.close(self._audio)
        self._audio = self._mime_type = None

    # -- content of a turn ---------------------------------------------------

    def add_part(self, part: JsonObject) -> None:
        """Add the content of one part that the server sent in the model's turn."""
        fields = fields_of(part)
        text = fields.get("text")
        if isinstance(text, str):
            self._add_text(text, fields)
        for name, value in fields.items():
            if value is None or value == {}:
                # Some libraries write all fields that a part may have.
                continue
            reader = self._READERS.get(name)
            if reader is not None:
                reader(self, object_in(fields, name), fields)
            elif name != "text" and name not in _FIELDS_ABOUT_CONTENT:
                # For an unknown kind of content, keep all fields, because the others may describe it.
                self.whole(0, OpaquePart(type=name, data=fields))
                return

    def _add_text(self, text: str, fields: JsonObject) -> None:
        """Add text or a thought; a text with a signature becomes a part by itself."""
        signature = text_of(fields, "thoughtSignature")
        if fields.get("thought") is True:
            self.write_reasoning(0, text, signature)
        elif signature is None:
            self.write(0, "text", text)
        else:
            # The next request must repeat a signed text unchanged, so it is not joined with its neighbours.
            part = self.choice(0).current_part
            if part is not None:
                self.close(part)
            signed = self.open(0, TextPart(provider_data={"thoughtSignature": signature}))
            self.add(signed, text)
            self.close(signed)

    def add_transcript(self, transcription: JsonObject) -> None:
        """Add a piece of the audio's transcript, which may arrive before or after the audio itself."""
        self.tell_fields(transcription, TRANSCRIPT_FIELDS)
        text = text_of(transcription, "text")
        if text is None:
            return
        self.add_media(self._open_audio(mime_type=None), transcript=text)

    def add_call(self, call: JsonObject, fields: JsonObject | None = None) -> None:
        """Add a whole call of one of the application's tools; its part's `fields` may have its signature."""
        name = text_of(call, "name")
        if name is None:
            self.note("call_nameless")
            self.whole(0, OpaquePart(type="functionCall", data=call))
            return
        sent_id, other_fields = text_of(call, "id"), fields_except(call, *_CALL_FIELDS)
        data: JsonObject = {"id": sent_id} if sent_id else {}
        if other_fields:
            data["functionCall"] = other_fields
        signature = text_of(fields or {}, "thoughtSignature")
        if signature is not None:
            data["thoughtSignature"] = signature
        opened = self.open_call(0, sent_id, name, provider_data=data or None)
        arguments = call.get("args")
        self.add_arguments(opened, json.dumps({} if arguments is None else arguments, ensure_ascii=False))
        self.close_call(opened)

    def cite_sources(self, metadata: JsonObject) -> None:
        """Cite the sources of a search that have not been cited yet."""
        chunks = metadata.get("groundingChunks", metadata.get("grounding_chunks"))
        # Each payload repeats the sources of the payloads before.
        for chunk in dicts_of(chunks)[self._cited_count :]:
            self._cited_count += 1
            web = dict_of(chunk, "web") or dict_of(chunk, "retrievedContext")
            self.cite(0, Citation(url=text_of(web, "uri"), title=text_of(web, "title"), provider_data=chunk))

    # -- parts other than text ------------------------------------------------

    def _add_inline(self, data: JsonObject, fields: JsonObject) -> None:
        """Add inline media: audio, or media without a type, to the turn's audio; others as a part."""
        self.tell_fields(data, ("data", "displayName", "mimeType"))
        content, mime_type = base64_bytes(data.get("data")), text_of(data, "mimeType")
        if content is None:
            self.add_undecodable_media(0, "inlineData", fields)
        elif mime_type is not None and not mime_type.startswith("audio/"):
            self.whole(0, MediaPart(mime_type=mime_type, data=content))
        else:
            self.add_media(self._open_audio(mime_type), content)

    def _open_audio(self, mime_type: str | None) -> OpenPart:
        """Return the turn's audio part; open a new part if there is none, or if the MIME type changes."""
        part = self._audio
        is_other_type = bool(mime_type and self._mime_type) and mime_type != self._mime_type
        if part is not None and not part.closed and not is_other_type:
            if mime_type and self._mime_type is None:
                # The transcript opened the part, before any audio.
                self._mime_type = mime_type
                self.report_start_again(part, MediaPart(mime_type=mime_type))
            return part
        if part is not None:
            self.close(part)
        self._mime_type = mime_type
        self._audio = part = self.open(0, MediaPart(mime_type=mime_type))
        return part

    def _add_code(self, data: JsonObject, fields: JsonObject) -> None:
        id, code = text_of(data, "id") or "", text_of(data, "code") or ""
        name = "executableCode"
        self.whole(0, ServerToolCall(id=id, name=name, arguments_text=code, provider_data=fields))

    def _add_code_result(self, data: JsonObject, fields: JsonObject) -> None:
        id, error = text_of(data, "id") or "", failure_of_code(data)
        name = "codeExecutionResult"
        self.whole(0, ServerToolResult(id=id, name=name, content=data, provider_data=fields, error=error))

    _READERS: ClassVar[dict[str, Callable[[LiveTurn, JsonObject, JsonObject], None]]] = {
        "inlineData": _add_inline,
        "functionCall": add_call,
        "executableCode": _add_code,
        "codeExecutionResult": _add_code_result,
    }


def fields_of(fields: JsonObject) -> JsonObject:
    """Return an object's fields with their names in camelCase; names inside the fields are unchanged."""
    return {(camel_case(name) if "_" in name else name): value for name, value in fields.items()}


def object_in(payload: JsonObject, name: str) -> JsonObject:
    """Return a field that is an object, with its names in camelCase; {} if the field is not an object."""
    return fields_of(dict_of(payload, name))
