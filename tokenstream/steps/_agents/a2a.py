"""Reads the tasks of agents that speak A2A."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import dict_of, is_dict, text_of
from tokenstream.errors import StreamTruncated
from tokenstream.formats._wire.a2a.words import FINISH_REASONS, PAUSED, state_of, unwrap
from tokenstream.steps._agents.reader import AgentReader
from tokenstream.steps._model_answer import ModelAnswer

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.errors import StreamError
    from tokenstream.steps._run import Steps
    from tokenstream.steps._step import Step
    from tokenstream.steps._turn import Turn


class A2ATasks(AgentReader):
    """Reads the payloads of A2A streams: each task, or message without a task, is a turn.

    The artifacts of a task are parts of the turn's answer, and its states are updates of the turn's step.
    """

    name: ClassVar[str] = "a2a"

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._tasks: dict[str, tuple[Turn, ModelAnswer]] = {}
        """The turns that are open and their answers, by the ids of the tasks."""
        self._waiting: dict[str, str] = {}
        """The ids of the requests of tasks that wait for the user, by the ids of the tasks."""

    @classmethod
    def recognises(cls, line: dict[str, Json]) -> bool:
        """Return True for a payload of A2A; a JSON-RPC error may be of another agent."""
        return unwrap(line) is not None

    def read(self, line: dict[str, Json]) -> None:
        """Begin, continue or end the turn of a task, as a payload says."""
        unwrapped = unwrap(line)
        if unwrapped is None:
            self._read_error(line)
            return
        kind, content = unwrapped
        status = dict_of(content, "status")
        state = state_of(text_of(status, "state") or "")
        id = (text_of(content, "id") if kind == "task" else text_of(content, "taskId", "messageId")) or ""
        end = f"{id} {state}"
        is_last = kind == "message" or state in FINISH_REASONS
        if is_last and id not in self._tasks and self._has_read(end):
            # Servers may send a task once more after its end.
            return
        turn, answer = self._find_or_begin(id)
        turn.session = text_of(content, "contextId") or turn.session
        self._run.session = turn.session or self._run.session
        answer.read_piece(line)
        if status:
            self._report_status(id, turn.step, state, status)
        if answer.is_over:
            self._remember(end)
            self._end_task(id)

    @property
    def has_open_turn(self) -> bool:
        """True while a task goes on."""
        return bool(self._tasks)

    def end(self, exit_code: int | None) -> StreamError | None:
        """End the turns that are still open, since no more payloads come; return the run's error, or None.

        A task that waits for the user has ended its turn; in any other state, it goes on without this client.
        """
        cut = [error for id in [*self._tasks] if isinstance(error := self._end_task(id), StreamTruncated)]
        return cut[0] if cut else super().end(exit_code)

    def stop(self, error: BaseException) -> None:
        """End the turns that are open with an exception, because no more payloads are read."""
        for turn, _ in self._tasks.values():
            turn.step.end(error)
            self._count_turn()
        self._tasks.clear()
        self._turn = None

    # -- within ------------------------------------------------------------

    def _report_status(self, id: str, step: Step, state: str, status: dict[str, Json]) -> None:
        """Report a state with its message, and what the task waits for."""
        step.update({"type": "status", **status})
        before = self._waiting.pop(id, None)
        if state in PAUSED:
            message_id = text_of(dict_of(status, "message"), "messageId")
            self._waiting[id] = step.wait_for(f"{id} {message_id or state}", status).id
        elif before is not None:
            self._run.requests.note_answered(before)

    def _find_or_begin(self, id: str) -> tuple[Turn, ModelAnswer]:
        """Return the open turn of a task and its answer, and begin them if there are none."""
        found = self._tasks.get(id)
        if found is None:
            self._turn = None
            turn = self._open_turn()
            found = self._tasks[id] = turn, ModelAnswer(turn.step, self.name, [])
        return found

    def _read_error(self, line: dict[str, Json]) -> None:
        """End the newest open turn with the error of a payload, since an error names no task."""
        if is_dict(line.get("error")):
            id = next(reversed(self._tasks), "")
            self._find_or_begin(id)[1].read_piece(line)
            self._end_task(id)

    def _end_task(self, id: str) -> StreamError | None:
        """End the turn of a task with the verdict on its answer; return its error, or None."""
        turn, answer = self._tasks.pop(id)
        self._waiting.pop(id, None)
        error = answer.end() or answer.error
        if error is not None:
            is_cut = isinstance(error, StreamTruncated)
            error.partial = self._find_partial(turn, "truncated" if is_cut else "failed")
        self._turn = turn
        self._end_turn(error)
        return error
