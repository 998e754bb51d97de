"""A step of a run: what it follows, what is within it, and how it ends."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, get_args

from tokenstream.errors import MisuseError
from tokenstream.events import MessageStart, StepDone, StepStart
from tokenstream.message import Ending, ToolCall, Usage
from tokenstream.stages._handlers import ToolFailed
from tokenstream.steps._log import Answer, Log
from tokenstream.steps._tree import described
from tokenstream.stream._base import reader_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Self

    from tokenstream.events import Event
    from tokenstream.message import Message
    from tokenstream.stages.metrics import Metrics
    from tokenstream.steps._run import Steps
    from tokenstream.stream import AsyncStream, Stream

__all__ = ["OPEN", "Block", "LeftOpen", "Step"]

StreamT = TypeVar("StreamT", bound="Stream | AsyncStream")
State: TypeAlias = Literal["running", "done", "failed", "stopped"]
"""How a run or a step stands."""
Outcome: TypeAlias = Literal["done", "failed", "stopped"]

OPEN: ContextVar[tuple[Step, ...]] = ContextVar("tokenstream_steps", default=())
"""The steps whose blocks are running: what begins within is a part of the last one of its run."""


class LeftOpen(BaseException):
    """Ends a step that nobody has ended."""


class Block:
    """A run or a step: it has steps, begins and ends.

    Args:
        name: Its name.
        log: What has happened in the run.
        clock: Where the time comes from, in seconds.
    """

    def __init__(self, name: str, log: Log, clock: Callable[[], float]) -> None:
        self.name = name
        """What it is called."""
        self.error: str | None = None
        """What went wrong, in words; None where nothing did."""
        self.result: Any = None
        """What came of it, for whoever wants to keep that here; of a tool that a router ran, what it gave."""
        self.ended: float | None = None
        """The clock when it ended; None while it runs."""
        self._log = log
        self._clock = clock
        self._steps: tuple[Step, ...] = ()
        self.started = clock()
        """The clock when it began."""
        self._answers: tuple[Answer, ...] = ()
        self._outcome: Outcome = "done"

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that are a part of it, in the order in which they began."""
        return self._steps

    @property
    def state(self) -> State:
        """How it stands: "running", "done", "failed", or "stopped" where it was cancelled or left open."""
        return "running" if self.ended is None else self._outcome

    @property
    def seconds(self) -> float:
        """How long it took; or has taken, while it runs."""
        return (self._clock() if self.ended is None else self.ended) - self.started

    @property
    def total_usage(self) -> Usage | None:
        """The token counts of all steps within, added up; None where none were reported."""
        return _sum(step.usage for step in self._below())

    def end(self, error: BaseException | None = None) -> None:
        """End it, where that is not done by the end of its `with` block; what is open within is stopped.

        Args:
            error: What went wrong. An `Exception` is a failure, anything else has stopped it.
        """
        with self._log.lock:
            if self.ended is not None:
                return
            for step in reversed([*self._below(running=True)]):
                around = step.run if step.parent is None else step.parent
                step.end(LeftOpen(f"it was left open when {_named(around)} ended"))
            if error is not None:
                self._outcome = "failed" if isinstance(error, Exception) else "stopped"
                self.error = _words(error)
            self.ended = self._clock()
            self._close()
        self._log.tell()

    def _below(self, *, running: bool = False) -> Iterator[Step]:
        """Give the steps within, each before those that are a part of it.

        Args:
            running: Whether only those are wanted that have not ended.
        """
        # Runs may nest deeper than functions may.
        waiting = [*reversed(self._steps)]
        while waiting:
            step = waiting.pop()
            if step.ended is None or not running:
                yield step
                waiting.extend(reversed(step.steps))

    def _close(self) -> None:
        """Note the end."""
        raise NotImplementedError

    @property
    def _what(self) -> str:
        """What errors call it."""
        return _named(self)

    def _begin(
        self,
        run: Steps,
        parent: Step | None,
        what: object,
        agent: str | None,
        cause: ToolCall | None,
    ) -> Step:
        given: Any = what
        causes: Any = cause
        if isinstance(what, ToolCall):
            given, causes = what.name, given if cause is None else cause
        if not isinstance(given, str):
            raise MisuseError(f"a step is named by a str or by a ToolCall, not by {type(given).__name__}")
        if cause is not None and not _is_call(cause):
            raise MisuseError(f"cause= is the ToolCall that started the step, not {type(cause).__name__}")
        with self._log.lock:
            if self.ended is not None:
                raise MisuseError(f"{self._what} has ended, and takes no step {given!r} any more")
            step = Step(run, parent, given, agent=agent, cause=causes, log=self._log, clock=self._clock)
            self._steps = (*self._steps, step)
            told = None if causes is None else self._log.cause(causes, self._answers)
            start = StepStart(step.id, given, None if parent is None else parent.id, step.agent, told)
            start.step = step.id
            self._log.entries.append(start)
        self._log.tell()
        return step

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end(error)


