"""Followers: readers of one answer, each from a position of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenstream.relay.journal._errors import AnswerExpired

if TYPE_CHECKING:
    from typing import Self

    from tokenstream.relay.journal._feed import Feed
    from tokenstream.relay.journal._journal import Journal

__all__ = ["Entry", "Follower"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of an answer.

    Example:
        >>> Entry(1, b'{"type":"text_delta","text":"Hel"}', replayed=True).position
        1
    """

    position: int
    """Its position, from 1."""
    record: bytes
    """An event in the protocol `tokenstream`, or how the answer ended."""
    replayed: bool
    """It was there when the follower came."""


class Follower:
    """The records of an answer behind a position, in an `async for` loop that ends with the answer.

    `Journal.follow` returns it.

    Args:
        journal: The journal.
        id: The answer's id.
        after: The position behind which it begins.
        owner: Whose the answer is.
    """

    def __init__(self, journal: Journal, id: str, after: int, owner: str | None) -> None:
        self._journal = journal
        self._id = id
        self._owner = owner
        self._feed: Feed | None = None
        self.position = after
        """The position of the last record that was given."""
        self.live_after = 0
        """The position up to which records were there when it began, once it has."""
        self.has_all = False
        """The answer was over when it began, and its reader had all of it."""

    async def open(self) -> Feed:
        """Begin to follow: from here on nothing is missed.

        Raises:
            JournalError: There is no such answer or position, or the journal cannot be used now.
        """
        if self._feed is None:
            self._feed, state = await self._journal.attach(self, self._id, self.position, self._owner)
            self.live_after = state.end
            self.has_all = state.over and self.position == state.end
        return self._feed

    async def more(self) -> bool:
        """Wait until there are records behind the position; False where the answer has ended.

        Raises:
            JournalError: What comes next is no longer held, or the journal cannot be used any more.
        """
        feed = await self.open()
        while self.position >= feed.end:
            if feed.over:
                return False
            if feed.error is not None:
                raise feed.error.with_traceback(None)
            await feed.wait()
        self.check()
        return True

    def check(self) -> None:
        """Make sure that what comes next is still held.

        Raises:
            AnswerExpired: It is not.
        """
        if self._feed is not None and self.position + 1 < self._feed.first:
            raise AnswerExpired("what comes next in this answer was trimmed while it was being followed")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Entry:
        if not await self.more() or self._feed is None:
            raise StopAsyncIteration
        self.position += 1
        record = self._feed.records[self.position - self._feed.first]
        return Entry(self.position, record, replayed=self.position <= self.live_after)

    def close(self) -> None:
        """Follow no longer; a follower that nobody holds any more does so by itself."""
        if self._feed is not None:
            self._feed.followers.discard(self)
