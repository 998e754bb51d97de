"""The merge of several streams in one `for` loop."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tokenstream._basics.elsewhere import refuse_block
from tokenstream._basics.members import show_members
from tokenstream.stream._fan_out.lanes import K, Labelled, MergeBase, MergeLane
from tokenstream.stream._read_errors import concurrent_read_error
from tokenstream.stream._sync import Stream
from tokenstream.stream._sync_driver import SyncDriver

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType
    from typing import Self


@show_members
class Merge(MergeBase[K, Stream, SyncDriver]):
    """Iterator over the labelled events of several streams, which are read at the same time.

    From the first read on, a thread for each stream reads ahead.

    Args:
        streams: The streams by label.
        fail_fast: True to end all streams when the first stream fails.
    """

    __slots__ = ("_arrival", "_lock")

    def __init__(self, streams: Mapping[K, Stream], *, fail_fast: bool) -> None:
        super().__init__(streams, fail_fast=fail_fast)
        # Reentrant, like the lock of a stream.
        self._lock = threading.RLock()
        # The reading threads set it when a stream may have an event.
        self._arrival = self._queue.waiter = threading.Event()

    def __iter__(self) -> Iterator[Labelled[K]]:
        self._check_events_left()
        return self

    def __next__(self) -> Labelled[K]:
        """Return the next event of any stream; raise `ConcurrentRead` while another thread waits for one."""
        if not self._lock.acquire(blocking=False):
            raise concurrent_read_error()
        try:
            return self._next_event()
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close all streams; the messages keep the content read so far. Closing twice does no harm."""
        self._close(quiet=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close(quiet=error is not None)

    # -- within ------------------------------------------------------------

    def _next_event(self) -> Labelled[K]:
        """Return the next event of any stream; wait for one if none has arrived.

        At the end of all streams, this raises the first error of a stream, or else StopIteration.
        """
        if self._live_count < 0:
            # This is the first call.
            self._begin()
        if self._is_alarm_due:
            # Check the deadlines of a stream, even while other streams deliver events.
            self._handle_alarms()
        while self._live_count:
            lane = self._next_lane()
            if lane is None:
                self._wait()
                continue
            # If the bell rings from now on, `_dequeue` puts the stream back into the queue.
            lane.entry.was_rung = False
            try:
                event = lane.driver.poll(lane.entry)
            except Exception as error:  # noqa: BLE001 - `_handle_error` raises unexpected ones again
                self._handle_error(lane, error)
            else:
                if event is not None:
                    return self._label_event(lane, event)
                self._dequeue(lane)
        failure = self._take_error()
        if failure is None:
            raise StopIteration
        self._close(quiet=True)
        raise failure.with_traceback(None)

    def _dequeue(self, lane: MergeLane[K, SyncDriver]) -> None:
        """Take a stream without an event out of the queue, unless an event has arrived meanwhile."""
        super()._dequeue(lane)
        if lane.entry.was_rung and not lane.has_ended:
            # A thread rang the entry after `poll` had found nothing, but before the lane left
            # the queue.
            lane.entry.set()

    def _wait(self) -> None:
        """Wait until a stream may have an event, or its deadlines must be checked."""
        self._arrival.clear()
        seconds = self._handle_alarms()
        if not self._queue.entries:
            self._arrival.wait(seconds)

    def _close(self, *, quiet: bool) -> None:
        """Close all streams, after waking all of their threads.

        Args:
            quiet: If closing fails, log the error instead of raising it: another error is being raised.
        """
        # All threads are asked to end first, so that the waits for them below overlap.
        for driver in self._drivers:
            driver.record_closing()
            driver.pump.finish()
        errors: list[Exception] = []
        for driver in self._drivers:
            try:
                driver.close(quiet=quiet)
            except Exception as error:  # noqa: BLE001 - the other streams must still be closed
                errors.append(error)
        if errors:
            raise errors[0]


refuse_block(Merge, is_async=False)
