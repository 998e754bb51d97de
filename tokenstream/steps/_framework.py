"""Base of the readers of frameworks' events, which make steps of models, tools and agents."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream.errors import OutputInvalid
from tokenstream.message import ToolCall
from tokenstream.steps._step import LeftOpen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.errors import StreamError
    from tokenstream.steps._run import Steps
    from tokenstream.steps._spoken import ModelAnswer
    from tokenstream.steps._step import Step


class RunOfAFramework(ABC):
    """Makes the steps of a run from a framework's events.

    Args:
        run: The run that receives the steps.
    """

    def __init__(self, run: Steps) -> None:
        self._run = run
        self._calls: list[ToolCall] = []
        """Tool calls by models for which no step has begun yet."""
        self._open: dict[str, Step] = {}
        """Steps that have not ended, by the framework's key for them."""

    @abstractmethod
    def take(self, event: Any) -> None:  # noqa: ANN401 - an object of a framework
        """Take an event."""

    @abstractmethod
    def _end_answers(self) -> Mapping[str, StreamError | None]:
        """End the answers in progress; return the error or None of each, by its step's key."""

    def end(self, error: BaseException | None) -> None:
        """End all open steps after the last event.

        Args:
            error: The exception that ended the events; None for their regular end.
        """
        wrong: Mapping[str, StreamError | None] = self._end_answers() if error is None else {}
        for key, step in reversed(self._open.items()):
            step.end(error or wrong.get(key))
        self._open.clear()

    def stop(self) -> None:
        """Stop all open steps, because the events are no longer read."""
        self.end(LeftOpen("its events were not read to their end"))

    # -- steps -------------------------------------------------------------

    def _begin_tool(
        self, key: str, name: str, parent: Step | Steps, *, id: str | None, arguments: object = None
    ) -> None:
        """Begin the step of a tool.

        Args:
            key: The framework's key for the step.
            name: The tool's name.
            parent: The step or run that it belongs to.
            id: The id of the call that started it; None to look for the first matching call.
            arguments: The tool's arguments, to find the matching call by.
        """
        found = [
            call
            for call in self._calls
            if call.id == id or (id is None and call.name == name and _has(call, arguments))
        ]
        cause = found[0] if found else None
        if cause is not None:
            self._calls.remove(cause)
        elif id is not None:
            cause = ToolCall(id=id, name=name, complete=True)
        self._open[key] = parent.step(name, cause=cause)

    def _end_step(self, key: str, result: object = None, error: Exception | None = None) -> None:
        step = self._open.pop(key, None)
        if step is not None:
            step.result = result
            step.end(error)


class RunOfAgents(RunOfAFramework):
    """Makes the steps of a run whose events name the current agent."""

    _AGENT: ClassVar[str] = ""
    """Key of the current agent's step; no call has such an id."""

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._spoken: ModelAnswer | None = None
        """The answer in progress."""

    def _end_answers(self) -> Mapping[str, StreamError | None]:
        spoken, self._spoken = self._spoken, None
        return {} if spoken is None else {self._AGENT: spoken.end()}

    @property
    def _agent(self) -> Step | Steps:
        """The step of the current agent; the run before there is one."""
        return self._open.get(self._AGENT, self._run)

    def _turn_to(self, name: str) -> Step:
        """Return the step of the agent that is now current; another agent's step ends."""
        step = self._open.get(self._AGENT)
        if step is None or step.name != name:
            self._end_answers()
            self._end_step(self._AGENT)
            step = self._open[self._AGENT] = self._run.step(name, agent=name)
        return step


def _has(call: ToolCall, arguments: object) -> bool:
    try:
        return bool(call.arguments == arguments)
    except OutputInvalid:
        return False
