"""Sessions with several answers: the kinds of OpenAI's and Mistral's, and parts one after the other."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias

from typing_extensions import TypeVar, override

from tokenstream._basics.recent_ids import RecentIds
from tokenstream._basics.untrusted import dict_of, text_of
from tokenstream.events import MessageStart
from tokenstream.formats._base import Format
from tokenstream.formats._kit.errors import more_telling, provider_error
from tokenstream.formats._kit.parts import Parts
from tokenstream.formats._kit.repeated import LastEvent
from tokenstream.formats._kit.values import mend_surrogates, split_names
from tokenstream.formats._reader import type_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream._basics.loose import JsonObject
    from tokenstream.errors import StreamError
    from tokenstream.formats._kit.identity import OrderedItem
    from tokenstream.formats._kit.open import OpenChoice, OpenPart
    from tokenstream.limits import Limits
    from tokenstream.message import FinishReason

REMEMBERED = 2_000
"""Number of ids of events that are remembered at least, so that events sent again are dropped."""
OrderedT = TypeVar("OrderedT", bound="OrderedItem")
Readers: TypeAlias = "Mapping[str, Callable[[Any, JsonObject], object]]"
"""The readers of events, by the type of event."""


SESSION_EVENTS = split_names(
    "conversation.created conversation.item.added conversation.item.created conversation.item.deleted "
    "conversation.item.done conversation.item.input_audio_transcription.completed "
    "conversation.item.input_audio_transcription.delta conversation.item.input_audio_transcription.failed "
    "conversation.item.input_audio_transcription.segment "
    "conversation.item.input_audio_transcription.updated conversation.item.retrieved "
    "conversation.item.truncated decision.completed decision.event decision.item.created "
    "decision.item.deleted error input_audio_buffer.cleared input_audio_buffer.committed "
    "input_audio_buffer.dtmf_event_received input_audio_buffer.speech_started "
    "input_audio_buffer.speech_stopped input_audio_buffer.timeout_triggered mcp_list_tools.completed "
    "mcp_list_tools.failed mcp_list_tools.in_progress output_audio_buffer.cleared "
    "output_audio_buffer.started output_audio_buffer.stopped rate_limits.updated response.event "
    "response.mcp_call.completed response.mcp_call.failed response.mcp_call.in_progress session.closed "
    "session.commentary.appended session.created session.delegation.created session.input_audio.muted "
    "session.input_audio.unmuted session.input_transcript.delta session.instructions.appended "
    "session.output_audio.delta session.output_audio.fixture.played session.output_audio.fixture.playing "
    "session.output_transcript.delta session.paused session.resumed session.started "
    "session.thinking.appended session.updated session.usage.updated transcription_session.created "
    "transcription_session.updated transport.answered transport.dtmf.received transport.dtmf.sent "
    "transport.failed transport.ringing"
)
"""Events of sessions in openai-python, and of xAI's, that are no events of an answer."""
_EVENT_FIELDS = split_names(
    "arguments audio audio_duration_ms audio_end_ms audio_language audio_start_ms call_id channels "
    "client_event_id code content_index context_window delegation_id delta elapsed_ms end end_ms error "
    "event_id format id input_index item_id language languages latency logprobs message model name "
    "obfuscation offset_ms output_index previous_item_id rate_limits reason received_at response_id rid "
    "sample_rate sequence_number session speaker speaker_id start start_ms start_time status text timestamp "
    "transcript trigger_id ts type usage"
)
"""Fields of the events of sessions, of openai-python, xAI and Mistral, that have no objects to look into."""
_NESTED_FIELDS = split_names("content conversation delegation event item part response segments")
ITEM_FIELDS = split_names(
    "action actions agent agent_name allowed_callers annotations approval_request_id approve arguments async "
    "attributes author background button bytes call_id caller caller_id categories code command commands "
    "container_id content contents created_by data date definition description detail diff encrypted_content "
    "end_index environment error execution exit_code file_data file_id file_url filename filters fingerprint "
    "id image_url index input input_tokens keys last_updated logprob logprobs logs max_output_length message "
    "mode model moderation moderation_details moderation_stage name namespace object operation outcome "
    "output output_compression output_format output_tokens outputs parsed parsed_arguments path pattern "
    "pending_safety_checks phase quality queries query reason reasoning_tokens recipient refusal result "
    "results revised_prompt role score scroll_x scroll_y server_label size snippet sources start_index "
    "status stderr stdout summary svg svg_usage text timeout_ms title token tools top_logprobs total_tokens "
    "transcript type url user user_location version working_directory x y"
)
"""The fields of items and of what is in them: of openai-python, its helpers for parsing, and Perplexity."""
RESPONSE_FIELDS = split_names(
    "access_programs audio background completed_at conversation conversation_id created_at error "
    "frequency_penalty image incomplete_details input_transformations instructions max_output_tokens "
    "max_tool_calls metadata modalities moderation output_audio_format output_modalities "
    "parallel_tool_calls presence_penalty previous_response_id prompt prompt_cache_diagnostics "
    "prompt_cache_key prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier "
    "status_details store temperature text tool_choice tool_usage tools top_logprobs top_p truncation user "
    "voice"
)
"""The fields of `Response` and `RealtimeResponse` in openai-python, and of OpenResponses; most repeat the
request."""

