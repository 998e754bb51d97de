"""Answers in the memory of a process, and groups of them: all answers, and those of one owner."""

from __future__ import annotations

import sys
from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from tokenstream.relay.journal._changes import Changes
from tokenstream.relay.journal._feed import MIN_TRIMMED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream.relay.journal._bounds import Bounds


class AnswerGroup:
    """Answers that share their room: those of one owner, or all of a storage.

    Args:
        bounds: Limits of the group; None for none.
        limit: The maximum size of all records together, in bytes; without it, that of `bounds`.
    """

    def __init__(self, bounds: Bounds | None = None, *, limit: int = sys.maxsize) -> None:
        self.bounds = bounds
        self.limit = limit if bounds is None else bounds.bytes
        self.room = self.limit
        """The bytes that still have room; negative if the last records of answers have taken more."""
        self.running: dict[str, StoredAnswer] = {}
        # Unlike a dict, an `OrderedDict` finds its first item at once, however many were deleted before it.
        self.ended: OrderedDict[str, StoredAnswer] = OrderedDict()
        """Answers that have ended and whose records are still held, in order of expiry."""
        self.expired: OrderedDict[str, StoredAnswer] = OrderedDict()
        """Answers whose records were deleted, in the order in which the answers will be forgotten."""

    def __len__(self) -> int:
        return len(self.running) + len(self.ended) + len(self.expired)

    def grow(self, added: int) -> None:
        """Count bytes that the records of an answer have got; negative for those that were dropped."""
        self.room -= added

    @property
    def size(self) -> int:
        return self.limit - self.room

    def end(self, id: str, answer: StoredAnswer) -> None:
        del self.running[id]
        self.ended[id] = answer

    def expire(self, id: str, answer: StoredAnswer) -> None:
        """Note that the records of an answer are deleted, but that it is still known."""
        self.grow(-answer.size)
        del self.ended[id]
        self.expired[id] = answer

    def find_oldest(self) -> str | None:
        """Return the id of the answer to forget first: one without records, or the one that ended first."""
        return next(chain(self.expired, self.ended), None)


@dataclass(slots=True, eq=False)
class StoredAnswer:
    """One answer, with as many of its newest records as its limit allows."""

    owner: str | None
    share: AnswerGroup
    limit: int
    token: str | None
    """The producer's token; None once the producer may no longer write."""
    alive_until: float
    asked: str | None
    expires: float | None = None
    """The clock reading at which the answer expires; None until the answer has ended."""
    reason: str | None = None
    """The reason in the first request to stop the answer; None if nobody has requested a stop."""
    begin: int = 1
    """The position of the first record that is still held."""
    end: int = 0
    """The position of the last record; one less than `begin` if there is none."""
    size: int = 0
    changes: Changes = field(default_factory=Changes)
    """Wakes the tasks that wait for more records, or for the answer's end."""
    stops: Changes = field(default_factory=Changes)
    """Wakes the tasks that wait until a stop is requested or the answer has ended."""
    _records: list[bytes] = field(default_factory=list[bytes])
    _trimmed: int = 0
    """The number of trimmed records that are still at the start of the list."""

    @property
    def ended(self) -> bool:
        """True once the answer has ended, which shows in its time of expiry: it gets one only at its end."""
        return self.expires is not None

    def extend(self, records: Sequence[bytes], size: int) -> int:
        """Add records of `size` bytes, and trim the oldest beyond the limit; return the bytes gained."""
        self._records += records
        self.end += len(records)
        before = self.size
        self.size += size
        if self.size > self.limit:
            # The oldest records go, but the last one stays.
            while self.size > self.limit and len(self._records) - self._trimmed > 1:
                self.size -= len(self._records[self._trimmed])
                self._trimmed += 1
                self.begin += 1
            if self._trimmed > max(MIN_TRIMMED, len(self._records) // 2):
                # More records were trimmed than are moved here, so the cost per record stays constant.
                del self._records[: self._trimmed]
                self._trimmed = 0
        grown = self.size - before
        self.share.grow(grown)
        return grown

    def records_after(self, position: int, limit: int) -> tuple[bytes, ...]:
        """Return at most `limit` records after a position; none if the next record was trimmed."""
        if position + 1 < self.begin:
            return ()
        index = self._trimmed + position + 1 - self.begin
        return tuple(self._records[index : index + limit])

    def drop(self) -> None:
        self.begin = self.end + 1
        self._records, self._trimmed, self.size = [], 0, 0
