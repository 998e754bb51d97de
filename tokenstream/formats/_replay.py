"""Drop what a server sends again on a connection that goes on with an answer."""

from __future__ import annotations

from tokenstream.errors import PositionLost

__all__ = ["Replay", "ReplayOfEvents"]


_MOST_DIGITS = 32


class Replay:
    """Tells which payloads are sent again, until the first one that is not.

    Numbers tell that of each payload. Of ids it is only known which one came last:
    where the server begins with the start of the answer, all are dropped up to that one.

    Args:
        after: The position to go on after.
        answer: The answer's id; None where it has none.

    Example:
        >>> replay = Replay(7, None)
        >>> [replay.drops(number, None) for number in (6, 7, 8)], replay.over
        ([True, True, False], True)
    """

    __slots__ = ("_after", "_answer", "_from_start", "over")

    def __init__(self, after: int | str, answer: str | None) -> None:
        self._after = after
        self._answer = answer
        self._from_start = False
        self.over = False
        """Whether what comes now is new."""

    def drops(self, position: int | str | None, begun: str | None) -> bool:
        """Tell whether a payload was read before.

        Args:
            position: The payload's; None where it has none.
            begun: The id of the answer that it begins, which may be ""; None where it begins none.

        Raises:
            PositionLost: It is another answer, or something is missing before it.
        """
        if begun is not None:
            if begun and self._answer and begun != self._answer:
                msg = "the server begins another answer, where it was to go on with this one"
                raise PositionLost(msg)
            self._from_start = True
        after = self._after
        if isinstance(after, int):
            if not isinstance(position, int):
                return False
            if position > after + 1:
                msg = f"the server goes on at event {position}, but event {after + 1} is the next one"
                raise PositionLost(msg)
            self.over = position > after
            return not self.over
        if position == after:
            self.over = True
            return True
        # What has no id, such as a sign of life, tells nothing.
        self.over = position is not None and not self._from_start
        return self._from_start


class ReplayOfEvents:
    """Tells which SSE events are sent again, by their ids, until the first one that is not.

    Ids that are numbers tell that of each event. Of others it is only known which
    came first and which last: where the server begins with the first, or with the
    last, all are dropped up to the last.

    Args:
        after: The id of the last event.
        first: The id of the first one; "" where none is known.

    Example:
        >>> replay = ReplayOfEvents("c", "a")
        >>> [(replay.drops(id), replay.over) for id in ("a", "b", "c")]
        [(True, False), (True, False), (True, True)]
    """

    __slots__ = ("_after", "_first", "_from_start", "over")

    def __init__(self, after: str, first: str) -> None:
        self._after = after
        self._first = first
        self._from_start = False
        self.over = False
        """Whether what comes now is new."""

    def drops(self, id: str) -> bool:
        """Tell whether an event was read before.

        Args:
            id: The event's id.
        """
        after = self._after
        if self.over:
            return False
        if id == after:
            self.over = True
            return True
        number, last = _number(id), _number(after)
        if number is not None and last is not None:
            self.over = number > last
            return not self.over
        self._from_start = self._from_start or id == self._first
        self.over = not self._from_start
        return self._from_start


def _number(id: str) -> int | None:
    """Return the number that an id is; None where it is none."""
    return int(id) if len(id) <= _MOST_DIGITS and id.isascii() and id.isdecimal() else None
