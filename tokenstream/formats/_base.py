"""The base class of formats: a stage that turns frames into events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeAlias

from typing_extensions import TypeVar

from tokenstream._basics.kept_errors import ErrorKeeper
from tokenstream.departures import Departures
from tokenstream.formats._detect.first_frames import FirstFrames, truncation_error
from tokenstream.formats._endings import confirm_finishes, doubt_finishes
from tokenstream.formats._fast.path import Fast, FastPath
from tokenstream.formats._kit.parts import Parts
from tokenstream.formats._kit.values import split_names
from tokenstream.formats._reader import FrameReader
from tokenstream.framing._frames import EventStreamMessage, ServerSentEvent
from tokenstream.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tokenstream._basics.loose import JsonObject
    from tokenstream.departures import Affects
    from tokenstream.errors import StreamError, StreamTruncated
    from tokenstream.events import Event
    from tokenstream.formats._kit.count_paths import Counts
    from tokenstream.formats._resume.resuming import Resume
    from tokenstream.message import Ending, FinishReason, Message

Frame: TypeAlias = bytes | ServerSentEvent | EventStreamMessage | dict[str, Any]
"""One unit of a framing: a bare payload, a payload with an event name, or a decoded payload."""

Unit: TypeAlias = Literal["event", "line", "element", "message", "payload"]
"""The kind of a chunk that is read without decoding: an SSE event, a JSON line, an element of a
JSON array, a WebSocket message, or a payload that arrived decoded."""
AnswerPlace: TypeAlias = "tuple[str | None, bool]"
"""The key of the answer that a payload belongs to, and True if the payload ends it; see `Format.place_of`."""


PartsT_co = TypeVar("PartsT_co", bound=Parts, default=Parts, covariant=True)


class Format(ErrorKeeper, ABC, Generic[PartsT_co]):
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
        "assumed",
        "decoded_before",
        "departures",
        "doubt",
        "dropped",
        "ended",
        "error",
        "fast_path",
        "first_frames",
        "frames",
        "later_frames",
        "limits",
        "nameless",
        "noted_at",
        "parts",
        "resume",
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

    last_positions: Any = ()
    """The last positions that were read, the newest at the end, if they have no order; else empty."""
    known_ending: Ending = "complete"
    """The ending of an answer that is over without an error; another one if the server tells it."""
    mixed: dict[str, StreamError] | None = None
    """Errors, by the answers' keys, of those that end with the payload that `place_of` was last given,
    because nothing tells any more whose the payloads are; None if the payload has a place."""

    checks_errors: ClassVar[bool] = True
    """True if errors in the usual shapes are found before `read` is called; False if `read` finds them."""
    reader: ClassVar[FrameReader[Any]] = FrameReader()
    """The way of each frame before `read`; a format whose frames go another way has one of its own."""
    resumes: ClassVar[bool] = False
    """True if servers of this format can replay an answer from a `position` over another connection."""
    made_of: ClassVar[tuple[type, ...]] = ()
    """Classes of the objects in `state`, apart from the format, its parts and the open parts."""
    _resume_class: ClassVar[type[Resume[Any]] | None] = None
    """The class of `resume`, if servers resume in a way of their own."""
    _parts_class: ClassVar[type[Any]] = Parts
    """The class of `parts`; a derived format names its own one here, and as what it is generic in."""
    unkept: ClassVar[frozenset[str]] = split_names(
        "__weakref__ fast_path decoded_before departures doubt dropped error first_frames later_frames "
        "limits nameless resume shortcuts unfinished"
    )
    """Slots that `state` does not save; a derived class adds those of its own slots that need no saving."""

    def __init__(self, *, limits: Limits | None = None) -> None:
        # Options.
        self.limits = limits or DEFAULT_LIMITS
        """The bounds on untrusted input."""
        # The fast path, which reads deltas without decoding their payloads.
        self.fast_path = None if self.fast is None else FastPath(self, self.fast)
        self.shortcuts = True
        """True if payloads that differ from earlier ones only in their text may be read without decoding."""
        # The repetitions of a server that continues the answer on another connection.
        self.resume = _make_resume(self._resume_class) if self.resumes else None
        """Lets another connection continue the answer; None if no server of the format can."""
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
        self.nameless = False
        """True if the current payload came without the name of an event, and did not arrive decoded."""
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
        self.parts: PartsT_co = self._parts_class(self.limits, self.note)
        """The open parts of the message."""
        self._set_up()

    def _set_up(self) -> None:
        """Set the attributes of a format's own, which are in `__slots__`."""

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

    @abstractmethod
    def read(self, payload: dict[str, Any], event: str) -> None:
        """Pass the content of `payload` to `self.parts`.

        Args:
            payload: The decoded payload, a JSON object.
            event: The SSE event's name, "" if it has none.

        Raises:
            ProtocolError: The payload does not follow the format.
        """

    @property
    def position(self) -> int | str | None:
        """Number or id of the last event, after which a server can continue; None before the first one."""
        return None

    def position_of(self, payload: JsonObject) -> int | str | None:
        """Return a payload's position, which is a number or an id; None if it has none, as by default.

        Args:
            payload: The decoded payload, a JSON object.
        """
        return None

    def begun_by(self, payload: JsonObject, event: str) -> str | None:
        """Return the id of the answer that a payload begins, or "" for an answer without an id.

        The result is None if the payload begins no answer, and by default.

        Args:
            payload: The decoded payload, a JSON object.
            event: The SSE event's name, "" if it has none.
        """
        return None

    def state(self) -> JsonObject | None:
        """Return the state that another process needs to read on, as JSON; None if it cannot be saved.

        The slots of the format, of its parts and of the classes in `made_of` are saved
        automatically. Values that the message holds as well are left out.
        """
        if not self.resumes:
            return None
        from tokenstream.formats._resume.state import state_of

        return state_of(self)

    def restore(self, state: JsonObject, messages: Sequence[Message]) -> None:
        """Restore the saved state of another format of this class.

        Args:
            state: The value that `state` returned.
            messages: The messages at the time when the state was saved.

        Raises:
            MisuseError: The state was altered, or is from another version of the library.
        """
        from tokenstream.formats._resume.state import restore_format

        restore_format(self, state, messages)

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
    def withheld(self) -> StreamError | None:
        """The error that the server has reported, but that is raised only at the end of the input.

        It waits because the server may send further content after its error. None if there is none.
        """
        is_over = self.finished or (self.ended and self.parts.has_parts)
        return None if is_over else self.doubt

    @property
    def may_go_on(self) -> bool:
        """True if content may follow although every choice so far has its finish reason."""
        return not self.finish_is_last

    def feed(self, frame: Frame, *, now: float = 0.0) -> list[Event]:
        """Return the events of `frame`; a fault in it is not raised, but stored in `error`."""
        fast = self.fast_path
        if fast is None:
            return self.reader.feed_plainly(self, frame)
        # Entries: a payload was decoded that the next ones may resemble.
        if fast.entries and (event := fast.read(frame)) is not None:
            return [event]
        events = self.reader.feed_plainly(self, frame)
        if events or fast.entries:
            fast.learn_from(frame, events)
        return events

    def end(self, *, now: float = 0.0) -> list[Event]:
        """Return the held-back events; if the answer has not ended, set `error` to `StreamTruncated`."""
        return self.reader.end(self)

    def judge_end(self) -> None:
        """Decide if the end of the input ends the answer, before it is read as a cut."""

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
        fast = self.fast_path
        return None if fast is None else fast.shortcut(unit, max_size, before, after)

    def payload_shortcut(self) -> tuple[str, bytes, Callable[[bytes], Event | None]] | None:
        """Return a function that reads payloads without decoding them, and which payloads these are.

        The tuple contains the name of the payloads' SSE events, the bytes that each payload begins with, and
        the function, which reads the bytes after these. The result is None if payloads must be decoded. This
        method is for framings that verify a chunk before its payload may be used; the conditions are the same
        as for `shortcut`.
        """
        fast = self.fast_path
        return None if fast is None else fast.make_split_reader()

    def note(self, name: str, affects: Affects | None = None) -> None:
        """Count the departure `name`, a known deviation of servers; record that the current frame has it.

        Args:
            affects: What it affects here, if that is not what its detail usually does.
        """
        self.noted_at = self.frames
        self.departures.note(name, event=self.frames, affects=affects)

    def conclude(self) -> None:
        """End the answer: close the open parts and ignore later frames."""
        self.ended = True
        confirm_finishes(self.parts)
        self.parts.close_all(complete=True)

    def read_sentinel(self) -> None:
        """End the answer at the sentinel; the end is certain only if the finish reason arrived before it."""
        is_new = self.resume is None or self.resume.after is None
        if is_new:
            confirm_finishes(self.parts)
            if self.parts.calls_seen:
                doubt_finishes(self)
        if self.finished:
            self.conclude()
        else:
            # Quirk (llama-cpp-python, 2026-11): an answer that another request interrupts ends with the
            # sentinel, and then the connection breaks (`get_event_publisher` in llama_cpp/server/app.py).
            self.note("finish_missing")
            # `assumed`: the answer counts as complete only if the input then ends cleanly. While the server
            # repeats payloads of the earlier connection, the sentinel is a repetition, too, and ends nothing.
            self.ended = self.assumed = is_new

    def tolerates(self, payload: dict[str, Any], event: str) -> bool:
        """Return whether a payload that looks like an error is a regular one in this format."""
        return False

    def cut_short(self) -> StreamTruncated:
        """Return the error for input that ended before the answer did."""
        choices = self.parts.choices.values()
        return truncation_error(self.frames, sum([len(each.open_calls()) for each in choices]))


def _make_resume(of_format: type[Resume[Any]] | None) -> Resume[Any]:
    """Return what continues an answer of a format; its module is loaded only with such a format."""
    if of_format is None:
        from tokenstream.formats._resume.resuming import Resume

        return Resume()
    return of_format()
