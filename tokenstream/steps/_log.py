"""The ordered log of a run, which also wakes the threads and tasks that wait for changes."""

from __future__ import annotations

import threading
from collections import deque
from copy import copy
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from tokenstream._answer.accumulator import Accumulator
from tokenstream._basics.text_log import TextLog
from tokenstream.errors import LimitExceeded
from tokenstream.events import (
    CitationAdded,
    Event,
    Finish,
    PartDone,
    PartStart,
    Restarted,
    Resumed,
    StepDelta,
    StepDone,
    StepStart,
    StepUpdate,
    StepWaiting,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    ToolProgress,
    ToolResult,
)
from tokenstream.message import Message, ToolCall
from tokenstream.stream._base import find_driver

if TYPE_CHECKING:
    from tokenstream._basics.loose import Action

    StepEvent: TypeAlias = StepStart | StepUpdate | StepWaiting | ToolResult | StepDone


class FreeIds:
    """Gives each id once: one that is in use gets a suffix, and "call_1" becomes "call_1-2"."""

    def __init__(self) -> None:
        self.used: set[str] = set()
        self._last_numbers: dict[str, int] = {}
        """Maps an id that was used several times to the number of its last new id: 2 for "call_1-2"."""

    def find(self, id: str) -> str:
        """Return the id, with a suffix if it is in use; it is in use from now on."""
        free_id, number = id, self._last_numbers.get(id, 1)
        while free_id in self.used:
            number += 1
            free_id = f"{id}-{number}"
            self._last_numbers[id] = number
        self.used.add(free_id)
        return free_id


class Names:
    """Maps the part indexes and call ids of each answer to part numbers and call ids of the run.

    A part gets its number when it is first seen. A call keeps its id, unless another answer
    has used the same id. Numbers and ids never change later: all readers get the same ones.
    """

    def __init__(self) -> None:
        self._parts: dict[tuple[int, int, int], int] = {}
        """Maps an answer's number, a choice and a part index to the number of the part in the run."""
        self._ids: dict[tuple[int, str], str] = {}
        """Maps an answer's number and a call's id there to the call's id in the run."""
        self._free_ids = FreeIds()

    def make_run_id(self, answer: int, id: str) -> str:
        """Return the id that a tool call has in the run."""
        if not id:
            return id
        run_id = self._ids.get((answer, id))
        if run_id is None:
            # Another answer may have used the id.
            run_id = self._ids[answer, id] = self._free_ids.find(id)
        return run_id

    def number_part(self, answer: int, choice: int, part: int) -> int:
        return self._parts.setdefault((answer, choice, part), len(self._parts))

    def rename_call(self, answer: int, call: ToolCall) -> ToolCall:
        return ToolCall.model_construct(
            id=self.make_run_id(answer, call.id),
            name=call.name,
            arguments_text=call.arguments_text,
            complete=call.complete,
            type=call.type,
            provider_data=call.provider_data,
        )

    def renumber_event(self, event: Event, answer: int, step: str) -> Event:
        """Return an event of an answer, changed in place, with the part numbers and call ids of the run."""
        changed: Any = event
        match event:
            case Restarted():
                # This event is copied: the reader of the stream itself has the same object.
                changed = copy(event)
            case ToolResult():
                # Copied, because all readers get the event that the accumulator holds.
                changed = copy(event)
                changed.id = self.make_run_id(answer, event.id)
            case ToolCallStart() | ToolCallDelta():
                changed.id = self.make_run_id(answer, event.id)
            case ToolCallDone():
                changed.call = self._rename_content(answer, event.call)
            case Resumed():
                changed.discarded = tuple(self.rename_call(answer, call) for call in event.discarded)
            case PartStart() | PartDone():
                changed.content = self._rename_content(answer, event.content)
            case CitationAdded() if event.citation.cites is not None:
                cites = self.number_part(answer, event.choice, event.citation.cites)
                changed.citation = event.citation.model_copy(update={"cites": cites})
            case Finish() if event.order:
                changed.order = tuple(self.number_part(answer, event.choice, part) for part in event.order)
            case _:
                pass
        if event.part is not None:
            changed.part = self.number_part(answer, event.choice, event.part)
        changed.step = step
        result: Event = changed
        return result

    def _rename_content(self, answer: int, content: Any) -> object:  # noqa: ANN401 - a part, or None
        """Return a part with the id that it has in the run; unchanged if the id is the same."""
        old_id: str = getattr(content, "id", "")
        id = self.make_run_id(answer, old_id)
        return content if id == old_id else content.model_copy(update={"id": id})


