"""Feeds: the records of one answer, read from the storage once in a process for all who follow it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import WeakSet

from tokenstream.relay.journal._errors import AnswerExpired, JournalError, JournalUnavailable
from tokenstream.relay.journal._records import interrupted
from tokenstream.relay.journal._retrying import retrying

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.relay.journal._storage import Page, State, Storage

__all__ = ["Feed", "Shared"]

_PAGE = 2_000
"""The most records that are read at once."""
_SPARE = 64
"""Trimmed records that may stand at the start of the list before it is copied."""
_LINGER = 5.0
"""Seconds that a feed goes on without followers: a page that is loaded again comes back within them."""


class Shared(Protocol):
    """Something that is made of the records once, for all followers that want it."""

    def trim(self, count: int) -> None:
        """Take what was not taken yet, and let go of what was made of the first records that are held.

        Args:
            count: How many these are.
        """


SharedT = TypeVar("SharedT", bound=Shared)


class Feed:
    """The records of one answer as far as this process has read them.

    Args:
        storage: Where they are read.
        id: The answer's id.
        state: Where the answer stood when the feed was made.
        lease: Seconds after which a producer that gives no sign of life is found dead.
    """

    def __init__(self, storage: Storage, id: str, state: State, *, lease: float) -> None:
        import anyio

        self.id = id
        self.owner = state.owner
        self.first = state.begin
        """The position of the first record that is held."""
        self.records: list[bytes] = []
        self.over = False
        """All records are here."""
        self.error: JournalError | None = None
        """Why no more will come, though the answer may have more."""
        self.followers: WeakSet[object] = WeakSet()
        self._storage = storage
        self._lease = lease
        self._told = anyio.Event()
        self._shared: dict[object, Shared] = {}
        self._alone_since: float | None = None
        self._dead_since: float | None = None

    @property
    def end(self) -> int:
        """The position of the last record that is here."""
        return self.first + len(self.records) - 1

    def is_of(self, state: State) -> bool:
        """Tell whether more can come of it for an answer that stands so, and not for one that had its id.

        Args:
            state: Where the answer stands.
        """
        if self.error is not None or self.owner != state.owner:
            return False
        return state.over and self.end == state.end if self.over else self.end <= state.end

    async def wait(self) -> None:
        """Wait until there is more, or no more will come."""
        await self._told.wait()

    def shared(self, key: object, make: Callable[[Feed], SharedT]) -> SharedT:
        """Return what followers make of the records together, such as their bytes in a protocol.

        Args:
            key: Names it.
            make: Makes it, for the first who asks.
        """
        found: Any = self._shared.get(key)
        if found is None:
            found = self._shared[key] = make(self)
        made: SharedT = found
        return made

    def fail(self, error: JournalError) -> None:
        """End the feed before the answer's end.

        Args:
            error: What followers meet, behind all that is here.
        """
        if not self.over and self.error is None:
            self.error = error
            self._tell()

    async def run(self) -> None:
        """Read the answer to its end, or until nobody follows it any more."""
        import anyio

        while self.error is None and not self.over and not self._is_left():
            try:
                page = await retrying(partial(self._storage.read, self.id, self.end, _PAGE), self._lease)
                if page is None or page.state.begin > self.end + 1 or page.state.owner != self.owner:
                    self.fail(AnswerExpired("what comes next in this answer is no longer held"))
                    break
                if page.state.end < self.end and not page.records:
                    # A database that came back from an older copy of itself.
                    self.fail(AnswerExpired("the journal has lost the end of this answer"))
                    break
                self._take(page)
                if self._found_dead(page.state):
                    await self._bury()
                elif len(page.records) < _PAGE and not self.over:
                    with anyio.move_on_after(self._lease / 4):
                        await self._storage.wait(self.id, self.end)
            except JournalUnavailable as error:
                self.fail(error)

    # -- within ------------------------------------------------------------

    def _found_dead(self, state: State) -> bool:
        """Tell whether the producer was dead at two looks.

        Perhaps this process, or the storage, stood still just as long as it seemed to.
        """
        from anyio import current_time

        if state.alive or state.over:
            self._dead_since = None
            return False
        now = current_time()
        if self._dead_since is None:
            self._dead_since = now
        return now - self._dead_since >= self._lease / 4

    async def _bury(self) -> None:
        """Write the end that a dead producer has not written, for all who follow in whatever process."""
        last = interrupted("the server that produced the answer gave no more sign of life")
        await retrying(partial(self._storage.bury, self.id, [last]), self._lease)

    def _take(self, page: Page) -> None:
        """Add records, and drop those that the storage has trimmed."""
        self.records += page.records
        self.over = page.state.over and self.end >= page.state.end
        if page.records or self.over:
            self._tell()
        gone = page.state.begin - self.first
        if gone > max(_SPARE, len(self.records) // 2):
            # What is made of them is made of all.
            for each in self._shared.values():
                each.trim(gone)
            del self.records[:gone]
            self.first += gone

    def _tell(self) -> None:
        import anyio

        told, self._told = self._told, anyio.Event()
        told.set()

    def _is_left(self) -> bool:
        from anyio import current_time

        if self.followers:
            self._alone_since = None
            return False
        now = current_time()
        if self._alone_since is None:
            self._alone_since = now
        return now - self._alone_since > _LINGER
