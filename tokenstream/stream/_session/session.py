"""Connections with several answers that are read one by one; other modules do the waiting.

The *parent stream* reads the connection; each answer has a *lane*, the queue of its messages.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakSet

from tokenstream._basics.kept_errors import frameless, raised_anew
from tokenstream.errors import MisuseError, StreamError
from tokenstream.formats._detect.payloads import payload_of
from tokenstream.formats._endings import CLOSED
from tokenstream.limits import Deadlines
from tokenstream.stream._log import warn
from tokenstream.stream._opening import prepare_machine
from tokenstream.stream._reading.items import END, LOST, WAITED, BusyTime, SourceFailed, SourceOpened
from tokenstream.stream._refusals import concurrent_read_error, interrupted_read_error, shared_stream_error
from tokenstream.stream._session.sorter import AnswerLane, SortedFormat, Sorter, WaitingBytes

if TYPE_CHECKING:
    from tokenstream._basics.request_facts import RequestPair
    from tokenstream._sources.kinds import AsyncSource, SyncSource
    from tokenstream.message import Ending
    from tokenstream.stream._driver import Driver
    from tokenstream.stream._options import Options
    from tokenstream.stream._reading.items import TimedItem

_NO_STALLS = Deadlines(first_event=None, idle_bytes=None, idle_content=None)
"""Deadlines of which none is about silence."""


class AnswersSession:
    """State of a connection whose answers are read one by one.

    Args:
        driver: The driver of the parent stream, which opens and closes the connection.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.sorter: Sorter | None = None
        """Sorts messages by answer; None until the source is open."""
        self._format: SortedFormat | None = None
        """Passes on what the parent stream reads, for its recovery; None if that stream reads nothing."""
        self._logged_error: StreamError | None = None
        """The last error between two answers that was logged."""
        self._source: Any = None
        """The source that was opened last; None before that."""
        self.asked: RequestPair | None = None
        """The address of the connection, for the origins of its answers; None if it is not known."""
        self.unsorted: list[TimedItem] = []
        """Items read before it is known whether the connection has several answers, each with its time."""
        self.new_lanes: deque[AnswerLane] = deque()
        """Lanes (queues of messages) for answers that have begun, but were not returned to the loop yet."""
        self.drivers: WeakSet[Driver] = WeakSet()
        self.failure: Exception | None = None
        """The error that broke the connection."""
        self.was_failure_raised = False
        """True once the stream of an answer, or the loop over the answers, has raised `failure`."""
        self.has_ended = False
        """True once nothing more can arrive."""
        self.was_parent_returned = False
        """True once the loop over the answers has returned the parent stream as the only answer."""

    @property
    def has_several(self) -> bool | None:
        """True if the connection has several answers; None while the number is unknown."""
        has_several = None if self.sorter is None else self.sorter.has_several
        # At its end, a connection with too few messages to tell counts as a single answer.
        return False if has_several is None and self.has_ended else has_several

    @property
    def busy_error(self) -> MisuseError:
        """The error for reading the connection while a broadcast, or another thread or task, reads it."""
        return concurrent_read_error() if self._driver.sharing is None else shared_stream_error()

    def open(self, source: SyncSource | AsyncSource) -> None:
        """Prepare to sort the messages of the source, which was just opened."""
        driver = self._driver
        machine, head = driver.machine, driver.head
        self.asked = source.asked if head is None else (head.url, None)
        self._source = source
        self.sorter = Sorter(machine.link.wanted, limits=machine.limits, messages=source.messages)
        if head is not None and (head.refuses or source.coding):
            # The parent stream itself reads a body that reports an error or has a content coding.
            self.sorter.has_several = False
        self._take_over_answers()

    @property
    def is_unopened(self) -> bool:
        """True if the source is yet to be opened here; the body of a refusal may lead to another source."""
        driver = self._driver
        return self.sorter is None and (driver.recovery is None or driver.machine.link.refusal is None)

    @property
    def is_timed(self) -> bool:
        """True if the deadlines apply to the connection; otherwise, each of several answers has its own."""
        return self._format is not None or not self.has_several

    def begin_read(self) -> bool:
        """Return True if a source has to be opened first; between answers, silence is no stall."""
        driver, sorter = self._driver, self.sorter
        if self._format is not None and sorter is not None:
            rests = sorter.rests or any(
                each.machine.intake.resting for each in self.drivers if not each.has_ended
            )
            driver.silence.apply(_NO_STALLS if rests else None)
        return driver.recovery is not None and driver.is_unopened and not driver.has_ended

    def read_item(self, now: float, item: Any) -> None:  # noqa: ANN401 - what a pump brings
        """Sort the messages in an item, or end the session with it.

        The parent stream itself reads what is about the connection, or if its recovery depends on that.
        """
        driver, sorter = self._driver, self.sorter
        recovers = driver.recovery is not None
        has_frames = sorter is not None and sorter.has_frames
        is_about_connection = item is WAITED or item.__class__ in (SourceOpened, BusyTime)
        is_last = item is END or item is LOST or item.__class__ is SourceFailed
        if recovers and is_last and not has_frames:
            # The connection broke before its first message, of which the beginning may have arrived.
            for each in self.unsorted:
                self._read_along(*each)
        if self._format is not None or (
            recovers and (sorter is None or ((is_last or is_about_connection) and not has_frames))
        ):
            self._read_along(now, item)
        elif is_about_connection:
            driver.process_item(item, now)
            if driver.machine.intake.error is not None:
                # A deadline of the connection has passed.
                self.end(driver.machine.intake.error)
        elif is_last:
            self._end_with(now, item)
        else:
            self._sort_chunk(now, item)

    def end_as_parent(self) -> None:
        """End the session as the parent stream has ended, whose recovery makes no further attempt."""
        error = self._driver.machine.intake.error
        self.end(None if error is None else frameless(error))

    def _read_along(self, now: float, item: object) -> None:
        """Let the parent stream read an item, and go on with the messages that its machine passes on."""
        driver, machine, format = self._driver, self._driver.machine, self._format
        bytes_before, frames_before = machine.meter.bytes, 0 if format is None else format.frames
        driver.process_item(item, now)
        event = machine.way.pull()
        while machine.intake.state == "sliced":
            event = machine.way.pull()
        if event is not None:
            # The end of an input in which no message was found.
            machine.way.give_again(event)
        if format is not None and self.sorter is not None:
            self._log_error()
            # The limits of the body and of the content are those of each answer.
            machine.meter.discount_bytes(machine.meter.bytes - bytes_before)
            if format.frames != frames_before:
                machine.meter.mark_content(now)
            if self.sorter.has_begun and driver.recovery is not None:
                driver.recovery.keep_answer()
        if machine.intake.state == "ending":
            # An error, the end of the session, or of the body of a refusal.
            driver.process_item(END, now)
        if machine.intake.state in CLOSED:
            self.end_as_parent()
        elif driver.is_unopened and machine.link.connection.format is not format:
            # The next attempt begins anew.
            self.sorter = self._format = None
            self.unsorted.clear()
            driver.diverted = False

    def _sort_chunk(self, now: float, chunk: Any) -> None:  # noqa: ANN401 - bytes, or a payload
        """Sort the messages in a chunk, of bytes or payloads, into the lanes (queues) of their answers."""
        machine = self._driver.machine
        sorter: Any = self.sorter
        if not sorter.has_several:
            self.unsorted.append((now, chunk))
        if not isinstance(chunk, bytes):
            chunk = machine.intake.convert(chunk)
        self.new_lanes.extend(sorter.feed(chunk))
        self._log_error()
        self._take_over_answers()
        if self._format is None and (sorter.error is not None or sorter.is_over):
            self.end(sorter.error)

    def _log_error(self) -> None:
        """Log an error between two answers now: the next answer, with which it comes, may never begin."""
        error: Any = None if self.sorter is None else self.sorter.server_error
        if error is not None and error is not self._logged_error:
            self._logged_error = error
            code = error.code or error.type or "without a code"
            warn("the server reported an error between two answers: %s", code, of=self._driver)

    def _take_over_answers(self) -> None:
        """Once the connection is known to have several answers, keep the parent stream from reading them."""
        driver, sorter, recovery = self._driver, self.sorter, self._driver.recovery
        if sorter is None or not sorter.has_several or driver.diverted:
            return
        machine = driver.machine
        if machine.way.guarding is not None:
            raise MisuseError(
                "a guard looks at one answer, and this connection has several: "
                "call .guard() on each stream of `stream.responses`"
            )
        # The stored items are in the lanes, too; the parent stream, diverted now, will not read them.
        items, self.unsorted = self.unsorted, []
        driver.diverted = True
        if recovery is not None:
            # Its machine reads all of them, for another sorter, and remembers what may come a second time.
            self.new_lanes.clear()
            self.sorter, self._format = sorter.begin_again(self.new_lanes.extend)
            machine.link.read_with(self._format)
            prepare_machine(machine, self._source)
            for each in items:
                self._read_along(*each)
        elif machine.link.format is None:
            # The parent stream reads nothing more, so it gets the format that the sorter has detected.
            machine.link.expect_format(sorter.format_name, machine.link.make_stage)
            machine.link.connect()

    def _end_with(self, now: float, item: Any) -> None:  # noqa: ANN401 - what a pump brings
        if not self.has_several:
            # The stream of a single answer reads all stored items, this last one included.
            self.unsorted.append((now, item))
        failure: Exception | None = interrupted_read_error() if item is LOST else None
        if item.__class__ is SourceFailed:
            # With several answers, nobody else reads the item, which frames of the error's traceback have.
            failure = item.take_error() if self.has_several else item.error
        self.end(failure)

    def end(self, failure: Exception | None = None) -> None:
        """End the open answers and the parent stream: the connection ended, or broke with a `failure`."""
        # `sorter` assigns messages to answers; it is None if the source was never opened.
        sorter, stop_reason = self.sorter, self._driver.verdict.end_request
        self.has_ended = True
        is_truncated = False
        if sorter is not None:
            if not sorter.has_begun:
                # The server has answered only with an error.
                failure = failure or sorter.server_error
            is_truncated = sorter.has_unfinished
            if not is_truncated and failure is None:
                failure = sorter.find_cut()
            sorter.end()
        # After a stop, a failure is only its consequence.
        self.failure = failure if stop_reason is None else None
        if stop_reason is not None:
            for response in self.drivers:
                response.verdict.request_end(stop_reason)
        elif self.has_several:
            # With a single answer, the parent stream reads that answer, and ends by itself.
            self._conclude("truncated" if is_truncated else "complete")

    def _conclude(self, ending: Ending) -> None:
        """End the parent stream with the error that broke the connection, or else with the given ending."""
        driver = self._driver
        if self.failure is None:
            driver.cut_short(ending, "the connection ended")
            return
        # Only the error that is raised first has the traceback, whose frames nothing may keep.
        is_first = ending != "truncated" and not isinstance(self.failure, MisuseError)
        try:
            driver.fail(self.failure if is_first else frameless(self.failure))
            if is_first:
                # No answer is cut off, so the loop over them raises the parent stream's error.
                self.failure = frameless(self.failure)
        except MisuseError:
            # The loop over the answers raises this error; for the parent stream, it is only a stop.
            driver.cut_short("stopped", "misuse")
        driver.conclude()

    def next_lane(self) -> AnswerLane | None:
        """Return the lane of the next answer; None to read more; raise a break that no answer has raised."""
        if self.new_lanes:
            return self.new_lanes.popleft()
        if self.failure is not None and not self.was_failure_raised:
            if self._driver.error is not None:
                self.was_failure_raised = True
                raise raised_anew(self._driver.error)
            self._raise_failure(self.failure)
        return None

    def raise_failure(self, lane: AnswerLane) -> None:
        """Raise the error that cut this answer off: its own, or the connection's; do nothing if none did."""
        lane.raise_failure()
        if self.failure is not None and not lane.is_whole:
            self._raise_failure(self.failure)

    def _raise_failure(self, failure: Exception) -> NoReturn:
        """Raise the error that broke the connection, and keep an equal one for the other answers."""
        self.was_failure_raised, self.failure = True, frameless(failure)
        try:
            raise failure
        finally:
            del failure

    def add_driver(self, driver: Driver, lane: AnswerLane) -> None:
        self.drivers.add(driver)
        lane.count_in(driver.machine.departures)

    def make_options(self, lane: AnswerLane) -> Options:
        """Return the parent stream's options, with the format of an answer, for the stream of that answer."""
        options = self._driver.options._replace(format=lane.format)
        if self._format is None:
            return options
        # Silence ends the connection, and not the answer.
        return options._replace(deadlines=replace(_NO_STALLS, total=self._driver.silence.deadlines.total))

    def take_later_answer(self, driver: Driver) -> AnswerLane | None:
        """Return the lane of an answer that began after another one in a body, whole; None without one."""
        format = driver.machine.link.connection.format
        if not format.later_frames:
            return None
        frames, format.later_frames = format.later_frames, []
        lane = AnswerLane(format.fresh(limits=driver.machine.limits), WaitingBytes())
        for frame in frames:
            lane.put_message(payload_of(frame))
        lane.end()
        return lane

    def claim_single_answer(self) -> bool:
        """Return True, once, if the loop should now return the parent stream, as the only answer."""
        if self.was_parent_returned or self.has_several or self._driver.verdict.end_request is not None:
            return False
        self.was_parent_returned = True
        return True

    def check_answers_left(self) -> None:
        if not self.new_lanes:
            self._driver.check_events_left()
