"""Answers on one connection, one after the other, each as a separate stream.

The *parent stream* reads the connection. A `AnswersSession` sorts its messages into *lanes*, one for
each answer, from which the streams of the answers read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar
from weakref import ref

from tokenstream._basics.elsewhere import UncopyableObject
from tokenstream.errors import StreamError
from tokenstream.stream._async_driver import AsyncDriver
from tokenstream.stream._session.lane_reader import AsyncLaneReader, LaneReader
from tokenstream.stream._sync_driver import SyncDriver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tokenstream._basics.loose import AnyFunction
    from tokenstream.stream._protocols import Driver
    from tokenstream.stream._session.session import AnswersSession
    from tokenstream.stream._session.sorter import AnswerLane

StreamT = TypeVar("StreamT")


class _ResponsesBase(UncopyableObject, Generic[StreamT]):
    """Base class of the iterators, which reads nothing.

    Args:
        stream: The parent stream, which reads the connection.
        driver: The driver of the parent stream.
        make_stream: Makes a stream from a driver.
    """

    _driver_type: ClassVar[Any]
    _reader_type: ClassVar[Any]

    def __init__(self, stream: StreamT, driver: Any, make_stream: Callable[[Any], StreamT]) -> None:  # noqa: ANN401 - of either kind
        # Weak, since the stream itself keeps this iterator.
        self._stream = ref(stream)
        self._make_stream = make_stream
        self._driver = driver
        self._reader = self._reader_type(driver)
        self._session: AnswersSession = self._reader.session
        self._current: tuple[Callable[[], StreamT | None], Any, AnswerLane | None] | None = None
        """The stream returned last, held weakly, and its driver; None once it was read to its end."""
        self._read_last: Driver | None = None
        """The driver of the last answer of a body; None on a connection that has several by design."""

    @property
    def _is_over(self) -> bool:
        """True if no more answers follow those that have begun."""
        # With a single answer, that one was returned.
        return self._session.has_several is not None and (
            self._session.has_ended or not self._session.has_several
        )

    def _is_last_error(self, lane: AnswerLane | None, *, had_ended: bool) -> bool:
        """Return True if an error is of the only answer, or of the connection: no more follow."""
        return lane is None or (self._session.has_ended and not had_ended and not lane.is_whole)

    def _find_next(self) -> StreamT | None:
        """Return the stream of the next answer, or the parent's for an only one; None if none is there."""
        session, driver = self._session, self._driver
        if session.has_several is None:
            return None
        if session.claim_single_answer():
            # The items that were read to learn this go back to the pump, for the parent stream.
            driver.pump.put_back(session.unsorted)
            self._read_last = driver
            stream, lane = self._stream() or self._make_stream(driver), None
        else:
            lane = None if self._read_last is None else session.take_later_answer(self._read_last)
            if lane is None and (lane := session.next_lane()) is None:
                return None
            driver = self._driver_type(self._reader.make_source(lane), session.make_options(lane))
            self._read_last = driver if self._read_last is not None else None
            session.add_driver(driver, lane)
            stream = self._make_stream(driver)
        # The rest of this answer is read before the next one.
        self._current = ref(stream), driver, lane
        return stream


class Responses(_ResponsesBase[StreamT]):
    """Iterator over the answers on one connection, each a `Stream` with its own ending.

    An unread answer is read to its end before the next answer is returned. The loop ends when
    the connection ends; only the parent stream closes the connection.
    """

    __slots__ = ()

    _driver_type = SyncDriver
    _reader_type = LaneReader

    def __iter__(self) -> Iterator[StreamT]:
        self._session.check_answers_left()
        return self

    def __next__(self) -> StreamT:
        self._read_rest()
        while (stream := self._find_next()) is None:
            if self._is_over:
                raise StopIteration
            self._reader.read()
        return stream

    def _read_rest(self) -> None:
        """Read the previous answer to its end, and raise only errors that end the connection."""
        current, self._current = self._current, None
        if current is None or current[1].pump.closed:
            return
        find_stream, driver, lane = current
        had_ended = self._session.has_ended
        try:
            _make_shared_reader(find_stream, driver, self._make_stream).final()
        except StreamError:
            if self._is_last_error(lane, had_ended=had_ended):
                raise


class AsyncResponses(_ResponsesBase[StreamT]):
    """Asynchronous iterator over the answers on one connection, each an `AsyncStream` with its own ending.

    Otherwise like `Responses`.
    """

    __slots__ = ()

    _driver_type = AsyncDriver
    _reader_type = AsyncLaneReader

    def __aiter__(self) -> AsyncIterator[StreamT]:
        self._session.check_answers_left()
        return self

    async def __anext__(self) -> StreamT:
        await self._read_rest()
        while (stream := self._find_next()) is None:
            if self._is_over:
                raise StopAsyncIteration
            await self._reader.read()
        return stream

    async def _read_rest(self) -> None:
        """Read the previous answer to its end, and raise only errors that end the connection."""
        current = self._current
        if current is not None and not current[1].pump.closed:
            find_stream, driver, lane = current
            had_ended = self._session.has_ended
            try:
                await _make_shared_reader(find_stream, driver, self._make_stream).final()
            except StreamError:
                if self._is_last_error(lane, had_ended=had_ended):
                    self._current = None
                    raise
        # Reset only now: if this call is cancelled, the next call goes on with the same answer.
        self._current = None


def _make_shared_reader(
    find_stream: AnyFunction, driver: SyncDriver | AsyncDriver, make_stream: Callable[[Any], Any]
) -> Any:  # noqa: ANN401 - a stream, or a reader of one
    """Return an object that reads an answer for all its readers: its own stream, or another one."""
    hub = driver.sharing
    return find_stream() or (make_stream(driver) if hub is None else hub.make_reader())
