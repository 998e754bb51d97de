"""Producers, each of which reads one answer's stream and writes its records to the storage.

A producer has three tasks:

    read    events of the stream ─▶ a queue of records
    write   the queue ─▶ the storage, as a `RecordWriter` does
    watch   a heartbeat every quarter of the lease; the reply says whether a stop was requested

The last record reports how the answer ended: the stream ended or failed, a stop was
requested, or this process is shutting down. The first of these to happen counts.
"""

from __future__ import annotations

from collections import deque
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from anyio import CancelScope, create_task_group, get_cancelled_exc_class, move_on_after, sleep
from anyio.lowlevel import checkpoint

from tokenstream._basics.error_marks import add_sentence
from tokenstream.errors import AnswerFailure
from tokenstream.events import Event, MessageStart, Resumed
from tokenstream.relay._attribution import ServedAnswer, ending_of, interrupt_source, make_interruption
from tokenstream.relay._encoders.tokenstream import is_recorded, record
from tokenstream.relay._events_in import close_stream, converted_refusals, take_kept
from tokenstream.relay._sending import TELLING, ReportedEnding, report_losses
from tokenstream.relay.journal._errors import JournalError, describe_failure
from tokenstream.relay.journal._feed import PAGE_SIZE
from tokenstream.relay.journal._records import (
    begin_again,
    record_ending,
    record_failure,
    record_interruption,
    record_stop,
    source_of,
    take_up,
    without_raw,
    write_kept,
)
from tokenstream.relay.journal._storage import Storage, limit, retry
from tokenstream.relay.journal._writer import ALIVE_SHARE, RecordWriter
from tokenstream.stream import AsyncStream
from tokenstream.stream._log import WARNING
from tokenstream.stream._reading.reader import run_until_cancelled
from tokenstream.stream._views.event_cursor import EventCursor

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Sequence

    from anyio.abc import TaskGroup

    from tokenstream.relay._shape import Shape, Shaping

_CUT_OFF = "the journal no longer takes the answer"
"""The error message for the readers of an answer whose records the storage no longer accepts."""
_CLOSING_SECONDS = 2.0
"""The seconds allowed for writing the last record while the process shuts down."""


