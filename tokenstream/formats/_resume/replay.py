"""Drop the payloads that a server repeats when another connection continues an answer."""

from __future__ import annotations

from tokenstream.errors import PositionLost

_MOST_DIGITS = 32


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
        """The position (number or id) of the last payload that was read."""
        self._answer = answer
        """The answer's id; None if it has none."""
        self._from_start = False
        """True once the server has sent the beginning of the answer again."""
        self.ended = False
        """True once the repetition is over: all later payloads are new."""

    def check_repeated(self, position: int | str | None, begun_id: str | None) -> bool:
        """Return True if a payload was read before, so that it has to be dropped.

        Args:
            position: The payload's position; None if it has none.
            begun_id: The id of the answer that the payload begins, "" without an id; None if it begins none.

        Raises:
            PositionLost: The payload belongs to another answer, or payloads before it are missing.
        """
        if begun_id is not None:
            if begun_id and self._answer and begun_id != self._answer:
                msg = "the server begins another answer, where it was to go on with this one"
                raise PositionLost(msg)
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


class ReplayOfEvents:
    """Detects repeated SSE events by their ids, up to the first new event.

    If ids are numbers, the id of an event decides. Of other ids, only the first and the last
    are known: if the server begins with one of them, all events up to the last are dropped.

    Args:
        after: The id of the last event.
        first: The id of the first event; "" if unknown.

    Example:
        >>> replay = ReplayOfEvents("c", "a")
        >>> [(replay.check_repeated(id), replay.ended) for id in ("a", "b", "c")]
        [(True, False), (True, False), (True, True)]
    """

    __slots__ = ("_after", "_first", "_from_start", "ended")

    def __init__(self, after: str, first: str) -> None:
        self._after = after
        """The id of the last event that was read."""
        self._first = first
        """The id of the first event of the answer; "" if unknown."""
        self._from_start = False
        """True once the server has sent the first event of the answer again."""
        self.ended = False
        """True once the repetition is over: all later payloads are new."""

    def check_repeated(self, id: str) -> bool:
        """Return True if an event was read before."""
        after = self._after
        # From the first new event on, `ended` is True: no event is repeated any more.
        if self.ended:
            return False
        if id == after:
            self.ended = True
            return True
        number, last = _number_of(id), _number_of(after)
        if number is not None and last is not None:
            self.ended = number > last
            return not self.ended
        # Other ids have no order: all up to the last one are repeated only if the server began at the start.
        self._from_start = self._from_start or id == self._first
        self.ended = not self._from_start
        return self._from_start


def _number_of(id: str) -> int | None:
    """Return a numeric id as a number; None for any other id."""
    return int(id) if len(id) <= _MOST_DIGITS and id.isascii() and id.isdecimal() else None
