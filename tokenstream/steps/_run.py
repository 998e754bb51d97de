"""A run of an agent, as a tree of steps that grows while the agent works."""

from __future__ import annotations

import warnings
from typing import (
    IO,
    TYPE_CHECKING,
    Any,
    Literal,
    Protocol,
    Self,
    TypeAlias,
    TypedDict,
    TypeVar,
    Unpack,
    overload,
)
from weakref import ref

from tokenstream._basics.elsewhere import explain_options
from tokenstream.departures import Departures
from tokenstream.errors import MisuseError
from tokenstream.limits import DEFAULT_LIMITS, Deadlines, Limits, check_option
from tokenstream.steps._events import RunEvents
from tokenstream.steps._log import Log
from tokenstream.steps._program import AGENT_DEADLINES
from tokenstream.steps._step import OPEN, RunNode, Step, title_of
from tokenstream.steps._tree import draw_run
from tokenstream.steps._turn import Requests, Steering, Turn, steer_agent
from tokenstream.stream._options import current_clock

ItemT = TypeVar("ItemT")
ItemT_co = TypeVar("ItemT_co", covariant=True)

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator

    import httpx

    from tokenstream._values.steer import Steer
    from tokenstream.events import StepWaiting
    from tokenstream.message import ToolCall
    from tokenstream.steps._agents import AgentReader
    from tokenstream.steps._follow import (
        AsyncFollowedItems,
        AsyncFollowedLines,
        AsyncFollowedRun,
        EitherFollowedItems,
        EitherFollowedLines,
        EitherFollowedRun,
        FollowedItems,
        FollowedLines,
        FollowedRun,
    )
    from tokenstream.steps._peer.asynchronous import AsyncPeer
    from tokenstream.steps._peer.base import AsyncPeerMessage, PeerMessage
    from tokenstream.steps._peer.exchange import PeerCall
    from tokenstream.steps._peer.sync import Peer

    class TrioStream(Protocol):
        async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray: ...

    class AnyIOStream(Protocol):
        async def receive(self, max_bytes: int = 65536) -> bytes: ...

    class Either(Protocol[ItemT_co]):
        """An object that both kinds of loop can read."""

        def __iter__(self) -> Iterator[ItemT_co]: ...
        def __aiter__(self) -> AsyncIterator[ItemT_co]: ...

    class AgentsResult(Protocol[ItemT_co]):
        """A run of the OpenAI Agents SDK."""

        def stream_events(self) -> AsyncIterator[ItemT_co]: ...

    LineSource: TypeAlias = IO[bytes] | IO[str] | list[str] | list[bytes]
    """The output of an agent that a `for` loop reads."""
    AsyncLines: TypeAlias = asyncio.StreamReader | TrioStream | AnyIOStream
    """The output of an agent that an `async for` loop reads."""
    ExitCode: TypeAlias = int | Callable[..., int | Awaitable[int] | None] | None
    """The exit code of an agent's process, or a function that returns it."""
    UntilOption: TypeAlias = Literal["turn", "idle"] | Callable[[Any], object] | None
    """The point at which a loop ends early."""

    class ProcessOptions(TypedDict, total=False):
        """The options of `Steps.follow` about an agent's process."""

        exit_code: ExitCode
        stderr: IO[bytes] | IO[str] | AsyncLines | None
        stdin: IO[bytes] | IO[str] | asyncio.StreamWriter | None
        deadlines: Deadlines

    class PeerOptions(ProcessOptions, total=False):
        """The options of `Steps.follow` for a peer, beside `until`."""

        agent: str | None

    class LineOptions(ProcessOptions, total=False):
        """The options of `Steps.follow` for lines of an agent that is named."""

        until: UntilOption

    class FollowOptions(PeerOptions, LineOptions, total=False):
        """The options of `Steps.follow` that every source takes."""


NumberT = TypeVar("NumberT", int, float)


