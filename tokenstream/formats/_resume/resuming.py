"""Continuing an answer over another connection, also in another process."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from tokenstream.errors import PositionLost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._base import Format
    from tokenstream.formats._resume.described import EventKey
    from tokenstream.message import Message


class Replay:
    """Detects repeated payloads, up to the first new payload.

    If payloads are numbered, the number of a payload decides. If they have ids, only the last
    id is known: if the server sends the answer from its start, all payloads up to that id are dropped.

    Args:
        after: The position (number or id) of the last payload that was read.
        answer: The answer's id; None if it has none.

    Example:
        >>> replay = Replay(7, None)
        >>> [replay.check_repeated(number, None) for number in (6, 7, 8)], replay.ended
        ([True, True, False], True)
    """

    __slots__ = ("_after", "_answer", "_from_start", "ended")

    def __init__(self, after: int | str, answer: str | None) -> None:
        self._after = after
        self._answer = answer
        self._from_start = False
        """True once the server has sent the beginning of the answer again."""
        self.ended = False
        """True once the repetition is over: all later payloads are new."""

    def check_repeated(self, position: EventKey, begun_id: str | None) -> bool:
        """Return True for a payload that was read before; raise `PositionLost` for a gap or other answer."""
        if begun_id is not None:
            if begun_id and self._answer and begun_id != self._answer:
                raise PositionLost("the server begins another answer, where it was to go on with this one")
            self._from_start = True
        after = self._after
        if isinstance(after, int):
            if not isinstance(position, int):
                # A payload without a number, such as a ping, is not repeated.
                return False
            if position > after + 1:
                msg = f"the server goes on at event {position}, but event {after + 1} is the next one"
                raise PositionLost(msg)
            self.ended = position > after
            return not self.ended
        if position == after:
            self.ended = True
            return True
        # Before the last payload that was read, all are repeated if the server began at the start. If it did
        # not, the first payload with an id is new; a payload without one, such as a ping, decides nothing.
        self.ended = position is not None and not self._from_start
        return self._from_start


class Resuming:
    """The base class of `Format` with the members for continuing an answer over another connection.

    Most of these members are for servers that can replay an answer from a position.
    """

    __slots__ = ()

    resumes: ClassVar[bool] = False
    """True if servers of this format can replay an answer from a `position` over another connection."""
    merges_replays: ClassVar[bool] = False
    """True if a server may merge events when it repeats them, so that they cannot be compared one by one."""
    made_of: ClassVar[tuple[type, ...]] = ()
    """Classes of the objects in `state`, apart from the format, its parts and the open parts."""

    @property
    def position(self) -> int | str | None:
        """Number or id of the last event, after which a server can continue; None before the first one."""
        return None

    @property
    def answer_id(self) -> str | None:
        """The answer's id in a relay's journal, if the relay has sent it in an event; by default None."""
        return None

    @property
    def seen_positions(self) -> list[int | str]:
        """The last positions that were read, the newest at the end; by default only the last one."""
        return [] if self.position is None else [self.position]

    def is_kept(self, message: Message) -> bool:
        """Return whether the server goes on with an answer, and stores it, when the connection breaks.

        By default, the server of a format that can resume answers (`resumes`) does so for every answer.

        Args:
            message: The answer so far.
        """
        return self.resumes

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

        return state_of(cast("Format", self))

    def restore(self, state: JsonObject, messages: Sequence[Message]) -> None:
        """Restore the saved state of another format of this class.

        Args:
            state: The value that `state` returned.
            messages: The messages at the time when the state was saved.

        Raises:
            MisuseError: The state was altered, or is from another version of the library.
        """
        from tokenstream.formats._resume.state import restore_format

        restore_format(cast("Format", self), state, messages)