class Producer:
    """Reads the stream of one answer, and writes the answer's records to a storage."""

    _tasks: TaskGroup
    """The tasks beside the one that reads."""

    def __init__(
        self,
        storage: Storage,
        id: str,
        token: str,
        stream: AsyncIterable[Event],
        writer: RecordWriter,
        *,
        served: ServedAnswer,
        lease: float,
        raw: bool,
        shaping: Shaping | None,
        take_over: float | None,
        leave: Callable[[], Awaitable[object]],
        first: Sequence[Event],
        known: Sequence[bytes],
    ) -> None:
        self.id = id
        self.opened = anyio.Event()
        """Set at the first event, when the answer has ended without any, or when its failure is written."""
        self.finished = anyio.Event()
        self.served = served
        self._failure: AnswerFailure | None = None
        """The error of an answer that failed before its first event."""
        self._is_awaited = False
        """True while somebody waits for the first event who reports a failure."""
        # Given by the journal.
        self._storage = storage
        self._stream: Any = stream
        self._lease = lease
        self._take_over = take_over or 0.0
        """The seconds for which readers wait for another producer, if this one leaves or dies; 0 for none."""
        # In the rest of the lease, readers look again before they bury the producer.
        self._beat = partial(storage.beat, id, token, lease=lease * ALIVE_SHARE + self._take_over)
        self._leave = leave
        self._raw = raw
        self._shaping = shaping
        self._writer = writer
        # Reading the stream.
        self._first = first
        """Events before those that the stream gives: readers begin again, or get what a process has kept."""
        self._known = deque(known)
        """The records of the next events that the stream gives, which readers have already."""
        self._keep = partial(storage.keep, id, token)
        self._reported = ReportedEnding()
        """Finds the ending of the answer from its events, for a source that does not know the ending."""
        self._lost_events: set[str] = set()
        """Names of the classes of events that have no record, since they are newer than this library."""
        self._reading = CancelScope()
        """The scope in which the stream is read; `stop`, `shut_down` and `_give_up` cancel it."""
        # The end of the answer.
        self._last_records: list[bytes] | None = None
        """The records that end the answer; None until its ending is decided."""
        self._all_written = anyio.Event()
        """Set when no more records will be written."""

    async def wait_opened(self, seconds: float | None, *, reports: bool) -> None:
        """Wait for the first event; raise the failure before it, which is not logged unless `reports`."""
        if seconds is None:
            return
        self._is_awaited, is_told = not reports, False
        try:
            with move_on_after(seconds):
                await self.opened.wait()
            is_told = True
        finally:
            self._is_awaited = False
            if self._failure is not None and not is_told:
                self.served.report(self._failure)
        if self._failure is not None and self.opened.is_set():
            raise self._failure

    async def run(self) -> None:
        """Read the answer until it ends, and write every record."""
        try:
            async with create_task_group() as self._tasks:
                if not self._storage.instant:
                    self._begin_writing()
                self._tasks.start_soon(run_until_cancelled, self._watch)
                await self._read()
                if self._writer.claim():
                    await self._write()
                else:
                    await self._all_written.wait()
                self._tasks.cancel_scope.cancel()
        except get_cancelled_exc_class():
            # The journal's tasks were cancelled: the readers still learn that the answer is over.
            if not self.hand_over():
                self._break_off("the server ended in the middle of the answer")
            self._queue_end([])
            with CancelScope(shield=True), move_on_after(_CLOSING_SECONDS):
                await self._write()
            raise
        finally:
            # `Journal.start` may still be waiting for the first event.
            self.opened.set()
            if self._failure is not None and not self._is_awaited:
                self.served.report(self._failure)

    def stop(self, reason: str) -> None:
        if self._last_records is None:
            self._last_records = record_stop(reason)
            stop = getattr(self._stream, "stop", None)
            if stop is not None:
                # The stream's own message must end as stopped, too.
                stop(reason)
        self._reading.cancel()

    def hand_over(self) -> bool:
        """Leave the answer to another process; return False if it has ended, or ends with this process."""
        if self._last_records is None and self._take_over and not self._writer.is_left:
            self._writer.leave()
            self._reading.cancel()
        return self._writer.is_left

    def shut_down(self) -> bool:
        """Hand the answer over, or end it, because this server shuts down; return False if it is not cut."""
        is_cut = self._last_records is None and not self.hand_over()
        if is_cut:
            self._last_records = [record_failure(interrupt_source(self._stream), raw=True)]
        self._reading.cancel()
        return is_cut

    # -- reading -------------------------------------------------------------

    async def _read(self) -> None:
        """Queue the stream's events, then the records that report how the answer ended."""
        last: list[bytes] | None = None
        try:
            # `stop`, `shut_down` and `_give_up` cancel this scope.
            with self._reading:
                with converted_refusals():
                    await self._consume()
                ending = self._reported.choose(ending_of(self._stream))
                broken = self.served.find_broken(ending)
                if broken is not None:
                    raise broken
                last = [record_ending(ending)]
        except AnswerFailure as error:
            if self.opened.is_set():
                self.served.report(error)
            else:
                # The code that started the answer waits for `opened`, and raises this error.
                self._failure = error
            last = [record_failure(error, raw=self._raw)]
        except Exception as error:  # noqa: BLE001 - the bug in one answer must not end all the others
            self.served.report_bug(error)
            last = [record_failure(error)]
        if last is None and not self._writer.is_left:
            # Whatever has cancelled the reading otherwise has chosen the last records itself.
            self._break_off("the answer was cancelled")
        self._queue_end(last or [])
        # A client that learns of a failure may ask again at once, and must then find it written: `run` sets
        # `opened`.
        if self._failure is None:
            self.opened.set()

    def _break_off(self, message: str) -> None:
        """Choose a record that reports an interruption as the answer's last, unless others were chosen.

        A stop that was requested before stays the answer's ending.
        """
        if self._last_records is None:
            self.served.report(make_interruption(self._stream, message))
            self._last_records = [record_interruption(message)]

    async def _consume(self) -> None:
        """Enter the stream, queue its events, but pause while too many bytes are queued, and close it."""
        stream, has_begun = self._stream, False
        try:
            async with stream if hasattr(stream, "__aenter__") else nullcontext():
                for event in self._first:
                    self._queue_shaped(event)
                if not await self._writer.write_soon():
                    self._begin_writing()
                async for event in stream:
                    self._queue_shaped(event)
                    if event.__class__ is MessageStart and self._take_over:
                        # Before the first record is written: nobody is to ask for this answer again.
                        await self._keep_checkpoint()
                    if not await self._writer.write_soon():
                        self._begin_writing()
                    if not has_begun:
                        has_begun = True
                        self.served.begin()
                        self.opened.set()
                    await self._writer.wait_for_room()
        finally:
            await close_stream(stream)

    async def _keep_checkpoint(self) -> None:
        """Have the storage keep what another producer needs, within a quarter of the lease."""
        # Text that `shape` takes out is not to be stored.
        if self._shaping is not None or not isinstance(self._stream, AsyncStream):
            return
        try:
            with limit(self._storage, self._lease / 4, shield=True):
                await self._keep(write_kept(source_of(self._stream), self._writer.last_queued))
        except JournalError as error:
            self.served.tell(WARNING, "no other process can resume an answer: %s", describe_failure(error))

    def _queue_shaped(self, event: Event | None) -> None:
        """Queue the records of an event, whose text `shape` may change; None for what it has held back."""
        if self._shaping is not None:
            for shaped in self._shaping.shape(event):
                self._queue_event(shaped)
        elif event is not None:
            self._queue_event(event)

    def _queue_event(self, event: Event) -> None:
        """Queue the record of an event, unless the event has none or the last record is queued already.

        Nor is one that another producer has written. If that has written something else, readers begin again
        with all that the stream has given.
        """
        if event.__class__ in TELLING:
            self._reported.note(event)
        event_record = b"" if self._writer.has_end else record(event, raw=self._raw)
        if event_record and self._known and not isinstance(event, Resumed):
            if without_raw(event_record) == without_raw(self._known.popleft()):
                return
            self._known.clear()
            for each in (begin_again(), *EventCursor(source_of(self._stream).accumulator).ready()):
                self._queue_event(each)
        elif event_record:
            self._writer.queue(event_record)
        elif not is_recorded(event):
            self._lost_events.add(type(event).__name__)

    def _queue_end(self, records: list[bytes]) -> None:
        """Queue the records that end the answer, unless an end was queued, or chosen by a stop."""
        if not self._writer.has_end:
            if self._last_records is None:
                self._last_records = records
            try:
                self._queue_shaped(None)
            except Exception as error:  # noqa: BLE001 - readers wait for a last record, whatever `shape` raises
                self.served.report_bug(error)
                self._last_records = [record_failure(error)]
            if self._lost_events:
                report_losses("tokenstream", ", ".join(sorted(self._lost_events)), self.served)
            self._writer.queue_end(self._last_records)

    # -- writing -------------------------------------------------------------

    def _begin_writing(self) -> None:
        if self._writer.claim():
            self._tasks.start_soon(run_until_cancelled, self._write)

    async def _write(self) -> None:
        """Write the records until the last one is written; give up if the storage refuses one."""
        try:
            await self._writer.run()
            if self._writer.is_left:
                await retry(self._storage, self._leave, self._lease)
        except JournalError as error:
            self._give_up(error)
            if error.kind != "fenced":
                await self._writer.write_early_end(record_interruption(_CUT_OFF))
        self._all_written.set()

    def _give_up(self, error: Exception) -> None:
        """Stop reading, since the storage accepts no more records of this answer; log that, once."""
        if not self._writer.is_cut_off:
            cut = make_interruption(self._stream, _CUT_OFF)
            self.served.report(add_sentence(cut, f"{_CUT_OFF}: {describe_failure(error)}"))
            self._last_records = self._last_records or [record_interruption(_CUT_OFF)]
        self._writer.cut_off()
        self._reading.cancel()

    # -- watching ------------------------------------------------------------

    async def _watch(self) -> None:
        """Report to the storage, four times a lease, that the producer is alive; stop the answer on request.

        Runs as a task of its own until all records are written. Any process may put a request to stop the
        answer into the storage. The reply to the next report contains the reason of such a request; between
        two reports, the task waits for a request, so that the next report is made at once. The first report
        is the creation of the answer.
        """
        pause = self._lease / 4
        while not self._writer.is_cut_off and not self._all_written.is_set():
            try:
                with move_on_after(pause):
                    await self._storage.wait_stop(self.id)
                if self._all_written.is_set():
                    break
                reason = None
                with limit(self._storage, pause):
                    reason = await self._beat()
                if reason is not None:
                    self.stop(reason)
                    # Give the stream time to end by itself. If it ignores the cancellation, end the answer
                    # without it: readers must not wait. No records are passed, since `stop` has chosen them.
                    await sleep(pause)
                    self._queue_end([])
                    self._begin_writing()
                # A storage in memory answers without yielding to the event loop.
                await checkpoint()
            except JournalError as error:
                if error.kind == "fenced":
                    self._give_up(error)
                    continue
                # Writes are also retried: the task that writes decides when to give up.
                await sleep(min(pause, 1.0))


async def go_on(
    storage: Storage,
    stream: AsyncIterable[Event],
    id: str,
    end: int,
    kept: bytes,
    *,
    shape: Shape | None,
    lease: float,
) -> tuple[list[Event], list[bytes]]:
    """Have a stream go on with an answer that another producer has begun, up to the position `end`.

    The result are the events before those of the stream: what a process has kept, after one that has
    readers begin again if the stream cannot go on for them, or the first records are gone; and the last
    records, if the stream begins with their events.
    """
    first = take_kept(stream)
    if isinstance(stream, AsyncStream) and shape is None and not first:
        records = list[bytes]()
        for after in range(0, end, PAGE_SIZE):
            page = await retry(storage, partial(storage.read, id, after, PAGE_SIZE), lease)
            records += page.records if page else ()
        if (known := take_up(source_of(stream), kept, records if len(records) == end else ())) is not None:
            return [], known
        first = take_kept(stream)
    return [begin_again()] * (end > 0) + first, []
