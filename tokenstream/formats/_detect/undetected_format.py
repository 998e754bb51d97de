"""The format of a connection until its frames reveal the real format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import text_of
from tokenstream.errors import ProtocolError, StreamError
from tokenstream.formats import _registry as registry
from tokenstream.formats._base import Format, Frame
from tokenstream.formats._detect.first_frames import number_error
from tokenstream.formats._detect.payloads import event_in, object_of, payload_of
from tokenstream.formats._detect.recognise import BARE, END, PING, UNCLAIMED, WAIT, find_likeliest, recognise
from tokenstream.formats._kit.answer import note_nothing
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._kit.parts import Parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.events import Event
    from tokenstream.formats._detect.recognise import Recognition
    from tokenstream.limits import Limits


_MOST_HELD = 64
_NOT_KNOWN = "the format of the payload is not known yet"
_OBJECTS = (WAIT, UNCLAIMED)
_UNDECIDED = (*_OBJECTS, BARE, END)


class _LatentParts(Parts):
    """The parts of an answer whose format is not known yet; made when asked for, as they seldom are."""

    def __init__(self, limits: Limits, _: object) -> None:
        # Whatever is noted concerns the format that will be found.
        self._arguments = limits, note_nothing

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute that is not set yet
        # Made once: a second time would drop what the parts hold.
        if arguments := vars(self).pop("_arguments", None):
            super().__init__(*arguments)
        return object.__getattribute__(self, name)

    def dispose(self) -> None:
        """Do nothing: the parts, which may not have been made, refer to nothing."""


class UndetectedFormat(Format):
    """Holds frames until one of them proves a format, then replaces itself by that format.

    Bare data that may be text make the format `text` at once. Frames that prove nothing wait, up to 64 of
    them and as many bytes as one event may have. If nothing was proven at the end, they are the text if all
    of them are bare.

    To replace itself, it creates the format, passes it to `found`, and feeds it the held frames.
    The new format counts these frames; the attribute `frames` of this one stays 0.

    Args:
        found: Called with the new format before that format reads its first frame.
    """

    __slots__ = ("_asked", "_held", "_held_bytes", "_skipped", "documents", "found", "messages")

    _parts_class = _LatentParts
    name = ""
    framing = ""
    is_one_answer = True

    def __init__(self, *, limits: Limits, found: Callable[[Format], None]) -> None:
        super().__init__(limits=limits)
        self.found = found
        """Called with the new format; another connection that continues sets its own function."""
        self._asked: object = None
        """The JSON of the request, for the format that will be found; None if it is not known."""
        self._held: list[tuple[Frame, Recognition]] = []
        """The frames so far, for the format that will be found, each with its result of `recognise`."""
        self._held_bytes = 0
        self._skipped = 0
        """Number of pings, which are not held."""
        self.documents = False
        """True if the frames are documents of a JSON body and so cannot be bare text."""
        self.messages = False
        """True if the frames are WebSocket messages, where the client may have to speak first."""

    @property
    def has_frames(self) -> bool:
        return bool(self._held)

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool:  # noqa: ARG003 - any format is asked
        return False

    def read(self, payload: JsonObject, event: str) -> None:
        """Raise an error: the real format, once known, reads the payloads."""
        raise ProtocolError(_NOT_KNOWN)

    def take_request(self, asked: object) -> None:
        self._asked = asked

    @property
    def resting(self) -> bool:
        """True while the server waits for the client to speak, as it may at the start of a WebSocket."""
        return self.messages

    def feed(self, frame: Frame, *, now: float = 0.0) -> list[Event]:
        """Hold a frame; once the format is known, return the events of all held frames."""
        if self.error is not None:
            # The first error says why: a later frame is at most its consequence.
            return []
        decoded: dict[bytes, Any] = {}
        try:
            result = recognise(frame, self.limits, document=self.documents, decoded=decoded)
        except ProtocolError as error:
            number = self._skipped + len(self._held) + 1
            self.error = number_error(error, number, 'if the data are bare text, pass format="text"')
            return []
        if result == PING:
            self._skipped += 1
            return []
        if result == WAIT and self.doubt is None:
            # The error of an event that may not be about the answer counts if no answer comes.
            event = event_in(frame)
            self.doubt = provider_error(object_of(frame, self.limits), event)
        elif result == UNCLAIMED:
            from tokenstream.formats._detect.unknown import describe_run

            result = describe_run(frame, self.limits) or UNCLAIMED
        self._held.append((frame, result))
        payload = payload_of(frame)
        self._held_bytes += len(payload) if isinstance(payload, bytes) else 0
        if isinstance(result, StreamError):
            # The frame is the server's report of an error, or of a stream that is known not to be read.
            self.error = result
            return []
        if result not in _UNDECIDED:
            # The frame proves a format, or is text, which a JSON body (None) cannot contain.
            return self._give_way(result, decoded=decoded)
        if result == END and len(self._held) > 1:
            # Nothing follows the sentinel, although the connection may stay open.
            return self.decide_at_end()
        if len(self._held) > _MOST_HELD or self._held_bytes > self.limits.event:
            return self._give_way(None if self._holds(*_OBJECTS) else "text")
        return []

    def decide_at_end(self) -> list[Event]:
        """Choose the format that fits all held frames, and return their events: no more frames follow."""
        if not self._held:
            return []
        if self._holds(BARE) and not self._holds(*_OBJECTS):
            return self._give_way("text")
        name, is_proven = find_likeliest([frame for frame, _ in self._held], self.limits)
        return self._give_way(name, is_proven=is_proven)

    def _holds(self, *results: str) -> bool:
        return any(each in results for _, each in self._held)

    def _give_way(
        self, name: str | None, *, is_proven: bool = True, decoded: dict[bytes, Any] | None = None
    ) -> list[Event]:
        """Replace this format by another (None: set `error`), and return the events of the held frames."""
        held, self._held = self._held, []
        if name is None:
            from tokenstream.formats._detect.unknown import describe_unknown_format

            self.error = self.doubt or describe_unknown_format([frame for frame, _ in held], self.limits)
            return []
        real_format = registry.create(name, limits=self.limits)
        # The real format counts frames from the first one of the input on, including the skipped pings.
        real_format.frames = self._skipped
        real_format.first_frames.is_detected, real_format.first_frames.is_proven = True, is_proven
        real_format.decoded_before = decoded
        real_format.take_request(self._asked)
        self.found(real_format)
        events: list[Event] = []
        for frame, result in held:
            # An object before bare text is no piece of it, although an object within the text may be one.
            is_aside = name == "text" and result in _OBJECTS
            real_format.frames += is_aside
            events += _leave_unread(real_format.parts, frame) if is_aside else real_format.feed(frame)
            if real_format.error is not None:
                break
        return events


def _leave_unread(parts: Parts, frame: Frame) -> list[Event]:
    """Report a frame with an object as unknown without reading it, and return the events."""
    parts.raw = data = object_of(frame, parts.limits)
    parts.unknown(event_in(frame) or text_of(data, "type") or "event", data)
    return parts.take()
