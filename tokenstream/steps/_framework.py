"""What the events of any framework come to: steps of models, of tools and of agents."""

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
    from tokenstream.steps._spoken import Spoken
    from tokenstream.steps._step import Step

__all__ = ["RunOfAFramework", "RunOfAgents"]


class RunOfAFramework(ABC):
    """Makes the steps of a run out of a framework's events.

    Args:
        run: Where they go.
    """

    def __init__(self, run: Steps) -> None:
        self._run = run
        self._calls: list[ToolCall] = []
        """The calls that models have handed out, and that no step was begun for."""
        self._open: dict[str, Step] = {}
        """The steps that have not ended, by what the framework calls them."""

    @abstractmethod
    def take(self, event: Any) -> None:  # noqa: ANN401 - an object of a framework
        """Take an event."""

    @abstractmethod
    def _end_answers(self) -> Mapping[str, StreamError | None]:
        """End the answers that are being given; return what is wrong with each, by its step's key."""

    def end(self, error: BaseException | None) -> None:
        """End what is open: the events are over.

        Args:
            error: What they ended with; None where they came to their end.
        """
        wrong: Mapping[str, StreamError | None] = self._end_answers() if error is None else {}
        for key, step in reversed(self._open.items()):
            step.end(error or wrong.get(key))
        self._open.clear()

    def stop(self) -> None:
        """Stop what is open: nobody reads the events any more."""
        self.end(LeftOpen("its events were not read to their end"))

    # -- steps -------------------------------------------------------------

    def _begin_tool(
        self, key: str, name: str, parent: Step | Steps, *, id: str | None, arguments: object = None
    ) -> None:
        """Begin the step of a tool, which the call of that id has started.

        Args:
            key: What the framework calls it.
            name: The tool's name.
            parent: What it is a part of.
            id: The call's id; None where no event tells it: then the first call that fits has.
            arguments: The arguments that the tool was given, to tell which call fits.
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
    """Makes the steps of a run whose events name the agent whose turn it is."""

    _AGENT: ClassVar[str] = ""
    """Key of that agent's step; no call has such an id."""

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._spoken: Spoken | None = None
        """The answer that is being given."""

    def _end_answers(self) -> Mapping[str, StreamError | None]:
        spoken, self._spoken = self._spoken, None
        return {} if spoken is None else {self._AGENT: spoken.end()}

    @property
    def _agent(self) -> Step | Steps:
        """The step of the agent whose turn it is; the run before there is one."""
        return self._open.get(self._AGENT, self._run)

    def _turn_to(self, name: str) -> Step:
        """Return the step of the agent whose turn it is now; that of another one ends."""
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
