"""Journals kept in the memory of one process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tokenstream._basics.members import show_members
from tokenstream.call_store import MemoryCallStore
from tokenstream.errors import MisuseError
from tokenstream.relay.journal._changes import Changes
from tokenstream.relay.journal._errors import JournalUnavailable
from tokenstream.relay.journal._feed import MIN_TRIMMED
from tokenstream.relay.journal._journal import Journal
from tokenstream.relay.journal._storage import Fenced, Page, State, Storage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokenstream.relay.journal._storage import StopReply

_MAX_LAST_BYTES = 4_096
"""The size of an answer's last records up to which even a full storage takes them: readers wait for them."""


class _StoredAnswer:
    """One answer, with as many of its newest records as `max_bytes` allows."""

    __slots__ = (
        "_records",
        "_trimmed",
        "alive_until",
        "asked",
        "begin",
        "changes",
        "expires",
        "owner",
        "reason",
        "size",
        "stops",
        "token",
    )

    def __init__(self, owner: str | None, token: str, alive_until: float, asked: str | None) -> None:
        self.owner = owner
        self.asked = asked
        """The fingerprint of the request that started the answer; None if it had none."""
        self.token: str | None = token
        """The token that identifies the producer; None once the producer may no longer write."""
        self.alive_until = alive_until
        """The clock reading until which the producer counts as alive."""
        self.expires: float | None = None
        """The clock reading at which the answer expires; None until the answer has ended."""
        self.reason: str | None = None
        """The reason in the first request to stop the answer; None if nobody has requested a stop."""
        self.begin = 1
        """The position of the first record that is still held."""
        self._records: list[bytes] = []
        self._trimmed = 0
        """The number of trimmed records that are still at the start of the list."""
        self.size = 0
        """The size of the records in bytes, without those that were trimmed."""
        self.changes = Changes()
        """Wakes the tasks that wait for a change of the answer."""
        self.stops = Changes()
        """Wakes the tasks that wait until a stop is requested or the answer has ended."""

    @property
    def end(self) -> int:
        """The position of the last record; one less than `begin` if there is none."""
        return self.begin + len(self._records) - self._trimmed - 1

    @property
    def ended(self) -> bool:
        """True once the answer has ended, which shows in its time of expiry: it gets one only at its end."""
        return self.expires is not None

    def extend(self, records: Sequence[bytes], max_bytes: int) -> None:
        """Add records, and trim the oldest records while all of them together are too large.

        Args:
            max_bytes: The maximum size of all records together; the last record is always kept.
        """
        self._records += records
        self.size += sum(map(len, records))
        while self.size > max_bytes and len(self._records) - self._trimmed > 1:
            self.size -= len(self._records[self._trimmed])
            self._trimmed += 1
            self.begin += 1
        if self._trimmed > max(MIN_TRIMMED, len(self._records) // 2):
            # More records were trimmed than are moved here, so the cost per record stays constant.
            del self._records[: self._trimmed]
            self._trimmed = 0

    def records_after(self, position: int, limit: int) -> tuple[bytes, ...]:
        """Return at most `limit` records after a position; none if the next record was trimmed."""
        if position + 1 < self.begin:
            return ()
        index = self._trimmed + position + 1 - self.begin
        return tuple(self._records[index : index + limit])

    def drop(self) -> None:
        """Delete all records."""
        self.begin = self.end + 1
        self._records, self._trimmed, self.size = [], 0, 0

    def notify(self) -> None:
        """Wake the tasks that wait for a change of the answer.

        If a stop was requested or the answer has ended, also wake the tasks that wait for a stop.
        """
        self.changes.notify()
        if self.ended or self.reason is not None:
            self.stops.notify()


class MemoryStorage(Storage):
    """Keeps answers in the memory of this process, for one event loop.

    Args:
        max_answers: Maximum number of answers. Beyond it, the answers that ended first are
            forgotten; if none has ended, no new answer can begin.
        max_bytes: Maximum size of one answer's records in bytes; beyond it, the oldest are trimmed.
        max_total_bytes: Maximum size of all records in bytes. Beyond it, the records of the answers that
            ended first are deleted; if none has ended, no more records can be written.
        expire: Seconds for which the records of an answer are kept after its end. For the same
            time after that, the storage remembers that the answer existed.
        clock: Returns the current time, in seconds.
    """

    instant = True

    def __init__(
        self,
        *,
        max_answers: int = 10_000,
        max_bytes: int = 16 * 1024 * 1024,
        max_total_bytes: int = 256 * 1024 * 1024,
        expire: float = 3600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if min(max_answers, max_bytes, max_total_bytes) < 1 or expire < 0:
            raise MisuseError(
                "max_answers, max_bytes and max_total_bytes must be at least 1, and expire not negative"
            )
        self._max_answers = max_answers
        self._max_bytes = min(max_bytes, max_total_bytes)
        self._max_total_bytes = max_total_bytes
        self._total_bytes = 0
        """The size of all records in bytes."""
        self._expire = expire
        self._clock = clock
        self._calls = MemoryCallStore(clock=clock)
        self._answers: dict[str, _StoredAnswer] = {}
        self._ended: dict[str, _StoredAnswer] = {}
        """Answers that have ended and whose records are still held, in order of expiry."""
        self._expired: dict[str, _StoredAnswer] = {}
        """Answers whose records were deleted, in the order in which the answers will be forgotten."""

    async def create(
        self, id: str, *, owner: str | None, token: str, lease: float, asked: str | None = None
    ) -> bool:
        """Begin an answer; return False if another producer's answer with this id exists."""
        answer = self._find(id)
        if answer is not None:
            # True if an earlier call of the same producer has begun the answer.
            return answer.token == token
        if len(self._answers) >= self._max_answers:
            self._make_room()
        # A storage without room for a single byte cannot hold the answer.
        self._make_bytes(1)
        self._answers[id] = _StoredAnswer(owner, token, self._clock() + lease, asked)
        return True

    async def append(
        self, id: str, token: str, first: int, records: Sequence[bytes], *, lease: float, over: bool = False
    ) -> None:
        """Write records, of which the first has the position `first`; end the answer if `over` is True.

        From now on, the producer counts as alive for `lease` seconds.

        Raises:
            Fenced: The answer does not belong to this producer, has ended with fewer records, or has a gap
                before `first`.
        """
        answer = self._answer_of_producer(id, token)
        # A repeated call may contain records that were written before.
        new = records[max(answer.end + 1 - first, 0) :]
        has_gap = first > answer.end + 1
        if has_gap or (answer.ended and new):
            raise Fenced
        added = sum(map(len, new))
        # Even a full storage takes a small end, since readers wait for it.
        if new and not (over and added <= _MAX_LAST_BYTES):
            # Beyond `max_bytes`, an answer loses as much as it gains, but keeps its last record.
            size = max(min(answer.size + added, self._max_bytes), len(new[-1]))
            self._make_bytes(size - answer.size)
        answer.alive_until = self._clock() + lease
        self._extend(answer, new)
        if over and not answer.ended:
            self._finish(id, answer)
        answer.notify()

    async def beat(self, id: str, token: str, *, lease: float) -> str | None:
        """Renew the producer's lease; return the reason of a stop that was requested, or None."""
        answer = self._answer_of_producer(id, token)
        answer.alive_until = self._clock() + lease
        return answer.reason

    async def bury(self, id: str, records: Sequence[bytes]) -> bool:
        """End an answer whose producer is dead.

        Returns:
            False if nothing was done: the answer is unknown or has ended, or its producer is alive.
        """
        answer = self._find(id)
        if answer is None or answer.ended or answer.alive_until > self._clock():
            return False
        # From now on, the producer's token is not accepted.
        answer.token = None
        self._extend(answer, records)
        self._finish(id, answer)
        answer.notify()
        return True

    async def ask_stop(self, id: str, reason: str) -> StopReply:
        """Ask the producer of an answer to stop it.

        Returns:
            "asked"; "ended" if the answer had ended before; "unknown" if no answer has this id.
        """
        answer = self._find(id)
        if answer is None:
            return "unknown"
        if answer.ended:
            return "ended"
        if answer.reason is None:
            answer.reason = reason
            answer.notify()
        return "asked"

    async def read(self, id: str, after: int, limit: int) -> Page | None:
        """Return an answer's state, and at most `limit` records after a position; None for an unknown id."""
        answer = self._find(id)
        if answer is None:
            return None
        alive = not answer.ended and answer.alive_until > self._clock()
        state = State(answer.owner, answer.begin, answer.end, answer.ended, alive, answer.asked)
        return Page(state, after + 1, answer.records_after(after, limit))

    async def wait(self, id: str, after: int) -> None:
        """Wait until there is a record after a position, or the answer has ended or is not there."""
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
        """A store of tool calls in the memory of this process."""
        return self._calls

    # -- within ------------------------------------------------------------

    def _answer_of_producer(self, id: str, token: str) -> _StoredAnswer:
        """Return the answer with this id, if the producer with this token produces it.

        Raises:
            Fenced: The answer does not exist, or belongs to another producer.
        """
        answer = self._find(id)
        if answer is None or answer.token != token:
            raise Fenced
        return answer

    def _find(self, id: str) -> _StoredAnswer | None:
        """Clean up all answers, then return the answer with this id; None if there is none.

        Clean-up deletes the records of each answer that has expired, and `expire` seconds later forgets
        the answer.
        """
        if self._ended or self._expired:
            now = self._clock()
            for id_, answer in _find_expired(self._ended, now):
                self._delete_records(id_, answer)
            for id_, _ in _find_expired(self._expired, now - self._expire):
                del self._expired[id_], self._answers[id_]
        return self._answers.get(id)

    def _extend(self, answer: _StoredAnswer, records: Sequence[bytes]) -> None:
        """Add records to an answer."""
        size = answer.size
        answer.extend(records, self._max_bytes)
        self._total_bytes += answer.size - size

    def _drop_records(self, answer: _StoredAnswer) -> None:
        """Delete the records of an answer, and wake its readers, which then learn of it."""
        self._total_bytes -= answer.size
        answer.drop()
        answer.notify()

    def _finish(self, id: str, answer: _StoredAnswer) -> None:
        """Mark an answer as ended; its records are deleted `expire` seconds later."""
        answer.expires = self._clock() + self._expire
        self._ended[id] = answer

    def _delete_records(self, id: str, answer: _StoredAnswer) -> None:
        """Delete the records of an answer, but remember that the answer existed."""
        self._ended.pop(id, None)
        self._expired[id] = answer
        self._drop_records(answer)

    def _make_room(self) -> None:
        """Make room for a new answer: forget the answer that ended first, or whose producer is long dead.

        Raises:
            JournalUnavailable: All answers are still being produced.
        """
        if not self._ended and not self._expired:
            self._finish_dead()
        for answers in (self._expired, self._ended):
            if answers:
                id = next(iter(answers))
                # Tasks that wait for the answer read it again, and find that it is gone.
                self._drop_records(answers.pop(id))
                del self._answers[id]
                return
        raise JournalUnavailable(
            f"the journal holds max_answers={self._max_answers:,} answers, and none of them has ended"
        )

    def _make_bytes(self, size: int) -> None:
        """Delete the records of the answers that ended first, until some more bytes have room.

        Args:
            size: The number of bytes that are to be added.

        Raises:
            JournalUnavailable: There is no room, and all answers with records are still being produced.
        """
        while self._total_bytes + size > self._max_total_bytes:
            if not self._ended:
                self._finish_dead()
            if not self._ended:
                raise JournalUnavailable(
                    f"the journal holds max_total_bytes={self._max_total_bytes:,} bytes of answers that have "
                    "not ended"
                )
            id = next(iter(self._ended))
            self._delete_records(id, self._ended[id])

    def _finish_dead(self) -> None:
        """Mark answers as ended whose producers have been dead for `expire` seconds.

        The feed of an answer's followers ends the answer soon after its producer's death, so these are the
        answers that nobody follows.
        """
        dead_before = self._clock() - self._expire
        for id, answer in list(self._answers.items()):
            if not answer.ended and answer.alive_until < dead_before:
                self._finish(id, answer)


def _find_expired(answers: dict[str, _StoredAnswer], now: float) -> list[tuple[str, _StoredAnswer]]:
    """Return the answers that have expired.

    Args:
        answers: Answers by their ids, in order of expiry.
    """
    expired: list[tuple[str, _StoredAnswer]] = []
    for id, answer in answers.items():
        if answer.expires is None or answer.expires > now:
            break
        expired.append((id, answer))
    return expired


@show_members
class MemoryJournal(Journal):
    """Keeps answers in the memory of this process: for one server process, for development and for tests.

    Args:
        max_answers: Maximum number of answers. Beyond it, the answers that ended first are
            forgotten; if none has ended, no new answer can begin.
        max_bytes: Maximum size of one answer's records in bytes; beyond it, the oldest are trimmed,
            and a reader that still needs them gets an `AnswerExpired`.
        max_total_bytes: Maximum size of all answers' records in bytes. Beyond it, the answers that
            ended first expire. If none has ended, no new answer can begin, and an answer that
            cannot be continued within a lease ends with an error.
        expire: Seconds for which an answer is kept after its end.
        lease: Seconds within which readers learn that a producer is dead.
        drain: Seconds that producers may run on when the journal is exited.

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
        expire: float = 3600.0,
        lease: float = 15.0,
        drain: float = 30.0,
    ) -> None:
        storage = MemoryStorage(
            max_answers=max_answers, max_bytes=max_bytes, max_total_bytes=max_total_bytes, expire=expire
        )
        super().__init__(storage, lease=lease, drain=drain)
