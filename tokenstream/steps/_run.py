"""A run: what an agent does, as a tree of steps that grows while it does it."""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING, Any, TypeVar, overload

from tokenstream.errors import MisuseError
from tokenstream.steps._events import RunEvents
from tokenstream.steps._log import Log
from tokenstream.steps._step import OPEN, Block
from tokenstream.steps._tree import drawn

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable
    from typing import Self

    from tokenstream.message import ToolCall
    from tokenstream.steps._follow import AsyncFollowed, Followed
    from tokenstream.steps._step import Step

__all__ = ["Steps"]

ItemT = TypeVar("ItemT")


class Steps(Block):
    """A run of an agent: a tree of steps that can be looked at while it grows.

    Args:
        name: What the run is called.
        clock: Where the time comes from, in seconds.

    Example:
        >>> from tokenstream import Steps, Stream
        >>> with Steps("trip", clock=lambda: 0.0) as run:
        ...     with run.step("plan", agent="planner") as step:
        ...         with run.step("search"):
        ...             pass
        >>> print(run)
        trip done 0.0 s
        └─ plan (planner) done 0.0 s
           └─ search done 0.0 s
    """

    def __init__(self, name: str | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__("run" if name is None else name, Log(), clock)

    def __del__(self) -> None:
        if self._steps and self.ended is None:
            warnings.warn(f"{self!r} was never ended: use `with`", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        return f"<Steps {self.name}: {self.state}, {len(self._steps)} steps>"

    def __str__(self) -> str:
        return drawn(self)

    def __enter__(self) -> Self:
        if self.ended is not None:
            raise MisuseError(f"{self._what} has ended: begin another one")
        return self

    def step(self, what: str | ToolCall, *, agent: str | None = None, cause: ToolCall | None = None) -> Step:
        """Begin a step of the run: a part of the step whose `with` block is running, if one is.

        Tasks know the block that they were started in, and so do threads that
        copy the context, such as `asyncio.to_thread`; in others, use `Step.step`.

        Args:
            what: Its name; or a tool call, which names it and is its cause.
            agent: Who does it; by default who does the step that it is a part of.
            cause: The tool call that started it.

        Raises:
            MisuseError: The run has ended.
        """
        for parent in reversed(OPEN.get()):
            if parent.run is self and parent.ended is None:
                return parent.step(what, agent=agent, cause=cause)
        return self._begin(self, None, what, agent, cause)

    @overload
    def follow(self, events: AsyncIterable[ItemT]) -> AsyncFollowed[ItemT]: ...
    @overload
    def follow(self, events: Iterable[ItemT]) -> Followed[ItemT]: ...
    def follow(self, events: Any) -> Followed[Any] | AsyncFollowed[Any]:
        """Return the events of a framework's run, to be looped over, while the run grows out of them.

        They are given untouched, in `for` or in `async for`, whichever they are
        made for; `close`, `with` and `async with` reach them. What is begun within
        a step's block is a part of it.

        Args:
            events: `astream_events(…)` of LangChain and LangGraph, `stream_events()` of a
                run of the OpenAI Agents SDK, or of a handler of LlamaIndex's workflows.

        Raises:
            MisuseError: They are nothing that can be looped over; in the loop, the pieces
                of one answer.

        Example:
            >>> from tokenstream import Steps
            >>> start = {"event": "on_tool_start", "run_id": "r", "name": "search", "data": {}}
            >>> end = {"event": "on_tool_end", "run_id": "r", "name": "search", "data": {"output": 3}}
            >>> with Steps() as run:
            ...     for event in run.follow([start, end]):
            ...         print(event["event"], [step.state for step in run.steps])
            on_tool_start ['running']
            on_tool_end ['done']
        """
        from tokenstream.steps._follow import follow

        return follow(events, self)

    def events(self) -> RunEvents:
        """Return all that happens in the run as events, from its start, for an interface.

        A loop over it ends with the run: `for` in another thread, `async for` in
        any task; `.ready()` gives what there is without waiting. Each reader has
        its own, and one that is slow gets larger pieces. `StepStart` and
        `StepDone` stand around the events of a step, which know it by `.step`;
        parts are numbered through the run, and a call's id that another stream
        has used gets a suffix.

        Example:
            >>> from tokenstream import Steps, Stream
            >>> with Steps() as run, run.step("greet") as step:
            ...     answer = step.follow(Stream(["Hel", "lo"], format="pieces")).final()
            >>> [type(event).__name__ for event in run.events()][:4]
            ['StepStart', 'MessageStart', 'PartStart', 'TextDelta']
        """
        return RunEvents(self._log)

    # -- within ------------------------------------------------------------

    def _close(self) -> None:
        self._log.over = True
