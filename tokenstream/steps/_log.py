"""The ordered log of a run, and the notification of those who wait for news."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from tokenstream.accumulator import Accumulator
from tokenstream.steps._names import Names

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import StepDone, StepStart
    from tokenstream.message import Message, ToolCall


class StepAnswer:
    """An answer that a step follows: from a stream, or built from events.

    Args:
        number: The answer's number in the run.
        stream: The stream; None for an answer built from events.
        accumulator: Holds the answer so far.
    """

    __slots__ = ("accumulator", "number", "stream", "version")

    def __init__(
        self,
        number: int,
        stream: Any = None,  # noqa: ANN401 - of either kind
        accumulator: Accumulator | None = None,
    ) -> None:
        self.number = number
        self.stream = stream
        self.version = 0
        """Changes whenever the answer has grown."""
        self.accumulator = accumulator if accumulator is not None else Accumulator()

    @property
    def message(self) -> Message:
        """The answer so far."""
        message: Message = (self.accumulator if self.stream is None else self.stream).message
        return message


class Log:
    """The log of a run: beginnings and ends of steps, and the answers that they follow.

    The log keeps no queues for its readers: each reader has a position in it, and in each answer.
    """

    __slots__ = (
        "_changed",
        "_sleepers",
        "_steps",
        "_wakers",
        "answers",
        "entries",
        "lock",
        "names",
        "over",
        "version",
    )

    def __init__(self) -> None:
        self.lock = threading.RLock()
        """Held while steps begin and end, and while `names` is used."""
        self.entries: list[StepStart | StepDone | tuple[str, StepAnswer]] = []
        """Beginnings and ends of steps, and pairs of a step's id and an answer that it follows."""
        self.answers: list[StepAnswer] = []
        self.names = Names()
        self.over = False
        """True once the run has ended and nothing more is added."""
        self.version = 0
        """Changes whenever something happened in the run."""
        self._changed = threading.Condition()
        self._steps = 0
        self._sleepers = 0
        """Number of waiting threads."""
        self._wakers: list[Callable[[], object]] = []
        """Functions that wake the waiting tasks."""

    def count(self) -> str:
        """Return the id for a new step."""
        self._steps += 1
        return str(self._steps)

    def find_cause(self, call: ToolCall, own: tuple[StepAnswer, ...]) -> ToolCall:
        """Return the call that started a step, with its id in the run.

        Args:
            call: The call.
            own: The answers of the parent step, which are searched first.
        """
        for answer in self.answers:
            # Names all ids in the order of the answers, so that the first answer keeps its ids.
            for id in answer.accumulator.tool_calls_delivered:
                self.names.id(answer.number, id)
        for answer in (*reversed(own), *reversed(self.answers)):
            if call.id in answer.accumulator.tool_calls_delivered:
                return self.names.call(answer.number, call)
        return self.names.call(-1, call)

    # -- waiting -------------------------------------------------------------

    def wake_readers(self, answer: StepAnswer | None = None) -> None:
        """Wake all waiting readers.

        Args:
            answer: The answer that has grown; None if a step began or ended.
        """
        if answer is not None:
            answer.version += 1
        # Before the check for waiting readers, since a reader compares the version before it waits.
        self.version += 1
        if self._sleepers or self._wakers:
            with self._changed:
                self._changed.notify_all()
                wakers, self._wakers = self._wakers, []
            for wake in wakers:
                wake()

    def wait(self, version: int) -> None:
        """Wait in this thread while `version` is still the current version."""
        with self._changed:
            self._sleepers += 1
            try:
                while self.version == version:
                    self._changed.wait()
            finally:
                self._sleepers -= 1

    def wake_by(self, wake: Callable[[], object], version: int) -> bool:
        """Call a function at the next change; return False if `version` is already outdated."""
        with self._changed:
            self._wakers.append(wake)
            return self.version == version

    def cancel_wake(self, wake: Callable[[], object]) -> None:
        """Cancel a function that `wake_by` registered."""
        with self._changed:
            if wake in self._wakers:
                self._wakers.remove(wake)
