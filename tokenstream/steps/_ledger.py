"""The totals that agents tell of their sessions, from which each turn gets what is its own."""

from __future__ import annotations

from typing import TypeVar

NumberT = TypeVar("NumberT", int, float)


class Ledger:
    """Keeps the totals of an agent's sessions: tokens, or a cost, up to the turn that was counted last.

    A run keeps one over all its loops: an agent tells the total of a session again after each turn, also
    if each turn is read in a loop of its own.

    Example:
        >>> ledger = Ledger()
        >>> ledger.take("s1", {"input_tokens": 250}), ledger.take("s1", {"input_tokens": 400})
        ({'input_tokens': 250}, {'input_tokens': 150})
        >>> ledger.take("s2", {"input_tokens": 90})
        {'input_tokens': 90}
    """

    __slots__ = ("_are_totals", "_totals")

    def __init__(self) -> None:
        self._totals: dict[str, dict[str, int | float]] = {}
        """The totals of each session, by their names."""
        self._are_totals: dict[str, bool] = {}
        """True for each session whose counts are totals, False if they are those of its turns; without an
        entry, nothing has shown it yet."""

    def knows(self, session: str) -> bool:
        """Return True if a total of a session was kept."""
        return session in self._totals

    def totals_of(self, session: str) -> dict[str, int | float]:
        """Return the totals of a session that were kept last; empty if none were."""
        return self._totals.get(session, {})

    def keep(self, session: str, totals: dict[str, NumberT]) -> None:
        """Keep the totals of a session, which belong to the turns so far; one that is not told stays."""
        before = {} if self._has_begun_anew(session, totals) else self.totals_of(session)
        self._totals[session] = {**before, **totals}

    def subtract(self, session: str, totals: dict[str, NumberT]) -> dict[str, NumberT]:
        """Return what has been added to the totals of a session since they were kept last.

        Totals that are smaller than before have begun anew, so nothing is subtracted from them.
        """
        if self._has_begun_anew(session, totals):
            return totals
        before = self.totals_of(session)
        return {name: total - type(total)(before.get(name, 0)) for name, total in totals.items()}

    def take(self, session: str, totals: dict[str, NumberT]) -> dict[str, NumberT]:
        """Keep the totals of a session; return what has been added to them."""
        own = self.subtract(session, totals)
        self.keep(session, totals)
        return own

    def take_either(self, session: str, counts: dict[str, NumberT], *, is_beyond: bool) -> dict[str, NumberT]:
        """Return the counts of a turn, from counts that may be those of the turn or of the whole session.

        Totals only grow, so one that is smaller than before shows that each turn is counted by itself.

        Args:
            session: The session.
            counts: The counts.
            is_beyond: True if the turn alone cannot have that much.

        Example:
            >>> ledger = Ledger()
            >>> ledger.take_either("s1", {"input_tokens": 500}, is_beyond=False)
            {'input_tokens': 500}
            >>> ledger.take_either("s1", {"input_tokens": 1_200}, is_beyond=True)
            {'input_tokens': 700}
        """
        if self._has_begun_anew(session, counts):
            self._are_totals[session] = False
        elif is_beyond and self.knows(session):
            self._are_totals.setdefault(session, True)
        own = self.take(session, counts)
        return own if self._are_totals.get(session) else counts

    def _has_begun_anew(self, session: str, totals: dict[str, NumberT]) -> bool:
        """Return True if totals are smaller than those that were kept last."""
        before = self.totals_of(session)
        return any(total < before.get(name, 0) for name, total in totals.items())
