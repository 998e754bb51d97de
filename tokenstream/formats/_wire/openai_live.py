"""OpenAI's Live API, and realtime translations: turns the events of a session into events."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import dict_of, text_of
from tokenstream.formats._fast.path import Fast
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._kit.open import NO_PART
from tokenstream.formats._kit.openai import SESSION_COUNTS, usage_of
from tokenstream.formats._kit.repeated import complete_arguments
from tokenstream.formats._kit.sessions import SESSION_EVENTS, SessionEvents, find_session_kind
from tokenstream.formats._kit.values import base64_bytes, failure_text, reasons_of
from tokenstream.formats._reader import note_missing_start
from tokenstream.message import MediaPart, ServerToolResult, TextPart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream._basics.loose import DeltaCallback, JsonObject
    from tokenstream.events import Event
    from tokenstream.formats._kit.open import OpenCall, OpenPart
    from tokenstream.formats._kit.sessions import Readers
    from tokenstream.limits import Limits
    from tokenstream.message import FinishReason


_REASONS: Mapping[str, FinishReason] = MappingProxyType(
    reasons_of(
        stop="close_requested remote_hangup",
        length="expired",
        content_filter="content",
        error="connection_lost",
    )
)
"""Maps the reasons for which a session is closed to finish reasons."""
_RESPONSE_ENDS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")
"""Types of the nested events that end a delegated response."""
_UNENDED = "the session was closed before the response ended"
_CALL_TYPES = {"function_call": "function", "custom_tool_call": "custom"}
"""Maps the types of items that call the application's tools to the types of calls."""
_ARGUMENTS = ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta")
_CUT_STATUSES = ("incomplete", "in_progress")
_ITEM_DONE = "response.output_item.done"
_ITEM_EVENTS = ("response.output_item.added", _ITEM_DONE)


class _Delegation:
    """The open response of one delegation: its text, and its calls by the ids of items, or of calls."""

    __slots__ = ("calls", "text")

    def __init__(self) -> None:
        self.text: OpenPart = NO_PART
        self.calls: dict[str, OpenCall] = {}


