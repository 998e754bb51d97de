"""Journals, in which producers outlive the requests that started them, and readers can reconnect."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias
from weakref import WeakValueDictionary

from anyio import CancelScope, create_task_group, current_time, move_on_after, sleep

from tokenstream._basics.elsewhere import UncopyableObject
from tokenstream.errors import MisuseError
from tokenstream.relay._attribution import ServedAnswer, find_asked_host, make_answer_id, report_ended
from tokenstream.relay._events_in import close_stream
from tokenstream.relay._incident import describe_bug
from tokenstream.relay._shape import Shaping
from tokenstream.relay.journal._bounds import (
    check_arguments,
    check_id,
    check_owner,
    check_waiting,
    is_valid_id,
)
from tokenstream.relay.journal._errors import JournalError
from tokenstream.relay.journal._feed import AnswerFollower, Feed
from tokenstream.relay.journal._producer import Producer, go_on
from tokenstream.relay.journal._records import has_failed_early, record_stop, source_of
from tokenstream.relay.journal._storage import ALIVE, State, Storage, limit, no_reply_error, retry
from tokenstream.relay.journal._writer import ALIVE_SHARE, RecordWriter, WriteTimer
from tokenstream.stream._base import StreamBase
from tokenstream.stream._log import WARNING

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Sequence

    from anyio.abc import TaskGroup

    from tokenstream.events import Event
    from tokenstream.relay._shape import Shape
    from tokenstream.stages._tools.store import AnyCallStore

StopResult: TypeAlias = Literal["stopped", "ended", "unknown"]
"""The outcome of a request to stop an answer: it ends now, it had ended before, or it is unknown."""

_MAX_EARLY = 64
"""Most records that an answer may have to count as one that failed before its first content."""
_DRAIN_SECONDS = 25.0
"""The seconds that producers may run on if neither the application nor a response's server says how many."""
_CLOSED = "the journal was closed: the server is being shut down"


