"""OpenAI Responses, as sent by OpenAI, Azure and servers that imitate them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import dict_of, dicts_of, is_list, says_nothing, text_of
from tokenstream._values.event_base import are_equal_deltas
from tokenstream.events import PartDelta, ToolCallDelta
from tokenstream.formats._base import AnswerPlace, Format
from tokenstream.formats._detect.payloads import PING_NAMES
from tokenstream.formats._fast.path import Fast, always_decode
from tokenstream.formats._fast.shape import PADDING
from tokenstream.formats._kit.openai import RESPONSE_COUNTS, report_usage
from tokenstream.formats._kit.sessions import RESPONSE_FIELDS
from tokenstream.formats._kit.values import WHOLE, split_names, worst_of
from tokenstream.formats._reader import begins_another, end_without_finish, note_missing_start, type_of
from tokenstream.formats._resume.resuming import Resume
from tokenstream.formats._wire.openai_responses.events import (
    ENDPOINT_EVENTS,
    READERS,
    SHELL_COMMAND,
    TEXT_DELTAS,
    Endpoint,
)
from tokenstream.formats._wire.openai_responses.parts import MADE_OF, ResponseItems, sequence_number_of
from tokenstream.formats._wire.openai_responses.words import (
    END_WORDS,
    FINAL_STATUSES,
    RETRYABLE,
    error_of,
    is_about_input,
    marks_of,
)

if TYPE_CHECKING:
    from tokenstream._basics.loose import AnyEvent, DeltaCallback, JsonObject
    from tokenstream.errors import ProviderError
    from tokenstream.events import Event
    from tokenstream.message import Message

_NUMBER = ("sequence_number",)
_RESPONSE_FIELDS = split_names("id model object output output_text role status usage")
_RESPONSE_EVENTS = frozenset(f"response.{word}" for word in ("created", "queued", "in_progress", *END_WORDS))
"""Names of the events about the response as a whole."""
_EVENT_FIELDS = PADDING | split_names(
    "agent annotation annotation_index arguments code command command_index content_index contents delta "
    "input item item_id logprobs name output output_index parsed part queries refusal response results "
    "sequence_number snapshot status summary_index text thought type urls"
)
"""Fields of events that are read, or that repeat other fields."""


class _ResumeInBackground(Resume):
    __slots__ = ()

    def is_kept(self, message: Message) -> bool:
        # OpenAI cancels a response that does not run in the background when the connection closes.
        return message.provider_data.get("background") is True


class OpenAIResponses(Format[ResponseItems]):
    """The `openai-responses` format: the events of a stream, or a whole response in one payload.

    Example:
        >>> responses = OpenAIResponses()
        >>> [type(event).__name__ for event in responses.feed({"type": "response.created",
        ...     "response": {"id": "resp_1", "model": "gpt-5.1", "status": "in_progress"}})]
        ['MessageStart']
        >>> [event.text for event in responses.feed({"type": "response.output_text.delta",
        ...     "output_index": 0, "content_index": 0, "delta": "Hel"}) if hasattr(event, "text")]
        ['Hel']
    """

    __slots__ = (
        "_created",
        "_endpoint",
        "_has_events",
        "_last_event",
        "_numbers_are_shared",
        "_open_streams",
        "_response_ids",
    )

    _parts_class = ResponseItems
    checks_errors = False
    _resume_class = _ResumeInBackground
    name = "openai-responses"
    counted = RESPONSE_COUNTS
    # Of `Response`, of the events of a stream, of speech, of a transcript and of an image, and of llama.cpp.
    documented = RESPONSE_FIELDS.union(
        READERS,
        ENDPOINT_EVENTS,
        _RESPONSE_EVENTS,
        split_names(
            "duration languages message output_format param partial_image_b64 partial_image_index quality "
            "reason required_input size steer stream_id timings response.compaction.compacting "
            "response.steer.accepted response.steer.failed response.steer.pending"
        ),
    )
    is_one_answer = True
    closes_parts = True
    # OpenAI sends no sentinel here, but servers that imitate it do.
    sentinel: ClassVar[bytes | None] = b"[DONE]"
    retryable = RETRYABLE
    several_on_socket = True
    resumes = True
    made_of = (*MADE_OF, Endpoint)
    unkept = frozenset({"_last_event"})
    fast: ClassVar[Fast | None] = Fast(texts=[("delta",)], changing=[_NUMBER], counts=[_NUMBER], turns=True)

    def _set_up(self) -> None:
        # Readers.
        self._endpoint = Endpoint()
        """Reads the events of endpoints that send no responses."""
        # The events so far.
        self._last_event: JsonObject | None = None
        """The last numbered event that was decoded; None before the first on this connection."""
        self._numbers_are_shared = False
        """True once two events in a row have had the same number, so that numbers identify no event."""
        # The answer so far.
        self._has_events = False
        """True once any event about the response or an item has arrived."""
        self._created = False
        """True once the event has arrived that creates the response."""
        # The answers on a WebSocket, which only `place_of` needs to know.
        self._response_ids: dict[str, str] = {}
        """Maps each stream id on a WebSocket ("" without an id) to the id of that stream's last response."""
        self._open_streams: set[str] = set()
        """Ids of the streams whose last response has not ended."""

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool | None:
        """Return whether a stream's first payload is of this format; None for a ping or an unknown event.

        A stream that is resumed may begin with any event, also with one that is newer than this library.
        """
        kind = payload.get("type", event)
        if payload.get("object") == "response":
            return is_list(payload.get("output"))
        if not isinstance(kind, str):
            return False
        if kind in PING_NAMES:
            return None
        if kind == "error":
            # Errors of other formats have no number.
            return "sequence_number" in payload
        if kind in ENDPOINT_EVENTS:
            return True
        # Events of the Realtime API have the same names, but have ids, too, and no numbers.
        is_of_session = dict_of(payload, "response").get("object") == "realtime.response"
        is_realtime = is_of_session and "sequence_number" not in payload
        if is_realtime or "event_id" in payload or not kind.startswith("response."):
            return False
        return True if _is_known(kind) and ("response" in payload or kind not in _RESPONSE_EVENTS) else None

    def place_of(self, payload: JsonObject) -> AnswerPlace:
        """Return the id of an event's response, and whether the event ends that response.

        The id is None for an event about the connection, and "" for a response whose id is not
        known. A WebSocket may have several streams at the same time, each with one response
        after the other.
        """
        kind, stream = text_of(payload, "type") or "", text_of(payload, "stream_id") or ""
        if is_about_input(kind):
            # These events answer a message of the client, and belong to no response.
            return None, False
        if not _is_known(kind):
            if error_of(payload, kind) is None:
                return None, False
            # The request failed. If no response is open, this error is the only event of its answer.
            if stream in self._open_streams:
                return self._response_ids[stream], False
            return "", True
        word = kind.removeprefix("response.")
        if word == "created":
            self._response_ids[stream] = text_of(dict_of(payload, "response"), "id") or ""
        response_id = self._response_ids.setdefault(stream, "")
        ends_response = word in END_WORDS
        if ends_response:
            self._open_streams.discard(stream)
        elif word == "created" or not response_id:
            # If no response has an id, any event may be the first one of a response.
            self._open_streams.add(stream)
        return response_id, ends_response

    def of_answer(self, answer: str) -> OpenAIResponses:
        return OpenAIResponses(limits=self.limits)

    @property
    def position(self) -> int | None:
        """The `sequence_number` of the last event; a client sends it as `starting_after` to resume."""
        return self.parts.sequence_number

    def position_of(self, payload: JsonObject) -> int | None:
        return sequence_number_of(payload)

    def begun_by(self, payload: JsonObject, event: str) -> str | None:
        """Return the id of the response that an event begins; None if the event begins no response.

        The result is "" if the response has no id.
        """
        if (text_of(payload, "type") or event) != "response.created":
            return None
        return text_of(dict_of(payload, "response"), "id") or ""

    def state(self) -> JsonObject | None:
        # The last number may be in a delta that was read without decoding.
        self.parts.read_latest_number()
        return super().state()

    def follow(self, delta: Event) -> DeltaCallback:
        """Return a callback that stores each later delta, for its sequence number, and counts its characters.

        The fast path reads these deltas without `read`, which does the same for all others.
        For a text that was not in a delta event, return `always_decode`, which has later events of that type
        decoded. See `Format.follow`.
        """
        kind = text_of(delta.raw, "type") or ""
        if not kind.endswith(".delta") or kind.startswith(SHELL_COMMAND):
            # A whole content must be decoded, to check that it does not repeat reported deltas; a piece of a
            # shell command, to escape it in the JSON of the call's action.
            return always_decode
        if kind in TEXT_DELTAS and isinstance(delta, PartDelta):
            # A worker's text, whose characters are counted where it is decoded.
            return always_decode
        items = self.parts
        section = None if isinstance(delta, ToolCallDelta | PartDelta) else items.last_section
        is_numbered = sequence_number_of(delta.raw) is not None
        note = self.departures.note if self.nameless else None
        field = "fragment" if section is None else "text"

        def record_delta(delta: AnyEvent) -> bool | None:
            """Store a delta for its sequence number, count its characters, and note a missing event name.

            If it may be the last delta again, return False, so that it is decoded and compared.
            """
            if is_numbered:
                last: AnyEvent = items.unread_delta
                if last is None:
                    may_be_last = items.number == sequence_number_of(delta.raw)
                else:
                    may_be_last = are_equal_deltas(delta, last, field)
                if may_be_last and not self._numbers_are_shared:
                    return False
                items.unread_delta = delta
            if section is not None:
                section.length += len(delta.text)
            if note is not None:
                # `frames` will count this frame only after the callback.
                note("event_name_missing", event=self.frames + 1)
            return None

        return record_delta

    def _is_repeated(self, number: int, data: JsonObject) -> bool:
        """Return True if an event is the one before it again, judging by its number and its content."""
        items = self.parts
        if number != items.sequence_number:
            return False
        last = self._last_event if items.unread_delta is None else items.unread_delta.raw
        if last is not None and last != data:
            self._numbers_are_shared = True
        return last == data and not self._numbers_are_shared

    def tolerates(self, payload: JsonObject, event: str) -> bool:
        kind = text_of(payload, "type") or event
        return _is_known(kind) or is_about_input(kind) or payload.get("object") == "response"

    def read(self, payload: JsonObject, event: str) -> None:
        """Read a payload and its sequence number; store an error of the connection instead of reading it."""
        number = sequence_number_of(payload)
        if number is not None:
            if self._is_repeated(number, payload):
                self.note("frame_repeated")
                return
            self.parts.note_number(number)
            self._last_event = payload
        if not self.tolerates(payload, event):
            # Not an event about the response: an error in it concerns the connection.
            error = error_of(payload, event)
            if error is not None and not self.reader.doubts(self, error, payload, event):
                self._set_error(error)
                return
        self.read_checked(payload, event)

    def read_checked(self, payload: JsonObject, event: str) -> None:
        """Read a payload that is not an error of the connection, and not the one before it again."""
        kind = text_of(payload, "type")
        if kind is None and payload.get("object") == "response":
            self._read_whole_response(payload)
            return
        if (kind or event) in ENDPOINT_EVENTS:
            # OpenAI sends these events without a name.
            self.nameless = False
            if self._endpoint.read_event(self.parts, payload, kind or event):
                self.conclude()
            return
        if self.nameless:
            # `self.note` would keep the next payloads from the fast path, where `follow` counts them.
            self.departures.note("event_name_missing", event=self.frames)
        kind = type_of(self, payload, event)
        if _is_known(kind):
            if not _EVENT_FIELDS.issuperset(payload):
                self.parts.report_unknown_fields(payload, _EVENT_FIELDS)
            self._read_event(payload, kind)
        elif kind not in PING_NAMES:
            # It may have the arguments of a call.
            self.parts.note_lost_arguments(payload.get("delta"))
            self.parts.unknown(kind or "event", payload)

    def _read_event(self, payload: JsonObject, kind: str) -> None:
        """Read an event about an item or the response; if the event does not fit, report it as unknown."""
        reader = READERS.get(kind)
        if not self._has_events:
            self._has_events = True
            if reader is not None:
                # The first event should be about the response.
                note_missing_start(self)
        if reader is None:
            self._read_response_event(payload, kind)
        elif not reader(self.parts, payload, kind):
            self.note("delta_misfits")
            self.parts.unknown(kind, payload)

    # -- the response ------------------------------------------------------

    def _read_response_event(self, payload: JsonObject, kind: str) -> None:
        response, word = dict_of(payload, "response"), kind.removeprefix("response.")
        if word == "done" and response.get("object") == "realtime.response":
            # The Realtime API has events of the same names.
            self.parts.unknown(kind, payload)
            return
        if word in END_WORDS:
            if not says_nothing(payload.get("error")):
                # Some servers send the error beside the response.
                response = {"error": payload["error"], **response}
            self._read_end(response, word, payload)
            return
        if word == "created":
            if self._created and begins_another(self, text_of(response, "id"), payload):
                return
            self._created = True
        self._read_head(response)
        report_usage(self.parts, {}, response)

    def _read_whole_response(self, response: JsonObject) -> None:
        """Read a response that was not streamed; if it runs in the background, it may not have ended."""
        status = text_of(response, "status") or "completed"
        if status in FINAL_STATUSES:
            self._read_end(response, status, {})
        else:
            self.unfinished = True
            self._read_head(response)

    def _read_head(self, response: JsonObject) -> None:
        self.parts.head(id=text_of(response, "id"), model=text_of(response, "model"))
        self.parts.report_unknown_fields(response, _RESPONSE_FIELDS)
        if tools := dicts_of(response.get("tools")):
            self.parts.note_tools(tools)

    def _read_end(self, response: JsonObject, word: str, payload: JsonObject) -> None:
        """End a response, and report its content, except the content that earlier events have sent."""
        if word == "done" and "status" not in response and self.parts.has_content:
            # Quirk (chatgpt.com, 2026-11): behind content, this event is as good as the documented one.
            word = "completed"
        marks, output = marks_of(response, word), response.get("output")
        self._read_head(response)
        if not marks:
            self.note("finish_missing")
            if output:
                self.parts.read_output(output, complete=False)
            report_usage(self.parts, payload, response)
            end_without_finish(self)
            return
        reason, status = worst_of(marks, self.note)
        self.parts.read_output(output, complete=reason in WHOLE)
        report_usage(self.parts, payload, response)
        self.parts.finish(0, reason, status)
        if reason != "error":
            self.conclude()
            return
        details = response.get("error")
        # A failed response is an error even if the server sends no details.
        self._set_error(error_of({"error": {"message": None} if says_nothing(details) else details}, "error"))

    def _set_error(self, error: ProviderError | None) -> None:
        """Store the error that ends the answer, after a report of the number from which to resume."""
        self.parts.report_number()
        self.error = error


def _is_known(kind: str) -> bool:
    """Return whether `kind` is the name of an event about a response or one of its items."""
    return kind in READERS or kind in _RESPONSE_EVENTS or kind in ENDPOINT_EVENTS