class OpenAILive(SessionEvents):
    """The `openai-live` format: the server's events in one session of OpenAI's Live API, or one translation.

    The words that the model speaks are the text of the message. The work that it delegates to responses
    becomes results with the ids of the delegations, and their calls of the application's tools are calls of
    the message. A session ends with `session.closed` only.

    Args:
        session: Data of the session that are known before its first event.

    Example:
        >>> live = OpenAILive()
        >>> live.feed({"type": "session.started", "session": {"id": "live_1", "model": "gpt-live-1"}})[0].id
        'live_1'
        >>> piece = {"type": "session.output_transcript.delta", "delta": "Hel"}
        >>> [event.text for event in live.feed(piece) if hasattr(event, "text")]
        ['Hel']
    """

    __slots__ = ("_audio", "_delegated", "_session", "_text")

    name = "openai-live"
    counted = SESSION_COUNTS
    # Of `SessionUsageUpdatedEvent` in openai-python.
    documented = SESSION_EVENTS | {"context_window"}
    framing = "messages"
    finish_reasons = _REASONS
    fast = Fast(
        texts=[("delta",)],
        changing=[("event_id",), ("start_ms",), ("end_ms",), ("elapsed_ms",)],
        units=frozenset({"message"}),
    )

    def __init__(self, *, limits: Limits | None = None, session: JsonObject | None = None) -> None:
        super().__init__(limits=limits)
        self._session: JsonObject = session or {}
        """The session, as the server has described it; {} before that."""
        self._text: OpenPart = NO_PART
        """The words that the model speaks."""
        self._audio: OpenPart = NO_PART
        """The audio in which the model speaks them."""
        self._delegated: dict[str, _Delegation] = {}
        """The open responses, by the ids of their delegations."""

    def fresh(self, *, limits: Limits) -> OpenAILive:
        return type(self)(limits=limits, session=self._session)

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool:  # noqa: ARG003 - it has no names
        # Other servers greet with such a type, too, so it is no proof without a field of its own.
        field = _PROOFS.get(text_of(payload, "type") or "")
        return (field is not None and field in payload) or find_session_kind(payload) == "live"

    @property
    def resting(self) -> bool:
        """True until the session is closed: its events do not tell when somebody has finished speaking."""
        return not self.ended

    def follow(self, delta: Event) -> DeltaCallback:
        return self._last.follow("text")

    @property
    def is_over(self) -> bool:
        """True once the session was closed."""
        return self.parts.finished

    def belongs(self, kind: str, payload: JsonObject) -> bool:
        """Begin the message with its first event; return True."""
        if not self.parts.started and self._READERS[kind] is not self._READERS["session.started"]:
            if self._session:
                self.parts.head(id=text_of(self._session, "id"), model=text_of(self._session, "model"))
            else:
                note_missing_start(self)
                self.parts.head()
        return True

    # -- the session -------------------------------------------------------

    def _read_session(self, payload: JsonObject) -> None:
        """Record the session's id, model and audio format, and report the event as unknown."""
        session = dict_of(payload, "session")
        self._session = {**self._session, **session}
        self.parts.head(id=text_of(session, "id"), model=text_of(session, "model"))
        self.parts.unknown(text_of(payload, "type") or "session", payload)

    def _read_usage(self, payload: JsonObject) -> None:
        """Report the seconds that the session has taken so far, and the share of the context in use."""
        self.parts.usage_in(payload, usage_of)
        self.parts.report_unknown_fields(payload, ("type", "event_id", "client_event_id", "usage"))

    def _read_closed(self, payload: JsonObject) -> None:
        """End the message, with the reason for which the session was closed; a translation's has none."""
        self.parts.usage_in(payload, usage_of)
        word = text_of(payload, "reason")
        for id in [*self._delegated]:
            self._end_response(id, _UNENDED)
        reason = "stop" if word is None else _REASONS.get(word, "unknown")
        # Nobody waits for results.
        self.parts.end_answer(reason, word, awaits_results=False)
        if reason == "error":
            self.error = provider_error({"error": {"code": word}}, ours="the session lost its connection")
        else:
            self.conclude()

    # -- speech ------------------------------------------------------------

    def _read_text(self, payload: JsonObject) -> None:
        text = text_of(payload, "delta")
        if text is None:
            self.report_misfit(payload)
            return
        self._last_error = None
        if self._text is NO_PART:
            self._text = self.parts.open(0, TextPart())
        self.parts.add(self._text, text)

    def _read_heard(self, payload: JsonObject) -> None:
        """Report a piece of what the user says; no event tells its end."""
        text = text_of(payload, "delta")
        if text:
            self.parts.input_transcript(text)
        else:
            self.report_misfit(payload)

    def _read_audio(self, payload: JsonObject) -> None:
        data = base64_bytes(payload.get("delta"))
        if data is None:
            self.report_misfit(payload)
            return
        self._last_error = None
        if self._audio is NO_PART:
            of_session = dict_of(dict_of(self._session, "audio"), "format")
            of_delta = {"type": "audio/pcm", "rate": payload.get("sample_rate")}
            shown = of_session or (of_delta if text_of(payload, "format") == "pcm16" else {})
            data_of_part = {"format": shown} if shown else None
            start = MediaPart(mime_type=text_of(shown, "type"), provider_data=data_of_part)
            self._audio = self.parts.open(0, start)
        self.parts.add_media(self._audio, data)

    # -- delegated work ----------------------------------------------------

    def _read_nested(self, payload: JsonObject) -> None:
        """Read an event of a delegated response: its text, calls, or end; report any other as unknown."""
        nested, id = dict_of(payload, "event"), text_of(payload, "delegation_id") or ""
        kind = text_of(nested, "type") or ""
        if self._read_piece(nested, kind, id):
            return
        self.parts.unknown("response.event", payload)
        if kind not in _RESPONSE_ENDS:
            return
        response = dict_of(nested, "response")
        word = kind.removeprefix("response.")
        is_completed = kind == "response.completed"
        self._end_response(id, None if is_completed else failure_text(response.get("error"), word=word))

    def _read_piece(self, nested: JsonObject, kind: str, id: str) -> bool:
        """Add a piece of a delegated response's text, or of a call; return False for any other event."""
        delta, item = text_of(nested, "delta"), dict_of(nested, "item")
        response = self._delegated.get(id)
        call = None if response is None else response.calls.get(text_of(nested, "item_id") or "")
        if kind in _ARGUMENTS and delta is not None and call is not None:
            self._last_error = None
            self.parts.add_arguments(call, delta)
            return True
        is_text = kind == "response.output_text.delta" and delta is not None
        is_of_tool = text_of(item, "type") in _CALL_TYPES and text_of(item, "name") is not None
        is_call = kind in _ITEM_EVENTS and is_of_tool
        if not (is_text or is_call):
            return False
        self._last_error = None
        if response is None:
            response = self._delegated[id] = _Delegation()
        if is_call:
            self._read_call(response, item, is_done=kind == _ITEM_DONE)
            return True
        if response.text is NO_PART:
            response.text = self.parts.open(0, ServerToolResult(id=id, name="responses"))
        self.parts.add(response.text, delta or "")
        return True

    def _read_call(self, response: _Delegation, item: JsonObject, *, is_done: bool) -> None:
        """Read the start or end of an item with an application's call; only its end has all of it."""
        id, call_id = text_of(item, "id"), text_of(item, "call_id")
        key, type = id or call_id or "", _CALL_TYPES[text_of(item, "type") or ""]  # noqa: A001 - the field's name
        call = response.calls.get(key)
        if call is None:
            data, name = {"id": id} if id else None, text_of(item, "name") or ""
            call = self.parts.open_call(0, call_id, name, type=type, provider_data=data)
            response.calls[key] = call
        if not is_done:
            return
        complete_arguments(
            self.parts, call, text_of(item, "input" if type == "custom" else "arguments") or ""
        )
        self.parts.end_at_mark(call, whole=text_of(item, "status") not in _CUT_STATUSES)
        del response.calls[key]

    def _end_response(self, id: str, error: str | None) -> None:
        """Close the parts of a delegated response, with the error that says why it is not completed."""
        response = self._delegated.pop(id, None)
        if response is None:
            return
        for call in response.calls.values():
            self.parts.end_at_mark(call, whole=False)
        if response.text is not NO_PART:
            if error is not None:
                result = ServerToolResult(id=id, name="responses", error=error)
                self.parts.report_start_again(response.text, result)
            self.parts.close(response.text)

    _READERS: ClassVar[Readers] = {
        "session.started": _read_session,
        "session.created": _read_session,
        "session.updated": _read_session,
        "session.output_transcript.delta": _read_text,
        "session.input_transcript.delta": _read_heard,
        "session.output_audio.delta": _read_audio,
        "session.usage.updated": _read_usage,
        "session.closed": _read_closed,
        "response.event": _read_nested,
        "error": SessionEvents.read_error,
    }


_PROOFS = {
    "session.started": "session",
    "session.input_transcript.delta": "delta",
    "session.output_transcript.delta": "delta",
    "session.output_audio.delta": "delta",
    "session.delegation.created": "delegation",
    "session.usage.updated": "usage",
    "session.closed": "event_id",
    "response.event": "delegation_id",
}
"""Maps types of events that only these sessions have to a field that each of them has."""
