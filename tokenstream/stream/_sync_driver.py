"""The driver for `for` loops."""

from __future__ import annotations

import sys
import warnings
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.sources import Deferred, SyncSource
from tokenstream.stream._driver import Driver
from tokenstream.stream._phase import Phase
from tokenstream.stream._reading.items import END, NOTABLE_SECONDS, WAITED, SourceFailed, SourceOpened
from tokenstream.stream._reading.pump import Pump
from tokenstream.stream._said import concurrent_read_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokenstream.events import Event
    from tokenstream.stream._driver import Options
    from tokenstream.stream._opening import First
    from tokenstream.stream._reading.items import ArrivalBell

_ENDED = Phase.ENDED


class SyncDriver(Driver):
    """Drives a stream in the thread that asks for its events.

    Args:
        source: The source, opened or not.
        options: How to read.
    """

    __slots__ = ("_ready_at", "pump")

    block = "with"
    exhausted = StopIteration
    name = "Stream"

    def __init__(self, source: SyncSource | Deferred, options: Options) -> None:
        super().__init__(options)
        self.pump = Pump(source, self.clock)
        self._ready_at = 0.0
        """The clock at which the source was opened."""
        if isinstance(source, SyncSource):
            self.open(source)

    # -- reading -----------------------------------------------------------

    def __iter__(self) -> Iterator[Event]:
        self.enter_loop()
        return self

    def __next__(self) -> Event:
        pump = self.pump
        if pump.busy or not pump.lock.acquire(False):  # noqa: FBT003 - a keyword takes twice as long
            raise self._busy_error()
        try:
            pump.busy = True
            machine = self.machine
            event = machine.pull() if machine.shortcut is None else None
            while event is None:
                chunks = pump.direct
                if not machine.plain or machine.now >= self.due or chunks is None or pump.pending:
                    event = self._advance() or machine.pull()
                    continue
                # The path of most chunks: the same as `_read`, without the cost of its calls.
                clock = self.clock
                now = clock()
                if now - machine.now > NOTABLE_SECONDS:
                    self._was_away(now)
                pump.pending = True
                try:
                    chunk: Any = next(chunks, END) if self.verdict.asked is None else END
                except Exception as error:  # noqa: BLE001 - raised later, after the events before it
                    chunk = SourceFailed(error)
                if chunk.__class__ is machine.unit and self.verdict.asked is None:
                    glance = machine.shortcut
                    event = machine.give(chunk, clock()) if glance is None else glance(chunk, clock())
                else:
                    event = self._place(pump.convert(chunk))
                # Not in a `finally`: Ctrl-C may have come before the chunk was stored.
                pump.pending = False
                event = event or machine.pull()
        except ValueError as error:
            self.raise_pull_error(error)
        except StopIteration:
            self._check_broken()
            raise
        finally:
            # The same as `leave`, without the cost of a call for each event.
            pump.busy = False
            pump.lock.release()
            if self.verdict.asked is not None:
                self.end(quiet=True)
        return event

    def read_all(self) -> None:
        """Read to the end."""
        try:
            if self.phase is _ENDED:
                self.step()
            deque(self, maxlen=0)
        except StopIteration:
            # The stream was already over.
            pass

    def step(self) -> Event:
        """Return the next event for a view; after the end, raise the stream's error each time."""
        if self.phase is _ENDED:
            self.machine.last = None
            if self.pump.source is not None:
                # Ctrl-C came between the end and closing the source.
                self.end(quiet=True)
            if self.error is not None:
                raise self.error.with_traceback(None)
            raise StopIteration
        return self.__next__()

    def step_until(self, until: float) -> Event | None:
        """Return the next event for a view that acts on time, or None once the time has come.

        Args:
            until: The clock at which to stop waiting, if the source's reads can be limited.
        """
        if self.phase is _ENDED:
            return self.step()
        return self._step(partial(self._advance, until), until)

    def step_now(self) -> Event | None:
        """Return the next event if it has already arrived, else None."""
        return self.step() if self.phase is _ENDED else self._step(self._advance_now)

    def next_beside(self, bell: ArrivalBell) -> Event | None:
        """Return the next event for a loop that also reads other streams; None if it has not arrived.

        Args:
            bell: Rung when something may have arrived.
        """
        return self._step(partial(self._advance_beside, bell))

    @property
    def waits_in_time(self) -> bool:
        """True if a read can be given a timeout and loses nothing when it strikes."""
        return self.pump.bound is not None or self.pump.is_waiting

    def read_ahead(self) -> None:
        """Hand the source to a thread, so that `step_until` can stop waiting on time."""
        if self.phase is not _ENDED:
            if not self.pump.enter():
                raise self._busy_error()
            try:
                self.pump.read_ahead()
            finally:
                self.leave()

    def next_item(self, until: float | None = None) -> Any:  # noqa: ANN401 - what a pump brings
        """Return the pump's next item, within the deadlines if the source's reads can be limited.

        Args:
            until: Time at which the caller stops waiting.
        """
        pump = self.pump
        if pump.bound is not None:
            return pump.read(self.find_read_limit(None, until))
        if pump.chunks is not None and not self.machine.answered:
            # A timeout would end a source whose reads have no limit.
            return pump.read(None)
        if until is not None and pump.is_waiting:
            return pump.wait(self.find_read_limit(None, until))
        if isinstance(pump.source, Deferred):
            self.begin_request(pump.source)
        return pump.read(self.find_read_limit(None))

    def open_now(self) -> None:
        """Open the source before the first read; like a read, it needs the pump."""
        if not self.pump.enter():
            raise concurrent_read_error()
        try:
            while self.is_unopened and self.machine.plain and self.verdict.asked is None:
                self._read()
        finally:
            self.leave()

    def wait_open(self, first: First) -> None:
        """Read until the answer has begun, or raise its error; the loop still gives every event.

        Args:
            first: "head" to read the head of the response, "event" to read up to the first event.
        """
        while not self.is_open(first):
            try:
                event = self._step(self._advance)
            except StopIteration:
                break
            if event is not None:
                self.machine.give_again(event)
                return
        if self.phase is _ENDED and self.error is not None:
            raise self.error.with_traceback(None)

    def _advance_now(self) -> Event | None:
        """Read a chunk that has already arrived."""
        return None if self.pump.bound is None else self._advance(self.clock())

    @property
    def is_waiting_beside(self) -> bool:
        """True if every arrived item was delivered, and the reading thread will ring for the next one."""
        machine = self.machine
        return machine.shortcut is not None and machine.plain and self.pump.will_ring

    def _advance_beside(self, bell: ArrivalBell) -> Event | None:
        """Take chunks that the thread has read, up to an event."""
        machine, pump = self.machine, self.pump
        event = None
        while event is None:
            if self.wants_more():
                self.begin_beside(bell)
                if not pump.has_come:
                    break
                event = self._place(pump.read(None))
                pump.pending = False
            else:
                event = self._advance()
            event = event or machine.pull()
        return event

    def begin_beside(self, bell: ArrivalBell) -> None:
        """Hand the source to a thread, for a loop that also reads other streams.

        Args:
            bell: Rung when something has arrived.
        """
        pump = self.pump
        if not pump.begun and isinstance(pump.source, Deferred):
            self.begin_request(pump.source)
        pump.listen(bell)

    def idle_until(self, since: float) -> float | None:
        """Return the time at which to call `expire` if nothing arrives before; None for never.

        Args:
            since: Time since which nothing has arrived.
        """
        return None if self.machine.over or self.phase is _ENDED else self.find_read_limit(since)

    def expire(self) -> None:
        """Apply the deadlines, after nothing has arrived until the time that `idle_until` gave."""
        if self.pump.enter():
            try:
                self.take(WAITED, self.clock())
            finally:
                self.leave()

    def finish_beside(self) -> bool:
        """End the reading thread; True if there is one, whose arrived items may still be read."""
        return self.pump.finish()

    def _step(self, advance: Callable[[], Event | None], until: float | None = None) -> Event | None:
        """Return the next event, or None if it has not arrived.

        Args:
            advance: Reads a chunk.
            until: Time at which to stop reading; None to read once.
        """
        if not self.pump.enter():
            raise self._busy_error()
        try:
            event = self.machine.pull()
            while event is None and (until is None or self.clock() < until):
                event = advance() or self.machine.pull()
                if until is None:
                    break
        except ValueError as error:
            self.raise_pull_error(error)
        except StopIteration:
            self._check_broken()
            raise
        finally:
            self.leave()
        return event

    # -- ending ------------------------------------------------------------

    @property
    def is_unopened(self) -> bool:
        return isinstance(self.pump.source, Deferred)

    @property
    def is_reading(self) -> bool:
        return self.pump.busy

    def stop(self, reason: str | None = None) -> None:
        """End the stream here; the message keeps what was read."""
        self.verdict.ask(reason or "stop")
        self.end(quiet=True)

    def close(self, *, quiet: bool = False) -> None:
        """Close the source; the message keeps what was read.

        Args:
            quiet: Whether errors are only logged.
        """
        self.ask_to_close()
        self.end(quiet=quiet)

    def end(self, *, quiet: bool = False) -> None:
        """End the stream here, or make a read in progress end it."""
        pump = self.pump
        if pump.busy or not pump.lock.acquire(blocking=False):
            # The reader checks for this when its read returns; do not wait for it here.
            pump.stop()
            return
        try:
            self._end_inside(quiet=quiet)
        finally:
            pump.lock.release()

    def close_source(self, *, quiet: bool = False) -> None:
        """Close the source once.

        Args:
            quiet: Whether errors are only logged: another error is propagating, or the
                caller did not ask to close.
        """
        try:
            self.pump.close()
        except Exception as error:
            if not quiet:
                raise
            self.note_unclosed(error)

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if is_finalizing():
            # At interpreter exit modules are gone, closing may crash (CPython 3.13), and the
            # process closes the connection anyway.
            return
        pump = getattr(self, "pump", None)
        source = None if pump is None else pump.source
        if source is None or (isinstance(source, SyncSource) and source.lent):
            return
        try:
            if isinstance(source, SyncSource):
                warnings.warn(
                    f"{self!r} was never closed: use `with`", ResourceWarning, source=self, stacklevel=2
                )
        finally:
            # `finally`, because warnings may be turned into errors.
            self.close_source(quiet=True)

    # -- within ------------------------------------------------------------

    def _advance(self, until: float | None = None) -> Event | None:
        """Read a chunk, and return its event if the machine's shortcut gave one.

        At the end of the stream raise its error, or StopIteration.
        """
        if self.wants_more():
            return self._read(until)
        ended = self.phase is _ENDED
        if (ended or not self.settle()) and self.machine.last is None:
            self.close_source(quiet=True)
            if not ended and self.error is not None:
                raise self.error.with_traceback(None)
            raise StopIteration
        return None

    def _read(self, until: float | None = None) -> Event | None:
        machine, pump = self.machine, self.pump
        now = self.clock()
        if now - machine.now > NOTABLE_SECONDS and pump.chunks is not None:
            self._was_away(now)
        event = self._place(self.next_item(until))
        pump.pending = False
        return event

    def _was_away(self, now: float) -> None:
        machine = self.machine
        self.silence.was_away(now - (machine.now if machine.meter.chunks else self._ready_at))

    def _place(self, item: Any) -> Event | None:  # noqa: ANN401 - what the pump brings
        """Pass an item to the machine, and return its event if the machine's shortcut gave one."""
        if self.verdict.asked is not None and item.__class__ is not SourceOpened:
            self._end_inside(quiet=True)
            return None
        try:
            return self.take(item, self.clock())
        except MisuseError:
            self.close_source(quiet=True)
            raise

    def release_source(self) -> None:
        self.close_source(quiet=True)

    def swap(self, source: Deferred) -> None:
        self.close_source(quiet=True)
        self.pump.replace(source)

    def open(self, source: Any) -> None:  # noqa: ANN401 - a sync source
        self._ready_at = self.clock()
        super().open(source)

    def _end_inside(self, *, quiet: bool) -> None:
        """End the stream in the reading thread."""
        self.cut("stopped", self.verdict.asked)
        self.close_source(quiet=quiet)

    def _busy_error(self) -> Exception:
        """Return the exception for a read while another thread is reading."""
        if self.verdict.asked is not None or self.phase is _ENDED:
            return StopIteration()
        return concurrent_read_error()

    def _check_broken(self) -> None:
        """Close the source and raise the error if decoding was interrupted."""
        if self.phase is not _ENDED:
            self.close_source(quiet=True)
            raise self.break_off() from None

    def leave(self) -> None:
        """End the read, and the stream if it was asked to stop meanwhile."""
        self.pump.leave()
        if self.verdict.asked is not None:
            # Quiet: an event or another error may be propagating.
            self.end(quiet=True)