class Step(Block):
    """A named piece of a run, with the streams that it follows and the steps below it.

    All of it can be looked at from any thread, while it runs and after.
    `Steps.step` and `Step.step` begin one.
    """

    def __init__(
        self,
        run: Steps,
        parent: Step | None,
        name: str,
        *,
        agent: str | None,
        cause: ToolCall | None,
        log: Log,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(name, log, clock)
        self.run = run
        """The run that it is a step of."""
        self.parent = parent
        """The step that it is a part of; None for those of the run itself."""
        self.id = log.count()
        """Its id, one of its own in the run."""
        self.agent: str | None = agent if agent is not None or parent is None else parent.agent
        """Who does it; by default who does the step that it is a part of."""
        self.cause = cause
        """The tool call that started it; None where none did."""
        self._leave: list[Callable[[], object]] = []

    def __repr__(self) -> str:
        return f"<Step {described(self)}>"

    def __enter__(self) -> Self:
        if self.ended is not None:
            raise MisuseError(f"{self._what} has ended: begin another one")
        OPEN.set((*OPEN.get(), self))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Generators may end in another order than they began, and in another task.
        OPEN.set(tuple(step for step in OPEN.get() if step is not self))
        super().__exit__(kind, error, traceback)

    def step(self, what: str | ToolCall, *, agent: str | None = None, cause: ToolCall | None = None) -> Step:
        """Begin a step below this one, wherever it is begun: in a thread, say, that knows of no block.

        Args:
            what: Its name; or a tool call, which names it and is its cause.
            agent: Who does it; by default who does this one.
            cause: The tool call that started it.

        Raises:
            MisuseError: This one has ended.
        """
        return self._begin(self.run, self, what, agent, cause)

    def follow(self, stream: StreamT) -> StreamT:
        """Show what comes of a stream, and return the stream, which is read as ever.

        Tools that a router runs for it are steps below this one.

        Args:
            stream: A `Stream` or an `AsyncStream`, read already or not.

        Raises:
            MisuseError: It is none, a step follows it already, or this one has ended.
            ConcurrentRead: Another thread or task is reading it.

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
                f"a step follows a Stream or an AsyncStream, not {type(given).__name__}: give it what "
                "connect() or aconnect() returns, or wrap the response"
            )
        with self._log.lock:
            if self.ended is not None:
                raise MisuseError(f"{self._what} has ended, and follows nothing any more")
            broadcast: Any = given.broadcast()
            # What drives the stream from here on is one of the readers of its hub.
            reader: Any = reader_of(given)
            hub = reader.hub
            if hub.around_tool is not None:
                raise MisuseError("a step follows this stream already: a stream belongs to one step")
            hub.around_tool = self._around_tool
            answer = self._add(Answer(len(self._log.answers), stream, hub.driver.accumulator))
            self._leave.append(broadcast.listen(partial(self._log.tell, answer)))
        self._log.tell()
        return stream

    def feed(self, event: Event) -> None:
        """Take an event of an answer that no stream of ours gives, such as one of a framework's run.

        `MessageStart(another=True)` begins the next answer. All are over with the step.

        Args:
            event: One with the parts numbered from 0 in each answer.

        Raises:
            MisuseError: The step has ended.

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
                raise MisuseError(f"{self._what} has ended, and takes no event any more")
            answer = self._answers[-1] if self._answers else None
            fresh = isinstance(event, MessageStart) and event.another
            if answer is None or answer.stream is not None or fresh:
                answer = self._add(Answer(len(self._log.answers)))
            answer.accumulator.take(event)
        self._log.tell(answer)

    def conclude(self, ending: Ending = "complete") -> None:
        """Say how the last answer ended that was fed; by default it ends as the step does.

        Args:
            ending: One of those that `Message.ending` may be.

        Raises:
            MisuseError: It is none.
        """
        if ending not in get_args(Ending):
            raise MisuseError(f"ending={ending!r} is none: it is one of {', '.join(get_args(Ending))}")
        if self._answers and self._answers[-1].stream is None:
            self._answers[-1].accumulator.conclude(ending)
            self._log.tell()

    @property
    def streams(self) -> tuple[Stream | AsyncStream, ...]:
        """The streams that it follows, in that order."""
        return tuple(answer.stream for answer in self._answers if answer.stream is not None)

    @property
    def messages(self) -> tuple[Message, ...]:
        """What each of its streams has said so far."""
        return tuple(answer.message for answer in self._answers)

    @property
    def message(self) -> Message | None:
        """What the last of its streams has said so far; None before there is one."""
        return self._answers[-1].message if self._answers else None

    @property
    def text(self) -> str:
        """What its streams have said so far, with an empty line between two of them."""
        return "\n\n".join([message.text for message in self.messages if message.text])

    @property
    def metrics(self) -> Metrics | None:
        """How fast the last of its streams came; None before there is one."""
        streams = self.streams
        return streams[-1].metrics if streams else None

    @property
    def usage(self) -> Usage | None:
        """The token counts of its own streams, added up; None where none were reported."""
        return _sum(message.usage for message in self.messages)

    @property
    def total_usage(self) -> Usage | None:
        """The same with those of all steps within."""
        return _sum((self.usage, super().total_usage))

    # -- within ------------------------------------------------------------

    def _add(self, answer: Answer) -> Answer:
        self._answers = (*self._answers, answer)
        self._log.answers.append(answer)
        self._log.entries.append((self.id, answer))
        return answer

    def _around_tool(self, call: ToolCall) -> AbstractContextManager[Step | None]:
        """Return the block in which a router runs a tool."""
        return nullcontext() if self.ended is not None else self.step(call)

    def _close(self) -> None:
        for answer in self._answers:
            # Whoever reads the run looks once more, whatever it was told.
            answer.version += 1
            if answer.stream is None:
                answer.accumulator.conclude("complete" if self._outcome == "done" else self._outcome)
        done = StepDone(self.id, self._outcome, self.error)
        done.step = self.id
        self._log.entries.append(done)
        for leave in self._leave:
            leave()


def _named(block: Block) -> str:
    return f"the {'step' if isinstance(block, Step) else 'run'} {block.name!r}"


def _sum(usages: Iterable[Usage | None]) -> Usage | None:
    found: Usage | None = None
    for usage in usages:
        if usage is not None:
            found = usage if found is None else found + usage
    return found


def _is_call(given: object) -> bool:
    return isinstance(given, ToolCall)


def _words(error: BaseException) -> str:
    name, said = type(error).__name__, str(error)
    if isinstance(error, ToolFailed | LeftOpen) and said:
        # Written to be read.
        return said
    return f"{name}: {said}" if said else name
