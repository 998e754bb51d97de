"""Mistral conversations: turns the events of one response of a conversation into events."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import dict_of, dicts_of, fields_except, text_of
from tokenstream.formats._base import Format
from tokenstream.formats._fast.path import Fast
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._kit.open import NO_PART, note_unread_texts
from tokenstream.formats._kit.openai import CHAT_COUNTS, usage_of
from tokenstream.formats._kit.parts import empty_part
from tokenstream.formats._kit.values import split_names
from tokenstream.formats._reader import begins_another, note_missing_start, type_of
from tokenstream.message import Citation, MediaPart, OpaquePart, ServerToolCall, ServerToolResult

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.open import OpenCall, OpenPart
    from tokenstream.formats._kit.values import ReadersOf


_NUMBERING = ("type", "created_at", "output_index", "content_index", "role")
"""Fields that number an event, or say nothing of the answer."""
_TEXTUAL = split_names("text thinking type signature closed url title description favicon reference_ids tool")
"""The fields of texts and of thinking, and of the references in it."""
_ENTRY = ("id", "agent_id")
"""Fields of an event that say which entry of the conversation it adds to, and which agent writes that."""


class MistralConversations(Format):
    """The `mistral-conversations` format: the events of one response, in which several agents may speak.

    Example:
        >>> conversation = MistralConversations()
        >>> for event in conversation.feed({"type": "message.output.delta", "id": "msg_1", "content": "Hel"}):
        ...     print(type(event).__name__)
        MessageStart
        PartStart
        TextDelta
    """

    __slots__ = ("_calls", "_nameless", "_tools", "_written", "_written_part")

    name = "mistral-conversations"
    counted = CHAT_COUNTS
    # Of the events of a conversation, and of `ConversationResponse`, in mistralai.
    documented = split_names("agent.handoff agent.state.changed conversation_id guardrails")
    fast = Fast(texts=[("content",), ("content", "text"), ("arguments",)], changing=[("created_at",)])

    def _set_up(self) -> None:
        self._written: tuple[object, ...] | None = None
        """The source of the text written last; None before any text.

        The source is the id of an entry in the conversation, the index of the content in the entry, and the
        kind of text.
        """
        self._written_part: OpenPart = NO_PART
        """The part of the text written last."""
        self._calls: dict[str, OpenCall] = {}
        """The calls of the application's tools, by their ids."""
        self._nameless: dict[str, list[object]] = {}
        """The arguments of calls whose name has not come, by their ids; there are as many as opaque parts."""
        self._tools: dict[str, OpenPart] = {}
        """The calls of Mistral's own tools that have begun, by the ids of their entries."""

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool:
        return (text_of(payload, "type") or event) in cls._READERS

    def tolerates(self, payload: JsonObject, event: str) -> bool:
        return self.recognises(payload, event)

    def begun_by(self, payload: JsonObject, event: str) -> str | None:
        """Return the id of the conversation whose next answer an event begins; None if it begins none."""
        is_start = (text_of(payload, "type") or event) == "conversation.response.started"
        return text_of(payload, "conversation_id") or "" if is_start else None

    def read(self, payload: JsonObject, event: str) -> None:
        kind = type_of(self, payload, event)
        reader = self._READERS.get(kind)
        if reader is None:
            self.parts.unknown(kind or "event", payload)
            return
        if not self.parts.started and reader is not self._READERS["conversation.response.started"]:
            note_missing_start(self)
            self.parts.head(model=text_of(payload, "model"))
        reader(self, payload)

    # -- the response ------------------------------------------------------

    def _read_started(self, payload: JsonObject) -> None:
        """Report the conversation's id, with which the next request goes on."""
        id = text_of(payload, "conversation_id")
        if self.parts.started and begins_another(self, id, payload):
            return
        self.parts.head(id=id)
        self._report_rest(payload, "conversation_id")

    def _read_done(self, payload: JsonObject) -> None:
        """End the answer, with its token counts; Mistral sends no finish reason."""
        self.parts.usage_in(payload, usage_of)
        self._report_rest(payload, "usage")
        self.parts.finish(0, "stop", None)
        self.conclude()

    def _read_error(self, payload: JsonObject) -> None:
        self._report_rest(payload, "message", "code")
        self.error = provider_error({"error": {"message": "", **payload, "type": None}})

    def _read_handoff(self, payload: JsonObject) -> None:
        """Report that another agent goes on with the answer; its text is a part of its own."""
        self.parts.unknown(text_of(payload, "type") or "agent.handoff", payload)

    # -- messages ----------------------------------------------------------

    def _read_message(self, payload: JsonObject) -> None:
        self.parts.head(model=text_of(payload, "model"))
        content = payload.get("content")
        if isinstance(content, str):
            self._write(payload, "text", content)
        else:
            for chunk in dicts_of(content):
                self._read_chunk(payload, chunk)
        self._report_rest(payload, *_ENTRY, "model", "content")

    def _read_chunk(self, payload: JsonObject, chunk: JsonObject) -> None:
        kind = text_of(chunk, "type") or ""
        if kind in ("text", "thinking"):
            self.parts.tell_inside(chunk, _TEXTUAL)
        if kind == "text" or (not kind and "text" in chunk):
            self._write(payload, "text", text_of(chunk, "text") or "")
        elif kind == "thinking":
            # The reasoning is one text, or a list of texts.
            thinking = chunk.get("thinking")
            texts = [thinking] if isinstance(thinking, str) else [t.get("text") for t in dicts_of(thinking)]
            signature = text_of(chunk, "signature")
            if self._written_part.signature not in ("", signature):
                # Another signature, or a text without one, belongs to another block.
                self._close_written()
            self._write(payload, "reasoning", "".join([text for text in texts if isinstance(text, str)]))
            if signature:
                self.parts.add_signature(self._open_part(payload, "reasoning"), signature)
        elif kind == "tool_reference":
            self.parts.cite(
                0,
                Citation(
                    url=text_of(chunk, "url"),
                    title=text_of(chunk, "title"),
                    text=text_of(chunk, "description"),
                    cites=None if self._written_part is NO_PART else self._written_part.index,
                    provider_data=chunk,
                ),
            )
        else:
            self._close_written()
            self.parts.whole(0, _part_of(kind, chunk))

    def _write(self, payload: JsonObject, kind: str, text: str) -> None:
        if text:
            self.parts.add(self._open_part(payload, kind), text)

    def _open_part(self, payload: JsonObject, kind: str) -> OpenPart:
        """Return the part to which an event's text is added: the one written last, if the text continues it.

        A text of another kind, or of another entry of the conversation or content in the entry, closes the
        part written last, and opens a new one.
        """
        source = (payload.get("id"), payload.get("content_index"), kind)
        if self._written_part.closed or source != self._written:
            self._close_written()
            data = {name: payload[name] for name in _ENTRY if text_of(payload, name)} or None
            self._written, self._written_part = source, self.parts.open(0, empty_part(kind, data))
        return self._written_part

    def _close_written(self) -> None:
        self.parts.close(self._written_part)

    # -- tools -------------------------------------------------------------

    def _read_call(self, payload: JsonObject) -> None:
        self.parts.head(model=text_of(payload, "model"))
        id, name = text_of(payload, "tool_call_id", "id"), text_of(payload, "name")
        call = None if id is None else self._calls.get(id)
        if call is None:
            if name is None:
                self.note("call_nameless")
                self.parts.whole(0, OpaquePart(type="function.call", data=payload))
                if id is not None:
                    self._nameless.setdefault(id, []).append(payload.get("arguments"))
                return
            self._close_written()
            data = fields_except(payload, *_NUMBERING, "tool_call_id", "name", "arguments", "model")
            call = self.parts.open_call(0, id, name, provider_data=data)
            self._calls[call.sent_id] = call
            for arguments in self._nameless.pop(call.sent_id, ()):
                self.parts.add_fragment(call, arguments)
        if "arguments" not in payload:
            note_unread_texts(call, payload)
        self.parts.add_fragment(call, payload.get("arguments"))

    def _read_tool(self, payload: JsonObject) -> None:
        self.parts.head(model=text_of(payload, "model"))
        id = text_of(payload, "id") or ""
        part = self._tools.get(id)
        if part is None:
            if text_of(payload, "type") == "tool.execution.delta":
                self.note("part_unopened")
            self._close_written()
            part = self._tools[id] = self.parts.open(0, _tool_of(payload))
        self.parts.add_fragment(part, text_of(payload, "arguments") or "")

    def _read_tool_done(self, payload: JsonObject) -> None:
        """End a call of one of Mistral's tools, and add what the event says of its result (`info`)."""
        part = self._tools.get(text_of(payload, "id") or "")
        if part is None:
            # No earlier event has begun the call.
            self._read_tool(payload)
            part = self._tools[text_of(payload, "id") or ""]
        if part.closed:
            self.note("part_end_unmatched")
            return
        self.parts.close(part)
        id, name = text_of(payload, "id") or "", text_of(payload, "name") or ""
        self.parts.whole(0, ServerToolResult(id=id, name=name, content=payload.get("info")))

    def _report_rest(self, payload: JsonObject, *known: str) -> None:
        self.parts.report_unknown_fields(payload, (*known, *_NUMBERING))

    _READERS: ClassVar[ReadersOf[MistralConversations]] = {
        "conversation.response.started": _read_started,
        "conversation.response.done": _read_done,
        "conversation.response.error": _read_error,
        "message.output.delta": _read_message,
        "tool.execution.started": _read_tool,
        "tool.execution.delta": _read_tool,
        "tool.execution.done": _read_tool_done,
        "function.call.delta": _read_call,
        "agent.handoff.started": _read_handoff,
        "agent.handoff.done": _read_handoff,
    }
    event_names = frozenset(_READERS)


def _tool_of(payload: JsonObject) -> ServerToolCall:
    data = fields_except(payload, *_NUMBERING, "id", "name", "arguments", "info", "model")
    id, name = text_of(payload, "id") or "", text_of(payload, "name") or ""
    return ServerToolCall(id=id, name=name, provider_data=data)


def _part_of(kind: str, chunk: JsonObject) -> MediaPart | OpaquePart:
    """Return the part for a chunk that is not text: media for an image or a file, else an opaque part."""
    if kind == "image_url":
        image = chunk.get("image_url")
        url = image if isinstance(image, str) else text_of(dict_of(chunk, "image_url"), "url")
        return MediaPart(url=url, provider_data=fields_except(chunk, "type", "image_url"))
    if kind == "tool_file":
        return MediaPart(id=text_of(chunk, "file_id"), provider_data=fields_except(chunk, "type", "file_id"))
    return OpaquePart(type=kind, data=chunk)
