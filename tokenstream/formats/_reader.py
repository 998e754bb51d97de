"""The way of a frame through a format: decoded, checked for errors and for the end of the answer, and read.

Authors of formats need nothing of it. A format whose frames go another way derives a reader of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from pydantic_core import from_json
from typing_extensions import TypeVar

from tokenstream._basics.json import check_bounds, decode_tolerantly
from tokenstream._basics.untrusted import kind_of, text_of
from tokenstream.departures import Departures
from tokenstream.errors import ProtocolError, ProviderError, StreamTruncated
from tokenstream.events import (
    Finish,
    MediaDelta,
    MessageStart,
    PartDelta,
    ProviderData,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    UsageUpdate,
)
from tokenstream.formats._detect.first_frames import number_error
from tokenstream.formats._detect.payloads import (
    PING_NAMES,
    event_in,
    find_wrapping,
    is_empty_value,
    is_nothing,
    name_of,
    object_of,
    payload_of,
)
from tokenstream.formats._endings import breaks_off_in_call, confirm_finishes, doubt_finishes, has_told_all
from tokenstream.formats._kit.errors import (
    PIECE,
    exception_error,
    first_object,
    is_aside,
    is_vague,
    provider_error,
    text_error,
)
from tokenstream.formats._kit.values import may_hold_halves
from tokenstream.framing._frames import EventStreamMessage
from tokenstream.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.formats._base import Format, Frame

_FURTHER = (
    TextDelta,
    ReasoningDelta,
    RefusalDelta,
    ToolCallStart,
    ToolCallDelta,
    ToolCallDone,
    PartDelta,
    MediaDelta,
    Finish,
)
"""Events that show that the answer goes further, whatever an event of an unknown kind has reported."""

_MOST_SHOWN = 80
"""Number of characters of a foreign id that an error shows."""
_OF_ANSWER = ("error", "doubt", "ended", "assumed", "unfinished", "departures")
_OF_CHOICE = ("current_part", "finish", "early_finish", "finish_waits")
"""Attributes of a format and of a choice that the reading of facts after the end leaves as they are."""

FormatT = TypeVar("FormatT", bound="Format", default="Format")


class FrameReader(Generic[FormatT]):
    """Reads the frames of formats, and judges the ends of their answers.

    It has no state: each method gets the format, so that all formats of a class share one reader.
    """

    __slots__ = ()

    def feed_plainly(self, format: FormatT, frame: Frame) -> list[Event]:
        """Return the events of `frame`, which is always decoded: the fast path is not tried."""
        if format.error is not None:
            # After the provider's error come token counts, ids and fields, and no content.
            if not isinstance(format.error, ProviderError):
                return []
            return self._read_after_error(format, object_of(frame, format.limits), event_in(frame))
        format.frames += 1
        parts, first_frames = format.parts, format.first_frames
        if format.ended:
            self.after_end(format, frame)
            return parts.take()
        # If no content arrives, the first frames may show that the answer is in another format.
        if not first_frames.enough:
            first_frames.keep(frame)
        try:
            self.read_frame(format, frame)
        except ProtocolError as fault:
            error = first_frames.find_mismatch(format, certain=True) or fault
            if isinstance(error, ProtocolError) and error.event is None:
                number_error(error, format.frames, "what came before it is in .partial")
            # The traceback would hold this frame, and so the error itself.
            format.error = error.with_traceback(None)
        if format.error is not None:
            self.classify_error(format, format.error)
        # The parts may be those of another format since, which reads the frame's content.
        parts = format.parts
        events = parts.take()
        if format.doubt is not None or not first_frames.enough:
            self._weigh(format, events)
        # `take` has compared each whole text that the server repeated with its deltas.
        if parts.difference is not None:
            format.error = format.error or parts.difference
        return events

    def _read_after_error(self, format: FormatT, payload: JsonObject, event: str) -> list[Event]:
        """Return the facts in a payload after an error, which gives way to one if it says nothing itself."""
        further = provider_error(payload, event) if is_vague(format.error) else None
        if further is not None and not is_vague(further):
            self.fail(format, further)
            self.classify_error(format, further)
        return self.read_facts(format, payload, event)[0]

    def _weigh(self, format: FormatT, events: list[Event]) -> None:
        """Take the events for evidence: that the answer goes on, and that it is in this format."""
        if format.doubt is not None and any(isinstance(event, _FURTHER) for event in events):
            format.doubt = None
        if format.parts.has_parts:
            format.first_frames.settle()
        elif not format.first_frames.enough:
            format.first_frames.note(events)

    def classify_error(self, format: FormatT, error: StreamError) -> bool:
        """Classify an error by `retryable`; return True if that table has the error's code or type."""
        from tokenstream.formats._kit.error_details import classify_error

        return classify_error(error, format.retryable)

    def end(self, format: FormatT) -> list[Event]:
        """Return the held-back events; if the answer has not ended, set `error` to `StreamTruncated`."""
        format.judge_end()
        if format.error is None and (format.assumed or not format.ended):
            _judge_missing_end(format)
        if format.error is not None:
            self.classify_error(format, format.error)
        elif lack := self.find_lack(format):
            format.note(lack)
        if format.fast_path is not None:
            format.fast_path.clear()
        try:
            format.parts.close_all(complete=format.error is None and format.finished)
        except ProtocolError as error:
            self.fail(format, format.error or error)
        return format.parts.take()

    def after_end(self, format: FormatT, frame: Frame) -> None:
        """Count a frame after the terminal event; keep one of another answer, and read token counts."""
        if format.later_frames:
            if len(format.later_frames) < format.limits.parts:
                format.later_frames.append(frame)
            return
        data = payload_of(frame)
        is_end = isinstance(data, bytes) and data.strip() in (b"", b"[DONE]")
        if is_end and format.ends_twice:
            return
        payload, name = object_of(frame, format.limits), event_in(frame)
        begun = format.begun_by(payload, name) if payload else None
        if begun is not None and begun != (format.parts.id or ""):
            format.note("second_answer")
            format.later_frames.append(frame)
            return
        had_counts = format.parts.has_counts
        facts, has_more = self.read_facts(format, payload, name)
        # Counts that have come before, as when a connection repeats the end, are not reported again.
        counts = [] if had_counts else [event for event in facts if isinstance(event, UsageUpdate)]
        is_lost = has_more and not is_end
        format.note("usage_misplaced" if counts else "data_after_end" if is_lost else "end_repeated")
        for event in counts:
            format.parts.emit(event)

    def read_facts(self, format: FormatT, payload: JsonObject, event: str) -> tuple[list[Event], bool]:
        """Return the token counts, ids and fields in a payload after the end, and True if it has more."""
        if not payload or text_of(payload, "type") in PING_NAMES:
            return [], not payload
        error, kept, choices = format.error, _values_of(format, _OF_ANSWER), format.parts.choices
        known = {*choices}
        for choice in choices.values():
            kept += [*_values_of(choice, _OF_CHOICE), (choice, "opened", choice.opened.copy())]
        # What the rules say of a complete answer does not hold for one that has failed.
        format.ended, format.departures = False, Departures()
        try:
            self.read_object(format, payload, event)
            has_more = format.error is not error
        except ProtocolError:
            has_more = True
        events = format.parts.take()
        format.parts.difference = None
        for owner, name, value in kept:
            setattr(owner, name, value)
        for index in choices.keys() - known:
            del choices[index]
        has_more = has_more or any(isinstance(event, _FURTHER) for event in events)
        return [
            event
            for event in events
            if isinstance(event, UsageUpdate | MessageStart)
            or (isinstance(event, ProviderData) and event.shared)
        ], has_more

    def read_text(self, format: FormatT, payload: bytes, event: str) -> None:
        """Read a payload, which must be a JSON object, unless a subclass accepts other data as well.

        Bare data that are known not to be content are skipped.

        Args:
            payload: The payload's bytes, not empty and not the sentinel.
            event: The SSE event's name, "" if it has none.

        Raises:
            ProtocolError: The payload is not a JSON object.
        """
        try:
            data = self.decode(format, payload)
        except ProtocolError as fault:
            bare = payload.strip()
            if event or not is_nothing(bare):
                raise find_wrapping(bare) or fault from None
            format.note("bare_frame")
            return
        if data.__class__ is not dict:
            if not event and is_empty_value(data):
                format.note("bare_frame")
                return
            error = first_object(data)
            if error is None or provider_error(error, event) is None:
                raise ProtocolError(f"a JSON object is expected, not {kind_of(data)}", offset=0)
            data = error
        if format.resume is None or not format.resume.drops(format, data, event):
            self.read_object(format, data, event)

    def decode(self, format: FormatT, payload: bytes) -> Json:
        """Decode a payload, and remember whether it may hold halves of surrogate pairs.

        Raises:
            ProtocolError: The payload is not JSON.
        """
        if format.decoded_before and (known := format.decoded_before.pop(payload, None)) is not None:
            return known
        try:
            data = from_json(payload)
        except ValueError:
            # Never reset: a format may keep a value and report it later.
            format.parts.may_hold_surrogates = True
            return decode_tolerantly(payload, format.limits)
        if format.limits is not DEFAULT_LIMITS:
            check_bounds(payload, format.limits)
        return data

    def read_frame(self, format: FormatT, frame: Frame) -> None:
        """Read a frame: a decoded payload, an exception, the sentinel, an error, a ping, or JSON."""
        event = ""
        if not isinstance(frame, (bytes, dict)):
            if isinstance(frame, EventStreamMessage) and (frame.kind != "event" or frame.event == PIECE):
                error = exception_error(frame.event, frame.payload, frame.headers)
                self.fail(format, error, was_whole=has_told_all(format))
                return
            event, frame = name_of(frame), frame.payload
        format.nameless = not event and frame.__class__ is not dict
        if isinstance(frame, dict):
            parts = format.parts
            parts.may_hold_surrogates = parts.may_hold_surrogates or may_hold_halves(frame)
            if format.resume is None or not format.resume.drops(format, frame, ""):
                self.read_object(format, frame, "")
            return
        payload = frame.strip()
        if payload == format.sentinel:
            format.read_sentinel()
        elif payload[:1] == b"{":
            self.read_text(format, frame, event)
        elif event == "error":
            self.fail(format, text_error(frame), was_whole=has_told_all(format))
        elif not payload:
            format.note("empty_data")
        elif event and event not in format.event_names:
            self.report_unknown_event(format, event, frame)
        else:
            self.read_text(format, frame, event)

    def report_unknown_event(self, format: FormatT, event: str, payload: bytes) -> None:
        if event not in PING_NAMES:
            format.parts.unknown(event, str(payload, "utf-8", "replace"))

    def read_object(self, format: FormatT, payload: JsonObject, event: str) -> None:
        """Read a decoded payload; if it reports the provider's error, store the error instead."""
        format.parts.raw = payload
        error = provider_error(payload, event) if format.checks_errors else None
        if error is None or format.tolerates(payload, event) or self.doubts(format, error, payload, event):
            format.read(payload, event)
        else:
            self.fail(format, error, was_whole=has_told_all(format))

    def fail(self, format: FormatT, error: StreamError | None, *, was_whole: bool = False) -> None:
        """End the answer with an error, unless all of the answer had arrived before it.

        Args:
            error: The error.
            was_whole: The value of `has_told_all` before the error's payload was read.
        """
        if was_whole:
            format.note("error_after_finish")
        else:
            format.error = error

    def doubts(self, format: FormatT, error: ProviderError, payload: JsonObject, event: str) -> bool:
        """Keep an error that may not be about the answer, until the answer goes further; False for any other.

        Args:
            error: The error in the payload.
            payload: The payload, which this format does not know.
            event: The SSE event's name, "" if it has none.
        """
        if not is_aside(payload, event):
            return False
        format.doubt = error
        if format.fast_path is not None:
            # The next delta is decoded, and so settles the doubt.
            format.fast_path.clear()
        return True

    def find_lack(self, format: FormatT) -> str:
        """Return the departure of a whole answer without content, or the calls of its reason; else ""."""
        parts, is_said = format.parts, False
        is_empty = not parts.choices
        for choice in parts.choices.values():
            is_empty = is_empty or choice.is_empty
            is_said = is_said or (choice.finish is not None and choice.finish.reason == "tool_calls")
        if is_empty and not parts.first_part:
            return "answer_empty"
        if not is_said or parts.calls_seen or parts.begins_inside:
            return ""
        # A tool of the provider's, or a call in a form that is carried as it is.
        kinds = [kind for choice in parts.choices.values() for kind in choice.kinds]
        return "" if any("tool" in kind or "function" in kind for kind in kinds) else "call_missing"


