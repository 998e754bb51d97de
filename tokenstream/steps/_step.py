"""Steps of a run: each has streams, sub-steps and an outcome."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, TypeVar, get_args

from tokenstream._basics.error_marks import message_of
from tokenstream.errors import LimitExceeded, MisuseError
from tokenstream.events import Event, MessageStart, StepDone, StepStart, StepUpdate, StepWaiting, ToolResult
from tokenstream.limits import DEFAULT_LIMITS
from tokenstream.message import Ending, Message, ToolCall, Usage
from tokenstream.stages._tools.generators import ToolFailed, ToolStopped
from tokenstream.steps._log import Log, StepAnswer, StepOutput, StepProgress
from tokenstream.steps._tree import describe_step
from tokenstream.stream._base import find_driver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tokenstream._basics.loose import Action, JsonObject
    from tokenstream.stages._metrics.metrics import Metrics
    from tokenstream.steps._run import Steps
    from tokenstream.stream import AsyncStream, Stream
    from tokenstream.stream._protocols import Clock

StreamT = TypeVar("StreamT", bound="Stream | AsyncStream")
StepState: TypeAlias = Literal["running", "waiting", "done", "failed", "stopped"]
"""The state of a run or a step."""
StepOutcome: TypeAlias = Literal["done", "failed", "stopped"]
_ENDINGS = get_args(Ending)

OPEN: ContextVar[tuple[Step, ...]] = ContextVar("tokenstream_steps", default=())
"""The steps whose `with` blocks are running; a new step becomes a sub-step of the last of them in its run."""


class LeftOpenStep(BaseException):
    """The error that stops a step which is still open when its run, its parent step or its events end."""


class RunNode:
    """Base class of runs and steps: both contain steps, and have a beginning and an end.

    Args:
        name: The name of the run or step.
        log: The run's log, which records the starts and ends of its steps and their answers.
        clock: Returns the time in seconds.
    """

    if not TYPE_CHECKING:
        # The attributes are in the subclasses' dictionary.
        __slots__ = ()

    def __init__(self, name: str, log: Log, clock: Clock) -> None:
        self.name = name
        """The name of the run or step."""
        self.error: str | None = None
        """A description of the error that ended the run or step; None if it ended without an error."""
        self.error_type: str | None = None
        """The name of the class of that error."""
        self.result: Any = None
        """The result, if the caller stores one here; for a tool that a router ran, the tool's result."""
        self.ended: float | None = None
        """The clock reading at the end; None while the run or step is running."""
        self._log = log
        self._clock = clock
        self._steps: list[Step] = []
        self.started = clock()
        """The clock reading at the beginning."""
        self._answers: list[StepAnswer] = []
        """The answers of the streams that the step follows, and those built by `feed`."""
        self._outcome: StepOutcome = "done"

    @property
    def steps(self) -> tuple[Step, ...]:
        """The direct sub-steps, in the order in which they began."""
        return tuple(self._steps)

    @property
    def state(self) -> StepState:
        """The current state: "running", "done", "failed", or "stopped" if it was cancelled or left open."""
        return "running" if self.ended is None else self._outcome

    @property
    def has_failed(self) -> bool:
        """True once the run or step has ended with an error."""
        return self._outcome == "failed"

    @property
    def seconds(self) -> float:
        """The duration in seconds, up to now or up to the end."""
        return (self._clock() if self.ended is None else self.ended) - self.started

    @property
    def total_usage(self) -> Usage:
        """The sum of the token counts of all sub-steps; false if none were reported."""
        return _sum_usage(self._find_usages())

    def end(self, error: BaseException | None = None) -> None:
        """End the run or step, and stop its sub-steps that are still open; a `with` block calls this.

        Args:
            error: The reason for the end. It determines `state`: "failed" for an `Exception`,
                "stopped" for any other `BaseException`, "done" for None.
        """
        with self._log.lock:
            if self.ended is not None:
                return
            # Sub-steps end before the steps that contain them.
            for step in reversed([*self._iterate_steps(running=True)]):
                parent = step.run if step.parent is None else step.parent
                left_open = LeftOpenStep(f"it was still open when {title_of(parent)} ended")
                # A step that waits for a person fails with the run or step around it.
                has_failed = isinstance(error, Exception) and step.state == "waiting"
                step.end(error if has_failed else left_open)
            # A step that waits for a person has not been stopped: it goes on with the answer.
            is_left_waiting = isinstance(error, LeftOpenStep) and self.state == "waiting"
            if error is not None and not is_left_waiting:
                self._note_error(error)
            self.ended = self._clock()
            self._record_end()
        self._log.wake_readers()
        # A step that was left open ends with its run, which holds the lock, and tells the observer itself.
        if not isinstance(error, LeftOpenStep):
            self._tell_observer()

    def _note_error(self, error: BaseException) -> None:
        self._outcome = "failed" if isinstance(error, Exception) else "stopped"
        self.error, self.error_type = _describe_stored(error), type(error).__name__

    def _find_usages(self, *, counts_all: bool = False) -> Iterator[Usage]:
        """Yield the token counts of all sub-steps; with `counts_all`, only those that their agents count.

        An agent counts all that is in its turn, but for the turns of agents with conversations of their own.
        """
        waiting = [(step, counts_all) for step in self._steps]
        while waiting:
            step, is_counted = waiting.pop()
            counted = step.counted_usage
            if counted is not None or not is_counted:
                yield step.usage if counted is None else counted
            waiting += [(below, is_counted or counted is not None) for below in step.steps]

    def _tell_observer(self) -> None:
        """Tell the run's observer, if it has one, that the run or a step at its top level has ended."""
        raise NotImplementedError

    def _iterate_steps(self, *, running: bool = False) -> Iterator[Step]:
        """Yield all sub-steps at every depth, each before its own sub-steps."""
        # Not recursive: runs may nest deeper than Python's recursion limit.
        waiting = [*reversed(self._steps)]
        while waiting:
            step = waiting.pop()
            # An ended step has no running sub-steps: its end has ended them.
            if step.ended is None or not running:
                yield step
                waiting.extend(reversed(step.steps))

    def _record_end(self) -> None:
        raise NotImplementedError

    def _begin_step(
        self, run: Steps, parent: Step | None, what: object, agent: str | None, cause: ToolCall | None
    ) -> Step:
        """Begin a step in the run or in a step, and add its start to the log."""
        name: Any = what
        if isinstance(what, ToolCall):
            call: Any = name
            name = call.name
            cause = call if cause is None else cause
        if not isinstance(name, str):
            raise MisuseError(f"step() takes a name or a ToolCall, not {type(name).__name__}")
        given: object = cause
        if cause is not None and not isinstance(given, ToolCall):
            raise MisuseError(f"cause= takes the ToolCall that started the step, not {type(cause).__name__}")
        with self._log.lock:
            if self.ended is not None:
                raise MisuseError(f"{title_of(self)} has already ended: begin step {name!r} before its end")
            cause_in_run = None if cause is None else self._log.find_cause(cause, self._answers)
            step = Step(
                run,
                parent,
                name,
                agent=agent,
                cause=cause,
                call_id=None if cause_in_run is None else cause_in_run.id,
                log=self._log,
                clock=self._clock,
            )
            self._steps.append(step)
            parent_id = None if parent is None else parent.id
            start = StepStart(step.id, name, parent_id, step.agent, cause_in_run)
            self._log.add_event(start, step.id)
        self._log.wake_readers()
        return step

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self.end(error)