_ALL_FIELDS = _EVENT_FIELDS | _NESTED_FIELDS | ITEM_FIELDS | RESPONSE_FIELDS


def find_session_kind(payload: JsonObject) -> Literal["transcription", "live"] | None:
    """Return the kind of a session without responses ("live" if it translates); None for any other."""
    kind, session = text_of(payload, "type") or "", dict_of(payload, "session")
    if kind in ("transcription_session.created", "transcription_session.updated"):
        # Names in the beta version of OpenAI's API.
        return "transcription"
    if kind not in ("session.created", "session.updated"):
        return None
    type_of_session = text_of(session, "type")
    # Mistral's session has the id of the request; OpenAI's has a type.
    if type_of_session == "transcription" or "request_id" in session:
        return "transcription"
    return "live" if type_of_session in ("translation", "live") else None


class SessionParts(Parts):
    """Turns the content of a session's answers into events; each answer has a single choice, with index 0."""

    __slots__ = ()

    def begin_answer(self, id: str | None = None, model: str | None = None) -> None:
        """Begin an answer; if there was one before, report the start of another answer."""
        state = self.choice(0)
        if state.finish is None:
            # No answer has ended yet.
            self.head(id=id, model=model)
            return
        # The finish reason of the next answer depends only on its own calls.
        state.finish, state.calls_seen, self.has_answer = None, 0, False
        # Each answer has counts of its own: a zero after those of another answer is a count.
        self._known_counts = {}
        # `head` would keep the id of the answer before, so the new head is set here.
        self._head = (mend_surrogates(id), mend_surrogates(model), "assistant")
        self.emit(MessageStart(*self._head, another=True, raw=self.raw))

    def find_by_order(self, fitting: list[OrderedT], whole: JsonObject | None) -> OrderedT | None:
        """Return the item that an event is about which names none: the one that is most like the `whole` one.

        Of two that are alike, an open one counts, and then the first. If none is, or without a whole one, it
        is the call whose turn it is, or the open last item.
        """
        ranked = [(0 if whole is None else item.likeness(whole), item) for item in fitting]
        likest = max(ranked, key=lambda each: (each[0], not each[1].ended), default=None)
        if likest and likest[0] > likest[1].ended:
            return likest[1]
        last = next((item for likeness, item in reversed(ranked) if not (item.ended or likeness)), None)
        call = self.find_call_in_turn(0) if whole is None and last and last.call else None
        return next((item for item in fitting if call and item.call is call), last)

    def _void_finish(self, state: OpenChoice) -> None:
        """Count content after the finish reason of an answer, which the reason has ended."""
        self.note("content_after_finish")

    def finish(self, choice: int, reason: FinishReason, raw_reason: str | None) -> None:
        """Record the finish reason and close every open part: the answer is over, the session goes on."""
        super().finish(choice, reason, raw_reason)
        state = self.choice(choice)
        for call in state.open_calls():
            if call.waits:
                self.close_call(call)
        self._report_waiting_finish(state)

    def end_answer(self, reason: FinishReason, word: str | None, *, awaits_results: bool) -> None:
        """End the answer; a "stop" becomes "tool_calls" only if the answer awaits results of its calls."""
        if not awaits_results:
            self.choice(0).calls_seen = 0
        self.finish(0, reason, word)

    def answer_call(self, item: JsonObject, error: str | None = None) -> None:
        """Report the result of a call that the server has run itself: the answer does not wait for it."""
        call_id, choice = text_of(item, "call_id") or "", self.choice(0)
        choice.calls_seen -= choice.calls_seen > 0 and choice.ended.has(call_id)
        self.result_of_call(call_id, item.get("output"), error)

    @property
    def awaits_results(self) -> bool:
        finish = self.choice(0).finish
        return finish is not None and finish.reason == "tool_calls"

    def add_whole(self, part: OpenPart, text: str) -> None:
        """Add the whole text of a part, of which no delta has arrived; some may follow."""
        if part.kind == "media":
            self.add_media(part, transcript=text)
        else:
            self.add(part, text)
        part.tell(text, 0)


SessionPartsT_co = TypeVar("SessionPartsT_co", bound=SessionParts, default=SessionParts, covariant=True)


