"""Readers of the lines that agents print, and their base class: turns, answers and tools of one run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.error_marks import add_sentence
from tokenstream._basics.recent_ids import RecentIds
from tokenstream.errors import MisuseError, ProviderError, StreamError, StreamTruncated
from tokenstream.events import UsageUpdate
from tokenstream.message import Ending, FinishReason, Message, ToolCall, Usage
from tokenstream.stages._tools.generators import ToolFailed
from tokenstream.steps._model_answer import TextAnswer, last_text
from tokenstream.steps._step import LeftOpenStep, Step
from tokenstream.steps._turn import Steering, Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream._values.steer import Steer
    from tokenstream.steps._run import Steps

REMEMBERED = 5_000
"""Number of ids of lines that are remembered at least."""
_SHOWN = 200
"""Number of characters of an agent's error message that a step's error quotes."""


class AgentReader(ABC):
    """Turns an agent's lines into the turns of a run, each a step with answers and sub-steps for tools."""

    name: ClassVar[str]
    """The name of the agent, such as "codex"."""
    turn_methods: ClassVar[frozenset[str]] = frozenset()
    """The methods of requests that begin turns, whose answers may come before the end of their turns."""

    def __init__(self, run: Steps) -> None:
        self._run = run
        self._turn: Turn | None = None
        """The turn in progress; None between two turns."""
        self._tools: dict[str, Step] = {}
        """The steps of tools that have not ended, by the ids of their calls."""
        self._ids = RecentIds(REMEMBERED)
        """The ids of the last lines, to recognise a line that is repeated."""
        self._last_error: str | None = None
        """The agent's last message about an error that has ended no turn; None if it has sent none."""
        self._exit_code: int | None = None
        """The exit code of the agent's process; None if it is not known."""
        self._held: list[Turn] = []
        """The turns in which the agent has stopped to ask, and whose steps are still open."""
        self.turns_ended = 0
        self._request_ids: dict[str, str] = {}
        """The ids that the agent's requests have in the run, by the ids that the agent gave them."""
        self.send_answer: Callable[[int | str, Any], None] | None = None
        """Sends the answer to a request of the agent, by its id; None if the agent cannot be answered."""
        self.steering = Steering()

    @abstractmethod
    def read(self, line: JsonObject) -> None:
        """Begin, continue or end turns and steps, as a line says."""

    def read_sent(  # noqa: B027 - most agents are only read
        self, method: str, params: Json, id: int | str | None
    ) -> None:
        """Note a request or a notification that the program has sent to the agent."""

    def read_answer(self, method: str, answer: JsonObject) -> None:
        """Read the agent's answer to a request of the program, like any other message."""
        self.read(answer)

    def steer(self, text: str) -> Steer:
        """Say something to the agent while it works; return what tells what becomes of it."""
        raise MisuseError(f"{self._agent} takes no input while it works: wait for the end of its turn")

    @classmethod
    def recognises(cls, line: JsonObject) -> bool:  # noqa: ARG003 - for those that are detected
        """Return True if a line can only be of this agent."""
        return False

    @classmethod
    def find_name(cls, line: JsonObject) -> str | None:
        """Return the name of the agent that has surely printed a line; None if it may be of another one."""
        return cls.name if cls.recognises(line) else None

    def read_reply(self, id: Json) -> None:
        """Note that a request of the agent was answered."""
        run_id = self._request_ids.get(str(id))
        if run_id is not None:
            self._run.requests.note_answered(run_id)

    def end(self, exit_code: int | None) -> StreamError | None:
        """End the turn that is still open, since no more lines come; return the error of the run, or None."""
        self.steering.lose()
        error = self.end_open_turn(exit_code) or self._failure_of_process(exit_code)
        self._end_held(error)
        return error

    def _failure_of_process(self, exit_code: int | None) -> StreamError | None:
        """Return the error of a process whose turns have not failed; None if it has none."""
        last = self._run.turns[-1] if self._run.turns else None
        if exit_code and (last is None or last.state in ("done", "waiting")):
            sentence = f"the process of {self._agent} ended with exit code {exit_code}"
            failed = add_sentence(ProviderError(f"{sentence}{self._last_words}"), sentence)
            if last is not None:
                failed.partial = self._find_partial(last, "failed")
            return failed
        return self._failure(self._last_error) if last is None and self._last_error else None

    def end_open_turn(self, exit_code: int | None) -> StreamError | None:
        """End the turn that is still open, since no more lines come; return its error, or None."""
        turn, self._exit_code = self._turn, exit_code
        if turn is None:
            return None
        is_over = self.is_waiting or self._ends_without_a_line()
        error = None if is_over else self._truncation_of(turn)
        self._end_turn(error)
        return error

    @property
    def has_open_turn(self) -> bool:
        """True while a turn is in progress, and does not wait for a person."""
        return self._turn is not None and not self.is_waiting

    @property
    def is_waiting(self) -> bool:
        """True while the agent waits for a person within a turn."""
        return self._turn is not None and self._turn.state == "waiting"

    def find_partial(self) -> Message | None:
        """Return the last answer of the last turn, for an error of the run; None without a turn."""
        turns = self._run.turns
        turn = self._turn or (turns[-1] if turns else None)
        return None if turn is None else self._find_partial(turn, "truncated")

    def stop(self, error: BaseException) -> None:
        """End the turn that is open with an exception, because the lines are not read any further."""
        self._forget_turn()
        turn, self._turn = self._turn, None
        self._stop_turns([] if turn is None else [turn], error)
        self._end_held(error)

    def _stop_turns(self, turns: list[Turn], error: BaseException) -> None:
        for turn in turns:
            turn.step.end(error)
            self._count_turn()

    def fail(self, message: str | None, code: str | None) -> None:
        """End the turn, because the agent's server says that it failed."""
        self._open_turn()
        self._end_turn(self._failure(message, code=code))

    @property
    def _agent(self) -> str:
        """The name of the agent; that of the reader while several agents may print such lines."""
        return self._run.agent or self.name

    def _ends_without_a_line(self) -> bool:
        """Return True if the open turn is complete although no line has ended it."""
        return False

    def _is_repeated(self, id: str | None) -> bool:
        """Return True if a line with this id was read before; remember the id, unless it is None."""
        return id is not None and not self._ids.add(id)

    # -- turns -------------------------------------------------------------

    def _open_turn(self) -> Turn:
        """Return the turn in progress, and begin one if there is none."""
        if self._turn is None:
            self._end_held(None, [each for each in self._held if each.session == self._run.session])
            self._run.requests.resumed_by(self._asker)
            step = self._run.step(self._agent, agent=self._agent)
            self._turn = Turn(step, self._run.session)
            self._run.add_turn(self._turn)
        return self._turn

    @property
    def _turn_step(self) -> Step:
        """The step of the turn in progress, which begins if there is none."""
        return self._open_turn().step

    def _open_turn_of_session(self, session: str | None = None) -> Turn:
        """Return the turn in progress, and begin one if there is none, after its session is known."""
        self._run.introduce(session=session)
        turn = self._open_turn()
        turn.note_session(self._run.session)
        return turn

    def _end_turn(self, error: StreamError | None) -> None:
        turn, self._turn = self._turn, None
        self._forget_turn()
        self._tools.clear()
        if turn is not None:
            self._close_turn(turn, error)

    def _stop_turn(self, reason: str) -> None:
        """End the turn in progress as stopped, because it was cancelled; its answer has ended before."""
        self._turn_step.end(LeftOpenStep(reason))
        self._end_turn(None)

    def _forget_turn(self) -> None:  # noqa: B027 - most keep nothing more
        """Forget what a reader of one agent keeps of the turn in progress."""

    def _close_turn(self, turn: Turn, error: StreamError | None) -> None:
        """End a turn; its result is its last text, unless the agent has reported another."""
        self._count_turn()
        if turn.result is None:
            turn.result = last_text(turn.step)
        turn.step.result = turn.result
        if error is None and turn.state == "waiting":
            # The process may still fail.
            self._held.append(turn)
        else:
            turn.step.end(error)

    def _hold_turn(self) -> None:
        """Note that the agent has stopped in its turn to ask, and does nothing until the answer comes."""
        self._run.requests.hold(self._turn_step, self._asker)
        self._count_turn()

    def _hold_tools(self) -> None:
        """Let the turn, and its tools without a result, wait for the answers to what was asked in it."""
        step = self._turn_step
        asked = step.open_requests
        for waiting in (step, *self._tools.values()) if asked else ():
            self._run.requests.hold(waiting, self._asker, *asked)

    def _end_held(self, error: BaseException | None, ended: list[Turn] | None = None) -> None:
        """End the steps of turns in which the agent has stopped to ask; by default, of all."""
        ended = self._held if ended is None else ended
        self._held = [each for each in self._held if each not in ended]
        for turn in ended:
            turn.step.end(error)

    @property
    def _asker(self) -> str:
        """The name of what stops to ask, and goes on in a later run: a session of the agent."""
        return f"{self.name} {self._run.session or ''}"

    def _count_turn(self) -> None:
        self.turns_ended += 1

    def _truncation_of(self, turn: Turn) -> StreamTruncated:
        """Return the error of a turn that no line has ended."""
        process = "" if self._exit_code is None else f", and its process with exit code {self._exit_code}"
        sentence = f"{self._agent} ended without the line that ends a turn{process}"
        error = add_sentence(StreamTruncated(f"{sentence}{self._last_words}"), sentence)
        error.partial = self._find_partial(turn, "truncated")
        return error

    @property
    def _last_words(self) -> str:
        """The agent's last message about an error, for the end of an error's message."""
        return f": {self._last_error[:_SHOWN]}" if self._last_error else ""

    def _failure(self, message: str | None, *, code: str | None = None) -> ProviderError:
        text = message or "it gives no reason"
        return ProviderError(f"{self._agent} reports an error: {text[:_SHOWN]}", code=code)

    @staticmethod
    def _find_partial(turn: Turn, ending: Ending) -> Message:
        """Return the last answer of a turn, for its error."""
        message = turn.step.message or Message()
        return message.model_copy(update={"ending": ending})

    def ask(self, step: Step, message: JsonObject) -> None:
        """Report that a step waits for the answer to a request of the agent.

        Each agent numbers its requests from 0, so a request has an id of its own in the run.
        """
        id: Any = message.get("id")
        send = self.send_answer
        step.wait_for(self._request_id(str(id)), message, send=None if send is None else partial(send, id))

    def _request_id(self, id: str) -> str:
        if id not in self._request_ids:
            self._request_ids[id] = self._run.requests.find_free_id(id)
        return self._request_ids[id]

    # -- tools -------------------------------------------------------------

    def _begin_tool(
        self, id: str, name: str, arguments: str | None = None, *, parent: Step | None = None
    ) -> Step:
        """Begin the step of a tool, by default below that of the turn; one that runs is left as it is."""
        parent = parent or self._turn_step
        if id not in self._tools:
            call = ToolCall(id=id, name=name, arguments_text=arguments or "", complete=True)
            step = self._tools[id] = parent.step(name, cause=call)
            step.provider_executed = True
        return self._tools[id]

    def _is_done(self, id: str) -> bool:
        """Return True if a tool has ended, whose step was `_end_tool` given, or an item of an answer."""
        return f"done {id}" in self._ids

    def _end_tool(self, id: str, result: object, *, failure: str | None = None) -> None:
        """End the step of a tool, also of one that has waited in a run before; its id counts as "done"."""
        self._ids.add(f"done {id}")
        step, error = self._tools.pop(id, None), None if failure is None else ToolFailed(failure[:_SHOWN])
        if step is None:
            self._run.requests.settle(id, result, error)
        elif step.ended is None:
            for request in step.requests if step.has_stopped_to_ask else ():
                self._run.requests.note_answered(request.id)
            step.result = result
            step.end(error)

    @staticmethod
    def _replace_output(step: Step, output: str) -> None:
        """Add what is new in the output of a tool, which is sent anew each time.

        Output that does not begin with what was there before is left out; the tool's result has it.
        """
        before = step.output
        if step.ended is None and len(output) > len(before) and output.startswith(before):
            step.add_output(output[len(before) :])


