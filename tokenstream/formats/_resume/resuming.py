"""Continuing an answer over another connection, also in another process."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Generic

from tokenstream.errors import PositionLost
from tokenstream.formats._kit.errors import is_aside, provider_error
from tokenstream.formats._reader import FormatT

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
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


class Resume(Generic[FormatT]):
    """Continues the answer of a format that `resumes` over another connection.

    The format knows its positions; a derived class knows its servers. Each method gets the format, which is
    not kept, so that both are freed with the answer.
    """

    __slots__ = ("answer_id", "goes_on", "replay")

    merges_replays: ClassVar[bool] = False
    """True if a server may merge events when it repeats them, so that they cannot be compared one by one."""

    def __init__(self) -> None:
        self.replay: Replay | None = None
        """Detects payloads that another connection repeats, by their positions; None if none are repeated."""
        self.goes_on = False
        """True once another connection goes on with the answer, whose end may repeat all of it."""
        self.answer_id: str | None = None
        """The answer's id in a relay's journal; None if no relay has sent it in an event."""

    def list_positions(self, format: FormatT) -> list[int | str]:
        """Return the last positions that were read, the newest at the end; by default only the last one."""
        position = format.position
        return [] if position is None else [position]

    def is_kept(self, message: Message) -> bool:
        """Return whether the server goes on with an answer, and stores it, when the connection breaks.

        Args:
            message: The answer so far.
        """
        return True

    def prepare(self, format: FormatT) -> None:
        """Prepare to drop what another connection repeats up to `position`, unless that is unknown."""
        self.goes_on, position = True, format.position
        self.replay = None if position is None else Replay(position, format.parts.id)

    def drops(self, format: FormatT, payload: JsonObject, event: str) -> bool:
        """Return True, and count it, for a payload that another connection repeats; raise `PositionLost`."""
        repeated = self.replay is not None and self.check_repeated(format, self.replay, payload, event)
        format.dropped += repeated
        return repeated

    def check_repeated(self, format: FormatT, replay: Replay, payload: JsonObject, event: str) -> bool:
        """Return True for a payload that another connection repeats; raise `PositionLost` for a gap."""
        is_error = provider_error(payload, event) is not None and not is_aside(payload, event)
        if is_error and not format.tolerates(payload, event):
            # An error concerns this connection, even if its number is one that was read before. What
            # `tolerates` names only looks like one, and is an event of the answer.
            return False
        if format.recognises(payload, event) is False:
            from tokenstream.formats._detect.recognise import find_mismatch

            if find_mismatch(format, [payload], 0, certain=True) is not None:
                raise PositionLost("the server goes on in another format than it began in")
        repeated = replay.check_repeated(format.position_of(payload), format.begun_by(payload, event))
        if replay.ended:
            # The rest of the answer is new.
            self.replay = None
        return repeated