class StepAnswer:
    """An answer that belongs to a step: either the answer of a stream, or one built from events.

    Args:
        number: The answer's number in the run.
        stream: The stream; None for an answer built from events.
        accumulator: Collects the answer from its events; by default a new accumulator.
    """

    def __init__(self, number: int, stream: Any = None, accumulator: Accumulator | None = None) -> None:  # noqa: ANN401 - of either kind
        self.number = number
        self.stream = stream
        self.version = 0
        """A counter that is increased whenever the answer has grown."""
        self.named_calls = 0
        """Number of the answer's tool calls that were already given their ids in the run."""
        self.is_closed = False
        """True once the step has a later answer or has ended, so that `feed` adds nothing to this one."""
        self.accumulator = accumulator if accumulator is not None else Accumulator()

    @property
    def message(self) -> Message:
        message: Message = (self.accumulator if self.stream is None else self.stream).message
        return message

    def note_reader(self) -> None:
        """Note that a loop over the run's events gets the answer as it arrives."""
        if self.stream is not None:
            cast("Any", find_driver(self.stream)).readings["everything"] = True

    @property
    def is_over(self) -> bool:
        """True once no more events of the answer can follow."""
        if self.stream is None:
            return self.is_closed
        hub = cast("Any", find_driver(self.stream)).hub
        return bool(hub.has_ended or hub.driver.verdict.closed)


class StepOutput:
    """The output of a running step, such as a command's lines; it grows as an answer does."""

    def __init__(self, step: str) -> None:
        self.step = step
        self.text = TextLog()
        self.is_closed = False

    def read_from(self, at: int) -> tuple[int, list[StepDelta]]:
        """Return the number of characters so far, and what followed the first `at` ones as one event."""
        text = self.text.since(at)
        return at + len(text), [StepDelta(self.step, text)] if text else []


KEPT_PROGRESS = 1_000
"""The most values that are kept of one tool's progress; the oldest make room for new ones."""


class StepProgress:
    """The values that a running tool has yielded to show, in order; the last `KEPT_PROGRESS` of them.

    Args:
        step: The step's id.
        call: The id that the tool's call has in the run.
        name: The tool's name.
    """

    def __init__(self, step: str, call: str, name: str) -> None:
        self.step = step
        self.call = call
        self.name = name
        self._outputs = deque[Any](maxlen=KEPT_PROGRESS)
        self.count = 0
        """Number of values so far, also of those that are not kept."""
        self.is_closed = False

    def append(self, output: object) -> None:
        self._outputs.append(output)
        self.count += 1

    def since(self, count: int) -> list[Any]:
        """Return the values that are kept of those after the first `count` ones."""
        new = min(self.count - count, len(self._outputs))
        return [*islice(reversed(self._outputs), new)][::-1]

    def read_from(self, at: int) -> tuple[int, list[ToolProgress]]:
        """Return the number of values so far, and an event for each that is kept after the first `at`."""
        return self.count, [ToolProgress(self.call, self.name, output) for output in self.since(at)]


