"""Reads a connection for the streams of its answers: each message goes into the lane of its answer.

Each of these keeps the next one, and the loop over the answers keeps the last stream's driver and the reader:

    an answer's stream ──▶ the messages of its lane ──▶ the reader ──▶ the parent stream's driver

None refers back. So the connection lasts as long as any of its answers is kept, and all is freed with the
last of them, without the garbage collector.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from tokenstream._sources.kinds import AsyncSource, LimitRead, SyncSource
from tokenstream.errors import MisuseError
from tokenstream.formats._endings import CLOSED
from tokenstream.stream._reading.items import WAITED, SourceOpened
from tokenstream.stream._refusals import interrupted_read_error
from tokenstream.stream._session.session import AnswersSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tokenstream.stream._async_driver import AsyncDriver
    from tokenstream.stream._session.sorter import AnswerLane
    from tokenstream.stream._sync_driver import SyncDriver


class LaneReader:
    """Reads a connection, and sorts its messages into lanes, the queues of its answers."""

    def __init__(self, driver: SyncDriver) -> None:
        self.driver = driver
        self.session = AnswersSession(driver)

    def make_source(self, lane: AnswerLane) -> SyncSource:
        """Return the messages of an answer as the source of a stream.

        That stream leaves the connection open for the other answers, hence `lent`.
        """
        messages = _LaneMessages(self, lane)
        # Reads of an answer can be limited if those of the connection can.
        limit_read = None if self.driver.pump.limit_read is None else messages.limit_read
        return SyncSource(
            messages,
            lane.drop,
            messages=True,
            limit_read=limit_read,
            read_ahead=partial(self._read_ahead, messages),
            lent=True,
            asked=self.session.asked,
        )

    def _read_ahead(self, messages: _LaneMessages) -> LimitRead:
        """Let a thread read the connection; return the function that then limits the wait for a message."""
        self.driver.read_ahead()
        return messages.limit_read

    def read(self, until: float | None = None) -> None:
        """Read one item from the connection: a message, which goes to the stream of its answer, or its end.

        The read uses the pump of the parent stream, so that no other thread can read at the same time. At
        the time `until`, it raises TimeoutError.
        """
        driver, session = self.driver, self.session
        pump = driver.pump
        if session.begin_read():
            driver.open_now()
        if not pump.begin_read():
            raise session.busy_error
        try:
            if driver.verdict.end_request is not None or driver.has_ended:
                # The parent stream was stopped, closed or has failed.
                session.end()
            elif driver.machine.intake.state in CLOSED:
                session.end_as_parent()
            elif session.is_unopened and pump.source is not None:
                # The source is open before the first read.
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
        """Read an item from the connection, and pass it on to the parent stream or to the session."""
        driver, session, limit = self.driver, self.session, math.inf if until is None else until
        try:
            item = driver.next_item(until) if session.is_timed else driver.pump.read(until)
            if driver.verdict.end_request is not None and item.__class__ is not SourceOpened:
                # A source that was just opened is stored first, so that it can be closed.
                session.end()
            elif item is WAITED and (not session.is_timed or driver.clock() >= limit):
                # Nothing arrived before `until`.
                raise TimeoutError
            else:
                session.read_item(driver.clock(), item)
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


class _LaneMessages:
    """Iterator over a connection's messages that belong to one answer; the answer's stream reads them."""

    def __init__(self, reader: LaneReader, lane: AnswerLane) -> None:
        self._reader = reader
        self._lane = lane
        self._seconds: float | None = None
        """The limit of the wait for the next message; None for no limit."""

    def limit_read(self, seconds: float | None) -> None:
        self._seconds = seconds

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> object:
        until = None if self._seconds is None else self._reader.driver.clock() + self._seconds
        while (message := self._lane.take_message()) is None:
            if self._lane.has_ended:
                self._reader.session.raise_failure(self._lane)
                raise StopIteration
            self._reader.read(until)
        return message


class AsyncLaneReader:
    """Reads a connection in an event loop; otherwise like `LaneReader`."""

    def __init__(self, driver: AsyncDriver) -> None:
        self.driver = driver
        self.session = AnswersSession(driver)

    def make_source(self, lane: AnswerLane) -> AsyncSource:
        """Return the messages of an answer as the source of a stream; a cancelled read loses none of them.

        That stream leaves the connection open for the other answers, hence `lent`.
        """
        messages, asked = _AsyncLaneMessages(self, lane), self.session.asked
        return AsyncSource(messages, lane.drop_async, messages=True, survives=True, lent=True, asked=asked)

    async def read(self) -> None:
        """Read one item from the connection: a message, which goes to the stream of its answer, or its end.

        Cancelling this read loses nothing.
        """
        driver, session = self.driver, self.session
        if driver.pump.busy:
            raise session.busy_error
        if session.begin_read():
            await driver.open_now()
        if driver.machine.intake.state in CLOSED and not driver.has_ended:
            session.end_as_parent()
        else:
            await self._read_item()
        if session.has_ended and session.has_several:
            # A single answer belongs to the parent stream, which closes the source itself.
            await driver.close_source(failed=session.failure is not None, quiet=True)

    async def _read_item(self) -> None:
        driver, session = self.driver, self.session
        try:
            if session.is_unopened and driver.pump.source is not None:
                session.open(driver.pump.source)
            now, item = await driver.next_item(timed=session.is_timed)
            if driver.has_ended:
                # The parent stream was stopped or closed, so no answer goes on.
                session.end()
            else:
                session.read_item(now, item)
        except MisuseError as error:
            session.end(error)


class _AsyncLaneMessages:
    """Asynchronous iterator over a connection's messages that belong to one answer, for its stream."""

    def __init__(self, reader: AsyncLaneReader, lane: AnswerLane) -> None:
        self._reader = reader
        self._lane = lane

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> object:
        while (message := self._lane.take_message()) is None:
            if self._lane.has_ended:
                self._reader.session.raise_failure(self._lane)
                raise StopAsyncIteration
            await self._reader.read()
        return message
