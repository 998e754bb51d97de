"""How a format goes on with an answer over another connection, in another process too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from tokenstream.errors import PositionLost
from tokenstream.formats._errors import provider_error
from tokenstream.formats._replay import Replay, ReplayOfEvents
from tokenstream.framing import ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream.errors import StreamError
    from tokenstream.formats._fast.path import FastPath
    from tokenstream.formats._parts import Parts
    from tokenstream.formats.base import Format, Frame
    from tokenstream.message import Message

__all__ = ["Resuming"]


class Resuming:
    """The side of a format that servers which replay an answer have to do with."""

    if not TYPE_CHECKING:
        __slots__ = ()
    else:
        _fast_path: FastPath | None
        _replay: Replay | None
        _replayed_events: ReplayOfEvents | None
        dropped: int
        error: StreamError | None
        parts: Parts

        @classmethod
        def recognises(cls, payload: dict[str, Any], event: str) -> bool | None:
            raise NotImplementedError

        def tolerates(self, payload: dict[str, Any], event: str) -> bool:
            raise NotImplementedError

    resumes: ClassVar[bool] = False
    """Whether its servers can replay an answer from a `position`, for another connection to go on with."""
    made_of: ClassVar[tuple[type, ...]] = ()
    """Classes of the objects that `state` keeps, beside its own, that of its parts and of open ones."""

    @property
    def position(self) -> int | str | None:
        """The last event's number or id, after which the server is asked to go on; None where none came."""
        return None

    def is_kept(self, message: Message) -> bool:
        """Tell whether the server goes on with an answer, and keeps it, when its connection breaks.

        Args:
            message: The answer so far.
        """
        return self.resumes

    def position_of(self, payload: dict[str, Any]) -> int | str | None:
        """Return the number or id of an event; None where it has none.

        Args:
            payload: The decoded payload, a JSON object.
        """
        return None

    def begun_by(self, payload: dict[str, Any], event: str) -> str | None:
        """Return the id of the answer that a payload begins, or "" if it has none; None where it begins none.

        Args:
            payload: The decoded payload, a JSON object.
            event: The SSE event's name, "" where it has none.
        """
        return None

    def state(self) -> dict[str, Any] | None:
        """Return what reading on takes, in another process too: JSON, without what the message holds.

        None is returned where that cannot be kept. What is kept by itself are the
        slots of the format, of its parts and of what these are `made_of`.
        """
        if not self.resumes:
            return None
        from tokenstream.formats._kept import state_of

        return state_of(cast("Format", self))

    def restore(self, state: dict[str, Any], messages: Sequence[Message]) -> None:
        """Take the state of another format of this make.

        Args:
            state: What `state` returned.
            messages: What had been told by then.

        Raises:
            MisuseError: It was changed on the way, or comes from another version.
        """
        from tokenstream.formats._kept import restore_format

        restore_format(cast("Format", self), state, messages)

    def go_on(self) -> None:
        """Have another connection go on after `position`: what is sent again is dropped."""
        if self._fast_path is not None:
            self._fast_path.clear()
        self.error = None
        self.dropped = 0
        position = self.position
        self._replay = None if position is None else Replay(position, self.parts.id)

    def expect_events(self, after: str, first: str) -> None:
        """Drop the SSE events that are sent again, where ids of events are all that tells.

        Args:
            after: The id of the last event.
            first: The id of the first one.
        """
        self._replayed_events = None if self.resumes else ReplayOfEvents(after, first)

    def _is_replayed_event(self, replay: ReplayOfEvents, frame: Frame) -> bool:
        # What has no id of its own has the one of the event before.
        dropped = replay.drops(frame.id) if isinstance(frame, ServerSentEvent) else False
        self.dropped += dropped
        if replay.over:
            self._replayed_events = None
        return dropped

    def _is_replayed(self, replay: Replay, payload: dict[str, Any], event: str) -> bool:
        if provider_error(payload, event) is not None and not self.tolerates(payload, event):
            # It is about this connection, whatever its number.
            return False
        if self.recognises(payload, event) is False:
            raise PositionLost("the server goes on in another format than it began in")
        dropped = replay.drops(self.position_of(payload), self.begun_by(payload, event))
        if replay.over:
            self._replay = None
        self.dropped += dropped
        return dropped