class Step(RunNode):
    """A named piece of a run, with the streams that it follows and its sub-steps.

    `Steps.step` and `Step.step` begin a step. It can be inspected from any thread, during
    the run and afterwards.
    """

    def __init__(
        self,
        run: Steps,
        parent: Step | None,
        name: str,
        *,
        agent: str | None,
        cause: ToolCall | None,
        call_id: str | None,
        log: Log,
        clock: Clock,
    ) -> None:
        super().__init__(name, log, clock)
        self.run = run
        """The run that the step belongs to."""
        self.parent = parent
        """The enclosing step; None at the top level of the run."""
        self.id = log.make_step_id()
        """The step's id, unique within the run."""
        self.agent: str | None = agent if agent is not None or parent is None else parent.agent
        """The name of the agent that executes the step; by default the parent step's agent."""
        self.cause = cause
        """The tool call that started the step, or None."""
        self._call_id = call_id
        """The id of this call in the run's events, or None."""
        self.provider_executed = False
        """True if an agent or a provider runs the tool itself; the caller sets this before the end."""
        self._output: StepOutput | None = None
        """The output so far; None before the first."""
        self._progress: StepProgress | None = None
        """The progress of the tool so far; None before the first."""
        self.updates: dict[str, JsonObject] = {}
        """The last data of each type that `update` was given, such as "plan", by their types."""
        self.counted_usage: Usage | None = None
        """The tokens of the step and its sub-steps, as an agent counts them; None if it has not."""
        self._held_for: list[StepWaiting] = []
        """The requests without whose answers the agent does not go on; empty if it has not stopped to ask."""
        self._is_unsettled = False
        """True if the step of a call has ended because it waits, and the call has no result yet."""
        self._requests: dict[str, StepWaiting] = {}
        """The requests of the step by their ids, answered or not."""
        self._stop_listening: list[Action] = []
        """Functions that end the notifications from the streams that the step follows."""

    def __repr__(self) -> str:
        return f"<Step {describe_step(self)}>"

    def __enter__(self) -> Self:
        """Begin the `with` block; steps and runs begun in it find this step in the variable `OPEN`."""
        if self.ended is not None:
            raise MisuseError(f"{title_of(self)} has already ended: begin a new one")
        OPEN.set((*OPEN.get(), self))
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        # `OPEN` has the steps whose `with` blocks are running. This one may not be the last of them:
        # generators may end in a different order, or in another task.
        OPEN.set(tuple(step for step in OPEN.get() if step is not self))
        super().__exit__(kind, error, traceback)

    def step(self, what: str | ToolCall, *, agent: str | None = None, cause: ToolCall | None = None) -> Step:
        """Begin a sub-step of this step, whatever `with` block is running; for example from another thread.

        Args:
            what: The sub-step's name; or the tool call that started it, whose tool's name it gets.
            agent: The name of the agent that executes the sub-step; by default this step's agent.
            cause: The tool call that started the sub-step; None if none did.

        Raises:
            MisuseError: This step has ended.
        """
        return self._begin_step(self.run, self, what, agent, cause)

    def follow(self, stream: StreamT) -> StreamT:
        """Make a stream's answer part of this step; return the stream, to be read as usual.

        Tools that a router runs for the stream become sub-steps.

        Args:
            stream: A `Stream` or an `AsyncStream`, already read or not.

        Raises:
            MisuseError: `stream` is not a stream, another step already follows it, or this step has ended.
            MisuseError: Another thread or task is reading the stream; `kind` is "concurrent".

        Example:
            >>> from tokenstream import Steps, Stream
            >>> with Steps() as run, run.step("greet") as step:
            ...     answer = step.follow(Stream(["Hel", "lo"], format="pieces")).final()
            >>> step.text, step.state
            ('Hello', 'done')
        """
        from tokenstream.stream import AsyncStream, Stream

        given: Any = stream
        if not isinstance(given, Stream | AsyncStream):
            raise MisuseError(
                f"follow() takes a Stream or an AsyncStream, not {type(given).__name__}: pass the result of "
                "connect() or aconnect(), or wrap the response"
            )
        with self._log.lock:
            self._refuse_if_ended("follow the stream")
            broadcast: Any = given.broadcast()
            # From here on, the stream is read through its hub, for all readers of the broadcast.
            reader: Any = find_driver(given)
            hub = reader.hub
            # `around_tool` makes a sub-step of each tool that a router runs for the stream.
            if hub.around_tool is not None:
                raise MisuseError("another step already follows this stream: a stream belongs to one step")
            hub.around_tool = self._around_tool
            answer = self._add_answer(StepAnswer(len(self._log.answers), stream, hub.driver.accumulator))
            self._stop_listening.append(broadcast.listen(partial(self._log.wake_readers, answer)))
        self._log.wake_readers()
        return stream

    def feed(self, event: Event) -> None:
        """Add an event to an answer that is not read from a `Stream`, for example from a framework.

        `MessageStart(another=True)` begins another answer. All answers end with the step.

        Args:
            event: The event. Its part is numbered within the answer, from 0.

        Raises:
            MisuseError: The step has ended; or a part got deltas of two kinds, such as text and reasoning.
            LimitExceeded: The answer has more text than `Limits.text` allows.

        Example:
            >>> from tokenstream import Steps
            >>> from tokenstream.events import TextDelta
            >>> with Steps() as run, run.step("greet") as step:
            ...     step.feed(TextDelta("Hello"))
            >>> step.text
            'Hello'
        """
        with self._log.lock:
            if self.ended is not None:
                self._refuse_if_ended("feed events")
            answer = self._answers[-1] if self._answers else None
            begins_another = isinstance(event, MessageStart) and event.another
            if answer is None or answer.stream is not None or begins_another:
                answer = self._add_answer(StepAnswer(len(self._log.answers)))
            accumulator = answer.accumulator
            if accumulator.error is None:
                accumulator.take(event)
            if accumulator.error is not None:
                accumulator.check()
        self._log.wake_readers(answer)

    def add_output(self, text: str) -> None:
        """Add output of the step while it is running, such as the lines that a command prints.

        Readers of the run's events get it as `StepDelta`.

        Raises:
            MisuseError: The step has ended.
            LimitExceeded: The step has more output than one answer may have text.

        Example:
            >>> from tokenstream import Steps
            >>> with Steps() as run, run.step("test") as step:
            ...     step.add_output("1 passed")
            >>> step.output
            '1 passed'
        """
        with self._log.lock:
            self._refuse_if_ended("add output")
            if not text:
                return
            if self._output is None:
                self._output = StepOutput(self.id)
                self._log.entries.append(self._output)
            if self._output.text.length + len(text) > DEFAULT_LIMITS.text:
                raise LimitExceeded(limit="text", value=DEFAULT_LIMITS.text)
            self._output.text.append(text)
        self._log.wake_readers()

    @property
    def output(self) -> str:
        """The output that `add_output` was given so far."""
        return "" if self._output is None else self._output.text.join()

    def add_progress(self, output: Any) -> None:  # noqa: ANN401 - what a tool has to show
        """Show a value while the tool runs whose call began the step; a router does so for generators.

        Readers of the run's events get it as `ToolProgress`.

        Args:
            output: The value: a JSON value, or one that pydantic writes as JSON.

        Raises:
            MisuseError: The step has ended, or no call began it.

        Example:
            >>> from tokenstream import Steps
            >>> from tokenstream.message import ToolCall
            >>> with Steps() as run, run.step(ToolCall(id="call_1", name="index_files")) as step:
            ...     step.add_progress("3 of 20")
            >>> step.progress
            ('3 of 20',)
        """
        with self._log.lock:
            self._refuse_if_ended("show progress")
            if self._call_id is None:
                raise MisuseError(
                    f"no call began {title_of(self)}, so it has no tool: use update() or add_output(), or "
                    "begin it with run.step(call)"
                )
            if self._progress is None:
                name = self.name if self.cause is None else self.cause.name
                self._progress = StepProgress(self.id, self._call_id, name)
                self._log.entries.append(self._progress)
            self._progress.append(output)
        self._log.wake_readers()

    @property
    def progress(self) -> tuple[Any, ...]:
        """The values that the step's tool has shown while it ran; the last 1,000 if there are more."""
        progress = self._progress
        if progress is None:
            return ()
        with self._log.lock:
            return tuple(progress.since(0))

    def update(self, data: dict[str, Any]) -> None:
        """Report news about the step while it is running, such as its progress or a plan.

        Readers of the run's events get it as `StepUpdate`; `updates` keeps the last data of each type.

        Args:
            data: The news as JSON, with their type as "type"; see `StepUpdate.data`.

        Raises:
            MisuseError: The step has ended, or the data have no type.

        Example:
            >>> from tokenstream import Steps
            >>> with Steps() as run, run.step("copy") as step:
            ...     step.update({"type": "progress", "progress": 2, "total": 8})
            >>> step.updates["progress"]["total"]
            8
        """
        kind = data.get("type")
        if not isinstance(kind, str):
            raise MisuseError(
                'update() takes a dict with a "type", such as {"type": "progress", "progress": 2}'
            )
        with self._log.lock:
            self._refuse_if_ended("report news")
            self.updates[kind] = data
            self._log.add_event(StepUpdate(self.id, data), self.id)
        self._log.wake_readers()

    def wait_for(
        self, id: str, request: object, *, send: Callable[[Any], object] | None = None
    ) -> StepWaiting:
        """Report that the step waits for an answer from outside, such as a permission; return the event.

        `run.reply` answers. This method itself does not wait.

        Args:
            id: The request's id, unique within the run. With a known id, nothing happens, and the event of
                the earlier request is returned.
            request: The request, a JSON value. `{"type": "approval", …}` asks whether the call that has
                started the step may run.
            send: Sends the answer to whoever has asked; None if the run has no way to send it.

        Raises:
            MisuseError: The step has ended.

        Example:
            >>> from tokenstream import Steps
            >>> answers = []
            >>> with Steps() as run, run.step("delete") as step:
            ...     event = step.wait_for("r1", {"path": "build"}, send=answers.append)
            ...     run.reply("r1", {"allow": True})
            >>> event.answered, answers
            (True, [{'allow': True}])
        """
        with self._log.lock:
            self._refuse_if_ended("wait for an answer")
            event = self.run.requests.add(self, id, request, send)
            self._requests[event.id] = event
            return event

    @property
    def state(self) -> StepState:
        """The current state: "running", "waiting" for a person, "done", "failed" or "stopped"."""
        state = super().state
        if state not in ("running", "done"):
            return state
        if any(not each.answered for each in self._held_for):
            above = self.parent
            while above is not None and not above.has_failed:
                above = above.parent
            return "failed" if above is not None or self.run.has_failed else "waiting"
        if not self._is_unsettled:
            return state
        return "running" if self.run.ended is None else "stopped"

    @property
    def requests(self) -> tuple[StepWaiting, ...]:
        """The requests of the step itself, in the order in which they came."""
        return tuple(self._requests.values())

    @property
    def open_requests(self) -> list[StepWaiting]:
        """The requests in the step and its sub-steps that are not answered."""
        events = (event for step in (self, *self._iterate_steps()) for event in step.requests)
        return [event for event in events if not event.answered]

    @property
    def has_stopped_to_ask(self) -> bool:
        """True once `hold` was called."""
        return bool(self._held_for)

    def hold(self, requests: list[StepWaiting]) -> None:
        """Make the step wait until each of the requests is answered, also after its end."""
        self._held_for += requests

    def settle(self, result: object, error: BaseException | None) -> None:
        """Take the result of the step's call, which has waited, and whose step has ended before."""
        with self._log.lock:
            self.result, self._is_unsettled = result, False
            if error is not None:
                self._note_error(error)
            for id in self._requests:
                self.run.requests.note_answered(id)
            self._log.add_event(self._make_result(), self.id)
        self._log.wake_readers()

    def copy_outcome(self, step: Step) -> None:
        """Take the outcome of the step in which the call of this one was begun anew."""
        self.result, self.error, self.error_type = step.result, step.error, step.error_type
        self._outcome, self._is_unsettled = step._outcome, False

    def count(self, usage: Usage) -> None:
        """Note the tokens of the step and its sub-steps, as an agent counts them."""
        self.counted_usage = usage

    def conclude(self, ending: Ending = "complete") -> None:
        """Set the ending of the last answer built by `feed`; without this call, it ends as the step does.

        This has no effect if the step has no answer, or if its last answer is that of a stream.

        Args:
            ending: A value of `Message.ending`.

        Raises:
            MisuseError: The value is not an ending.
        """
        if ending not in _ENDINGS:
            raise MisuseError(f"ending= takes one of {', '.join(_ENDINGS)}, not {ending!r}")
        if self._answers and self._answers[-1].stream is None:
            self._answers[-1].accumulator.conclude(ending)
            self._log.wake_readers()

    @property
    def streams(self) -> tuple[Stream | AsyncStream, ...]:
        """The streams that the step follows, in the order of `follow`."""
        return tuple(answer.stream for answer in self._answers if answer.stream is not None)

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages of the step's answers so far."""
        return tuple(answer.message for answer in self._answers)

    @property
    def has_answer(self) -> bool:
        """True once the step has an answer; unlike `message`, this builds nothing."""
        return bool(self._answers)

    @property
    def message(self) -> Message | None:
        """The message of the step's last answer so far; None before the first answer."""
        return self._answers[-1].message if self._answers else None

    @property
    def text(self) -> str:
        """The text of all answers so far, separated by empty lines."""
        return "\n\n".join([message.text for message in self.messages if message.text])

    @property
    def metrics(self) -> Metrics | None:
        """The metrics of the step's last stream; None before the first stream."""
        streams = self.streams
        return streams[-1].metrics if streams else None

    @property
    def usage(self) -> Usage:
        """The sum of the token counts of the step's own answers; false if none were reported."""
        return _sum_usage(message.usage for message in self.messages)

    @property
    def total_usage(self) -> Usage:
        """The sum of the token counts of the step and all its sub-steps; false if none were reported."""
        counted = self.counted_usage
        return _sum_usage(
            [self.usage if counted is None else counted, *self._find_usages(counts_all=counted is not None)]
        )

    # -- within ------------------------------------------------------------

    def _refuse_if_ended(self, action: str) -> None:
        if self.ended is not None:
            raise MisuseError(f"{title_of(self)} has already ended: {action} before its end")

    def _add_answer(self, answer: StepAnswer) -> StepAnswer:
        if self._answers:
            self._answers[-1].is_closed = True
        self._answers.append(answer)
        self._log.answers.append(answer)
        self._log.entries.append((self.id, answer))
        return answer

    def _around_tool(self, call: ToolCall) -> AbstractContextManager[Step | None]:
        """Return the context manager in which a router runs a tool: a sub-step, or nothing after the end."""
        return nullcontext() if self.ended is not None else self.step(call)

    def _tell_observer(self) -> None:
        if self.parent is None and self.run.observer is not None:
            self.run.observer.ended(self)

    def _make_result(self) -> ToolResult:
        return ToolResult(self._call_id or "", self.result, self.error, self.provider_executed)

    def _record_end(self) -> None:
        """Conclude the answers built by `feed`, and record the end of the step."""
        for answer in self._answers:
            # A new version makes the readers of the run look at the answer once more.
            answer.version += 1
            answer.is_closed = True
            if answer.stream is None:
                answer.accumulator.conclude("complete" if self._outcome == "done" else self._outcome)
        if self._output is not None:
            self._output.is_closed = True
        if self._progress is not None:
            self._progress.is_closed = True
        is_waiting, has_outcome = self.state == "waiting", self.result is not None or self.error is not None
        unsettled, id = self.run.requests.unsettled, None if self.cause is None else self.cause.id
        if id is not None and is_waiting and not has_outcome:
            # The next run of the agent has the result: it tells that alone, or begins the call anew.
            unsettled[id], self._is_unsettled = self, True
        # A call that still waits for an answer, such as an approval, has no result yet.
        elif id is not None and (has_outcome or all(each.answered for each in self._requests.values())):
            self._log.add_event(self._make_result(), self.id)
            if id in unsettled and self._outcome != "stopped":
                unsettled.pop(id).copy_outcome(self)
        state = "waiting" if is_waiting else self._outcome
        self._log.add_event(StepDone(self.id, state, self.error), self.id)
        for stop_listening in self._stop_listening:
            stop_listening()


def title_of(node: RunNode) -> str:
    """Return the words for a run or step in error messages, such as "the step 'plan'"."""
    return f"the {'step' if isinstance(node, Step) else 'run'} {node.name!r}"


def _sum_usage(usages: Iterable[Usage]) -> Usage:
    """Return the sum of token counts, leaving out answers without a report."""
    return sum(filter(None, usages), start=Usage())


def _describe_stored(error: BaseException) -> str:
    """Return an error's message, mostly after the name of its class, to store as a step's `error`."""
    name, message_text = type(error).__name__, message_of(error)
    if isinstance(error, ToolFailed | LeftOpenStep | ToolStopped) and message_text:
        # The messages of these classes are written for users, who need no name of a class.
        return message_text
    return f"{name}: {message_text}" if message_text else name
