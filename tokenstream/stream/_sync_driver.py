"""The driver for `for` loops.

The *pump* reads chunks of the source, and the *machine* turns them into events, mostly by its `shortcut`.
"""

from __future__ import annotations

import sys
import warnings
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from tokenstream._basics.interrupts import is_of_signal
from tokenstream._basics.kept_errors import raised_anew
from tokenstream.errors import MisuseError, PurseUnavailable
from tokenstream.formats._endings import CLOSED
from tokenstream.stream._cancelling import send_now
from tokenstream.stream._driver import Driver
from tokenstream.stream._opening import First, has_begun
from tokenstream.stream._reading.items import END, NOTABLE_SECONDS, WAITED, SourceFailed, SourceOpened
from tokenstream.stream._reading.pump import Pump
from tokenstream.stream._refusals import concurrent_read_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokenstream._pipeline.glance import Pull
    from tokenstream._sources.kinds import LazySource, SyncSource
    from tokenstream.events import Event
    from tokenstream.stream._options import Options
    from tokenstream.stream._reading.items import ArrivalBell


class SyncDriver(Driver):
    """Drives a stream in the thread that asks for its events."""

    block = "with"  # described in `Driver`, as are the next three
    exhausted = StopIteration
    name = "Stream"
    prepares_each_read = False

    def __init__(self, source: SyncSource | LazySource, options: Options) -> None:
        super().__init__(options)
        self.pump: Pump = Pump(source, self.clock)
        self._opened_at = 0.0
        """Time at which the source was opened, or at which a read has last waited in vain."""
        self._waited = 0.0
        """Seconds for which reads have waited in vain since the last chunk."""
        if self.pump.source is not None:
            self.open(self.pump.source)

    # -- reading -----------------------------------------------------------

    def __iter__(self) -> Iterator[Event]:
        if self.verdict.error_due is None:
            self.check_events_left()
        return self

    # Not keyword-only, as Python looks up the default of such a parameter in a dict for each call.
    def __next__(self, pauses: bool = False) -> Event:  # noqa: C901, FBT001, FBT002 - what runs for every token
        """Return the next event, or None at a pause, as `step_until`; raise the error or the loop's end."""
        pump = self.pump
        if pump.busy or not pump.lock.acquire(False):  # noqa: FBT003 - a keyword takes twice as long
            raise self._busy_error()
        try:
            pump.busy = True
            intake = self.machine.intake
            # While there is a fast path, no event is left from an earlier chunk.
            event = self.machine.way.pull() if intake.shortcut is None else None
            while event is None:
                # The chunks, if a read is only a call of `next`; else None.
                chunks = pump.direct
                if intake.state != "reading" or intake.now >= self.earliest_deadline:
                    # The first read of a source is not usual; `reads_on` may replace the source.
                    reads_on = chunks is not None and intake.now >= self._opened_at and self.reads_on()
                    chunks = pump.direct if reads_on and pump.direct is chunks else None
                # At an end or a deadline, and after an interrupted read, `_advance` does what is needed.
                if chunks is None or pump.pending:
                    event = self._advance(pauses=pauses) or self.machine.way.pull()
                    if pauses and intake.state == "resting":
                        break
                    continue
                # Most chunks take this path. It does the same as `_read`, without the cost of its calls.
                clock = self.clock
                now = clock()
                if now - intake.now > NOTABLE_SECONDS:
                    self.silence.exclude_busy_time(now - intake.now)
                pump.pending = True
                try:
                    chunk: Any = next(chunks, END) if self.verdict.end_request is None else END
                except Exception as error:  # noqa: BLE001 - raised later, after the events before it
                    chunk = SourceFailed(error)
                # `unit` is the type of the chunks so far: bytes, or decoded text.
                if chunk.__class__ is intake.link.unit and self.verdict.end_request is None:
                    fast_path = intake.shortcut
                    event = intake.give(chunk, clock()) if fast_path is None else fast_path(chunk, clock())
                else:
                    event = self._process_unless_stopped(pump.convert(chunk))
                # Not in a `finally`: after a Ctrl-C, the chunk may not have been stored.
                pump.pending = False
                if event is None:
                    event = self.machine.way.pull()
        except ValueError as error:
            # From the machine's generator of events, if it has a second reader.
            self.raise_pull_error(error)
        except StopIteration:
            # The end of the stream, or of the machine's generator of events after an interruption.
            self._check_broken()
            raise
        finally:
            # This does the same as `end_read`, without the cost of a call for each event.
            pump.busy = False
            pump.lock.release()
            if self.verdict.end_request is not None:
                self.end(quiet=True)
        return event  # type: ignore[return-value] # None only at a pause

    def read_all(self) -> None:
        try:
            if self.has_ended:
                self.step()  # raises the stream's error or StopIteration
            deque(self, maxlen=0)  # the fastest way to read all items and drop them
        except StopIteration:
            # The stream was already over.
            pass

    def step(self) -> Event:
        """Return the next event for a view; after the end, raise the stream's error each time."""
        if self.has_ended:
            self.machine.way.pull_stopped()  # views deliver no `Stopped` event of a guard
            if self.pump.held is not None:
                # Ctrl-C struck after the end of the stream, before the source was closed.
                self.end(quiet=True)
            if self.error is not None:
                raise raised_anew(self.error)
            raise StopIteration
        return self.__next__()

    def step_until(self, until: float | None, *, pauses: bool = False) -> Event | None:
        """Return the next event for a view, or None if none has arrived by the time `until`.

        The time counts only if the source's reads can be limited. If the view `pauses`, it also gets None
        once only the rest of the connection is left to be read.
        """
        if self.has_ended:
            return self.step()  # raises the stream's error or StopIteration
        if until is None:
            return self.__next__(pauses=pauses)
        return self._step(partial(self._advance, until, pauses=pauses), until, pauses=pauses)

    def next_event(self, until: float) -> Event | None:
        """Return the next event, as a loop gets it; None if none has arrived by the time `until`."""
        if not self.waits_in_time:
            self.read_ahead()
        return self._step(partial(self._advance, until), until)

    @property
    def can_wait_in_time(self) -> bool:
        """True if `next_event` does so, by a thread; nothing could end the reads of a generator."""
        return self.waits_in_time or self.pump.can_be_woken

    def step_now(self) -> Event | None:
        """Return the next event if it has already arrived, otherwise None."""
        # After the end, `step` does not wait: it returns an event that is left, or raises.
        return self.step() if self.has_ended else self._step(self._advance_now)

    def poll(self, bell: ArrivalBell) -> Event | None:
        """Return the next event, or None if none has arrived; `bell` wakes the loop over several streams."""
        return self._step(partial(self._advance_without_waiting, bell))

    @property
    def waits_in_time(self) -> bool:
        """True if a read can stop waiting at a given time without losing anything."""
        # `limit_read` limits the time of a source's read; a wait before a retry can be interrupted, too.
        return self.pump.limit_read is not None or self.pump.awaits_retry

    def read_ahead(self) -> None:
        """Let a thread read the source, so that `step_until` can stop waiting on time."""
        if not self.has_ended:
            if not self.pump.begin_read():
                raise self._busy_error()
            try:
                self._begin()
                self.pump.read_ahead()
            finally:
                self.end_read()

    def next_item(self, until: float | None = None) -> object:
        """Return the next item; deadlines apply if reads are limited, before opening and after the end."""
        pump = self.pump
        if pump.limit_read is not None:
            return pump.read(self.find_read_limit(self.clock() - self._waited, until))
        if pump.chunks is not None and (pump.needs_no_limit or not self.is_after_end):
            # The source applies the deadlines itself, or only a shutdown of its socket could end a read. That
            # would lose the rest of the answer. (Before the opening and after the end, it loses nothing.)
            return pump.read(None)
        if until is not None and pump.awaits_retry:
            # Nothing is lost if the caller stops waiting before the source is opened again.
            return pump.wait_for_retry(self.find_read_limit(None, until))
        self._begin()
        return pump.read(self.find_read_limit(None))

    def open_now(self) -> None:
        """Open the source before the first read; like a read, this needs the pump."""
        if not self.pump.begin_read():
            raise concurrent_read_error()
        try:
            # A failed attempt may be retried with another source; after a final error, nothing is read.
            while (
                self.is_unopened
                and self.machine.intake.state == "reading"
                and self.verdict.end_request is None
            ):
                self._read()
        finally:
            self.end_read()

    def wait_open(self, first: First) -> None:
        """Read until the head or the first event, which a loop still gets; raise the answer's error."""
        while not has_begun(self, first):
            try:
                event = self._step(self._advance)
            except StopIteration:
                break
            if event is not None:
                self.machine.way.give_again(event)
                return
        if self.has_ended and self.error is not None:
            raise raised_anew(self.error)

    def _advance_now(self) -> Event | None:
        """Return the event of a chunk that has already arrived; None if none has, or if a read would wait."""
        # Limited to the present, the read does not wait.
        return None if self.pump.limit_read is None else self._advance(self.clock())

    def _advance_without_waiting(self, bell: ArrivalBell) -> Event | None:
        """Take chunks that the thread has read until one produces an event; return that event, or None."""
        pump, event = self.pump, None
        while event is None:
            if self.machine.intake.state == "sliced":
                self.pass_slice()
            elif self.prepare_read():
                self.begin_polling(bell)  # a source that replaces another one needs a new thread
                if not pump.has_item:
                    break
                event = self._process_unless_stopped(pump.read(None))
                pump.pending = False  # until now, an interruption might have lost the item
            else:
                # After the last event, this raises the stream's error or StopIteration.
                event = self._advance()
            event = event or self.machine.way.pull()
        return event

    def begin_polling(self, bell: ArrivalBell) -> None:
        """Let a thread read the source, for a loop that also reads other streams."""
        self._begin()
        self.pump.listen(bell)

    def idle_until(self, since: float) -> float | None:
        """Return the time at which to call `expire` if nothing has arrived `since`; None for never."""
        return None if self.machine.intake.state in CLOSED or self.has_ended else self.find_read_limit(since)

    def expire(self) -> None:
        """Apply the deadlines; called if nothing has arrived by the time that `idle_until` returned."""
        # If another thread reads, that read has deadlines of its own.
        if self.pump.begin_read():
            try:
                self.process_item(WAITED, self.clock())
            finally:
                self.end_read()

    def finish_polling(self) -> bool:
        """End the reading thread; return True if a thread was reading, whose items can still be taken."""
        return self.pump.finish()

    def _step(self, advance: Pull, until: float | None = None, *, pauses: bool = False) -> Event | None:
        """Return the next event; None at a pause, or if a single chunk, or those until a time, give none."""
        if not self.pump.begin_read():
            raise self._busy_error()
        try:
            # An event may be left from an earlier chunk.
            event = self.machine.way.pull()
            while event is None and (until is None or self.clock() < until):
                event = advance() or self.machine.way.pull()
                if until is None or (pauses and self.machine.intake.state == "resting"):
                    break
        except ValueError as error:
            # From the machine's generator of events, if it has a second reader.
            self.raise_pull_error(error)
        except StopIteration:
            # The end of the stream, or of the machine's generator of events after an interruption.
            self._check_broken()
            raise
        finally:
            self.end_read()
        return event

    # -- ending ------------------------------------------------------------

    @property
    def is_unopened(self) -> bool:
        return self.pump.lazy is not None

    def stop(self, reason: str | None = None) -> None:
        self.verdict.request_end(reason or "stop")
        self.end(quiet=True)

    def close(self, *, quiet: bool = False) -> None:
        """Close the source; the message keeps the content read so far."""
        self.record_closing()
        self.end(quiet=quiet)

    def end(self, *, quiet: bool = False) -> None:
        """End the stream here, or have the read in progress do it; `quiet` logs errors of closing."""
        pump = self.pump
        if self.has_ended and pump.closed and pump.held is None and self.verdict.stop_reason is None:
            return  # the usual end of a block, which comes after that of the stream
        if pump.busy or not pump.lock.acquire(blocking=False):
            # The reading thread ends the stream when its read returns; do not wait for that here.
            pump.stop()
            return
        try:
            self._end_with_lock(quiet=quiet)
        finally:
            pump.lock.release()

    def close_source(self, *, quiet: bool = False) -> None:
        """Close the source, unless it is closed; with `quiet`, log errors instead of raising them."""
        try:
            self.pump.close()
        except Exception as error:
            if not quiet or is_of_signal(error):
                raise
            self.note_unclosed(error)
        finally:
            if (cancelling := self.take_cancelling()) is not None:
                send_now(cancelling, self)
            if (booking := self.take_booking()) is not None:
                booking.make()

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        """Warn about a stream that was dropped unclosed, and close its source."""
        # At the exit, modules are gone, and closing may crash (CPython 3.13); or the constructor failed.
        if is_finalizing() or not hasattr(self, "pump"):
            return
        source = self.pump.source
        is_lent = source is not None and source.lent  # then another object closes it
        try:
            if source is not None and not is_lent:
                warnings.warn(
                    f"{self!r} was never closed: use `with`", ResourceWarning, source=self, stacklevel=2
                )
        finally:  # because warnings may be turned into errors
            if self.pump.held is not None and not is_lent:
                self.close_source(quiet=True)
            self.machine.dispose()

    # -- within ------------------------------------------------------------

    def _begin(self) -> None:
        """Start timing the request of a source that is not opened yet."""
        if not self.pump.begun and self.pump.lazy is not None:
            self.begin_request(self.pump.lazy)

    def _advance(self, until: float | None = None, *, pauses: bool = False) -> Event | None:
        """Read a chunk, but at a pause none of the rest; return an event of the fast path, else None.

        At the end of the stream, this raises the stream's error or StopIteration.
        """
        intake = self.machine.intake
        if intake.state == "sliced" and self.verdict.end_request is None:
            self.pass_slice()
            return None
        if self.prepare_read():
            event = None if pauses and intake.state == "resting" else self._read(until)
            if intake.state != "ended" or intake.events_left or self.machine.way.pull is not intake.read:
                return event
            # The input has ended and has left no event, and none is held back: the ending is decided now.
        had_ended = self.has_ended
        are_events_left = not had_ended and self.conclude()
        # The caller pulls the events that `conclude` has released, or the `Stopped` event of a guard.
        if are_events_left or self.machine.way.stopped_event is not None:
            return None
        if not had_ended:
            self.verdict.error_due = self.error  # if Ctrl-C interrupts the closing, the next read raises it
        self.close_source(quiet=True)
        # The error is raised once; a later call only ends the loop.
        error, self.verdict.error_due = self.verdict.error_due, None
        raise StopIteration if error is None else raised_anew(error)

    def _read(self, until: float | None = None) -> Event | None:
        """Read the next item; return its event if the machine's fast path produced one, else None."""
        intake = self.machine.intake
        pump = self.pump
        # `intake.now` is the time of the last chunk; before the first one, the source was just opened.
        began = self.clock()
        seconds = began - max(intake.now, self._opened_at)
        if seconds > NOTABLE_SECONDS and pump.chunks is not None and pump.lazy is None:
            # The program has done something else since then.
            self.silence.exclude_busy_time(seconds)
        item = self.next_item(until)
        if item is WAITED:
            # A view or a relay that acts on time ends the wait, but not the silence.
            self._opened_at = now = self.clock()
            self._waited += now - began
        else:
            self._waited = 0.0
        event = self._process_unless_stopped(item)
        pump.pending = False  # the item is stored now, so that an interruption loses nothing
        return event

    def _process_unless_stopped(self, item: object) -> Event | None:
        """Process an item of the pump, or end the stream if it was stopped meanwhile."""
        if self.verdict.end_request is not None and item.__class__ is not SourceOpened:
            # Somebody called `stop` meanwhile. (An opened source is stored first, so that it can be closed.)
            self._end_with_lock(quiet=True)
            return None
        try:
            return self.process_item(item, self.clock())
        except MisuseError:
            self.close_source(quiet=True)
            raise

    def release_source(self) -> None:
        """Close the source; if closing fails, only log the error."""
        self.close_source(quiet=True)

    def book(self, booking: Any) -> None:  # noqa: ANN401 - a `Booking`
        try:
            self.note_booked(booking.make())
        except PurseUnavailable as error:
            self.fail_booking(error)

    def replace_source(self, source: LazySource) -> None:
        self.close_source(quiet=True)
        self.pump.replace(source)

    def open(self, source: SyncSource) -> None:  # type: ignore[override] # a pump opens its own kind
        self._opened_at = self.clock()
        self.pump.limit_waits(self)
        super().open(source)

    def _end_with_lock(self, *, quiet: bool) -> None:
        """End the stream; this thread holds the pump's lock. `quiet` logs errors instead of raising them."""
        try:
            self.cut_short("stopped", self.verdict.end_request)
        finally:
            self.close_source(quiet=quiet)

    def _busy_error(self) -> Exception:
        """Return the exception for a read while another thread is reading."""
        is_over = self.verdict.end_request is not None or self.has_ended
        # If the stream has ended or is being stopped, this loop ends, too.
        return StopIteration() if is_over else concurrent_read_error()

    def _check_broken(self) -> None:
        """If decoding was interrupted, close the source and raise the stream's error."""
        # Only after an interruption do the events end before the stream has.
        if not self.has_ended:
            self.close_source(quiet=True)
            raise self.break_off() from None

    def end_read(self) -> None:
        """End the read; also end the stream, if `stop` was called during the read."""
        self.pump.end_read()
        if self.verdict.end_request is not None:
            # Quiet, because an event or another error may be on its way to the caller.
            self.end(quiet=True)
