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


class Resume(Generic[FormatT]):
    """Continues the answer of a format that `resumes` over another connection, and drops what that repeats.

    If payloads are numbered, the number of a payload decides. If they have ids, only the last id is known: if
    the server sends the answer from its start, all payloads up to that id are dropped.

    The format knows its positions; a derived class knows its servers. Each method gets the format, which is
    not kept, so that both are freed with the answer.
    """

    __slots__ = ("_answer", "_from_start", "after", "answer_id", "goes_on")

    merges_replays: ClassVar[bool] = False
    """True if a server may merge events when it repeats them, so that they cannot be compared one by one."""

    def __init__(self) -> None:
        self.after: int | str | None = None
        """The position of the last payload that was read; None unless payloads up to it may be repeated."""
        self._answer: str | None = None
        """The answer's id; None if it has none."""
        self._from_start = False
        """True once the server has sent the beginning of the answer again."""
        self.goes_on = False
        """True once another connection goes on with the answer, whose end may repeat all of it."""
        self.answer_id: str | None = None
        """The answer's id in a relay's journal; None if no relay has sent it in an event."""

    def is_kept(self, message: Message) -> bool:
        """Return whether the server goes on with an answer, and stores it, when the connection breaks.

        Args:
            message: The answer so far.
        """
        return True

    def prepare(self, format: FormatT) -> None:
        """Prepare to drop what another connection repeats up to `position`, unless that is unknown."""
        self.after, self._answer = format.position, format.parts.id
        self._from_start, self.goes_on = False, True

    def drops(self, format: FormatT, payload: JsonObject, event: str) -> bool:
        """Return True, and count it, for a payload that was read before.

        Raises:
            PositionLost: The payload is of another answer, or follows a gap.
        """
        after = self.after
        if after is None:
            return False
        is_error = provider_error(payload, event) is not None and not is_aside(payload, event)
        if is_error and not format.tolerates(payload, event):
            # An error concerns this connection, even if its number is one that was read before. What
            # `tolerates` names only looks like one, and is an event of the answer.
            return False
        if format.recognises(payload, event) is False:
            from tokenstream.formats._detect.recognise import find_mismatch

            if find_mismatch(format, [payload], 0, certain=True) is not None:
                raise PositionLost("the server goes on in another format than it began in")
        is_repeated = self._is_repeated(after, format.position_of(payload), format.begun_by(payload, event))
        format.dropped += is_repeated
        return is_repeated

    def _is_repeated(self, after: int | str, position: EventKey, begun_id: str | None) -> bool:
        if begun_id is not None:
            if begun_id and self._answer and begun_id != self._answer:
                raise PositionLost("the server begins another answer, where it was to go on with this one")
            self._from_start = True
        if isinstance(after, int):
            if not isinstance(position, int):
                # A payload without a number, such as a ping, is not repeated.
                return False
            if position > after + 1:
                msg = f"the server goes on at event {position}, but event {after + 1} is the next one"
                raise PositionLost(msg)
            is_repeated, is_last = position <= after, position > after
        else:
            # Before the last payload that was read, all are repeated if the server began at the start. If it
            # did not, the first payload with an id is new; one without, such as a ping, decides nothing.
            is_repeated = position == after or self._from_start
            is_last = position == after or not (position is None or self._from_start)
        if is_last:
            # The rest of the answer is new.
            self.after = None
        return is_repeated
