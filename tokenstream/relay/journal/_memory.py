"""Journals kept in the memory of one process."""

from __future__ import annotations

import math
import time
from itertools import takewhile
from typing import TYPE_CHECKING

from tokenstream.call_store import MemoryCallStore
from tokenstream.errors import MisuseError
from tokenstream.relay.journal._bounds import BOUNDS, Bounds
from tokenstream.relay.journal._errors import JournalError, fenced_error
from tokenstream.relay.journal._journal import Journal
from tokenstream.relay.journal._storage import Page, State, StopReply, Storage
from tokenstream.relay.journal._stored import AnswerGroup, StoredAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


_MAX_LAST_BYTES = 4_096
"""The size of an answer's last records up to which even a full storage takes them: readers wait for them."""


class MemoryStorage(Storage):
    """Keeps answers in the memory of this process, for one event loop.

    The options are those of `MemoryJournal`.
    """

    instant = True

    def __init__(
        self,
        *,
        max_answers: int = 10_000,
        max_bytes: int = 16 * 1024 * 1024,
        max_total_bytes: int = 256 * 1024 * 1024,
        per_owner: Bounds | None = BOUNDS,
        expire: float = 3600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if min(max_answers, max_bytes, max_total_bytes) < 1 or expire < 0:
            raise MisuseError(
                "max_answers, max_bytes and max_total_bytes must be at least 1, and expire not negative"
            )
        self._max_answers = max_answers
        self._max_keys = 2 * max_answers
        self._max_bytes = min(max_bytes, max_total_bytes)
        self._per_owner = per_owner
        self._expire = expire
        self._clock = clock
        self._calls = MemoryCallStore(clock=clock)
        self._answers: dict[str, StoredAnswer] = {}
        self._all = AnswerGroup(limit=max_total_bytes)
        self._no_dead_before = -math.inf
        """The clock reading before which no producer can have been dead for `expire` seconds."""
        self._shares: dict[str | None, AnswerGroup] = {}
        """The answers by owner."""

    async def create(
        self, id: str, *, owner: str | None, token: str, lease: float, asked: str | None = None
    ) -> bool:
        answer = self._find(id)
        if answer is not None:
            # True if an earlier call of the same producer has begun the answer.
            return answer.token == token
        share = self._shares.get(owner) or AnswerGroup(None if owner is None else self._per_owner)
        self._admit(share)
        if len(self._answers) >= self._max_answers:
            self._make_room(share)
        # A storage without room for a single byte cannot hold the answer.
        self._make_bytes(1, share)
        self._shares[owner] = share
        alive_until = self._clock() + lease
        most = min(self._max_bytes, share.limit)
        answer = StoredAnswer(owner, share, most, token, alive_until=alive_until, asked=asked)
        self._answers[id] = self._all.running[id] = share.running[id] = answer
        return True

    async def append(
        self, id: str, token: str, first: int, records: Sequence[bytes], *, lease: float, over: bool = False
    ) -> None:
        # Without the clean-up of `_find`, which `beat` does often enough: this runs once per token.
        answer = self._answers.get(id)
        if answer is None or answer.token != token:
            raise fenced_error()
        known = answer.end + 1 - first
        if known:
            # A repeated call may contain records that were written before; a gap must not be written.
            if known < 0:
                raise fenced_error()
            records = records[known:]
        if records:
            if answer.expires is not None:
                raise fenced_error()
            added = sum(map(len, records))
            # Even a full storage takes a small end, since readers wait for it.
            if added > min(answer.share.room, self._all.room) and not (over and added <= _MAX_LAST_BYTES):
                # Beyond its limit, an answer loses as much as it gains, but keeps its last record.
                size = min(answer.size + added, max(answer.limit, len(records[-1])))
                self._make_bytes(size - answer.size, answer.share)
            self._all.grow(answer.extend(records, added))
        answer.alive_until = self._clock() + lease
        if over and not answer.ended:
            self._finish(id, answer)
        answer.changes.notify()

    async def beat(self, id: str, token: str, *, lease: float) -> str | None:
        answer = self._find(id)
        if answer is None or answer.token != token:
            raise fenced_error()
        answer.alive_until = self._clock() + lease
        return answer.reason

    async def bury(self, id: str, records: Sequence[bytes]) -> bool:
        answer = self._find(id)
        if answer is None or answer.ended or answer.alive_until > self._clock():
            return False
        # From now on, the producer's token is not accepted.
        answer.token = None
        self._all.grow(answer.extend(records, sum(map(len, records))))
        self._finish(id, answer)
        answer.changes.notify()
        return True

    async def ask_stop(self, id: str, reason: str) -> StopReply:
        answer = self._find(id)
        if answer is None:
            return "unknown"
        if answer.ended:
            return "ended"
        if answer.reason is None:
            answer.reason = reason
            answer.stops.notify()
        return "asked"

    async def read(self, id: str, after: int, limit: int) -> Page | None:
        answer = self._find(id)
        if answer is None:
            return None
        alive = not answer.ended and answer.alive_until > self._clock()
        state = State(answer.owner, answer.begin, answer.end, answer.ended, alive, answer.asked, answer.token)
        return Page(state, after + 1, answer.records_after(after, limit))

    async def wait(self, id: str, after: int) -> None:
        answer = self._find(id)
        while answer is not None and not answer.ended and answer.end <= after:
            await answer.changes.wait()

    async def wait_stop(self, id: str) -> None:
        """Wait until a stop was requested or the answer has ended; return at once if there is no answer."""
        answer = self._find(id)
        if answer is not None and not answer.ended and answer.reason is None:
            await answer.stops.wait()

    @property
    def calls(self) -> MemoryCallStore:
        return self._calls

    # -- within ------------------------------------------------------------

    def _find(self, id: str) -> StoredAnswer | None:
        """Clean up all answers, then return the answer with this id; None if there is none.

        Clean-up deletes the records of each answer that has expired, and `expire` seconds later forgets
        the answer.
        """
        if self._all.ended or self._all.expired:
            now = self._clock()
            for id_, answer in _find_expired(self._all.ended, now):
                self._delete_records(id_, answer)
            for id_, _ in _find_expired(self._all.expired, now - self._expire):
                self._forget(id_)
        return self._answers.get(id)

    def _forget_keys(self) -> None:
        """Forget the keys of all answers that are not there: those are at least half of the keys."""
        for name in [name for name, id in self._keys.items() if id not in self._answers]:
            del self._keys[name]

    def _finish(self, id: str, answer: StoredAnswer) -> None:
        """Mark an answer as ended, and wake the tasks that wait for that, or for a request to stop it.

        Its records are deleted `expire` seconds later.
        """
        answer.expires = self._clock() + self._expire
        for group in (self._all, answer.share):
            group.end(id, answer)
        answer.stops.notify()

    def _delete_records(self, id: str, answer: StoredAnswer) -> None:
        """Delete the records of an answer that has ended, but remember that the answer existed.

        Its readers are woken, and then learn of it.
        """
        for group in (self._all, answer.share):
            group.expire(id, answer)
        answer.drop()
        answer.changes.notify()

    def _forget(self, id: str) -> None:
        """Delete the records of an answer that has ended, and forget that it existed."""
        answer = self._answers.pop(id)
        if id in self._all.ended:
            # Tasks that wait for the answer read it again, and find that it is gone.
            self._delete_records(id, answer)
        for group in (self._all, answer.share):
            del group.expired[id]
        if not answer.share:
            del self._shares[answer.owner]

    def _admit(self, share: AnswerGroup) -> None:
        """Make room for a new answer among those of its owner."""
        bounds = share.bounds
        if bounds is None:
            return
        now = self._clock()
        if sum(each.alive_until > now for each in share.running.values()) >= bounds.running:
            raise JournalError(
                f"{bounds.running:,} answers of this owner are running", kind="too_many_answers"
            )
        while len(share) >= bounds.kept:
            oldest = share.find_oldest()
            if oldest is None:
                raise JournalError(
                    f"none of the {bounds.kept:,} answers of this owner has ended", kind="too_many_answers"
                )
            self._forget(oldest)

    def _make_room(self, share: AnswerGroup) -> None:
        """Make room for a new answer: forget the one that ended first, or whose producer is long dead.

        An owner with many answers makes room among these first.
        """
        if self._all.find_oldest() is None:
            self._finish_dead()
        has_many = len(share) * len(self._shares) > len(self._answers)
        oldest = (share.find_oldest() if has_many else None) or self._all.find_oldest()
        if oldest is None:
            raise JournalError(
                f"the journal holds max_answers={self._max_answers:,} answers, and none of them has ended"
            )
        self._forget(oldest)

    def _make_bytes(self, size: int, share: AnswerGroup) -> None:
        """Delete the records of the answers that ended first, until some more bytes have room."""
        while share.room < size:
            if not share.ended:
                raise JournalError(f"an owner has {share.limit:,} bytes of answers that have not ended")
            self._delete_first(share.ended)
        while self._all.room < size:
            if not self._all.ended:
                self._finish_dead()
            if not self._all.ended:
                raise JournalError(
                    f"the journal holds max_total_bytes={self._all.limit:,} bytes of answers that have not "
                    "ended"
                )
            has_many = share.size * len(self._shares) > self._all.size
            self._delete_first(share.ended if has_many and share.ended else self._all.ended)

    def _delete_first(self, ended: dict[str, StoredAnswer]) -> None:
        id = next(iter(ended))
        self._delete_records(id, ended[id])

    def _finish_dead(self) -> None:
        """Mark answers as ended whose producers have been dead for `expire` seconds.

        The feed of an answer's followers ends the answer soon after its producer's death, so these are the
        answers that nobody follows.
        """
        now = self._clock()
        if now < self._no_dead_before:
            # A full storage asks for each new answer and each token.
            return
        dead_before = now - self._expire
        for id, answer in list(self._all.running.items()):
            if answer.alive_until < dead_before:
                self._finish(id, answer)
        # An answer that begins from now on can be as short-lived as its producer's lease.
        alive_until = [answer.alive_until for answer in self._all.running.values()]
        self._no_dead_before = min([now, *alive_until]) + self._expire


def _find_expired(answers: dict[str, StoredAnswer], now: float) -> list[tuple[str, StoredAnswer]]:
    """Return the answers that have expired, among some in the order of their expiry."""
    return list(takewhile(lambda each: (each[1].expires or 0.0) <= now, answers.items()))


class MemoryJournal(Journal):
    """Keeps answers in the memory of this process: for one server process, for development and for tests.

    Args:
        max_answers: Maximum number of answers. Beyond it, the answers that ended first are
            forgotten; if none has ended, no new answer can begin.
        max_bytes: Maximum size of one answer's records in bytes; beyond it, the oldest are trimmed,
            and a reader that still needs them gets a `JournalError` (410).
        max_total_bytes: Maximum size of all answers' records in bytes. Beyond it, the answers that
            ended first expire. If none has ended, no new answer can begin, and an answer that
            cannot be continued within a lease ends with an error.
        per_owner: Limits for the answers of each owner; None for none. If the journal is full, an owner with
            more than an equal share makes room by its own answers first.
        expire: Seconds for which an answer is kept after its end.
        lease: Seconds within which readers learn that a producer is dead.
        drain: Seconds that producers may run on when the journal is exited; None for as many as
            `Timing(drain=)` gives to answers without a journal.

    Raises:
        MisuseError: A limit is too small or negative.

    Example:
        >>> MemoryJournal(max_answers=100)
        <MemoryJournal: 0 answers are being produced>
    """

    def __init__(
        self,
        *,
        max_answers: int = 10_000,
        max_bytes: int = 16 * 1024 * 1024,
        max_total_bytes: int = 256 * 1024 * 1024,
        per_owner: Bounds | None = BOUNDS,
        expire: float = 3600.0,
        lease: float = 15.0,
        drain: float | None = None,
    ) -> None:
        storage = MemoryStorage(
            max_answers=max_answers,
            max_bytes=max_bytes,
            max_total_bytes=max_total_bytes,
            per_owner=per_owner,
            expire=expire,
        )
        super().__init__(storage, lease=lease, drain=drain)
