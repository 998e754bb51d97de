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
from tokenstream.stream._items import END, NOTABLE_SECONDS, WAITED, Failed, Opened
from tokenstream.stream._phase import Phase
from tokenstream.stream._pump import Pump
from tokenstream.stream._said import concurrent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokenstream.events import Event
    from tokenstream.stream._driver import Options
    from tokenstream.stream._items import Bell
    from tokenstream.stream._opening import First

__all__ = ["SyncDriver"]

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
        """The clock since when there is something to read."""
        if isinstance(source, SyncSource):
            self.open(source)

    # -- reading -----------------------------------------------------------

    def __iter__(self) -> Iterator[Event]:
        self.enter_loop()
        return self

    def __next__(self) -> Event:
        pump = self.pump
        if pump.busy or not pump.lock.acquire(False):  # noqa: FBT003 - a keyword takes twice as long
            raise self._busy()
        try:
            pump.busy = True
            machine = self.machine
            event = machine.pull() if machine.shortcut is None else None
            while event is None:
                chunks = pump.direct
                if not machine.plain or machine.now >= self.due or chunks is None or pump.pending:
                    event = self._advance() or machine.pull()
                    continue
                # The way of most chunks: as in `_read`, whose calls would cost each of them.
                clock = self.clock
                now = clock()
                if now - machine.now > NOTABLE_SECONDS:
                    self._was_away(now)
                pump.pending = True
                try:
                    chunk: Any = next(chunks, END) if self.verdict.asked is None else END
                except Exception as error:  # noqa: BLE001 - it is raised after what came before it
                    chunk = Failed(error)
                if chunk.__class__ is machine.unit and self.verdict.asked is None:
                    glance = machine.shortcut
                    event = machine.give(chunk, clock()) if glance is None else glance(chunk, clock())
                else:
                    event = self._place(pump.convert(chunk))
                # Not in a `finally`: until here Ctrl-C may have come between a chunk and its place.
                pump.pending = False
                event = event or machine.pull()
        except ValueError as error:
            self.misread(error)
        except StopIteration:
            self._check_broken()
            raise
        finally:
            # As in `leave`, whose call would cost each event.
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
            # A view would end here, too.
            pass

    def step(self) -> Event:
        """Return the next event for a view, which meets the same error each time."""
        if self.phase is _ENDED:
            self.machine.last = None
            if self.pump.source is not None:
                # Ctrl-C came between the end and the closing.
                self.end(quiet=True)
            if self.error is not None:
                raise self.error.with_traceback(None)
            raise StopIteration
        return self.__next__()

    def step_until(self, until: float) -> Event | None:
        """Return the next event for a view that acts on time, or None where the time has come first.

        Args:
            until: The clock at which to stop waiting, as far as the source can be told.
        """
        if self.phase is _ENDED:
            return self.step()
        return self._step(partial(self._advance, until), until)

    def step_now(self) -> Event | None:
        """Return the next event where it is there already; None where it is to be waited for."""
        return self.step() if self.phase is _ENDED else self._step(self._advance_now)

    def next_beside(self, bell: Bell) -> Event | None:
        """Return the next event for a loop that reads others as well; None where it is to be waited for.

        Args:
            bell: Rung when it is worth while to ask again.
        """
        return self._step(partial(self._advance_beside, bell))

    @property
    def waits_in_time(self) -> bool:
        """A read can be given a time, after which it comes back and loses nothing."""
        return self.pump.bound is not None or self.pump.is_waiting

    def read_ahead(self) -> None:
        """Have a thread read the source, which `step_until` can wait for in time then."""
        if self.phase is not _ENDED:
            if not self.pump.enter():
                raise self._busy()
            try:
                self.pump.read_ahead()
            finally:
                self.leave()

    def next_item(self, until: float | None = None) -> Any:  # noqa: ANN401 - what a pump brings
        """Return what the pump brings next, within the deadlines as far as the source can be told of them.

        Args:
            until: The clock at which the reader itself no longer waits.
        """
        pump = self.pump
        if pump.bound is not None:
            return pump.read(self.until(None, until))
        if pump.chunks is not None and not self.machine.answered:
            # What blocks can only be broken off, which ends it.
            return pump.read(None)
        if until is not None and pump.is_waiting:
            return pump.wait(self.until(None, until))
        if isinstance(pump.source, Deferred):
            self.begin_request(pump.source)
        return pump.read(self.until(None))

    def open_now(self) -> None:
        """Open the source before the first read, as a read."""
        if not self.pump.enter():
            raise concurrent()
        try:
            while self.is_unopened and self.machine.plain and self.verdict.asked is None:
                self._read()
        finally:
            self.leave()

    def wait_open(self, first: First) -> None:
        """Read until the answer has begun, and raise what keeps it from that; what was read is given again.

        Args:
            first: Until the head of the response, or until the first event.
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
        """Read a chunk that has come already."""
        return None if self.pump.bound is None else self._advance(self.clock())

    @property
    def is_waiting_beside(self) -> bool:
        """All that has come is given, and the thread that reads rings when there is more."""
        machine = self.machine
        return machine.shortcut is not None and machine.plain and self.pump.will_ring

    def _advance_beside(self, bell: Bell) -> Event | None:
        """Take chunks that a thread has brought, up to an event."""
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

    def begin_beside(self, bell: Bell) -> None:
        """Have a thread read, for a loop that reads others as well.

        Args:
            bell: Rung when something has come.
        """
        pump = self.pump
        if not pump.begun and isinstance(pump.source, Deferred):
            self.begin_request(pump.source)
        pump.listen(bell)

    def idle_until(self, since: float) -> float | None:
        """Return the clock at which `expire` is to be called, where nothing comes until then; None for never.

        Args:
            since: The clock since when nothing has come.
        """
        return None if self.machine.over or self.phase is _ENDED else self.until(since)

    def expire(self) -> None:
        """Look what it means that nothing came until then."""
        if self.pump.enter():
            try:
                self.take(WAITED, self.clock())
            finally:
                self.leave()

    def finish_beside(self) -> bool:
        """Have the thread that reads come to its end, and tell whether what has come may still be read."""
        return self.pump.finish()

    def _step(self, advance: Callable[[], Event | None], until: float | None = None) -> Event | None:
        """Return the next event, or None where it has not come.

        Args:
            advance: Reads a chunk.
            until: The clock at which to stop reading; None to read once.
        """
        if not self.pump.enter():
            raise self._busy()
        try:
            event = self.machine.pull()
            while event is None and (until is None or self.clock() < until):
                event = advance() or self.machine.pull()
                if until is None:
                    break
        except ValueError as error:
            self.misread(error)
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
        """End the stream here; what has been read is kept."""
        self.verdict.ask(reason or "stop")
        self.end(quiet=True)

    def close(self, *, quiet: bool = False) -> None:
        """Close the source; what has been read is kept.

        Args:
            quiet: Whether what fails here is only logged.
        """
        self.ask_to_close()
        self.end(quiet=quiet)

    def end(self, *, quiet: bool = False) -> None:
        """Stop here, or have a read that is in progress do so."""
        pump = self.pump
        if pump.busy or not pump.lock.acquire(blocking=False):
            # The reader looks for this when it comes back; nothing is waited for here.
            pump.stop()
            return
        try:
            self._end_inside(quiet=quiet)
        finally:
            pump.lock.release()

    def close_source(self, *, quiet: bool = False) -> None:
        """Close the source once.

        Args:
            quiet: Whether what fails here is only logged: another error is on its way,
                or nobody has asked to close.
        """
        try:
            self.pump.close()
        except Exception as error:
            if not quiet:
                raise
            self.note_unclosed(error)

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if is_finalizing():
            # The interpreter exits: modules are gone already, closing may crash it (CPython 3.13),
            # and the connection is closed with the process.
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
            # The warning may be an error.
            self.close_source(quiet=True)

    # -- within ------------------------------------------------------------

    def _advance(self, until: float | None = None) -> Event | None:
        """Read a chunk, and return its event where it was seen at a glance.

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
        """Put an item in its place, and return its event where it was seen at a glance."""
        if self.verdict.asked is not None and item.__class__ is not Opened:
            self._end_inside(quiet=True)
            return None
        try:
            return self.take(item, self.clock())
        except MisuseError:
            self.close_source(quiet=True)
            raise

    def let_go(self) -> None:
        self.close_source(quiet=True)

    def swap(self, source: Deferred) -> None:
        self.close_source(quiet=True)
        self.pump.replace(source)

    def open(self, source: Any) -> None:  # noqa: ANN401 - a source of this colour
        self._ready_at = self.clock()
        super().open(source)

    def _end_inside(self, *, quiet: bool) -> None:
        """Stop in the thread that reads."""
        self.cut("stopped", self.verdict.asked)
        self.close_source(quiet=quiet)

    def _busy(self) -> Exception:
        """Return what is raised for a read while another thread has the stream."""
        if self.verdict.asked is not None or self.phase is _ENDED:
            return StopIteration()
        return concurrent()

    def _check_broken(self) -> None:
        """Close the source where decoding was broken off, and raise what the loop is to see then."""
        if self.phase is not _ENDED:
            self.close_source(quiet=True)
            raise self.break_off() from None

    def leave(self) -> None:
        """Let others read, and end the stream where one of them has asked for that."""
        self.pump.leave()
        if self.verdict.asked is not None:
            # Quiet: an event may be on its way, or another error.
            self.end(quiet=True)
