"""The base class of formats: a stage that turns frames into events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeAlias

from pydantic_core import from_json
from typing_extensions import TypeVar

from tokenstream._basics.json import check_bounds, decode_tolerantly
from tokenstream._basics.kept_errors import ErrorKeeper
from tokenstream._basics.untrusted import is_dict, kind_of, text_of
from tokenstream._basics.url import find_address
from tokenstream._providers.hosts import gives_reasons
from tokenstream.departures import Departures
from tokenstream.errors import LimitExceeded, PositionLost, ProtocolError, ProviderError
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
from tokenstream.formats._detect.first_frames import FirstFrames, make_splice_error, truncation_error
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
from tokenstream.formats._endings import ANSWERED, ENDINGS
from tokenstream.formats._fast.path import Fast, FastPath
from tokenstream.formats._kit.errors import (
    PIECE,
    exception_error,
    first_object,
    is_aside,
    is_vague,
    provider_error,
    text_error,
)
from tokenstream.formats._kit.parts import Parts
from tokenstream.formats._kit.values import may_hold_halves, split_names
from tokenstream.formats._resume.resuming import Replay, Resuming
from tokenstream.framing._frames import EventStreamMessage, ServerSentEvent
from tokenstream.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream._basics.loose import DeltaCallback, Json, JsonObject
    from tokenstream.departures import Affects
    from tokenstream.errors import StreamError, StreamTruncated
    from tokenstream.events import Event
    from tokenstream.formats._endings import EndSign
    from tokenstream.formats._kit.count_paths import Counts
    from tokenstream.message import Ending, FinishReason, Usage

Frame: TypeAlias = bytes | ServerSentEvent | EventStreamMessage | dict[str, Any]
"""One unit of a framing: a bare payload, a payload with an event name, or a decoded payload."""

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

Unit: TypeAlias = Literal["event", "line", "element", "message", "payload"]
"""The kind of a chunk that is read without decoding: an SSE event, a JSON line, an element of a
JSON array, a WebSocket message, or a payload that arrived decoded."""


PartsT_co = TypeVar("PartsT_co", bound=Parts, default=Parts, covariant=True)


class Format(ErrorKeeper, Resuming, ABC, Generic[PartsT_co]):
    """A wire format: turns the frames of one connection into events.

    A format knows which choice and part an event belongs to, and when a tool call
    and the answer end. The only content that it holds back are the arguments of open
    tool calls and halves of surrogate pairs.

    A format of your own derives from this class and defines `name`, `recognises`
    and `read`. Pass an instance as `format=`, or register the class under the
    entry point group `tokenstream.formats`; .github/adding-a-format.md has a complete example.

    Args:
        limits: Bounds on parts, choices, tool calls, and JSON payloads; None for the defaults of
            `Limits`.
    """

    __slots__ = (
        "__weakref__",
        "_fast_path",
        "_replay",
        "assumed",
        "decoded_before",
        "departures",
        "doubt",
        "dropped",
        "ended",
        "error",
        "first_frames",
        "frames",
        "later_frames",
        "limits",
        "noted_at",
        "parts",
        "shortcuts",
        "unfinished",
    )

    name: ClassVar[str]
    """The name under which users select the format."""
    framing: ClassVar[str] = "sse"
    """The name of the framing that the format's frames arrive in."""
    sentinel: ClassVar[bytes | None] = None
    """The frame that means the end and contains no data, such as `[DONE]`."""
    ends_twice: ClassVar[bool] = False
    """True if the sentinel follows the terminal event, where it is not a departure."""
    ends_with_input: ClassVar[bool] = False
    """True if the end of the input is the end of the answer: the format has no terminal event."""
    finish_is_last: ClassVar[bool] = True
    """True if a finish reason ends its choice; False if any payload may contain one, so that input
    that breaks off after a finish reason counts as truncated nevertheless."""
    is_one_answer: ClassVar[bool] = False
    """True if a body has one answer and nothing else, so that silence means its end once nothing can follow.

    It is False for runs, steps and sessions, in which a tool may work in silence."""
    closes_parts: ClassVar[bool] = False
    """True if the server marks the end of each part, so that an answer that ends inside one was cut off."""
    finish_reasons: ClassVar[Mapping[str, FinishReason]] = MappingProxyType({})
    """Maps the provider's words to finish reasons; any other word is "unknown"."""
    retryable: ClassVar[Mapping[str, bool]] = MappingProxyType({})
    """Maps an error's code or type to True if a retry may help; contains only the words that other
    providers lack or use in another sense."""
    event_names: ClassVar[frozenset[str]] = frozenset()
    """Names of SSE events whose data must be this format's payloads. Under another name, data that do
    not begin with a brace are reported as `Unknown`."""
    documented: ClassVar[frozenset[str] | None] = None
    """Names that the provider's documents and SDKs give to fields without an event of their own; any other
    is also reported as `Unknown`. None if no document lists them, so that no field is."""
    counted: ClassVar[Counts | None] = None
    """The documented places of the numbers in reports of usage, of which any other is a departure. None if
    no document lists them."""
    fast: ClassVar[Fast | None] = None
    """Describes the usual deltas, so that most of them need not be decoded; None to decode every payload."""
    reads_bare_text: ClassVar[bool] = False
    """True if the format, if a caller names it, also reads a body of bare text, which arrives as strings."""
    several: ClassVar[bool] = False
    """True if a connection may contain several answers: `place_of` says which answer a payload belongs to,
    and `of_answer` returns the format that reads it."""
    several_on_socket: ClassVar[bool] = False
    """True if a WebSocket may contain several answers although a body contains one."""

    _parts_class: ClassVar[type[Parts]] = Parts
    """The class of `parts`; a derived format names its own one here, and as what it is generic in."""
    unkept: ClassVar[frozenset[str]] = split_names(
        "__weakref__ _fast_path _replay decoded_before departures doubt dropped error first_frames "
        "later_frames limits shortcuts unfinished"
    )
    """Slots that `state` does not save; a derived class adds those of its own slots that need no saving."""

    def __init__(self, *, limits: Limits | None = None) -> None:
        # Options.
        self.limits = limits if limits is not None else DEFAULT_LIMITS
        """The bounds on untrusted input."""
        # The fast path, which reads deltas without decoding their payloads.
        self._fast_path = None if self.fast is None else FastPath(self, self.fast)
        self.shortcuts = True
        """True if payloads that differ from earlier ones only in their text may be read without decoding."""
        # The repetitions of a server that continues the answer on another connection.
        self._replay: Replay | None = None
        """Detects payloads that another connection repeats, by their positions; None if none are repeated."""
        self.dropped = 0
        """Number of repeated payloads dropped since another connection continued the answer."""
        # The frames so far.
        self.frames: int = 0
        """Number of frames so far."""
        self.departures = Departures()
        """The server's departures from its documentation, by name."""
        self.noted_at = 0
        """Number of the last frame in which a departure was noted."""
        self.first_frames = FirstFrames()
        """The first frames of the input. If no content arrives, they show whether it is in another format."""
        self.decoded_before: dict[bytes, Any] | None = None
        """The object that has revealed the format, by its payload, until it is read; None without one."""
        # The end of the answer.
        self.ended = False
        """True once a terminal event has arrived."""
        self.assumed: bool = False
        """True if only the sentinel marked the end; the answer is complete if the input then ends cleanly."""
        self.unfinished: bool = False
        """True once the server has sent all of an answer that it is still writing, in the background."""
        self.later_frames: list[Frame] = []
        """The frames of another answer that began in the same body, after the end of this one."""
        self.doubt: StreamError | None = None
        """The error in an event of a kind that is not known; None once the answer has gone further."""
        self.error: StreamError | None = None
        # The content of the answer.
        self.parts: PartsT_co = self._make_parts()
        """The open parts of the message."""
        self._set_up()

    def _set_up(self) -> None:
        """Set the attributes of a format's own, which are in `__slots__`."""

    def _make_parts(self) -> Any:  # noqa: ANN401 - of the class that the format names
        """Return the object that collects the answer's parts and events."""
        return self._parts_class(self.limits, self.note)

    def fresh(self, *, limits: Limits) -> Format:
        """Return a format with the same options for a new connection."""
        return type(self)(limits=limits)

    @classmethod
    @abstractmethod
    def recognises(cls, payload: dict[str, Any], event: str) -> bool | None:
        """Return whether a first payload is of this format; None if a later payload must decide.

        Args:
            payload: The decoded payload, a JSON object.
            event: The SSE event's name, "" if it has none.
        """

    def place_of(self, payload: dict[str, Any]) -> tuple[str | None, bool]:
        """Return the key of the answer that a payload belongs to, and whether the payload ends that answer.

        The key is "" if a connection has only one answer, and None for a payload about the session itself.

        Args:
            payload: The decoded payload, a JSON object.
        """
        return "", False

    def of_answer(self, answer: str) -> Format:
        """Return a format that reads one of several answers; this format itself if there is only one.

        That format knows everything that was read about the session itself.

        Args:
            answer: The answer's key, as returned by `place_of`.
        """
        return self

    def take_mixed(self) -> dict[str, StreamError] | None:
        """Return the errors of the answers that end with the payload that `place_of` was last given.

        They end because nothing tells any more whose the payloads are. The errors are returned once, by the
        answers' keys; None if the payload has a place.
        """
        return None

    @abstractmethod
    def read(self, payload: dict[str, Any], event: str) -> None:
        """Pass the content of `payload` to `self.parts`.

        Args:
            payload: The decoded payload, a JSON object.
            event: The SSE event's name, "" if it has none.

        Raises:
            ProtocolError: The payload does not follow the format.
        """

    def take_request(self, asked: object) -> None:
        """Note what the JSON of a request says about the form of its answer, before any of it is read."""

    @property
    def finished(self) -> bool:
        """True once a terminal event or the finish reason of every choice has arrived.

        A sentinel alone is not enough: the answer may have broken off before it.
        """
        return (self.ended and not self.assumed) or self.parts.finished

    @property
    def goes_on(self) -> bool:
        """True if further answers of the API belong to this one, as after its tools were run."""
        return False

    @property
    def lack(self) -> str:
        """The departure of a whole answer that lacks all content, or the calls that its reason tells of."""
        parts, is_said = self.parts, False
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

    @property
    def is_amid(self) -> bool:
        """True inside an answer, or a run of several, whose end the server sends itself."""
        return False

    @property
    def resting(self) -> bool:
        """True while the server waits for the client to speak, such as between answers of a session.

        Meanwhile, silence does not count as a stall.
        """
        return False

    @property
    def known_ending(self) -> Ending:
        """The ending of an answer that is over without an error.

        It is "complete", except in a format that also transmits endings, such as "stopped".
        """
        return "complete"

    @property
    def withheld(self) -> StreamError | None:
        """The error that the server has reported, but that is raised only at the end of the input.

        It waits because the server may send further content after its error. None if there is none.
        """
        is_over = self.finished or (self.ended and self.parts.has_parts)
        return None if is_over else self.doubt

    def end_sign(self) -> EndSign:
        """Return the last sign of the end that the server has sent, in all that was read."""
        if self.ended:
            return "sentinel" if self.assumed and not self.finished else "terminal"
        choices, waits = self.parts.choices, False
        for choice in choices.values():  # asked after each chunk, so without a call
            if choice.finish is None:
                break
            waits = waits or choice.finish_waits
        else:
            if choices and self.finished:
                end: EndSign = "open reason" if self.may_go_on else "reason"
                return "waits" if waits else "early reason" if self.early_choices else end
        return "nothing" if self.doubt is None else "doubt"

    @property
    def early_choices(self) -> list[int]:
        """Indexes of the choices whose content follows their finish reason, or has not begun with it."""
        choices, is_field = self.parts.choices, not self.closes_parts
        return [
            index
            for index, choice in choices.items()
            if choice.early_finish is not None or (is_field and choice.is_early)
        ]

    def awaits_end(self, sign: EndSign) -> bool:
        """Return True while only the end of the answer is left to come, or an error may have ended it."""
        if not self.is_one_answer or sign in ANSWERED or self.error is not None:
            return False
        return self.doubt is not None or (ENDINGS[sign].ends_in_silence and not self.may_go_on)

    @property
    def may_go_on(self) -> bool:
        """True if content may follow although every choice so far has its finish reason."""
        return not self.finish_is_last

    def feed(self, frame: Frame, *, now: float = 0.0) -> list[Event]:
        """Return the events of `frame`; a fault in it is not raised, but stored in `error`."""
        fast = self._fast_path
        if fast is None:
            return self.feed_plainly(frame)
        # Entries: a payload was decoded that the next ones may resemble.
        if fast.entries and (event := fast.read(frame)) is not None:
            return [event]
        events = self.feed_plainly(frame)
        if events or fast.entries:
            fast.learn_from(frame, events)
        return events

    def may_have_shortcut(self) -> bool:
        """Return False if the next payload must be decoded, as no payload like it was learnt."""
        return self._fast_path is None or bool(self._fast_path.entries)

    @property
    def has_one_shape(self) -> bool:
        """True if all payloads that are read without decoding them add to the same part."""
        return self._fast_path is not None and not self._fast_path.entries[1:]

    def adopt_shapes(self, other: Format) -> None:
        """Take over the shapes of payloads that were learnt from an earlier answer of the same server."""
        if self._fast_path is not None and other._fast_path is not None:
            self._fast_path.adopt_shapes(other._fast_path)

    def feed_plainly(self, frame: Frame) -> list[Event]:
        """Return the events of `frame`, which is always decoded: the fast path is not tried."""
        if self.error is not None:
            # After the provider's error come token counts, ids and fields, and no content.
            return self._read_after_error(*self._object_in(frame)) if self.reads_on else []
        self.frames += 1
        if self.ended:
            self.after_end(frame)
            return self.parts.take()
        # If no content arrives, the first frames may show that the answer is in another format.
        if not self.first_frames.enough:
            self.first_frames.keep(frame)
        try:
            self._read_frame(frame)
        except ProtocolError as fault:
            error = self.first_frames.find_mismatch(self, certain=True) or fault
            if isinstance(error, ProtocolError) and error.event is None:
                error.event = self.frames
                advice = "" if isinstance(error, LimitExceeded) else "; what came before it is in .partial"
                error.args = (f"frame {self.frames}: {error.message}{advice}",)
            # The traceback would hold this frame, and so the error itself.
            self.error = error.with_traceback(None)
        if self.error is not None:
            self.classify_error(self.error)
        events = self.parts.take()
        if self.doubt is not None or not self.first_frames.enough:
            self._weigh(events)
        # `take` has compared each whole text that the server repeated with its deltas.
        self.error = self.error or self.parts.difference
        return events

    def _read_after_error(self, payload: JsonObject, event: str) -> list[Event]:
        """Return the facts in a payload after an error, which gives way to one if it says nothing itself."""
        further = provider_error(payload, event) if is_vague(self.error) else None
        if further is not None and not is_vague(further):
            self.error = further
            self.classify_error(further)
        return self._read_facts(payload, event)[0]

    def _weigh(self, events: list[Event]) -> None:
        """Take the events for evidence: that the answer goes on, and that it is in this format."""
        if self.doubt is not None and any(isinstance(event, _FURTHER) for event in events):
            self.doubt = None
        if self.parts.has_parts:
            self.first_frames.settle()
        elif not self.first_frames.enough:
            self.first_frames.note(events)

    def classify_error(self, error: StreamError) -> bool:
        """Classify an error by `retryable`; return True if that table has the error's code or type."""
        from tokenstream.formats._kit.error_details import classify_error

        return classify_error(error, self.retryable)

    def end(self, *, now: float = 0.0) -> list[Event]:
        """Return the held-back events; if the answer has not ended, set `error` to `StreamTruncated`."""
        self._judge_end()
        if self.assumed and self.error is None:
            self.end_without_finish()
            self.assumed = False  # the input has ended cleanly, which confirms the sentinel's end
        if self.error is None and not self.ended:
            if self.parts.breaks_off_in_call and any(
                choice.has_reopened for choice in self.parts.choices.values()
            ):
                self.parts.cut_waiting()
            if self.parts.finished:  # finish reasons suffice, but a terminal event may be missing
                if self.sentinel is not None or not self.ends_with_input:
                    self.note("done_missing")
            elif not self.ends_with_input:
                self.error = self.withheld or self.cut_short()
        if self.error is not None:
            self.classify_error(self.error)
        elif lack := self.lack:
            self.note(lack)
        try:
            self.finish_input()
        except ProtocolError as error:
            self.error = self.error or error
        return self.parts.take()

    def _judge_end(self) -> None:
        """Decide if the end of the input ends the answer, before it is read as a cut."""

    def finish_input(self) -> None:
        """Close the open parts at the end of the input.

        Raises:
            LimitExceeded: The held-back text exceeds a limit.
        """
        if self._fast_path is not None:
            self._fast_path.clear()
        self.parts.close_all(complete=self.error is None and self.finished)

    def late_usage(self) -> Usage | None:
        """Return token counts that no event has reported yet; None if there are none.

        `stream.message` contains these counts already. The call changes nothing, so any thread may make it.
        """
        return None

    def follow(self, delta: Event) -> Callable[[Any], bool | None] | None:
        """Return a function to call with each later delta that resembles `delta`; None if none is needed.

        The fast path makes such a delta without decoding its payload, so `read` is not called for it. If
        `read` also stores something of each delta in the format, such as a count of characters, the format
        overrides this method: the function gets the later delta, and must store the same of it. If the
        function returns False, the payload is decoded after all; it must then have stored nothing.

        Args:
            delta: A delta that was decoded.
        """
        return None

    def prepare_to_continue(self) -> None:
        """Prepare to drop what another connection repeats up to `position`, unless that is unknown."""
        if self._fast_path is not None:
            # Payloads on the fast path would not be checked for repetitions.
            self._fast_path.clear()
        self.error = None
        self.dropped = 0
        position = self.position
        self._replay = None if position is None else Replay(position, self.parts.id)

    def _check_repeated(self, replay: Replay, payload: JsonObject, event: str) -> bool:
        is_error = provider_error(payload, event) is not None and not is_aside(payload, event)
        if is_error and not self.tolerates(payload, event):
            # An error concerns this connection, even if its number is one that was read before. What
            # `tolerates` names only looks like one, and is an event of the answer.
            return False
        if self.recognises(payload, event) is False:
            from tokenstream.formats._detect.recognise import find_mismatch

            if find_mismatch(self, [payload], 0, certain=True) is not None:
                raise PositionLost("the server goes on in another format than it began in")
        repeated = replay.check_repeated(self.position_of(payload), self.begun_by(payload, event))
        if replay.ended:
            # The rest of the answer is new.
            self._replay = None
        self.dropped += repeated
        return repeated

    def make_delta_callback(self, delta: Event) -> DeltaCallback | None:
        """Return a function to call with each later delta that resembles `delta`; None if none is needed.

        The fast path calls this method, and not `follow`: if the format's events pass through a stage, such
        as that for `Tags`, the stage must see these deltas, too, which do not reach its `feed`.
        """
        stage, follow = self.parts.stage, self.follow(delta)
        return follow if stage is None else stage.follow(delta, follow)

    def shortcut(
        self, unit: Unit, max_size: int, before: bytes = b"", after: bytes = b""
    ) -> Callable[[bytes], Event | None] | None:
        """Return a function that makes a chunk's event without decoding the chunk; None if there is none.

        The caller may use the function as long as the function has read every chunk so far
        and the framing holds back no bytes. If the function returns None for a chunk, that chunk
        must be decoded as usual.

        Args:
            unit: The content of each chunk, such as one SSE event or one line.
            max_size: The size of the longest chunk that may be read this way, in bytes.
            before: The bytes before the payload in a chunk; not used for SSE events, whose bytes are known.
            after: The bytes after the payload in a chunk; not used for SSE events, either.
        """
        fast = self._fast_path
        return None if fast is None else fast.shortcut(unit, max_size, before, after)

    def frame_shortcut(self) -> Callable[[Frame], Event | None] | None:
        """Return a function that makes a frame's event without decoding the frame; None if there is none.

        The function may be used until `feed` is called, and until it first returns None for a frame.
        """
        return None if self._fast_path is None else self._fast_path.frame_shortcut()

    def payload_shortcut(self) -> tuple[str, bytes, Callable[[bytes], Event | None]] | None:
        """Return a function that reads payloads without decoding them, and which payloads these are.

        The tuple contains the name of the payloads' SSE events, the bytes that each payload begins with, and
        the function, which reads the bytes after these. The result is None if payloads must be decoded. This
        method is for framings that verify a chunk before its payload may be used; the conditions are the same
        as for `shortcut`.
        """
        fast = self._fast_path
        return None if fast is None else fast.make_split_reader()

    def dispose(self) -> None:
        """Let go of the parts, and of what they refer to, so that all is freed with this format.

        What is read of an answer refers to its parts, and these to that. Nothing may be read afterwards.
        """
        self._fast_path = None
        self.parts.dispose()

    def note(self, name: str, affects: Affects | None = None) -> None:
        """Count the departure `name`, a known deviation of servers; record that the current frame has it.

        Args:
            affects: What it affects here, if that is not what its detail usually does.
        """
        self.noted_at = self.frames
        self.departures.note(name, event=self.frames, affects=affects)

    def type_of(self, payload: dict[str, Any], event: str, field: str = "type") -> str:
        """Return the type of a payload, or else the name of its event; count a departure if they differ."""
        kind = text_of(payload, field)
        if event and kind != event:
            self.note("type_missing" if kind is None else "event_name_differs")
        return kind or event

    def note_missing_start(self) -> None:
        """Count once that the input begins inside the answer, whose end may repeat its texts whole."""
        if not self.parts.begins_inside:
            self.note("start_missing")
            self.parts.begins_inside = True

    def note_second_start(self) -> None:
        """Count a departure: the start of the answer came again, before its content or after some of it."""
        self.note("start_repeated" if self.parts.has_content or self.parts.finished else "start_twice")

    def begins_another(self, id: str | None, payload: dict[str, Any]) -> bool:
        """Count a start of the answer that is not the first; return True if it begins another answer.

        A gateway that asks again in the middle of an answer sends a whole other answer after what it has
        sent. The two are never joined: the first one has broken off, or ends here if it has its finish
        reason. Without content it is none: a proxy may send a start and an empty part of its own.

        Args:
            id: The id in the start; None if the start has none.
            payload: The start, from which the other answer is read.
        """
        is_empty = not (self.parts.has_content or self.parts.finished)
        if not id or self.parts.id in (None, id) or is_empty:
            self.note_second_start()
            return False
        self.note("second_answer")
        if self.parts.finished:
            self.conclude()
            self.later_frames.append(payload)
        else:
            self.error = make_splice_error(id)
        return True

    def after_end(self, frame: Frame) -> None:
        """Count a frame after the terminal event; keep one of another answer, and read token counts."""
        if self.later_frames:
            if len(self.later_frames) < self.limits.parts:
                self.later_frames.append(frame)
            return
        data = payload_of(frame)
        is_end = isinstance(data, bytes) and data.strip() in (b"", b"[DONE]")
        if is_end and self.ends_twice:
            return
        payload, name = self._object_in(frame)
        begun = self.begun_by(payload, name) if payload else None
        if begun is not None and begun != (self.parts.id or ""):
            self.note("second_answer")
            self.later_frames.append(frame)
            return
        had_counts = self.parts.has_counts
        facts, has_more = self._read_facts(payload, name)
        # Counts that have come before, as when a connection repeats the end, are not reported again.
        counts = [] if had_counts else [event for event in facts if isinstance(event, UsageUpdate)]
        is_lost = has_more and not is_end
        self.note("usage_misplaced" if counts else "data_after_end" if is_lost else "end_repeated")
        for event in counts:
            self.parts.emit(event)

    def _object_in(self, frame: Frame) -> tuple[JsonObject, str]:
        """Return the JSON object in a frame, {} if there is none, and the name of its event."""
        return object_of(frame, self.limits), event_in(frame)

    @property
    def reads_on(self) -> bool:
        """True after the provider's error: what follows may tell the tokens and the cost of the answer."""
        return isinstance(self.error, ProviderError)

    def _read_facts(self, payload: JsonObject, event: str) -> tuple[list[Event], bool]:
        """Return the token counts, ids and fields in a payload after the end, and True if it has more."""
        if not payload or text_of(payload, "type") in PING_NAMES:
            return [], not payload
        kept = self.error, self.doubt, self.ended, self.assumed, self.unfinished, self.departures
        choices = self.parts.choices
        states = {
            index: (
                state.opened.copy(),
                state.current_part,
                state.finish,
                state.early_finish,
                state.finish_waits,
            )
            for index, state in choices.items()
        }
        # What the rules say of a complete answer does not hold for one that has failed.
        self.ended, self.departures = False, Departures()
        try:
            self._read_object(payload, event)
            has_more = self.error is not kept[0]
        except ProtocolError:
            has_more = True
        events = self.parts.take()
        self.error, self.doubt, self.ended, self.assumed, self.unfinished, self.departures = kept
        self.parts.difference = None
        for index in [*choices]:
            if index not in states:
                del choices[index]
        for index, (opened, current, finish, early, waits) in states.items():
            state = choices[index]
            state.opened, state.current_part = opened, current
            state.finish, state.early_finish, state.finish_waits = finish, early, waits
        has_more = has_more or any(isinstance(event, _FURTHER) for event in events)
        return [
            event
            for event in events
            if isinstance(event, UsageUpdate | MessageStart)
            or (isinstance(event, ProviderData) and event.shared)
        ], has_more

    def conclude(self) -> None:
        """End the answer: close the open parts and ignore later frames."""
        self.ended = True
        self.parts.confirm_finishes()
        self.parts.close_all(complete=True)

    def pass_over(self, frame: Frame) -> list[Event]:
        """Report a frame as unknown without reading it, and return the events."""
        self.frames += 1
        payload = payload_of(frame)
        self.parts.raw = data = self.decode(payload) if isinstance(payload, bytes) else payload
        self.parts.unknown(
            event_in(frame) or (text_of(data, "type") if is_dict(data) else "") or "event", data
        )
        return self.parts.take()

    def read_text(self, payload: bytes, event: str) -> None:
        """Read a payload, which must be a JSON object, unless a subclass accepts other data as well.

        Bare data that are known not to be content are skipped.

        Args:
            payload: The payload's bytes, not empty and not the sentinel.
            event: The SSE event's name, "" if it has none.

        Raises:
            ProtocolError: The payload is not a JSON object.
        """
        try:
            data = self.decode(payload)
        except ProtocolError as fault:
            bare = payload.strip()
            if event or not is_nothing(bare):
                raise find_wrapping(bare) or fault from None
            self.note("bare_frame")
            return
        if data.__class__ is not dict:
            if not event and is_empty_value(data):
                self.note("bare_frame")
                return
            error = first_object(data)
            if error is None or provider_error(error, event) is None:
                raise ProtocolError(f"a JSON object is expected, not {kind_of(data)}", offset=0)
            data = error
        if self._replay is None or not self._check_repeated(self._replay, data, event):
            self._read_object(data, event)

    def decode(self, payload: bytes) -> Json:
        """Decode a payload, and remember whether it may hold halves of surrogate pairs.

        Raises:
            ProtocolError: The payload is not JSON.
        """
        if self.decoded_before and (known := self.decoded_before.pop(payload, None)) is not None:
            return known
        try:
            data = from_json(payload)
        except ValueError:
            # Never reset: a format may keep a value and report it later.
            self.parts.may_hold_surrogates = True
            return decode_tolerantly(payload, self.limits)
        if self.limits is not DEFAULT_LIMITS:
            check_bounds(payload, self.limits)
        return data

    def _read_frame(self, frame: Frame) -> None:
        """Read a frame: a decoded payload, an exception, the sentinel, an error, a ping, or JSON."""
        event = ""
        if isinstance(frame, dict):
            self.parts.may_hold_surrogates = self.parts.may_hold_surrogates or may_hold_halves(frame)
            if self._replay is None or not self._check_repeated(self._replay, frame, ""):
                self._read_object(frame, "")
            return
        if not isinstance(frame, bytes):
            if isinstance(frame, EventStreamMessage) and (frame.kind != "event" or frame.event == PIECE):
                self.fail(exception_error(frame.event, frame.payload, frame.headers), was_whole=self.is_whole)
                return
            event, frame = name_of(frame), frame.payload
        self.parts.raw = None
        payload = frame.strip()
        if payload == self.sentinel:
            self.read_sentinel()
        elif payload[:1] == b"{":
            self.read_text(frame, event)
        elif event == "error":
            self.fail(text_error(frame), was_whole=self.is_whole)
        elif not payload:
            self.note("empty_data")
        elif event and event not in self.event_names:
            self._report_unknown_event(event, frame)
        else:
            self.read_text(frame, event)

    def _report_unknown_event(self, event: str, payload: bytes) -> None:
        if event not in PING_NAMES:
            self.parts.unknown(event, str(payload, "utf-8", "replace"))

    def read_sentinel(self) -> None:
        """End the answer at the sentinel; the end is certain only if the finish reason arrived before it."""
        if self._replay is None:
            self.parts.confirm_finishes()
        if self.finished:
            self.conclude()
        else:
            # Quirk (llama-cpp-python, 2026-11): an answer that another request interrupts ends with the
            # sentinel, and then the connection breaks (`get_event_publisher` in llama_cpp/server/app.py).
            self.note("finish_missing")
            # `assumed`: the answer counts as complete only if the input then ends cleanly. While the server
            # repeats payloads of the earlier connection, the sentinel is a repetition, too, and ends nothing.
            self.ended = self.assumed = self._replay is None

    def end_at_mark(self) -> None:
        """End an answer at a mark that confirms its finish reason, or stands for it."""
        self.parts.confirm_finishes()
        if self.parts.finished:
            self.conclude()
        else:
            self.note("finish_missing")
            self.end_without_finish()

    def end_without_finish(self) -> None:
        """End an answer at a mark without a finish reason, as truncated if `find_cut` says so.

        If an event has reported an error, and nothing of the answer has come since, that is how it ended.
        """
        self.error = self.doubt or self.find_cut()
        if self.error is None:
            self.conclude()

    def find_cut(self) -> StreamError | None:
        """Return the error for an answer that was cut off before a mark without a reason; else None.

        Servers write such a mark on every way out. The answer was cut off if:

        1. the arguments of an open call are the beginning of a JSON value;
        2. there is neither a text nor a call, and the mark is the sentinel or the format closes its parts;
        3. the format closes its parts, and anything is open;
        4. the host always sends a reason, and no choice has any.
        """
        parts = self.parts
        needs_answer = self.closes_parts or self.assumed
        is_cut = parts.breaks_off_in_call or (needs_answer and not parts.has_answer)
        if not (is_cut or any(choice.finish for choice in parts.choices.values())):
            is_cut = gives_reasons(find_address(parts.url).host)
        return self.cut_short() if is_cut or (self.closes_parts and parts.has_open) else None

    def _read_object(self, payload: JsonObject, event: str) -> None:
        """Read a decoded payload; if it reports the provider's error, store the error instead."""
        self.parts.raw = payload
        error = provider_error(payload, event)
        if error is None or self.tolerates(payload, event) or self.doubts(error, payload, event):
            self.read(payload, event)
        else:
            self.fail(error, was_whole=self.is_whole)

    @property
    def is_whole(self) -> bool:
        """True if the server has reported that the answer is over, and why, and nothing of it can follow."""
        return (
            self.is_one_answer
            and not (self.may_go_on or self.early_choices)
            and self.parts.finished
            and not self.parts.ends_in_doubt
        )

    def fail(self, error: ProviderError | ProtocolError | None, *, was_whole: bool) -> None:
        """End the answer with the provider's error, unless all of the answer had arrived before it.

        Args:
            error: The error.
            was_whole: The value of `is_whole` before the error's payload was read.
        """
        if was_whole:
            self.note("error_after_finish")
        else:
            self.error = error

    def doubts(self, error: ProviderError, payload: dict[str, Any], event: str) -> bool:
        """Keep an error that may not be about the answer, until the answer goes further; False for any other.

        Args:
            error: The error in the payload.
            payload: The payload, which this format does not know.
            event: The SSE event's name, "" if it has none.
        """
        if not is_aside(payload, event):
            return False
        self.doubt = error
        if self._fast_path is not None:
            # The next delta is decoded, and so settles the doubt.
            self._fast_path.clear()
        return True

    def tolerates(self, payload: dict[str, Any], event: str) -> bool:
        """Return whether a payload that looks like an error is a regular one in this format."""
        return False

    def cut_short(self) -> StreamTruncated:
        """Return the error for input that ended before the answer did."""
        choices = self.parts.choices.values()
        return truncation_error(self.frames, sum([len(each.open_calls()) for each in choices]))
