"""Producers, each of which reads one answer's stream and writes its records to the storage.

A producer has three tasks:

    read    events of the stream ─▶ a queue of records
    write   the queue ─▶ the storage, as a `RecordWriter` does
    watch   a heartbeat every quarter of the lease; the reply says whether a stop was requested

The last record reports how the answer ended: the stream ended or failed, a stop was
requested, or this process is shutting down. The first of these to happen counts.
"""

from __future__ import annotations

import time
from contextlib import nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import anyio
from anyio import CancelScope, create_task_group, get_cancelled_exc_class, move_on_after, sleep
from anyio.lowlevel import checkpoint

from tokenstream._basics.error_marks import add_sentence
from tokenstream.errors import AnswerFailure
from tokenstream.events import Event, Restarted, Resumed
from tokenstream.message import Message
from tokenstream.relay._attribution import ServedAnswer, ending_of, interrupt_source, make_interruption
from tokenstream.relay._encoders.tokenstream import is_recorded, record
from tokenstream.relay._events_in import close_stream, converted_refusals, take_kept
from tokenstream.relay._sending import TELLING, ReportedEnding, report_losses
from tokenstream.relay.journal._errors import JournalError, describe_failure
from tokenstream.relay.journal._records import (
    record_ending,
    record_failure,
    record_interruption,
    record_stop,
    take_up,
    write_kept,
)
from tokenstream.relay.journal._storage import ALIVE, Storage, limit, retry
from tokenstream.relay.journal._writer import ALIVE_SHARE, RecordWriter, TellWritten, WriteTimer
from tokenstream.stream import AsyncStream
from tokenstream.stream._base import find_driver
from tokenstream.stream._reading.reader import run_until_cancelled
from tokenstream.stream._views.event_cursor import EventCursor

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Sequence

    from anyio.abc import TaskGroup

    from tokenstream.relay._shape import Shape, Shaping
    from tokenstream.stream._driver import Driver

_CUT_OFF = "the journal no longer takes the answer"
"""The error message for the readers of an answer whose records the storage no longer accepts."""
_CLOSING_SECONDS = 2.0
"""The seconds allowed for writing the last record while the process shuts down."""


async def wait_for_producer(
    storage: Storage,
    take: Callable[..., Awaitable[int]],
    lease: float,
    check_open: Callable[[], None],
    *,
    waits: bool,
) -> int:
    """Take an answer over once its producer is dead; return its last position, or a negative number.

    `check_open` raises once the journal was exited.
    """
    while True:
        check_open()
        end = await retry(storage, take, lease)
        if end != ALIVE or not waits:
            return end
        await sleep(lease / 8)


async def go_on(
    storage: Storage, id: str, token: str, end: int, stream: object, *, shape: Shape | None, lease: float
) -> tuple[list[Event], list[bytes]]:
    """Have a stream go on with an answer that another producer has begun, up to the position `end`.

    The result are the events that come before those of the stream: what a process has kept of it, after one
    that has readers begin again if the stream cannot go on for them, or the first records are gone; and the
    last records, if the stream goes on before them.
    """
    first = take_kept(stream)
    if end <= 0:
        return first, []
    if isinstance(stream, AsyncStream) and shape is None and not first:
        page = await retry(storage, partial(storage.read, id, 0, end), lease)
        kept = await retry(storage, partial(storage.keep, id, token), lease)
        records = page.records if page else ()
        position = take_up(source_of(stream), kept, records)
        if 0 < position <= len(records):
            # Earlier connections, of which readers were told, are none of this stream's.
            return [], [each for each in records[position:] if not each.startswith(b'{"type":"resumed"')]
    return [Restarted(Message.model_construct()), *(first or take_kept(stream))], []


async def read_again(stream: AsyncStream, known: list[bytes], *, raw: bool) -> list[Event]:
    """Read the events whose records readers have, and return those that tell of the connection.

    If the stream gives other events, readers begin again with all that it has given.
    """
    told = list[Event]()
    async for event in stream:
        if isinstance(event, Resumed):
            told.append(event)
        elif (again := record(event, raw=raw)) and again != known.pop(0):
            break
        if not known:
            return told
    return [Restarted(Message.model_construct()), *EventCursor(source_of(stream).accumulator).ready()]


def source_of(stream: object) -> Driver:
    """Return the driver that reads the source of a stream, which may have several readers."""
    return cast("Driver", find_driver(stream)).source_driver


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
        raw: bool,
        shaping: Shaping | None,
        take_over: float | None,
        leave: Callable[[], Awaitable[int]],
        last_written: int,
        first: Sequence[Event],
        known: list[bytes],
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
        self._writer = RecordWriter(
            storage,
            id,
            token,
            tell_written,
            timer=timer,
            lease=lease,
            take_over=self._take_over,
            last_written=last_written,
        )
        # Reading the stream.
        self._first = first
        """Events before those that the stream gives: readers begin again, or get what a process has kept."""
        self._known = known
        """The records of the first events that the stream gives, which readers have."""
        self._keep = partial(storage.keep, id, token)
        # What `shape` takes out of the text is not to be stored.
        keeps = take_over and shaping is None and isinstance(stream, AsyncStream)
        self._kept: bytes | None = None if keeps else b""
        """What the storage is to keep for another producer; None to make it at the next event."""
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

    async def wait_opened(self, seconds: float, *, reports: bool) -> AnswerFailure | None:
        """Wait for the first event; return the failure before it, which is not logged unless `reports`."""
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
                if self._known:
                    for event in await read_again(stream, self._known, raw=self._raw):
                        self._queue_event(event)
                if not await self._writer.write_soon():
                    self._begin_writing()
                async for event in stream:
                    self._queue_shaped(event)
                    if self._kept is None:
                        self._kept = write_kept(source_of(stream), self._writer.last_queued)
                    if self._kept and not has_begun:
                        # Before the first record: no other producer may ask for this answer again.
                        with suppress(JournalError), limit(self._storage, self._lease / 4, shield=True):
                            await self._keep(self._kept)
                    if not await self._writer.write_soon():
                        self._begin_writing()
                    if not has_begun:
                        has_begun = True
                        self.served.begin()
                        self.opened.set()
                    await self._writer.wait_for_room()
        finally:
            await close_stream(stream)

    def _queue_shaped(self, event: Event) -> None:
        """Queue the records of an event, whose text `shape` may change."""
        shaping = self._shaping
        if shaping is None:
            self._queue_event(event)
            return
        for shaped in shaping.feed(event, now=time.monotonic()):
            self._queue_event(shaped)
        # This raises the exception of a stage that has failed.
        shaping.check()

    def _queue_event(self, event: Event) -> None:
        """Queue the record of an event, unless the event has none or the last record is queued already."""
        if event.__class__ in TELLING:
            self._reported.note(event)
        event_record = b"" if self._writer.has_end else record(event, raw=self._raw)
        if event_record:
            self._writer.queue(event_record)
        elif not is_recorded(event):
            self._lost_events.add(type(event).__name__)

    def _queue_end(self, records: list[bytes]) -> None:
        """Queue the records that end the answer, unless an end was queued, or chosen by a stop."""
        if not self._writer.has_end:
            if self._last_records is None:
                self._last_records = records
            # If `shape` fails here, its error replaces the last records.
            self._queue_rest_of_text()
            if self._lost_events:
                report_losses("tokenstream", ", ".join(sorted(self._lost_events)), self.served)
            self._writer.queue_end(self._last_records)

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
                    if self._kept:
                        # Its records are written by now.
                        await self._keep(self._kept)
                        self._kept = None
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