def _values_of(owner: object, names: tuple[str, ...]) -> list[tuple[object, str, Any]]:
    return [(owner, name, getattr(owner, name)) for name in names]


def _judge_missing_end(format: Format) -> None:
    """Find a cut, or count a departure, at the end of an input that no certain end came before."""
    parts = format.parts
    if format.assumed:
        end_without_finish(format)
        format.assumed = False  # the input has ended cleanly, which confirms the sentinel's end
    if format.error is not None or format.ended:
        return
    doubt_finishes(format)
    if parts.finished:  # finish reasons suffice, but a terminal event may be missing
        if format.sentinel is not None or not format.ends_with_input:
            format.note("done_missing")
    elif not format.ends_with_input:
        format.reader.fail(format, format.withheld or format.cut_short())


# -- for the formats --------------------


def end_at_mark(format: Format) -> None:
    """End an answer at a mark that confirms its finish reason, or stands for it."""
    confirm_finishes(format.parts)
    doubt_finishes(format)
    if format.parts.finished:
        format.conclude()
    else:
        format.note("finish_missing")
        end_without_finish(format)


def end_without_finish(format: Format) -> None:
    """End an answer at a mark without a finish reason, as truncated if `find_cut` says so.

    If an event has reported an error, and nothing of the answer has come since, that is how it ended.
    """
    format.reader.fail(format, format.doubt or find_cut(format))
    if format.error is None:
        format.conclude()