class Log:
    """The log of a run: the starts and ends of its steps, and the answers of the steps.

    The log keeps no queues for its readers: each reader has a cursor in the log and in each answer.

    Args:
        most_steps: The most steps that the run may have.
    """

    def __init__(self, most_steps: int) -> None:
        self._most_steps = most_steps
        self.lock = threading.RLock()
        """The lock that is held while steps begin and end, and while `names` is used."""
        self.entries: list[StepEvent | tuple[str, StepAnswer] | StepOutput | StepProgress] = []
        """The events of steps; for each answer, a pair of its step's id and the answer; and the outputs and
        the progress of steps.
        """
        self.answers: list[StepAnswer] = []
        """The answers of all steps, in the order in which they were added."""
        self.names = Names()
        """The ids of tool calls, and the numbers of parts, in the run."""
        self._answers_by_call: dict[str, StepAnswer] = {}
        """For each id of a tool call, the last answer that contains it."""
        self._open_answers: list[StepAnswer] = []
        """The answers that `find_cause` has seen, and that may still get more calls."""
        self._answers_seen = 0
        """Number of answers that `find_cause` has seen."""
        self.has_ended = False
        """True once the run has ended and nothing more is added."""
        self.version = 0
        """A counter that is increased whenever something happens in the run."""
        self._changed = threading.Condition()
        """Notified whenever something happens in the run; held while the waiting readers change."""
        self._steps = 0
        """Number of steps so far, from which their ids are made."""
        self._sleepers = 0
        """Number of waiting threads."""
        self._wakers: list[Action] = []
        """Functions that wake the waiting tasks."""

    def make_step_id(self) -> str:
        if self._steps >= self._most_steps:
            raise LimitExceeded(limit="steps", value=self._most_steps)
        self._steps += 1
        return str(self._steps)

    def add_event(self, event: StepEvent, step: str) -> None:
        event.step = step
        self.entries.append(event)

    def find_cause(self, call: ToolCall, parent_answers: list[StepAnswer]) -> ToolCall:
        """Return a copy of the tool call that started a step, with the id that the call has in the run."""
        self._name_calls()
        last_answer = self._answers_by_call.get(call.id)
        last_answers = [] if last_answer is None else [last_answer]
        # All answers are searched only for an id that a restart has changed, or that is in none of them.
        for answer in chain(reversed(parent_answers), last_answers, reversed(self.answers)):
            if call.id in answer.accumulator.tool_calls_delivered:
                return self.names.rename_call(answer.number, call)
        # No answer of the run contains the call; -1 is the number of no answer.
        return self.names.rename_call(-1, call)

    def _name_calls(self) -> None:
        """Give all new calls their ids in the order of the answers: the first answer keeps its own ids."""
        answers = [*self._open_answers, *self.answers[self._answers_seen :]]
        self._answers_seen = len(self.answers)
        self._open_answers = [answer for answer in answers if not answer.is_over]
        for answer in answers:
            delivered = answer.accumulator.tool_calls_delivered
            if answer.named_calls == len(delivered):
                continue
            for id in delivered[answer.named_calls :]:
                self.names.make_run_id(answer.number, id)
                known = self._answers_by_call.get(id)
                if known is None or known.number < answer.number:
                    self._answers_by_call[id] = answer
            answer.named_calls = len(delivered)

    # -- waiting -------------------------------------------------------------

    def wake_readers(self, answer: StepAnswer | None = None) -> None:
        if answer is not None:
            answer.version += 1
        # Increase the version before looking for waiting readers: a reader compares it before it waits.
        self.version += 1
        if self._sleepers or self._wakers:
            with self._changed:
                self._changed.notify_all()
                wakers, self._wakers = self._wakers, []
            for wake in wakers:
                wake()

    def wait(self, version: int) -> None:
        """Block this thread until something has happened in the run after `version`."""
        with self._changed:
            self._sleepers += 1
            try:
                while self.version == version:
                    self._changed.wait()
            finally:
                self._sleepers -= 1

    def wake_by(self, wake: Action, version: int) -> bool:
        """Register a function to be called once something happens; return False if it has since `version`.

        The caller cancels the function even then.
        """
        with self._changed:
            self._wakers.append(wake)
            return self.version == version

    def cancel_wake(self, wake: Action) -> None:
        """Remove a function that `wake_by` has registered, if it was not called yet."""
        with self._changed:
            if wake in self._wakers:
                self._wakers.remove(wake)
