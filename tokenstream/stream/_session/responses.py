"""Answers on one connection, one after the other, each as a separate stream.

The *parent stream* reads the connection. A `AnswersSession` sorts its messages into *lanes*, one for
each answer, from which the streams of the answers read.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar
from weakref import ref

from tokenstream._basics.members import show_members
from tokenstream._sources import AsyncSource, SyncSource
from tokenstream.errors import MisuseError, StreamError
from tokenstream.stream._async_driver import AsyncDriver
from tokenstream.stream._phase import Phase
from tokenstream.stream._reading.items import END, WAITED, BusyTime, SourceFailed, SourceOpened
from tokenstream.stream._refusals import UncopyableObject, concurrent_read_error, interrupted_read_error
from tokenstream.stream._session.session import AnswersSession
from tokenstream.stream._sync_driver import SyncDriver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from tokenstream.stream._session.sorter import AnswerLane


class _AnyStream(Protocol):
    """The part of `Stream` that this module uses, since it cannot import the class from `_sync`."""

    def final(self) -> object: ...


class _AnyAsyncStream(Protocol):
    """The part of `AsyncStream` that this module uses."""

    def final(self) -> Awaitable[object]: ...


StreamT = TypeVar("StreamT", bound=_AnyStream)
AsyncStreamT = TypeVar("AsyncStreamT", bound=_AnyAsyncStream)


@show_members
class Responses(UncopyableObject, Generic[StreamT]):
    """Iterator over the answers on one connection, each a `Stream` with its own ending.

    An unread answer is read to its end before the next answer is returned. The loop ends when
    the connection ends; only the parent stream closes the connection.

    Args:
        stream: The parent stream, which reads the connection.
        driver: The driver of the parent stream.
        make_stream: Makes a stream from a driver.
    """

    __slots__ = ("_current", "_driver", "_make_stream", "_read_last", "_session", "_stream")

    def __init__(self, stream: StreamT, driver: SyncDriver, make_stream: Callable[[Any], StreamT]) -> None:
        # Weak, since the stream itself keeps this iterator.
        self._stream = ref(stream)
        self._make_stream = make_stream
        self._driver = driver
        self._session = AnswersSession(driver)
        self._current: tuple[Callable[[], StreamT | None], SyncDriver] | None = None
        """The stream returned last, held weakly, and its driver; None once it was read to its end."""
        self._read_last: SyncDriver | None = None
        """The driver of the last answer of a body; None on a connection that has several by design."""

    def __iter__(self) -> Iterator[StreamT]:
        self._session.check_answers_left()
        return self

    def __next__(self) -> StreamT:
        """Return the stream of the next answer.

        If the connection has only one answer, that is the parent stream, which reads the connection.
        """
        session, pump = self._session, self._driver.pump
        self._read_rest()
        # Read until it is known whether the connection has several answers.
        while session.has_several is None:
            self._read()
        if session.claim_single_answer():
            # The items that were read to learn this go back to the pump, for the parent stream.
            pump.put_back(session.unsorted)
            self._read_last = self._driver
            return self._give(self._stream() or self._make_stream(self._driver), self._driver)
        later = None if self._read_last is None else session.take_later_answer(self._read_last)
        if later is not None:
            messages, options = later
            source = SyncSource(iter(messages), _do_nothing, messages=True, lent=True, asked=session.asked)
            self._read_last = SyncDriver(source, options)
            return self._give(self._make_stream(self._read_last), self._read_last)
        while (lane := session.next_lane()) is None:
            if session.has_ended or not session.has_several:
                # All answers were returned, or the only one.
                raise StopIteration
            self._read()
        # The stream of one answer leaves the connection open for the other answers, hence `lent`.
        lane_messages = _LaneMessages(self.next_message, lane)
        # Reads of an answer can be limited if those of the connection can.
        limit_read = None if pump.limit_read is None else lane_messages.limit_read
        source = SyncSource(
            lane_messages,
            lane.drop,
            messages=True,
            limit_read=limit_read,
            read_ahead=partial(self._read_ahead, lane_messages),
            lent=True,
            asked=session.asked,
        )
        driver = SyncDriver(source, session.make_options(lane))
        session.add_driver(driver, lane)
        return self._give(self._make_stream(driver), driver)

    def _give(self, stream: StreamT, driver: SyncDriver) -> StreamT:
        """Return the stream of an answer, of which the rest is read before the next one."""
        self._current = ref(stream), driver
        return stream

    def _read_rest(self) -> None:
        """Read the previous answer to its end, and raise only errors that end the connection."""
        current, self._current = self._current, None
        if current is None or current[1].pump.closed:
            return
        find_stream, driver = current
        had_ended = self._session.has_ended
        try:
            # By its own stream, which reads for all its readers if it was shared.
            (find_stream() or self._make_stream(driver)).final()
        except StreamError:
            has_just_ended = self._session.has_ended and not had_ended
            if driver is self._driver or has_just_ended:
                # The only answer, or the connection, has failed: that is why no more answers follow. Any
                # other error belongs to that one answer, whose reader has left it.
                raise

    def next_message(self, lane: AnswerLane, seconds: float | None) -> object:
        """Return the next of the connection's messages that belongs to an answer; None at the answer's end.

        Args:
            lane: The queue of the answer's messages.
            seconds: Longest time to wait, if reads of the connection can be limited; None for no limit.

        Raises:
            TimeoutError: No message arrived in time.
        """
        until = None if seconds is None else self._driver.clock() + seconds
        while (message := lane.take_message()) is None:
            if lane.has_ended:
                self._session.raise_failure(lane)
                return None
            self._read(until)
        return message

    def _read_ahead(self, messages: _LaneMessages) -> Callable[[float | None], object]:
        """Let a thread read the connection; return the function that then limits the wait for a message."""
        self._driver.read_ahead()
        return messages.limit_read

    def _read(self, until: float | None = None) -> None:
        """Read one item from the connection: a message, which goes to the stream of its answer, or its end.

        The read uses the pump of the parent stream, so that no other thread can read at the same time.

        Args:
            until: Time at which to stop waiting; None for no limit.

        Raises:
            TimeoutError: No item arrived in time.
        """
        driver, session = self._driver, self._session
        pump = driver.pump
        if not pump.begin_read():
            raise concurrent_read_error()
        try:
            if driver.verdict.end_request is not None or driver.phase is Phase.ENDED:
                # The parent stream was stopped, closed or has failed.
                session.end()
            elif session.sorter is None and isinstance(pump.source, SyncSource):
                # The source was open before the first read.
                session.open(pump.source)
            else:
                self._read_item(until)
        finally:
            # `pending` was True until the item was stored: an interruption before that may lose the item.
            pump.pending = False
            driver.end_read()
            if session.has_ended and session.has_several:
                # A single answer belongs to the parent stream, which closes the source itself.
                driver.close_source(quiet=True)

    def _read_item(self, until: float | None) -> None:
        """Read an item from the connection, and pass it on to the parent stream or to the session.

        Args:
            until: Time at which to stop waiting; None for no limit.

        Raises:
            TimeoutError: No item arrived in time.
        """
        driver, session = self._driver, self._session
        try:
            # With several answers, the deadlines apply to each answer, and not to the connection.
            item = driver.pump.read(until) if session.has_several else driver.next_item()
            if driver.verdict.end_request is not None and item.__class__ is not SourceOpened:
                # A source that was just opened is stored first, so that it can be closed.
                session.end()
            elif item is WAITED and session.has_several:
                # Nothing arrived before `until`.
                raise TimeoutError
            else:
                self._process_item(item)
        except MisuseError as error:
            session.end(error)
        except Exception:
            # An error of the source or of a limit; only a Ctrl-C or the like breaks a read off.
            raise
        except BaseException:
            if driver.pump.limit_read is None:
                # An interrupted generator has ended, which would look like the end of the connection.
                # With another kind of source, a chunk may be lost.
                session.end(interrupted_read_error())
            raise

    def _process_item(self, item: object) -> None:
        """Pass an item to the parent stream if it is about the connection; sort any other item by answers."""
        driver, session = self._driver, self._session
        if item is WAITED or item.__class__ is SourceOpened:
            driver.process_item(item, driver.clock())
            if driver.machine.error is not None:
                # A deadline of the connection has passed.
                session.end(driver.machine.error)
        elif not session.end_if_last(item):
            session.sort_chunk(item)


class _LaneMessages:
    """Iterator over a connection's messages that belong to one answer; the answer's stream reads them."""

    __slots__ = ("_lane", "_next_message", "_seconds")

    def __init__(self, next_message: Callable[[AnswerLane, float | None], Any], lane: AnswerLane) -> None:
        self._next_message = next_message
        self._lane = lane
        self._seconds: float | None = None
        """The limit of the wait for the next message; None for no limit."""

    def limit_read(self, seconds: float | None) -> None:
        """Limit the wait for the next message to a number of seconds; None for no limit."""
        self._seconds = seconds

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> object:
        message = self._next_message(self._lane, self._seconds)
        if message is None:
            raise StopIteration
        return message


@show_members
class AsyncResponses(UncopyableObject, Generic[AsyncStreamT]):
    """Asynchronous iterator over the answers on one connection, each an `AsyncStream` with its own ending.

    Otherwise like `Responses`.

    Args:
        stream: The parent stream, which reads the connection.
        driver: The driver of the parent stream.
        make_stream: Makes a stream from a driver.
    """

    __slots__ = ("_current", "_driver", "_make_stream", "_read_last", "_session", "_stream")

    def __init__(
        self, stream: AsyncStreamT, driver: AsyncDriver, make_stream: Callable[[Any], AsyncStreamT]
    ) -> None:
        # Weak, since the stream itself keeps this iterator.
        self._stream = ref(stream)
        self._make_stream = make_stream
        self._driver = driver
        self._session = AnswersSession(driver)
        self._current: tuple[Callable[[], AsyncStreamT | None], AsyncDriver] | None = None
        """The stream returned last, held weakly, and its driver; None once it was read to its end."""
        self._read_last: AsyncDriver | None = None
        """The driver of the last answer of a body; None on a connection that has several by design."""

    def __aiter__(self) -> AsyncIterator[AsyncStreamT]:
        self._session.check_answers_left()
        return self

    async def __anext__(self) -> AsyncStreamT:
        """Return the stream of the next answer.

        If the connection has only one answer, that is the parent stream, which reads the connection.
        """
        session = self._session
        await self._read_rest()
        # Read until it is known whether the connection has several answers.
        while session.has_several is None:
            await self._read()
        if session.claim_single_answer():
            # The items that were read to learn this go back to the pump, for the parent stream.
            self._driver.pump.put_back(session.unsorted)
            self._read_last = self._driver
            return self._give(self._stream() or self._make_stream(self._driver), self._driver)
        later = None if self._read_last is None else session.take_later_answer(self._read_last)
        if later is not None:
            items, options = later
            source = AsyncSource(
                _Arrived(items),
                _do_nothing_async,
                messages=True,
                survives=True,
                lent=True,
                asked=session.asked,
            )
            self._read_last = AsyncDriver(source, options)
            return self._give(self._make_stream(self._read_last), self._read_last)
        while (lane := session.next_lane()) is None:
            if session.has_ended or not session.has_several:
                # All answers were returned, or the only one.
                raise StopAsyncIteration
            await self._read()
        # The stream of one answer leaves the connection open for the other answers, hence `lent`. A read
        # that is cancelled loses nothing, hence `survives`.
        messages = _AsyncLaneMessages(self.next_message, lane)
        source = AsyncSource(
            messages, _make_drop(lane), messages=True, survives=True, lent=True, asked=session.asked
        )
        driver = AsyncDriver(source, session.make_options(lane))
        session.add_driver(driver, lane)
        return self._give(self._make_stream(driver), driver)

    def _give(self, stream: AsyncStreamT, driver: AsyncDriver) -> AsyncStreamT:
        """Return the stream of an answer, of which the rest is read before the next one."""
        self._current = ref(stream), driver
        return stream

    async def _read_rest(self) -> None:
        """Read the previous answer to its end, and raise only errors that end the connection."""
        current = self._current
        if current is not None and not current[1].pump.closed:
            find_stream, driver = current
            had_ended = self._session.has_ended
            try:
                # By its own stream, which reads for all its readers if it was shared.
                await (find_stream() or self._make_stream(driver)).final()
            except StreamError:
                has_just_ended = self._session.has_ended and not had_ended
                if driver is self._driver or has_just_ended:
                    # The only answer, or the connection, has failed: that is why no more answers follow. Any
                    # other error belongs to that one answer, whose reader has left it.
                    self._current = None
                    raise
        # Reset only now: if this call is cancelled, the next call goes on with the same answer.
        self._current = None

    async def next_message(self, lane: AnswerLane) -> object:
        """Return the next of the connection's messages that belongs to an answer; None at the answer's end.

        Args:
            lane: The queue of the answer's messages.
        """
        while (message := lane.take_message()) is None:
            if lane.has_ended:
                self._session.raise_failure(lane)
                return None
            await self._read()
        return message

    async def _read(self) -> None:
        """Read one item from the connection: a message, which goes to the stream of its answer, or its end.

        Cancelling this read loses nothing.
        """
        driver, session = self._driver, self._session
        # With several answers, the deadlines apply to each answer, and not to the connection.
        now, item = await driver.next_item(timed=not session.has_several)
        try:
            self._process_item(now, item)
        except MisuseError as error:
            session.end(error)
        if session.has_ended and session.has_several:
            # A single answer belongs to the parent stream, which closes the source itself.
            await driver.close_source(failed=session.failure is not None, quiet=True)

    def _process_item(self, now: float, item: object) -> None:
        """Pass an item to the parent stream if it is about the connection; sort any other item by answers.

        Args:
            now: Time of the item's arrival; the asynchronous pump takes back an item only with its time.
        """
        driver, session = self._driver, self._session
        is_about_connection = item is WAITED or item.__class__ in (SourceOpened, BusyTime)
        if driver.phase is Phase.ENDED:
            # The parent stream was stopped or closed, so no answer goes on: this ends the session.
            item, is_about_connection = END, False
        elif is_about_connection:
            driver.process_item(item, now)
        if session.sorter is None and isinstance(driver.pump.source, AsyncSource):
            # The source is open now.
            session.open(driver.pump.source)
        if driver.machine.error is not None:
            # A deadline of the connection has passed: this ends the session, too.
            item, is_about_connection = SourceFailed(driver.machine.error), False
        if not is_about_connection and not session.end_if_last(item, (now, item)):
            session.sort_chunk(item, (now, item))


class _AsyncLaneMessages:
    """Asynchronous iterator over a connection's messages that belong to one answer, for its stream."""

    __slots__ = ("_lane", "_next_message")

    def __init__(self, next_message: Callable[[AnswerLane], Awaitable[Any]], lane: AnswerLane) -> None:
        self._next_message = next_message
        self._lane = lane

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> object:
        message = await self._next_message(self._lane)
        if message is None:
            raise StopAsyncIteration
        return message


def _do_nothing() -> None:
    """Close nothing: the messages have arrived already."""


async def _do_nothing_async() -> None:
    """Close nothing: the messages have arrived already."""


class _Arrived:
    """Asynchronous iterator over messages that have arrived already; a cancelled read loses none."""

    __slots__ = ("_messages",)

    def __init__(self, messages: list[Any]) -> None:
        self._messages = iter(messages)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> object:
        for message in self._messages:
            return message
        raise StopAsyncIteration


def _make_drop(lane: AnswerLane) -> Callable[[], Any]:
    """Return an asynchronous function that drops a lane: no stream reads the answer's messages any more."""

    async def drop() -> None:
        """Drop the queue of the answer's messages; this needs no waiting."""
        lane.drop()

    return drop
