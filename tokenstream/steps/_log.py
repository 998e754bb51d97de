"""What has happened in a run, in its order, and who is told that something has."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from tokenstream.accumulator import Accumulator
from tokenstream.steps._names import Names

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import StepDone, StepStart
    from tokenstream.message import Message, ToolCall

__all__ = ["Answer", "Log"]


class Answer:
    """An answer that a step follows: a stream's, or one that is made of events.

    Args:
        number: Its number in the run.
        stream: The stream; None where there is none.
        accumulator: What has been said.
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
        """Another number whenever something has come of it."""
        self.accumulator = accumulator if accumulator is not None else Accumulator()

    @property
    def message(self) -> Message:
        """The answer so far."""
        message: Message = (self.accumulator if self.stream is None else self.stream).message
        return message


class Log:
    """The steps of a run as they began and ended, and the answers that they follow.

    Nothing is held for its readers: each has a position here, and in each answer.
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
        """Held while steps begin and end, and while names are given."""
        self.entries: list[StepStart | StepDone | tuple[str, Answer]] = []
        """Where steps began and ended, and the answers that they follow, with their ids."""
        self.answers: list[Answer] = []
        self.names = Names()
        self.over = False
        """The run has ended: nothing is added any more."""
        self.version = 0
        """Another number whenever something has come."""
        self._changed = threading.Condition()
        self._steps = 0
        self._sleepers = 0
        """How many threads wait."""
        self._wakers: list[Callable[[], object]] = []
        """Wake the tasks that wait."""

    def count(self) -> str:
        """Return the id of another step."""
        self._steps += 1
        return str(self._steps)

    def cause(self, call: ToolCall, own: tuple[Answer, ...]) -> ToolCall:
        """Return the call that started a step, with its id in the run.

        Args:
            call: The call.
            own: The answers that are looked through first: those of what the step is a part of.
        """
        for answer in self.answers:
            # In the order of the answers, whoever looks first: the first one keeps its ids.
            for id in answer.accumulator.tool_calls_delivered:
                self.names.id(answer.number, id)
        for answer in (*reversed(own), *reversed(self.answers)):
            if call.id in answer.accumulator.tool_calls_delivered:
                return self.names.call(answer.number, call)
        return self.names.call(-1, call)

    # -- waiting -------------------------------------------------------------

    def tell(self, answer: Answer | None = None) -> None:
        """Have all who wait look again.

        Args:
            answer: The answer in which something has come; None where a step began or ended.
        """
        if answer is not None:
            answer.version += 1
        # Before it is looked who waits: whoever is about to compares this first.
        self.version += 1
        if self._sleepers or self._wakers:
            with self._changed:
                self._changed.notify_all()
                wakers, self._wakers = self._wakers, []
            for wake in wakers:
                wake()

    def wait(self, version: int) -> None:
        """Wait in this thread until something comes, after what was seen."""
        with self._changed:
            self._sleepers += 1
            try:
                while self.version == version:
                    self._changed.wait()
            finally:
                self._sleepers -= 1

    def wake_by(self, wake: Callable[[], object], version: int) -> bool:
        """Have a function called once something comes; False where it has come already."""
        with self._changed:
            self._wakers.append(wake)
            return self.version == version

    def let_be(self, wake: Callable[[], object]) -> None:
        """Forget a function that was to be called."""
        with self._changed:
            if wake in self._wakers:
                self._wakers.remove(wake)
