"""Producers, each of which reads one answer's stream and writes its records to the storage.

A producer has three tasks:

    read    events of the stream ─▶ a queue of records
    write   the queue ─▶ the storage; the first record at once, later ones every 20 ms, together
            with those of all other answers (a storage in memory takes each record from the task
            that reads; this task begins only if the storage has refused one)
    watch   a heartbeat every quarter of the lease; the reply says whether a stop was requested

The last record reports how the answer ended: the stream ended or failed, a stop was
requested, or this process is shutting down. The first of these to happen counts.
"""

from __future__ import annotations

import time
from contextlib import nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from tokenstream._basics.error_marks import add_sentence
from tokenstream.errors import StreamError
from tokenstream.events import Stopped
from tokenstream.relay._attribution import ending_of, interrupt_source, make_interruption
from tokenstream.relay._encoders.tokenstream import is_recorded, record
from tokenstream.relay._events_in import close_stream, converted_refusals
from tokenstream.relay._sending import TELLING, ReportedEnding, report_losses
from tokenstream.relay.journal._changes import Changes
from tokenstream.relay.journal._errors import JournalError, describe_failure
from tokenstream.relay.journal._records import record_ending, record_failure, record_interruption
from tokenstream.relay.journal._storage import limit, retry
from tokenstream.stream._reading.reader import run_until_cancelled

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Sequence

    from anyio.abc import TaskGroup

    from tokenstream.events import Event
    from tokenstream.relay._attribution import ServedAnswer
    from tokenstream.relay._shape import Shaping
    from tokenstream.relay.journal._storage import Storage

_MAX_BATCH = 1_000
"""The maximum number of records in one write."""
_GATHER_SECONDS = 0.02
"""The time between two writes. All producers of a process write at the same times, the multiples of this,
so that the storage can send their records together.
"""
_AT_ONCE = 3
"""The number of first records that do not wait for others: the start of an answer, of a text, and a token."""
_MAX_QUEUED_BYTES = 4 * 1024 * 1024
"""The size in bytes of the queued records above which the provider's stream is not read further."""
ALIVE_SHARE = 0.75
"""Share of a lease for which a producer counts as alive after a heartbeat or a write. The rest of the lease
is left to readers: they look a second time before they declare the producer dead."""
CUT_OFF = "the journal no longer takes the answer"
"""The error message for the readers of an answer whose records the storage no longer accepts."""
_CLOSING_SECONDS = 2.0
"""The seconds allowed for writing the last record while the process shuts down."""


class TellWritten(Protocol):
    """The type of the function that a producer calls after each write to the storage."""

    def __call__(self, first: int, records: Sequence[bytes], size: int, /, *, is_last: bool) -> None:
        """Receive records that are in the storage now, for example to pass them on to followers."""


