"""The exchanges of the ids in a server's messages: a message goes by its id, and not by its order."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream.session._exchange import AskedExchange

_MAX_IDS = 4_096
"""Number of ids to remember; an answer has one id, and one for each of its items."""


class Owners:
    """Remembers the exchange of each response, item and call on a connection, by its id.

    A late message of an answer that has ended names such an id, so that it is not taken for one of the next
    answer. The oldest ids are forgotten.
    """

    __slots__ = ("_owners",)

    def __init__(self) -> None:
        self._owners: dict[str, AskedExchange] = {}

    def note(self, ids: Iterable[str | None], exchange: AskedExchange) -> None:
        """Note that ids belong to an exchange, unless they belong to another one already."""
        for id in ids:
            if id and id not in self._owners:
                self._owners[id] = exchange
        while len(self._owners) > _MAX_IDS:
            del self._owners[next(iter(self._owners))]

    def take_over(self, ids: Iterable[str | None], exchange: AskedExchange) -> None:
        """Note that ids belong to an exchange from here on: the server numbers each answer anew."""
        for id in ids:
            self._owners.pop(id or "", None)
        self.note(ids, exchange)

    def find(self, ids: Iterable[str | None]) -> AskedExchange | None:
        """Return the exchange to which the first known id belongs; None if none is known."""
        return next((self._owners[id] for id in ids if id in self._owners), None)

    def clear(self) -> None:
        """Forget all ids, since nothing late can come over another connection, whose ids may begin anew."""
        self._owners.clear()
