"""Sorts a connection's messages by the answers to which they belong.

A *message* is a payload of the connection here, such as one message of a WebSocket; a *lane* is the
queue of one answer's messages.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tokenstream._basics.json import decode
from tokenstream._basics.untrusted import is_dict
from tokenstream._connection.connection import Connection
from tokenstream.departures import Departures
from tokenstream.errors import LimitExceeded, ProtocolError, ProviderError, StreamError, StreamTruncated
from tokenstream.formats import _registry as registry
from tokenstream.formats._base import Format, Frame
from tokenstream.formats._detect.payloads import name_of, payload_of
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._reader import dispose_of
from tokenstream.framing._frames import ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.events import Event
    from tokenstream.formats._registry import FormatChoice
    from tokenstream.limits import Limits

_PAYLOAD_SIZE = 1_024
"""Assumed size in bytes of a payload that was decoded elsewhere."""
_MAX_UNDECIDED = 64
"""Number of frames without a known format after which the connection counts as a single answer."""
_MAX_FINISHED = 256
"""Number of finished answers to remember, so that their late messages do not begin new answers."""


class WaitingBytes:
    """Counter of the bytes of all messages that wait in the queues of a connection's answers."""

    def __init__(self) -> None:
        self.size = 0

    def add(self, message: object) -> None:
        """Count a message that waits from now on."""
        self.size += _measure_message(message)

    def remove(self, message: object) -> None:
        self.size -= _measure_message(message)


class AnswerLane:
    """Queue of a connection's messages that belong to one answer, in the order of their arrival.

    Args:
        format: The format object that reads the answer.
        waiting: Counts the bytes waiting in all lanes of the connection.
    """

    def __init__(self, format: Format, waiting: WaitingBytes) -> None:
        self.format = format
        self._waiting = waiting
        self._messages: deque[Any] = deque()
        self._count = 0
        """Number of messages that have arrived."""
        self._departures: Departures | None = None
        """Counts the departures of the answer; None until a stream reads it."""
        self.has_ended = False
        """True once no more messages can arrive."""
        self.is_whole = False
        """True once the answer itself has ended; False if only the connection has."""
        self.failure: StreamError | None = None
        """The error at the end of the answer, because nothing tells its messages from another one's."""
        self.dropped = False
        """True once no stream reads this lane any more."""

    def put_message(self, message: object) -> None:
        """Add a message, unless no stream reads this lane any more."""
        if not self.dropped:
            self._messages.append(message)
            self._count += 1
            self._waiting.add(message)

    def take_message(self) -> object:
        """Return the next message; None if no message has arrived."""
        if not self._messages:
            return None
        message = self._messages.popleft()
        self._waiting.remove(message)
        return message

    def count_in(self, departures: Departures) -> None:
        """Count a departure of the lane itself among those of the stream that reads the answer."""
        self._departures = departures

    def raise_failure(self) -> None:
        """Raise the error at the end of the answer, if there is one, and count the departure after it."""
        if self.failure is not None:
            if self._departures is not None:
                # The message after the answer's own ones was that of several answers.
                self._departures.note("answers_interleaved", event=self._count + 1)
            raise self.failure

    def end(self, failure: StreamError | None = None) -> None:
        """End the answer, which gets no more messages, with an error if there is one."""
        self.has_ended = self.is_whole = True
        self.failure = failure

    def drop(self) -> None:
        """Discard the messages that have arrived, and all later messages."""
        while self.take_message() is not None:
            pass
        self.dropped = True

    async def drop_async(self) -> None:
        """Do the same for an asynchronous stream, which has to await it."""
        self.drop()


