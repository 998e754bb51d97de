"""OpenAI's Live API, and realtime translations: turns the events of a session into events."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from tokenstream._basics.untrusted import dict_of, text_of
from tokenstream.formats._base import Format
from tokenstream.formats._fast.path import Fast
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._kit.open import NO_PART
from tokenstream.formats._kit.openai import usage_of
from tokenstream.formats._kit.sessions import find_session_kind
from tokenstream.formats._kit.values import base64_bytes, failure_text
from tokenstream.message import MediaPart, ServerToolResult, TextPart

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.formats._kit.open import OpenPart
    from tokenstream.limits import Limits
    from tokenstream.message import FinishReason

_Reader: TypeAlias = "Callable[[OpenAILive, dict[str, Any]], None]"

_REASONS: Mapping[str, FinishReason] = MappingProxyType(
    {
        "close_requested": "stop",
        "remote_hangup": "stop",
        "expired": "length",
        "content": "content_filter",
        "connection_lost": "error",
    }
)
"""Maps the reasons for which a session is closed to finish reasons."""
_RESPONSE_ENDS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")
"""Types of the nested events that end a delegated response."""
_UNENDED = "the session was closed before the response ended"


class OpenAILive(Format):
    """The `openai-live` format: the server's events in one session of OpenAI's Live API, or one translation.

    The words that the model speaks are the text of the message. The work that it delegates to responses
    becomes results with the ids of the delegations. A session ends with `session.closed` only.

    Args:
        limits: Bounds on parts and JSON payloads.
        pings: True if frames without content, such as pings, become `Ping` events.

    Example:
        >>> live = OpenAILive()
        >>> live.feed({"type": "session.started", "session": {"id": "live_1", "model": "gpt-live-1"}})[0].id
        'live_1'
        >>> piece = {"type": "session.output_transcript.delta", "delta": "Hel"}
        >>> [event.text for event in live.feed(piece) if hasattr(event, "text")]
        ['Hel']
    """

    __slots__ = ("_audio", "_audio_format", "_delegated", "_last_error", "_text")

    name: ClassVar[str] = "openai-live"
    framing: ClassVar[str] = "messages"
    finish_reasons: ClassVar[Mapping[str, FinishReason]] = _REASONS
    fast: ClassVar[Fast | None] = Fast(
        texts=[("delta",)],
        changing=[("event_id",), ("start_ms",), ("end_ms",), ("elapsed_ms",)],
        units=frozenset({"message"}),
    )

    def __init__(self, *, limits: Limits | None = None, pings: bool = False) -> None:
        super().__init__(limits=limits, pings=pings)
        self._text: OpenPart = NO_PART
        """The words that the model speaks."""
        self._audio: OpenPart = NO_PART
        """The audio in which the model speaks them."""
        self._audio_format: dict[str, Any] = {}
        """The format of the audio, as the session states it; {} before that."""
        self._delegated: dict[str, OpenPart] = {}
        """The results of the open responses, by the ids of their delegations."""
        self._last_error: StreamError | None = None
        """The last error that an event has reported since the last content; most do not end the session."""

    @classmethod
    def recognises(cls, payload: dict[str, Any], event: str) -> bool:  # noqa: ARG003 - it has no names
        """Return whether a stream's first payload is an event of the Live API or of a translation."""
        # Other servers greet with such a type, too, so it is no proof without a field of its own.
        field = _PROOFS.get(text_of(payload, "type") or "")
        return (field is not None and field in payload) or find_session_kind(payload) == "live"

    @property
    def resting(self) -> bool:
        """True until the session is closed: its events do not tell when somebody has finished speaking."""
        return not self.ended

    def tolerates(self, payload: dict[str, Any], event: str) -> bool:
        """Return whether a payload that looks like an error has a `type`, as all events of a session do."""
        return text_of(payload, "type") is not None

    def end(self, *, now: float = 0.0) -> list[Event]:
        """Return the events held back at the input's end; set `error` if the session was not closed."""
        if self.error is None and not self.ended:
            # An `error` event may say why the connection has ended.
            self.error = self._last_error or self.cut_short()
        return super().end(now=now)

    def read(self, payload: dict[str, Any], event: str) -> None:
        """Pass the content of `payload` to `self.parts`."""
        kind = text_of(payload, "type")
        if kind is None:
            self.note("type_missing")
        reader = self._READERS.get(kind or event)
        if reader is None:
            self.parts.unknown(kind or event or "event", payload)
            return
        if not self.parts.started and reader is not self._READERS["session.started"]:
            self.note_missing_start()
            self.parts.head()
        reader(self, payload)

    # -- the session -------------------------------------------------------

    def _read_session(self, payload: dict[str, Any]) -> None:
        """Record the session's id, model and audio format, and report the event as unknown."""
        session = dict_of(payload, "session")
        self._audio_format = dict_of(dict_of(session, "audio"), "format") or self._audio_format
        self.parts.head(id=text_of(session, "id"), model=text_of(session, "model"))
        self.parts.unknown(text_of(payload, "type") or "session", payload)

    def _read_usage(self, payload: dict[str, Any]) -> None:
        """Report the seconds that the session has taken so far, and the share of the context in use."""
        report = dict_of(payload, "usage")
        if report:
            self.parts.usage(usage_of(report))
        self.parts.report_unknown_fields(payload, ("type", "event_id", "client_event_id", "usage"))

    def _read_error(self, payload: dict[str, Any]) -> None:
        """Store the error of an error event, and report the event as unknown, so that the next is decoded."""
        self._last_error = provider_error(payload, "error")
        self.parts.unknown("error", payload)

    def _read_closed(self, payload: dict[str, Any]) -> None:
        """End the message, with the reason for which the session was closed; a translation's has none."""
        report, word = dict_of(payload, "usage"), text_of(payload, "reason")
        if report:
            self.parts.usage(usage_of(report))
        for id, part in self._delegated.items():
            self.parts.report_start_again(part, ServerToolResult(id=id, name="responses", error=_UNENDED))
        self._delegated.clear()
        reason = "stop" if word is None else _REASONS.get(word, "unknown")
        self.parts.finish(0, reason, word)
        if reason == "error":
            error = {"message": "the session lost its connection", "code": word}
            self.error = provider_error({"error": error})
        else:
            self.conclude()

    # -- speech ------------------------------------------------------------

    def _read_text(self, payload: dict[str, Any]) -> None:
        """Add a piece of what the model says."""
        text = text_of(payload, "delta")
        if text is None:
            self._report_misfit(payload)
            return
        if self._text is NO_PART:
            self._text = self.parts.open(0, TextPart())
        self.parts.add(self._text, text)
        self._last_error = None

    def _read_heard(self, payload: dict[str, Any]) -> None:
        """Report a piece of what the user says; no event tells its end."""
        text = text_of(payload, "delta")
        if text:
            self.parts.input_transcript(text)
        else:
            self._report_misfit(payload)

    def _read_audio(self, payload: dict[str, Any]) -> None:
        """Add a piece of audio, which is base64."""
        data = base64_bytes(payload.get("delta"))
        if data is None:
            self._report_misfit(payload)
            return
        if self._audio is NO_PART:
            of_delta = {"type": "audio/pcm", "rate": payload.get("sample_rate")}
            shown = self._audio_format or (of_delta if text_of(payload, "format") == "pcm16" else {})
            data_of_part = {"format": shown} if shown else None
            start = MediaPart(mime_type=text_of(shown, "type"), provider_data=data_of_part)
            self._audio = self.parts.open(0, start)
        self.parts.add_media(self._audio, data)
        self._last_error = None

    def _report_misfit(self, payload: dict[str, Any]) -> None:
        """Report a payload that cannot be read as unknown; count a departure from the documentation."""
        self.note("delta_misfits")
        self.parts.unknown(text_of(payload, "type") or "event", payload)

    # -- delegated work ----------------------------------------------------

    def _read_nested(self, payload: dict[str, Any]) -> None:
        """Read an event of a delegated response: its text, or its end; report any other as unknown."""
        nested, id = dict_of(payload, "event"), text_of(payload, "delegation_id") or ""
        kind, delta = text_of(nested, "type") or "", text_of(nested, "delta")
        if kind == "response.output_text.delta" and delta is not None:
            part = self._delegated.get(id)
            if part is None:
                part = self.parts.open(0, ServerToolResult(id=id, name="responses"))
                self._delegated[id] = part
            self.parts.add(part, delta)
            self._last_error = None
            return
        self.parts.unknown("response.event", payload)
        part = self._delegated.pop(id, None) if kind in _RESPONSE_ENDS else None
        if part is not None:
            if kind != "response.completed":
                response = dict_of(nested, "response")
                error = failure_text(response.get("error"), word=kind.removeprefix("response."))
                self.parts.report_start_again(part, ServerToolResult(id=id, name="responses", error=error))
            self.parts.close(part)

    _READERS: ClassVar[dict[str, _Reader]] = {
        "session.started": _read_session,
        "session.created": _read_session,
        "session.updated": _read_session,
        "session.output_transcript.delta": _read_text,
        "session.input_transcript.delta": _read_heard,
        "session.output_audio.delta": _read_audio,
        "session.usage.updated": _read_usage,
        "session.closed": _read_closed,
        "response.event": _read_nested,
        "error": _read_error,
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