class Ledger:
    """Keeps the totals of an agent's sessions: tokens, or a cost, up to the turn that was counted last.

    A run keeps one over all its loops: an agent tells the total of a session again after each turn, also
    if each turn is read in a loop of its own.

    Example:
        >>> ledger = Ledger()
        >>> ledger.take("s1", {"input_tokens": 250}), ledger.take("s1", {"input_tokens": 400})
        ({'input_tokens': 250}, {'input_tokens': 150})
        >>> ledger.take("s2", {"input_tokens": 90})
        {'input_tokens': 90}
    """

    def __init__(self) -> None:
        self._totals: dict[str, dict[str, int | float]] = {}

    def knows(self, session: str) -> bool:
        return session in self._totals

    def totals_of(self, session: str) -> dict[str, int | float]:
        """Return the totals of a session that were kept last; empty if none were."""
        return self._totals.get(session, {})

    def keep(self, session: str, totals: dict[str, NumberT]) -> None:
        """Keep the totals of a session, which belong to the turns so far; one that is not reported stays."""
        before = {} if self._has_begun_anew(session, totals) else self.totals_of(session)
        self._totals[session] = {**before, **totals}

    def subtract(self, session: str, totals: dict[str, NumberT]) -> dict[str, NumberT]:
        """Return what has been added to the totals of a session since they were kept last.

        Totals that are smaller than before have begun anew, so nothing is subtracted from them.
        """
        if self._has_begun_anew(session, totals):
            return totals
        before = self.totals_of(session)
        return {name: total - type(total)(before.get(name, 0)) for name, total in totals.items()}

    def take(self, session: str, totals: dict[str, NumberT]) -> dict[str, NumberT]:
        """Keep the totals of a session; return what has been added to them."""
        own = self.subtract(session, totals)
        self.keep(session, totals)
        return own

    def _has_begun_anew(self, session: str, totals: dict[str, NumberT]) -> bool:
        """Return True if totals are smaller than those that were kept last."""
        before = self.totals_of(session)
        return any(total < before.get(name, 0) for name, total in totals.items())


class Observer(Protocol):
    """Observes a run, as `tokenstream.otel` does."""

    def ended(self, node: RunNode) -> None:
        """Note that the run, or a step at its top level, has ended."""
        ...


