"""The state of a merge of several streams: turns, deadlines and outcomes.

A *lane* is one of the streams. Each lane has an *entry*. When something arrives, the thread or
task that reads the stream calls `set` on the entry, which puts it into the *queue*, unless it is
there already. The loop takes a few events from the first lane in the queue, then goes to the next.
The *alarm* of a lane is the time at which to check the deadlines of its stream.
Subclasses for threads and for tasks do the waiting.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from heapq import heappop, heappush
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

from tokenstream._basics.elsewhere import UncopyableObject
from tokenstream._basics.kept_errors import as_raised
from tokenstream.errors import CostExceeded, MisuseError, StreamError
from tokenstream.stream._base import find_driver

if TYPE_CHECKING:
    from tokenstream.events import Event
    from tokenstream.message import Message
    from tokenstream.stream._reading.items import ArrivalBell

K = TypeVar("K")
StreamT = TypeVar("StreamT", bound=Any)
DriverT = TypeVar("DriverT", bound=Any)

_MAX_PER_TURN = 8
"""Maximum number of events that one stream delivers in its turn."""
_MIN_BETWEEN_PAUSES = 64
"""Minimum number of events to deliver between two pauses that let the reading tasks run."""


class LabelledEvent(NamedTuple, Generic[K]):
    """An event of one of several streams.

    Example:
        >>> from tokenstream.events import TextDelta
        >>> label, event = LabelledEvent("search", TextDelta("Hi"))
        >>> label, event.text
        ('search', 'Hi')
    """

    label: K
    event: Event


class _LaneQueue:
    """The queue of a merge's streams (lanes) that may have an event, in the order of their turns."""

    def __init__(self) -> None:
        self.numbers: deque[int] = deque()
        self.waiter: ArrivalBell | None = None
        """Rung when an entry is added to the queue; None if nobody waits for that."""


class _QueueEntry:
    """The place of one of the merged streams, a lane, in the queue of streams that may have an event.

    The thread or task that reads the stream rings the entry as a bell: `set` puts it into the queue. An
    entry has only the lane's number, so that this thread or task does not keep the stream alive.
    """

    def __init__(self, queue: _LaneQueue, number: int) -> None:
        self._queue = queue
        self.number = number
        self.is_queued = False
        self.was_rung = False
        """True if `set` was called since the current turn of the stream began: something may be unread."""

    def set(self) -> None:
        """Put the entry into the queue, unless it is there already."""
        # The order matters: in another thread, `Merge._dequeue` clears `is_queued`, then reads
        # `was_rung`.
        self.was_rung = True
        if not self.is_queued:
            self.is_queued = True
            self._queue.numbers.append(self.number)
            waiter = self._queue.waiter
            if waiter is not None:
                waiter.set()


class MergeLane(Generic[K, DriverT]):
    """One of the streams of a merge."""

    def __init__(self, label: K, driver: DriverT, entry: _QueueEntry) -> None:
        self.label = label
        self.driver = driver
        self.entry = entry
        self.has_ended = False
        """True once the stream has no more events to deliver."""
        self.since = 0.0
        """Time since which nothing has arrived, by the driver's clock."""
        self.alarm = math.inf
        """Time at which to check the stream's deadlines, by the monotonic clock."""
        self.alarm_is_earliest = False
        """True if nothing that arrives before the alarm can require an earlier alarm."""


class _Errors(Mapping[K, StreamError | CostExceeded]):
    """The errors that a merge keeps, and those to come: each as it was raised, while its reader has it."""

    def __init__(self, kept: dict[K, StreamError | CostExceeded]) -> None:
        self._kept = kept

    def __getitem__(self, label: K) -> StreamError | CostExceeded:
        return as_raised(self._kept[label])

    def __iter__(self) -> Iterator[K]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return repr(dict(self))


