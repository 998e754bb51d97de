"""OpenAI Realtime: the events of a session over a WebSocket, as sent by OpenAI, Azure and xAI."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.recent_ids import RecentIds
from tokenstream._basics.untrusted import dict_of, dicts_of, index_of, text_of
from tokenstream.errors import LimitExceeded
from tokenstream.events import PartDelta, ToolCallDelta
from tokenstream.formats._fast.path import Fast, always_decode
from tokenstream.formats._kit.errors import more_telling, provider_error
from tokenstream.formats._kit.open import note_unread_texts
from tokenstream.formats._kit.openai import (
    INPUT_TRANSCRIPTION,
    RESPONSE_REASONS,
    SESSION_COUNTS,
    report_usage,
)
from tokenstream.formats._kit.sessions import (
    RESPONSE_FIELDS,
    SESSION_EVENTS,
    SessionEvents,
    find_session_kind,
)
from tokenstream.formats._kit.values import WHOLE, fragment_text, split_names, worst_of
from tokenstream.formats._reader import find_cut, note_missing_start, note_second_start
from tokenstream.formats._wire.openai_realtime.parts import RealtimeOutputs
from tokenstream.formats._wire.openai_realtime.words import REMEMBERED_ITEMS, is_event, marks_of, response_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import DeltaCallback, JsonObject
    from tokenstream.events import Event
    from tokenstream.formats._base import AnswerPlace
    from tokenstream.formats._kit.sessions import Readers
    from tokenstream.formats._wire.openai_realtime.words import RealtimeContent
    from tokenstream.limits import Limits
    from tokenstream.message import FinishReason


_WORD = re.compile(r"[\w.-]{1,64}")
"""A single word, such as the code of an error."""
_RESPONSE_FIELDS = split_names("id object status output usage")


class OpenAIRealtime(SessionEvents[RealtimeOutputs]):
    """The `openai-realtime` format: the server's events in one session.

    All responses of the session form one message, with the finish reason of the last
    response; `answer` selects a single response.

    Args:
        answer: The id of the only response to read; None for all.
        session: Data of the session that are known before its first event.
        heard: The ids of the items of which another format has reported pieces of the transcript.

    Example:
        >>> realtime = OpenAIRealtime()
        >>> start = {"type": "response.created", "response": {"id": "resp_1"}}
        >>> realtime.feed(start)[0].id
        'resp_1'
        >>> where = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
        >>> piece = {"type": "response.output_text.delta", "delta": "Hel", **where}
        >>> [event.text for event in realtime.feed(piece) if hasattr(event, "text")]
        ['Hel']
    """

    __slots__ = ("_answer", "_ended_responses", "_heard", "_open_responses", "_session")

    _parts_class = RealtimeOutputs
    name = "openai-realtime"
    counted = SESSION_COUNTS
    documented = RESPONSE_FIELDS | SESSION_EVENTS
    framing = "messages"
    ends_with_input = True
    several = True
    closes_parts = True
    finish_reasons = RESPONSE_REASONS
    fast = Fast(texts=[("delta",)], changing=[("event_id",)], units=frozenset({"message"}), turns=True)

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        answer: str | None = None,
        session: JsonObject | None = None,
        heard: RecentIds | None = None,
    ) -> None:
        super().__init__(limits=limits)
        self._session: JsonObject = session or {}
        """The session's settings, as the server has reported them."""
        self.parts.read_audio_format(self._session)
        self._answer = answer
        self._heard = RecentIds(REMEMBERED_ITEMS) if heard is None else heard
        """The ids of the user's items of which pieces of the transcript were reported."""
        self._open_responses: dict[str, None] = {}
        """An ordered set: ids of the open responses."""
        self._ended_responses: dict[str, None] = {}
        """An ordered set: ids of the last responses that have ended."""

    def fresh(self, *, limits: Limits) -> OpenAIRealtime:
        return type(self)(limits=limits, answer=self._answer, session=self._session, heard=self._heard)

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool:  # noqa: ARG003 - it has no names
        return is_event(payload)

    def place_of(self, payload: JsonObject) -> AnswerPlace:
        return response_of(payload)

    def of_answer(self, answer: str) -> OpenAIRealtime:
        return OpenAIRealtime(limits=self.limits, answer=answer, session=self._session, heard=self._heard)

    @property
    def is_over(self) -> bool:
        return not self._open_responses and (self._failure is not None or self.parts.finished)

    @property
    def resting(self) -> bool:
        """True while no response is open: the user may be silent for any time."""
        return not self._open_responses

    def follow(self, delta: Event) -> DeltaCallback | None:
        """Return a callback that has a delta decoded if it may be the one before it again.

        If the delta is not from a delta event, return `always_decode`: the event had a whole text, and the
        next event of its type may only repeat deltas that were reported.
        """
        if not (text_of(delta.raw, "type") or "").endswith(".delta"):
            return always_decode
        return self._last.follow("fragment" if isinstance(delta, ToolCallDelta | PartDelta) else "text")

    def belongs(self, kind: str, payload: JsonObject) -> bool:
        """Return False for an event about a response that has ended: another answer may have begun."""
        if text_of(payload, "response_id") not in self._ended_responses:
            return True
        self.note("data_after_end")
        return False

    # -- the session ---------------------------------------------------------

    def _read_ping(self, payload: JsonObject) -> None:
        """Read nothing: a heartbeat only shows that the server is alive."""

    def _read_session(self, payload: JsonObject) -> None:
        """Record the session's model and audio format, and report the event as unknown.

        A session that only transcribes or translates has no responses, so nothing of it would be read.
        """
        if find_session_kind(payload) is not None:
            self.error = self.first_frames.find_mismatch(self, certain=True)
        session = self._session = dict_of(payload, "session")
        model = text_of(session, "model")
        if model:
            self.parts.head(model=model)
        self.parts.read_audio_format(session)
        self.parts.unknown(text_of(payload, "type") or "session", payload)

    def _read_rate_limits(self, payload: JsonObject) -> None:
        limits = payload.get("rate_limits")
        if limits:
            self.parts.field("rate_limits", limits)

    # -- what the user says ----------------------------------------------------

    def _read_heard(self, payload: JsonObject) -> None:
        """Report a piece of what the user has said; a payload without text is reported as unknown."""
        text, id = text_of(payload, "delta"), text_of(payload, "item_id")
        if not text:
            self.parts.unknown(INPUT_TRANSCRIPTION + "delta", payload)
            return
        self._heard.add(id or "")
        self.parts.input_transcript(text, id)

    def _read_heard_whole(self, payload: JsonObject) -> None:
        """Report the end of what the user has said, with its text unless pieces of it were reported."""
        whole, id = text_of(payload, "transcript"), text_of(payload, "item_id")
        # Without an id, nothing tells which pieces it repeats.
        is_new = not id or self._heard.add(id)
        self.parts.input_transcript((is_new and whole) or "", id, done=True, transcript=whole)

    def _read_unheard(self, payload: JsonObject) -> None:
        """Report that the user's speech could not be transcribed; the answer itself has not failed."""
        error = dict_of(payload, "error")
        word = text_of(error, "code") or text_of(error, "type") or ""
        # A relay sends the word, but the provider's sentences may be private.
        shown = word if _WORD.fullmatch(word) else "failed"
        self.parts.input_transcript("", text_of(payload, "item_id"), done=True, error=shown)

    # -- responses -----------------------------------------------------------

    def _read_created(self, payload: JsonObject) -> None:
        """Begin a response; if no other response is open, begin an answer, too."""
        response = dict_of(payload, "response")
        id = text_of(response, "id") or ""
        if id in self._open_responses:
            note_second_start(self)
            return
        self.parts.read_audio_format(response)
        if not self._open_responses:
            # The errors of the answer before do not concern this one.
            self._failure = self._last_error = None
            self.parts.begin_answer(id or None, text_of(self._session, "model"))
        # There is no limit of its own for the responses that are open at the same time.
        if len(self._open_responses) >= self.limits.choices:
            raise LimitExceeded(limit="choices", value=self.limits.choices)
        self._open_responses[id] = None
        # A server may use an id again.
        self._ended_responses.pop(id, None)
        self.parts.report_unknown_fields(response, _RESPONSE_FIELDS)

    def _read_done(self, payload: JsonObject) -> None:
        """End a response; if no other response is open, report the finish reason of the answer."""
        response = dict_of(payload, "response")
        id = text_of(response, "id") or text_of(payload, "response_id") or ""
        if id not in self._open_responses:
            # The response's end was repeated, or its start is missing.
            if self.parts.finished or id in self._ended_responses:
                self.note("finish_repeated")
                return
            note_missing_start(self)
        marks, cut = marks_of(response), None
        self._add_missing_items(response, id)
        self._open_responses.pop(id, None)
        if not marks:
            self.note("finish_missing")
            # The items of other responses are open.
            cut = None if self._open_responses else find_cut(self)
        reason, status = worst_of(marks, self.note) if marks else ("unknown", None)
        self.parts.end_response(id, complete=reason in WHOLE or not (marks or cut))
        if id:
            if len(self._ended_responses) >= REMEMBERED_ITEMS:
                del self._ended_responses[next(iter(self._ended_responses))]
            self._ended_responses[id] = None
        self.parts.report_unknown_fields(response, _RESPONSE_FIELDS)
        report_usage(self.parts, payload, response)
        if not self._open_responses:
            self._failure = self._failure or cut
            self._finish(response, reason, status)

    def _add_missing_items(self, response: JsonObject, id: str) -> None:
        """Add the items of a finished response that no event has brought; compare the calls in the others."""
        for index, item in enumerate(dicts_of(response.get("output"))):
            payload = {"response_id": id, "output_index": index}
            if not self.parts.repeat_item(payload, item):
                self.parts.start_item(payload, item)
                self.parts.end_item(payload, item)

    def _finish(self, response: JsonObject, reason: FinishReason, status: str | None) -> None:
        self.parts.finish(0, reason, status)
        if reason == "error":
            details = dict_of(dict_of(response, "status_details"), "error")
            failure = provider_error({"error": details}, ours="the response failed")
            self._failure = more_telling(failure, self._last_error)
        if self._answer is not None:
            # This format reads only one response, which has ended now.
            self.error = self._failure
            self.conclude()

    # -- items and content -----------------------------------------------------

    def _read_delta(
        self,
        payload: JsonObject,
        *,
        type: str,  # noqa: A002 - the field's name
        write: Callable[[RealtimeOutputs, RealtimeContent, str], None],
    ) -> None:
        """Add a delta to its content part; if the delta or its item does not fit, report the payload."""
        delta = payload.get("delta")
        if isinstance(delta, str):
            content = self.parts.get_or_open_content(payload, type)
            if content is not None:
                write(self.parts, content, delta)
                return
        self.report_misfit(payload)

    _read_text = partial(_read_delta, type="text", write=partial(RealtimeOutputs.write_text, field="text"))
    _read_transcript = partial(
        _read_delta, type="audio", write=partial(RealtimeOutputs.write_text, field="transcript")
    )
    _read_audio = partial(_read_delta, type="audio", write=RealtimeOutputs.write_audio)

    def _read_whole_content(self, payload: JsonObject) -> None:
        """Read the end of a text, transcript or audio; the payload repeats all of this content."""
        item = self.parts.find_item(payload)
        index = index_of(payload.get("content_index"))
        if item is not None and isinstance(index, int) and index in item.contents:
            self.parts.add_missing_content(item, index, payload)

    def _read_arguments(self, payload: JsonObject) -> None:
        """Add a piece of a call's arguments; if it is neither text nor an object, report the payload."""
        delta = fragment_text(payload.get("delta"), self.note)
        if delta is not None:
            self.parts.write_arguments(payload, delta)
        else:
            item = self.parts.find_item(payload)
            call = None if item is None else item.call
            note_unread_texts(call, payload)
            self.report_misfit(payload)

    def _read_arguments_done(self, payload: JsonObject) -> None:
        is_server_call = "mcp_call" in (text_of(payload, "type") or "")
        self.parts.end_arguments(payload, "mcp_call" if is_server_call else "function_call")

    _READERS: ClassVar[Readers] = {
        "ping": _read_ping,
        "keepalive": _read_ping,
        "session.created": _read_session,
        "session.updated": _read_session,
        "transcription_session.created": _read_session,
        "transcription_session.updated": _read_session,
        "rate_limits.updated": _read_rate_limits,
        "error": SessionEvents.read_error,
        INPUT_TRANSCRIPTION + "delta": _read_heard,
        INPUT_TRANSCRIPTION + "completed": _read_heard_whole,
        INPUT_TRANSCRIPTION + "failed": _read_unheard,
        "response.created": _read_created,
        "response.done": _read_done,
        "response.output_item.added": lambda self, payload: self.parts.start_item(
            payload, dict_of(payload, "item")
        ),
        "response.output_item.done": lambda self, payload: self.parts.end_item(
            payload, dict_of(payload, "item")
        ),
        "response.content_part.added": lambda self, payload: self.parts.start_content(payload),
        "response.content_part.done": lambda self, payload: self.parts.end_content(payload),
        "response.output_text.delta": _read_text,
        "response.output_text.done": _read_whole_content,
        "response.output_audio_transcript.delta": _read_transcript,
        "response.output_audio_transcript.done": _read_whole_content,
        "response.output_audio.delta": _read_audio,
        "response.output_audio.done": _read_whole_content,
        # Names in the beta version of the API.
        "response.text.delta": _read_text,
        "response.text.done": _read_whole_content,
        "response.audio_transcript.delta": _read_transcript,
        "response.audio_transcript.done": _read_whole_content,
        "response.audio.delta": _read_audio,
        "response.audio.done": _read_whole_content,
        "response.function_call_arguments.delta": _read_arguments,
        "response.function_call_arguments.done": _read_arguments_done,
        "response.mcp_call_arguments.delta": _read_arguments,
        "response.mcp_call_arguments.done": _read_arguments_done,
    }
