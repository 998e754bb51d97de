"""What every format is: a stage that turns frames into events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from pydantic_core import from_json

from tokenstream._json import check_bounds, decode_lenient
from tokenstream.departures import Departures
from tokenstream.errors import LimitExceeded, ProtocolError, StreamTruncated
from tokenstream.events import Ping
from tokenstream.formats._errors import exception_error, judge, provider_error, text_error
from tokenstream.formats._fast.path import Fast, FastPath
from tokenstream.formats._parts import Parts
from tokenstream.formats._read import is_dict, kind_of
from tokenstream.formats._resuming import Resuming
from tokenstream.framing import ServerSentEvent
from tokenstream.framing.aws_eventstream import EventStreamMessage
from tokenstream.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.formats._replay import Replay, ReplayOfEvents
    from tokenstream.message import Ending, FinishReason, Usage

__all__ = ["Format", "Frame", "Unit"]

PING_NAMES = frozenset({"ping", "keepalive", "keep-alive", "heartbeat"})
"""Names of SSE events that are signs of life, whatever their data."""


Frame: TypeAlias = bytes | ServerSentEvent | EventStreamMessage | dict[str, Any]
"""One unit of a framing: a bare payload, one that has a name, or a payload already decoded."""

Unit: TypeAlias = Literal["event", "line", "element", "message", "payload"]
"""What a chunk that is read at a glance is one of: SSE events, JSON lines, elements of a JSON
array, messages of a WebSocket, or payloads that were decoded before they came."""


class Format(Resuming, ABC):
    """A wire vocabulary: frames in, events out, for one connection.

    A format knows which choice and part an event belongs to, when a tool call
    has ended and whether the answer has; it holds no content but the arguments
    of open tool calls and halves of surrogate pairs.

    A format of your own derives from this class and has a `name`, `recognises`
    and `read`. Pass an object of it as `format=`, or offer the class under the
    entry point group `tokenstream.formats`; docs/adding-a-format.md shows one whole.

    Args:
        limits: Bounds on parts, choices, tool calls, and JSON payloads.
        pings: Whether signs of life become `Ping` events.
    """

    __slots__ = (
        "_fast_path",
        "_replay",
        "_replayed_events",
        "assumed",
        "departures",
        "dropped",
        "ended",
        "error",
        "frames",
        "limits",
        "noted_at",
        "parts",
        "pings",
        "shortcuts",
        "stop",
    )

    name: ClassVar[str]
    """What users call the format."""
    framing: ClassVar[str] = "sse"
    """The framing that carries it."""
    sentinel: ClassVar[bytes | None] = None
    """The payload that is no payload and means the end."""
    ends_with_input: ClassVar[bool] = False
    """Whether the end of the input is the end of the answer: no terminal event exists."""
    finish_is_last: ClassVar[bool] = True
    """Whether a finish reason ends its choice; where one may stand in any payload, input that breaks
    off behind it is cut all the same."""
    finish_reasons: ClassVar[Mapping[str, FinishReason]] = MappingProxyType({})
    """What the provider's words for the end of an answer mean; any other word is "unknown"."""
    retryable: ClassVar[Mapping[str, bool]] = MappingProxyType({})
    """Whether asking again may help after an error, by the provider's code or type: the words that
    mean something else here than with other providers, or that the others do not know."""
    event_names: ClassVar[frozenset[str]] = frozenset()
    """Names of SSE events whose data must be this format's payloads."""
    fast: ClassVar[Fast | None] = None
    """What its deltas have in common, so that most need not be decoded; None where nothing is known."""
    reads_bare_text: ClassVar[bool] = False
    """Whether a body that is text without events is read, too, in pieces of str; the format must be named."""
    several: ClassVar[bool] = False
    """Whether a connection carries several answers, which `place_of` and `of_answer` tell apart."""
    several_on_socket: ClassVar[bool] = False
    """Whether a WebSocket carries several answers, though a body has one."""

    unkept: ClassVar[frozenset[str]] = frozenset(
        {
            "_fast_path",
            "_replay",
            "_replayed_events",
            "departures",
            "dropped",
            "error",
            "limits",
            "pings",
            "shortcuts",
            "stop",
        }
    )
    """Slots that `state` does not keep; a derived class names those of its own."""

    def __init__(self, *, limits: Limits | None = None, pings: bool = False) -> None:
        self.limits = limits if limits is not None else DEFAULT_LIMITS
        self.pings = pings
        self._fast_path = None if self.fast is None else FastPath(self, self.fast)
        self._replay: Replay | None = None
        self._replayed_events: ReplayOfEvents | None = None
        self.dropped = 0
        """How many payloads came again and were dropped, since another connection went on."""
        self.shortcuts = True
        """Whether a payload like the last one may be read by comparing; the events are the same."""
        self.departures = Departures()
        self.frames: int = 0
        self.noted_at = 0
        """Number of the last frame at which a departure was counted."""
        self.ended = False
        """Whether a terminal event came."""
        self.assumed = False
        """Whether the sentinel alone says so, which counts where the input then ends cleanly."""
        self.error: StreamError | None = None
        self.stop: str | None = None
        self.parts = Parts(self.limits, self.note)

    def fresh(self, *, limits: Limits, pings: bool) -> Format:
        """Return a format of the same make for a new connection."""
        return type(self)(limits=limits, pings=pings)

    @classmethod
    @abstractmethod
    def recognises(cls, payload: dict[str, Any], event: str) -> bool | None:
        """Tell whether a first payload is of this format; None when a later one must decide.

        Args:
            payload: The decoded payload, a JSON object.
            event: The SSE event's name, "" where it has none.
        """

    def place_of(self, payload: dict[str, Any]) -> tuple[str | None, bool]:
        """Return the answer that a payload belongs to, None for the session itself, and whether it ends it.

        Args:
            payload: The decoded payload, a JSON object.
        """
        return "", False

    def of_answer(self, answer: str) -> Format:
        """Return a format that reads one of several answers, by what `place_of` calls it.

        What was read of the session itself is known to it.
        """
        return self

    @abstractmethod
    def read(self, payload: dict[str, Any], event: str) -> None:
        """Put what `payload` says into `self.parts`.

        Args:
            payload: The decoded payload, a JSON object.
            event: The SSE event's name, "" where it has none.

        Raises:
            ProtocolError: The payload is not what the format allows.
        """

    @property
    def finished(self) -> bool:
        """Whether the answer is over: a terminal event came, or every choice has its finish reason."""
        return (self.ended and not self.assumed) or self.parts.finished

    @property
    def resting(self) -> bool:
        """Whether the server has nothing to say until the client speaks: between answers of a session, say.

        No silence is too long then.
        """
        return False

    @property
    def verdict(self) -> Ending:
        """The ending of an answer that is over without an error; a relay may say that it was stopped."""
        return "complete"

    @property
    def withheld(self) -> StreamError | None:
        """An error after which the answer may go on: it counts once the input is over."""
        return None

    def feed(self, frame: Frame, *, now: float = 0.0) -> list[Event]:
        """Return the events that `frame` holds."""
        fast = self._fast_path
        if fast is None:
            return self.feed_plainly(frame)
        if fast.entries:
            event = fast.read(frame)
            if event is not None:
                return [event]
        events = self.feed_plainly(frame)
        fast.take(frame, events)
        return events

    def feed_plainly(self, frame: Frame) -> list[Event]:
        """Return the events that `frame` holds, whatever it has in common with others."""
        if self.error is not None:
            return []
        self.frames += 1
        if self._replayed_events is not None and self._is_replayed_event(self._replayed_events, frame):
            return []
        if self.ended:
            self.after_end(frame)
            return self.parts.take()
        try:
            self._read_frame(frame)
        except ProtocolError as error:
            if error.event is None:
                error.event = self.frames
                advice = "" if isinstance(error, LimitExceeded) else "; what came before it is in .partial"
                error.args = (f"frame {self.frames}: {error}{advice}",)
            self.error = error
        if self.error is not None:
            self.judge(self.error)
        return self.parts.take()

    def judge(self, error: StreamError) -> bool:
        """Let `retryable` decide whether asking again may help after an error, and tell whether it does."""
        return judge(error, self.retryable)

    def end(self, *, now: float = 0.0) -> list[Event]:
        """Return what was held back; without the end of the answer, set `error` to `StreamTruncated`."""
        if self.assumed and self.error is None:
            self.assumed = False
            if not self.parts.started:
                self.note("answer_empty")
            self.end_without_finish()
        if self.error is None and not self.ended:
            if self.parts.finished:
                if self.sentinel is not None or not self.ends_with_input:
                    self.note("done_missing")
            elif not self.ends_with_input:
                self.error = self.cut_short()
        if self.error is not None:
            self.judge(self.error)
        try:
            self.finish_input()
        except ProtocolError as error:
            self.error = self.error or error
        return self.parts.take()

    def finish_input(self) -> None:
        """Close what is open at the end of the input.

        Raises:
            LimitExceeded: What was held back outgrows a bound.
        """
        if self._fast_path is not None:
            self._fast_path.clear()
        self.parts.close_all(complete=self.error is None and self.finished)

    def late_usage(self) -> Usage | None:
        """Return the token counts of what was read, if there may be some that no event has told yet.

        The message has them at once. It changes nothing: any thread may ask.
        """
        return None

    def follow(self, delta: Event) -> Callable[[Any], bool | None] | None:
        """Return what takes each delta like this one that is read without decoding; None where nothing need.

        It is for formats that keep more of a delta than `Parts` does. Where it returns
        False, and has kept nothing, the payload is decoded after all.

        Args:
            delta: A delta that was decoded.
        """
        return None

    def take_beside(self, delta: Event) -> Callable[[Any], bool | None] | None:
        """Return what `follow` does, and what the events pass before they are given.

        Args:
            delta: A delta that was given.
        """
        through, follow = self.parts.through, self.follow(delta)
        return follow if through is None else through.follow(delta, follow)

    def shortcut(
        self, unit: Unit, most: int, before: bytes = b"", after: bytes = b""
    ) -> Callable[[bytes], Event | None] | None:
        """Return a function that reads a whole chunk at a glance, or None where there is none.

        A driver may use it as long as each chunk so far was read by it and
        nothing is held by the framing; where it returns None for a chunk, the
        chunk is to be read in the plain way.

        Args:
            unit: What each chunk is.
            most: The longest chunk that may be read so, in bytes.
            before: What stands before the payload in such a chunk; of an event, the format knows.
            after: What stands after it.
        """
        fast = self._fast_path
        return None if fast is None else fast.shortcut(unit, most, before, after)

    def frame_shortcut(self) -> Callable[[Frame], Event | None] | None:
        """Return a function that reads a frame at a glance, or None where there is none.

        It may be used until a frame is fed, as the first one is for which it returns None.
        """
        return None if self._fast_path is None else self._fast_path.frame_shortcut()

    def payload_shortcut(self) -> tuple[str, bytes, Callable[[bytes], Event | None]] | None:
        """Return what payloads are read at a glance, or None where there are none.

        That is the name of their events, what they begin with, and a function
        that reads what comes after it. It is for framings in which a chunk is
        proved before its payload counts; the conditions are those of `shortcut`.
        """
        fast = self._fast_path
        return None if fast is None else fast.split()

    def check(self) -> None:
        """Raise `error` if there is one."""
        if self.error is not None:
            raise self.error

    def note(self, name: str) -> None:
        """Count a departure at the frame that is being read."""
        self.noted_at = self.frames
        self.departures.note(name, event=self.frames)

    def after_end(self, frame: Frame) -> None:
        """Take a frame that comes after the terminal event: ignore and count it."""
        self.note("data_after_end")

    def conclude(self) -> None:
        """Mark the terminal event: close what is open, and ignore what comes after."""
        self.ended = True
        self.parts.close_all(complete=True)

    def ping(self) -> None:
        """Take a sign of life."""
        if self.pings:
            self.parts.emit(Ping(raw=self.parts.raw))

    def read_text(self, payload: bytes, event: str) -> None:
        """Take a payload that may be no JSON object; by default every payload must be one.

        Args:
            payload: The payload as it came, not empty and not the sentinel.
            event: The SSE event's name, "" where it has none.

        Raises:
            ProtocolError: It is none.
        """
        data = self.decode(payload)
        if not is_dict(data):
            msg = f"a JSON object is expected, not {kind_of(data)}"
            raise ProtocolError(msg, offset=0)
        if self._replay is None or not self._is_replayed(self._replay, data, event):
            self._read_object(data, event)

    def decode(self, payload: bytes) -> Any:  # noqa: ANN401 - any JSON value
        """Return the JSON value that a payload is, and remember whether it may hold broken characters.

        Raises:
            ProtocolError: It is no JSON.
        """
        try:
            data = from_json(payload)
        except ValueError:
            # For good: a format may keep what it has read, and tell it later.
            self.parts.halves = True
            return decode_lenient(payload, self.limits)
        if self.limits is not DEFAULT_LIMITS:
            check_bounds(payload, self.limits)
        return data

    def _read_frame(self, frame: Frame) -> None:
        event = ""
        if isinstance(frame, dict):
            self.parts.halves = True
            if self._replay is None or not self._is_replayed(self._replay, frame, ""):
                self._read_object(frame, "")
            return
        if isinstance(frame, ServerSentEvent | EventStreamMessage):
            if isinstance(frame, EventStreamMessage) and frame.kind != "event":
                self.error = exception_error(frame.event, frame.payload, frame.headers)
                return
            event = name_of(frame)
            frame = frame.payload
        self.parts.raw = None
        if frame == self.sentinel or (self.sentinel is not None and frame.strip() == self.sentinel):
            self.read_sentinel()
        elif event == "error" and frame.lstrip()[:1] != b"{":
            self.error = text_error(frame)
        elif not frame or frame.isspace():
            self.note("empty_data")
            self.ping()
        elif event and event not in self.event_names and frame.lstrip()[:1] != b"{":
            self._take_named(event, frame)
        else:
            self.read_text(frame, event)

    def _take_named(self, event: str, payload: bytes) -> None:
        """Take a named event that is none of the format's, with data in no format at all."""
        if event in PING_NAMES:
            self.ping()
        else:
            self.parts.unknown(event, str(payload, "utf-8", "replace"))

    def read_sentinel(self) -> None:
        """Take the sentinel: the end of the answer, for certain where its finish reason came."""
        if self.finished:
            self.conclude()
        else:
            # Quirk (llama-cpp-python, 2026-11): an answer that another request interrupts ends
            # with the sentinel, and then the connection breaks; recording: none.
            self.note("finish_missing")
            # While nothing new has come, the sentinel is as old.
            self.ended = self.assumed = self._replay is None

    def end_without_finish(self) -> None:
        """Take the end of an answer whose finish reason is missing; by default what is open is closed."""
        self.conclude()

    def _read_object(self, data: dict[str, Any], event: str) -> None:
        self.parts.raw = data
        error = provider_error(data, event)
        if error is not None and not self.tolerates(data, event):
            self.error = error
            return
        self.read(data, event)

    def tolerates(self, payload: dict[str, Any], event: str) -> bool:
        """Tell whether a payload that looks like an error is none in this format."""
        return False

    def cut_short(self) -> StreamTruncated:
        """Return the error for input that ended before the answer did."""
        if not self.frames:
            return StreamTruncated("the input ended without a single event; ask again")
        open_calls = self.parts.open_calls
        inside = f", inside {open_calls} tool call{'s' * (open_calls != 1)}" if open_calls else ""
        return StreamTruncated(
            f"the input ended after {self.frames} frame{'s' * (self.frames != 1)}{inside}, "
            "before the end of the answer; what had arrived is in .partial"
        )


def name_of(event: ServerSentEvent | EventStreamMessage) -> str:
    """Return an event's name; "" where it has none, which the SSE standard calls "message"."""
    return "" if event.event == "message" else event.event