class Sorter:
    """Sorts the messages of one connection into lanes, which are the queues of the answers.

    A message that belongs to no answer goes to the oldest open answer, or else to the next answer.

    Args:
        wanted: A format's name, or a format object or class; None to detect the format.
        limits: Bounds on untrusted input; `Limits.body` applies to the messages that wait in all lanes.
        messages: True if each chunk is one whole message.
    """

    def __init__(self, wanted: FormatChoice, *, limits: Limits, messages: bool) -> None:
        self._limits = limits
        self._are_payloads = messages
        """True if each chunk is a whole payload, as on a WebSocket."""
        # This connection only cuts chunks into frames, and decodes none of them; `_detect` finds the format.
        self._connection = Connection(wanted, limits=limits, departures=Departures(), found=_ignore)
        if messages:
            self._connection.take_messages()
        self.error: StreamError | None = None
        """The error of the framing, or of an exceeded limit, which ends the connection."""
        self.has_several: bool | None = None
        """True if the connection has several answers; None while the number is unknown."""
        self.server_error: StreamError | None = None
        """The last error that the server sent between two answers; most of these errors end no answer."""
        self._connection_format: Format | None = None
        """The format object for messages that belong to no answer; None until the format is known."""
        self._undecided_frames: list[Frame] = []
        """Frames that arrived before the format was known."""
        self._waiting = WaitingBytes()
        self._messages_between: list[Any] = []
        """Messages that arrived between two answers."""
        self._open_lanes: dict[str, AnswerLane] = {}
        """Lanes of the answers that have not ended, by the answer's name, the oldest first."""
        self._finished_names: deque[str] = deque(maxlen=_MAX_FINISHED)
        if wanted is not None:
            self._set_format(wanted)

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        """Let go of the connection and the format, whose parts refer back to them."""
        # At the exit, modules are gone; and the constructor may have failed.
        if is_finalizing() or not hasattr(self, "_connection_format"):
            return
        self._connection.dispose()
        if self._connection_format is not None:
            dispose_of(self._connection_format)

    def feed(self, chunk: object) -> list[AnswerLane]:
        """Sort a chunk; return the lanes of the answers that begin in it."""
        if is_dict(chunk):
            # The source delivers decoded payloads, which need no framing.
            self._connection.take_payloads()
        new_lanes = [lane for frame in self._connection.framing.frames(chunk) for lane in self.sort(frame)]
        self.error = self._connection.framing.error or self.error
        return new_lanes

    def end(self) -> None:
        """End every open answer, because the connection has ended."""
        for lane in self._open_lanes.values():
            lane.has_ended = True
        self._open_lanes.clear()

    @property
    def has_unfinished(self) -> bool:
        """True if an answer is still open whose messages a stream may still read."""
        return any(not lane.dropped for lane in self._open_lanes.values())

    @property
    def is_over(self) -> bool:
        """True once the server has ended the session: no answer follows, even on an open connection."""
        format = self._connection_format
        # An error of ours, such as for what cannot be told apart, ends the answers that it belongs to.
        return format is not None and (format.ended or isinstance(format.error, ProviderError))

    @property
    def has_begun(self) -> bool:
        return bool(self._open_lanes or self._finished_names)

    @property
    def has_frames(self) -> bool:
        """True if frames have arrived, whether they reveal the format or not."""
        return bool(self._undecided_frames) or self._connection_format is not None

    @property
    def rests(self) -> bool:
        """True while the server need not say anything, as between two answers."""
        format = self._connection_format
        return format is not None and format.resting and not self.has_unfinished

    def find_cut(self) -> StreamError | None:
        """Return the error if the input ends between two answers of a run that has an end; None if it may."""
        format = self._connection_format
        if format is None or not format.is_amid or self.is_over:
            return None
        return StreamTruncated(
            "the input ended between two answers, before the end of the run; the answers before are whole"
        )

    def begin_again(self, begin: Callable[[list[AnswerLane]], object]) -> tuple[Sorter, SortedFormat]:
        """Return a new sorter like this one and the format that reads for it; `begin` gets the new lanes."""
        inner: Any = self._connection_format
        sorter = Sorter(inner, limits=self._limits, messages=self._are_payloads)
        return sorter, SortedFormat(sorter, sorter._connection_format or inner, begin)

    # -- within ------------------------------------------------------------

    @property
    def format_name(self) -> str | None:
        """The format's name; None until the format is known."""
        return None if self._connection_format is None else self._connection_format.name

    def _set_format(self, format: str | type[Format] | Format) -> None:
        """Set the format, which also decides whether the connection has several answers."""
        self._connection_format = registry.create(format, limits=self._limits)
        self.has_several = self._connection_format.several or (
            # Several answers only on a WebSocket, whose messages are payloads; a body has one.
            self._are_payloads and self._connection_format.several_on_socket
        )

    def sort(self, frame: Frame) -> list[AnswerLane]:
        """Put a frame into its answer's lane (queue); return the lanes of answers that begin with it."""
        if self.is_over:
            return []
        payload = self._decode(frame)
        if self._connection_format is None:
            return self._detect(frame, payload)
        # A connection with a single answer needs no lanes; see `_detect`.
        return self._put_in_lane(self._connection_format, frame, payload) if self.has_several else []

    def _decode(self, frame: Frame) -> JsonObject:
        """Return a frame's payload as a dict, which is empty if the payload is not a valid JSON object."""
        payload: object = payload_of(frame)
        if isinstance(payload, bytes):
            try:
                format = self._connection_format
                if format is None:
                    payload = decode(payload, self._limits)
                else:
                    payload = format.reader.decode(format, payload)
            except ProtocolError:
                # The error is reported later, by the stream of the answer that gets this frame.
                return {}
        return payload if is_dict(payload) else {}

    def _detect(self, frame: Frame, payload: JsonObject) -> list[AnswerLane]:
        """Detect the format; once it is known, return the lanes of the answers that have begun so far."""
        self._undecided_frames.append(frame)
        event = name_of(frame) if isinstance(frame, ServerSentEvent) else ""
        name, _ = registry.detect(payload, event)
        if name is not None:
            self._set_format(name)
        elif len(self._undecided_frames) >= _MAX_UNDECIDED or provider_error(payload, event):
            # An error in an unknown format may be the only message.
            self.has_several = False
        if self.has_several is None:
            return []
        frames, self._undecided_frames = self._undecided_frames, []
        # A single answer needs no lane: the stream itself reads what has arrived on the connection.
        return [lane for each in frames for lane in self.sort(each)] if self.has_several else []

    def _may_begin(self, answer_name: str, payload: JsonObject, connection_format: Format) -> bool:
        """Return True if a message may begin an answer, whose name is "" in formats without names.

        A late message of a finished answer must not begin that answer again.

        Quirk (openai-agents 0.24, 2026-11): all answers that openai-agents makes from chat completions
        share one id (`FAKE_RESPONSES_ID` in src/agents/models/fake_id.py).
        """
        is_unfinished = not answer_name or answer_name not in self._finished_names
        # The id of a finished answer belongs to another one if the message itself begins an answer.
        return is_unfinished or connection_format.begun_by(payload, "") == answer_name

    def _put_in_lane(self, connection_format: Format, frame: Frame, payload: JsonObject) -> list[AnswerLane]:
        """Put a message into the lane of its answer; return that lane if the message begins the answer."""
        answer_name, is_end = connection_format.place_of(payload)
        mixed = connection_format.mixed
        if mixed is not None and (self._end_mixed(mixed) or answer_name is None):
            # The message is of none of the answers, not even of the next one.
            return []
        if answer_name is None:
            # The answers may need what the message says.
            connection_format.feed(payload)
            # Between two answers, an error of the server ends none of them; it may lack a type.
            if not self._open_lanes and payload.get("type", "error") == "error":
                self.server_error = provider_error(payload, "") or self.server_error
        # First, a lane for an answer that begins.
        new_lanes: list[AnswerLane] = []
        if (
            answer_name is not None
            and answer_name not in self._open_lanes
            and self._may_begin(answer_name, payload, connection_format)
        ):
            new_lanes.append(self._open_lane(answer_name, connection_format))
        oldest = next((name for name, lane in self._open_lanes.items() if not lane.dropped), None)
        if is_end and answer_name is None:
            # The message ends an answer without naming it: the oldest one.
            answer_name = oldest
        own_lane = None if answer_name is None else self._open_lanes.get(answer_name)
        # Then the message goes to its answer; without an open one, to the oldest answer, or else to the next.
        receiver = own_lane or (None if oldest is None else self._open_lanes[oldest])
        if receiver is not None:
            receiver.put_message(payload_of(frame))
        elif self.is_over:
            # The server's error, which is that of no answer; None if the session has ended well.
            self.error = connection_format.error
        else:
            self._messages_between.append(payload_of(frame))
            self._waiting.add(self._messages_between[-1])
        if self._waiting.size > self._limits.body:
            self.error = LimitExceeded(limit="body", value=self._limits.body)
        if own_lane is not None and answer_name is not None and is_end:
            # The message was the last one of its answer.
            self._end_lane(answer_name)
        return new_lanes

    def _end_lane(self, answer_name: str, failure: StreamError | None = None) -> None:
        self._open_lanes.pop(answer_name).end(failure)
        self._finished_names.append(answer_name)

    def _end_mixed(self, errors: dict[str, StreamError]) -> bool:
        """End the open answers, by name, whose messages nothing tells apart; False if none was open."""
        names = [name for name in errors if name in self._open_lanes]
        for name in names:
            self._end_lane(name, errors[name])
        return bool(names)

    def _open_lane(self, answer_name: str, connection_format: Format) -> AnswerLane:
        """Add a lane (queue) for an answer that begins; it also gets the messages that wait for an answer."""
        lane = self._open_lanes[answer_name] = AnswerLane(
            connection_format.of_answer(answer_name), self._waiting
        )
        between, self._messages_between = self._messages_between, []
        for message in between:
            self._waiting.remove(message)
            lane.put_message(message)
        return lane


