"""Several streams side by side, but for the waiting: whose turn it is, and what became of each."""

from __future__ import annotations

import math
import time
from collections import deque
from contextlib import contextmanager
from heapq import heappop, heappush
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

from tokenstream.errors import StreamConsumed, StreamError
from tokenstream.stream._base import reader_of
from tokenstream.stream._reader import LEAST_WAIT
from tokenstream.stream._uncopied import Uncopied

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from tokenstream.events import Event
    from tokenstream.message import Message
    from tokenstream.stream._items import Bell

__all__ = ["K", "Labelled", "Lane", "MergeBase"]

K = TypeVar("K")
StreamT = TypeVar("StreamT", bound=Any)
DriverT = TypeVar("DriverT", bound=Any)

_MOST_AT_ONCE = 8
"""Events of one stream that are given before the next one has its turn."""
_LEAST_RUN = 64
"""Events that are given, where they have come, before what reads the streams is let run again."""


class Labelled(NamedTuple, Generic[K]):
    """An event of one of several streams.

    Example:
        >>> from tokenstream.events import TextDelta
        >>> label, event = Labelled("search", TextDelta("Hi"))
        >>> label, event.text
        ('search', 'Hi')
    """

    label: K
    """The label of its stream."""
    event: Event
    """The event."""


class _Line:
    """The streams that have something to give, in the order in which they have their turns."""

    __slots__ = ("bells", "waiter")

    def __init__(self) -> None:
        self.bells: deque[_Place] = deque()
        self.waiter: Bell | None = None
        """Rung when the line is not empty any more; None while nobody waits for that."""

    def put(self, place: _Place) -> None:
        self.bells.append(place)
        waiter = self.waiter
        if waiter is not None:
            waiter.set()


class _Place:
    """A stream's place in line, which its reader takes for it; it holds the stream by its number only.

    Args:
        line: The line.
        number: The number of the stream.
    """

    __slots__ = ("_line", "again", "number", "rung")

    def __init__(self, line: _Line, number: int) -> None:
        self._line = line
        self.number = number
        self.rung = False
        """It stands in line."""
        self.again = False
        """It was to stand in line since its turn began."""

    def set(self) -> None:
        """Stand in line, unless it does already."""
        # In this order: whoever leaves the line looks at both the other way round, in another thread.
        self.again = True
        if not self.rung:
            self.rung = True
            self._line.put(self)


class Lane(Generic[K, DriverT]):
    """One of the streams.

    Args:
        label: Its label.
        driver: Drives it.
        place: Its place in line.
    """

    __slots__ = ("alarm", "driver", "label", "late", "over", "place", "since", "steady")

    def __init__(self, label: K, driver: DriverT, place: _Place) -> None:
        self.label = label
        self.driver = driver
        self.place = place
        self.over = False
        """It has nothing more to give."""
        self.since = 0.0
        """The clock since when nothing has come."""
        self.alarm = math.inf
        """When to look at its deadlines, by the clock of the alarms."""
        self.steady = False
        """The alarm is early enough, whatever comes until then."""
        self.late = False
        """A deadline seems to have passed; it has had no chance yet to take in what already lies there."""