def find_cut(format: Format) -> StreamError | None:
    """Return the error for an answer that was cut off before a mark without a reason; else None.

    Servers write such a mark on every way out. The answer was cut off if:

    1. the arguments of an open call are the beginning of a JSON value;
    2. there is neither a text nor a call, and the mark is the sentinel or the format closes its parts;
    3. the format closes its parts, and anything is open.
    """
    parts = format.parts
    needs_answer = format.closes_parts or format.assumed
    is_cut = breaks_off_in_call(parts) or (needs_answer and not parts.has_answer)
    return format.cut_short() if is_cut or (format.closes_parts and parts.has_open) else None


def type_of(format: Format, payload: JsonObject, event: str, field: str = "type") -> str:
    """Return the type of a payload, or else the name of its event; count a departure if they differ."""
    kind = text_of(payload, field)
    if event and kind != event:
        format.note("type_missing" if kind is None else "event_name_differs")
    return kind or event


def begins_another(format: Format, id: str | None, payload: JsonObject) -> bool:
    """Count a start of the answer that is not the first; return True if it begins another answer.

    A gateway that asks again in the middle of an answer sends a whole other answer after what it has
    sent. The two are never joined: the first one has broken off, or ends here if it has its finish
    reason. Without content it is none: a proxy may send a start and an empty part of its own.

    Args:
        id: The id in the start; None if the start has none.
        payload: The start, from which the other answer is read.
    """
    is_empty = not (format.parts.has_content or format.parts.finished)
    if not id or format.parts.id in (None, id) or is_empty:
        note_second_start(format)
        return False
    format.note("second_answer")
    if format.parts.finished:
        format.conclude()
        format.later_frames.append(payload)
    else:
        message = (
            f"another answer, {id[:_MOST_SHOWN]!r}, begins before the end of this one: a proxy may have "
            "asked again; what had arrived is in .partial"
        )
        format.reader.fail(format, StreamTruncated(message))
    return True


def note_missing_start(format: Format) -> None:
    """Count once that the input begins inside the answer, whose end may repeat its texts whole."""
    if not format.parts.begins_inside:
        format.note("start_missing")
        format.parts.begins_inside = True


def note_second_start(format: Format) -> None:
    """Count a departure: the start of the answer came again, before its content or after some of it."""
    format.note("start_repeated" if format.parts.has_content or format.parts.finished else "start_twice")


# -- for the rooms that drive a format ---


def prepare_to_continue(format: Format) -> None:
    """Prepare for another connection, and to drop what it repeats up to `position`, if that is known."""
    if format.fast_path is not None:
        # Payloads on the fast path would not be checked for repetitions.
        format.fast_path.clear()
    format.error = None
    format.dropped = 0
    if format.resume is not None:
        format.resume.prepare(format)


def dispose_of(format: Format) -> None:
    """Let go of a format's parts, and of what they refer to, so that all is freed with the format.

    What is read of an answer refers to its parts, and these to that. Nothing may be read afterwards.
    """
    if format.fast_path is not None:
        format.fast_path.entries.clear()
    format.parts.dispose()
