"""The events of a whole run, for a user interface."""

from __future__ import annotations

import threading
from collections import deque
from typing import ClassVar, Self, TypeAlias

from tokenstream.events import Event, MessageStart, StepDelta, StepDone, StepStart, ToolProgress
from tokenstream.steps._log import Log, StepAnswer, StepOutput, StepProgress
from tokenstream.stream._reading.host import find_host
from tokenstream.stream._views.event_cursor import EventCursor


class RunEvents:
    """An iterator over all events of a run, from its start; see `Steps.events`.

    Each object serves one reader; call `Steps.events` again for another reader.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._at = 0
        """Number of entries of the log that were read."""
        self._cursors: dict[str, list[_StepCursor]] = {}
        """The cursors in what is not over, for each open step, by the step's id."""
        self._answered: set[str] = set()
        """The ids of the open steps that have had an answer."""
        self._waiting: deque[Event] = deque()
        """Events that were collected but not returned yet."""
        self._version = -1
        """The version of the log when events were collected last."""
        self._has_ended = False
        """True if the run had ended when events were collected last."""
        self._lock = threading.Lock()

    def ready(self) -> list[Event]:
        """Return the events that have arrived since the last call; this method never waits.

        Example:
            >>> from tokenstream import Steps
            >>> with Steps() as run, run.step("plan"):
            ...     [type(event).__name__ for event in run.events().ready()]
            ['StepStart']
        """
        with self._lock:
            self._collect_events()
            events = [*self._waiting]
            self._waiting.clear()
        return events

    @property
    def over(self) -> bool:
        """True once the run has ended and this iterator has returned all its events."""
        return self._has_ended and not self._waiting

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        while (event := self._next()) is None:
            if self._has_ended:
                raise StopIteration
            self._log.wait(self._version)
        return event

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while (event := self._next()) is None:
            if self._has_ended:
                raise StopAsyncIteration
            await self._wait()
        return event

    # -- within ------------------------------------------------------------

    async def _wait(self) -> None:
        """Wait in this task until something happens in the run, no matter in which thread."""
        from anyio import Event

        host, something_happened = find_host(), Event()
        if host is None:
            # No event loop runs this coroutine: there is nothing to wait with, and the caller looks again.
            return

        def wake() -> None:
            """Wake the task that waits for a change of the run; called in any thread."""
            host.call(something_happened.set)

        try:
            if self._log.wake_by(wake, self._version):
                await something_happened.wait()
        finally:
            self._log.cancel_wake(wake)

    def _next(self) -> Event | None:
        with self._lock:
            if not self._waiting:
                self._collect_events()
            return self._waiting.popleft() if self._waiting else None

    def _collect_events(self) -> None:
        """Collect the events that the run has had since the last look."""
        log = self._log
        # Read the version before anything else: whatever happens from here on, the next look finds.
        self._version = log.version
        with log.lock:
            has_ended, entries = log.has_ended, log.entries[self._at :]
            self._at += len(entries)
            # Each answer is read once per look: all its events before the first new entry have arrived.
            unread = [(step, cursor) for step, cursors in self._cursors.items() for cursor in cursors]
            cursor: _StepCursor
            for entry in entries:
                if isinstance(entry, StepOutput | StepProgress):
                    cursor = _StepTextCursor(entry)
                    self._cursors[entry.step].append(cursor)
                    unread.append((entry.step, cursor))
                    continue
                if isinstance(entry, tuple):
                    # Another answer of a step has begun.
                    step, answer = entry
                    cursor = _StepAnswerCursor(answer, another=step in self._answered)
                    self._cursors[step].append(cursor)
                    self._answered.add(step)
                    unread.append((step, cursor))
                    continue
                # The events of the answers come first: a step starts after the tool call that caused it,
                # and ends after its own events.
                self._collect_from(unread)
                if isinstance(entry, StepStart):
                    self._cursors[entry.id] = []
                elif isinstance(entry, StepDone):
                    del self._cursors[entry.id]
                    self._answered.discard(entry.id)
                self._waiting.append(entry)
            self._collect_from(unread)
            # A later look does not go through the answers that are over.
            for step, cursors in self._cursors.items():
                if any(cursor.is_over for cursor in cursors):
                    self._cursors[step] = [cursor for cursor in cursors if not cursor.is_over]
            self._has_ended = has_ended

    def _collect_from(self, cursors: list[tuple[str, _StepCursor]]) -> None:
        """Collect the new events of some answers, outputs and progress, and clear the list `cursors`."""
        names = self._log.names
        for step, cursor in cursors:
            self._waiting.extend(names.renumber_event(event, cursor.number, step) for event in cursor.ready())
        cursors.clear()


class _StepAnswerCursor:
    """The cursor of a `RunEvents` in one answer of the run.

    Args:
        answer: The answer.
        another: True if the same step has had an earlier answer.
    """

    def __init__(self, answer: StepAnswer, *, another: bool) -> None:
        self._answer = answer
        self._is_start_unmarked = another
        """True until the start of the answer is marked, if the step has had another answer before."""
        self._cursor = EventCursor(answer.accumulator)
        answer.note_reader()
        self._version = -1
        """The version of the answer when it was read last."""
        self.number = answer.number
        self.is_over = False
        """True once all events of the answer were returned."""

    def ready(self) -> list[Event]:
        """Return the events since the last call."""
        # Noted before reading: an answer that is over now has no event that this call does not return.
        self.is_over = self._answer.is_over
        version = self._answer.version
        if version == self._version and not self.is_over:
            return []
        # Note the version before reading: whatever arrives from here on, the next call finds.
        self._version = version
        events = self._cursor.ready()
        if self._is_start_unmarked:
            for event in events:
                if isinstance(event, MessageStart):
                    # Mark the start of a new answer: the finish reason of the answer before does not apply.
                    event.another, self._is_start_unmarked = True, False
                    break
        return events


class _StepTextCursor:
    """The cursor of a `RunEvents` in the output of a step, or in the progress of a tool."""

    number: ClassVar[int] = -1
    """The number of an answer; an output belongs to none, and its events have nothing to renumber."""

    def __init__(self, output: StepOutput | StepProgress) -> None:
        self._output = output
        self._at = 0
        """Number of characters or values that were read, or that were not kept until they were."""
        self.is_over = False
        """True once the whole output was returned."""

    def ready(self) -> list[StepDelta] | list[ToolProgress]:
        """Return the events since the last call."""
        # Noted before reading: an output that is over now has nothing that this call does not return.
        self.is_over = self._output.is_closed
        self._at, events = self._output.read_from(self._at)
        return events


_StepCursor: TypeAlias = _StepAnswerCursor | _StepTextCursor