class Journal(UncopyableObject):
    """Records answers while they stream, so that any number of readers can follow from any position.

    A *producer* is the task that reads an answer's stream and records it; it goes on when the
    request that started it is over. Enter the journal in the application's lifespan. On exit
    it lets the producers run on for a while, then interrupts them; readers are notified.

    Journals in several processes or on several machines that share one storage act as
    one journal: each of them can follow and stop the answers of the others.

    Args:
        storage: Keeps the records.
        lease: Seconds within which readers learn that a producer is dead. A producer
            sends a heartbeat four times in this period.
        drain: Seconds that producers may run on when the journal is exited; None for as many as
            `Timing(drain=)` gives to answers without a journal.

    Raises:
        MisuseError: `drain` is negative, or `lease` is not positive.

    Example:
        >>> import anyio
        >>> from tokenstream import AsyncStream
        >>> from tokenstream.relay.journal import MemoryJournal
        >>> async def main() -> list[int]:
        ...     async with MemoryJournal() as journal:
        ...         id = await journal.start(AsyncStream(["Hel", "lo"], format="pieces"))
        ...         return [entry.position async for entry in journal.follow(id)]
        >>> anyio.run(main)
        [1, 2, 3, 4, 5, 6]
    """

    _uncopyable = "it has connections and tasks: make one in each process; those with one Redis share it"

    def __init__(self, storage: Storage, *, lease: float = 15.0, drain: float | None = None) -> None:
        if lease <= 0 or (drain is not None and drain < 0):
            raise MisuseError("lease must be more than 0 seconds, and drain not negative")
        self.lease = lease
        """Seconds within which readers learn that a producer is dead."""
        self._storage = storage
        self._name = f"{secrets.token_hex(8)}/{socket.gethostname()}:{os.getpid()}"
        """The beginning of the producers' tokens: a random name, then the server and its process."""
        self._drain, self._follows_timing = _DRAIN_SECONDS if drain is None else drain, drain is None
        self._drained_at: float | None = None  # the end of these seconds; None before a shutdown
        self._tasks: TaskGroup | None = None
        self._timer = WriteTimer()
        self._is_closing = False
        self._opening = 0  # the answers that the storage is creating
        self._producers: dict[str, Producer] = {}
        """The producers of this process, by the ids of their answers."""
        self._feeds: WeakValueDictionary[str, Feed] = WeakValueDictionary()
        """The feeds (tasks that read an answer for all its followers here), by the ids of the answers."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self._producers)} answers are being produced>"

    # -- the block -----------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise MisuseError(
                "this journal was entered already: enter it once, in the application's lifespan"
            )
        self._tasks = await create_task_group().__aenter__()
        self._tasks.start_soon(self._timer.run, name="timer of a journal")
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Let the producers end, notify the readers of all answers, and close the storage."""
        tasks = self._require_tasks()
        self._is_closing = True
        try:
            # After an error in the block, the producers get no time to finish: they are cancelled below.
            if error is None:
                # The producers run on; then each hands its answer over, or writes its last record.
                await self.run_out()
                report_ended(sum([producer.shut_down() for producer in list(self._producers.values())]))
                with move_on_after(self.lease):
                    for producer in list(self._producers.values()):
                        await producer.finished.wait()
        finally:
            for feed in list(self._feeds.values()):
                feed.fail(JournalError(_CLOSED, kind="closed"))
            tasks.cancel_scope.cancel()
            try:
                # Without the block's own error, which the task group would wrap in an exception group.
                await tasks.__aexit__(None, None, None)
            finally:
                # Also if the journal's task was cancelled.
                with CancelScope(shield=True), move_on_after(1.0):
                    await self._storage.aclose()

    # -- answers -------------------------------------------------------------

    async def start(
        self,
        stream: AsyncIterable[Event],
        *,
        id: str | None = None,
        owner: str | None = None,
        open_within: float | None = None,
        raw: bool = False,
        shape: Shape | None = None,
        take_over: float | None = None,
    ) -> str:
        """Start producing an answer, and return its id.

        If an answer with this id exists, in any process, it stays, and `stream` is closed
        unread; followers of the id read the existing answer. So a request that is sent twice
        asks the model only once. An id can be used again when its answer has been forgotten.

        Args:
            stream: The answer; the journal enters and closes it.
            id: The answer's id; None for a random id that cannot be guessed.
            owner: The answer's owner; following or stopping it requires the same value. None for no
                owner.
            open_within: Seconds to wait for the first event; None to return at once.
            raw: True to write the provider's own ids, payloads, error messages and fields, too.
            shape: Transforms the text of each text part before it is written, such as `lambda text:
                text.redact(pattern)`; None for no change.
            take_over: Seconds for which readers wait for another `start` with this id if this process dies,
                or leaves its block. That one goes on with the answer at the next position; while this
                process lives, it waits. None: the answer ends with its process.

        Raises:
            StreamError, OutputIncomplete: It failed before its first event, within `open_within` seconds.
            JournalError: The storage is unreachable or full, the owner has too many answers, or the journal
                was exited.
            MisuseError: `stream` is not asynchronous; the journal was not entered; the id is empty or longer
                than 256 characters; `owner` is no text; `shape` returns no text, or is combined with `raw`;
                `take_over` is not positive, or no other process can read the storage.
        """
        id = make_answer_id() if id is None else id
        options: Any = {"raw": raw, "shape": shape, "take_over": take_over}
        await self.begin(stream, id, owner=owner, open_within=open_within, **options)
        return id

    async def announce(self, id: str, *, within: float, owner: str | None = None) -> None:
        """Let readers wait for an answer that another process is going to `start`.

        Args:
            id: The answer's id.
            within: Seconds after which readers learn that no process has begun the answer.
            owner: The answer's owner; None for no owner.

        Raises:
            JournalError: The storage is unreachable or full, or the owner has too many answers.
            MisuseError: The id is empty or too long; `owner` is no text; `within` is not positive, or no
                other process can read the storage.
        """
        self._require_tasks()
        check_id(id)
        check_owner(owner)
        check_waiting("within", within, is_shared=self._storage.is_shared)
        await self._create(id, owner, "", None, within)

    async def begin(
        self,
        stream: AsyncIterable[Event],
        id: str,
        *,
        owner: str | None = None,
        open_within: float | None = None,
        raw: bool = False,
        shape: Shape | None = None,
        asked: str | None = None,
        served: ServedAnswer | None = None,
        take_over: float | None = None,
    ) -> bool:
        """Start producing an answer, as `start` does; return False if an answer with this id exists.

        `asked` is the fingerprint of the request, which the storage keeps to compare later requests with;
        None if the request has none. `served` reports a failure that is raised here.
        """
        tasks, end = self._require_tasks(), -1
        token = f"{self._name} {find_asked_host(stream)} {secrets.token_hex(16)}"
        take = partial(self._storage.take_over, id, owner=owner)
        leave = partial(take, token="", before=token, lease=take_over or self.lease, wait=-1.0)
        try:
            check_arguments(stream, id, raw=raw, shape=shape)
            check_owner(owner)
            self._check_open()
            shaping = None if shape is None else Shaping(shape)
            check_waiting("take_over", take_over, is_shared=self._storage.is_shared)
            alive = self.lease * ALIVE_SHARE + (take_over or 0.0)
            # An answer that others may take over is announced, and then taken like one of another process.
            is_new = await self._create(id, owner, "" if take_over else token, asked, alive)
            kept = b""
            if is_new and not take_over:
                end = 0
            elif self._storage.is_shared:
                take = partial(take, token=token, before="", lease=alive, wait=take_over or -1.0)
                while (taken := await retry(self._storage, take, self.lease))[0] == ALIVE and take_over:
                    await sleep(self.lease / 8)
                    self._check_open()
                end, kept = taken
            first, known = await go_on(self._storage, stream, id, end, kept, shape=shape, lease=self.lease)
            # If the journal was exited meanwhile, a producer that starts now would be cancelled.
            self._check_open()
        except BaseException:
            with suppress(JournalError), limit(self._storage, self.lease / 4, shield=True):
                if end >= 0:
                    await leave()
            await close_stream(stream)
            raise
        if end < 0:
            # Another producer's answer has this id: followers read that answer.
            await close_stream(stream)
            return False
        if isinstance(stream, StreamBase):
            # The journal's id identifies the answer's tool calls, also to followers, so that each runs once.
            source_of(stream).accumulator.calls.record_in_journal(id)
        has_response, served = served is not None, served or ServedAnswer(id, owner=owner)
        served.keep(id, stream)
        tell = partial(self._pass_on, id, owner)
        writer = RecordWriter(
            self._storage, id, token, tell, timer=self._timer, lease=self.lease, alive=alive, last_written=end
        )
        producer = Producer(
            self._storage,
            id,
            token,
            stream,
            writer,
            served=served,
            lease=self.lease,
            raw=raw,
            shaping=shaping,
            take_over=take_over,
            leave=leave,
            first=first,
            known=known,
        )
        self._producers[id] = producer
        self._drained_at = None  # whatever looked like a shutdown before was none
        tasks.start_soon(self._run_producer, producer, name=f"producer of the answer {id}")
        await producer.wait_opened(open_within, reports=not has_response)
        return True

    @property
    def calls(self) -> AnyCallStore:
        """A store of tool calls beside the answers: `stream.validated_calls(…, once=journal.calls)`.

        Raises:
            MisuseError: The storage is of another class than those of this library, and keeps no calls.
        """
        return self._storage.calls

    def follow(self, id: str, *, after: int = 0, owner: str | None = None) -> AnswerFollower:
        """Return an async iterator over the records of an answer after a position.

        Each record is returned once and in order: first the existing records, then the new ones.
        The iterator ends with the answer.

        Args:
            id: The answer's id.
            after: The position of the last record that the reader has; 0 for none.
            owner: The answer's owner; None if it has none.

        Raises:
            MisuseError: `owner` is no text.
            JournalError: In the loop: the answer does not exist, or belongs to another owner; the next
                records are no longer held; `after` is beyond the last record; the storage is unreachable; or
                the journal was exited.
        """
        check_owner(owner)
        return AnswerFollower(self, id, after, owner)

    async def stop(
        self, id: str, *, owner: str | None = None, reason: str = "stopped by its reader"
    ) -> StopResult:
        """Stop an answer, whichever process produces it, and close its connection to the provider.

        The records so far stay; the last records report that the answer was stopped, and the reason.

        Args:
            id: The answer's id.
            owner: The answer's owner; None if it has none.
            reason: The reason, which is sent to the answer's readers.

        Returns:
            "stopped" once its producer was asked to stop it; "ended" if the answer had ended before;
            "unknown" if the answer does not exist, or belongs to another owner.

        Raises:
            JournalError: The storage is unreachable.
            MisuseError: `owner` is no text.
        """
        check_owner(owner)
        try:
            await self.read_state(id, owner)
        except JournalError as error:
            if error.kind == "unknown_answer":
                return "unknown"
            raise
        reply = await retry(self._storage, partial(self._storage.ask_stop, id, reason), self.lease / 4)
        if reply == "asked" and (await self.read_state(id, owner)).token == "":
            # Nobody produces the answer, so nobody else ends it.
            await retry(self._storage, partial(self._storage.bury, id, record_stop(reason)), self.lease / 4)
        return "stopped" if reply == "asked" else reply

    async def attach(
        self, follower: AnswerFollower, id: str, after: int, owner: str | None
    ) -> tuple[Feed, State]:
        """Register a follower, and return the feed that it reads from and the answer's state."""
        tasks = self._require_tasks()
        self._check_open()
        feed = self._feeds.get(id)
        nothing_read = (0, False)
        # Read before the state: a producer may give the feed more records while the state is read.
        progress = nothing_read if feed is None else feed.progress
        state = await self.read_state(id, owner)
        if after < 0 or after > state.end:
            raise JournalError(f"the answer has no position {after} yet", kind="unknown_position")
        if after + 1 < state.begin:
            raise JournalError("the records after this position were trimmed", kind="answer_expired")
        current = self._feeds.get(id)
        if current is not feed:
            # Another follower has made a feed meanwhile, which had read nothing before the state was read.
            feed, progress = current, nothing_read
        # The existing feed may belong to an earlier answer with this id, which has expired or was lost.
        if feed is None or not feed.is_answer_of(state, progress):
            is_given = id in self._producers
            feed = self._feeds[id] = Feed(
                self._storage, id, state, lease=self.lease, is_given=is_given, journal=self._name
            )
            tasks.start_soon(self._run_feed, feed, name=f"feed of the answer {id}")
        feed.followers.add(follower)
        return feed, state

    async def read_state(self, id: str, owner: str | None) -> State:
        """Return the state of an answer, if it belongs to this owner."""
        if not is_valid_id(id):
            raise JournalError("no answer has this id", kind="unknown_answer")
        # The second 0 is the limit: only the state is read, and no records. Whoever reads an answer that is
        # produced here waits longer: the storage has just taken it, and is slow only where this process is.
        seconds = self.lease if id in self._producers else self.lease / 4
        page = await retry(self._storage, partial(self._storage.read, id, 0, 0), seconds)
        if page is None or page.state.owner != owner:
            raise JournalError("no answer has this id", kind="unknown_answer")
        return page.state

    async def claim_key(self, key: str, id: str, *, owner: str | None = None) -> str:
        """Return the id of the answer that a request's key stands for.

        If the answer has failed before its first content, a new request loses nothing, so the key stands for
        the new id from now on.

        Raises:
            JournalError: The storage is unreachable.
        """
        hashed = sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        claim = partial(self._storage.claim_key, hashed, id, owner=owner)
        held = await retry(self._storage, claim, self.lease / 4)
        if held != id and await self._has_failed_early(held, owner):
            held = await retry(self._storage, partial(claim, instead_of=held), self.lease / 4)
        return held

    # -- within ------------------------------------------------------------

    def _require_tasks(self) -> TaskGroup:
        if self._tasks is None:
            raise MisuseError(
                "a journal must be used inside its `async with` block, in the application's lifespan"
            )
        return self._tasks

    def _check_open(self) -> None:
        if self._is_closing:
            raise JournalError(_CLOSED, kind="closed")

    async def _has_failed_early(self, id: str, owner: str | None) -> bool:
        """Return True if an answer has failed before its first content; False if there is none."""
        page = await retry(self._storage, partial(self._storage.read, id, 0, _MAX_EARLY), self.lease / 4)
        if page is None or page.state.owner != owner or not page.state.over:
            return False
        return page.state.end <= _MAX_EARLY and has_failed_early(page.records)

    async def _create(self, id: str, owner: str | None, token: str, asked: str | None, lease: float) -> bool:
        """Create an answer, even if its client disconnects; return False if the id exists already.

        The storage gets a shorter lease than the journal's: in the rest of that, readers make sure that a
        producer which looks dead stays so.
        """
        if self._opening >= self._storage.opening:
            # Each of them would wait for all others, until nobody gets an answer in time.
            raise JournalError(f"{self._opening:,} answers wait to begin")
        self._opening += 1
        began = current_time()
        try:
            with limit(self._storage, self.lease, shield=True):
                return await self._storage.create(id, owner=owner, token=token, lease=lease, asked=asked)
        finally:
            self._opening -= 1
        raise no_reply_error(self._storage, began, self.lease)

    def _pass_on(
        self, id: str, owner: str | None, first: int, records: Sequence[bytes], size: int, *, is_last: bool
    ) -> None:
        """Pass records, which a producer has just written, to the answer's feed in this process, if any."""
        feed = self._feeds.get(id)
        if feed is not None:
            feed.take(first, records, size, owner=owner, is_last=is_last)

    async def _run_producer(self, producer: Producer) -> None:
        """Run a producer to its end; log any exception of the storage."""
        try:
            await producer.run()
        except Exception as error:  # noqa: BLE001 - a storage's exception must not end all other answers
            producer.served.tell(
                WARNING, "an answer of a journal could not be written: %s", describe_bug(error), error=error
            )
        finally:
            if self._producers.get(producer.id) is producer:
                del self._producers[producer.id]
            producer.finished.set()
            feed = self._feeds.get(producer.id)
            if feed is not None:
                # The feed no longer gets records from this producer, so it has to read the storage.
                feed.read_again()

    async def _run_feed(self, feed: Feed) -> None:
        """Run a feed, which reads an answer's records for its followers, to its end or an exception."""
        try:
            await feed.run()
        except Exception as error:  # noqa: BLE001 - must not end all other answers
            feed.served.tell(WARNING, "an answer of a journal could not be read: %s", describe_bug(error))
            feed.fail(JournalError("the journal's storage has failed"))
        if not feed.is_complete and self._feeds.get(feed.id) is feed:
            # This feed no longer reads, so the next follower needs a new one.
            del self._feeds[feed.id]

    def take_drain(self, seconds: float | None) -> None:
        """Let producers run on at a shutdown for the seconds of a response's timing, if they are known."""
        if self._follows_timing and seconds is not None:
            self._drain = seconds

    async def run_out(self) -> None:
        """Wait for the producers here at a shutdown, for a number of seconds after the first such call."""
        if self._drained_at is None:
            self._drained_at = current_time() + self._drain
        with CancelScope(deadline=self._drained_at):
            for producer in list(self._producers.values()):
                await producer.finished.wait()