class TextAgentReader(AgentReader):
    """Base of the readers of agents that print text and reasoning, and not the events of a model's API."""

    _counts_each: ClassVar[bool] = False
    """True if the agent counts the tokens of each answer, and not those of the turn."""

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._answer: TextAnswer | None = None
        """The answer in progress; None between a tool and the next text."""
        self._model: str | None = None

    @property
    def _speaker(self) -> Step:
        return self._turn_step

    def fail(self, message: str | None, code: str | None) -> None:
        """End the answer in progress and the turn, because the agent's server says that they failed."""
        self._end_answer("error")
        super().fail(message, code)

    def _end_turn(self, error: StreamError | None) -> None:
        """End the turn in progress with its tools, and an answer that no line has ended."""
        if error is None:
            self._end_answer("stop")
        # Without an end, the answer ends as the step does.
        self._answer = None
        super()._end_turn(error)

    def _add_text(self, kind: str, text: str | None, *, is_whole: bool = False) -> None:
        """Add text or reasoning to the answer in progress, and begin one if there is none."""
        if text:
            if self._answer is None:
                self._answer = TextAnswer(self._speaker, self._model)
            self._answer.add(kind, text, is_whole=is_whole)

    def _end_answer(self, reason: FinishReason, usage: Usage | None = None) -> None:
        answer, self._answer = self._answer, None
        if usage and not self._counts_each:
            self._turn_step.count(usage)
        if answer is not None:
            answer.end(reason, usage)
        elif usage and self._counts_each:
            # The model has called a tool, and written nothing.
            TextAnswer(self._speaker, self._model).end(reason, usage)
        elif usage and self._turn is not None and self._turn.step.has_answer:
            # The counts of the turn come after its last answer.
            self._turn.step.feed(UsageUpdate(usage))

    def _break_answer(self, usage: Usage | None = None) -> None:
        """End the answer in progress as cut off, a message of its own: the agent asks its provider anew."""
        answer, self._answer = self._answer, None
        if answer is None and usage:
            answer = TextAnswer(self._speaker, self._model)
        if answer is not None:
            answer.break_off(usage)

    @property
    def _has_text(self) -> bool:
        return self._answer is not None and self._answer.has_text
