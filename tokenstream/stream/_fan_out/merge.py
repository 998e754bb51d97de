"""The function `merge`, which checks its argument and returns a merge of the right kind."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, overload

from tokenstream._basics.elsewhere import refuse_block
from tokenstream._basics.members import show_members
from tokenstream._sources.kinds import class_name_of
from tokenstream.errors import MisuseError
from tokenstream.stream._async import AsyncStream
from tokenstream.stream._base import StreamBase
from tokenstream.stream._fan_out.lanes import K, Labelled, MergeBase, MergeLane
from tokenstream.stream._fan_out.merge_async import AsyncMerge
from tokenstream.stream._read_errors import concurrent_read_error
from tokenstream.stream._sync import Stream
from tokenstream.stream._sync_driver import SyncDriver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from types import TracebackType
    from typing import Self, TypeGuard


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


class _NoStreams(Merge[K]):
    """A merge without streams; a sync or async loop over it ends at once."""

    __slots__ = ()

    def __aiter__(self) -> AsyncIterator[Labelled[K]]:
        return self

    async def __anext__(self) -> Labelled[K]:
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Do nothing: there is no stream to close."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        """Do nothing: there is no stream to close."""


@overload
def merge(streams: Mapping[K, Stream], *, fail_fast: bool = True) -> Merge[K]: ...
@overload
def merge(streams: Mapping[K, AsyncStream], *, fail_fast: bool = True) -> AsyncMerge[K]: ...
def merge(streams: Mapping[K, Any], *, fail_fast: bool = True) -> Merge[K] | AsyncMerge[K]:
    r"""Read several streams at the same time, in one loop over their events with the streams' labels.

    The events of each stream keep their order, and a fast stream does not delay a slow stream.
    All requests are sent together. The end of `with` closes all streams. `streams` has the
    streams, whose views may also be read; `messages` has their answers, and `errors` their errors.

    Args:
        streams: The streams by label: all `Stream`, for a `for` loop, or all `AsyncStream`, for
            an `async for` loop.
        fail_fast: True to end all streams when the first stream fails: events that have arrived are
            delivered, the other streams are stopped, and the error is raised. False to raise the
            error once the other streams are over.

    Raises:
        MisuseError: The argument is not a mapping of streams, or mixes both kinds.
        StreamError: A stream has failed; a note and `failed` have its label. Raised in the loop.

    Example:
        >>> from tokenstream import Stream, merge
        >>> left = Stream(["Hel", "lo"], format="pieces")
        >>> right = Stream(["Good ", "bye"], format="pieces")
        >>> with merge({"left": left, "right": right}) as merged:
        ...     labels = {label for label, event in merged}
        >>> sorted(labels), merged.messages["right"].text
        (['left', 'right'], 'Good bye')
    """
    kind = _find_common_kind(streams)
    if kind is None:
        # Without streams, nothing shows the kind of the loop, so this merge supports both.
        return _NoStreams(streams, fail_fast=fail_fast)
    if kind is AsyncStream:
        return AsyncMerge(streams, fail_fast=fail_fast)
    return Merge(streams, fail_fast=fail_fast)


def _find_common_kind(streams: object) -> type[Stream | AsyncStream] | None:
    """Return the class of the streams in a mapping; None for an empty mapping.

    Raises:
        MisuseError: The argument is not a mapping of streams, or has a stream twice or both kinds of streams.
    """
    if not _is_mapping(streams):
        raise MisuseError(
            'merge takes streams by their labels, merge({"search": stream, "write": other}), '
            f"not {class_name_of(streams)}"
        )
    labels: dict[int, object] = {}
    kinds: dict[type[Stream | AsyncStream], object] = {}
    for label, stream in streams.items():
        kind = next((kind for kind in (Stream, AsyncStream) if isinstance(stream, kind)), None)
        if kind is None and isinstance(stream, StreamBase):
            raise MisuseError(f"{label!r} is one of several readers: merge takes the stream itself")
        if kind is None:
            raise MisuseError(
                f"merge takes streams, and {label!r} is {class_name_of(stream)}: wrap it in a Stream"
            )
        other = labels.setdefault(id(stream), label)
        if other != label:
            raise MisuseError(f"{label!r} and {other!r} are the same stream: give it one label")
        kinds.setdefault(kind, label)
    if len(kinds) > 1:
        raise MisuseError(
            f"{kinds[Stream]!r} is a Stream and {kinds[AsyncStream]!r} an AsyncStream: merge one kind only"
        )
    return next(iter(kinds), None)


def _is_mapping(value: object) -> TypeGuard[Mapping[object, object]]:
    """Return True for a mapping."""
    return isinstance(value, Mapping)
