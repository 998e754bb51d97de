"""All that happens in a run, as events for an interface."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from tokenstream.events import MessageStart, StepStart
from tokenstream.stream._event_cursor import EventCursor
from tokenstream.stream._host import running

if TYPE_CHECKING:
    from typing import Self

    from tokenstream.events import Event
    from tokenstream.steps._log import Answer, Log

__all__ = ["RunEvents"]


class RunEvents:
    """The events of a run, from its start; see `Steps.events`.

    It is read in one place: whoever else wants them asks the run again.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._position = 0
        self._readers: dict[str, list[_Reader]] = {}
        self._waiting: deque[Event] = deque()
        self._version = -1
        self._over = False
        self._lock = threading.Lock()

    def ready(self) -> list[Event]:
        """Return what has come since the last look, without waiting; empty where nothing has.

        Example:
            >>> from tokenstream import Steps
            >>> with Steps() as run, run.step("plan"):
            ...     [type(event).__name__ for event in run.events().ready()]
            ['StepStart']
        """
        with self._lock:
            self._look()
            found = [*self._waiting]
            self._waiting.clear()
        return found

    @property
    def over(self) -> bool:
        """Whether the run has ended, and all its events were given."""
        return self._over and not self._waiting

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        while (event := self._next()) is None:
            if self._over:
                raise StopIteration
            self._log.wait(self._version)
        return event

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while (event := self._next()) is None:
            if self._over:
                raise StopAsyncIteration
            await self._wait()
        return event

    # -- within ------------------------------------------------------------

    async def _wait(self) -> None:
        """Wait in this task until something comes, in whatever thread."""
        from anyio import Event

        host, told = running(), Event()
        if host is None:
            return

        def wake() -> None:
            host.call(told.set)

        try:
            if self._log.wake_by(wake, self._version):
                await told.wait()
        finally:
            self._log.let_be(wake)

    def _next(self) -> Event | None:
        with self._lock:
            if not self._waiting:
                self._look()
            return self._waiting.popleft() if self._waiting else None

    def _look(self) -> None:
        """Take what has come since the last look."""
        log = self._log
        # First: what comes from here on is looked at another time.
        self._version = log.version
        with log.lock:
            over, entries = log.over, log.entries[self._position :]
            self._position += len(entries)
            # Each is read once: whatever matters to an entry had come before the look.
            unread = [(step, reader) for step, readers in self._readers.items() for reader in readers]
            for entry in entries:
                if isinstance(entry, tuple):
                    step, answer = entry
                    readers = self._readers[step]
                    readers.append(_Reader(answer, another=bool(readers)))
                    unread.append((step, readers[-1]))
                    continue
                # What caused a step was said before it, and so was all that came of one before its end.
                self._read(unread)
                if isinstance(entry, StepStart):
                    self._readers[entry.id] = []
                else:
                    del self._readers[entry.id]
                self._waiting.append(entry)
            self._read(unread)
            self._over = over

    def _read(self, readers: list[tuple[str, _Reader]]) -> None:
        """Take what has come in some answers, and forget which they were."""
        names = self._log.names
        for step, reader in readers:
            self._waiting.extend(names.placed(event, reader.number, step) for event in reader.ready())
        readers.clear()


class _Reader:
    """Where a reader of a run is in one of its answers.

    Args:
        answer: The answer.
        another: Whether it is told behind another one of the same step.
    """

    __slots__ = ("_another", "_answer", "_cursor", "_version", "number")

    def __init__(self, answer: Answer, *, another: bool) -> None:
        self._answer = answer
        self._another = another
        self._cursor = EventCursor(answer.accumulator)
        self._version = -1
        self.number = answer.number
        """The number of the answer in the run."""

    def ready(self) -> list[Event]:
        """Return what has come since the last look."""
        version = self._answer.version
        if version == self._version:
            return []
        # Before the look: what comes from here on is looked at another time.
        self._version = version
        events = self._cursor.ready()
        if self._another:
            for event in events:
                if isinstance(event, MessageStart):
                    # What the one before it has ended with is no end of this one.
                    event.another, self._another = True, False
                    break
        return events
