"""Transcriptions of Mistral, and of OpenAI's sessions: turns their events into text.

OpenAI's transcripts of files have events in the style of the Responses API, and are read with these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.recent_ids import RecentIds
from tokenstream._basics.untrusted import dict_of, dicts_of, fields_except, text_of
from tokenstream.formats._fast.path import Fast, always_decode
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._kit.openai import INPUT_TRANSCRIPTION, SESSION_COUNTS, report_logprobs, usage_of
from tokenstream.formats._kit.sessions import SESSION_EVENTS, SessionEvents, find_session_kind
from tokenstream.formats._kit.values import split_names
from tokenstream.message import TextPart

if TYPE_CHECKING:
    from tokenstream._basics.loose import DeltaCallback, JsonObject
    from tokenstream.events import Event
    from tokenstream.formats._kit.open import OpenPart
    from tokenstream.formats._kit.sessions import Readers

_READ_FIELDS = split_names(
    "type event_id item_id content_index segment_id model delta text transcript logprobs segments usage"
)
"""Fields of an event that are read, or say only where its text belongs."""
_REMEMBERED = 2_000
"""Number of ids of ended utterances that are remembered at least, so that late events open none again."""
_FILE = ""
"""The key of the transcript of a file, which is the only one of its stream."""


class Transcription(SessionEvents):
    """The `transcription` format: the transcript of a file, or of the utterances in a session.

    The transcript of a file ends with an event of its own. A session has no such event, so it is complete if
    the input ends while no utterance is being spoken or transcribed.

    Example:
        >>> transcription = Transcription()
        >>> for event in transcription.feed({"type": "transcription.text.delta", "text": "Hel"}):
        ...     print(type(event).__name__)
        MessageStart
        PartStart
        TextDelta
    """

    __slots__ = ("_ended_items", "_ended_last", "_model", "_open", "_segments_seen", "_session", "_speaking")

    name = "transcription"
    counted = SESSION_COUNTS
    # Of OpenAI's `TranscriptionVerbose`, `TranscriptionDiarized` and events, and of Mistral's events.
    documented = SESSION_EVENTS | split_names(
        "audio_language duration end id language languages previous_item_id speaker speaker_id start task "
        "words"
    )
    ends_with_input = True
    fast = Fast(texts=[("delta",), ("text",)], changing=[("event_id",)])

    def _set_up(self) -> None:
        super()._set_up()
        self._model: str | None = None
        """The session's model, which its events do not repeat."""
        self._session = False
        """True once an event is of a session of OpenAI's, which no event ends."""
        self._open: dict[str, OpenPart | None] = {}
        """The transcripts that have not ended, by the ids of their items; None for one without text."""
        self._ended_items = RecentIds(_REMEMBERED)
        """The ids of the items whose transcripts have ended."""
        self._ended_last: str | None = None
        """The key of the transcript that ended last; None before any has."""
        self._speaking = False
        """True from the beginning of an utterance until its audio is committed or cleared."""
        self._segments_seen = False
        """True once an event has brought a segment, which the end of a transcript may repeat."""

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool:
        is_own = (text_of(payload, "type") or event) in _OF_FILES
        return is_own or find_session_kind(payload) == "transcription"

    @property
    def resting(self) -> bool:
        """True while nobody speaks in a session: silence does not count as a stall."""
        return self._session and not self._open

    @property
    def is_over(self) -> bool:
        """True if an utterance of a session has ended, and none is being spoken or transcribed."""
        return self._session and self._ended_last is not None and not (self._open or self._speaking)

    def follow(self, delta: Event) -> DeltaCallback | None:
        """Return a callback that has a delta decoded if it may be the one before it again.

        If the delta is not from a delta event, return `always_decode`: the event had a whole text, which the
        next one may only repeat.
        """
        is_delta = (text_of(delta.raw, "type") or "").endswith(".delta")
        return self._last.follow("text") if is_delta else always_decode

    def tolerates(self, payload: JsonObject, event: str) -> bool:
        return "event_id" in payload and text_of(payload, "type") is not None

    # -- the session -------------------------------------------------------

    def _read_session(self, payload: JsonObject) -> None:
        """Record the session's model; report the event as unknown."""
        session = dict_of(payload, "session")
        request = text_of(session, "request_id")
        self._session = self._session or request is None
        own = text_of(dict_of(dict_of(dict_of(session, "audio"), "input"), "transcription"), "model")
        beta = text_of(dict_of(session, "input_audio_transcription"), "model")
        self._model = text_of(session, "model") or own or beta or self._model
        self.parts.head(id=request, model=self._model)
        self.parts.unknown(text_of(payload, "type") or "session", payload)

    def _read_speech(self, payload: JsonObject) -> None:
        """Note that somebody begins to speak, or that what was said is dropped; report it as unknown."""
        self._session = True
        self._speaking = text_of(payload, "type") == "input_audio_buffer.speech_started"
        self.parts.unknown(text_of(payload, "type") or "input_audio_buffer", payload)

    def _read_committed(self, payload: JsonObject) -> None:
        """Begin the transcript of an utterance, whose audio is complete; report that as unknown."""
        self._session, self._speaking = True, False
        key = text_of(payload, "item_id") or ""
        if not self._is_late(key, "part_repeated"):
            self._begin(key)
        self.parts.unknown("input_audio_buffer.committed", payload)

    def _read_deleted(self, payload: JsonObject) -> None:
        """End the transcript of an item that the client has deleted; report the event as unknown."""
        self._session, key = True, text_of(payload, "item_id") or ""
        if key in self._open:
            self._finish(key)
        else:
            self._ended_items.add(key)
        self.parts.unknown("conversation.item.deleted", payload)

    # -- transcripts -------------------------------------------------------

    def _read_delta(self, payload: JsonObject) -> None:
        text, key = text_of(payload, "delta", "text"), self._key_of(payload)
        if self._is_late(key, "part_after_close"):
            self.parts.unknown(text_of(payload, "type") or "delta", payload)
            return
        if text is not None:
            self._add(key, text)
        self._read_rest(payload)

    def _read_done(self, payload: JsonObject) -> None:
        """End a transcript; the payload repeats its text, and has the counts of tokens or seconds."""
        key = self._key_of(payload)
        if self._is_late(key, "finish_repeated"):
            return
        self._begin(key)
        self.parts.head(model=text_of(payload, "model"))
        text, part = text_of(payload, "text", "transcript") or "", self._open[key]
        if text and part is None:
            self._add(key, text)
        elif text and part is not None and not self._segments_seen:
            # The pieces may be of several speakers in turns, whose order the whole text need not have.
            self.parts.tell(part, text, len(text))
        segments = dicts_of(payload.get("segments"))
        if segments and not self._segments_seen:
            self.parts.items("segments", [fields_except(each, "type") for each in segments])
        self._read_rest(payload)
        self.parts.usage_in(payload, usage_of)
        self._finish(key)
        if not self._session:
            self.conclude()

    def _read_failed(self, payload: JsonObject) -> None:
        """End an utterance that could not be transcribed; report the event as unknown."""
        key = self._key_of(payload)
        is_late = self._is_late(key, "finish_repeated")
        if not is_late:
            self._begin(key)
            details = {"error": dict_of(payload, "error")}
            self._failure = provider_error(details, ours="the transcription failed")
        self.parts.unknown(INPUT_TRANSCRIPTION + "failed", payload)
        if not is_late:
            self._finish(key)

    def _read_segment(self, payload: JsonObject) -> None:
        """Report a segment, with its times and its speaker; its text is in the deltas, or in the end."""
        self._segments_seen, key = True, self._key_of(payload)
        if not self._is_late(key, "part_after_close"):
            self._begin(key)
        self.parts.items("segments", [fields_except(payload, "type", "event_id")])

    def _read_rest(self, payload: JsonObject) -> None:
        """Report the other fields of an event, such as `languages`, and log probabilities."""
        if payload.get("logprobs"):
            report_logprobs(self.parts, "logprobs", payload["logprobs"], 0)
        self.parts.report_unknown_fields(payload, _READ_FIELDS)

    def _key_of(self, payload: JsonObject) -> str:
        """Return the key of a payload's transcript: the id of the utterance, in a session of OpenAI's."""
        if (text_of(payload, "type") or "").startswith(INPUT_TRANSCRIPTION):
            self._session = True
            return text_of(payload, "item_id") or ""
        return _FILE

    def _is_late(self, key: str, departure: str) -> bool:
        """Return True if an event is of a transcript that has ended, which it must not open again."""
        is_repeated = departure == "finish_repeated" and key == self._ended_last
        if key in self._open or not (is_repeated or (key and key in self._ended_items)):
            return False
        self.note(departure)
        return True

    def _begin(self, key: str) -> None:
        """Begin a transcript, unless it has begun; if no other is open, begin an answer, too."""
        if key in self._open:
            return
        self.parts.check_room(len(self._open))
        if not self._open:
            # The errors of the utterances before do not concern this one.
            self._failure = self._last_error = None
            if self._session or not self.parts.started:
                self.parts.begin_answer(key or None, self._model)
        self._open[key] = None

    def _add(self, key: str, text: str) -> None:
        self._begin(key)
        part = self._open[key]
        if part is None:
            part = self.parts.open(0, TextPart(provider_data={"item_id": key} if key else None))
            self._open[key] = part
        self.parts.add(part, text)
        self._last_error = None

    def _finish(self, key: str) -> None:
        """End a transcript; if no other is open, report a finish reason, which the provider never sends."""
        part = self._open.pop(key)
        self._ended_last = key
        self._ended_items.add(key)
        if part is not None:
            self.parts.close(part)
        if not self._open:
            self.parts.finish(0, "stop" if self._failure is None else "error", None)

    _READERS: ClassVar[Readers] = {
        # Mistral, the transcript of a file or of a session.
        "transcription.language": _read_rest,
        "transcription.text.delta": _read_delta,
        "transcription.segment": _read_segment,
        "transcription.done": _read_done,
        # OpenAI, the utterances of a session.
        "session.created": _read_session,
        "session.updated": _read_session,
        "transcription_session.created": _read_session,
        "transcription_session.updated": _read_session,
        "input_audio_buffer.speech_started": _read_speech,
        "input_audio_buffer.cleared": _read_speech,
        "input_audio_buffer.committed": _read_committed,
        "conversation.item.deleted": _read_deleted,
        INPUT_TRANSCRIPTION + "delta": _read_delta,
        INPUT_TRANSCRIPTION + "segment": _read_segment,
        INPUT_TRANSCRIPTION + "completed": _read_done,
        INPUT_TRANSCRIPTION + "failed": _read_failed,
        "error": SessionEvents.read_error,
    }
    event_names = frozenset(_READERS) - {"error"}


_OF_FILES = split_names(
    "transcription.language transcription.text.delta transcription.segment transcription.done"
)
"""Types of events that only transcriptions have."""