class MergeBase(UncopyableObject, Generic[K, StreamT, DriverT]):
    """Base class of merges: several streams with their turns, deadlines and outcomes, but without a loop."""

    def __init__(self, streams: Mapping[K, StreamT], *, fail_fast: bool) -> None:
        self._streams: dict[K, StreamT] = dict(streams)
        self._fail_fast = fail_fast
        self._errors: dict[K, StreamError | CostExceeded] = {}
        self.failed: K | None = None
        """The label of the stream that failed first; None if no stream has failed."""
        self._queue = _LaneQueue()
        self._lanes: list[MergeLane[K, DriverT]] = []
        self._live_count = -1
        """Number of streams that are not over; -1 before the first read."""
        self._turn_count = 0
        """Number of events that the current stream has delivered in its turn."""
        self._events_until_pause = _MIN_BETWEEN_PAUSES
        """Number of events to deliver before the next pause that lets the reading tasks run."""
        self._is_last_call = False
        """True after a failure that ends all streams; only events that have arrived are still delivered."""
        self._alarms: list[tuple[float, int]] = []
        """A heap of alarms, each with the number of its lane; the earliest alarm is the first."""
        self._was_error_raised = False

    def __repr__(self) -> str:
        running = sum(stream.message.ending == "streaming" for stream in self._streams.values())
        return f"<{type(self).__name__} of {len(self._streams)} streams: {running} streaming>"

    @property
    def streams(self) -> Mapping[K, StreamT]:
        """The streams by label; their own views may be read between two events, and afterwards."""
        return MappingProxyType(self._streams)

    @property
    def messages(self) -> dict[K, Message]:
        """The answers so far, by label, as immutable snapshots."""
        return {label: stream.message for label, stream in self._streams.items()}

    @property
    def errors(self) -> Mapping[K, StreamError | CostExceeded]:
        """The errors of failed streams by label, in the order in which they failed."""
        return _Errors(self._errors)

    @property
    def _drivers(self) -> list[DriverT]:
        """The current drivers of the streams; `broadcast` replaces the driver of a stream."""
        return [cast("DriverT", find_driver(stream)) for stream in self._streams.values()]

    def stop(self, reason: str | None = None) -> None:
        """End all streams here; the messages keep the content read so far, and the rest is not read.

        This never blocks, and may be called from any thread.

        Args:
            reason: The reason, for each stream's `stop_reason`; None for "stop".
        """
        for stream in self._streams.values():
            stream.stop(reason)

    # -- turns -------------------------------------------------------------

    def _check_events_left(self) -> None:
        if self._live_count == 0 and self._lanes:
            msg = "the events of all streams were read to their end; the answers are in .messages"
            raise MisuseError(msg, kind="consumed")

    def _begin(self) -> None:
        for number, (label, driver) in enumerate(zip(self._streams, self._drivers, strict=True)):
            lane = MergeLane(label, driver, _QueueEntry(self._queue, number))
            if driver.verdict.stop_reason is None:
                # A stream that was stopped before is not an error; it just has no events.
                with label_errors(label):
                    driver.check_events_left()
            driver.readings["everything"] = True
            self._lanes.append(lane)
            lane.entry.set()
        self._live_count = len(self._lanes)
        for lane in self._lanes:
            with label_errors(lane.label):
                lane.driver.begin_polling(lane.entry)

    def _next_lane(self) -> MergeLane[K, DriverT] | None:
        """Return the lane (the state of one stream) whose turn it is; None if no stream may have an event."""
        numbers = self._queue.numbers
        while numbers:
            lane = self._lanes[numbers[0]]
            if not lane.has_ended:
                return lane
            numbers.popleft()
        return None

    def _label_event(self, lane: MergeLane[K, DriverT], event: Event) -> LabelledEvent[K]:
        """Count and label an event of a stream; after a few events, go to the next stream."""
        self._turn_count += 1
        # An asynchronous merge pauses once this is 0, so that the tasks that read the streams run.
        self._events_until_pause -= 1
        if lane.driver.will_ring:
            # Nothing more has arrived; the bell puts the stream back into the queue.
            self._dequeue(lane)
        elif self._turn_count >= _MAX_PER_TURN:
            self._turn_count = 0
            self._queue.numbers.rotate(-1)
        return LabelledEvent(lane.label, event)

    def _schedule_pause(self) -> None:
        """Set the number of events until the loop pauses, so that the tasks that read the streams run."""
        self._events_until_pause = max(_MIN_BETWEEN_PAUSES, 2 * len(self._queue.numbers))

    def _dequeue(self, lane: MergeLane[K, DriverT]) -> None:
        """Take a stream without an event out of the queue, and set the time to check its deadlines."""
        if self._is_last_call:
            # Only events that have arrived are still delivered, and this stream has none left.
            self._remove_lane(lane)
            return
        self._turn_count = 0
        self._queue.numbers.popleft()
        lane.entry.is_queued = False
        driver, machine = lane.driver, lane.driver.machine
        # In the middle of an answer, unless a frame is missing, chunks can only postpone deadlines.
        is_in_the_middle = machine.intake.state == "reading" and driver.earliest_deadline > -math.inf
        chunks_only_postpone = is_in_the_middle and not machine.intake.arrivals.holds_frames
        if chunks_only_postpone and lane.alarm_is_earliest:
            # The alarm that is set is early enough.
            return
        since = lane.since = driver.clock()
        until = driver.idle_until(since)
        if until is not None:
            lane.alarm_is_earliest = chunks_only_postpone
            self._set_alarm(lane, time.monotonic() + until - since)

    def _remove_lane(self, lane: MergeLane[K, DriverT]) -> None:
        """Take a stream, which is the first in the queue, out of the queue for good."""
        # The turn of the next stream begins.
        self._turn_count = 0
        self._queue.numbers.popleft()
        lane.has_ended = True
        self._live_count -= 1

    def _handle_error(self, lane: MergeLane[K, DriverT], error: Exception) -> None:
        """Take out a stream whose turn has failed or ended; raise any other exception again."""
        if isinstance(error, StreamError | CostExceeded):
            self._remove_failed(lane, error)
        elif isinstance(error, lane.driver.exhausted):
            self._remove_lane(lane)
        else:
            label_error(error, lane.label)
            raise error

    def _remove_failed(self, lane: MergeLane[K, DriverT], error: StreamError | CostExceeded) -> None:
        """Take out a failed stream; with `fail_fast`, the others only deliver what has already arrived."""
        self._remove_lane(lane)
        if not self._errors:
            self.failed = lane.label
        # Kept without its traceback, which would hold the frames of this merge.
        self._errors[lane.label] = error.with_traceback(None)
        label_error(error, lane.label)
        if self._fail_fast and not self._is_last_call:
            self._is_last_call = True
            for other in self._lanes:
                if not other.has_ended:
                    # Each stream gets a turn, in which it delivers its remaining events, or ends.
                    other.entry.set()
                    # Without a reading thread or task, no chunks can be left.
                    if not other.driver.finish_polling():
                        other.has_ended = True
                        self._live_count -= 1

    def _take_error(self) -> StreamError | CostExceeded | None:
        """Return the error to raise at the end, once; with `fail_fast`, stop the other streams before."""
        if not self._errors or self._was_error_raised:
            return None
        self._was_error_raised = True
        for lane in self._lanes if self._fail_fast else ():
            lane.driver.stop(f"the stream {self.failed!r} has failed")
        error = self._errors[cast("K", self.failed)]
        # The first error in the dict is this one.
        for label, other in [*self._errors.items()][1:]:
            error.add_note(f"the stream {label!r} has failed as well: {type(other).__name__}: {other}")
        return error

    # -- deadlines ---------------------------------------------------------

    def _set_alarm(self, lane: MergeLane[K, DriverT], due: float) -> None:
        if due < lane.alarm:
            lane.alarm = due
            heappush(self._alarms, (due, lane.entry.number))

    @property
    def _is_alarm_due(self) -> bool:
        # A heap of times, each with a lane's number: the first element is the earliest.
        alarms = self._alarms
        return bool(alarms) and alarms[0][0] <= time.monotonic()

    def _handle_alarms(self) -> float | None:
        """Check the deadlines of streams whose alarm is due; return the seconds until the next alarm."""
        # A heap of times, each with the number of its stream's lane.
        alarms = self._alarms
        while alarms:
            now = time.monotonic()
            if alarms[0][0] > now:
                return alarms[0][0] - now
            due, number = heappop(alarms)
            lane = self._lanes[number]
            # An alarm that an earlier one has replaced is ignored.
            if due == lane.alarm:
                lane.alarm, lane.alarm_is_earliest = math.inf, False
                # A stream in the queue is read next; then its deadlines are set anew.
                if not lane.entry.is_queued:
                    self._check_deadlines(lane, now)
        return None

    def _check_deadlines(self, lane: MergeLane[K, DriverT], now: float) -> None:
        """Check a stream's deadlines: set a later alarm, or apply the deadlines."""
        driver = lane.driver
        until = driver.idle_until(lane.since)
        if until is None:
            # Nothing can be late: no deadline is set, or no source is being read.
            return
        seconds = until - driver.clock()
        if seconds > 0:
            self._set_alarm(lane, now + seconds)
        else:
            driver.expire()
            lane.entry.set()


@contextmanager
def label_errors(label: object) -> Generator[None]:
    """Add a note with the stream's label to an exception raised inside the block."""
    try:
        yield
    except Exception as error:
        label_error(error, label)
        raise


def label_error(error: BaseException, label: object) -> None:
    note = f"raised by the stream {label!r} of a merge"
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)
