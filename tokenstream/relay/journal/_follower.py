"""Followers: readers of one answer, each at its own position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenstream._basics.members import show_members
from tokenstream.relay.journal._errors import AnswerExpired

if TYPE_CHECKING:
    from typing import Self

    from tokenstream.relay.journal._feed import Feed
    from tokenstream.relay.journal._journal import Journal


@show_members
@dataclass(frozen=True, slots=True)
class Entry:
    """One record of an answer.

    Example:
        >>> Entry(1, b'{"type":"text_delta","text":"Hel"}', replayed=True).position
        1
    """

    position: int
    """Position in the answer, from 1."""
    record: bytes
    """The JSON of an event in the protocol `tokenstream`, or of the ending of the answer."""
    replayed: bool
    """True if the record existed before the follower began to read."""


class AnswerFollower:
    """An async iterator over the records of an answer after a position; it ends with the answer.

    `Journal.follow` returns it.

    Args:
        after: The position of the last record that the reader has; 0 for none.
        owner: The answer's owner; None if it has none.
    """

    def __init__(self, journal: Journal, id: str, after: int, owner: str | None) -> None:
        self._journal = journal
        self._id = id
        self._owner = owner
        self._feed: Feed | None = None
        self.position = after
        """The position of the last record that was returned."""
        self.live_after = 0
        """The last position that existed when following began; 0 before `open`."""
        self.has_all = False
        """True if, when following began, the answer had ended and the reader had all of its records."""

    async def open(self) -> Feed:
        """Begin to follow the answer, so that no later record is missed; a repeated call has no effect.

        Returns:
            The feed that reads the records.

        Raises:
            JournalError: The answer or the position does not exist, or the journal cannot be used now.
        """
        if self._feed is None:
            self._feed, state = await self._journal.attach(self, self._id, self.position, self._owner)
            # The last position so far: up to it, records are replayed; those after it are live.
            self.live_after = state.end
            self.has_all = state.over and self.position == state.end
        return self._feed

    async def wait_for_more(self) -> bool:
        """Wait for records after `position`; return False once the answer has ended.

        Raises:
            JournalError: The next records are no longer held, or the journal cannot be used any more.
        """
        feed = self._feed or await self.open()
        while self.position >= feed.first + len(feed.records) - 1:
            if feed.is_complete:
                return False
            if feed.error is not None:
                # All followers raise the same error; its traceback must not grow each time.
                raise feed.error.with_traceback(None)
            await feed.changes.wait()
        if self.position + 1 < feed.first:
            self.check_held()
        return True

    def check_held(self) -> None:
        """Check that the feed still has the next record.

        Raises:
            AnswerExpired: The next record was trimmed.
        """
        if self._feed is not None and self.position + 1 < self._feed.first:
            raise AnswerExpired("the next records of this answer were trimmed while it was being followed")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Entry:
        # The feed exists after `wait_for_more`, as type checkers do not know.
        if not await self.wait_for_more() or self._feed is None:
            raise StopAsyncIteration
        self.position += 1
        record = self._feed.records[self.position - self._feed.first]
        return Entry(self.position, record, replayed=self.position <= self.live_after)

    def close(self) -> None:
        """Stop following, as happens anyway when the follower is garbage-collected."""
        if self._feed is not None:
            self._feed.followers.discard(self)