class MergeBase(Uncopied, Generic[K, StreamT, DriverT]):
    """Several streams without their loop: turns, deadlines, and what became of each.

    Args:
        streams: The streams by their labels.
        fail_fast: Whether the first stream that fails ends all.
    """

    __slots__ = (
        "__weakref__",
        "_alarms",
        "_errors",
        "_fail_fast",
        "_given",
        "_lanes",
        "_last_call",
        "_line",
        "_live",
        "_run",
        "_streams",
        "_told",
        "failed",
    )

    def __init__(self, streams: Mapping[K, StreamT], *, fail_fast: bool) -> None:
        self._streams: dict[K, StreamT] = dict(streams)
        self._fail_fast = fail_fast
        self._errors: dict[K, StreamError] = {}
        self.failed: K | None = None
        """The label of the stream that failed first; None while none has."""
        self._line = _Line()
        self._lanes: list[Lane[K, DriverT]] = []
        self._live = -1
        """Streams that have something to give; below 0 before the first read."""
        self._given = 0
        """Events that the stream has given whose turn it is."""
        self._run = _LEAST_RUN
        """How many more events are given before that."""
        self._last_call = False
        """What has come is given still, and nothing more."""
        self._alarms: list[tuple[float, int]] = []
        self._told = False
        """The error was raised."""

    def __repr__(self) -> str:
        running = sum(stream.message.ending == "streaming" for stream in self._streams.values())
        return f"<{type(self).__name__} of {len(self._streams)} streams: {running} streaming>"

    @property
    def streams(self) -> Mapping[K, StreamT]:
        """The streams by their labels; their own views may be read between two events, and afterwards."""
        return MappingProxyType(self._streams)

    @property
    def messages(self) -> dict[K, Message]:
        """The answers so far by their labels: values that never change."""
        return {label: stream.message for label, stream in self._streams.items()}

    @property
    def errors(self) -> Mapping[K, StreamError]:
        """The errors of the streams that have failed, by their labels, in the order in which they failed."""
        return MappingProxyType(self._errors)

    @property
    def _drivers(self) -> list[DriverT]:
        """What drives the streams, which is another one from when a stream is shared."""
        return [cast("DriverT", reader_of(stream)) for stream in self._streams.values()]

    def stop(self, reason: str | None = None) -> None:
        """End all streams here: what has been read is kept, the rest is not read.

        It never blocks, and may be called from any thread.

        Args:
            reason: Why; each stream's `stop_reason` tells it.
        """
        for stream in self._streams.values():
            stream.stop(reason)

    # -- turns -------------------------------------------------------------

    def _check_left(self) -> None:
        """Refuse a new loop where nothing is left to read."""
        if self._live == 0 and self._lanes:
            msg = "the events of all streams were read to their end; the answers are in .messages"
            raise StreamConsumed(msg)

    def _begin(self) -> None:
        """Begin to read all streams."""
        for number, (label, driver) in enumerate(zip(self._streams, self._drivers, strict=True)):
            lane = Lane(label, driver, _Place(self._line, number))
            if driver.verdict.reason is None:
                # What was stopped meanwhile only has nothing to give.
                with noted(label):
                    driver.enter_loop()
            self._lanes.append(lane)
            lane.place.set()
        self._live = len(self._lanes)
        for lane in self._lanes:
            with noted(lane.label):
                lane.driver.begin_beside(lane.place)

    def _next_lane(self) -> Lane[K, DriverT] | None:
        """Return the stream whose turn it is; None where one is to be waited for, or none is left."""
        bells = self._line.bells
        while bells:
            lane = self._lanes[bells[0].number]
            if not lane.over:
                return lane
            bells.popleft()
        return None

    def _gave(self, lane: Lane[K, DriverT], event: Event) -> Labelled[K]:
        """Take an event that a stream has given; after a few, the next one has its turn."""
        self._given += 1
        self._run -= 1
        if lane.driver.is_waiting_beside:
            self._leave(lane)
        elif self._given >= _MOST_AT_ONCE:
            self._given = 0
            self._line.bells.rotate(-1)
        return Labelled(lane.label, event)

    def _begin_run(self) -> None:
        """Allow for as many events as keep pace with what reads the streams: each of these may bring one."""
        self._run = max(_LEAST_RUN, 2 * len(self._line.bells))

    def _leave(self, lane: Lane[K, DriverT]) -> None:
        """Take a stream out of the line that has nothing to give just now."""
        if self._last_call:
            self._take_out(lane)
            return
        self._given = 0
        self._line.bells.popleft()
        lane.late = lane.place.rung = False
        driver = lane.driver
        # What comes makes no deadline earlier then.
        steady = driver.due > -math.inf and driver.machine.plain
        if steady and lane.steady:
            return
        since = lane.since = driver.clock()
        until = driver.idle_until(since)
        if until is not None:
            lane.steady = steady
            self._set_alarm(lane, time.monotonic() + until - since)

    def _take_out(self, lane: Lane[K, DriverT]) -> None:
        """Take out a stream that has nothing more to give."""
        self._given = 0
        self._line.bells.popleft()
        lane.over = True
        self._live -= 1

    def _break(self, lane: Lane[K, DriverT], error: Exception) -> None:
        """Take out a stream that is over.

        Args:
            lane: The stream.
            error: What its turn has raised; it is raised here where it is neither the end nor a failure.
        """
        if isinstance(error, StreamError):
            self._fail(lane, error)
        elif isinstance(error, lane.driver.exhausted):
            self._take_out(lane)
        else:
            note(error, lane.label)
            raise error

    def _fail(self, lane: Lane[K, DriverT], error: StreamError) -> None:
        """Take out a stream that has failed; where that ends all, no more is given than has come."""
        self._take_out(lane)
        if not self._errors:
            self.failed = lane.label
        self._errors[lane.label] = error
        note(error, lane.label)
        if self._fail_fast and not self._last_call:
            self._last_call = True
            for other in self._lanes:
                if not other.over:
                    other.place.set()
                    other.over = not other.driver.finish_beside()
                    self._live -= other.over

    def _end(self) -> StreamError | None:
        """End where nothing is left to give, and return the error that is to be raised for that; once."""
        if not self._errors or self._told:
            return None
        self._told = True
        for lane in self._lanes if self._fail_fast else ():
            lane.driver.stop(f"the stream {self.failed!r} has failed")
        error = self._errors[cast("K", self.failed)]
        for label, other in [*self._errors.items()][1:]:
            error.add_note(f"the stream {label!r} has failed as well: {type(other).__name__}: {other}")
        return error

    # -- deadlines ---------------------------------------------------------

    def _set_alarm(self, lane: Lane[K, DriverT], at: float) -> None:
        """Look at the deadlines of a stream then, unless that is to be done earlier anyway."""
        if at < lane.alarm:
            lane.alarm = at
            heappush(self._alarms, (at, lane.place.number))

    @property
    def _is_due(self) -> bool:
        """It is time to look at the clock."""
        alarms = self._alarms
        return bool(alarms) and alarms[0][0] <= time.monotonic()

    def _look_at_clock(self) -> float | None:
        """Have streams that were silent for too long say so; return how many seconds may be waited."""
        alarms = self._alarms
        while alarms:
            now = time.monotonic()
            if alarms[0][0] > now:
                return alarms[0][0] - now
            at, number = heappop(alarms)
            lane = self._lanes[number]
            if at == lane.alarm:
                lane.alarm, lane.steady = math.inf, False
                if not lane.place.rung:
                    self._look_at_deadlines(lane, now)
        return None

    def _look_at_deadlines(self, lane: Lane[K, DriverT], now: float) -> None:
        driver = lane.driver
        until = driver.idle_until(lane.since)
        if until is None:
            return
        seconds = until - driver.clock()
        if seconds > 0:
            self._set_alarm(lane, now + seconds)
        elif not lane.late:
            lane.late = True
            self._set_alarm(lane, now + LEAST_WAIT)
        else:
            driver.expire()
            lane.place.set()


@contextmanager
def noted(label: object) -> Generator[None]:
    """Say on what is raised inside which of several streams it is about."""
    try:
        yield
    except Exception as error:
        note(error, label)
        raise


def note(error: BaseException, label: object) -> None:
    """Say on an exception which of several streams it is about."""
    note = f"it is the stream {label!r} of a merge"
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)