class WriteTimer:
    """Wakes all producers of a journal that have records to write at the same times."""

    def __init__(self) -> None:
        self._ringing: dict[Changes, None] = {}
        """The changes to notify at the next time, in order."""
        self._has_work = Changes()
        """Wakes `run`."""

    def ring_for(self, changes: Changes) -> None:
        """Notify those who wait for changes at the next time."""
        self._ringing[changes] = None
        self._has_work.notify()

    async def run(self) -> None:
        """Ring at the multiples of `_GATHER_SECONDS`, until cancelled."""
        import anyio

        while True:
            if not self._ringing:
                await self._has_work.wait()
            await anyio.sleep(_GATHER_SECONDS - anyio.current_time() % _GATHER_SECONDS)
            ringing, self._ringing = self._ringing, {}
            for changes in ringing:
                changes.notify()


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
        tell_written: TellWritten,
        *,
        served: ServedAnswer,
        timer: WriteTimer,
        lease: float,
        raw: bool = False,
        shaping: Shaping | None = None,
    ) -> None:
        import anyio

        self.id = id
        self.opened = anyio.Event()
        """Set at the first event, when the answer has ended without any, or when its failure is written."""
        self.finished = anyio.Event()
        self.served = served
        self._failure: StreamError | None = None
        """The error of an answer that failed before its first event."""
        self._is_awaited = False
        """True while somebody waits for the first event who reports a failure."""
        # Given by the journal.
        self._storage = storage
        self._stream: Any = stream
        self._tell_written = tell_written
        self._timer = timer
        self._lease = lease
        # In the rest of the lease, readers look again before they bury the producer.
        self._append = partial(storage.append, id, token, lease=lease * ALIVE_SHARE)
        self._beat = partial(storage.beat, id, token, lease=lease * ALIVE_SHARE)
        self._raw = raw
        self._shaping = shaping
        # Reading the stream.
        self._reported = ReportedEnding()
        """Finds the ending of the answer from its events, for a source that does not know the ending."""
        self._lost_events: set[str] = set()
        """Names of the classes of events that have no record, since they are newer than this library."""
        self._reading = anyio.CancelScope()
        """The scope in which the stream is read; `stop`, `shut_down` and `_give_up` cancel it."""
        # Writing the records.
        self._queued: list[bytes] = []
        """Records that are not written yet."""
        self._queued_bytes = 0
        self._last_written = 0
        """The last position that is certainly in the storage."""
        # The end of the answer.
        self._last_records: list[bytes] | None = None
        """The records that end the answer; None until its ending is decided."""
        self._end_queued = False
        """True once the last records have been queued."""
        self._is_cut_off = False
        """True once the storage no longer accepts records from this producer."""
        # The changes for which the tasks wait.
        self._must_write = Changes()
        """Wakes the task that writes."""
        self._has_room = Changes()
        """Wakes the task that reads when queued records have been written."""
        self._has_writer = False
        """True once `_write` was begun: for a storage that never waits, only if it has refused a record."""
        self._all_written = anyio.Event()
        """Set when no more records will be written."""

    async def wait_opened(self, seconds: float, *, reports: bool) -> StreamError | None:
        """Wait for the first event; return the failure before it, which is not logged unless `reports`."""
        from anyio import move_on_after

        self._is_awaited, is_told = not reports, False
        try:
            with move_on_after(seconds):
                await self.opened.wait()
            is_told = True
        finally:
            self._is_awaited = False
            if self._failure is not None and not is_told:
                self.served.report(self._failure)
        return self._failure if self.opened.is_set() else None

    async def run(self) -> None:
        """Read the answer until it ends, and write every record."""
        import anyio

        try:
            async with anyio.create_task_group() as self._tasks:
                if not self._storage.instant:
                    self._begin_writing()
                self._tasks.start_soon(run_until_cancelled, self._watch)
                await self._read()
                if self._has_writer:
                    await self._all_written.wait()
                else:
                    self._has_writer = True
                    await self._write()
                self._tasks.cancel_scope.cancel()
        except anyio.get_cancelled_exc_class():
            # The journal's tasks were cancelled: the readers still learn that the answer is over.
            self._break_off("the server ended in the middle of the answer")
            self._queue_end([])
            with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSING_SECONDS):
                await self._flush()
            raise
        finally:
            # `Journal.start` may still be waiting for the first event.
            self.opened.set()
            if self._failure is not None and not self._is_awaited:
                self.served.report(self._failure)

    def stop(self, reason: str) -> None:
        if self._last_records is None:
            self._last_records = [record(Stopped(reason)), record_ending("stopped")]
            stop = getattr(self._stream, "stop", None)
            if stop is not None:
                # The stream's own message must end as stopped, too.
                stop(reason)
        self._reading.cancel()

    def shut_down(self) -> bool:
        """End the answer because this server shuts down; return False if its ending is decided already."""
        is_cut = self._last_records is None
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
        except StreamError as error:
            if self.opened.is_set():
                self.served.report(error)
            else:
                # The code that started the answer waits for `opened`, and raises this error.
                self._failure = error
            last = [record_failure(error, raw=self._raw)]
        except Exception as error:  # noqa: BLE001 - the bug in one answer must not end all the others
            self.served.report_bug(error)
            last = [record_failure(error)]
        if last is None:
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
        stream, shaping, has_begun = self._stream, self._shaping, False
        try:
            async with stream if hasattr(stream, "__aenter__") else nullcontext():
                async for event in stream:
                    if shaping is None:
                        self._queue_event(event)
                    else:
                        for shaped in shaping.feed(event, now=time.monotonic()):
                            self._queue_event(shaped)
                        # This raises the exception of a stage that has failed.
                        shaping.check()
                    if self._queued and not self._is_cut_off:
                        await self._write_soon()
                    if not has_begun:
                        has_begun = True
                        self.served.begin()
                        self.opened.set()
                    while self._queued_bytes > _MAX_QUEUED_BYTES and not self._is_cut_off:
                        await self._has_room.wait()
        finally:
            await close_stream(stream)

    def _queue_event(self, event: Event) -> None:
        """Queue the record of an event, unless the event has none or the last record is queued already."""
        if event.__class__ in TELLING:
            self._reported.note(event)
        event_record = b"" if self._end_queued else record(event, raw=self._raw)
        if event_record:
            self._queued.append(event_record)
            self._queued_bytes += len(event_record)
        elif not is_recorded(event):
            self._lost_events.add(type(event).__name__)

    def _queue_end(self, records: list[bytes]) -> None:
        """Queue the records that end the answer, unless an end was queued, or chosen by a stop."""
        if not self._end_queued:
            if self._last_records is None:
                self._last_records = records
            # If `shape` fails here, its error replaces the last records.
            self._queue_rest_of_text()
            if self._lost_events:
                report_losses("tokenstream", ", ".join(sorted(self._lost_events)), self.served)
            self._queued += self._last_records
            self._queued_bytes += sum(map(len, self._last_records))
            self._end_queued = True
            self._must_write.notify()

    def _queue_rest_of_text(self) -> None:
        """Queue the text that `shaping` has held back; if that raises, the error ends the answer."""
        shaping = self._shaping
        if shaping is None:
            return
        try:
            for shaped in shaping.end(now=time.monotonic()):
                self._queue_event(shaped)
            # Raises the error that `shape` has met, if any.
            shaping.check()
        except Exception as error:  # noqa: BLE001 - readers wait for a last record, whatever `shape` raises
            self.served.report_bug(error)
            self._last_records = [record_failure(error)]

    # -- writing -------------------------------------------------------------

    def _begin_writing(self) -> None:
        if not self._has_writer:
            self._has_writer = True
            self._tasks.start_soon(run_until_cancelled, self._write)

    async def _write(self) -> None:
        """Write queued records until the last one is written."""
        while not self._is_cut_off and (self._queued or not self._end_queued):
            # Neither the first token waits for others, nor the end.
            if not self._queued or (self._last_written >= _AT_ONCE and not self._end_queued):
                if self._queued:
                    self._timer.ring_for(self._must_write)
                await self._must_write.wait()
            await self._flush()
        self._all_written.set()

    async def _write_soon(self) -> None:
        """Write the queued records at once if no other task does, else wake that task."""
        if not self._has_writer:
            first, batch = self._last_written + 1, self._queued
            try:
                await self._append(first, batch)
            except JournalError:
                # The other task repeats the write, and decides when to give up.
                self._begin_writing()
            else:
                # As `_flush` does with a part of the queue; but this is all of it, for each token.
                self._last_written += len(batch)
                size, self._queued_bytes, self._queued = self._queued_bytes, 0, []
                self._tell_written(first, batch, size, is_last=False)
                return
        if self._last_written < _AT_ONCE:
            self._must_write.notify()
        else:
            self._timer.ring_for(self._must_write)

    async def _flush(self) -> None:
        """Write the records that are queued now to the storage; give up if the storage refuses them."""
        last = self._last_written + len(self._queued)
        while self._last_written < last and not self._is_cut_off:
            batch = tuple(self._queued[:_MAX_BATCH])
            is_last = self._end_queued and len(batch) == len(self._queued)
            append = partial(self._append, self._last_written + 1, batch, over=is_last)
            is_limited = self._storage.limits_appends and not is_last
            try:
                await retry(self._storage, append, self._lease, is_limited=is_limited)
            except JournalError as error:
                self._give_up(error)
                if error.kind != "fenced":
                    await self._write_early_end()
                break
            size = sum(map(len, batch))
            first = self._last_written + 1
            self._last_written += len(batch)
            self._queued_bytes -= size
            del self._queued[: len(batch)]
            self._tell_written(first, batch, size, is_last=is_last)
            self._has_room.notify()

    def _give_up(self, error: Exception) -> None:
        """Stop reading, since the storage accepts no more records of this answer; log that, once."""
        if not self._is_cut_off:
            cut = make_interruption(self._stream, CUT_OFF)
            self.served.report(add_sentence(cut, f"{CUT_OFF}: {describe_failure(error)}"))
            self._last_records = self._last_records or [record_interruption(CUT_OFF)]
        self._is_cut_off = True
        # Wake the tasks that wait in `_consume` and in `_write`: nothing more will be written.
        self._has_room.notify()
        self._must_write.notify()
        self._reading.cancel()

    async def _write_early_end(self) -> None:
        """Try once to end the answer in the storage after its last written record.

        A storage that is full may still take this one record, which ends the wait of all readers. If it
        does not, readers in each process learn from their feed that the journal cannot be used.
        """
        import anyio

        with anyio.move_on_after(self._lease / 2), suppress(JournalError):
            # A write that seems to have failed may have succeeded, so the storage is asked for the position.
            page = await self._storage.read(self.id, 0, 0)
            if page is not None and not page.state.over:
                self._last_written = page.state.end
                await self._append(self._last_written + 1, (record_interruption(CUT_OFF),), over=True)

    # -- watching ------------------------------------------------------------

    async def _watch(self) -> None:
        """Report to the storage, four times a lease, that the producer is alive; stop the answer on request.

        Runs as a task of its own until all records are written. Any process may put a request to stop the
        answer into the storage. The reply to the next report contains the reason of such a request; between
        two reports, the task waits for a request, so that the next report is made at once. The first report
        is the creation of the answer.
        """
        import anyio
        from anyio.lowlevel import checkpoint

        pause = self._lease / 4
        while not self._is_cut_off and not self._all_written.is_set():
            try:
                with anyio.move_on_after(pause):
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
                    await anyio.sleep(pause)
                    self._queue_end([])
                    self._begin_writing()
                # A storage in memory answers without yielding to the event loop.
                await checkpoint()
            except JournalError as error:
                if error.kind == "fenced":
                    self._give_up(error)
                    continue
                # Writes are also retried: the task that writes decides when to give up.
                await anyio.sleep(min(pause, 1.0))
