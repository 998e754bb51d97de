"""Feeds and followers: a feed has one answer's records, which each follower reads from its own position."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Protocol, Self, TypeVar, cast
from weakref import WeakSet

from anyio import current_time, move_on_after, sleep

from tokenstream._basics.error_marks import add_sentence
from tokenstream._basics.kept_errors import raised_anew
from tokenstream._values.origin import Origin
from tokenstream.errors import StreamInterrupted
from tokenstream.relay._attribution import ServedAnswer
from tokenstream.relay.journal._changes import Changes
from tokenstream.relay.journal._errors import JournalError
from tokenstream.relay.journal._records import record_interruption
from tokenstream.relay.journal._storage import Page, State, Storage, retry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokenstream.relay.journal._journal import Journal


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
        """Begin to follow the answer, so that no later record is missed; return the feed to read.

        A repeated call has no effect. JournalError if the answer or the position does not exist.
        """
        if self._feed is None:
            self._feed, state = await self._journal.attach(self, self._id, self.position, self._owner)
            # The last position so far: up to it, records are replayed; those after it are live.
            self.live_after = state.end
            self.has_all = state.over and self.position == state.end
        return self._feed

    def has_more(self, feed: Feed) -> bool | None:
        """Return True if there are records after `position`; False once the answer has ended; else None."""
        if self.position >= feed.end:
            if feed.error is not None and not feed.is_complete:
                raise raised_anew(feed.error)
            return False if feed.is_complete else None
        if self.position + 1 < feed.first:
            raise JournalError(
                "the next records of this answer were trimmed while it was being followed",
                kind="answer_expired",
            )
        return True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Entry:
        feed = self._feed or await self.open()
        while (has_more := self.has_more(feed)) is None:
            await feed.changes.wait()
        if not has_more:
            raise StopAsyncIteration
        self.position += 1
        record = feed.records[self.position - feed.first]
        return Entry(self.position, record, replayed=self.position <= self.live_after)

    def close(self) -> None:
        """Stop following, as happens anyway when the follower is garbage-collected."""
        if self._feed is not None:
            self._feed.leave(self)


PAGE_SIZE = 2_000
"""The maximum number of records that one read fetches."""
MIN_TRIMMED = 64
"""The minimum number of trimmed records that are dropped from the list at once."""
_MAX_UNREAD_BYTES = 256 * 1024
"""The size of records from a producer after which the feed reads again, to learn which ones were trimmed."""
_PAUSE_SECONDS = 0.25
"""Seconds until the next read if the storage cannot say when there are more records."""
_IDLE_SECONDS = 5.0
"""Seconds that a feed runs on without followers: enough for a browser to reload a page and follow again."""


class Product(Protocol):
    """An object that is made from an answer's records, and shared by the answer's followers.

    An example is a transcript: the bytes of the records in one protocol.
    """

    def trim(self, count: int) -> None:
        """Process all records that were not processed yet, then drop the results for the oldest records."""


ProductT = TypeVar("ProductT", bound=Product)


class Feed:
    """The records of one answer, as far as this process has read them."""

    def __init__(
        self, storage: Storage, id: str, state: State, *, lease: float, is_given: bool, journal: str
    ) -> None:
        self.id = id
        self.owner = state.owner
        # The records so far.
        self.first = state.begin
        """The position of the first record in `records`."""
        self.records: list[bytes] = []
        self.end = state.begin - 1
        self.is_complete = False
        self.error: JournalError | None = None
        self.followers: WeakSet[object] = WeakSet()
        """The followers that read from this feed; a follower that is garbage-collected leaves the set."""
        self.served = ServedAnswer(id, owner=state.owner)
        self._storage = storage
        self._lease = lease
        self._journal = journal
        """The name of the journal that reads, which is in the tokens of its own producers."""
        self.changes = Changes()
        """Wakes the followers when records were added or the feed has ended."""
        # Records from a producer of this process.
        self._is_given = is_given
        """True while the feed gets its records from a producer of this process, not from the storage."""
        self._gaps = 0
        """The number of times that a producer has given records of which earlier ones are missing."""
        self._given_bytes = 0
        """The size in bytes of the records that a producer has passed on since the storage was last read."""
        self._must_read = Changes()
        """Wakes the feed's own task when it has to read again although a producer gives it the records."""
        self._products: dict[object, Product] = {}
        """Objects made from the records, by key, which all followers share; see `get_product`."""
        # When to stop reading, and when to end the answer in place of its producer.
        self._alone_since = self._dead_since = inf

    @property
    def progress(self) -> tuple[int, bool]:
        """The position of the last record that was read, and True if it is the answer's last record."""
        return self.end, self.is_complete

    def is_answer_of(self, state: State, progress: tuple[int, bool]) -> bool:
        """Return True if the feed reads the answer with this state, not an earlier answer with the same id.

        False also for a feed that has failed: it reads nothing any more. `progress` is the feed's from
        before the state was read.
        """
        end, is_complete = progress
        if self.error is not None or self.owner != state.owner:
            return False
        if is_complete:
            return state.over and end == state.end
        # Records are never taken back, so an answer with fewer records is another one.
        return end <= state.end

    def take(
        self, first: int, records: Sequence[bytes], size: int, *, owner: str | None, is_last: bool
    ) -> None:
        """Add records that a producer of this process has stored; ignore them if earlier ones are missing."""
        # The number of these records that the feed has already; negative if some before them are missing.
        known = self.end + 1 - first
        if self.is_complete or self.error is not None or owner != self.owner:
            return
        if known < 0:
            self._gaps += 1
            self._must_read.notify()
            return
        self._is_given = True
        self.records += records[known:] if known else records
        self.end = self.first + len(self.records) - 1
        self.is_complete = is_last
        self.changes.notify()
        self._given_bytes += size
        if is_last or self._given_bytes > _MAX_UNREAD_BYTES:
            # Only the storage tells which records were trimmed.
            self._must_read.notify()

    def read_again(self) -> None:
        """Read from the storage again, because the producer of this process gives no more records."""
        self._is_given = False
        self._must_read.notify()

    def get_product(self, key: object, make: Callable[[Feed], ProductT]) -> ProductT:
        """Return an object made from the records, such as a protocol's bytes; all followers share it."""
        product = self._products.get(key)
        if product is None:
            product = self._products[key] = make(self)
        return cast("ProductT", product)

    def leave(self, follower: object) -> None:
        """Note that a follower reads no more; after an answer's last one, drop the products.

        A product, which refers to this feed, would keep both until the garbage collector finds them.
        """
        self.followers.discard(follower)
        if not self.followers and (self.is_complete or self.error is not None):
            self._products.clear()

    def fail(self, error: JournalError) -> None:
        """End the feed, unless it has ended, with an error that followers raise after its last record."""
        if not self.is_complete and self.error is None:
            # The traceback holds the frame that reads, and so this feed.
            self.error = error.with_traceback(None)
            self.changes.notify()
            self._must_read.notify()

    async def run(self) -> None:
        """Read the answer until it ends or nobody follows it any more."""
        while self.error is None and not self.is_complete and not self._check_abandoned():
            try:
                # Remember the end: a producer of this process may give records during the read.
                end, gaps, self._given_bytes = self.end, self._gaps, 0
                read = partial(self._storage.read, self.id, end, PAGE_SIZE)
                page = await retry(self._storage, read, self._lease)
                # 1. The answer was forgotten, its next records were trimmed, or another answer has its id.
                if page is None or page.state.begin > self.end + 1 or page.state.owner != self.owner:
                    self._expire("the next records of this answer are no longer held")
                    break
                # 2. The storage has fewer records than before: it was restored from an older backup.
                if page.state.end < end and not page.records:
                    self._expire("the journal has lost the end of this answer")
                    break
                # 3. The usual case.
                self._add_page(page)
                if self._seems_dead(page.state):
                    # End the answer in place of its producer.
                    await self._bury(page.state.token or "")
                elif len(page.records) < PAGE_SIZE and self._gaps == gaps and not self.is_complete:
                    # All records were read; wait for the next ones. Even if none arrive, look at the
                    # producer's state four times a lease.
                    with move_on_after(self._lease / 4):
                        await (self._must_read.wait() if self._is_given else self._wait_for_news())
            except JournalError as error:
                self.fail(error)
        if not self.followers:
            self._products.clear()

    # -- within ------------------------------------------------------------

    def _expire(self, message: str) -> None:
        self.fail(JournalError(message, kind="answer_expired"))

    async def _wait_for_news(self) -> None:
        """Wait until the storage may have more records; if it is unreachable, wait a moment instead."""
        try:
            await self._storage.wait(self.id, self.end)
        except JournalError:
            # The next read is repeated for a lease, and decides if the storage is really away.
            await sleep(_PAUSE_SECONDS)

    def _seems_dead(self, state: State) -> bool:
        """Return True if the producer has looked dead for a quarter of a lease.

        A single look is not enough: this process or the storage may have been suspended meanwhile.
        """
        now = current_time()
        self._dead_since = inf if state.alive or state.over else min(self._dead_since, now)
        return now - self._dead_since >= self._lease / 4

    async def _bury(self, token: str) -> None:
        """End the answer in the storage on behalf of its dead producer, for followers in all processes."""
        message = "the server that produced the answer stopped responding"
        if not token:
            message = "no process has begun the answer in time, or gone on with it"
        bury = partial(self._storage.bury, self.id, [record_interruption(message)])
        is_buried = await retry(self._storage, bury, self._lease)
        # A producer of this journal, and whoever else has ended the answer, report that themselves.
        if is_buried and not token.startswith(self._journal):
            server, host, *_ = [*token.partition("/")[2].split(" "), ""]
            error = StreamInterrupted(message)
            error.origin = Origin(host=host or None)
            self.served.begin()
            self.served.report(add_sentence(error, f"{message}{server and f': {server}'}"))

    def _add_page(self, page: Page) -> None:
        """Add a page of records, and drop the records that the storage has trimmed."""
        # A producer may have given some records of the page meanwhile: add only those after them.
        self.records += page.records[self.end + 1 - page.first :]
        self.end = self.first + len(self.records) - 1
        self.is_complete |= page.state.over and self.end >= page.state.end
        if page.records or self.is_complete:
            self.changes.notify()
        trimmed = page.state.begin - self.first
        # Records are dropped many at a time, so that the list is copied less often.
        if trimmed > max(MIN_TRIMMED, len(self.records) // 2):
            # Products, such as the records' bytes in a protocol, need every record before it is dropped.
            for product in self._products.values():
                product.trim(trimmed)
            del self.records[:trimmed]
            self.first += trimmed

    def _check_abandoned(self) -> bool:
        """Return True if the feed has had no follower for `_IDLE_SECONDS` seconds, so that it can end."""
        now = current_time()
        self._alone_since = inf if self.followers else min(self._alone_since, now)
        return now - self._alone_since > _IDLE_SECONDS
