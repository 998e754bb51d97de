"""The format of a connection until its frames tell which one it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream.errors import LimitExceeded, ProtocolError, StreamError, StreamTruncated
from tokenstream.events import Ping
from tokenstream.formats import registry
from tokenstream.formats._recognise import PING, WAIT, likeliest, recognise
from tokenstream.formats._seen import of_no_format, payload_of
from tokenstream.formats.base import Format, Frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import Event
    from tokenstream.limits import Limits

__all__ = ["Undetected"]

_MOST_HELD = 64


class Undetected(Format):
    """Holds frames until one of them tells the format, then gives way to it.

    To give way is to make the format, to hand it over, and to feed it the frames
    that were held. It counts those as the first ones; here, `frames` stays 0.

    Args:
        limits: Bounds on decoding the frames, and on the format.
        pings: Whether signs of life become `Ping` events.
        found: Takes the format, before that reads its first frame.

    Example:
        >>> from tokenstream.limits import DEFAULT_LIMITS
        >>> found = []
        >>> format = Undetected(limits=DEFAULT_LIMITS, pings=False, found=found.append)
        >>> format.feed({"type": "ping"}), found
        ([], [])
        >>> events = format.feed({"choices": [{"index": 0, "delta": {"content": "Hi"}}]})
        >>> found[0].name, events[-1].text
        ('openai-chat', 'Hi')
    """

    __slots__ = ("_found", "_held", "_skipped", "documents", "messages")

    name: ClassVar[str] = ""
    framing: ClassVar[str] = ""

    def __init__(self, *, limits: Limits, pings: bool, found: Callable[[Format], None]) -> None:
        super().__init__(limits=limits, pings=pings)
        self._found = found
        self._held: list[Frame] = []
        self._skipped = 0
        """Frames that held nothing."""
        self.documents = False
        """The frames are the documents of a JSON body, so that they can be no bare text."""
        self.messages = False
        """The frames are a WebSocket's messages, so that the client may have to speak first."""

    @classmethod
    def recognises(cls, payload: dict[str, Any], event: str) -> bool | None:  # noqa: ARG003 - any format is asked
        """Say no: no payload is of this format."""
        return False

    def read(self, payload: dict[str, Any], event: str) -> None:
        """Refuse: whatever tells its format is read by that."""
        msg = "the format of the payload is not known yet"
        raise ProtocolError(msg)

    @property
    def resting(self) -> bool:
        """The server has nothing to say until the client speaks, as at the start of a WebSocket."""
        return self.messages

    def feed(self, frame: Frame, *, now: float = 0.0) -> list[Event]:
        """Hold a frame, or give way and return the events of all that were held."""
        try:
            found = recognise(frame, self.limits, document=self.documents)
        except ProtocolError as error:
            error.event = self._skipped + len(self._held) + 1
            advice = (
                ""
                if isinstance(error, LimitExceeded)
                else '; if the data are bare text, say so with format="text"'
            )
            error.args = (f"frame {error.event}: {error}{advice}",)
            self.error = error
            return []
        if found == PING:
            self._skipped += 1
            return [Ping(raw=payload_of(frame))] if self.pings else []
        self._held.append(frame)
        if isinstance(found, StreamError):
            self.error = found
            return []
        if found == WAIT and len(self._held) <= _MOST_HELD:
            return []
        return self._give_way(None if found == WAIT else found)

    def settle(self) -> list[Event]:
        """Give way to the only format that what is held may be of: no more frames will come."""
        return self._give_way(likeliest(self._held, self.limits)) if self._held else []

    def cut_short(self) -> StreamTruncated:
        """Return the error for input that ended before any event came."""
        return StreamTruncated("the body ended without a single event; ask again")

    def _give_way(self, name: str | None) -> list[Event]:
        held, self._held = self._held, []
        if name is None:
            self.error = of_no_format(held, self.limits)
            return []
        known = registry.create(name, limits=self.limits, pings=self.pings)
        # Frames are numbered as they came.
        known.frames = self._skipped
        self._found(known)
        events: list[Event] = []
        for frame in held:
            events += known.feed(frame)
            if known.error is not None:
                break
        return events
