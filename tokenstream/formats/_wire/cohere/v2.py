"""Version 2 of Cohere's chat API: the events of a stream, and whole answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import dict_of, dicts_of, index_of, is_dict, is_list, text_of, whole_number
from tokenstream.formats._base import Format
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._kit.values import split_names, worst_of
from tokenstream.formats._reader import begins_another, end_without_finish, note_missing_start, type_of
from tokenstream.formats._wire.cohere.parts import COUNTED, FINISH_REASONS, CohereParts, failure_of, usage_of

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.values import Mark, ReadersOf

_MESSAGE_FIELDS = ("role", "content", "tool_plan", "tool_calls", "citations")
"""The fields of a message, which are all read."""
_EVENT_FIELDS = split_names("type id index delta error logprobs")
_DELTA_FIELDS = split_names("message finish_reason usage error")
_BARE_ERROR_FIELDS = frozenset({"message", "id"})


class V2(Format[CohereParts]):
    """Reads answers of v2, the current version of Cohere's chat API; the base class of `Cohere`."""

    __slots__ = ()

    _parts_class = CohereParts
    counted = COUNTED
    sentinel = b"[DONE]"
    ends_twice = True

    @classmethod
    def is_whole_v2(cls, payload: JsonObject) -> bool:
        """Return whether a payload is a whole answer of v2, which was not streamed."""
        message = payload.get("message")
        # Ollama's payloads, which also have a message of this role, have the field `done`.
        is_ollama = "done" in payload
        is_answer = is_dict(message) and message.get("role") == "assistant"
        return is_answer and isinstance(payload.get("finish_reason"), str) and not is_ollama

    def read(self, payload: JsonObject, event: str) -> None:
        kind = text_of(payload, "type")
        if kind is None and not event:
            self._read_unmarked(payload)
            return
        if self.nameless:
            # Not `self.note`, which would stop the fast path; there, `follow` counts the departures.
            self.departures.note("event_name_missing", event=self.frames)
        kind = type_of(self, payload, event)
        reader = V2.READERS.get(kind)
        if reader is None:
            self.parts.unknown(kind, payload)
        else:
            if not (self.parts.started or kind in ("message-start", "debug")):
                note_missing_start(self)
            reader(self, payload)
            if not self.later_frames:
                self._report_rest(payload)

    def tolerates(self, payload: JsonObject, event: str) -> bool:
        """Return True for a payload that looks like an error, but is `message-end`, which may contain one."""
        return text_of(payload, "type") == "message-end"

    def _read_unmarked(self, payload: JsonObject) -> None:
        """Read a payload without a type: a whole answer, or an error."""
        if self.is_whole_v2(payload):
            self._read_whole(payload)
        elif isinstance(payload.get("message"), str) and payload.keys() <= _BARE_ERROR_FIELDS:
            self.note("error_unmarked")
            self.error = provider_error({"error": payload})
        else:
            self.parts.unknown("event", payload)

    # -- events --------------------------------------------------------------

    def _read_message_start(self, payload: JsonObject) -> None:
        id, message = text_of(payload, "id"), _message_of(payload)
        if self.parts.started and begins_another(self, id, payload):
            return
        self.parts.head(id=id, role=text_of(message, "role"))
        # All fields except the first, the role, are content.
        if any(message.get(name) for name in _MESSAGE_FIELDS[1:]) and not self.parts.has_content:
            self.note("start_with_content")
            self.read_message(message)

    def _read_content_start(self, payload: JsonObject) -> None:
        self.parts.start_block(_index_of(payload), dict_of(_message_of(payload), "content"))

    def _read_content_delta(self, payload: JsonObject) -> None:
        self.parts.add_to_block(_index_of(payload), dict_of(_message_of(payload), "content"))
        self._report_logprobs(payload)

    def _read_call_start(self, payload: JsonObject) -> None:
        """Open a tool call; if there is none, `{}` stands for a call without a name."""
        for index, call in _calls_of(payload) or [(_index_of(payload), {})]:
            self.parts.start_call(index, call)

    def _read_call_delta(self, payload: JsonObject) -> None:
        for index, call in _calls_of(payload):
            self.parts.add_to_call(index, call)

    def _read_citation_start(self, payload: JsonObject) -> None:
        for citation in dicts_of(_message_of(payload).get("citations")):
            self.parts.cite_source(citation)

    def _read_message_end(self, payload: JsonObject) -> None:
        delta = dict_of(payload, "delta")
        if not self.parts.started:
            self.parts.head(id=text_of(payload, "id"))
        self.end_answer(
            text_of(delta, "finish_reason"),
            dict_of(delta, "usage"),
            _failure_message_of(delta) or _failure_message_of(payload),
        )

    def pass_over_event(self, payload: JsonObject) -> None:
        """Read nothing: the event has no content, or only what another event contains as a whole."""

    # -- shared with v1 --------------------------------------------------------

    def read_message(self, message: JsonObject) -> None:
        """Read a message that arrived in one piece."""
        self.parts.add_to_plan(message.get("tool_plan"))
        content = message.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else dicts_of(content)
        for index, block in enumerate(blocks):
            self.parts.add_whole_block(index, block)
        for citation in dicts_of(message.get("citations")):
            self.parts.cite_source(citation)
        for index, call in enumerate(dicts_of(message.get("tool_calls"))):
            self.parts.start_call(index, call)
            self.parts.end_call(index)

    def end_answer(self, reason: str | None, report: JsonObject, failure_message: str | None) -> None:
        if report:
            self.parts.usage(usage_of(report))
        marks: list[Mark] = [] if failure_message is None else [("error", "ERROR")]
        if reason is not None:
            marks.insert(0, (FINISH_REASONS.get(reason.upper(), "unknown"), reason))
        if not marks:
            self.note("finish_missing")
            end_without_finish(self)
            return
        self.parts.forget_open()
        meaning, word = worst_of(marks, self.note)
        # The reason is that of all choices; an answer without content is choice 0.
        for choice in sorted(self.parts.choices) or [0]:
            self.parts.finish(choice, meaning, word)
        self.error = failure_of((word or "").upper(), failure_message)
        if self.error is None:
            self.conclude()

    def _report_logprobs(self, payload: JsonObject) -> None:
        logprobs = payload.get("logprobs")
        if logprobs:
            self.parts.items("logprobs", logprobs if is_list(logprobs) else [logprobs])

    def _report_rest(self, payload: JsonObject) -> None:
        self.parts.report_unknown_fields(payload, _EVENT_FIELDS)
        self.parts.report_unknown_fields(dict_of(payload, "delta"), _DELTA_FIELDS)
        self.parts.report_unknown_fields(_message_of(payload), _MESSAGE_FIELDS)

    def _read_whole(self, payload: JsonObject) -> None:
        if self.parts.has_content:
            self.note("content_twice")
            return
        message = dict_of(payload, "message")
        self.parts.head(id=text_of(payload, "id"), role=text_of(message, "role"))
        self.read_message(message)
        self._report_logprobs(payload)
        self.parts.report_unknown_fields(payload, _EVENT_FIELDS | _DELTA_FIELDS)
        self.parts.report_unknown_fields(message, _MESSAGE_FIELDS)
        self.end_answer(text_of(payload, "finish_reason"), dict_of(payload, "usage"), failure_message=None)

    READERS: ClassVar[ReadersOf[V2]] = {
        "message-start": _read_message_start,
        "content-start": _read_content_start,
        "content-delta": _read_content_delta,
        "content-end": lambda self, payload: self.parts.end_block(_index_of(payload)),
        "tool-plan-delta": lambda self, payload: self.parts.add_to_plan(
            _message_of(payload).get("tool_plan")
        ),
        "tool-call-start": _read_call_start,
        "tool-call-delta": _read_call_delta,
        "tool-call-end": lambda self, payload: self.parts.end_call(_index_of(payload)),
        "citation-start": _read_citation_start,
        "citation-end": pass_over_event,
        "message-end": _read_message_end,
        "debug": pass_over_event,
    }
    event_names = frozenset(READERS)


def _message_of(payload: JsonObject) -> JsonObject:
    return dict_of(dict_of(payload, "delta"), "message")


def _index_of(payload: JsonObject) -> int | None:
    """Return the index of an event's block or call, which may be text with digits; None if it has none."""
    return whole_number(index_of(payload.get("index")))


def _calls_of(payload: JsonObject) -> list[tuple[int | None, JsonObject]]:
    """Return the calls of an event, usually one; the indexes of more count up from the event's index."""
    index = _index_of(payload)
    calls = enumerate(dicts_of(_message_of(payload).get("tool_calls")))
    return [(None if index is None else index + offset, call) for offset, call in calls]


def _failure_message_of(delta: JsonObject) -> str | None:
    return text_of(delta, "error") or text_of(dict_of(delta, "error"), "message")