class SessionFormat(Format[SessionPartsT_co]):
    """Base of the formats of sessions, in which an answer may fail and another one follow."""

    __slots__ = ("_failure", "_last_error")

    _parts_class = SessionParts

    def _set_up(self) -> None:
        self._failure: StreamError | None = None
        """The error of the last answer, if that answer failed."""
        self._last_error: StreamError | None = None
        """The last error that an event has reported since an answer has gone on; most end no answer."""

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """True if the last answer has ended, and none is open, so that nothing is missing."""

    @property
    @override
    def finished(self) -> bool:
        return self.ended or (self.is_over and self._failure is None)

    @override
    def judge_end(self) -> None:
        if self.error is None and not self.ended:
            # If the input ended inside an answer, or before the first one, an `error` event may say why.
            failure = self._failure and more_telling(self._failure, self._last_error)
            self.error = failure if self.is_over else self._last_error or self.cut_short()


class SessionEvents(SessionFormat[SessionPartsT_co]):
    """Base of the formats of sessions whose events have types and ids; the last one may come once more."""

    __slots__ = ("_last",)

    _READERS: ClassVar[Readers]

    def _set_up(self) -> None:
        super()._set_up()
        self._last = LastEvent("event_id")

    @override
    def tolerates(self, payload: JsonObject, event: str) -> bool:
        # All events of a session have a type, also those with a field that looks like an error.
        return text_of(payload, "type") is not None

    @override
    def read(self, payload: JsonObject, event: str) -> None:
        if self._last.is_again(payload):
            self.note("frame_repeated")
            return
        kind = type_of(self, payload, event)
        reader = self._READERS.get(kind)
        if reader is None or not self.belongs(kind, payload):
            self.parts.unknown(kind or "event", payload)
        else:
            if not payload.keys() <= _EVENT_FIELDS:
                self.parts.tell_inside(payload, _ALL_FIELDS)
            reader(self, payload)

    def belongs(self, kind: str, payload: JsonObject) -> bool:
        """Prepare for an event that has a reader; return False to have it reported as unknown."""
        return True

    def read_error(self, payload: JsonObject) -> None:
        """Store the error of an error event, and report the event as unknown, so that the next is decoded."""
        self._last_error = more_telling(provider_error(payload, "error"), self._last_error)
        self.parts.unknown("error", payload)

    def report_misfit(self, payload: JsonObject) -> None:
        self.note("delta_misfits")
        self.parts.unknown(text_of(payload, "type") or "event", payload)


class HostedSession(SessionFormat):
    """Base of the formats of hosted agents, which run at their provider.

    A session has any number of answers, one after another, and stays open between them.

    Args:
        answer: The key of the only answer to read, as `place_of` returns it; None to read all of them.
    """

    __slots__ = ("_answer", "_earlier_ids", "_ids", "_waits", "answer_is_open")

    ends_with_input = True
    several = True

    def __init__(self, *, limits: Limits | None = None, answer: str | None = None) -> None:
        super().__init__(limits=limits)
        self._answer = answer
        self._ids = RecentIds(REMEMBERED)
        self._earlier_ids: RecentIds | None = None
        """The ids of the events of earlier answers; None if there were none."""
        self.answer_is_open = False
        self._waits = False
        """True while the agent waits for the client, such as for a tool's result."""

    @override
    def fresh(self, *, limits: Limits) -> Self:
        format = type(self)(limits=limits, answer=self._answer)
        if self._earlier_ids is not None:
            format.drop_earlier(self._earlier_ids)
        return format

    @override
    def of_answer(self, answer: str) -> Self:
        return type(self)(limits=self.limits, answer=answer)

    @property
    @override
    def is_over(self) -> bool:
        return not self.answer_is_open and (self._failure is not None or self.parts.finished)

    @property
    @override
    def resting(self) -> bool:
        return self._waits or not self.answer_is_open

    @property
    @override
    def withheld(self) -> StreamError | None:
        return self._failure or super().withheld

    # -- for the formats -----------------------------------------------------

    def is_repeated(self, id: str | None) -> bool:
        """Return True if an event with this id was read before; count a departure for it."""
        if id is None or self._ids.add(id):
            return False
        self.note("frame_repeated")
        return True

    def drop_earlier(self, ids: RecentIds) -> None:
        """Count events as read before: if the server sends them again, they are dropped."""
        self._earlier_ids = ids
        self._ids = ids.copy()

    def has_read(self, id: str) -> bool:
        return id in self._ids

    def begin_answer(self, id: str | None = None, model: str | None = None) -> None:
        self.answer_is_open = True
        # The errors of the answer before do not concern this one.
        self._failure = self._last_error = None
        self.parts.begin_answer(id, model)

    def end_answer(
        self,
        reason: FinishReason,
        word: str | None,
        *,
        failure: StreamError | None = None,
        awaits_results: bool = False,
    ) -> None:
        self.answer_is_open = False
        self._failure = failure
        self.parts.end_answer(reason, word, awaits_results=awaits_results)
        if self._answer is not None:
            # This format reads only one answer, which has ended now.
            self.error = failure
            self.conclude()

    def note_error(self, payload: Mapping[str, Any]) -> None:
        """Keep the error in a payload, and report the payload as unknown: the session may go on."""
        self._last_error = provider_error({"error": payload.get("error")}) or self._last_error
        self.parts.unknown(text_of({**payload}, "type") or "error", payload)
