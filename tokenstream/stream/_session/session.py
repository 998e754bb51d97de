"""Connections with several answers that are read one by one; other modules do the waiting.

The *parent stream* reads the connection; each answer has a *lane*, the queue of its messages.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakSet

from tokenstream._basics.kept_errors import frameless, raised_anew
from tokenstream.errors import MisuseError
from tokenstream.formats._detect.payloads import payload_of
from tokenstream.stream._log import warn
from tokenstream.stream._reading.items import END, LOST, SourceFailed
from tokenstream.stream._refusals import concurrent_read_error, interrupted_read_error, shared_stream_error
from tokenstream.stream._session.sorter import AnswerLane, Sorter, WaitingBytes

if TYPE_CHECKING:
    from tokenstream._sources import AsyncSource, SyncSource
    from tokenstream.message import Ending
    from tokenstream.stream._driver import Driver
    from tokenstream.stream._options import Options


class AnswersSession:
    """State of a connection whose answers are read one by one.

    Args:
        driver: The driver of the parent stream, which opens and closes the connection.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.sorter: Sorter | None = None
        """Sorts messages by answer; None until the source is open."""
        self.asked: tuple[str, object] | None = None
        """The address of the connection, for the origins of its answers; None if it is not known."""
        self.unsorted: list[Any] = []
        """Items read before it is known whether the connection has several answers."""
        self.new_lanes: deque[AnswerLane] = deque()
        """Lanes (queues of messages) for answers that have begun, but were not returned to the loop yet."""
        self.drivers: WeakSet[Driver] = WeakSet()
        """The drivers of the answers."""
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
        self.sorter = Sorter(machine.wanted, limits=machine.limits, messages=source.messages)
        if head is not None and (head.refuses or source.coding):
            # The parent stream itself reads a body that reports an error or has a content coding.
            self.sorter.has_several = False
        self._take_over_answers()

    def sort_chunk(self, chunk: object, timed_item: object = None) -> None:
        """Sort the messages in a chunk, of bytes or payloads, into the lanes (queues) of their answers.

        `timed_item` is the chunk in the form in which the pump takes it back: for an asynchronous one, in
        a pair after its time of arrival.
        """
        machine = self._driver.machine
        sorter: Any = self.sorter
        if not sorter.has_several:
            self.unsorted.append(chunk if timed_item is None else timed_item)
        if not isinstance(chunk, bytes):
            # The machine refuses the chunk, or converts it and stores the result in its `chunk`.
            machine.push(chunk, machine.now)
            chunk, machine.chunk = machine.chunk, None
        earlier_error = sorter.server_error
        self.new_lanes.extend(sorter.feed(chunk))
        if sorter.server_error is not earlier_error:
            # Log the error now: otherwise it would only be reported with the next answer, which may
            # never begin because of the error.
            code = sorter.server_error.code or sorter.server_error.type or "without a code"
            warn("the server reported an error between two answers: %s", code, of=self._driver)
        self._take_over_answers()
        if sorter.error is not None or sorter.is_over:
            self.end(sorter.error)

    def _take_over_answers(self) -> None:
        """Once the connection is known to have several answers, keep the parent stream from reading them."""
        driver, sorter = self._driver, self.sorter
        if sorter is not None and sorter.has_several and not driver.diverted:
            if driver.machine.guarding is not None:
                raise MisuseError(
                    "a guard looks at one answer, and this connection has several: "
                    "call .guard() on each stream of `stream.responses`"
                )
            # The stored items are in the lanes, too; the parent stream, diverted now, will not read them.
            self.unsorted.clear()
            driver.diverted = True
            if driver.machine.format is None:
                # The parent stream reads nothing more, so it gets the format that the sorter has detected.
                driver.machine.wanted = sorter.format_name
                driver.machine.connect()

    def end_if_last(self, item: Any, timed_item: Any = None) -> bool:  # noqa: ANN401 - what a pump brings
        """End the session if an item is the last one, and return True; return False for any other item."""
        if item.__class__ is SourceFailed:
            # With several answers, nobody else reads the item, which frames of the error's traceback have.
            failure: Exception | None = item.take_error() if self.has_several else item.error
        elif item is LOST:
            failure = interrupted_read_error()
        elif item is END:
            failure = None
        else:
            return False
        if not self.has_several:
            # The stream of a single answer reads all stored items, this last one included.
            self.unsorted.append(item if timed_item is None else timed_item)
        self.end(failure)
        return True

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
        """Return the lane of the next answer that has begun; None if more must be read first.

        If the connection broke, and no answer has raised its error, this raises it.
        """
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
        """Add the driver of the stream that reads an answer."""
        self.drivers.add(driver)
        lane.count_in(driver.machine.departures)

    def make_options(self, lane: AnswerLane) -> Options:
        """Return the parent stream's options, with the format of an answer, for the stream of that answer."""
        return self._driver.options._replace(format=lane.format)

    def take_later_answer(self, driver: Driver) -> AnswerLane | None:
        """Return the lane of an answer that began behind another one in a body, whole; None without one."""
        format = driver.machine.connection.format
        if not format.later_frames:
            return None
        frames, format.later_frames = format.later_frames, []
        lane = AnswerLane(format.fresh(limits=driver.machine.limits), WaitingBytes())
        for frame in frames:
            lane.put_message(payload_of(frame))
        lane.end()
        return lane

    def claim_single_answer(self) -> bool:
        """Return True if the loop should now return the parent stream, as the only answer.

        Later calls return False.
        """
        if self.was_parent_returned or self.has_several or self._driver.verdict.end_request is not None:
            return False
        self.was_parent_returned = True
        return True

    def check_answers_left(self) -> None:
        """Refuse a new loop over the answers if nothing is left to read."""
        if not self.new_lanes:
            self._driver.check_events_left()
