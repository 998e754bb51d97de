"""Cohere chat, v2 and v1."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import dict_of, dicts_of, int_of, is_dict, text_of
from tokenstream.formats._fast.path import Fast
from tokenstream.formats._kit.open import NO_PART
from tokenstream.formats._kit.values import split_names
from tokenstream.formats._reader import begins_another, type_of
from tokenstream.formats._wire.cohere.parts import FINISH_REASONS
from tokenstream.formats._wire.cohere.v2 import V2

if TYPE_CHECKING:
    from tokenstream._basics.loose import DeltaCallback, JsonObject
    from tokenstream.events import Event
    from tokenstream.formats._fast.shape import KeyPath
    from tokenstream.formats._kit.values import ReadersOf

ID_FIELDS = ("generation_id", "response_id", "id")
_CITATION_FIELDS = split_names("start end text document_ids type")
_REPEATED_FIELDS = split_names("text tool_calls citations finish_reason meta generations")
"""Fields of a whole answer that are read elsewhere, or that repeat earlier events."""
_FAILURE_FIELDS = ("err", "error", "message")

_EVENT_FIELDS = split_names("event_type is_finished index text tool_call_delta tool_calls citations").union(
    ("finish_reason", "response"), ID_FIELDS, _FAILURE_FIELDS
)
"""Fields of an event that are read."""

_MESSAGE: KeyPath = ("delta", "message")


_ENDS = frozenset({"stream-end", "stream-error"})


class Cohere(V2):
    """The `cohere` format: answers of the chat API, version 2 or 1, streamed or whole.

    Example:
        >>> cohere = Cohere()
        >>> [type(event).__name__ for event in cohere.feed({"type": "content-start", "index": 0,
        ...     "delta": {"message": {"content": {"type": "text", "text": ""}}}})]
        ['PartStart']
        >>> cohere.feed({"type": "content-delta", "index": 0,
        ...     "delta": {"message": {"content": {"text": "Hel"}}}})
        [TextDelta(choice=0, part=0, text='Hel')]
    """

    __slots__ = ("_has_citations",)

    name = "cohere"
    # Of the stream events of v2 and v1, and of `NonStreamedChatResponse`, in cohere-python.
    documented = split_names(
        "chat_history documents generation_id is_search_required logprobs prompt response_id search_queries "
        "search_results"
    )
    is_one_answer = True
    closes_parts = True
    finish_reasons = FINISH_REASONS
    fast = Fast(
        texts=[
            (*_MESSAGE, "content", "text"),
            (*_MESSAGE, "content", "thinking"),
            (*_MESSAGE, "tool_calls", "function", "arguments"),
            ("text",),
            ("tool_call_delta", "parameters"),
        ],
        units=frozenset({"event", "line"}),
    )

    def _set_up(self) -> None:
        super()._set_up()
        self._has_citations = False
        """True once a citation has arrived, so that the list of all citations at the end is a repetition."""

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool | None:
        """Return whether a stream's first payload is of this format; None if other formats send it, too."""
        kind = text_of(payload, "type")
        if kind is None and "event_type" not in payload and not event:
            return cls.is_whole_v2(payload) or cls.is_whole_v1(payload)
        name = kind or event
        if name == "debug":
            # Other formats have events of that name, too.
            return None if "prompt" in payload else False
        if name in V2.READERS:
            # Other servers have types of these names, too, but not these fields.
            is_own = is_dict(payload.get("delta")) or "index" in payload
            return True if is_own or (name == "message-start" and "id" in payload) else None
        return text_of(payload, "event_type") in Cohere.READERS_V1

    def begun_by(self, payload: JsonObject, event: str) -> str | None:
        kind = text_of(payload, "type", "event_type") or event
        return text_of(payload, *ID_FIELDS) or "" if kind in ("message-start", "stream-start") else None

    def follow(self, delta: Event) -> DeltaCallback | None:
        """Return a function that counts each later delta without the event name that v2 documents.

        Such a delta is a departure from the documentation. The fast path reads it without `read`, which
        counts all other events without names. The result is None if the events have names, or belong to v1,
        whose events need no names.
        """
        # Payloads of v1 have their type in the field `event_type` instead.
        is_v2 = text_of(delta.raw, "event_type") is None
        return self._count_nameless if self.nameless and is_v2 else None

    def _count_nameless(self, delta: Event) -> None:
        """Count a departure from the documentation for a delta without an event name, on the fast path."""
        # The frame of the delta is counted only after this call.
        self.departures.note("event_name_missing", event=self.frames + 1)

    @classmethod
    def is_whole_v1(cls, payload: JsonObject) -> bool:
        """Return whether a payload is a whole answer of v1, which was not streamed."""
        return isinstance(payload.get("text"), str) and "generation_id" in payload

    def read(self, payload: JsonObject, event: str) -> None:
        kind = text_of(payload, "event_type")
        if kind is None and "type" not in payload and self.is_whole_v1(payload):
            self._read_whole_v1(payload)
        elif kind is None:
            super().read(payload, event)
        else:
            reader = Cohere.READERS_V1.get(type_of(self, payload, event, "event_type"))
            if reader is None:
                self.parts.unknown(kind, payload)
            else:
                reader(self, payload)
                if not self.later_frames:
                    self.parts.report_unknown_fields(payload, _EVENT_FIELDS)

    def tolerates(self, payload: JsonObject, event: str) -> bool:
        """Return True for a payload that looks like an error, but ends an answer of v1 or v2."""
        return text_of(payload, "event_type") in _ENDS or super().tolerates(payload, event)

    # -- events --------------------------------------------------------------

    def _read_stream_start(self, payload: JsonObject) -> None:
        id = text_of(payload, *ID_FIELDS)
        if self.parts.started and begins_another(self, id, payload):
            return
        self.parts.head(id=id)

    def _read_text_generation(self, payload: JsonObject) -> None:
        """Add the `text` of a payload to its choice; report a `text` that is not a string as unknown."""
        text = payload.get("text")
        if isinstance(text, str):
            self.parts.write_text(text, max(int_of(payload, "index") or 0, 0))
        elif text is not None:
            self.parts.other_field("text", text)

    def _read_tool_calls_chunk(self, payload: JsonObject) -> None:
        """Read a piece of a tool call, or of the plan, in which the model says which tools it will call."""
        self.parts.add_to_plan(payload.get("text"))
        delta = dict_of(payload, "tool_call_delta")
        if delta:
            self.parts.add_v1_fragment(delta)

    def _read_tool_calls_generation(self, payload: JsonObject) -> None:
        if self.parts.plan is NO_PART:
            self.parts.add_to_plan(payload.get("text"))
        self.parts.read_call_list(dicts_of(payload.get("tool_calls")))

    def _read_stream_end(self, payload: JsonObject) -> None:
        response = dict_of(payload, "response")
        if not self.parts.started:
            self.parts.head(id=text_of(response, *ID_FIELDS))
        # The older Generate API puts the finish reason into each of its `generations`.
        generation = next(iter(dicts_of(response.get("generations"))), response)
        reason = text_of(payload, "finish_reason") or text_of(generation, "finish_reason")
        self._read_end(response, reason, text_of(payload, *_FAILURE_FIELDS))

    def _read_whole_v1(self, payload: JsonObject) -> None:
        if self.parts.has_content:
            self.note("content_twice")
            return
        self.parts.head(id=text_of(payload, *ID_FIELDS))
        text = text_of(payload, "text")
        if dicts_of(payload.get("tool_calls")):
            # If there are tool calls, the text is the model's plan for using them.
            self.parts.add_to_plan(text)
        elif text is not None:
            self.parts.write_text(text, 0)
        self._read_end(payload, text_of(payload, "finish_reason"), text_of(payload, "err", "error"))

    # -- internals -----------------------------------------------------------

    def _read_citations(self, payload: JsonObject) -> None:
        """Add the citations in a payload; they refer to documents in it, or in an earlier payload."""
        documents = payload.get("documents") or self.parts.fields.get("documents")
        for citation in dicts_of(payload.get("citations")):
            self._has_citations = True
            self.parts.cite_source(citation, documents)

    def _read_end(self, response: JsonObject, reason: str | None, failure_message: str | None) -> None:
        """Read the whole answer at the end of the stream: add what no earlier event has contained."""
        if not self._has_citations:
            self._read_citations(response)
        self.parts.tell_inside(response.get("citations"), _CITATION_FIELDS)
        if not self.parts.has_calls:
            self.parts.read_call_list(dicts_of(response.get("tool_calls")))
        for number, generation in enumerate(dicts_of(response.get("generations")) or [response]):
            self._tell_text(generation, number)
        # Of several ids, the first became the answer's id, and the others are reported, as is every field
        # that was not read here or before (`_REPEATED_FIELDS`).
        answer_id = next((name for name in ID_FIELDS if text_of(response, name)), "id")
        self.parts.report_unknown_fields(response, (*_REPEATED_FIELDS, answer_id))
        self.end_answer(reason, dict_of(response, "meta"), failure_message)

    def _tell_text(self, generation: JsonObject, number: int) -> None:
        """Compare the whole text of a choice with its deltas; add the text if nothing of it arrived."""
        whole, sent_index = text_of(generation, "text"), int_of(generation, "index")
        if not whole:
            return
        index = number if sent_index is None or sent_index < 0 else sent_index
        choice = self.parts.choice(index)
        if choice.current_part is not None and choice.current_part.kind == "text":
            self.parts.tell(choice.current_part, whole, len(whole))
        elif not choice.next_part:
            # If there are tool calls, the text is the model's plan for using them, which is a part.
            self.parts.note("text_completed")
            self.parts.write_text(whole, index)

    READERS_V1: ClassVar[ReadersOf[Cohere]] = {
        "stream-start": _read_stream_start,
        "text-generation": _read_text_generation,
        "search-queries-generation": V2.pass_over_event,
        "search-results": V2.pass_over_event,
        "tool-calls-chunk": _read_tool_calls_chunk,
        "tool-calls-generation": _read_tool_calls_generation,
        "citation-generation": _read_citations,
        "stream-end": _read_stream_end,
        "stream-error": _read_stream_end,
        "debug": V2.pass_over_event,
    }