class Steps(RunNode):
    """A run of an agent: a tree of steps that can be inspected while it grows.

    Args:
        name: The run's name; None for a run without a name.
        limits: Bounds on the run; only `steps` applies. The step that exceeds it raises `LimitExceeded`.

    Example:
        >>> from tokenstream import Steps
        >>> from tokenstream.testing import VirtualClock
        >>> with VirtualClock(), Steps("trip") as run:
        ...     with run.step("plan", agent="planner") as step:
        ...         with run.step("search"):
        ...             pass
        >>> print(run)
        trip done 0.0 s
        └─ plan (planner) done 0.0 s
           └─ search done 0.0 s
    """

    @explain_options()
    def __init__(self, name: str | None = None, *, limits: Limits = DEFAULT_LIMITS) -> None:
        check_option("limits", limits, Limits)
        super().__init__("run" if name is None else name, Log(limits.steps), current_clock())
        self.session: str | None = None
        """The id of the session of the agent that the run follows, to go on later; None without one."""
        self.agent: str | None = None
        """The name of the agent whose lines the run follows; None until its lines tell it for certain."""
        self.model: str | None = None
        """The name of the model that the agent uses, as it says itself; None if it has not."""
        self.context_used: int | None = None
        """Number of tokens in the model's context, as the agent counts them; None if it has not."""
        self.context_size: int | None = None
        """Number of tokens that the model's context can hold; None if the agent has not reported it."""
        self.departures = Departures()
        """The types of agents' lines, and kinds within them, that are not read, as the departure "unread"."""
        self.requests = Requests(self._log)
        self.observer: Observer | None = None
        """Learns of the end of the run, and of each step at its top level; None if nobody observes it."""
        self.ledger = Ledger()
        """The tokens and costs of the agents' sessions up to their last turns, also over several loops."""
        self._turns: list[Turn] = []
        self._reader: ref[AgentReader] | None = None
        """Reads the agent that is followed; None before."""
        self._steering: Steering | None = None
        """The input for that agent; None before."""

    def __del__(self) -> None:
        # An unknown option ends the construction before there is a list of steps.
        if getattr(self, "_steps", None) and self.ended is None:
            warnings.warn(f"{self!r} was never ended: use `with`", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        return f"<Steps {self.name}: {self.state}, {len(self._steps)} steps>"

    def __str__(self) -> str:
        return draw_run(self)

    def __enter__(self) -> Self:
        if self.ended is not None:
            raise MisuseError(f"{title_of(self)} has already ended: begin a new one")
        return self

    def step(self, what: str | ToolCall, *, agent: str | None = None, cause: ToolCall | None = None) -> Step:
        """Begin a step of the run, or a sub-step if the `with` block of a step is running.

        Tasks inherit the block that they were started in, and so do threads that copy
        the context, such as those of `asyncio.to_thread`; in other threads, use `Step.step`.

        Args:
            what: The step's name; or the tool call that started the step, whose tool's name it gets.
            agent: The name of the agent that executes the step; by default the parent step's agent.
            cause: The tool call that started the step; None if none did.

        Raises:
            MisuseError: The run has ended.
        """
        # The steps whose `with` blocks are running in this task or thread, the innermost one first.
        for parent in reversed(OPEN.get()):
            if parent.run is self and parent.ended is None:
                return parent.step(what, agent=agent, cause=cause)
        return self._begin_step(self, parent=None, what=what, agent=agent, cause=cause)

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns of the coding agent that the run follows, with their verdicts, tokens and costs."""
        return tuple(self._turns)

    @property
    def cost(self) -> float | None:
        """The cost of all turns in US dollars, as the agent counts it; None if it has not."""
        costs = [turn.cost for turn in self._turns if turn.cost is not None]
        return sum(costs) if costs else None

    @property
    def waiting(self) -> tuple[StepWaiting, ...]:
        """The requests of the agent that wait for an answer, the oldest first; `reply` answers them."""
        return self.requests.open

    def reply(self, id: str, answer: Any) -> None:  # noqa: ANN401 - a JSON value, as the agent expects it
        """Answer a request that waits, such as a permission request of an agent.

        Args:
            id: The id of the `StepWaiting` event.
            answer: The answer in the form that the agent expects.

        Raises:
            MisuseError: There is no such request, it was answered before, its step has ended, or
                nothing can send the answer.
        """
        self.requests.answer(id, answer)

    def add_turn(self, turn: Turn) -> None:
        """Add a turn, as a reader of an agent's lines does."""
        self._turns.append(turn)

    def introduce(
        self, agent: str | None = None, *, session: str | None = None, model: str | None = None
    ) -> None:
        """Note what an agent's lines say about the agent; what they leave out stays as it was."""
        self.agent = agent or self.agent
        self.session = session or self.session
        self.model = model or self.model

    # A pipe is also an iterable of its lines, which become objects here.
    @overload
    def follow(  # type: ignore[overload-overlap]
        self, events: Peer, *, until: UntilOption | PeerCall = None, **options: Unpack[PeerOptions]
    ) -> FollowedItems[PeerMessage]: ...
    @overload
    def follow(  # type: ignore[overload-overlap]
        self, events: AsyncPeer, *, until: UntilOption | PeerCall = None, **options: Unpack[PeerOptions]
    ) -> AsyncFollowedItems[AsyncPeerMessage]: ...
    @overload
    def follow(self, events: LineSource, **options: Unpack[FollowOptions]) -> FollowedLines: ...  # type: ignore[overload-overlap]
    @overload
    def follow(self, events: AsyncLines, **options: Unpack[FollowOptions]) -> AsyncFollowedLines: ...  # type: ignore[overload-overlap]
    # Its type does not tell whether a response is read in `for` or in `async for`.
    @overload
    def follow(self, events: httpx.Response, **options: Unpack[FollowOptions]) -> Any: ...  # noqa: ANN401 - as above
    @overload
    def follow(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
        self, events: Either[bytes] | Either[str], *, agent: str, **options: Unpack[LineOptions]
    ) -> EitherFollowedLines: ...
    @overload
    def follow(
        self, events: Iterable[bytes] | Iterable[str], *, agent: str, **options: Unpack[LineOptions]
    ) -> FollowedLines: ...
    @overload
    def follow(
        self, events: AsyncIterable[bytes] | AsyncIterable[str], *, agent: str, **options: Unpack[LineOptions]
    ) -> AsyncFollowedLines: ...
    @overload
    def follow(self, events: Either[ItemT]) -> EitherFollowedRun[ItemT]: ...  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
    @overload
    def follow(self, events: AsyncIterable[ItemT]) -> AsyncFollowedRun[ItemT]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def follow(self, events: AgentsResult[ItemT]) -> AsyncFollowedRun[ItemT]: ...
    @overload
    def follow(self, events: Iterable[ItemT]) -> FollowedRun[ItemT]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def follow(  # type: ignore[overload-overlap]
        self, events: Either[ItemT], **options: Unpack[FollowOptions]
    ) -> EitherFollowedItems[ItemT]: ...
    @overload
    def follow(
        self, events: AsyncIterable[ItemT], **options: Unpack[FollowOptions]
    ) -> AsyncFollowedItems[ItemT]: ...
    @overload
    def follow(self, events: Iterable[ItemT], **options: Unpack[FollowOptions]) -> FollowedItems[ItemT]: ...
    def follow(
        self,
        events: Any,
        *,
        agent: str | None = None,
        exit_code: ExitCode = None,
        stderr: Any = None,
        stdin: Any = None,
        until: UntilOption | PeerCall = None,
        deadlines: Deadlines = AGENT_DEADLINES,
    ) -> Any:
        """Return an iterable over a framework's events or an agent's lines; reading it builds this run.

        The events are passed on unchanged, in `for` or in `async for`, as the original
        iterable supports (of both, the first loop chooses one for lines); `close`, `with` and
        `async with` act on the original. Steps that begin within a step's `with` block are
        parts of that step.

        The lines of a coding agent (such as Claude Code, Codex, Copilot CLI and Gemini CLI), the
        events of Google's Agent Development Kit, and the tasks of agents that speak A2A become turns,
        which are also in `turns`; the loop gets each line as the object that it holds.

        Args:
            events: The events of a run: `astream_events(…)` of LangChain or LangGraph,
                a result of the OpenAI Agents SDK, `stream_events()` of it or of a LlamaIndex handler, or what
                `run_stream_events(…)` or `iter(…)` of pydantic-ai gives to an `async with`. Or the lines
                of an agent: its standard output, a file, a byte stream of asyncio, trio or anyio, a
                response, a list of lines or of their objects, or the messages of claude-agent-sdk. Or a
                `Peer` or `AsyncPeer`. Or the events of a hosted agent of OpenAI, Anthropic or Mistral, as
                objects or dicts.
            agent: The name of the agent, such as "codex"; None to detect it.
            exit_code: The exit code of the agent's process, or a function that returns it, such as
                `Popen.wait`; None if it is not known. It is asked after the last line, for 5 seconds at most.
            stderr: The standard error of the process, a pipe or byte stream: it is read beside the lines,
                and errors have its end in `stderr`. None to leave it alone.
            stdin: The standard input of the process, for `steer`: a pipe, or a writer of asyncio, which stays
                open. None if the agent is only read, and for a peer, which has its own.
            until: Ends the loop early: "turn" or "idle" once a turn has ended and none is open, what
                `peer.begin(…)` returns once it is answered, or a function of an item that returns True
                for the last one. A new loop over the same object goes on.
            deadlines: The longest waits for the agent, in seconds. By default, only `first_event` and
                `idle_content` apply, 10 minutes each: a tool may work in silence.

        Raises:
            MisuseError: The object is not iterable; or, in the loop, its items are pieces of
                one model's answer.
            StreamTruncated: In the loop: the agent's lines ended in the middle of a turn.
            NotAStream: In the loop: no known agent prints such lines.
            LimitExceeded: In the loop: the run has more steps than `Limits.steps`.
            ProviderError: In the loop: no turn has failed, but the process has.
            StreamStalled: In the loop: the agent was silent for longer than `deadlines` allows, or its
                process still runs after the end of its output.

        Example:
            >>> from tokenstream import Steps
            >>> start = {"event": "on_tool_start", "run_id": "r", "name": "search", "data": {}}
            >>> end = {"event": "on_tool_end", "run_id": "r", "name": "look", "data": {"output": 3}}
            >>> with Steps() as run:
            ...     for event in run.follow([start, end]):
            ...         print(event["event"], [step.state for step in run.steps])
            on_tool_start ['running']
            on_tool_end ['done']
        """
        from tokenstream.steps._follow import follow

        return follow(
            events,
            self,
            agent=agent,
            exit_code=exit_code,
            stderr=stderr,
            stdin=stdin,
            until=until,
            deadlines=deadlines,
        )

    def steer(self, text: str) -> Steer:
        """Say something to the agent that the run follows, while it works.

        Codex's app server takes such input, over a `Peer` or an `AsyncPeer`, and so do agents that speak ACP
        and say that they do. Claude Code takes it if `follow` has its standard input, and the process runs
        with `--input-format stream-json`. The call returns at once; the loop over the run goes on, and reads
        what the agent says of the input. A refusal ends nothing.

        Args:
            text: The words.

        Returns:
            The input, whose `state` changes as the run is read. The run's events have each state, too, as a
            `StepUpdate` of the turn with the type "steer".

        Raises:
            MisuseError: No agent is followed, it takes no input while it works, or it is only read.
            StreamInterrupted: The agent no longer reads.
        """
        reader = None if self._reader is None else self._reader()
        # Without a reader, the loop that read the agent is over; a turn that it left is read by nobody.
        has_rested = reader is None and bool(self.turns) and self.turns[-1].state != "running"
        return steer_agent(reader, text, is_over=self.ended is not None or has_rested)

    def note_reader(self, reader: AgentReader) -> None:
        """Note the reader of the agent that is followed now."""
        self._reader, self._steering = ref(reader), reader.steering

    def events(self) -> RunEvents:
        """Return an iterator over all events of the run, from its start, for a user interface.

        Read the events with `for` in another thread, or with `async for` in any task; the
        loop ends with the run. `.ready()` returns the events that have arrived, without
        waiting. Each reader calls this method for itself; a slow reader gets larger pieces.

        `StepStart` and `StepDone` enclose the events of a step, whose `.step` is the step's
        id. Parts are numbered across the whole run, and a tool call whose id another stream
        has already used gets an id with a suffix.

        Example:
            >>> from tokenstream import Steps, Stream
            >>> with Steps() as run, run.step("greet") as step:
            ...     answer = step.follow(Stream(["Hel", "lo"], format="pieces")).final()
            >>> [type(event).__name__ for event in run.events()][:4]
            ['StepStart', 'MessageStart', 'PartStart', 'TextDelta']
        """
        return RunEvents(self._log)

    # -- within ------------------------------------------------------------

    def _tell_observer(self) -> None:
        if self._steering is not None:
            self._steering.close()
        if self.observer is not None:
            self.observer.ended(self)

    def _record_end(self) -> None:
        self._log.has_ended = True