class SortedFormat(Format):
    """Passes the frames that the parent stream's machine reads to a sorter, and has no events of its own.

    So the machine knows what its recovery needs, such as the position, and drops what comes a second time.
    """

    ends_with_input = True

    def __init__(self, sorter: Sorter, inner: Format, begin: Callable[[list[AnswerLane]], object]) -> None:
        super().__init__(limits=inner.limits)
        self._sorter, self._inner, self._begin = sorter, inner, begin
        self.name = inner.name  # type: ignore[misc] # that of the answers' format

    @classmethod
    @override
    def recognises(cls, payload: JsonObject, event: str) -> bool | None:
        return None

    @override
    def tolerates(self, payload: JsonObject, event: str) -> bool:
        return self._inner.tolerates(payload, event)

    @override
    def read(self, payload: JsonObject, event: str) -> None:
        """Do nothing: the sorter takes whole frames."""

    @override
    def feed(self, frame: Frame, *, now: float = 0.0) -> list[Event]:
        self.frames += 1
        self._begin(self._sorter.sort(frame))
        self.error = self._sorter.error
        self.ended = self._sorter.is_over
        return []

    @property
    @override
    def is_amid(self) -> bool:
        return not self._sorter.has_begun or self._sorter.has_unfinished or self._inner.is_amid

    @override
    def end(self, *, now: float = 0.0) -> list[Event]:
        if self.is_amid and not self.ended:
            self.error = self.error or self.cut_short()
        return []


def _measure_message(message: object) -> int:
    """Return the size of a message in bytes; for a decoded payload, a fixed estimate."""
    return len(message) if isinstance(message, bytes) else _PAYLOAD_SIZE


def _ignore(name: str) -> None:
    """Do nothing when the connection has found the format: the sorter itself detects the format."""
