"""The events of a whole run, for a user interface."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from tokenstream.events import MessageStart, StepDelta, StepDone, StepStart, ToolProgress
from tokenstream.steps._log import StepOutput, StepProgress
from tokenstream.stream._reading.host import find_host
from tokenstream.stream._views.event_cursor import EventCursor

if TYPE_CHECKING:
    from typing import Self

    from tokenstream.events import Event
    from tokenstream.steps._log import Log, StepAnswer


class RunEvents:
    """An iterator over all events of a run, from its start; see `Steps.events`.

    Each object serves one reader; call `Steps.events` again for another reader.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._position = 0
        """Number of entries of the log that were read."""
        self._readers: dict[str, list[_Reader]] = {}
        """The readers of what is not over, for each open step, by the step's id."""
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
        """Return the next event that has arrived, or None if there is none."""
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
            has_ended, entries = log.has_ended, log.entries[self._position :]
            self._position += len(entries)
            # Each answer is read once per look: all its events before the first new entry have arrived.
            unread = [(step, reader) for step, readers in self._readers.items() for reader in readers]
            reader: _Reader
            for entry in entries:
                if isinstance(entry, StepOutput | StepProgress):
                    reader = _OutputReader(entry) if isinstance(entry, StepOutput) else _ProgressReader(entry)
                    self._readers[entry.step].append(reader)
                    unread.append((entry.step, reader))
                    continue
                if isinstance(entry, tuple):
                    # Another answer of a step has begun.
                    step, answer = entry
                    reader = _AnswerReader(answer, another=step in self._answered)
                    self._readers[step].append(reader)
                    self._answered.add(step)
                    unread.append((step, reader))
                    continue
                # The events of the answers come first: a step starts after the tool call that caused it,
                # and ends after its own events.
                self._collect_from(unread)
                if isinstance(entry, StepStart):
                    self._readers[entry.id] = []
                elif isinstance(entry, StepDone):
                    del self._readers[entry.id]
                    self._answered.discard(entry.id)
                self._waiting.append(entry)
            self._collect_from(unread)
            # A later look does not go through the answers that are over.
            for step, readers in self._readers.items():
                if any(reader.is_over for reader in readers):
                    self._readers[step] = [reader for reader in readers if not reader.is_over]
            self._has_ended = has_ended

    def _collect_from(self, readers: list[tuple[str, _Reader]]) -> None:
        """Collect the new events of some answers, outputs and progress, and clear the list `readers`."""
        names = self._log.names
        for step, reader in readers:
            self._waiting.extend(names.renumber_event(event, reader.number, step) for event in reader.ready())
        readers.clear()


class _AnswerReader:
    """The position in one answer of the run up to which a `RunEvents` has read that answer.

    Args:
        answer: The answer.
        another: True if the same step has had an earlier answer.
    """

    __slots__ = ("_answer", "_cursor", "_is_start_unmarked", "_version", "is_over", "number")

    def __init__(self, answer: StepAnswer, *, another: bool) -> None:
        self._answer = answer
        self._is_start_unmarked = another
        """True until the start of the answer is marked, if the step has had another answer before."""
        self._cursor = EventCursor(answer.accumulator)
        answer.note_reader()
        self._version = -1
        """The version of the answer when it was read last."""
        self.number = answer.number
        """The number of the answer in the run."""
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


class _OutputReader:
    """The position in the output of a step up to which a `RunEvents` has read that output."""

    __slots__ = ("_output", "_position", "is_over")

    number: ClassVar[int] = -1
    """The number of an answer; an output belongs to none, and its events have nothing to renumber."""

    def __init__(self, output: StepOutput) -> None:
        self._output = output
        self._position = 0
        """Number of characters that were read."""
        self.is_over = False
        """True once the whole output was returned."""

    def ready(self) -> list[Event]:
        """Return the output since the last call as one event."""
        # Noted before reading: an output that is over now has no text that this call does not return.
        self.is_over = self._output.is_closed
        text = self._output.text.since(self._position)
        self._position += len(text)
        return [StepDelta(self._output.step, text)] if text else []


class _ProgressReader:
    """The position in the progress of a tool up to which a `RunEvents` has read it."""

    __slots__ = ("_position", "_progress", "is_over")

    number: ClassVar[int] = -1
    """The number of an answer; progress belongs to none, and its events have nothing to renumber."""

    def __init__(self, progress: StepProgress) -> None:
        self._progress = progress
        self._position = 0
        """Number of values that were read, or that were not kept until they were."""
        self.is_over = False
        """True once all values were returned."""

    def ready(self) -> list[Event]:
        """Return an event for each value since the last call that is kept."""
        progress = self._progress
        self.is_over = progress.is_closed
        outputs = progress.since(self._position)
        self._position = progress.count
        return [ToolProgress(progress.call, progress.name, output) for output in outputs]


_Reader: TypeAlias = _AnswerReader | _OutputReader | _ProgressReader
